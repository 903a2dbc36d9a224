"""Parts of the report on planted data."""

import numpy as np
import polars as pl
import pytest

from assets.engine.nothing_to_show import NothingToShow
from assets.engine.store_access import open_store
from assets.reports.page import Missing
from assets.reports.report_sections.archetypes import growth_shapes, shape_groups
from assets.reports.report_sections.inputs import part, stored_table
from assets.reports.report_sections.provenance import changed_settings
from assets.reports.report_sections.suspicious_rows import suspicious_rows

HORIZONS = [1.0, 6.0, 24.0, 168.0, 720.0]


def curve_rows(shapes, *, followed):
    """Return rows of `curve_items`: each video grows in one of the shapes; the last horizon is known of some alone."""
    rng, rows = np.random.default_rng(0), []
    for number in range(120):
        shape = shapes[number % len(shapes)]
        counts = np.round(rng.integers(200, 2000) * np.array(shape))
        for hours, count in zip(HORIZONS, counts, strict=True):
            known = hours < 720 or number < followed
            rows.append((str(number), hours, float(count) if known else None))
    return pl.DataFrame(rows, schema=["item", "horizon_hours", "observed"], orient="row")


def test_planted_shapes_of_growth_are_told_apart():
    shapes = [(0.9, 0.95, 1, 1, 1), (0.5, 0.8, 0.9, 1, 1), (0.05, 0.2, 0.6, 1, 1), (0, 0.01, 0.1, 1, 1)]
    names, horizons, shares = growth_shapes(curve_rows(shapes, followed=20))
    assert horizons == HORIZONS[:-1]  # few videos were followed to the last one
    group, centres = shape_groups(shares)
    planted = np.array([int(name) % 4 for name in names])
    assert (group == planted).all()
    assert np.abs(centres - np.array(shapes)[:, :4]).max() < 0.01


def test_few_videos_have_no_archetypes():
    with pytest.raises(NothingToShow, match="0 test videos have a shape of growth; 40 are needed"):
        growth_shapes(curve_rows([(0, 0, 0, 0.001, 0.001)], followed=120))


def items_of(*, sha256=("a", "b", "c"), title=("x", "y", "z"), duration=(9.0, 9.0, 9.0), published_at=(5, 5, None)):
    columns = {"sha256": sha256, "title": title, "duration": duration, "published_at": published_at}
    return pl.DataFrame({"item": ["1", "2", "3"], **columns})


NO_EVENTS = pl.DataFrame(schema={"item": pl.String, "user": pl.String, "type": pl.String})
NO_COUNTERS = pl.DataFrame(schema={"item": pl.String, "metric": pl.String, "time": pl.Int64, "value": pl.Int64})
WINDOWS = pl.DataFrame({"item": ["1", "2", "3"], "t0_source": ["published", "published", "first event"]})


def found(items=None, events=NO_EVENTS, counters=NO_COUNTERS, windows=WINDOWS):
    rows = suspicious_rows(items_of() if items is None else items, events, counters, windows)
    return {row.text: (row.count, row.examples) for row in rows}


def test_a_clean_data_set_has_no_suspicious_row():
    counters = pl.DataFrame(
        [("1", "views", 0, 5), ("1", "likes", 0, 5), ("1", "views", 1, 6)], schema=NO_COUNTERS.schema, orient="row"
    )
    assert found(counters=counters) == {}


def test_planted_suspicious_rows_are_found():
    counters = [("1", "views", 0, 5), ("1", "likes", 0, 6), ("2", "views", None, 1), ("2", "likes", None, 2)]
    counters += [("3", "views", 0, 9), ("3", "views", 1, 8)]
    assert found(counters=pl.DataFrame(counters, schema=NO_COUNTERS.schema, orient="row")) == {
        "more likes than views": (2, ["1", "2"]),
        "views that become fewer": (1, ["3"]),
    }
    items = items_of(sha256=("a", None, "a"), title=("x", "", ""), duration=(601.0, 0.0, None))
    assert found(items=items) == {
        "file with the same bytes as another one": (2, ["1", "3"]),
        "longer than 10 minutes": (1, ["1"]),
        "duration of 0": (1, ["2"]),
    }
    early = pl.DataFrame({"item": ["1", "3"], "t0_source": ["first event", "first event"]})
    assert found(windows=early) == {"event before the publication": (1, ["1"])}
    events = [("1", "bot", "like")] * 11 + [("2", "person", "like")] * 10
    assert found(events=pl.DataFrame(events, schema=NO_EVENTS.schema, orient="row")) == {
        "more than 10 events of one type by one user": (1, ["1"])
    }


def test_a_busy_user_is_found_among_many():
    events = [("1", f"u{number}", "like") for number in range(100)] + [(str(n), "bot", "like") for n in range(9)]
    assert found(events=pl.DataFrame(events, schema=NO_EVENTS.schema, orient="row")) == {
        "user with more than 5 % of all events": (1, ["bot"])
    }


def test_a_missing_table_says_what_makes_it(settings_of):
    store = open_store(settings_of())
    line = part(lambda: [stored_table(store, "curve_items", stage="curve_evaluation")])
    assert line == [Missing("Not computed yet; `reelcast run --select '+curve_evaluation'` computes it.")]
    store.table("curve_items").write(pl.DataFrame({"item": []}), inputs_hash="a", fingerprint="b")
    with pytest.raises(NothingToShow, match="its table `curve_items` is empty"):
        stored_table(store, "curve_items", stage="curve_evaluation")


def test_provenance_has_no_place_of_this_machine(settings_of):
    chosen = dict(changed_settings(settings_of(protocol__hours="12")))
    assert chosen["protocol.hours"] == "12.0"
    assert not {"data.folder", "store.path", "store.results", "run.workers"} & chosen.keys()
