"""Sets of counters, of events and of both, from their files to the table of labels, counted again by a script of their own."""

import json

import numpy as np
import polars as pl
import pytest

import assets.protocol.labels as labels_of_counters
from assets.engine.store_access import open_store
from assets.protocol.labels import label_matrix, read_labels, target_names
from assets.protocol.popularity import read_popularity
from tests.assets.conftest import HOUR, START

EVENTS = ["item", "user", "time", "type"]
ITEMS = [f"v{number}" for number in range(30)]
VIEWS = [
    # two snapshots around 48 hours for most items, and the last one later
    {"item": item, "time": START + (number + hour) * HOUR, "view": (number + 1) * hour * hour}
    for number, item in enumerate(ITEMS)
    for hour in (5, 30 + number, 100, 200)
    if number != 7 or hour < 48
]


@pytest.fixture
def run(settings_of, materialise, tmp_path):
    """Write the files of a set, and return the settings and the result of a run up to its labels."""

    def run(targets: list[str], hours: str = "6", publish: bool = True, **files: pl.DataFrame):
        folder = tmp_path / "own"
        folder.mkdir()
        published = [START + number * HOUR if publish else None for number in range(len(ITEMS))]
        videos = pl.DataFrame({"item": ITEMS, "published_at": published}, schema_overrides={"published_at": pl.Int64})
        for name, frame in {"videos": videos if publish else videos.drop("published_at"), **files}.items():
            frame.write_csv(folder / f"{name}.csv")
        settings = settings_of(
            data__folder=str(folder), protocol__targets=json.dumps(targets), protocol__hours=hours, protocol__ages="[1]"
        )
        return settings, materialise(settings, "*popularity")

    return run


def by_hand(counts: pl.DataFrame, hours: int) -> pl.DataFrame:
    """Return the label of `view` at an age, from the snapshots as they are in the file."""
    due = counts.join(pl.DataFrame({"item": ITEMS}).with_row_index("place"), on="item")
    due = due.with_columns(h=START + (pl.col("place") + hours) * HOUR)
    before = due.filter(pl.col("time") <= pl.col("h")).group_by("item").agg(pl.all().sort_by("time").last())
    after = due.filter(pl.col("time") >= pl.col("h")).group_by("item").agg(pl.all().sort_by("time").first())
    a, b, h = pl.col("time"), pl.col("time_after"), pl.col("h")
    between = pl.col("view") + (pl.col("view_after") - pl.col("view")) * ((h - a) / (b - a))
    return before.join(after, on="item", suffix="_after").select(
        "item", pl.when(a == h).then(pl.col("view")).otherwise((between + 0.5).floor()).cast(pl.Float64).alias("count")
    )


def test_counters_alone(run):
    settings, result = run(["view@2d", "view@end"], counters=pl.DataFrame(VIEWS))
    assert result.success
    store = open_store(settings)
    assert target_names(store) == ["view@2d", "view@end"]
    labels = read_labels(store)
    known = labels.filter(pl.col("known") & (pl.col("target") == "view@2d")).select("item", "count")
    assert len(known) == len(ITEMS) - 1  # one item was followed too briefly
    assert known.sort("item").equals(by_hand(pl.DataFrame(VIEWS), 48).sort("item"))
    ends = labels.filter(pl.col("target") == "view@end")["count"].to_list()
    assert ends == [(number + 1) * (200 if number != 7 else 37) ** 2 for number in range(len(ITEMS))]
    matrix = label_matrix(store, ["v7", "v0"])
    assert matrix.shape == (2, 2) and [bool(value) for value in np.isnan(matrix[0])] == [True, False]
    assert read_popularity(store)["labelled"].all()


