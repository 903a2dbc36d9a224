"""Fits of recommenders on one split, several seeds each, with their metrics on the same test exposures."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import polars as pl
import torch

from models.determinism import deterministic
from models.recommender_table import recommender_class
from models.recommenders import HistorySplit, ItemFeatures, UserHistories
from models.recommenders.held_out_metrics import metrics_of_clicks, metrics_of_exposures
from storage.hashing import content_hash

SCHEMA = {
    "key": pl.String,
    "name": pl.String,
    "seed": pl.Int64,
    "metric": pl.String,
    "value": pl.Float64,
    "users": pl.Int64,
    "left_out": pl.Int64,
}
AMONG_ALL = "of all items: "  # begins the names of metrics of rankings of all items


class Variant(NamedTuple):
    """A row of the table.

    Attributes:
        title: Its title.
        name: Name of the recommender in `models.recommender_table`.
        options: Its hyper-parameters.
    """

    title: str
    name: str
    options: Mapping[str, Any]


def variants(names: Sequence[str], options: Mapping[str, Mapping[str, Any]]) -> list[Variant]:
    """Return the rows of recommenders; with "mtin" come MTIN-P and MTIN-I (MTIN figure 5).

    Args:
        names: Names in `models.recommender_table`.
        options: Hyper-parameters per name.

    Example:
        >>> [variant.title for variant in variants(["bpr", "mtin"], {})]
        ['BPR', 'MTIN', 'MTIN-P', 'MTIN-I']
    """
    rows = []
    for name in names:
        given = dict(options.get(name, {}))
        rows.append(Variant(recommender_class(name).title, name, given))
        if name == "mtin":
            skip_groups = given.get("skip_groups") or given.get("groups", recommender_class(name)().config.groups)
            rows.append(Variant("MTIN-P", name, given | {"memory": "shared"}))
            rows.append(Variant("MTIN-I", name, given | {"groups": 1, "skip_groups": skip_groups}))
    return rows


def run_recommenders(
    rows: Sequence[Variant],
    histories: UserHistories,
    features: ItemFeatures,
    split: HistorySplit,
    *,
    seeds: Sequence[int],
    made_of: str,
    done: pl.DataFrame | None = None,
    rank_all: bool = True,
    device: torch.device | str = "cpu",
    keep: Callable[[pl.DataFrame], None] | None = None,
    told: Callable[[str], None] | None = None,
) -> pl.DataFrame:
    """Fit every row with every seed and return its metrics on the test exposures.

    All rows have the users' training exposures as histories. Two rankings are scored: each user's test exposures among
    themselves, as in MTIN's table 2, and each test click among all items.

    Args:
        rows: The rows.
        histories: The histories.
        features: Content of the items.
        split: The division of the exposures.
        seeds: Seeds of the fits.
        made_of: Hash of histories, features and split.
        done: Rows of earlier calls; fits that are among them are not repeated.
        rank_all: Whether all items are ranked, which takes as many scores as users times items.
        device: Device to fit on.
        keep: Function to call with all rows so far after each fit.
        told: Function to call with a sentence per fit.

    Returns:
        One row per variant, seed and metric, `SCHEMA`; only those of this call's fits. "parameters" and "seconds" are
        among the metrics, and further numbers that a model reports.
    """
    frame = pl.DataFrame(schema=SCHEMA) if done is None else done
    keys = []
    for row in rows:
        kind = recommender_class(row.name)
        for seed in seeds:
            key = content_hash([row.title, row.name, dict(row.options), kind.code, seed, made_of, rank_all])
            keys.append(key)
            if key in frame["key"]:
                continue
            model = kind.from_options(row.options)
            if obstacle := model.obstacle(histories, features):
                if told is not None:
                    told(f"{row.title}: left out, {obstacle}")
                break
            with deterministic():
                report = model.fit(histories, features, split, seed=seed, device=device)
            parts = [("", metrics_of_exposures(model, histories, features, split, device=device))]
            if rank_all:
                parts.append((AMONG_ALL, metrics_of_clicks(model, histories, features, split, device=device)))
            values = [
                (f"{prefix}{metric}", value, part.users, part.left_out)
                for prefix, part in parts
                for metric, value in part.values.items()
            ]
            further = {"parameters": report.parameters, "seconds": report.seconds, **report.further}
            values += [(name, value, 0, 0) for name, value in further.items() if isinstance(value, int | float)]
            own = [(key, row.title, seed, metric, float(value), *counts) for metric, value, *counts in values]
            frame = pl.concat([frame, pl.DataFrame(own, schema=SCHEMA, orient="row")])
            if keep is not None:
                keep(frame)
            if told is not None:
                told(f"{row.title}, seed {seed}: AUC {parts[0][1].values['AUC global']:.4f}, {report.seconds:.0f} s")
    return frame.filter(pl.col("key").is_in(keys))
