"""Which encoder each role has by the settings, where it runs, and the encoders that this process has loaded."""

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

MANY = 400  # videos from which starting processes is repaid by encoders whose whole work is preparation
_SHARED = ("text",)  # roles whose encoder serves several stages and stays loaded between them
_EMBEDDINGS = {  # stages that stand in for a role's encoder when all of them are imported
    "visual": {"visual_embeddings"},
    "acoustic": {"acoustic_embeddings"},
    "text": {"text_embeddings", "retrieval_vectors"},
}
_loaded: dict[tuple[Any, ...], Any] = {}  # this process's encoders, by role, profile, options and device


def chosen_encoder(settings: Settings, role: encoders.Role) -> EncoderSpec:
    """Return the encoder that the settings choose for a role."""
    chosen = settings.encoders
    profile = chosen.profile_of(role)
    if profile not in encoders.PRETRAINED:  # no weights to choose
        return EncoderSpec(role, profile)
    options = {
        "allow_download": chosen.allow_download,
        "dtype": chosen.dtype,
        "attention": None if chosen.attention == "auto" else chosen.attention,
        "compile": chosen.compile,
        "batch_size": chosen.batch_size,
    }
    backend = getattr(chosen, f"{role}_backend", "transformers")
    if backend != "transformers":
        options |= {"backend": backend, "environments": chosen.environments}
    if (checkpoint := getattr(chosen, role)) is not None:
        name, revision = _with_revision(checkpoint)
        options |= {"checkpoint": name, "revision": revision or chosen.revision}
    if role == "text" and chosen.text_prompt is not None:
        options["prompt"] = chosen.text_prompt
    if role == "sounds" and chosen.vocabulary is not None:
        options["vocabulary"] = chosen.vocabulary
    return EncoderSpec(role, profile, options)


def _with_revision(checkpoint: str) -> tuple[str, str | None]:
    """Split `owner/name@revision` into its two parts; an existing folder may have such a name."""
    name, sign, revision = checkpoint.partition("@")
    return (name, revision) if sign and not Path(checkpoint).expanduser().exists() else (checkpoint, None)


def check_encoders(settings: Settings) -> None:
    """Ask every needed encoder for its identity before any work: all that is not installed is reported at once.

    Raises:
        models.encoders.EncoderError: Names the checkpoints and backends, and the commands that fetch them.
    """
    replaced = {role for role, stages in _EMBEDDINGS.items() if stages <= set(imported(settings))}
    absent = []
    for role in get_args(encoders.Role):
        if role not in replaced:
            try:
                chosen_encoder(settings, role).identity()
            except encoders.EncoderError as error:
                absent.append(error)
    if len(absent) > 1:
        raise encoders.EncoderError("\n  ".join(["several encoders are not ready:", *map(str, absent)]))
    if absent:
        raise absent[0]


def device_of(settings: Settings) -> str:
    """Return where a model runs that uses one device: the setting, or CUDA where there is one."""
    if settings.encoders.device != "auto":
        return settings.encoders.device
    return "cuda" if torch.cuda.is_available() else "cpu"


def devices_of(settings: Settings, encoder: EncoderSpec) -> list[str]:
    """Return where an encoder runs: the device that is named, or every GPU there is, or the CPU."""
    if not encoders.takes_device(encoder.role, encoder.profile):
        return ["cpu"]
    if settings.encoders.device == "auto" and torch.cuda.device_count() > 1:
        return [f"cuda:{number}" for number in range(torch.cuda.device_count())]
    return [device_of(settings)]


def loader_count(settings: Settings, encoder: EncoderSpec, count: int, *, on_gpu: bool) -> int:
    """Return how many processes prepare `count` videos ahead of the encoder; with 0 the encoder's own process does it."""
    if encoder.role == "text":  # nothing to decode
        return 0
    if settings.encoders.loaders is not None:
        return settings.encoders.loaders
    if encoder.profile not in encoders.PRETRAINED:  # all of its work is preparation
        workers = worker_count(settings.run.workers)
        return workers if count >= MANY and workers > 1 else 0
    return (os.cpu_count() or 1) if on_gpu else 0  # on a CPU the model itself takes all cores


def load(encoder: EncoderSpec, device: str) -> Any:
    """Return the encoder, loaded once per process, and again if its checkpoint has changed since."""
    key = (encoder.role, encoder.profile, tuple(sorted(encoder.options.items())), device)
    kept = _loaded.get(key)
    if kept is None or kept.identity != encoder.identity():
        _loaded.pop(key, None)
        del kept
        _loaded[key] = encoder.load(device)
    return _loaded[key]


def release(role: str) -> None:
    """Unload a role's encoder if no other stage needs it: BLIP-2 by itself takes 15 GB in float32."""
    if role in _SHARED:
        return
    for key in [key for key in _loaded if key[0] == role]:
        del _loaded[key]
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
