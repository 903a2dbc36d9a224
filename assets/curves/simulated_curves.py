"""Quantiles of every window's future count from simulated continuations of the fitted process."""

from collections.abc import Iterable, Iterator, Mapping, Sequence

import dagster as dg
import numpy as np
import pyarrow as pa
import torch

from assets.engine.failure_checks import failed_share_check
from assets.engine.pools import ON_THE_DEVICE
from assets.engine.run_stage import run_stage, unchanged_metadata
from assets.engine.skip_unchanged import artifact_marks, skip_unchanged, stage_marks, table_marks
from assets.engine.store_access import open_store
from assets.feedback import temporal_embeddings as windows_stage
from assets.feedback.hawkes_process import fitted_process, item_seeds, load_encoder
from assets.feedback.temporal_embeddings import temporal_embeddings
from assets.ingest.counters import read_counters
from assets.ingest.interactions import read_events
from assets.prediction.predictor_inputs import COLUMNS, Window, WindowFeedback, windows_of_rows
from assets.protocol.horizon_counts import (
    curve_horizons,
    end_of,
    horizon_counts,
    hours_followed,
    simulated_horizons,
)
from assets.protocol.popularity import read_popularity
from assets.protocol.splits import items_of, read_splits
from assets.protocol.target import ALL, MeasuredTarget, measured_targets
from assets.settings import Settings
from models.curves import LEVELS
from models.curves.simulated_growth import SimulatedGrowth
from models.thinning import SimulationError
from storage.arrays import ragged, to_numpy
from storage.fingerprint import Fingerprint
from storage.hashing import content_hash
from storage.rows import Row
from storage.store import Store

NAME = "simulated_curves"
CODE = 1  # raise it when the same inputs give another result
BLOCK = 64  # items that are simulated at once
NOT_SIMULATED = -1.0  # stands for NaN, which a column of arrays may not hold


def payload(targets: int, horizons: int) -> pa.Schema:
    """Return the schema of the stage's columns.

    - `ages`: hours since t = 0 at the end of each of the item's windows.
    - `quantiles`: per window the quantiles of the number of new events, by target, horizon and level; NaN for a target that
      the process does not simulate (stored as `NOT_SIMULATED`).
    - `capped`: per window the share of continuations that stopped at the largest number of events.

    Args:
        targets: T.
        horizons: H.
    """
    return pa.schema(
        [
            pa.field("ages", pa.list_(pa.float64())),
            ragged("quantiles", targets * horizons * len(LEVELS)),
            pa.field("capped", pa.list_(pa.float64())),
        ]
    )


@dg.asset(
    group_name="curves",
    kinds={"parquet"},
    deps=[temporal_embeddings],
    description=__doc__,
    code_version=str(CODE),
    **ON_THE_DEVICE,
)
@skip_unchanged(
    NAME,
    reads=lambda store, settings: [
        *stage_marks(store, windows_stage.NAME),
        *table_marks(store, "interactions", "counters", "popularity", "splits"),
        *artifact_marks(store, "hawkes_process"),
    ],
    makes=lambda store, settings: stage_marks(store, NAME),
    when_skipped=unchanged_metadata,
)
def simulated_curves(context: dg.AssetExecutionContext, settings: Settings) -> dg.MaterializeResult:
    """Continue every window that the curve model reads, `curves.continuations` times, up to the last horizon.

    An item has a missing row if no process was fitted, or if `curves.continuations` is 0.
    """
    store = open_store(settings)
    events, counters, popularity = read_events(store), read_counters(store), read_popularity(store)
    targets = measured_targets(settings.protocol, events, counters)
    horizons = curve_horizons(settings, targets)
    version, _ = fitted_process(store)
    simulator = simulator_of(store, settings, targets)
    sides = dict(read_splits(store).select("item", "split").iter_rows())
    rows = store.stages()[windows_stage.NAME].states().filter(status="ok").select("item", "output_hash")
    followed = dict(
        zip(rows["item"], hours_followed(popularity, rows["item"].to_list(), end_of(settings, events, counters)))
    )
    to_the_end = bool(np.isinf(horizons).any())
    inputs = {
        item: content_hash(digest, sides.get(item), *([followed[item]] if to_the_end else []))
        for item, digest in rows.iter_rows()
    }

    def compute(todo: Sequence[str]) -> Iterable[Row]:
        if simulator is None:
            yield from (Row.missing(item, inputs[item], "no process is simulated") for item in todo)
            return
        stage = store.stages()[windows_stage.NAME]
        places = stage.places(todo)  # every item has a row
        for start in range(0, len(todo), BLOCK):
            block = list(todo[start : start + BLOCK])
            by_item: dict[str, list[Window]] = {item: [] for item in block}
            for window in windows_of_rows(stage.read_places(places[start : start + BLOCK], COLUMNS), block):
                # At these ages training items only serve as keys for queries (`samples_of`).
                is_key = window.younger and sides.get(block[window.row]) == "train"
                if not (is_key and window.held["age_hours"] in settings.protocol.ages):
                    by_item[block[window.row]].append(window)
            yield from _rows(simulator, by_item, followed, settings.process.seed, inputs)

    fingerprint = Fingerprint(
        code=CODE,
        parameters={
            "horizons": horizons.tolist(),
            "targets": [target.name for target in targets],
            "continuations": settings.curves.continuations,
            "simulated": None if simulator is None else simulator.simulated.tolist(),
            "ages": settings.protocol.ages,
            "seed": settings.process.seed,
        },
        model={"process": content_hash(version.inputs_hash, version.fingerprint)},
    )
    stage = store.stage(NAME, payload(len(targets), len(horizons)))
    return run_stage(context, store, settings, stage, inputs=inputs, fingerprint=fingerprint, compute=compute)


