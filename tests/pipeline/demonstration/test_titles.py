from dataclasses import replace

import numpy as np

from pipeline.demonstration import titles
from pipeline.demonstration.plan import CATEGORIES, Style, Video

VIDEO = Video(
    item=1,
    author=1,
    category="dance",
    style=Style(0.5, 0.5, 0.5, 0.5),
    appeal=0.0,
    archetype="slow burn",
    published_at=0,
    upload=False,
    original=1,
    file="ok",
    sound=True,
)


def written(n: int = 500, **style: float) -> list[str]:
    rng = np.random.default_rng(0)
    names = list(CATEGORIES)
    return [
        titles.write(replace(VIDEO, category=names[i % len(names)], style=replace(VIDEO.style, **style)), rng)
        for i in range(n)
    ]


def test_titles_are_single_lines_some_with_commas_some_empty():
    lines = written()
    assert all(len(line.splitlines()) <= 1 and line == line.strip() for line in lines)
    assert 0.05 < np.mean(["," in line for line in lines]) < 0.6
    assert 0.005 < np.mean([not line for line in lines]) < 0.05
    assert len(set(lines)) > 250


def test_words_go_with_category_and_style():
    names = list(CATEGORIES)
    for i, line in enumerate(written()):
        subject = any(word.lower() in line.lower() for word in titles.SUBJECTS[names[i % len(names)]])
        assert subject or not line
    loud = ("won't believe", "WAIT", "gone wrong", "Shocking")
    dramatic, calm = (np.mean([any(w in t for w in loud) for t in written(drama=d)]) for d in (0.95, 0.05))
    assert dramatic > 5 * calm
