"""Pictures with letters that Matplotlib's own font lacks."""

import io
import logging
import warnings

import matplotlib
import pytest
from matplotlib import font_manager
from matplotlib.figure import Figure
from matplotlib.image import imread

from models import png
from models.png import save_png

RARE = "\U00012000"  # a cuneiform sign, which no usual font has


@pytest.fixture(autouse=True)
def forgetful(monkeypatch):
    """Start as a new process does."""
    png._fonts_with.cache_clear()
    monkeypatch.setattr(png, "_TOLD", [])


def drawn(text: str):
    figure = Figure(figsize=(2, 1))
    own = figure.text(0.1, 0.5, text)
    file = io.BytesIO()
    save_png(figure, file)
    return own, imread(io.BytesIO(file.getvalue()))


def test_letters_of_another_script_come_from_an_installed_font(monkeypatch, caplog):
    """Matplotlib brings a font of symbols; without DejaVu's own letters in the picture's font it stands for a CJK font."""
    monkeypatch.setitem(matplotlib.rcParams, "font.family", ["STIXSizeOneSym"])
    own, picture = drawn("ж")
    assert own.get_fontfamily()[0] == "STIXSizeOneSym" and len(own.get_fontfamily()) > 1
    with_it = font_manager.get_font(font_manager.findfont(own.get_fontfamily()[-1])).get_charmap()
    assert ord("ж") in with_it and picture.min() < 1
    assert not caplog.records


def test_letters_that_no_font_has_are_told_once(monkeypatch, caplog):
    own_fonts = [font for font in font_manager.fontManager.ttflist if "DejaVu Sans" in font.name]
    monkeypatch.setattr(font_manager.fontManager, "ttflist", own_fonts)
    with caplog.at_level(logging.WARNING), warnings.catch_warnings():
        warnings.simplefilter("error")
        drawn(f"{RARE} and more")
        drawn(f"more of {RARE}, and {RARE}\u6f22")
    assert [record.getMessage() for record in caplog.records] == [png.NO_FONT % RARE]


def test_latin_text_keeps_its_font():
    own, _ = drawn("plain: 24 h ± 3 µs ≤ ü")
    assert own.get_fontfamily() == matplotlib.rcParams["font.family"]
