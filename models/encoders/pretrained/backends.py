"""The libraries that can run a role's model, and the check that they are installed."""

from __future__ import annotations

import importlib.util
from pathlib import Path

from models.encoders.errors import EncoderError
from models.encoders.isolated.environments import LIBRARIES, python_of
from models.encoders.roles import Role

# The first library of a role is the default.
BACKENDS: dict[Role, tuple[str, ...]] = {
    "visual": ("transformers",),
    "acoustic": ("transformers",),
    "text": ("transformers", "angle-emb"),
    "captions": ("transformers", "lavis"),
    "sounds": ("transformers", "laion-clap"),
}


def checked_backend(role: Role, backend: str | None, *, environments: str | Path) -> str:
    """Return the name of a role's backend after checking that it is installed.

    Args:
        role: `visual`, `acoustic`, `text`, `captions` or `sounds`.
        backend: A name from `BACKENDS`; by default the first one of the role.
        environments: Folder of the environments of libraries that need one of their own.

    Raises:
        ValueError: The role has no such backend.
        EncoderError: The backend isn't installed; the message names the command that installs it.
    """
    name = backend or BACKENDS[role][0]
    if name not in BACKENDS[role]:
        raise ValueError(f"backend of {role} must be one of {', '.join(BACKENDS[role])}, not {backend!r}")
    if name in LIBRARIES:
        python_of(name, root=environments)
    elif name == "angle-emb" and importlib.util.find_spec("angle_emb") is None:
        raise EncoderError("the backend 'angle-emb' isn't installed; install it with: pip install 'reelcast[angle]'")
    return name
