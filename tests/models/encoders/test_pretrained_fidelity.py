"""Each encoder gives the same output as its library's documented path on the same weights, alone and in batches."""

import json
import shutil

import numpy as np
import pytest
import soxr
import torch
from PIL import Image

from models.encoders import EncoderError, load
from models.encoders.tiny import checkpoint

RNG = np.random.default_rng(0)
IMAGES = [RNG.integers(0, 256, (40 + 9 * n, 60 - 7 * n, 3), dtype=np.uint8) for n in range(5)]
RATE = 16000
TEXTS = [
    "A cat plays the piano",
    "dog",
    "the happy man is dancing on a table in the street, laughing!",
    "",
    "a dog's ball",
]


def sounds(rate: int, seconds: tuple[float, ...]) -> list[np.ndarray]:
    return [
        (0.3 * np.sin(2 * np.pi * (200 + 300 * n) * np.arange(round(rate * length)) / rate)).astype(np.float32)
        + 0.01 * RNG.standard_normal(round(rate * length)).astype(np.float32)
        for n, length in enumerate(seconds)
    ]


def reference_visual(folder, image):
    """As in the documentation of ViTModel, one image at a time."""
    from transformers import AutoImageProcessor, ViTModel

    processor = AutoImageProcessor.from_pretrained(folder, backend="pil")
    model = ViTModel.from_pretrained(folder, add_pooling_layer=False).eval()
    with torch.no_grad():
        return model(**processor(images=Image.fromarray(image), return_tensors="pt")).last_hidden_state[0].numpy()


def test_vit(cache):
    folder = checkpoint("visual", cache=cache)
    expected = [reference_visual(folder, image) for image in IMAGES]
    encoder = load("visual", "tiny", cache=cache)
    vectors = encoder.encode(IMAGES)
    assert vectors.shape == (5, encoder.width) and vectors.dtype == np.float32
    np.testing.assert_allclose(vectors, [rows[0] for rows in expected], atol=1e-5)
    mean = load("visual", "tiny", cache=cache, pooling="mean").encode(IMAGES)
    np.testing.assert_allclose(mean, [rows[1:].mean(0) for rows in expected], atol=1e-5)


def reference_acoustic(folder, sound):
    from transformers import ASTModel, AutoFeatureExtractor

    extractor = AutoFeatureExtractor.from_pretrained(folder)
    model = ASTModel.from_pretrained(folder).eval()
    with torch.no_grad():
        return model(**extractor(sound, sampling_rate=RATE, return_tensors="pt")).pooler_output[0].numpy()


def test_ast(cache):
    segments = sounds(RATE, (1.28, 0.3, 1.0))
    expected = [reference_acoustic(checkpoint("acoustic", cache=cache), segment) for segment in segments]
    encoder = load("acoustic", "tiny", cache=cache)
    assert (encoder.rate, encoder.seconds) == (RATE, pytest.approx(1.28))
    np.testing.assert_allclose(encoder.encode(segments, RATE), expected, atol=1e-5)


def test_ast_takes_the_middle_of_longer_segments_and_other_rates(cache):
    encoder = load("acoustic", "tiny", cache=cache)
    (long,) = sounds(RATE, (3.0,))
    kept = round(1.295 * RATE)
    first = (len(long) - kept) // 2
    expected = reference_acoustic(checkpoint("acoustic", cache=cache), long[first : first + kept])
    np.testing.assert_allclose(encoder.encode([long], RATE)[0], expected, atol=1e-5)
    (fast,) = sounds(48000, (1.0,))
    expected = reference_acoustic(checkpoint("acoustic", cache=cache), soxr.resample(fast, 48000, RATE))
    np.testing.assert_allclose(encoder.encode([fast], 48000)[0], expected, atol=1e-5)


def reference_text(folder, text):
    """angle-emb's `cls` pooling is the first row of the last layer of a plain AutoModel."""
    from transformers import AutoModel, AutoTokenizer

    tokenizer, model = AutoTokenizer.from_pretrained(folder), AutoModel.from_pretrained(folder).eval()
    with torch.no_grad():
        return model(**tokenizer(text, return_tensors="pt")).last_hidden_state[0].numpy()


def test_angle_words_and_sentences(cache):
    folder = checkpoint("text", cache=cache)
    expected = [reference_text(folder, text) for text in TEXTS]
    encoder = load("text", "tiny", cache=cache)
    for rows, whole in zip(encoder.encode_words(TEXTS), expected, strict=True):
        assert rows.shape == (len(whole) - 2, encoder.width)  # without [CLS] and [SEP]
        np.testing.assert_allclose(rows, whole[1:-1], atol=1e-5)
    texts = [text for text in TEXTS if text]
    sentences = encoder.encode_sentences(texts)
    first = np.array([whole[0] for text, whole in zip(TEXTS, expected) if text])
    np.testing.assert_allclose(sentences, first / np.linalg.norm(first, axis=1, keepdims=True), atol=1e-5)


