"""The leaderboard of recommenders: rows, kept fits, and the printed numbers beside."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from assets.audience.exposures import Exposures
from assets.audience.user_histories import keep_histories
from assets.engine.store_access import open_store
from assets.reports.document import Grid, Heading
from assets.reports.recommendation_blocks import recommendation_blocks
from assets.reports.recommendation_leaderboard import report_recommenders
from assets.reports.recommendation_runs import AMONG_ALL, run_recommenders, variants
from assets.settings import Audience, Settings, Store
from storage.datasets.exposure_log import ExposureLog
from tests.models.recommenders.interest_world import make_world

OPTIONS = {"bpr": {"width": 4, "epochs": 1}, "mtin": {"width": 4, "epochs": 1, "groups": 3}}


@pytest.fixture(scope="module")
def world():
    return make_world(users=8, items=40, topics=5, interests=2, exposures=30, width=4)


def run(world, names, **kwargs):
    return run_recommenders(
        variants(names, OPTIONS), world.histories, world.features, world.split, made_of="world", **kwargs
    )


def test_mtin_comes_with_its_variants():
    rows = {row.title: dict(row.options) for row in variants(["mtin"], OPTIONS)}
    assert list(rows) == ["MTIN", "MTIN-P", "MTIN-I"]
    assert rows["MTIN-P"]["memory"] == "shared"
    assert (rows["MTIN-I"]["groups"], rows["MTIN-I"]["skip_groups"]) == (1, 3)


def test_a_fit_that_is_kept_is_not_repeated(world):
    told: list[str] = []
    first = run(world, ["bpr"], seeds=[0], told=told.append)
    again = run(world, ["bpr"], seeds=[0, 1], done=first, told=told.append)
    assert [sentence.split(":")[0] for sentence in told] == ["BPR, seed 0", "BPR, seed 1"]
    assert again.filter(pl.col("seed") == 0).equals(first)


def test_a_model_that_cannot_be_fitted_is_named(world):
    told: list[str] = []
    bare = type(world.features)()
    frame = run_recommenders(
        variants(["bpr"], {}), world.histories, bare, world.split, seeds=[0], made_of="bare", told=told.append
    )
    assert frame.is_empty()
    assert told == ["BPR: left out, the items have no features; the option ids = true gives each a learned vector"]


def test_the_report_has_intervals_filtered_shares_and_printed_numbers(world):
    frame = run(world, ["bpr", "mtin"], seeds=[0, 1])
    blocks = recommendation_blocks(frame)
    grids = {block.text: blocks[place + 1 :] for place, block in enumerate(blocks) if isinstance(block, Heading)}
    table = next(block for block in grids["Each user's test exposures among themselves"] if isinstance(block, Grid))
    areas = frame.filter(pl.col("metric") == "AUC global", pl.col("name") == "BPR")["value"].to_numpy()
    row = next(row for row in table.rows if row[0] == "BPR")
    assert row[1].startswith(f"{np.mean(areas):.4f} ± ")
    filtered = next(block for block in grids["Clicks that MTIN's routing filters"] if isinstance(block, Grid))
    assert {row[0] for row in filtered.rows} == {"MTIN", "MTIN-P", "MTIN-I"}
    printed = next(block for block in grids["Numbers that MTIN prints"] if isinstance(block, Grid))
    assert ["BPR", "MicroVideo-1.7M", "0.583", "0.241", "0.181", "0.206", "1"] in printed.rows
    assert all(row[-1] == "" for row in printed.rows if row[0] == "MTIN")
    assert (frame["metric"] == f"{AMONG_ALL}NDCG@10").any()


def test_a_stores_histories_are_compared_and_a_second_call_fits_nothing(world, tmp_path):
    settings = Settings(
        store=Store(path=str(tmp_path / "store"), results=str(tmp_path / "results")),
        audience=Audience(train=["bpr"], options={"bpr": OPTIONS["bpr"]}),
    )
    keep_world(settings, world)
    told: list[str] = []
    for _ in range(2):
        frame = report_recommenders(settings, names=["bpr"], seeds=[0], told=told.append)
    assert [sentence.split(":")[0] for sentence in told] == ["BPR, seed 0"]
    expected = run(world, ["bpr"], seeds=[0]).filter(pl.col("metric") == "AUC global")["value"].item()
    assert frame.filter(pl.col("metric") == "AUC global")["value"].item() == pytest.approx(expected, abs=0.01)
    assert "| BPR |" in (settings.results_folder() / "recommendation_leaderboard.md").read_text(encoding="utf-8")


def keep_world(settings: Settings, world) -> None:
    """Put a world's histories into the store, as a log with vectors of its own."""
    histories = world.histories
    users = np.repeat(histories.users, np.diff(histories.start))
    frame = pl.DataFrame(
        {
            "user": users,
            "item": histories.items[histories.item],
            "time": histories.time,
            "clicked": histories.clicked,
            "observed": np.zeros(len(users), bool),
        }
    )
    vectors = {"all": (histories.items.tolist(), world.features.vectors["visual"].astype(np.float16))}
    log = ExposureLog(Path("log.csv"), "table", frame, "click", 1.0, features=vectors)
    with open_store(settings).artifact("user_histories").new(inputs_hash="a", fingerprint="b", metadata={}) as folder:
        keep_histories(folder, Exposures(frame, histories.items.tolist(), log))
