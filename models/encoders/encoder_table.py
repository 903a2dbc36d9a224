"""The table of all encoders by role and profile.

To add an encoder, write a file with its class and add a line here:

- The profile name in this table is a value of the settings `encoders.profile` and `encoders.ROLE_profile`.
- The class has the interface of its role (`models.encoders.roles`).
- The pipeline also creates instances, in any process, only to read the identity, width or preparation. So a class with
  weights loads them when it first encodes, not in `__init__`.
- The keyword arguments of `__init__` are the encoder's options. A class with an argument `device` gets the device.
"""

from __future__ import annotations

import inspect
from importlib import import_module
from typing import Any

from models.encoders.roles import Profile, Role

CLASSES: dict[Role, dict[Profile, str]] = {
    "visual": {
        "handcrafted": "models.encoders.handcrafted.visual:HandcraftedVisualEncoder",
    },
    "acoustic": {
        "handcrafted": "models.encoders.handcrafted.acoustic:HandcraftedAcousticEncoder",
    },
    "text": {
        "handcrafted": "models.encoders.handcrafted.words:HashedWordEncoder",
        "light": "models.encoders.light_words:WordVectorEncoder",
    },
    "captions": {
        "handcrafted": "models.encoders.handcrafted.captions:HandcraftedCaptioner",
    },
    "sounds": {
        "handcrafted": "models.encoders.handcrafted.sounds:HandcraftedSoundDescriber",
    },
}
PRETRAINED: tuple[Profile, ...] = ("tiny", "paper")  # available for every role, see models.encoders.pretrained


def profiles(role: Role) -> tuple[Profile, ...]:
    """Return the profiles of a role: the names of its encoders.

    Args:
        role: `visual`, `acoustic`, `text`, `captions` or `sounds`.

    Raises:
        ValueError: The role is unknown.

    Example:
        >>> profiles("visual")
        ('handcrafted', 'tiny', 'paper')
    """
    if role not in CLASSES:
        raise ValueError(f"role must be one of {', '.join(CLASSES)}, not {role!r}")
    return (*CLASSES[role], *PRETRAINED)


def takes_device(role: Role, profile: Profile) -> bool:
    """Return whether an encoder has a `device` argument. Other encoders run on the CPU."""
    return profile in PRETRAINED or "device" in inspect.signature(class_of(role, profile)).parameters


def class_of(role: Role, profile: Profile) -> Any:
    """Return the class of an encoder whose profile is not in `PRETRAINED`."""
    module, _, name = CLASSES[role][profile].partition(":")
    return getattr(import_module(module), name)
