"""Checkpoints on this machine: their folder and revision, from a folder or the Hugging Face cache, without silent downloads."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from models.encoders.errors import CheckpointError
from models.encoders.pretrained.image_models import IMAGE_MODELS
from models.encoders.roles import Role

# The models that the papers name (M3TR 3.3, appendix E; MMRA 2.1.1).
PAPER = {
    "visual": "google/vit-base-patch16-224-in21k",
    "acoustic": "MIT/ast-finetuned-audioset-10-10-0.4593",
    "text": "WhereIsAI/UAE-Large-V1",
    "captions": "Salesforce/blip2-opt-2.7b",
    "sounds": "laion/clap-htsat-unfused",
}
_ARCHITECTURES = {  # allowed `model_type`s of configurations; for `text` all are allowed
    "visual": tuple(IMAGE_MODELS),
    "acoustic": ("audio-spectrogram-transformer",),
    "captions": ("blip-2",),
    "sounds": ("clap",),
}
_WEIGHTS = ("model.safetensors", "pytorch_model.bin")
# Without one of these files, transformers builds an empty tokenizer, for which all texts are equal, or fails during the run.
_TOKENIZER = ("tokenizer.json", "vocab.txt", "vocab.json", "*.model")
_PROCESSOR = ("preprocessor_config.json", "processor_config.json")
_BESIDE = {  # files that are needed beside the weights: one of each tuple
    "visual": (_PROCESSOR,),
    "acoustic": (_PROCESSOR,),
    "text": (_TOKENIZER,),
    "captions": (_PROCESSOR, _TOKENIZER),
    "sounds": (_PROCESSOR, _TOKENIZER),
}
_OTHER_FRAMEWORKS = ["*.h5", "*.msgpack", "*.onnx", "*.ot", "*.tflite", "openvino/*", "onnx/*"]
_BLOCK, _BLOCKS = 1 << 14, 1 << 12  # of a large file, _BLOCKS blocks of _BLOCK bytes are hashed


@dataclass(frozen=True)
class Checkpoint:
    """A model's files on this machine.

    Attributes:
        folder: The folder of the files.
        name: Name of the repository (owner/name), or of the folder.
        revision: Commit of the files in the cache, or a hash of the folder's content.
    """

    folder: Path
    name: str
    revision: str


def locate(role: Role, name: str, *, revision: str | None = None, allow_download: bool = False) -> Checkpoint:
    """Find and check a role's checkpoint: a folder of that name, or else a repository in the Hugging Face cache.

    Args:
        role: `visual`, `acoustic`, `text`, `captions` or `sounds`.
        name: A folder or a repository (owner/name).
        revision: Branch, tag or commit of a repository; by default the newest one in the cache.
        allow_download: Whether to download missing files of a repository.

    Raises:
        CheckpointError: The checkpoint is missing, incomplete or of another architecture; the message says how to get it.
        ValueError: A folder was named with a revision.
    """
    if Path(name).expanduser().is_dir():
        if revision is not None:
            raise ValueError(f"{name} is a folder and has no revision {revision!r}; leave the revision out")
        folder = Path(name).expanduser().resolve()
        _check(folder, role, name, "put the missing files there")
        return Checkpoint(folder, folder.name, content_hash(folder))
    if name.startswith((".", "/", "~")) or name.count("/") != 1:
        raise CheckpointError(f"{name}: neither a folder on this machine nor the name of a repository (owner/name)")

    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    command = f"hf download {name}" + (f" --revision {revision}" if revision else "")
    try:
        folder = Path(
            snapshot_download(
                name, revision=revision, local_files_only=not allow_download, ignore_patterns=_OTHER_FRAMEWORKS
            )
        )
    except (LocalEntryNotFoundError, HfHubHTTPError, HFValidationError, OSError) as error:
        at_revision = f" at revision {revision}" if revision else ""
        raise CheckpointError(
            f"{name}{at_revision} is not in this machine's Hugging Face cache; fetch it with: {command}"
        ) from error
    _check(folder, role, name, f"fetch it again with: {command}")
    return Checkpoint(folder, name, folder.name)


def _check(folder: Path, role: Role, name: str, remedy: str) -> None:
    """Check before the run that architecture, weights, processor and tokenizer are right and complete."""
    missing = [] if (folder / "config.json").is_file() else ["config.json"]
    indices = [folder / f"{weights}.index.json" for weights in _WEIGHTS]
    index = next((path for path in indices if path.is_file()), None)
    if any((folder / weights).is_file() for weights in _WEIGHTS):
        pass
    elif index is not None:
        shards = set(_read(index, name, remedy).get("weight_map", {}).values())
        missing += sorted(shard for shard in shards if not (folder / shard).is_file())
    else:
        missing.append(" or ".join(_WEIGHTS))
    missing += [" or ".join(any_of) for any_of in _BESIDE[role] if not any(map(list, map(folder.glob, any_of)))]
    if (folder / "config.json").is_file():
        _check_architecture(_read(folder / "config.json", name, remedy), folder, role, name)
    if missing:
        raise CheckpointError(f"{name} is not complete in {folder}: {', '.join(missing)} is missing; {remedy}")


def _check_architecture(config: dict[str, Any], folder: Path, role: Role, name: str) -> None:
    model_type, allowed = config.get("model_type"), _ARCHITECTURES.get(role)
    if allowed is not None and model_type not in allowed:
        named = " or ".join(map(repr, allowed))
        raise CheckpointError(f"{name} in {folder} is a {model_type!r} model; the role {role!r} needs {named}")
    if role == "captions" and not config.get("use_decoder_only_language_model", True):
        raise CheckpointError(
            f"the language model of {name} in {folder} has an encoder, as BLIP-2 with FLAN-T5 does; the role {role!r} needs "
            "a language model that is a decoder alone, such as OPT"
        )


def _read(file: Path, name: str, remedy: str) -> dict[str, Any]:
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except ValueError as error:
        raise CheckpointError(f"{name}: {file} is damaged ({error}); {remedy}") from error
    if not isinstance(content, dict):
        raise CheckpointError(f"{name}: {file} is damaged (it holds no JSON object); {remedy}")
    return content


def content_hash(folder: Path) -> str:
    """Return a hash of the names, sizes and contents of all files in a folder. Hidden files are ignored.

    Of files above 64 MiB, only 4,096 evenly spaced blocks of 16 KiB are read, so weights of many GB are hashed quickly. The
    first and the last block are among them. Every tensor larger than a 4,000th of the file (2 MB for BLIP-2) contains a block.
    So training that changes only one layer also changes the hash.
    """
    digest = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        relative = path.relative_to(folder)
        if path.is_file() and not any(part.startswith(".") for part in relative.parts):
            status = path.stat()
            digest.update(f"{relative.as_posix()}\0{status.st_size}\0".encode())
            digest.update(_file_hash(str(path), status.st_size, status.st_mtime_ns))
    return f"sha256:{digest.hexdigest()[:16]}"


@lru_cache(maxsize=1024)
def _file_hash(path: str, size: int, _modified: int) -> bytes:
    digest = hashlib.sha256()
    with Path(path).open("rb") as file:
        if size <= _BLOCK * _BLOCKS:
            digest.update(file.read())
        else:
            for number in range(_BLOCKS):
                file.seek((size - _BLOCK) * number // (_BLOCKS - 1))
                digest.update(file.read(_BLOCK))
    return digest.digest()
