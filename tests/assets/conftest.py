"""A small data set of feedback and titles in the plain form, and quick settings over it."""

import json
from collections.abc import Callable
from pathlib import Path

import dagster as dg
import numpy as np
import polars as pl
import pytest

from assets.settings import Settings
from pipeline.settings import load

HOUR = 3_600_000
START = 1_780_000_000_000


def write_plain_set(folder: Path, *, items: int = 60, seed: int = 0) -> Path:
    """Feedback of `items` items over 9 days: a burst whose size and decay depend on the title's word."""
    rng = np.random.default_rng(seed)
    videos, events = [], []
    for number in range(1, items + 1):
        published = START + int(rng.uniform(0, 20 * 24)) * HOUR
        big = number % 2
        videos.append((str(number), f"{'big dance' if big else 'small talk'} {number}", published))
        hours = np.sort(rng.exponential(20.0 + 30.0 * big, size=int(rng.poisson(10 + 25 * big)) + 3))
        events += [
            (
                str(number),
                f"u{rng.integers(50)}",
                "comment" if rng.random() < 0.6 else "like",
                published + int(hour * HOUR),
            )
            for hour in hours
        ]
    events.append(("1", "late", "like", START + 60 * 24 * HOUR))  # the data's clock runs on: every label is known
    folder.mkdir(parents=True, exist_ok=True)
    pl.DataFrame(videos, schema=["item", "title", "published_at"], orient="row").write_csv(folder / "videos.csv")
    pl.DataFrame(events, schema=["item", "user", "type", "time"], orient="row").write_csv(folder / "events.csv")
    return folder


QUICK = {
    "REELCAST_PROCESS__HIDDEN": "4",
    "REELCAST_PROCESS__STATE": "2",
    "REELCAST_PROCESS__MAX_EPOCHS": "2",
    "REELCAST_PROCESS__LENGTH": "8",
    "REELCAST_MODEL__DIM": "8",
    "REELCAST_MODEL__MAX_EPOCHS": "2",
    "REELCAST_MODEL__SEEDS": json.dumps([0, 1]),
    "REELCAST_RETRIEVAL__NEIGHBOURS": "3",
    "REELCAST_RUN__WORKERS": "1",
}


@pytest.fixture(scope="session")
def plain_set(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The data set's folder; not to be changed by a test."""
    return write_plain_set(tmp_path_factory.mktemp("plain"))


@pytest.fixture
def settings_of(tmp_path: Path, plain_set: Path) -> Callable[..., Settings]:
    """Quick settings over the plain set, with a store of the test's own; keyword arguments are environment variables."""

    def make(**environment: str) -> Settings:
        given = {
            "data__folder": str(plain_set),
            "store__path": str(tmp_path / "store"),
            "store__results": str(tmp_path / "results"),
        }
        given |= environment
        variables = {f"REELCAST_{name.upper()}": value for name, value in given.items()}
        return load(file=None, environment={**QUICK, **variables})

    return make


@pytest.fixture
def materialise() -> Callable[..., dg.ExecuteInProcessResult]:
    """Run the graph, or a selection of it, as Dagster does."""

    def run(settings: Settings, selection: str | list[str] = "*") -> dg.ExecuteInProcessResult:
        from pipeline.definitions import STAGES

        graph = [*dg.load_assets_from_modules(STAGES), *dg.load_asset_checks_from_modules(STAGES)]
        return dg.materialize(graph, resources={"settings": settings}, selection=selection, raise_on_error=False)

    return run
