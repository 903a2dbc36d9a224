"""A report as one HTML page."""

import re
from html.parser import HTMLParser

import numpy as np
import pytest

from assets.reports.document import Grid, Heading, Items, Paragraph, Picture
from assets.reports.page import LETTERS, Card, Folded, Gallery, Missing, Pictures, as_html, thumbnail

HOSTILE = "</script><script>alert(1)</script>\"'><img src=x onerror=alert(1)>"


class Tags(HTMLParser):
    def __init__(self, page):
        super().__init__()
        self.tags, self.texts = [], []
        self.feed(page)

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))

    def handle_data(self, data):
        self.texts.append(data)


@pytest.mark.parametrize(
    "block",
    [
        Heading(HOSTILE),
        Paragraph(HOSTILE),
        Items([HOSTILE]),
        Grid([HOSTILE], [[HOSTILE]]),
        Picture("<svg></svg>", "", HOSTILE),
        Pictures([Picture("<svg></svg>", "", HOSTILE)]),
        Gallery([Card(HOSTILE, [HOSTILE], None)], HOSTILE),
        Folded(HOSTILE, [Paragraph(HOSTILE)]),
        Missing(HOSTILE),
    ],
    ids=lambda block: type(block).__name__,
)
def test_no_text_becomes_markup(block):
    page = Tags(as_html([Heading("A report", 1), block], title=HOSTILE, contents=True))
    assert not {"script", "img"} & {tag for tag, _ in page.tags}
    assert not [name for _, attributes in page.tags for name in attributes if name.startswith("on")]
    assert HOSTILE in page.texts


def test_a_title_of_ten_thousand_letters_is_cut():
    page = as_html([Gallery([Card("a" * 10_000, [], None)])], title="A report")
    assert "a" * (LETTERS + 400) not in page
    assert "…" in page


def test_a_title_says_its_own_direction():
    page = Tags(as_html([Gallery([Card("مرحبا بالعالم", [], None)])], title="A report"))
    assert ("p", {"class": "name", "dir": "auto", "title": "مرحبا بالعالم"}) in page.tags
    assert "مرحبا بالعالم" in page.texts


def test_contents_link_to_the_parts():
    blocks = [Heading("A report", 1), Heading("First"), Heading("not listed", 3), Heading("Second")]
    page = Tags(as_html(blocks, title="A report", contents=True))
    links = [attributes["href"][1:] for tag, attributes in page.tags if tag == "a"]
    assert links == [attributes["id"] for tag, attributes in page.tags if tag == "h2"]
    assert len(links) == 2
    assert not [tag for tag, _ in Tags(as_html(blocks, title="A report")).tags if tag == "nav"]


def test_the_best_row_is_marked_and_nothing_is_loaded():
    frame = np.zeros((900, 500, 3), np.uint8)
    blocks = [
        Grid(["row", "nMSE"], [["a", "1"], ["b", "2"]], bold=frozenset({1})),
        Gallery([Card("a", [], thumbnail(frame))]),
    ]
    page = as_html(blocks, title="A report")
    assert re.search(r'<tr class="best">\s*<td dir="auto">b</td>', page)
    assert page.count('class="best"') == 1
    assert not re.search(r'(src|href)="(?!data:)|url\(|@import', page)


def test_a_thumbnail_is_a_small_jpeg():
    import base64
    import io

    from PIL import Image

    head, data = thumbnail(np.random.default_rng(0).integers(0, 255, (900, 500, 3), np.uint8)).split(",")
    assert head == "data:image/jpeg;base64"
    assert Image.open(io.BytesIO(base64.b64decode(data))).size == (80, 144)
