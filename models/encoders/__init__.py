"""Encoders of frames, sound and words behind one small interface each, in three profiles.

`handcrafted` measures with NumPy and needs no download; `paper` runs the models that the papers name; `tiny` runs the
same code on small random models that it makes on the spot, for tests.
"""

from __future__ import annotations

from typing import Any, get_args

from models.encoders.errors import CheckpointError, EncoderError
from models.encoders.roles import (
    AcousticEncoder,
    AudioCaptioner,
    Description,
    Encoder,
    Profile,
    Role,
    TextEncoder,
    VisualCaptioner,
    VisualEncoder,
)

__all__ = [
    "AcousticEncoder",
    "AudioCaptioner",
    "CheckpointError",
    "Description",
    "Encoder",
    "EncoderError",
    "Profile",
    "Role",
    "TextEncoder",
    "VisualCaptioner",
    "VisualEncoder",
    "identity",
    "load",
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
        profile: `handcrafted`, `tiny` or `paper`.
        checkpoint, revision, device, dtype: Of the pretrained profiles only; see `models.encoders.pretrained`.
        options: The encoder's own, keyword only.

    Raises:
        ValueError: An unknown role or profile, or an argument that the profile doesn't have.
        CheckpointError: The model's files are not on this machine.
    """
    _check(role, profile)
    match profile:
        case "handcrafted":
            if checkpoint is not None or revision is not None or dtype is not None:
                raise ValueError("the handcrafted profile has no checkpoint, revision or dtype")
            return _handcrafted(role, options)
    raise ValueError(f"profile {profile!r} is not there yet")


def identity(role: Role, profile: Profile, **arguments: Any) -> dict[str, Any]:
    """The identity that `load` with the same arguments would give, without loading weights: for planning."""
    return load(role, profile, **arguments).identity


def _check(role: str, profile: str) -> None:
    if role not in get_args(Role):
        raise ValueError(f"role must be one of {', '.join(get_args(Role))}, not {role!r}")
    if profile not in get_args(Profile):
        raise ValueError(f"profile must be one of {', '.join(get_args(Profile))}, not {profile!r}")


def _handcrafted(role: Role, options: dict[str, Any]) -> Encoder:
    match role:
        case "visual":
            from models.encoders.handcrafted.visual import HandcraftedVisualEncoder

            return HandcraftedVisualEncoder(**options)
        case "acoustic":
            from models.encoders.handcrafted.acoustic import HandcraftedAcousticEncoder

            return HandcraftedAcousticEncoder(**options)
        case "text":
            from models.encoders.handcrafted.words import HashedWordEncoder

            return HashedWordEncoder(**options)
        case "captions":
            from models.encoders.handcrafted.captions import HandcraftedCaptioner

            return HandcraftedCaptioner(**options)
        case "sounds":
            from models.encoders.handcrafted.sounds import HandcraftedSoundDescriber

            return HandcraftedSoundDescriber(**options)
