"""What can be set of each pretrained encoder and changes its output; light to import, so that planning is cheap."""

from __future__ import annotations

import hashlib
from collections import Counter
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any, Literal, get_args

from models.encoders.roles import Role

# Of each role: to be raised with every change of the output that the options don't show.
CODE_VERSIONS: dict[Role, int] = {"visual": 1, "acoustic": 1, "text": 2, "captions": 1, "sounds": 1}

# The prompt of AnglE and UAE for a text that is to be looked up (their `Prompts.C`); plain texts are encoded without.
RETRIEVAL_PROMPT = "Represent this sentence for searching relevant passages: {text}"


@dataclass(frozen=True)
class VisualOptions:
    """Of image encoders.

    Attributes:
        pooling: `cls`, the model's own vector of a picture (the first token of the last layer, or what CLIP and SigLIP pool),
            or `mean`, the mean of its patches.
    """

    pooling: Literal["cls", "mean"] = "cls"

    def __post_init__(self):
        if self.pooling not in ("cls", "mean"):
            raise ValueError(f"pooling must be one of cls, mean, not {self.pooling!r}")


@dataclass(frozen=True)
class AcousticOptions:
    """Of AST, which has none: its vector is the mean of the class and the distillation token, as in training."""


@dataclass(frozen=True)
class TextOptions:
    """Of AnglE (UAE).

    Attributes:
        prompt: Put around a sentence, at its `{text}`; None takes sentences as they are.
        max_tokens: Tokens of a text that are used, at most: the last ones of a sentence, the first ones of words.
    """

    prompt: str | None = None
    max_tokens: int = 512

    def __post_init__(self):
        if self.prompt is not None and "{text}" not in self.prompt:
            raise ValueError(f"prompt must hold {{text}}, not {self.prompt!r}")
        if self.max_tokens < 3:
            raise ValueError(f"max_tokens must be at least 3, not {self.max_tokens}")


@dataclass(frozen=True)
class CaptionOptions:
    """Of BLIP-2: `prompt` begins every caption; at most `max_new_tokens` follow it, greedily, up to the end token."""

    prompt: str = ""
    max_new_tokens: int = 30

    def __post_init__(self):
        if self.max_new_tokens < 1:
            raise ValueError(f"max_new_tokens must be at least 1, not {self.max_new_tokens}")


@dataclass(frozen=True)
class SoundOptions:
    """Of CLAP.

    Attributes:
        vocabulary: The file of descriptions; the shipped one if None.
        template: What each is put into, at its `{text}`, before it is embedded.
        top: How many are returned for a segment; 5, or all of a smaller vocabulary, if None.
    """

    vocabulary: str | None = None
    template: str = "This is a sound of {text}."
    top: int | None = None

    def __post_init__(self):
        if "{text}" not in self.template:
            raise ValueError(f"template must hold {{text}}, not {self.template!r}")
        count = len(self.descriptions())
        if self.top is None:
            object.__setattr__(self, "top", min(5, count))
        if not 1 <= self.top <= count:
            raise ValueError(f"top must lie between 1 and the vocabulary's {count}, not {self.top}")

    def descriptions(self) -> list[str]:
        """The vocabulary: one description a line; blank lines and lines that begin with # are left out."""
        if self.vocabulary is None:
            text = resources.files(__package__).joinpath("audioset_classes.txt").read_text(encoding="utf-8")
        else:
            try:
                text = Path(self.vocabulary).expanduser().read_text(encoding="utf-8-sig")
            except (OSError, UnicodeError) as error:
                raise ValueError(f"vocabulary {self.vocabulary}: no text file that can be read ({error})") from error
        lines = [line.strip() for line in text.splitlines()]
        descriptions = [line for line in lines if line and not line.startswith("#")]
        repeated = sorted(line for line, times in Counter(descriptions).items() if times > 1)
        if repeated:
            raise ValueError(f"{self.vocabulary} holds {repeated[0]!r} more than once")
        if not descriptions:
            raise ValueError(f"vocabulary {self.vocabulary} holds no description")
        return descriptions

    def texts(self) -> list[str]:
        """The descriptions within the template: what is embedded."""
        return [self.template.replace("{text}", description) for description in self.descriptions()]


Options = VisualOptions | AcousticOptions | TextOptions | CaptionOptions | SoundOptions


def options_of(role: str, options: dict[str, Any]) -> Options:
    """The role's options from keyword arguments; ValueError for one that it doesn't have."""
    match role:
        case "visual":
            kind = VisualOptions
        case "acoustic":
            kind = AcousticOptions
        case "text":
            kind = TextOptions
        case "captions":
            kind = CaptionOptions
        case "sounds":
            kind = SoundOptions
        case _:
            raise ValueError(f"no pretrained encoder has the role {role!r}")
    unknown = options.keys() - kind.__dataclass_fields__.keys()
    if unknown:
        allowed = ", ".join(kind.__dataclass_fields__) or "none"
        raise ValueError(f"{role} has no option {sorted(unknown)[0]!r}; its options are: {allowed}")
    return kind(**options)


def described(options: Options) -> dict[str, Any]:
    """The options as JSON-able values; a vocabulary by its content, since that, not its path, decides the output."""
    values = {name: getattr(options, name) for name in options.__dataclass_fields__}
    if isinstance(options, SoundOptions):
        content = "\n".join(options.descriptions())
        values["vocabulary"] = "sha256:" + hashlib.sha256(content.encode()).hexdigest()[:16]
    return values


DType = Literal["float32", "bfloat16", "float16"]
Attention = Literal["eager", "sdpa", "flash_attention_2"]


def checked_dtype(dtype: str | None) -> DType:
    """The number format of weights and activations, `float32` by default."""
    if dtype is None:
        return "float32"
    if dtype not in get_args(DType):
        raise ValueError(f"dtype must be one of {', '.join(get_args(DType))}, not {dtype!r}")
    return dtype


def checked_attention(attention: str | None) -> Attention | None:
    """The attention kernel; None is the library's choice (`sdpa` for all models that have it)."""
    if attention is not None and attention not in get_args(Attention):
        raise ValueError(f"attention must be one of {', '.join(get_args(Attention))}, not {attention!r}")
    return attention
