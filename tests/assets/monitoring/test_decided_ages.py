"""How early a forecast is precise enough."""

import dagster as dg
import polars as pl
import pytest

from assets.engine.store_access import open_store
from assets.monitoring.decided import decided
from assets.monitoring.decided_ages import WHOLE, decided_ages, decided_shares, describe_shares, shares_in_words

AGES = [1.0, 3.0, None]


def curves(**ratios: list[float]) -> pl.DataFrame:
    """Return intervals of the given ratios at each age, around an observed count of 9."""
    rows = [
        {"item": item, "target_name": "comment@7d", "age_hours": age, "q10": 4.0, "q90": 5 * ratio - 1, "observed": 9.0}
        for item, own in ratios.items()
        for age, ratio in zip(AGES, own)
    ]
    return pl.DataFrame(rows, schema_overrides={"age_hours": pl.Float64})


def test_the_interval_must_stay_narrow():
    table = decided_ages(curves(early=[3, 3, 2], late=[5, 3, 2], wider_again=[3, 6, 2], never=[9, 8, 4]), ratio=4.0)
    assert table.select("item", "decided", "decided_at", "age_hours", "ratio").rows() == [
        ("early", True, "1 h", 1.0, 3.0),
        ("late", True, "3 h", 3.0, 3.0),
        ("never", False, None, None, 4.0),
        ("wider_again", True, WHOLE, None, 2.0),
    ]


def test_decided_intervals_are_held_to_what_was_counted():
    frame = curves(right=[3, 3, 2], wrong=[1.2, 1.2, 1.2], unknown=[3, 3, 2])
    frame = frame.with_columns(pl.when(pl.col("item") != "unknown").then("observed").alias("observed"))
    covered = dict(decided_ages(frame, ratio=4.0).select("item", "coverage_80").iter_rows())
    assert covered == {"right": 1.0, "wrong": 0.0, "unknown": None}


def test_shares_grow_with_the_age():
    frame = curves(early=[3, 3, 2], late=[5, 3, 2], never=[9, 8, 4], other=[9, 8, 3])
    shares = decided_shares(decided_ages(frame, ratio=4.0), frame)
    assert shares.select("age", "items", "share").rows() == [("1 h", 4, 0.25), ("3 h", 4, 0.5), (WHOLE, 4, 0.75)]
    (line,) = describe_shares(shares, ratio=4.0)
    assert line == (
        "comment@7d: share of 4 test items whose 80 % interval stays within a factor of 4, by the age from which it does: "
        "25% (1 h), 50% (3 h), 75% (whole window)"
    )


@pytest.mark.parametrize("ratio", [1.5, 4.0, 100.0])
def test_an_item_is_decided_at_most_once(ratio):
    frame = curves(a=[3, 3, 2], b=[5, 3, 2])
    assert decided_ages(frame, ratio=ratio)["item"].to_list() == ["a", "b"]


def test_the_stage_reads_the_curves_at_the_targets_horizon(settings_of):
    settings = settings_of(monitoring__decided_ratio="4")
    store = open_store(settings)
    assert shares_in_words(store, settings) == []
    at = curves(early=[3, 3, 2], never=[9, 8, 4]).with_columns(horizon_hours=168.0)
    sooner = curves(early=[1, 1, 1], never=[1, 1, 1]).with_columns(horizon_hours=24.0)
    store.table("curve_items").write(pl.concat([sooner, at]), inputs_hash="i", fingerprint="f")
    result = dg.materialize([decided], resources={"settings": settings})
    (made,) = result.asset_materializations_for_node("decided")
    shares = {name: value.value for name, value in made.metadata.items() if name.startswith("share_")}
    assert shares == {"share_1_h": 0.5, "share_3_h": 0.5, "share_whole_window": 0.5}
    assert made.metadata["decided_coverage_80"].value == 1.0
    assert shares_in_words(store, settings)[0].endswith("50% (1 h), 50% (3 h), 50% (whole window)")
