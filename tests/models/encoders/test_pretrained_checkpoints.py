"""Where checkpoints are found, what identifies them, and the errors for missing ones."""

import json
import os
import shutil
import subprocess
import sys
import time

import pytest

from models.encoders import CheckpointError, EncoderError, identity, load
from models.encoders.pretrained import PAPER
from models.encoders.pretrained.checkpoints import content_hash, locate
from models.encoders.tiny import checkpoint

ROLES = ["visual", "acoustic", "text", "captions", "sounds"]
COMMIT = "0123456789abcdef0123456789abcdef01234567"


@pytest.fixture
def hub(tmp_path, cache, monkeypatch):
    """A Hugging Face cache that holds one repository, whose files are those of the tiny ViT."""
    repository = tmp_path / "hub" / "models--someone--vit"
    (repository / "refs").mkdir(parents=True)
    (repository / "refs" / "main").write_text(COMMIT)
    shutil.copytree(checkpoint("visual", cache=cache), repository / "snapshots" / COMMIT)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))


@pytest.mark.usefixtures("hub")
def test_a_repository_in_the_cache_is_known_by_its_commit():
    found = identity("visual", "paper", checkpoint="someone/vit")
    assert (found["checkpoint"], found["revision"]) == ("someone/vit", COMMIT)
    assert found == identity("visual", "paper", checkpoint="someone/vit", revision=COMMIT)
    assert found == load("visual", "paper", checkpoint="someone/vit").identity


@pytest.mark.usefixtures("hub")
@pytest.mark.parametrize("use", [identity, load])
def test_a_missing_repository_names_the_command_that_fetches_it(use):
    with pytest.raises(CheckpointError, match=r"fetch it with: hf download google/vit-base-patch16-224-in21k$"):
        use("visual", "paper")
    with pytest.raises(CheckpointError, match=r"at revision v2 .* hf download someone/vit --revision v2$"):
        use("visual", "paper", checkpoint="someone/vit", revision="v2")


def test_the_error_of_an_incomplete_checkpoint_names_the_missing_files(cache, tmp_path):
    folder = tmp_path / "partial"
    shutil.copytree(checkpoint("visual", cache=cache), folder)
    (folder / "model.safetensors").rename(folder / "model-00001-of-00002.safetensors")
    with pytest.raises(CheckpointError, match=r"model.safetensors or pytorch_model.bin is missing"):
        identity("visual", "paper", checkpoint=str(folder))
    shards = {"a": "model-00001-of-00002.safetensors", "b": "model-00002-of-00002.safetensors"}
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": shards}))
    with pytest.raises(CheckpointError, match=r": model-00002-of-00002.safetensors is missing"):
        identity("visual", "paper", checkpoint=str(folder))


@pytest.mark.parametrize("name", ["./nowhere", "/no/such/folder", "~/nowhere", "a/b/c", "plain"])
def test_a_name_that_is_neither_a_folder_nor_a_repository(name):
    with pytest.raises(CheckpointError, match="neither a folder on this machine nor the name of a repository"):
        locate("text", name)


@pytest.mark.parametrize(
    ("role", "file", "named"),
    [
        ("visual", "preprocessor_config.json", "preprocessor_config.json or processor_config.json"),
        ("acoustic", "preprocessor_config.json", "preprocessor_config.json or processor_config.json"),
        ("text", "tokenizer.json", "tokenizer.json or vocab.txt"),
        ("captions", "processor_config.json", "preprocessor_config.json or processor_config.json"),
        ("captions", "tokenizer.json", "tokenizer.json or vocab.txt"),
        ("sounds", "processor_config.json", "preprocessor_config.json or processor_config.json"),
        ("sounds", "tokenizer.json", "tokenizer.json or vocab.txt"),
    ],
)
def test_a_checkpoint_needs_its_processor_and_tokenizer(cache, tmp_path, role, file, named):
    folder = tmp_path / "partial"
    shutil.copytree(checkpoint(role, cache=cache), folder)
    assert identity(role, "paper", checkpoint=str(folder))
    (folder / file).unlink()
    with pytest.raises(
        CheckpointError, match=f"is not complete in .*: {named}.* is missing; put the missing files there"
    ):
        identity(role, "paper", checkpoint=str(folder))


@pytest.mark.parametrize("content", ["{ cut sho", "[]"])
def test_a_damaged_configuration_is_an_error(cache, tmp_path, content):
    folder = tmp_path / "damaged"
    shutil.copytree(checkpoint("visual", cache=cache), folder)
    (folder / "config.json").write_text(content)
    with pytest.raises(CheckpointError, match=r"config\.json is damaged"):
        identity("visual", "paper", checkpoint=str(folder))


def test_a_captioner_with_an_encoder_and_a_decoder_of_words_is_refused(cache, tmp_path):
    # what it generates doesn't begin with the prompt: to cut that off took the captions' first words
    folder = tmp_path / "flan"
    shutil.copytree(checkpoint("captions", cache=cache), folder)
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"use_decoder_only_language_model": False}))
    with pytest.raises(CheckpointError, match="needs a language model that is a decoder alone, such as OPT"):
        identity("captions", "paper", checkpoint=str(folder))


