"""Who excites whom, as numbers and as a picture."""

import pytest
import torch

from models.hawkes import ExponentialHawkes, draw, influence_graph


def process():
    made = ExponentialHawkes(3, decays=2)
    made.excitation.branching.data.zero_()
    made.excitation.branching.data[1, 0] = torch.tensor([0.1, 0.2], dtype=torch.float64)  # likes cause shares
    made.excitation.branching.data[2, 2] = torch.tensor([0.5, 0.0], dtype=torch.float64)
    return made


def test_influences_are_named_and_sorted():
    graph = influence_graph(process(), names=["like", "share", "comment"])
    found = [(i.source, i.target, round(i.offspring, 9)) for i in graph.influences]
    assert found == [("comment", "comment", 0.5), ("like", "share", 0.3)]
    assert graph.branching_ratio == pytest.approx(0.5)


def test_types_are_called_by_number_without_names():
    assert influence_graph(process()).names == ("0", "1", "2")
    with pytest.raises(ValueError, match="2 names for 3 types"):
        influence_graph(process(), names=["a", "b"])


def test_the_picture_shows_the_numbers(tmp_path):
    figure = draw(influence_graph(process(), names=["like", "share", "comment"]))
    axes = figure.axes[0]
    assert sorted(text.get_text() for text in axes.texts) == ["0.30", "0.50"]
    assert [label.get_text() for label in axes.get_xticklabels()] == ["like", "share", "comment"]
    figure.savefig(tmp_path / "graph.png")
    assert (tmp_path / "graph.png").stat().st_size > 1000
