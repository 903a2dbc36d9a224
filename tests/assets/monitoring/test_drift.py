"""The check for drift over the tables and packs of a store: planted drift is found, and none is found without."""

import dagster as dg
import numpy as np
import polars as pl
import pyarrow as pa
import pytest

from assets.embeddings import acoustic_embeddings, retrieval_vectors, text_embeddings, visual_embeddings
from assets.engine.store_access import open_store
from assets.feedback import temporal_embeddings
from assets.monitoring.drift import drift, nothing_drifted
from assets.monitoring.forecast_scores import read_scores
from storage.arrays import fixed
from storage.rows import Row

STAGES = {
    "visual": visual_embeddings.NAME,
    "acoustic": acoustic_embeddings.NAME,
    "text": text_embeddings.NAME,
    "temporal": temporal_embeddings.NAME,
    "content": retrieval_vectors.NAME,
}
ITEMS = [f"{number:03d}" for number in range(300)]  # in the order of publication; the last 100 are the newest
NEW = slice(200, 300)


def write(store, name: str, frame: pl.DataFrame) -> None:
    store.table(name).write(frame, inputs_hash="i", fingerprint="f")


@pytest.fixture
def judge(settings_of):
    """Write a store in which one quantity of the newest items is moved, and return the row of the check."""

    def run(moved: str | None) -> dict[str, object]:
        settings = settings_of(monitoring__newest="100")
        store, random = open_store(settings), np.random.default_rng(0)
        events, labels, errors = random.poisson(20, 300), random.normal(size=300), random.normal(size=300)
        for name, values, by in (("events", events, 6), ("label", labels, 1.0), ("error", errors, 1.0)):
            values[NEW] += by if moved == name else 0
        is_training = np.arange(300) < 200
        items = pl.DataFrame({"item": ITEMS})
        windows = items.with_columns(t0=pl.int_range(300), window_complete=True, observed_events=pl.Series(events))
        write(store, "popularity", windows)
        write(store, "splits", items.with_columns(split=pl.Series(np.where(is_training, "train", "test"))))
        known = items.with_columns(target=pl.lit("comment@7d"), value=pl.Series(labels), known=True)
        write(store, "labels", known)
        for modality, stage in STAGES.items():
            vectors = random.normal(size=(300, 6)).astype(np.float32)
            vectors[NEW, 2] += 2.0 if moved == modality else 0.0
            rows = [Row.ok(item, "h", {"embedding": vector}) for item, vector in zip(ITEMS, vectors)]
            if moved == "silence" and modality == "acoustic":
                rows[250:] = [Row.missing(item, "h", "no sound") for item in ITEMS[250:]]
            store.stage(stage, pa.schema([fixed("embedding", [6])])).commit(rows, fingerprint="f")
        scored = items.with_columns(
            forecast="item", target_name=pl.lit("comment@7d"), source=pl.lit("predictions"), window_complete=True,
            label_time=pl.int_range(300), error=pl.Series(errors),
        )  # fmt: skip
        write(store, "forecast_scores", pl.concat([read_scores(store), scored], how="diagonal_relaxed"))
        result = dg.materialize([drift, nothing_drifted], resources={"settings": settings})
        (check,) = result.get_asset_check_evaluations()
        assert check.severity == dg.AssetCheckSeverity.WARN
        (made,) = result.asset_materializations_for_node("drift")
        return {"passed": check.passed, **{name: value.value for name, value in made.metadata.items()}}

    return run


def test_without_drift_nothing_warns(judge):
    found = judge(None)
    assert found["passed"] and found["drifted"] == 0 and found["drifted_quantities"] == []
    assert found["tests"] == 1 + 1 + 5 * (1 + 7) + 1
    assert 0 < found["distance_visual"] < 0.3


@pytest.mark.parametrize(
    ("moved", "told"),
    [
        ("label", "label comment@7d"),
        ("error", "error comment@7d, predictions"),
        ("visual", "visual, direction"),
        ("silence", "acoustic, has it"),
    ],
)
def test_planted_drift_is_found_and_named(judge, moved, told):
    found = judge(moved)
    assert not found["passed"]
    assert all(line.startswith(told.split(",")[0]) for line in found["drifted_quantities"])
    assert found["drifted_quantities"][0].startswith(told)


def test_too_few_items_are_not_tested(judge, settings_of):
    judge(None)
    store = open_store(settings_of())
    splits = store.table("splits").read()
    write(
        store,
        "splits",
        splits.with_columns(split=pl.when(pl.col("item") < "285").then(pl.lit("train")).otherwise("split")),
    )
    result = dg.materialize([drift], resources={"settings": settings_of(monitoring__newest="100")})
    (made,) = result.asset_materializations_for_node("drift")
    assert made.metadata["tests"].value == 1  # the errors of past forecasts
