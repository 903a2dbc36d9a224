"""What determines a stage's output beside its input: the version of its code, its parameters, the model it used."""

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
    """code: version of the stage's code, raised by hand when its output changes; parameters: settings that the output
    depends on; model: the identity of the encoder (name, checkpoint, revision, backend ...). All JSON-able.
    """

    code: int | str
    parameters: Mapping[str, Any] = field(default_factory=dict)
    model: Mapping[str, Any] = field(default_factory=dict)

    @property
    def hash(self) -> str:
        return content_hash(self.to_json())

    def to_json(self) -> str:
        parts = {"code": self.code, "parameters": dict(self.parameters), "model": dict(self.model)}
        return json.dumps(parts, sort_keys=True, ensure_ascii=False)

    @staticmethod
    def from_json(text: str) -> "Fingerprint":
        return Fingerprint(**json.loads(text))

    def differences(self, new: "Fingerprint") -> list[str]:
        """What changed from this one to `new`, for people: 'code version: 1 -> 2', 'parameter frames: 10 -> 12'."""
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
