"""The arguments that identify an encoder. They can be sent to other processes before the encoder is loaded."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from models import encoders


@dataclass(frozen=True)
class EncoderSpec:
    """The arguments of `models.encoders.load` except for the device; picklable.

    Attributes:
        role: What is encoded: `visual`, `acoustic`, `text`, `captions` or `sounds`.
        profile: Name of the encoder among those of its role.
        options: The encoder's own options.
    """

    role: encoders.Role
    profile: encoders.Profile
    options: Mapping[str, Any] = field(default_factory=dict)

    def identity(self) -> dict[str, Any]:
        """Return everything that determines the encoder's output, without loading weights."""
        return encoders.identity(self.role, self.profile, **self.options)

    def width(self) -> int:
        """Return the length of the encoder's vectors, without loading weights."""
        return encoders.width(self.role, self.profile, **self.options)

    def preparation(self) -> Callable[..., Any]:
        """Return the encoder's `prepare`, without loading weights."""
        return encoders.preparation(self.role, self.profile, **self.options)

    def load(self, device: str) -> Any:
        """Load the encoder onto a device. It has the interface of its role (`models.encoders.roles`)."""
        return encoders.load(self.role, self.profile, device=device, **self.options)
