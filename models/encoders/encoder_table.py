"""Every encoder by role and name: adding an encoder is a file with its class, and a line here.

A name is what the settings `encoders.profile` and `encoders.ROLE_profile` take. The class has the interface of its role
(`models.encoders.roles`). It is made to ask for its identity, width or preparation too, in any process: a class that has
weights loads them when it first encodes. Its keyword arguments are its options; if `device` is one of them, the class is
told where to run.
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
    },
    "captions": {
        "handcrafted": "models.encoders.handcrafted.captions:HandcraftedCaptioner",
    },
    "sounds": {
        "handcrafted": "models.encoders.handcrafted.sounds:HandcraftedSoundDescriber",
    },
}
PRETRAINED: tuple[Profile, ...] = ("tiny", "paper")  # every role has them, from checkpoints: models.encoders.pretrained


def profiles(role: Role) -> tuple[Profile, ...]:
    """Return the names of the encoders that a role can have.

    Raises:
        ValueError: An unknown role.
    """
    if role not in CLASSES:
        raise ValueError(f"role must be one of {', '.join(CLASSES)}, not {role!r}")
    return (*CLASSES[role], *PRETRAINED)


def takes_device(role: Role, profile: Profile) -> bool:
    """Return whether an encoder can be told where to run."""
    return profile in PRETRAINED or "device" in inspect.signature(class_of(role, profile)).parameters


def class_of(role: Role, profile: Profile) -> Any:
    """Return the class of an encoder that is not a pretrained one."""
    module, _, name = CLASSES[role][profile].partition(":")
    return getattr(import_module(module), name)
