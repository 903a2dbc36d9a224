"""A role's encoder by its arguments: known, and sent to other processes, before it is loaded."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from models import encoders


@dataclass(frozen=True)
class EncoderSpec:
    """Arguments of `models.encoders.load` but for the device; picklable.

    Attributes:
        role: What is encoded: `visual`, `acoustic`, `text`, `captions` or `sounds`.
        profile: Name of the encoder among those of its role.
        options: The encoder's own options.
    """

    role: encoders.Role
    profile: encoders.Profile
    options: Mapping[str, Any] = field(default_factory=dict)

    def identity(self) -> dict[str, Any]:
        """Return all that determines the encoder's output, without loading weights."""
        return encoders.identity(self.role, self.profile, **self.options)

    def width(self) -> int:
        """Return how many numbers a vector has, without loading weights."""
        return encoders.width(self.role, self.profile, **self.options)

    def preparation(self) -> Callable[..., Any]:
        """Return the part of the encoder that needs no weights."""
        return encoders.preparation(self.role, self.profile, **self.options)

    def load(self, device: str) -> Any:
        """Load the encoder onto a device; its interface is that of the role (`models.encoders.roles`)."""
        return encoders.load(self.role, self.profile, device=device, **self.options)