def test_angle_puts_the_prompt_around_sentences_only(cache):
    prompt = "this is the {text} of my video"
    plain, prompted = load("text", "tiny", cache=cache), load("text", "tiny", cache=cache, prompt=prompt)
    np.testing.assert_allclose(
        prompted.encode_sentences(["dog"]), plain.encode_sentences([prompt.replace("{text}", "dog")]), atol=1e-6
    )
    np.testing.assert_allclose(prompted.encode_words(["dog"])[0], plain.encode_words(["dog"])[0], atol=1e-6)


def test_a_tokenizer_that_pads_before_the_text_does_not_move_it(cache, tmp_path):
    folder = tmp_path / "left"
    shutil.copytree(checkpoint("text", cache=cache), folder)
    told = json.loads((folder / "tokenizer_config.json").read_text())
    (folder / "tokenizer_config.json").write_text(json.dumps(told | {"padding_side": "left"}))
    expected = [reference_text(folder, text) for text in TEXTS]
    encoder = load("text", "paper", checkpoint=str(folder))
    for rows, whole in zip(encoder.encode_words(TEXTS), expected, strict=True):
        np.testing.assert_allclose(rows, whole[1:-1], atol=1e-5)
    sentences = encoder.encode_sentences([text for text in TEXTS if text])
    first = np.array([whole[0] for text, whole in zip(TEXTS, expected) if text])
    np.testing.assert_allclose(sentences, first / np.linalg.norm(first, axis=1, keepdims=True), atol=1e-5)


def test_angle_cuts_long_texts(cache):
    encoder = load("text", "tiny", cache=cache, max_tokens=10)
    (rows,) = encoder.encode_words(["dog " * 300])
    assert len(rows) == 8
    assert (
        len(load("text", "tiny", cache=cache).encode_words(["dog " * 300])[0]) == 126
    )  # what the model has places for


@pytest.mark.parametrize("prompt", [None, "this video: {text}", "{text} is the video"])
@pytest.mark.parametrize("tokens", [20, 512])
def test_a_sentence_that_is_too_long_keeps_its_end_and_its_prompt(cache, prompt, tokens):
    encoder = load("text", "tiny", cache=cache, prompt=prompt, max_tokens=tokens)
    title = "a happy dog on the beach"
    long = "the night is dark and quiet. " * 60 + title
    others = "people are walking in the city. " * 60
    first, second, third = encoder.encode_sentences([long, others + title, others + "red fire"])
    room = min(tokens, 128) - 2 - (0 if prompt is None else 3)
    assert room < 300 and first @ second != pytest.approx(first @ third, abs=1e-6)  # the end is seen
    # What is encoded is the prompt whole, and of the text as many of its last words as there is room for.
    whole = load("text", "tiny", cache=cache, prompt=prompt)
    kept = " ".join(long.replace(".", " .").split()[-room:])
    np.testing.assert_allclose(first, whole.encode_sentences([kept])[0], atol=1e-5)


def test_a_prompt_that_leaves_no_room_is_cut_itself(cache):
    encoder = load("text", "tiny", cache=cache, prompt="dog " * 300 + "{text}")
    np.testing.assert_allclose(*encoder.encode_sentences(["a cat", "a bird"]), atol=1e-6)


def test_angle_refuses_an_empty_sentence(cache):
    with pytest.raises(EncoderError, match="text 1 holds no word: ' '"):
        load("text", "tiny", cache=cache).encode_sentences(["dog", " "])


def reference_captions(folder, image, prompt, tokens):
    """As in the documentation of Blip2ForConditionalGeneration: token ids after the prompt, and their text."""
    from transformers import AutoImageProcessor, AutoTokenizer, Blip2ForConditionalGeneration, Blip2Processor

    processor = Blip2Processor(
        AutoImageProcessor.from_pretrained(folder, backend="pil"),
        AutoTokenizer.from_pretrained(folder),
        num_query_tokens=4,
    )
    model = Blip2ForConditionalGeneration.from_pretrained(folder).eval()
    inputs = processor(images=Image.fromarray(image), text=prompt, return_tensors="pt")
    made = model.generate(**inputs, max_new_tokens=tokens)[0, inputs["input_ids"].shape[1] :]
    return processor.decode(made, skip_special_tokens=True).strip()


@pytest.mark.parametrize("prompt", ["", "this video is"])
def test_blip2_writes_the_same_captions_token_by_token(cache, prompt):
    folder = checkpoint("captions", cache=cache)
    expected = [reference_captions(folder, image, prompt, 20) for image in IMAGES]
    captioner = load("captions", "tiny", cache=cache, prompt=prompt, max_new_tokens=20)
    assert captioner.caption(IMAGES) == expected
    assert [captioner.caption([image])[0] for image in IMAGES] == expected
    assert len(set(expected)) > 1 and all(len(caption.split()) == 20 for caption in expected)