def test_another_model_is_an_error(cache):
    with pytest.raises(CheckpointError, match="is a 'bert' model; the role 'visual' needs 'vit'"):
        identity("visual", "paper", checkpoint=str(checkpoint("text", cache=cache)))
    with pytest.raises(CheckpointError, match="is a 'vit' model; the role 'captions' needs 'blip-2'"):
        load("captions", "paper", checkpoint=str(checkpoint("visual", cache=cache)))


def test_missing_weights_are_an_error_and_not_random_numbers(cache, tmp_path):
    from safetensors.torch import load_file, save_file

    folder = tmp_path / "fewer"
    shutil.copytree(checkpoint("visual", cache=cache), folder)
    weights = load_file(folder / "model.safetensors")
    weights.pop(sorted(weights)[0])
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(CheckpointError, match="is no ViTModel: 1 weights are missing"):
        load("visual", "paper", checkpoint=str(folder))


def test_damaged_weights_are_an_error(cache, tmp_path):
    folder = tmp_path / "damaged"
    shutil.copytree(checkpoint("visual", cache=cache), folder)
    os.truncate(folder / "model.safetensors", 5000)
    with pytest.raises(CheckpointError, match="can't be loaded"):
        load("visual", "paper", checkpoint=str(folder))


@pytest.mark.parametrize("role", ROLES)
def test_the_identity_is_known_without_weights(cache, role):
    loaded = load(role, "tiny", cache=cache)
    assert identity(role, "tiny", cache=cache) == loaded.identity == json.loads(json.dumps(loaded.identity))
    assert loaded.identity["checkpoint"] == f"tiny-{role}"
    for profile in ("handcrafted",):
        assert identity(role, profile) == load(role, profile).identity != loaded.identity


def test_the_content_of_a_folder_identifies_it(cache, tmp_path):
    source, copy = checkpoint("visual", cache=cache), tmp_path / "elsewhere"
    shutil.copytree(source, copy)
    assert content_hash(copy) == content_hash(source)
    weights = copy / "model.safetensors"
    data = bytearray(weights.read_bytes())
    data[-1] ^= 1
    weights.write_bytes(data)
    assert content_hash(copy) != content_hash(source)
    (copy / "notes").mkdir()
    changed = content_hash(copy)
    (copy / "config.json").rename(copy / "notes" / "config.json")
    assert content_hash(copy) != changed


