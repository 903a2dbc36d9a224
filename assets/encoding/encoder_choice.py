"""The encoder of each role by the settings, its devices, and the encoders that this process has loaded."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, get_args

import torch

from assets.encoding.encoder_spec import EncoderSpec
from assets.encoding.imported_files import imported
from assets.engine.decoding_workers import worker_count
from assets.settings import Settings
from models import encoders

MANY = 400  # videos; from this number, worker processes pay for encoders whose whole work is preparation
_SHARED = ("text",)  # roles whose encoder several stages use; it stays loaded between them
_EMBEDDINGS = {  # stages of a role; if all of them are imported, the role needs no encoder
    "visual": {"visual_embeddings"},
    "acoustic": {"acoustic_embeddings"},
    "text": {"text_embeddings", "retrieval_vectors"},
}
_loaded: dict[tuple[Any, ...], Any] = {}  # this process's encoders, by role, profile, options and device


def chosen_encoder(settings: Settings, role: encoders.Role) -> EncoderSpec:
    """Return the encoder that the settings name for a role."""
    config = settings.encoders
    profile = config.profile_of(role)
    if profile not in encoders.PRETRAINED:  # the settings below concern only pretrained models
        return EncoderSpec(role, profile)
    options = {
        "allow_download": config.allow_download,
        "dtype": config.dtype,
        "attention": None if config.attention == "auto" else config.attention,
        "compile": config.compile,
        "batch_size": config.batch_size,
    }
    backend = getattr(config, f"{role}_backend", "transformers")
    if backend != "transformers":
        options |= {"backend": backend, "environments": config.environments}
    if (checkpoint := getattr(config, role)) is not None:
        name, revision = _with_revision(checkpoint)
        options |= {"checkpoint": name, "revision": revision or config.revision}
    if role == "text" and config.text_prompt is not None:
        options["prompt"] = config.text_prompt
    if role == "sounds" and config.vocabulary is not None:
        options["vocabulary"] = config.vocabulary
    return EncoderSpec(role, profile, options)


def _with_revision(checkpoint: str) -> tuple[str, str | None]:
    """Split `owner/name@revision` into its two parts, unless a folder of that name exists."""
    name, sign, revision = checkpoint.partition("@")
    return (name, revision) if sign and not Path(checkpoint).expanduser().exists() else (checkpoint, None)


def check_encoders(settings: Settings) -> None:
    """Check before any work that every needed encoder is installed, and report all missing ones together.

    Raises:
        models.encoders.EncoderError: Checkpoints or backends are missing, or the GPU that the settings name. The message names
            them and the commands that fetch them.
    """
    device = settings.encoders.device
    if device.startswith("cuda") and not torch.cuda.is_available():
        raise encoders.EncoderError(f"encoders.device is {device!r}, but no GPU is visible; set it to 'auto' or 'cpu'")
    replaced = {role for role, stages in _EMBEDDINGS.items() if stages <= set(imported(settings))}
    absent = []
    for role in get_args(encoders.Role):
        if role not in replaced:
            try:
                chosen_encoder(settings, role).identity()
            except encoders.EncoderError as error:
                absent.append(error)
    if len(absent) > 1:
        raise encoders.EncoderError("several encoders are not ready: " + "\n  ".join(map(str, absent)))
    if absent:
        raise absent[0]


def device_of(settings: Settings) -> str:
    """Return the device of a model that uses one device: the setting `encoders.device`, or CUDA if this machine has it."""
    if settings.encoders.device != "auto":
        return settings.encoders.device
    return "cuda" if torch.cuda.is_available() else "cpu"


def devices_of(settings: Settings, encoder: EncoderSpec) -> list[str]:
    """Return the devices of an encoder: the one in the settings, or else all GPUs, or else the CPU."""
    if not encoders.takes_device(encoder.role, encoder.profile):
        return ["cpu"]
    if settings.encoders.device == "auto" and torch.cuda.device_count() > 1:
        return [f"cuda:{number}" for number in range(torch.cuda.device_count())]
    return [device_of(settings)]


def loader_count(settings: Settings, encoder: EncoderSpec, count: int, *, on_gpu: bool) -> int:
    """Return the number of processes that prepare inputs ahead of the encoder; with 0, the encoder's own process prepares.

    Args:
        settings: The settings `encoders.loaders` and `run.workers`.
        encoder: The encoder.
        count: Number of videos.
        on_gpu: Whether the encoder runs on a GPU.
    """
    if encoder.role == "text":  # nothing to decode
        return 0
    if settings.encoders.loaders is not None:
        return settings.encoders.loaders
    if encoder.profile not in encoders.PRETRAINED:  # all of its work is preparation
        workers = worker_count(settings.run.workers)
        return workers if count >= MANY and workers > 1 else 0
    return (os.cpu_count() or 1) if on_gpu else 0  # on a CPU the model itself takes all cores


def load(encoder: EncoderSpec, device: str) -> Any:
    """Return the encoder. A process loads it once, and again only if its checkpoint has changed since then."""
    key = (encoder.role, encoder.profile, tuple(sorted(encoder.options.items())), device)
    loaded = _loaded.get(key)
    if loaded is None or loaded.identity != encoder.identity():
        _loaded.pop(key, None)
        del loaded  # frees the old model before the new one is loaded
        _loaded[key] = encoder.load(device)
    return _loaded[key]


def release(role: str) -> None:
    """Unload a role's encoder unless another stage needs it. BLIP-2 alone takes 15 GB in float32."""
    if role in _SHARED:
        return
    for key in [key for key in _loaded if key[0] == role]:
        del _loaded[key]
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