def test_blip2_without_a_prompt_is_the_librarys_path_without_a_text(cache):
    from transformers import AutoImageProcessor, AutoTokenizer, Blip2ForConditionalGeneration

    folder = checkpoint("captions", cache=cache)
    processor, tokenizer = (
        AutoImageProcessor.from_pretrained(folder, backend="pil"),
        AutoTokenizer.from_pretrained(folder),
    )
    model = Blip2ForConditionalGeneration.from_pretrained(folder).eval()
    pixels = processor(images=[Image.fromarray(image) for image in IMAGES], return_tensors="pt").pixel_values
    made = tokenizer.batch_decode(model.generate(pixel_values=pixels, max_new_tokens=12), skip_special_tokens=True)
    assert load("captions", "tiny", cache=cache, max_new_tokens=12).caption(IMAGES) == [text.strip() for text in made]


def test_blip2_stops_at_the_end_token(cache, tmp_path):
    folder = tmp_path / "early"
    shutil.copytree(checkpoint("captions", cache=cache), folder)
    captioner = load("captions", "paper", checkpoint=str(folder), max_new_tokens=20)
    whole = captioner.caption(IMAGES)
    word = whole[0].split()[-1]
    tokens = json.loads((folder / "tokenizer.json").read_text())["model"]["vocab"]
    for name in ("config.json", "generation_config.json"):
        config = json.loads((folder / name).read_text())
        config.get("text_config", config)["eos_token_id"] = tokens[word]
        (folder / name).write_text(json.dumps(config))
    ended = load("captions", "paper", checkpoint=str(folder), max_new_tokens=20).caption(IMAGES[1:])
    for caption, before in zip(ended, whole[1:], strict=True):
        words = before.split()
        assert caption.split() == (words[: words.index(word) + 1] if word in words else words)


def reference_sounds(folder, segments, texts):
    """Both sides of CLAP as in its documentation, one input at a time."""
    from transformers import AutoFeatureExtractor, AutoTokenizer, ClapModel

    extractor, tokenizer = AutoFeatureExtractor.from_pretrained(folder), AutoTokenizer.from_pretrained(folder)
    model = ClapModel.from_pretrained(folder).eval()
    with torch.no_grad():
        heard = [
            model.get_audio_features(**extractor(segment, sampling_rate=48000, return_tensors="pt")).pooler_output[0]
            for segment in segments
        ]
        read = [model.get_text_features(**tokenizer(text, return_tensors="pt")).pooler_output[0] for text in texts]
    return torch.stack(heard).numpy(), torch.stack(read).numpy()


def test_clap(cache, tmp_path):
    vocabulary = tmp_path / "words.txt"
    vocabulary.write_text("# what there is\na dog\n\nthe sea at night\nloud music of a game\nrain\n")
    describer = load("sounds", "tiny", cache=cache, vocabulary=str(vocabulary), template="the sound of {text}", top=3)
    segments = sounds(48000, (2.0, 0.7, 1.3, 0.2))
    texts = ["a dog", "the sea at night", "loud music of a game", "rain"]
    heard, read = reference_sounds(
        checkpoint("sounds", cache=cache), segments, [f"the sound of {text}" for text in texts]
    )
    np.testing.assert_allclose(describer.encode(segments, 48000), heard, atol=1e-5)
    for found, row in zip(describer.describe(segments, 48000), heard @ read.T, strict=True):
        assert [name for name, _ in found] == [texts[column] for column in np.argsort(-row)[:3]]
        assert [score for _, score in found] == pytest.approx(np.sort(row)[::-1][:3], abs=1e-5)


def test_clap_crops_long_sound_always_alike_and_knows_the_shipped_vocabulary(cache):
    describer = load("sounds", "tiny", cache=cache)
    (long,) = sounds(48000, (5.0,))
    first = describer.describe([long], 48000)
    assert first == describer.describe([long], 48000)
    middle = long[(5 - 2) * 24000 : (5 + 2) * 24000]
    np.testing.assert_allclose(describer.encode([long], 48000), describer.encode([middle], 48000), atol=1e-6)
    assert len(first[0]) == 5 and len(describer.descriptions) == 527 == len(set(describer.descriptions))