def test_large_files_are_hashed_by_their_ends_and_between(tmp_path):
    path = tmp_path / "large.safetensors"
    size = 80 << 20
    with path.open("wb") as file:
        file.truncate(size)
    hashes = {content_hash(tmp_path)}
    for place in (0, size // 2, size - 1):
        with path.open("r+b") as file:
            file.seek(max(0, place - (1 << 20)))  # a new training changes whole tensors: a block of 1 MiB
            file.write(b"x" * (1 << 20))
        os.utime(path, ns=(place, place + 1))
        hashes.add(content_hash(tmp_path))
    assert len(hashes) == 4


def test_a_layer_trained_anew_in_a_large_file_is_another_checkpoint(tmp_path):
    path = tmp_path / "large.safetensors"
    with path.open("wb") as file:
        file.truncate(4 << 30)  # sparse
    before = content_hash(tmp_path)
    with path.open("r+b") as file:
        file.seek(100 << 20)
        file.write(b"x" * (2 << 20))
    os.utime(path, ns=(1, 1))
    assert content_hash(tmp_path) != before


def test_options_change_the_identity_and_batch_sizes_do_not(cache, tmp_path):
    plain = identity("text", "tiny", cache=cache)
    assert identity("text", "tiny", cache=cache, batch_size=3) == plain
    assert identity("text", "tiny", cache=cache, prompt="about {text}") != plain
    assert identity("text", "tiny", cache=cache, dtype="bfloat16") != plain
    first, second, third = tmp_path / "a.txt", tmp_path / "b.txt", tmp_path / "c.txt"
    first.write_text("rain\nwind\n")
    second.write_text("# the same words\nrain\n\nwind")
    third.write_text("rain\nsnow\n")
    one, same, other = (
        identity("sounds", "tiny", cache=cache, vocabulary=str(path), top=2) for path in (first, second, third)
    )
    assert one == same != other


@pytest.mark.parametrize(
    ("role", "profile", "arguments", "message"),
    [
        ("smell", "tiny", {}, "role must be one of visual, acoustic, text, captions, sounds, not 'smell'"),
        ("text", "huge", {}, "profile of text must be one of handcrafted, light, tiny, paper, not 'huge'"),
        ("text", "handcrafted", {"checkpoint": "a/b"}, "takes no checkpoint"),
        ("text", "handcrafted", {"prompt": "{text}"}, "no option 'prompt'; its options are: width"),
        ("visual", "handcrafted", {"width": 3}, "no option 'width'; its options are: none"),
        ("text", "tiny", {"revision": "main"}, "leave out checkpoint and revision, or use the profile 'paper'"),
        ("text", "tiny", {"pooling": "cls"}, "text has no option 'pooling'; its options are: prompt, max_tokens"),
        ("text", "tiny", {"prompt": "about"}, r"prompt must hold \{text\}"),
        ("text", "tiny", {"max_tokens": 2}, "max_tokens must be at least 3"),
        ("visual", "tiny", {"pooling": "max"}, "pooling must be one of cls, mean, not 'max'"),
        ("captions", "tiny", {"max_new_tokens": 0}, "max_new_tokens must be at least 1"),
        ("sounds", "tiny", {"top": 528}, "top must lie between 1 and the vocabulary's 527, not 528"),
        ("sounds", "tiny", {"template": "a sound"}, r"template must hold \{text\}"),
        ("visual", "tiny", {"dtype": "int8"}, "dtype must be one of float32, bfloat16, float16, not 'int8'"),
    ],
)
@pytest.mark.parametrize("use", [identity, load])
def test_wrong_arguments_are_refused(cache, use, role, profile, arguments, message):
    with pytest.raises(ValueError, match=message):
        use(role, profile, **({"cache": cache} if profile == "tiny" else {}), **arguments)


def test_a_vocabulary_that_cannot_be_used(cache, tmp_path):
    with pytest.raises(ValueError, match=r"none\.txt can't be read as a text file"):
        identity("sounds", "tiny", cache=cache, vocabulary=str(tmp_path / "none.txt"))
    path = tmp_path / "words.txt"
    path.write_text("# nothing yet\n")
    with pytest.raises(ValueError, match=r"words\.txt holds no description"):
        identity("sounds", "tiny", cache=cache, vocabulary=str(path))
    path.write_text("rain\na dog\n")
    assert identity("sounds", "tiny", cache=cache, vocabulary=str(path))["options"]["top"] == 2


def test_a_large_vocabulary_is_read_quickly(cache, tmp_path):
    path = tmp_path / "words.txt"
    path.write_text("\n".join(f"sound number {number}" for number in range(50_000)))
    started = time.monotonic()
    assert identity("sounds", "tiny", cache=cache, vocabulary=str(path))["options"]["top"] == 5
    assert time.monotonic() - started < 5


def test_a_word_twice_in_a_vocabulary(cache, tmp_path):
    path = tmp_path / "words.txt"
    path.write_text("rain\nwind\nrain\n")
    with pytest.raises(ValueError, match="holds 'rain' more than once"):
        identity("sounds", "tiny", cache=cache, vocabulary=str(path), top=1)


@pytest.mark.parametrize("device", ["cuda:99", "abacus"])
def test_a_device_that_is_not_there(cache, device):
    with pytest.raises(EncoderError, match=device):
        load("visual", "tiny", cache=cache, device=device)


def test_tiny_checkpoints_are_built_once_and_alike(cache, tmp_path):
    first = checkpoint("visual", cache=cache)
    changed = first.stat().st_mtime_ns
    assert checkpoint("visual", cache=cache) == first and first.stat().st_mtime_ns == changed
    for role in ROLES:
        again = checkpoint(role, cache=tmp_path)
        assert content_hash(again) == content_hash(checkpoint(role, cache=cache))
        assert sum(path.stat().st_size for path in again.iterdir()) < 4_000_000
    assert not list(tmp_path.rglob(".*"))  # nothing half built is left


def test_a_build_that_another_process_overtakes_gives_way(tmp_path, cache, monkeypatch):
    from models.encoders.tiny import build as module

    def overtaken(role, folder, *, seed):
        (folder / "config.json").write_text("{}")
        shutil.copytree(checkpoint("visual", cache=cache), folder.parent / "tiny-visual")

    monkeypatch.setattr(module, "build", overtaken)
    folder = checkpoint("visual", cache=tmp_path)
    assert content_hash(folder) == content_hash(checkpoint("visual", cache=cache))
    assert [path.name for path in folder.parent.iterdir()] == ["tiny-visual"]


@pytest.mark.slow
def test_processes_that_build_at_once_do_not_disturb_each_other(tmp_path):
    code = f"from models.encoders.tiny import checkpoint; print(checkpoint('text', cache={str(tmp_path)!r}))"
    running = [subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) for _ in range(2)]
    said = [process.communicate()[0].strip() for process in running]
    assert [process.returncode for process in running] == [0, 0]
    assert said[0] == said[1]
    assert load("text", "tiny", cache=tmp_path).encode_sentences(["dog"]).shape == (1, 32)


def test_importing_and_planning_need_no_framework():
    code = (
        "import sys; from models.encoders import identity, load\n"
        "load('visual', 'handcrafted'); identity('sounds', 'handcrafted')\n"
        "from models.encoders import CheckpointError\n"
        "try: identity('visual', 'paper', checkpoint='no/one')\n"
        "except CheckpointError: pass\n"
        "print([name for name in ('torch', 'transformers') if name in sys.modules])"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert result.stdout.strip() == "[]", result.stderr


def test_every_role_has_a_paper_checkpoint():
    assert sorted(PAPER) == sorted(ROLES)
