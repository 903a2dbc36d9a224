"""A small data set in the plain layout, quick settings over it, and a store of what encoders read."""

import json
import os
from collections.abc import Callable
from pathlib import Path

import dagster as dg
import numpy as np
import polars as pl
import pytest

from assets.encoding.encoder_choice import release
from assets.engine.media_tasks import encode_jpeg
from assets.engine.store_access import open_store
from assets.sampling import audio, frames
from assets.settings import Settings
from pipeline.settings import load
from storage.rows import Row

HOUR = 3_600_000
START = 1_780_000_000_000
ITEMS = [str(number) for number in range(1, 13)]
BRIGHT = "5"  # the one video whose frames are all white
SILENT = "7"


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
    "REELCAST_PROCESS__YOUNGER": "2",
    "REELCAST_MODEL__DIM": "8",
    "REELCAST_MODEL__MAX_EPOCHS": "2",
    "REELCAST_MODEL__SEEDS": json.dumps([0, 1]),
    "REELCAST_MODEL__TRAIN": json.dumps(["m3tr"]),
    "REELCAST_RETRIEVAL__NEIGHBOURS": "3",
    "REELCAST_CURVES__CONTINUATIONS": "4",
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
        from pipeline.definitions import ASSET_CHECKS, ASSETS

        graph = [*ASSETS, *ASSET_CHECKS]
        return dg.materialize(graph, resources={"settings": settings}, selection=selection, raise_on_error=False)

    return run


@pytest.fixture(scope="session")
def tiny_cache(tmp_path_factory):
    os.environ["HF_HUB_OFFLINE"] = "1"
    return tmp_path_factory.mktemp("cache")


@pytest.fixture
def tiny(settings_of, tiny_cache, monkeypatch):
    """Settings with tiny models over a store that holds the frames and the sound of twelve videos."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tiny_cache))
    rng = np.random.default_rng(0)

    def make(**environment):
        given = {"encoders__profile": "tiny", "encoders__device": "cpu", "sampling__frames": "3"}
        settings = settings_of(**(given | environment))
        store = open_store(settings)
        pictures = {item: rng.integers(0, 200, (3, 24, 32, 3), dtype=np.uint8) for item in ITEMS}
        pictures[BRIGHT][:] = 255
        rows = [
            Row.ok(
                item,
                item,
                {
                    "frames": [encode_jpeg(picture, 92) for picture in pictures[item]],
                    "timestamps": [0.0, 1.0, 2.0],
                    "indices": [0, 1, 2],
                    "hashes": [1, 3, 2**40],
                    "damage": None,
                },
            )
            for item in ITEMS
        ]
        store.stage(frames.NAME, frames.PAYLOAD).commit(rows, fingerprint="frames")
        sound = [(rng.standard_normal(16000) * 3000).astype("<i2").tobytes() for _ in range(3)]
        heard = [
            Row.missing(item, item, "no audio track")
            if item == SILENT
            else Row.ok(item, item, {"segments": sound, "rate": 16000, "damage": None})
            for item in ITEMS
        ]
        store.stage(audio.NAME, audio.PAYLOAD).commit(heard, fingerprint="audio")
        return settings

    yield make
    for role in ("visual", "acoustic", "captions", "sounds"):
        release(role)
