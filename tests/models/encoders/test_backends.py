"""Each model gives the same results by its own library as by transformers. A missing library is an error before any work.

LAVIS and laion-clap run where `reelcast environment lavis` and `reelcast environment laion-clap` were run (in the folder
that REELCAST_ENCODERS__ENVIRONMENTS names, or .environments); angle-emb where the extra `angle` is installed.
"""

import hashlib
import os
import shutil

import numpy as np
import pytest

from models.encoders import EncoderError, identity, load, preparation
from models.encoders.isolated.environments import LIBRARIES, ROOT, EnvironmentMissing, make, python_of, requirements
from models.encoders.tiny import checkpoint

RNG = np.random.default_rng(0)
IMAGES = [RNG.integers(0, 256, (40 + 9 * n, 60 - 7 * n, 3), dtype=np.uint8) for n in range(4)]
SOUNDS = [(0.2 * RNG.standard_normal(length)).astype(np.float32) for length in (48000, 70000, 96000)]
ENVIRONMENTS = os.environ.get("REELCAST_ENCODERS__ENVIRONMENTS", ROOT)


def environment(library: str) -> dict[str, str]:
    try:
        python_of(library, root=ENVIRONMENTS)
    except EnvironmentMissing as error:
        pytest.skip(str(error))
    return {"backend": library, "environments": ENVIRONMENTS}


@pytest.mark.parametrize("prompt", ["", "a dog"])
def test_lavis_writes_the_same_words(cache, prompt):
    options = {"cache": cache, "prompt": prompt, "max_new_tokens": 10}
    plain, other = load("captions", "tiny", **options), load("captions", "tiny", **options, **environment("lavis"))
    expected = plain.caption(IMAGES)
    assert other.caption(IMAGES) == expected and len(set(expected)) > 1
    assert [other.caption([image])[0] for image in IMAGES] == expected
    assert {**other.identity, "backend": "transformers"} == plain.identity
    other.close()


def test_laion_clap_hears_the_same(cache, tmp_path):
    chosen = environment("laion-clap")
    from transformers import ClapFeatureExtractor, ClapProcessor

    # laion-clap's mel filters begin at 50 Hz, whatever the checkpoint's extractor says
    folder = tmp_path / "clap"
    shutil.copytree(checkpoint("sounds", cache=cache), folder)
    processor = ClapProcessor.from_pretrained(folder)
    settings = {**processor.feature_extractor.to_dict(), "frequency_min": 50, "frequency_max": 14000}
    ClapProcessor(ClapFeatureExtractor(**settings), processor.tokenizer).save_pretrained(folder)
    plain = load("sounds", "paper", checkpoint=str(folder))
    other = load("sounds", "paper", checkpoint=str(folder), **chosen)
    np.testing.assert_allclose(other._vocabulary, plain._vocabulary, atol=1e-5)
    one, two = plain.encode(SOUNDS, 48000), other.encode(SOUNDS, 48000)
    np.testing.assert_allclose(one, two, atol=2e-3)  # samples are rounded to 16 bits there
    np.testing.assert_allclose(two[1:2], other.encode(SOUNDS[1:2], 48000), atol=1e-5)
    prepared = preparation("sounds", "paper", checkpoint=str(folder), **chosen)(SOUNDS, 48000)
    assert [name for name, _ in other.from_prepared([prepared])[0][0]] == [
        name for name, _ in other.describe(SOUNDS[:1], 48000)[0]
    ]
    other.close()


@pytest.mark.parametrize("prompt", [None, "Represent this sentence for searching relevant passages: {text}"])
def test_angle_emb_gives_the_same_vectors(cache, prompt):
    pytest.importorskip("angle_emb", reason="install it with: pip install 'reelcast[angle]'")
    texts = ["A cat plays the piano", "dog", "the happy man is dancing on a table in the street, laughing!"]
    plain, other = (
        load("text", "tiny", cache=cache, prompt=prompt, backend=backend) for backend in ("transformers", "angle-emb")
    )
    np.testing.assert_allclose(other.encode_sentences(texts), plain.encode_sentences(texts), atol=1e-5)
    for one, two in zip(plain.encode_words(texts), other.encode_words(texts), strict=True):
        np.testing.assert_allclose(one, two, atol=1e-5)
    assert {**other.identity, "backend": "transformers"} == plain.identity


@pytest.mark.parametrize("use", [identity, load])
@pytest.mark.parametrize(("role", "library"), [("captions", "lavis"), ("sounds", "laion-clap")])
def test_an_absent_environment_names_the_command_that_makes_it(cache, tmp_path, use, role, library):
    with pytest.raises(EnvironmentMissing, match=f"make it with: reelcast environment {library}$"):
        use(role, "tiny", cache=cache, backend=library, environments=str(tmp_path))


def test_an_environment_made_of_other_versions_is_made_again(tmp_path):
    (tmp_path / "lavis").mkdir()
    (tmp_path / "lavis" / "made").write_text("something else")
    with pytest.raises(EnvironmentMissing, match="was made for another version; make it again with"):
        python_of("lavis", root=tmp_path)


def test_an_environment_whose_interpreter_is_gone_is_made_again(tmp_path, monkeypatch):
    monkeypatch.setattr("models.encoders.isolated.environments.subprocess.run", lambda *_, **__: None)
    (tmp_path / "lavis" / "bin").mkdir(parents=True)
    (tmp_path / "lavis" / "bin" / "python").symlink_to(tmp_path / "python3.9")
    (tmp_path / "lavis" / "made").write_text(hashlib.sha256(requirements("lavis").read_bytes()).hexdigest())
    with pytest.raises(
        EnvironmentMissing, match="its interpreter is gone; make it again with: reelcast environment lavis"
    ):
        python_of("lavis", root=tmp_path)


def test_an_absent_extra_names_the_command(cache, monkeypatch):
    monkeypatch.setattr("models.encoders.pretrained.backends.importlib.util.find_spec", lambda _name: None)
    with pytest.raises(EncoderError, match=r"pip install 'reelcast\[angle\]'"):
        identity("text", "tiny", cache=cache, backend="angle-emb")
    with pytest.raises(ValueError, match="backend of text must be one of transformers, angle-emb, not 'lavis'"):
        identity("text", "tiny", cache=cache, backend="lavis")


def test_making_an_environment(tmp_path, monkeypatch):
    ran = []
    monkeypatch.setattr("models.encoders.isolated.environments.subprocess.run", lambda call, **_: ran.append(call))
    (tmp_path / "lavis").mkdir()
    with pytest.raises(FileNotFoundError):  # the planted `run` made no folder: nothing is marked as made
        make("lavis", root=tmp_path, say=lambda _text: None)
    assert ran[1][-2:] == ["-r", str(requirements("lavis"))]
    assert all(requirements(library).is_file() for library in LIBRARIES)
    with pytest.raises(ValueError, match="library must be one of lavis, laion-clap, not 'torch'"):
        requirements("torch")
