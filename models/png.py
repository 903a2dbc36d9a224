"""Pictures as PNG, in which letters of every script are drawn if the machine has a font with them."""

from __future__ import annotations

import functools
import logging
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

if TYPE_CHECKING:
    from matplotlib.figure import Figure

LOG = logging.getLogger(__name__)
_TOLD: list[bool] = []
NO_FONT = (
    "no installed font has the letters of some titles (%s ...), so pictures show boxes in their place; install one, for "
    "example with `apt-get install fonts-noto-cjk`"
)


def save_png(figure: Figure, file: Path | BinaryIO, *, dpi: int = 100) -> None:
    """Write a figure as PNG.

    Matplotlib's own font has Latin, Greek, Cyrillic and a few other letters. A text with letters that it lacks gets further
    installed fonts, which are looked for only then. Letters that no font has are told once per process, as a warning.

    Args:
        figure: The figure. Its texts keep their fonts for the letters that these have.
        file: Path or open file.
        dpi: Pixels per inch.
    """
    from matplotlib.text import Text

    for text in figure.findobj(Text):
        first = _letters_of(_path_of(text.get_fontname()))
        if lacking := {letter for letter in text.get_text() if letter.isprintable() and ord(letter) not in first}:
            text.set_fontfamily([*text.get_fontfamily(), *_fonts_with(frozenset(lacking))])
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing from")  # told by `_fonts_with`
        figure.savefig(file, format="png", dpi=dpi)


@functools.cache
def _fonts_with(letters: frozenset[str]) -> tuple[str, ...]:
    """Return the names of installed fonts that together have the letters, as far as there are any."""
    from matplotlib.font_manager import fontManager

    found, lacking = [], set(letters)
    for name, path in sorted({(font.name, font.fname) for font in fontManager.ttflist}):
        if held := {letter for letter in lacking if ord(letter) in _letters_of(path)}:
            found.append(name)
            lacking -= held
        if not lacking:
            break
    if lacking and not _TOLD:
        _TOLD.append(True)
        LOG.warning(NO_FONT, min(lacking))
    return tuple(found)


def _path_of(family: str) -> str:
    from matplotlib.font_manager import findfont

    return findfont(family)


@functools.cache
def _letters_of(path: str) -> frozenset[int]:
    """Return the code points of a font."""
    from matplotlib.font_manager import get_font

    try:
        return frozenset(get_font(path).get_charmap())
    except (OSError, RuntimeError):  # a font of a format that Matplotlib cannot read
        return frozenset()
