"""What the captioning and embedding assets share: one encoder, rows read in bounded blocks, a failure kept with its row."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache
from typing import Any, get_args

import torch

from assets.imported_files import imported
from assets.settings import Settings
from models import encoders
from models.encoders import EncoderError
from storage.fingerprint import Fingerprint
from storage.rows import Row
from storage.stage import Stage

BLOCK = 32


def options(settings: Settings, role: str) -> dict[str, Any]:
    """What `models.encoders.load` is told for a role."""
    chosen = settings.encoders
    if chosen.profile == "handcrafted":  # nothing to choose: no weights, no device
        return {}
    told = {"device": device_of(settings), "allow_download": chosen.allow_download}
    if chosen.profile == "paper" and (checkpoint := getattr(chosen, role)) is not None:
        told |= {"checkpoint": checkpoint, "revision": chosen.revision}
    return told


def device_of(settings: Settings) -> str:
    """Where models run: the setting, or CUDA where there is one."""
    if settings.encoders.device != "auto":
        return settings.encoders.device
    return "cuda" if torch.cuda.is_available() else "cpu"


def check_encoders(settings: Settings) -> None:
    """Ask every encoder that is needed who it is, before any work: a checkpoint that is not there is known now.

    Raises:
        models.encoders.CheckpointError: naming the checkpoint and the command that fetches it.
    """
    stages = {
        "visual": {"visual_embeddings"},
        "acoustic": {"acoustic_embeddings"},
        "text": {"text_embeddings", "retrieval_vectors"},
    }
    replaced = {role for role, filled in stages.items() if filled <= set(imported(settings))}
    for role in set(get_args(encoders.Role)) - replaced:
        encoders.identity(role, settings.encoders.profile, **options(settings, role))


def encoder_fingerprint(settings: Settings, role: str, *, code: int, **parameters: object) -> Fingerprint:
    """Fingerprint of a stage that one encoder fills; the encoder says who it is without loading its weights."""
    identity = encoders.identity(role, settings.encoders.profile, **options(settings, role))
    return Fingerprint(code=code, parameters=parameters, model=identity)


def encoded(
    todo: Sequence[str],
    *,
    upstream: Stage,
    column: str,
    inputs: Mapping[str, str],
    decode: Callable[[Any], Any],
    encode: Callable[[Any], Mapping[str, object]],
) -> Iterator[Row]:
    """Rows of a stage whose input is one column of one upstream stage; an item without an upstream row is missing.

    Args:
        todo: items in order.
        upstream: where the input lies; read in blocks, so that memory does not grow with the set.
        column: the input's column, a list a video.
        inputs: each item's input hash.
        decode: one element of the list, as the encoder takes it.
        encode: a video's decoded elements to its payload. An `EncoderError` is kept as the item's failure.
    """
    for start in range(0, len(todo), BLOCK):
        block = todo[start : start + BLOCK]
        table = upstream.read(items=block, columns=[column])
        given = dict(zip(table["item"].to_pylist(), table[column].to_pylist()))
        for item in block:
            if item not in given:
                yield Row.missing(item, inputs[item], f"no {column}")
                continue
            try:
                yield Row.ok(item, inputs[item], encode([decode(element) for element in given[item]]))
            except EncoderError as error:
                yield Row.failed(item, inputs[item], error)


@cache
def _loaded(role: str, profile: str, chosen: tuple[tuple[str, Any], ...]) -> Any:
    return encoders.load(role, profile, **dict(chosen))


def load(settings: Settings, role: str) -> Any:
    """The encoder of a role, loaded once a process."""
    return _loaded(role, settings.encoders.profile, tuple(sorted(options(settings, role).items())))
