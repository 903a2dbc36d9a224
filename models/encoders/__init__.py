"""Encoders of frames, sound and words: one small interface per role, in four profiles (docs/encoders.md).

- `handcrafted` computes features with NumPy and SciPy and needs no download.
- `light` has word vectors for texts, whose weights come with a package.
- `paper` runs the models that the papers name.
- `tiny` runs the code of `paper` on small random models that are built on first use, for tests.

A role may have further encoders (`models.encoders.encoder_table`).

Example:
    >>> import numpy as np
    >>> from models import encoders
    >>> frames = [np.zeros((48, 64, 3), dtype=np.uint8)] * 2
    >>> encoders.load("visual", "handcrafted").encode(frames).shape
    (2, 95)
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

from models.encoders.encoder_table import PRETRAINED, class_of, profiles, takes_device
from models.encoders.errors import CheckpointError, EncoderError
from models.encoders.roles import (
    AcousticEncoder,
    AudioCaptioner,
    Description,
    Encoder,
    PreparingEncoder,
    Profile,
    Role,
    TextEncoder,
    VisualCaptioner,
    VisualEncoder,
)

__all__ = [
    "PRETRAINED",
    "AcousticEncoder",
    "AudioCaptioner",
    "CheckpointError",
    "Description",
    "Encoder",
    "EncoderError",
    "PreparingEncoder",
    "Profile",
    "Role",
    "TextEncoder",
    "VisualCaptioner",
    "VisualEncoder",
    "identity",
    "load",
    "operations",
    "preparation",
    "profiles",
    "takes_device",
    "width",
]


def load(
    role: Role,
    profile: Profile,
    *,
    checkpoint: str | None = None,
    revision: str | None = None,
    device: str = "cpu",
    dtype: str | None = None,
    **options: Any,
) -> Encoder:
    """Load the encoder of a role. `models.encoders.roles` describes its interface.

    Args:
        role: `visual`, `acoustic`, `text`, `captions` or `sounds`.
        profile: `handcrafted`, `tiny`, `paper`, or another encoder of the role (`models.encoders.encoder_table`), as `light` is
            for texts.
        checkpoint: Only with `paper`: a folder or a repository (owner/name). By default the model that the papers name.
        revision: Only with `paper`: branch, tag or commit of the repository. By default the newest one in the cache.
        device: PyTorch's name of the device, for example `cuda:1`. Handcrafted encoders always run on the CPU.
        dtype: Only with pretrained profiles: `float32` (default), `bfloat16` or `float16`.
        options: The encoder's own options. The pretrained profiles take those of `models.encoders.pretrained.load` and
            `models.encoders.pretrained.options`. `tiny` also takes `cache`, the folder of its checkpoints.

    Raises:
        ValueError: The role, the profile or an option is unknown, or the profile has no such argument.
        CheckpointError: The model's files are not on this machine; the message says how to get them.
        EncoderError: The device or the backend is not available.

    Example:
        >>> encoder = load("text", "handcrafted", width=16)
        >>> encoder.encode_sentences(["a dog on the beach"]).shape
        (1, 16)
    """
    _check(role, profile)
    if profile not in PRETRAINED:
        return _of_class(role, profile, checkpoint, revision, device, dtype, options)
    from models.encoders import pretrained

    name = _checkpoint(role, profile, checkpoint, revision, options)
    return pretrained.load(role, name, revision=revision, device=device, dtype=dtype, **options)


def identity(
    role: Role,
    profile: Profile,
    *,
    checkpoint: str | None = None,
    revision: str | None = None,
    device: str = "cpu",
    dtype: str | None = None,
    **options: Any,
) -> dict[str, Any]:
    """Return the `identity` of the encoder that `load` returns for the same arguments, without loading weights.

    It reads only small files, so planning can call it.

    Raises:
        ValueError: As in `load`.
        CheckpointError: As in `load`.
        EncoderError: The backend is not available. The device is not checked.

    Example:
        >>> identity("captions", "handcrafted")["name"]
        'handcrafted-captions'
    """
    _check(role, profile)
    if profile not in PRETRAINED:
        return _of_class(role, profile, checkpoint, revision, device, dtype, options).identity
    from models.encoders import pretrained

    name = _checkpoint(role, profile, checkpoint, revision, options)
    return pretrained.identity(role, name, revision=revision, device=device, dtype=dtype, **options)


def preparation(
    role: Role,
    profile: Profile,
    *,
    checkpoint: str | None = None,
    revision: str | None = None,
    device: str = "cpu",
    dtype: str | None = None,
    **options: Any,
) -> Callable[..., Any]:
    """Return the `prepare` method of the encoder that `load` returns for the same arguments, without loading weights.

    The returned callable is picklable.

    Raises:
        ValueError: As in `load`; also for the role `text`, which has no preparation.
        CheckpointError: As in `load`.
    """
    _check(role, profile)
    if role == "text":
        raise ValueError("the role 'text' prepares nothing; call encode_words or encode_sentences on the texts")
    if profile not in PRETRAINED:
        return _of_class(role, profile, checkpoint, revision, device, dtype, options).prepare
    from models.encoders import pretrained

    name = _checkpoint(role, profile, checkpoint, revision, options)
    return pretrained.preparation(role, name, revision=revision, **options)


def width(
    role: Role,
    profile: Profile,
    *,
    checkpoint: str | None = None,
    revision: str | None = None,
    device: str = "cpu",
    dtype: str | None = None,
    **options: Any,
) -> int:
    """Return the `width` of the encoder that `load` returns for the same arguments, without loading weights.

    Raises:
        ValueError: As in `load`; also for the roles `captions` and `sounds`, which return words.
        CheckpointError: As in `load`.

    Example:
        >>> width("acoustic", "handcrafted")
        94
    """
    if role in ("captions", "sounds"):
        raise ValueError(f"the role {role!r} gives no vectors; roles with a width are visual, acoustic, text")
    _check(role, profile)
    if profile not in PRETRAINED:
        return _of_class(role, profile, checkpoint, revision, device, dtype, options).width
    from models.encoders import pretrained

    name = _checkpoint(role, profile, checkpoint, revision, options)
    return pretrained.width(role, name, revision=revision, **options)


def operations(
    role: Role,
    profile: Profile,
    *,
    checkpoint: str | None = None,
    revision: str | None = None,
    device: str = "cpu",
    dtype: str | None = None,
    **options: Any,
) -> float:
    """Return how many floating-point operations a pretrained model needs for one frame, segment or text.

    They are counted from the model's configuration, without loading weights (`models.encoders.pretrained.operations`).
    The arguments are those of `load`.

    Raises:
        ValueError: As in `load`; also for a profile that isn't pretrained.
        CheckpointError: As in `load`.
    """
    _check(role, profile)
    if profile not in PRETRAINED:
        raise ValueError(f"the {profile} profile has no model whose operations could be counted")
    from models.encoders import pretrained

    name = _checkpoint(role, profile, checkpoint, revision, options)
    return pretrained.count_operations(role, name, revision=revision, **options)


def _check(role: Role, profile: Profile) -> None:
    if profile not in profiles(role):
        raise ValueError(f"profile of {role} must be one of {', '.join(profiles(role))}, not {profile!r}")


def _checkpoint(
    role: Role, profile: Profile, checkpoint: str | None, revision: str | None, options: dict[str, Any]
) -> str:
    """Return the checkpoint of a pretrained profile. Build the tiny one if it doesn't exist; remove `cache` from `options`."""
    if profile == "paper":
        from models.encoders import pretrained

        return checkpoint or pretrained.PAPER[role]
    if checkpoint is not None or revision is not None:
        raise ValueError(
            "the tiny profile builds its own checkpoints: leave out checkpoint and revision, or use the profile 'paper'"
        )
    from models.encoders import tiny

    return str(tiny.checkpoint(role, cache=options.pop("cache", None)))


def _of_class(
    role: Role,
    profile: Profile,
    checkpoint: str | None,
    revision: str | None,
    device: str,
    dtype: str | None,
    options: dict[str, Any],
) -> Encoder:
    if checkpoint is not None or revision is not None or dtype is not None:
        raise ValueError(f"the {profile} profile takes no checkpoint, no revision and no dtype")
    encoder_class = class_of(role, profile)
    allowed = [name for name in inspect.signature(encoder_class).parameters if name != "device"]
    unknown = options.keys() - set(allowed)
    if unknown:
        named = ", ".join(allowed) or "none"
        raise ValueError(f"{profile} {role} has no option {sorted(unknown)[0]!r}; its options are: {named}")
    if takes_device(role, profile):
        options = {**options, "device": device}
    return encoder_class(**options)