def simulator_of(
    store: Store, settings: Settings, targets: Sequence[MeasuredTarget], *, simulated: np.ndarray | None = None
) -> SimulatedGrowth | None:
    """Return the simulator of the fitted process; None without one, without continuations, or if no target counts events.

    Args:
        store: The store.
        settings: The settings.
        targets: The targets.
        simulated: (H,) bool, the horizons up to which the process is continued. None: found from the training items.
    """
    version, fitted = fitted_process(store)
    encoder = load_encoder(version)
    if encoder is None or not encoder.process.simulates or not settings.curves.continuations:
        return None
    counted = np.array(
        [[target.source == "events" and target.metric in (ALL, kind) for kind in fitted["types"]] for target in targets]
    )
    if not counted.any():
        return None
    horizons = curve_horizons(settings, targets)
    if simulated is None:
        simulated = simulated_horizons(settings, targets, _training_counts(store, settings, targets, horizons))
    return SimulatedGrowth(encoder.process, counted, horizons, simulated, settings.curves.continuations)


def _training_counts(
    store: Store, settings: Settings, targets: Sequence[MeasuredTarget], horizons: np.ndarray
) -> np.ndarray:
    """Return the counts of the training items at every horizon, (n, T, H)."""
    events, counters, training = read_events(store), read_counters(store), items_of(read_splits(store), "train")
    as_of, popularity = end_of(settings, events, counters), read_popularity(store)
    return horizon_counts(events, counters, popularity, targets, horizons, as_of=as_of, items=training).count


def _rows(
    simulator: SimulatedGrowth,
    windows: Mapping[str, Sequence[Window]],
    followed: Mapping[str, float],
    seed: int,
    inputs: Mapping[str, str],
) -> Iterator[Row]:
    """Yield the rows of some items; if a window cannot be simulated, each item is tried alone, so that only it fails."""
    flat = [(item, window) for item, own in windows.items() for window in own]
    try:
        quantiles, capped = simulate_windows(
            simulator,
            [item for item, _ in flat],
            [window for _, window in flat],
            followed=np.array([followed[item] for item, _ in flat]),
            seed=seed,
        )
    except SimulationError as error:
        if len(windows) == 1:
            yield from (Row.failed(item, inputs[item], error) for item in windows)
            return
        for item, own in windows.items():
            yield from _rows(simulator, {item: own}, followed, seed, inputs)
        return
    start = 0
    for item, own in windows.items():
        part = slice(start, start + len(own))
        start += len(own)
        yield Row.ok(
            item,
            inputs[item],
            {
                "ages": [float(window.held["age_hours"]) for window in own],
                "quantiles": np.nan_to_num(quantiles[part], nan=NOT_SIMULATED).reshape(len(own), -1),
                "capped": capped[part].tolist(),
            },
        )


def simulate_windows(
    simulator: SimulatedGrowth,
    items: Sequence[str],
    windows: Sequence[Window],
    *,
    followed: np.ndarray,
    seed: int,
) -> tuple[np.ndarray, np.ndarray]:
    """Return the quantiles of some windows (n, T, H, Q), and the shares of capped continuations (n,).

    Args:
        simulator: The simulator.
        items: Id of each window's item.
        windows: The windows.
        followed: (n,) hours from each item's t = 0 to the end of the data.
        seed: Seed that all items share. A window's continuations depend on it, the item and the window's age alone.
    """
    seeds = item_seeds([f"{item}@{float(window.held['age_hours'])!r}" for item, window in zip(items, windows)], seed)
    feedback = WindowFeedback(windows).take(torch.arange(len(windows)))
    return simulator.quantiles(feedback, seeds=seeds, ends=followed)


simulated_curves_failed_share = failed_share_check(simulated_curves, NAME)


def read_simulated(store: Store, items: Sequence[str], ages: Sequence[float], shape: tuple[int, int]) -> np.ndarray:
    """Return the stored quantiles of n windows, (n, T, H, Q); NaN where there are none.

    Args:
        store: The store.
        items: Id of each window's item.
        ages: (n,) hours since t = 0 at the end of each window.
        shape: (T, H).
    """
    values = np.full((len(items), *shape, len(LEVELS)), np.nan)
    stage = store.stage(NAME, payload(*shape))
    rows = stage.read(items=list(dict.fromkeys(items)), columns=["ages", "quantiles"])
    held = {
        (item, age): quantiles
        for item, own, table in zip(rows["item"].to_pylist(), rows["ages"].to_pylist(), to_numpy(rows, "quantiles"))
        for age, quantiles in zip(own, table)
    }
    for row, key in enumerate(zip(items, ages, strict=True)):
        if key in held:
            values[row] = held[key].reshape(*shape, -1)
    return np.where(values == NOT_SIMULATED, np.nan, values)
