"""Figures as inline SVG in the page's colours."""

import re
import xml.etree.ElementTree as ElementTree

import pytest

from assets.reports.charts import BLUE, as_picture, chart, house_style


@pytest.fixture
def svg():
    with house_style():
        figure, axes = chart()
        axes.plot([0, 1], [0, 0.125], label="$a <b> #0072b2 猫")
        axes.set_xticks([0.125, 0.25], ["0.12345", "$"])
        axes.legend()
        return as_picture(figure, 'A "chart" <of> lines').svg


def test_texts_stay_as_they_are(svg):
    texts = [element.text for element in ElementTree.fromstring(svg.replace("xlink:", "")).iter() if element.text]
    assert {"$a <b> #0072b2 猫", "0.12345", "$"} <= set(texts)


def test_colours_are_those_of_the_page(svg):
    tags = " ".join(re.findall(r"<[^>]*>", svg))
    assert "var(--blue)" in tags
    assert BLUE not in tags
    assert "var(--ink)" in tags
    assert "#000000" not in tags


def test_fonts_are_those_of_the_page_and_the_caption_is_read_aloud(svg):
    assert "DejaVu" not in svg
    assert svg.startswith('<svg role="img" aria-label="A &quot;chart&quot; &lt;of&gt; lines"')
    assert "<metadata" not in svg


def test_the_same_figure_is_the_same_picture(svg):
    with house_style():
        first, second = (as_picture(chart()[0], "empty").svg for _ in range(2))
    assert first == second
