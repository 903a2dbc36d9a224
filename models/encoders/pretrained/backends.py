"""Which libraries can run a role's model, and whether they are on this machine."""

from __future__ import annotations

import importlib.util
from pathlib import Path

from models.encoders.errors import EncoderError
from models.encoders.isolated.environments import LIBRARIES, python_of
from models.encoders.roles import Role

# The first is the default.
BACKENDS: dict[Role, tuple[str, ...]] = {
    "visual": ("transformers",),
    "acoustic": ("transformers",),
    "text": ("transformers", "angle-emb"),
    "captions": ("transformers", "lavis"),
    "sounds": ("transformers", "laion-clap"),
}


def checked_backend(role: Role, backend: str | None, *, environments: str | Path) -> str:
    """The backend by name, known to be installed.

    Raises:
        ValueError: The role has no such backend.
        EncoderError: It isn't installed; the message names the command that does so.
    """
    chosen = backend or BACKENDS[role][0]
    if chosen not in BACKENDS[role]:
        raise ValueError(f"backend of {role} must be one of {', '.join(BACKENDS[role])}, not {backend!r}")
    if chosen in LIBRARIES:
        python_of(chosen, root=environments)
    elif chosen == "angle-emb" and importlib.util.find_spec("angle_emb") is None:
        raise EncoderError("the backend 'angle-emb' isn't installed; install it with: pip install 'reelcast[angle]'")
    return chosen
