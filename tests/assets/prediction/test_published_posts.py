"""The posts of a store in the order of their publication, and a run with a predictor that reads them."""

from __future__ import annotations

import json
from pathlib import Path

import dagster as dg
import numpy as np
import polars as pl
import pytest

from assets.engine.store_access import open_store
from assets.prediction.earlier_posts_check import check_earlier_posts
from assets.prediction.forecast_rows import made_from
from assets.prediction.model_obstacles import read_obstacles
from assets.prediction.published_posts import earlier_posts, posts_are_read
from assets.settings import Settings
from models.predictor_table import predictor_class
from models.predictors import EarlierPosts
from pipeline.settings import load
from tests.assets.conftest import HOUR, QUICK
from tests.assets.metadata.conftest import variables, write_described_set
from tests.models.predictors.posts_world import make_posts

CONTENT = ["*metadata_features", "*author_history", "*text_embeddings", "*visual_embeddings"]
READERS = ["dsn", "dtcn", "multi_view", "ttc_vlt"]


def write_set(folder: Path) -> Path:
    """The described set, where items 32 and 34 have the same time, and an item whose time is unknown."""
    write_described_set(folder)
    videos = pl.read_csv(folder / "videos.csv", schema_overrides={"item": pl.String})
    stranger = pl.DataFrame({"item": ["99"], "title": ["nobody saw it"]})
    pl.concat([videos, stranger], how="diagonal").write_csv(folder / "videos.csv")
    return folder


@pytest.fixture(scope="module")
def folders(tmp_path_factory) -> tuple[Path, Path]:
    return write_set(tmp_path_factory.mktemp("posts")), tmp_path_factory.mktemp("run")


def settings_of(folders: tuple[Path, Path], **environment: str) -> Settings:
    own = {f"REELCAST_{name.upper()}": value for name, value in environment.items()}
    results = {"REELCAST_STORE__RESULTS": str(folders[1] / "results")}
    return load(environment={**QUICK, **variables(folders[0], folders[1] / "store"), **results, **own})


def run(settings: Settings, selection: str | list[str]) -> dg.ExecuteInProcessResult:
    from pipeline.definitions import ASSET_CHECKS, ASSETS

    graph = [*ASSETS, *ASSET_CHECKS]
    return dg.materialize(graph, resources={"settings": settings}, selection=selection)


@pytest.mark.slow
def test_posts_are_in_the_order_of_publication_with_authors_categories_and_local_time(folders):
    settings = settings_of(folders, metadata__time_zone="Asia/Tokyo")
    assert run(settings, CONTENT).success
    store = open_store(settings)
    videos = pl.read_csv(folders[0] / "videos.csv", schema_overrides={"item": pl.String})
    ordered = videos.sort("published_at", nulls_last=True, maintain_order=True)
    earlier = earlier_posts(store, settings, ordered["item"].to_list())
    posts = earlier.posts
    assert earlier.own.tolist() == list(range(len(posts))) and posts.timed == 60
    np.testing.assert_allclose(posts.time[:60], ordered["published_at"].to_numpy()[:60] / HOUR)
    assert [posts.authors[code] if code >= 0 else None for code in posts.author] == ordered["author"].to_list()
    assert posts.categories == (("music", "talk"), ("music/live",))
    paths = [["", *posts.categories[0]][code] for code in posts.category[:, 0]]
    assert paths == [(path or "").split("/")[0] for path in ordered["category"]]
    local = pl.from_epoch("published_at", time_unit="ms").dt.offset_by("9h").dt
    expected = ordered.select(local.month().alias("m"), local.day().alias("d"), local.hour().alias("h")).fill_null(-1)
    np.testing.assert_array_equal(posts.calendar, expected.to_numpy())
    assert np.isnan(posts.content["visual"]).all() and np.isfinite(posts.content["text"]).all()
    words = store.stages()["text_embeddings"].read(items=["7"])["embedding"].to_pylist()[0]
    np.testing.assert_allclose(
        posts.content["text"][ordered["item"].to_list().index("7")], np.mean(words, 0), rtol=1e-3
    )
    # Posts of one time are in the order of the data set, and the samples of all splits share one copy.
    equal = earlier_posts(store, settings, ["34", "32"])
    assert equal.of_anybody(2)[0].tolist() == equal.own[::-1].tolist()
    assert earlier_posts(store, settings, ["1"]).posts is posts


def test_posts_are_read_only_for_a_predictor_that_asks_for_them(folders):
    assert not posts_are_read(settings_of(folders, model__train='["m3tr", "boosting", "stack"]'))
    assert all(posts_are_read(settings_of(folders, model__train=json.dumps([name, "stack"]))) for name in READERS)
    variants = {"alone": {"predictor": "dsn", "title": "DSN, l = 1", "options": {"length": 1}}}
    assert posts_are_read(settings_of(folders, model__variants=json.dumps(variants), model__train='["alone"]'))


def test_a_post_that_was_published_later_is_noticed():
    """The planted leaks: a later time, a later place at an equal time, and another author."""
    posts = make_posts(40)
    earlier, items = EarlierPosts(posts, np.arange(40)), [f"item{row}" for row in range(40)]
    times = [None if np.isnan(time) else round(time * HOUR) for time in posts.time]
    authors = [posts.authors[code] if code >= 0 else None for code in posts.author]
    videos = pl.DataFrame({"item": items, "author": authors, "t0": times})
    assert check_earlier_posts(items, earlier, videos).passed
    fifth = pl.col("item") == "item5"
    for leak in (
        pl.when(fifth).then(pl.col("t0") + 50 * HOUR).otherwise("t0").alias("t0"),
        pl.when(fifth).then(pl.lit("another")).otherwise("author").alias("author"),
    ):
        result = check_earlier_posts(items, earlier, videos.with_columns(leak))
        assert not result.passed and result.metadata["wrong"].value > 0
    equal = videos.with_columns(t0=pl.lit(0))
    assert not check_earlier_posts(items, earlier, equal.reverse()).passed


@pytest.mark.slow
def test_a_run_with_all_of_them_and_what_it_depends_on(tmp_path):
    """A post of no split gets a category: only forecasts of predictors that read earlier posts depend on it."""
    folders = (write_set(tmp_path / "data"), tmp_path)
    settings = settings_of(folders, model__train=json.dumps([*READERS, "boosting", "stack"]), model__seeds="[0]")
    result = run(settings, "*")
    assert result.success
    (checked,) = (check for check in result.get_asset_check_evaluations() if "earlier_posts" in check.check_name)
    assert checked.passed and checked.metadata["posts"].value == 61
    store = open_store(settings)
    rows = {predictor_class(name).title for name in READERS}
    # The set has no frames, which two of them need.
    left_out = set(read_obstacles(store)["title"])
    assert left_out == {"DTCN", "TTC-VLT"}
    assert set(store.table("evaluation").read()["predictor"]) >= rows - left_out
    without = settings_of(folders, model__train='["boosting", "stack"]', model__seeds="[0]")
    before = [made_from(store, either, "train", "test") for either in (settings, without)]
    videos = pl.read_csv(folders[0] / "videos.csv", schema_overrides={"item": pl.String})
    category = pl.when(pl.col("item") == "99").then(pl.lit("talk")).otherwise("category").alias("category")
    videos.with_columns(category).write_csv(folders[0] / "videos.csv")
    assert run(settings, CONTENT).success
    after = [made_from(store, either, "train", "test") for either in (settings, without)]
    assert after[0] != before[0] and after[1] == before[1]
