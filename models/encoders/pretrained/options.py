"""The options of pretrained encoders that change their output. This module imports no framework: planning imports it."""

from __future__ import annotations

import hashlib
from collections import Counter
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any, Literal, get_args

from models.encoders.roles import Role

# Code versions by role. Raise a role's number when its output changes for the same options.
CODE_VERSIONS: dict[Role, int] = {"visual": 1, "acoustic": 1, "text": 2, "captions": 1, "sounds": 1}

# UAE's prompt for retrieval (`Prompts.C` of AnglE). By default texts are encoded without a prompt.
RETRIEVAL_PROMPT = "Represent this sentence for searching relevant passages: {text}"


@dataclass(frozen=True)
class VisualOptions:
    """Options of image encoders.

    Attributes:
        pooling: `cls` (default) is the model's own vector of an image: the first token of the last layer, or the pooled output
            of CLIP and SigLIP. `mean` is the mean of the patches.
    """

    pooling: Literal["cls", "mean"] = "cls"

    def __post_init__(self):
        """Check the values."""
        if self.pooling not in ("cls", "mean"):
            raise ValueError(f"pooling must be one of cls, mean, not {self.pooling!r}")


@dataclass(frozen=True)
class AcousticOptions:
    """Options of AST: none. Its vector is the mean of the class and the distillation token, as in its training."""


@dataclass(frozen=True)
class TextOptions:
    """Options of AnglE (UAE).

    Attributes:
        prompt: A sentence is put in place of the prompt's `{text}`; None (default) encodes sentences as they are.
        max_tokens: Largest number of tokens that are used of a text: the last ones for sentences, the first ones for words.
    """

    prompt: str | None = None
    max_tokens: int = 512

    def __post_init__(self):
        """Check the values."""
        if self.prompt is not None and "{text}" not in self.prompt:
            raise ValueError(f"prompt must hold {{text}}, not {self.prompt!r}")
        if self.max_tokens < 3:
            raise ValueError(f"max_tokens must be at least 3, not {self.max_tokens}")


@dataclass(frozen=True)
class CaptionOptions:
    """Options of BLIP-2.

    Attributes:
        prompt: Text that the model continues; not part of the caption.
        max_new_tokens: Largest number of tokens of a caption. A caption ends earlier at the end token.
    """

    prompt: str = ""
    max_new_tokens: int = 30

    def __post_init__(self):
        """Check the values."""
        if self.max_new_tokens < 1:
            raise ValueError(f"max_new_tokens must be at least 1, not {self.max_new_tokens}")


@dataclass(frozen=True)
class SoundOptions:
    """Options of CLAP.

    Attributes:
        vocabulary: A text file with one description per line; by default AudioSet's classes (`audioset_classes.txt`).
        template: The text that is embedded, with a description in place of `{text}`.
        top: Number of descriptions per segment; by default 5, or all of a smaller vocabulary.
    """

    vocabulary: str | None = None
    template: str = "This is a sound of {text}."
    top: int | None = None

    def __post_init__(self):
        """Check the values and set the default of `top`."""
        if "{text}" not in self.template:
            raise ValueError(f"template must hold {{text}}, not {self.template!r}")
        count = len(self.descriptions())
        if self.top is None:
            object.__setattr__(self, "top", min(5, count))
        if not 1 <= self.top <= count:
            raise ValueError(f"top must lie between 1 and the vocabulary's {count}, not {self.top}")

    def descriptions(self) -> list[str]:
        """Return the descriptions of the vocabulary, without blank lines and lines that begin with #.

        Raises:
            ValueError: The file can't be read, holds no description, or holds one twice.
        """
        if self.vocabulary is None:
            text = resources.files(__package__).joinpath("audioset_classes.txt").read_text(encoding="utf-8")
        else:
            try:
                text = Path(self.vocabulary).expanduser().read_text(encoding="utf-8-sig")
            except (OSError, UnicodeError) as error:
                raise ValueError(
                    f"vocabulary {self.vocabulary} can't be read as a text file in UTF-8 ({error}); "
                    "it has one description per line"
                ) from error
        lines = [line.strip() for line in text.splitlines()]
        descriptions = [line for line in lines if line and not line.startswith("#")]
        repeated = sorted(line for line, times in Counter(descriptions).items() if times > 1)
        if repeated:
            raise ValueError(
                f"vocabulary {self.vocabulary} holds {repeated[0]!r} more than once; remove the repetition"
            )
        if not descriptions:
            raise ValueError(f"vocabulary {self.vocabulary} holds no description; write one per line")
        return descriptions

    def texts(self) -> list[str]:
        """Return the texts that are embedded: each description in the template."""
        return [self.template.replace("{text}", description) for description in self.descriptions()]


Options = VisualOptions | AcousticOptions | TextOptions | CaptionOptions | SoundOptions


def options_of(role: str, options: dict[str, Any]) -> Options:
    """Return a role's options from keyword arguments.

    Args:
        role: `visual`, `acoustic`, `text`, `captions` or `sounds`.
        options: Values by the names of the options.

    Raises:
        ValueError: The role or an option is unknown, or a value is not allowed.

    Example:
        >>> options_of("captions", {"max_new_tokens": 10})
        CaptionOptions(prompt='', max_new_tokens=10)
    """
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
    """Return the options as JSON-able values. A vocabulary is given by a hash of its content, which decides the output."""
    values = {name: getattr(options, name) for name in options.__dataclass_fields__}
    if isinstance(options, SoundOptions):
        content = "\n".join(options.descriptions())
        values["vocabulary"] = "sha256:" + hashlib.sha256(content.encode()).hexdigest()[:16]
    return values


DType = Literal["float32", "bfloat16", "float16"]
Attention = Literal["eager", "sdpa", "flash_attention_2"]


def checked_dtype(dtype: str | None) -> DType:
    """Return the number format of weights and activations; `float32` for None.

    Raises:
        ValueError: The format is not allowed.
    """
    if dtype is None:
        return "float32"
    if dtype not in get_args(DType):
        raise ValueError(f"dtype must be one of {', '.join(get_args(DType))}, not {dtype!r}")
    return dtype


def checked_attention(attention: str | None) -> Attention | None:
    """Return the attention kernel. None lets the library decide; it takes `sdpa` for all models that have it.

    Raises:
        ValueError: The kernel is not allowed.
    """
    if attention is not None and attention not in get_args(Attention):
        raise ValueError(f"attention must be one of {', '.join(get_args(Attention))}, not {attention!r}")
    return attention
