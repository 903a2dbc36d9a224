"""From settings to encoders' arguments, and the errors and warnings before any work."""

import re

import pytest

from assets.encoding.encoder_choice import check_encoders, chosen_encoder
from assets.engine.store_access import open_store
from models.encoders import EncoderError


def test_settings_become_arguments_of_the_encoders(settings_of, tmp_path):
    folder = tmp_path / "some@where"
    folder.mkdir()
    chosen = settings_of(
        encoders__profile="paper",
        encoders__visual="google/vit@abc",
        encoders__captions="someone/blip2",
        encoders__acoustic=str(folder),
        encoders__revision="main",
        encoders__text_prompt="find: {text}",
    )
    told = {role: chosen_encoder(chosen, role).options for role in ("visual", "captions", "acoustic", "text", "sounds")}
    named = {role: (given.get("checkpoint"), given.get("revision")) for role, given in told.items()}
    assert named == {
        "visual": ("google/vit", "abc"),
        "captions": ("someone/blip2", "main"),
        "acoustic": (str(folder), "main"),
        "text": (None, None),
        "sounds": (None, None),
    }
    assert [role for role, given in told.items() if "prompt" in given] == ["text"]
    assert told["text"]["prompt"] == "find: {text}"


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (
            {"text_prompt": "find it", "profile": "tiny"},
            "the prompt must contain {text}, the place of the text; got 'find it'",
        ),
        (
            {"vocabulary": "words.txt"},
            "vocabulary: this needs profile = 'paper' or 'tiny' for sounds; got 'handcrafted'",
        ),
        ({"batch_size": "0", "profile": "tiny"}, "BATCH_SIZE: Input should be greater than or equal to 1 (given '0')"),
        ({"loaders": "many"}, "LOADERS: Input should be a valid integer"),
        ({"device": "gpu"}, "auto, cpu, cuda and cuda:N are allowed; got 'gpu'"),
        ({"revision": "main", "profile": "paper"}, "revision needs a checkpoint"),
        ({"visual_profile": "vit"}, "VISUAL_PROFILE: handcrafted, tiny, paper are allowed; got 'vit'"),
        (
            {"visual": "a/b", "captions_profile": "paper"},
            "visual: a checkpoint needs profile = 'paper'; got 'handc",
        ),
        (
            {"text_backend": "angle-emb", "profile": "paper", "text_profile": "handcrafted"},
            "text_backend: this needs",
        ),
    ],
)
def test_wrong_settings_of_encoders_are_refused(settings_of, given, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        settings_of(**{f"encoders__{name}": value for name, value in given.items()})


def test_a_missing_backend_is_an_error_before_any_work(tiny, materialise, tmp_path, capfd):
    settings = tiny(encoders__captions_backend="lavis", encoders__environments=str(tmp_path / "none"))
    assert not materialise(settings, ["videos"]).success
    assert "make it with: reelcast environment lavis" in capfd.readouterr().err
    assert "videos" not in open_store(settings).stages()


def test_all_missing_checkpoints_are_reported_together(settings_of, monkeypatch, tmp_path):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(EncoderError, match="several encoders are not ready") as caught:
        check_encoders(settings_of(encoders__profile="paper", encoders__visual="someone/vit@abc"))
    said = str(caught.value)
    assert "hf download someone/vit --revision abc" in said and "hf download laion/clap-htsat-unfused" in said
    assert len(said.splitlines()) == 5
    kept = {f"imports__{name}": "there.npy" for name in ("visual_embeddings", "text_embeddings", "retrieval_vectors")}
    with pytest.raises(EncoderError) as caught:
        check_encoders(settings_of(encoders__profile="paper", **kept))
    assert len(str(caught.value).splitlines()) == 3


def test_papers_models_on_a_cpu_say_how_long_it_will_take_before_they_begin(tiny, materialise, tiny_cache, capfd):
    from models.encoders.tiny import checkpoint

    folder = checkpoint("visual", cache=tiny_cache / "reelcast" / "tiny")
    settings = tiny(encoders__profile="paper", encoders__visual=str(folder))
    assert materialise(settings, ["visual_embeddings"]).success
    said = capfd.readouterr().err
    warned = said.index("visual for 36 inputs runs on the CPU and will take about ")
    assert warned < said.index("visual_embeddings: 12 items in ")
    assert "WARNING" in said[: said.index("\n", warned)].splitlines()[-1]
    assert materialise(settings, ["visual_embeddings"]).success
    assert "runs on the CPU" not in capfd.readouterr().err


def test_the_expected_time_of_prompts_is_that_of_their_length(tiny, materialise, tiny_cache, capfd):
    from models.encoders.tiny import checkpoint

    cache = tiny_cache / "reelcast" / "tiny"
    named = {f"encoders__{role}": str(checkpoint(role, cache=cache)) for role in ("text", "captions", "sounds")}
    kept = {f"encoders__{role}": str(checkpoint(role, cache=cache)) for role in ("visual", "acoustic")}
    settings = tiny(encoders__profile="paper", **named, **kept)
    assert materialise(settings, ["videos", "visual_captions", "audio_captions"]).success
    capfd.readouterr()
    assert materialise(settings, ["text_embeddings", "retrieval_vectors"]).success
    said = capfd.readouterr().err
    pattern = r"{}: text for (\d+) inputs runs on the CPU .*? \((\S+) operations"
    titles, prompts = (re.search(pattern.format(name), said) for name in ("text_embeddings", "retrieval_vectors"))
    assert (titles[1], prompts[1]) == ("60", "12")
    # a title of three words against three captions of up to thirty each, three descriptions and the title
    assert float(prompts[2]) / 12 > 10 * float(titles[2]) / 60


def test_a_role_may_have_an_encoder_of_its_own(settings_of, tiny_cache, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tiny_cache))
    plain, mixed = settings_of(), settings_of(encoders__visual_profile="tiny")
    profiles = {
        role: chosen_encoder(mixed, role).profile for role in ("visual", "acoustic", "text", "captions", "sounds")
    }
    assert profiles.pop("visual") == "tiny" and set(profiles.values()) == {"handcrafted"}
    for role in profiles:
        assert chosen_encoder(mixed, role).identity() == chosen_encoder(plain, role).identity()
    assert chosen_encoder(mixed, "visual").identity()["name"] == "pretrained-visual"
    assert mixed.audio_rate() == plain.audio_rate() == 16_000  # no pretrained encoder hears the sound
    assert settings_of(encoders__sounds_profile="tiny").audio_rate() == 48_000
    spared = {"acoustic_profile": "handcrafted", "sounds_profile": "handcrafted"}
    mixed = settings_of(encoders__profile="tiny", **{f"encoders__{name}": value for name, value in spared.items()})
    assert mixed.audio_rate() == 16_000


def test_another_encoder_of_one_role_recomputes_only_its_stage(tiny, settings_of, materialise):
    stages, chosen = ["visual_embeddings", "visual_captions"], {"sampling__frames": "3", "encoders__device": "cpu"}
    assert materialise(tiny(encoders__profile="handcrafted"), stages).success
    result = materialise(settings_of(encoders__visual_profile="tiny", **chosen), stages)
    assert result.success
    plans = {name: result.asset_materializations_for_node(name)[0].metadata["plan"].data for name in stages}
    assert plans["visual_embeddings"]["stale"] == plans["visual_captions"]["unchanged"] == 12
