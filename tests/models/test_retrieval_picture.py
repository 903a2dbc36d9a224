"""The gallery shows each video once per way of retrieval, with its similarities, its label and its course."""

import numpy as np

from models.retrieval_picture import ShownVideo, draw_retrieval


def test_a_query_and_its_rows():
    frame = np.zeros((4, 6, 3), np.uint8)
    query = ShownVideo("a query with a title that is far too long", frame, np.array([1.0, 2.0, 10.0]), 5.0)
    near = ShownVideo("near", None, np.array([3.0]), None, content=0.25, temporal=None)
    rows = {"content alone": [near, near], "content and feedback": [near]}
    figure = draw_retrieval(query, rows, window=24.0, label="like@7d", note="a note")
    texts = [text.get_text() for axes in figure.axes for text in (axes.title, axes.xaxis.label, *axes.texts)]
    assert sum("content 0.25 · feedback n/a\nnear" in text for text in texts) == 3
    assert texts.count("1 events in 24 h\nlike@7d: unknown") == 3 and texts.count("no frame") == 3
    assert "content alone" in texts and "content and feedback" in texts
    assert "query\na query with a title …" in texts and "3 events in 24 h\nlike@7d: 5" in texts
    assert figure.get_supxlabel() == "a note"
    courses = [line.get_xydata() for axes in figure.axes for line in axes.lines]
    assert len(courses) == 3
    for course in courses:  # the query's own, under every neighbour
        np.testing.assert_allclose(course, [[0, 0], [1, 1 / 3], [2, 2 / 3], [10, 1], [24, 1]])
