"""Pictures hold what they say."""

import numpy as np
import pytest
import torch

from models.events import EventBatch
from models.goodness import time_rescaling
from models.pictures import draw_forecast, draw_intensity, draw_qq, draw_terms
from models.reasons.intensity_terms import intensity_terms
from tests.models.hawkes.conftest import make_batch, make_process


def test_quantiles_and_their_diagonal():
    theory, sample = time_rescaling(make_process("exponential"), make_batch()).qq(20)
    axes = draw_qq(theory, sample, title="dev").axes[0]
    diagonal, points = (line.get_xydata() for line in axes.lines)
    np.testing.assert_array_equal(points, np.stack([theory, sample], axis=1))
    assert (diagonal[:, 0] == diagonal[:, 1]).all() and diagonal.max() > points.max()
    assert axes.get_title() == "dev"


def test_intensity_with_its_jumps_and_its_events():
    process = make_process("m3tr")
    batch = EventBatch.from_sequences([[], [1.0, 1.5, 3.0]], [[], [0, 2, 2]], t_end=[1.0, 4.0])
    above, below = draw_intensity(process, batch, row=1, types=[0, 2], names=["like", "comment", "share"]).axes
    assert [text.get_text() for text in above.get_legend().get_texts()] == ["like", "share"]
    for line, kind in zip(above.lines, (0, 2)):
        at = torch.from_numpy(line.get_xdata())
        expected = process.intensity(batch[[1]], at[None])[0, :, kind]
        np.testing.assert_array_equal(line.get_ydata(), expected)
        assert {1.0, 1.5, 3.0} <= set(at.tolist()) and at[-1] == 4.0
    assert [[segment[0, 0] for segment in events.get_segments()] for events in below.collections] == [[1.0], [1.5, 3.0]]


def test_terms_of_an_intensity_are_on_its_scale():
    """Without the network's term the dashed line is the intensity itself; the area is the term that was added."""
    process = make_process("m3tr")
    batch = EventBatch.from_sequences([[1.0, 1.5, 3.0]], [[0, 2, 2]], t_end=[4.0])
    above, middle, below = draw_terms(process, batch, 2, names=["like", "comment", "share"]).axes
    whole, classical = above.lines[:2]
    at = torch.from_numpy(whole.get_xdata())
    np.testing.assert_allclose(whole.get_ydata(), process.intensity(batch, at[None])[0, :, 2], rtol=1e-12)
    assert not np.allclose(whole.get_ydata(), classical.get_ydata())
    assert [label.get_text() for label in below.get_yticklabels()] == ["like", "comment", "share"]
    terms = intensity_terms(process, batch, at[None])
    np.testing.assert_allclose(middle.lines[0].get_ydata(), terms.argument[0, :, 2] / terms.time_scale, atol=1e-12)
    shown = [text.get_text() for text in middle.get_legend().get_texts()]
    assert shown == ["baseline", "after like", "after comment", "after share", "network's term", "sum"]
    torch.nn.init.zeros_(process.head.weight)
    whole, classical = draw_terms(process, batch, 2).axes[0].lines[:2]
    np.testing.assert_allclose(whole.get_ydata(), classical.get_ydata(), rtol=1e-5)


def test_refuses_what_is_not_there():
    process, batch = make_process("mufm"), make_batch(rows=2)
    with pytest.raises(ValueError, match="row 2 of a batch of 2"):
        draw_intensity(process, batch, row=2)
    with pytest.raises(ValueError, match=r"type 3; the process knows the types 0 to 2"):
        draw_intensity(process, batch, types=[0, 3])
    with pytest.raises(ValueError, match=r"type 3; the process knows the types 0 to 2"):
        draw_terms(make_process("m3tr"), batch, 3)
    for until, level, message in (
        (1.0, 0.8, "until must be after the end"),
        (1e3, 1.0, "level must be between 0 and 1"),
    ):
        with pytest.raises(ValueError, match=message):
            draw_forecast(process, batch, until, level=level)


def test_a_forecast_starts_at_what_was_observed_and_its_band_holds_the_median():
    process = make_process("exponential")
    batch = EventBatch.from_sequences([[], [1.0, 1.5, 3.0]], [[], [0, 2, 2]], t_end=[1.0, 4.0])
    later = EventBatch.from_sequences([[], [1.0, 1.5, 3.0, 4.5]], [[], [0, 2, 2, 2]], t_end=[1.0, 6.0])
    axes = draw_forecast(process, batch, 6.0, row=1, types=[2], continuations=200, later=later).axes[0]
    happened, observed, median = (line.get_xydata() for line in axes.lines[:3])
    assert happened[-1].tolist() == [6.0, 3.0] and observed[-1].tolist() == [4.0, 2.0]
    assert median[0].tolist() == [4.0, 2.0] and median[-1, 0] == 6.0 and (np.diff(median[:, 1]) >= 0).all()
    band = axes.collections[0].get_paths()[0].vertices
    at_end = band[band[:, 0] == 6.0, 1]
    assert at_end.min() <= median[-1, 1] <= at_end.max() and at_end.min() < at_end.max()