def test_events_and_counters_together(run):
    rows = [
        (item, f"u{n}", START + (place + n) * HOUR, "like")
        for place, item in enumerate(ITEMS)
        for n in range(1, 3 + place)
    ]
    events = pl.DataFrame(rows, EVENTS, orient="row")
    settings, result = run(["like@1d", "view@2d"], events=events, counters=pl.DataFrame(VIEWS))
    assert result.success
    labels = read_labels(open_store(settings))
    likes = labels.filter(pl.col("target") == "like@1d")["count"].to_list()
    assert likes == [min(2 + place, 24) for place in range(len(ITEMS))]
    assert set(labels.filter("known")["source"]) == {"events", "interpolated", "counter"}


def test_one_count_without_a_time_per_item(run):
    counts = pl.DataFrame({"item": ITEMS, "view": [10 * place for place in range(len(ITEMS))]})
    settings, result = run(["view@end"], hours="0", publish=False, counters=counts)
    assert result.success
    labels = read_labels(open_store(settings))
    assert labels["count"].to_list() == [10.0 * place for place in range(len(ITEMS))]
    assert labels["label_time"].null_count() == len(ITEMS)


def test_events_alone(run):
    rows = [
        (item, f"u{n}", START + (place + n * n) * HOUR, "comment" if n % 3 else "like")
        for place, item in enumerate(ITEMS)
        for n in range(3 + place % 7)
    ]
    events = pl.DataFrame([*rows, (ITEMS[0], "late", START + 200 * HOUR, "like")], EVENTS, orient="row")
    settings, result = run(["comment@1d", "all@end"], events=events)
    assert result.success
    hours = (pl.col("time") - START) / HOUR - pl.col("item").str.slice(1).cast(pl.Int64)
    by_hand = {
        "comment@1d": events.filter(pl.col("type") == "comment", hours <= 24),
        "all@end": events,
    }
    for target, counted in by_hand.items():
        sizes = dict(counted.group_by("item").len().iter_rows())
        labels = read_labels(open_store(settings)).filter(pl.col("target") == target, pl.col("known"))
        assert len(labels) == len(ITEMS) and set(labels["source"]) == {"events"}
        assert dict(labels.select("item", "count").iter_rows()) == {item: sizes.get(item, 0) for item in ITEMS}


def test_one_snapshot_per_item(run):
    by_item = pl.DataFrame(VIEWS).filter(pl.col("time") <= START + 40 * HOUR).group_by("item")
    counts = by_item.agg(pl.all().sort_by("time").last()).filter(pl.col("item") != "v3")
    settings, result = run(["view@end"], hours="0", counters=counts)
    assert result.success
    known = (
        read_labels(open_store(settings)).filter("known").select("item", pl.col("count").cast(pl.Int64), "label_time")
    )
    assert known.sort("item").rows() == counts.select("item", "view", "time").sort("item").rows()


def test_a_later_snapshot_used_as_label_stops_the_run(run, monkeypatch):
    def last(clocks, timed):
        later = timed.group_by("item", maintain_order=True).last()
        return (
            at_the_horizon(clocks, timed)
            .drop("count")
            .join(
                later.select("item", pl.col("value").cast(pl.Float64).alias("count")),
                on="item",
                how="left",
                maintain_order="left",
            )
        )

    at_the_horizon = labels_of_counters._at_the_horizon
    monkeypatch.setattr(labels_of_counters, "_at_the_horizon", last)
    result = run(["view@2d"], counters=pl.DataFrame(VIEWS))[1]
    failed = {check.check_name: check.metadata for check in result.get_asset_check_evaluations() if not check.passed}
    assert not result.success and list(failed) == ["labels_lie_after_the_window"]
    assert "count differs from the data" in str(failed)


def test_too_few_labels_are_told_with_numbers_and_the_ages_of_the_snapshots(run):
    counts = pl.DataFrame(VIEWS).filter((pl.col("item").is_in(ITEMS[:4])) | (pl.col("time") < START + 40 * HOUR))
    result = run(["view@2d"], counters=counts)[1]
    told = "\n".join(str(event.step_failure_data.error) for event in result.all_events if event.is_step_failure)
    assert (
        "view@2d: 4 of 30 items have a complete window and a known label; at least 10 are needed. The data end at"
        in told
    )
    assert "A label needs a snapshot at its horizon" in told