def test_a_fused_clap_is_deterministic_too(cache, tmp_path):
    # The fused variant's own extractor marks one short sound of a batch, at random, as longer than ten seconds.
    from transformers import ClapConfig, ClapModel, ClapProcessor

    source, folder = checkpoint("sounds", cache=cache), tmp_path / "fused"
    config = ClapConfig.from_pretrained(source)
    config.audio_config.enable_fusion = True
    config.audio_config.fusion_type = "aff_2d"
    torch.manual_seed(0)
    ClapModel(config).save_pretrained(folder)
    processor = ClapProcessor.from_pretrained(source)
    processor.feature_extractor.truncation = "fusion"
    processor.save_pretrained(folder)
    describer = load("sounds", "paper", checkpoint=str(folder))
    segments = sounds(48000, (2.0, 0.7, 3.0))
    together = describer.encode(segments, 48000)
    np.testing.assert_array_equal(together, describer.encode(segments, 48000))
    np.testing.assert_allclose(together[1:2], describer.encode(segments[1:2], 48000), atol=1e-5)


def test_an_extractor_that_fuses_beside_a_model_that_does_not(cache, tmp_path):
    folder = tmp_path / "clap"
    shutil.copytree(checkpoint("sounds", cache=cache), folder)
    told = json.loads((folder / "processor_config.json").read_text())
    told["feature_extractor"]["truncation"] = "fusion"  # the default of transformers' extractor
    (folder / "processor_config.json").write_text(json.dumps(told))
    segments = sounds(48000, (2.0, 0.7, 5.0))
    plain = load("sounds", "tiny", cache=cache).encode(segments, 48000)
    np.testing.assert_array_equal(load("sounds", "paper", checkpoint=str(folder)).encode(segments, 48000), plain)


@pytest.mark.parametrize("batch_size", [1, 2, 64])
def test_the_size_of_a_batch_does_not_change_the_output(cache, batch_size):
    visual, text = (load(role, "tiny", cache=cache) for role in ("visual", "text"))
    small_visual, small_text = (load(role, "tiny", cache=cache, batch_size=batch_size) for role in ("visual", "text"))
    np.testing.assert_allclose(small_visual.encode(IMAGES), visual.encode(IMAGES), atol=1e-5)
    for one, other in zip(small_text.encode_words(TEXTS), text.encode_words(TEXTS), strict=True):
        np.testing.assert_allclose(one, other, atol=1e-5)
    acoustic = load("acoustic", "tiny", cache=cache)
    segments = sounds(RATE, (1.0, 0.2, 1.28))
    np.testing.assert_allclose(
        load("acoustic", "tiny", cache=cache, batch_size=batch_size).encode(segments, RATE),
        acoustic.encode(segments, RATE),
        atol=1e-5,
    )


def test_each_video_gets_its_own_results(cache):
    encoder, captioner = load("visual", "tiny", cache=cache), load("captions", "tiny", cache=cache, max_new_tokens=4)
    videos = [IMAGES[:2], [], IMAGES[2:]]
    for images, vectors in zip(videos, encoder.encode_videos(videos), strict=True):
        np.testing.assert_allclose(vectors, encoder.encode(images), atol=1e-5)
    assert captioner.caption_videos(videos) == [captioner.caption(images) for images in videos]
    assert encoder.encode_videos([]) == captioner.caption_videos([]) == []


def test_bfloat16_is_near_float32(cache):
    exact, rough = (load("visual", "tiny", cache=cache, dtype=dtype) for dtype in ("float32", "bfloat16"))
    difference = np.abs(rough.encode(IMAGES) - exact.encode(IMAGES)).max()
    assert 0 < difference < 0.3
    assert rough.identity != exact.identity and rough.encode(IMAGES).dtype == np.float32
    assert load("captions", "tiny", cache=cache, dtype="bfloat16", max_new_tokens=3).caption(IMAGES[:1])[0]


@pytest.mark.parametrize(
    ("segment", "message"),
    [
        (np.zeros(0, dtype=np.float32), "segment 0 has shape"),
        (np.zeros((2, 100), dtype=np.float32), "segment 0 has shape"),
        (np.full(16000, np.inf, dtype=np.float32), "not finite"),
    ],
)
@pytest.mark.parametrize("role", ["acoustic", "sounds"])
def test_wrong_segments_are_refused(cache, role, segment, message):
    encoder = load(role, "tiny", cache=cache)
    with pytest.raises(EncoderError, match=message):
        encoder.encode([segment], RATE)


def test_a_segment_of_which_resampling_leaves_nothing_is_refused(cache):
    with pytest.raises(EncoderError, match="segment 1 has 1 samples at 192000 Hz, not one at 48000 Hz"):
        load("sounds", "tiny", cache=cache).describe([np.ones(48000, np.float32), np.ones(1, np.float32)], 192000)


def test_no_inputs_give_no_rows(cache):
    for role, arguments in {"visual": ([],), "acoustic": ([], RATE), "sounds": ([], RATE)}.items():
        assert load(role, "tiny", cache=cache).encode(*arguments).shape == (0, 32)
    assert load("text", "tiny", cache=cache).encode_words([]) == []
    assert load("sounds", "tiny", cache=cache).describe([], RATE) == []
    assert load("captions", "tiny", cache=cache).caption([]) == []
