"""What each trained row costs: parameters, seconds of training, peak memory."""

from __future__ import annotations

import polars as pl

from assets.prediction.trained_models import NAME as MODEL
from storage.store import Store

SCHEMA = {
    "predictor": pl.String,
    "parameters": pl.Int64,
    "training_seconds": pl.Float64,
    "peak_memory_mb": pl.Float64,
}


def model_artifacts(store: Store) -> list[str]:
    """Return the names of the artifacts that hold models."""
    return [name for name in store.names("artifacts") if name.startswith(f"{MODEL}_")]


def training_costs(store: Store) -> pl.DataFrame:
    """Return the costs of the models in service, averaged over their seeds; see `SCHEMA`."""
    rows = []
    for name in model_artifacts(store):
        version = store.artifact(name).current()
        facts = {} if version is None else version.metadata
        if "title" in facts:  # models of earlier versions of this project recorded none of this
            rows.append([facts["title"], facts["parameters"], facts["seconds"], facts["peak_memory_mb"]])
    frame = pl.DataFrame(rows, schema=SCHEMA, orient="row")
    return frame.group_by("predictor", maintain_order=True).agg(
        pl.col("parameters").max(), pl.col("training_seconds").mean(), pl.col("peak_memory_mb").max()
    )
