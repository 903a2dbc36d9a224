"""A data set with authors, categories, hashtags and a common hour, and the settings of a run over it."""

import shutil
from collections.abc import Callable
from pathlib import Path

import dagster as dg
import polars as pl
import pytest

from assets.settings import Settings
from pipeline.settings import load
from tests.assets.conftest import HOUR, QUICK, write_plain_set

GROUP = ["metadata_features", "author_history", "window_columns"]


def write_described_set(folder: Path) -> Path:
    """The plain set with metadata and counters; items 1 and 2 have an author and a hashtag of their own, item 3 no author."""
    write_plain_set(folder)
    number = pl.col("item").cast(pl.Int64)
    own = pl.when(number < 3).then(pl.concat_str(pl.lit("own"), "item"))
    videos = pl.read_csv(folder / "videos.csv", schema_overrides={"item": pl.String}).with_columns(
        own.otherwise(pl.when(number > 3).then(pl.format("a{}", number % 3))).alias("author"),
        pl.when(number % 2 == 1).then(pl.lit("music/live")).otherwise(pl.lit("talk")).alias("category"),
        pl.format(
            "{} #{}", "title", pl.when(number % 4 == 0).then(pl.lit("Fun")).otherwise(own.fill_null("all"))
        ).alias("title"),
    )
    videos.write_csv(folder / "videos.csv")
    snapshots = [
        (item, published + hours * HOUR, 10 * hours + place)
        for place, (item, published) in enumerate(videos.select("item", "published_at").iter_rows())
        for hours in (2, 6, 30)
    ]
    pl.DataFrame(snapshots, schema=["item", "time", "view"], orient="row").write_csv(folder / "counters.csv")
    return folder


@pytest.fixture(scope="session")
def described_set(tmp_path_factory) -> Path:
    return write_described_set(tmp_path_factory.mktemp("described"))


@pytest.fixture(scope="session")
def first_run(described_set, tmp_path_factory) -> Path:
    """The store of one run up to the window columns; not to be changed by a test."""
    from pipeline.definitions import ASSET_CHECKS, ASSETS

    store = tmp_path_factory.mktemp("first") / "store"
    settings = load(environment={**QUICK, **variables(described_set, store)})
    graph = [*ASSETS, *ASSET_CHECKS]
    assert dg.materialize(graph, resources={"settings": settings}, selection="*window_columns").success
    return store


def variables(data: Path, store: Path) -> dict[str, str]:
    return {
        "REELCAST_DATA__FOLDER": str(data),
        "REELCAST_STORE__PATH": str(store),
        "REELCAST_PROTOCOL__HORIZON_HOURS": "48",
        "REELCAST_METADATA__MIN_COUNT": "2",
    }


@pytest.fixture
def described(described_set, first_run, tmp_path) -> Callable[..., Settings]:
    """Settings over the described set and a copy of the first run's store."""
    shutil.copytree(first_run, tmp_path / "store")

    def make(**environment: str) -> Settings:
        own = {f"REELCAST_{name.upper()}": value for name, value in environment.items()}
        return load(environment={**QUICK, **variables(described_set, tmp_path / "store"), **own})

    return make
