"""Encoders of frames, sound and words behind one small interface each, in three profiles.

`handcrafted` measures with NumPy and needs no download; `paper` runs the models that the papers name; `tiny` runs the
same code on small random models that it makes on the spot, for tests. A role may have further encoders
(`models.encoders.encoder_table`).
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
    """The encoder of a role in a profile; which interface it has is in `models.encoders.roles`.

    Args:
        role: `visual`, `acoustic`, `text`, `captions` or `sounds`.
        profile: `handcrafted`, `tiny`, `paper`, or another encoder of the role (`models.encoders.encoder_table`).
        checkpoint: Of `paper`: a folder or a repository (owner/name) instead of the one that the papers name.
        revision: Of `paper`: branch, tag or commit of the repository.
        device, dtype: Where and in what numbers a pretrained model runs; handcrafted encoders run on the CPU anyway.
        options: The encoder's own. Of the pretrained profiles: those of `models.encoders.pretrained.load` and of
            `models.encoders.pretrained.options`; of `tiny` also `cache`, the folder of its checkpoints.

    Raises:
        ValueError: An unknown role, profile or option, or an argument that the profile doesn't have.
        CheckpointError: The model's files are not on this machine; the message says how to get them.
        EncoderError: The device isn't there.
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
    """The `identity` of what `load` gives for the same arguments, without loading weights: cheap enough for planning.

    Raises:
        As `load`, but for a device that isn't there.
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
    """The `prepare` of what `load` gives for the same arguments, without loading weights; picklable.

    Raises:
        As `identity`; ValueError too for the role `text`, which prepares nothing.
    """
    _check(role, profile)
    if role == "text":
        raise ValueError("the role 'text' prepares nothing")
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
    """The `width` of what `load` gives for the same arguments, without loading weights.

    Raises:
        As `identity`; ValueError too for `captions` and `sounds`, which give words.
    """
    if role in ("captions", "sounds"):
        raise ValueError(f"the role {role!r} gives no vectors")
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
    """Floating-point operations that a pretrained model needs for one frame, segment or text; see
    `models.encoders.pretrained.operations`. Counted from its configuration, without loading weights.

    Raises:
        As `identity`; ValueError too for the handcrafted profile, which has no model.
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
    """Return which checkpoint a pretrained profile means; the tiny one is built if need be. Takes `cache` from the options."""
    if profile == "paper":
        from models.encoders import pretrained

        return checkpoint or pretrained.PAPER[role]
    if checkpoint is not None or revision is not None:
        raise ValueError("the tiny profile makes its own checkpoints: it takes no checkpoint and no revision")
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
    chosen = class_of(role, profile)
    allowed = [name for name in inspect.signature(chosen).parameters if name != "device"]
    unknown = options.keys() - set(allowed)
    if unknown:
        named = ", ".join(allowed) or "none"
        raise ValueError(f"{profile} {role} has no option {sorted(unknown)[0]!r}; its options are: {named}")
    if takes_device(role, profile):
        options = {**options, "device": device}
    return chosen(**options)
