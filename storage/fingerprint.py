"""The fingerprint of a stage: everything except its inputs that determines its output."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from storage.hashing import content_hash

ABSENT = "absent"


def _flat(prefix: str, value: Any) -> dict[str, Any]:
    if isinstance(value, Mapping):
        parts: dict[str, Any] = {}
        for key in value:
            parts |= _flat(f"{prefix}.{key}" if prefix else str(key), value[key])
        return parts
    return {prefix: value}


@dataclass(frozen=True)
class Fingerprint:
    """The version of a stage's code, its parameters and its model. All three are JSON-able.

    Attributes:
        code: Version of the stage's code. Raise it by hand when a change of the code changes the output.
        parameters: The settings that the output depends on.
        model: The identity of the encoder (name, backend, checkpoint, revision, ...).

    Example:
        >>> Fingerprint(1, {"frames": 10}).differences(Fingerprint(1, {"frames": 12}))
        ['parameter frames: 10 -> 12']
    """

    code: int | str
    parameters: Mapping[str, Any] = field(default_factory=dict)
    model: Mapping[str, Any] = field(default_factory=dict)

    @property
    def hash(self) -> str:
        """Content hash of all three parts."""
        return content_hash(self.to_json())

    def to_json(self) -> str:
        """Return the fingerprint as JSON with sorted keys."""
        parts = {"code": self.code, "parameters": dict(self.parameters), "model": dict(self.model)}
        return json.dumps(parts, sort_keys=True, ensure_ascii=False)

    @staticmethod
    def from_json(text: str) -> "Fingerprint":
        """Return the fingerprint that `to_json` wrote."""
        return Fingerprint(**json.loads(text))

    def differences(self, new: "Fingerprint") -> list[str]:
        """Return what changed from this fingerprint to `new`: 'code version: 1 -> 2', 'parameter frames: 10 -> 12'."""
        found = [f"code version: {self.code} -> {new.code}"] if self.code != new.code else []
        for name, old, current in (
            ("parameter", _flat("", self.parameters), _flat("", new.parameters)),
            ("model", _flat("", self.model), _flat("", new.model)),
        ):
            for key in sorted(old.keys() | current.keys()):
                before, after = old.get(key, ABSENT), current.get(key, ABSENT)
                if before != after:
                    found.append(f"{name} {key}: {before} -> {after}")
        return found
