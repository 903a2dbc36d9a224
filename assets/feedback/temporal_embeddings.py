"""Up to L rows per item that embed its observed feedback, completed by simulation (X^s in M3TR, section 3.2)."""

from collections.abc import Iterable, Mapping, Sequence

import dagster as dg
import numpy as np
import polars as pl
import pyarrow as pa
import torch

from assets.engine.failure_checks import failed_share_check
from assets.engine.pools import ON_THE_DEVICE
from assets.engine.run_stage import run_stage, unchanged_metadata
from assets.engine.skip_unchanged import artifact_marks, skip_unchanged, stage_marks, table_marks, verdict_stands
from assets.engine.store_access import open_store
from assets.feedback.flat_windows import FlatWindows
from assets.feedback.hawkes_process import fitted_process, hawkes_process, item_seeds, load_encoder
from assets.feedback.younger_windows import YOUNGER, windows_of, younger_ages
from assets.ingest.interactions import read_events
from assets.protocol.observation import HOUR_MS
from assets.protocol.popularity import read_popularity
from assets.protocol.process_inputs import Sequences, observed_sequences
from assets.protocol.splits import read_splits
from assets.settings import Process, Settings
from models.single_thinning import Simulator
from models.temporal import RowlessEncoder, TemporalEncoder
from models.thinning import SimulationError
from storage.arrays import fixed, ragged
from storage.artifact_version import ArtifactVersion
from storage.fingerprint import Fingerprint
from storage.hashing import content_hash
from storage.rows import Row

NAME = "temporal_embeddings"
CODE = 4  # raise it when the same inputs give another result
BLOCK = 128  # items whose windows are completed at once
# Windows that are simulated at once: a step makes one proposal per window, and 1,000 take hardly longer than 100.
SIMULATED_AT_ONCE = 1024
CHECKED_AT_ONCE = 4096  # items
CHECKED = ("observed", "total", "age_hours", "times", "younger")


def payload(length: int, width: int) -> pa.Schema:
    """Return the schema of the stage's columns; times are in hours since t = 0.

    - `embedding`: (length, width), of which the first `rows` rows are real; none if nothing was observed or no process fitted.
    - `log_likelihood`: of the observed events, over `used_hours`.
    - `observed`, `simulated`: number of events of each kind in the completed sequence.
    - `total`: events observed in the window, used or not.
    - `age_hours`: how long the item was observed.
    - `used_hours`: length of the interval that the used events cover completely.
    - `window_hours`: planned length of the window.
    - `times`, `types`: the completed sequence, first the observed events, then the simulated ones.
    - `younger`: a labelled item's window as it was at younger ages, with the same fields.
    - `younger_hours`: ages of these windows, in the same order.
    - `younger_keys`: means of these windows' rows, for retrieval; zeros if nothing had been observed.

    Args:
        length: L, number of rows.
        width: Columns of a row.
    """
    return pa.schema(
        [
            fixed("embedding", (length, width), "float32"),
            pa.field("rows", pa.int32()),
            pa.field("log_likelihood", pa.float64()),
            pa.field("observed", pa.int32()),
            pa.field("simulated", pa.int32()),
            pa.field("total", pa.int64()),
            pa.field("age_hours", pa.float64()),
            pa.field("used_hours", pa.float64()),
            pa.field("window_hours", pa.float64()),
            pa.field("times", pa.list_(pa.float64())),
            pa.field("types", pa.list_(pa.int32())),
            pa.field("younger", YOUNGER),
            pa.field("younger_hours", pa.list_(pa.float64())),
            ragged("younger_keys", width),
        ]
    )


@dg.asset(
    group_name="feedback",
    kinds={"parquet", "pytorch"},
    deps=[hawkes_process],
    description=__doc__,
    code_version=str(CODE),
    **ON_THE_DEVICE,
)
@skip_unchanged(
    "temporal_embeddings",
    reads=lambda store, settings: [
        *table_marks(store, "interactions", "popularity", "splits"),
        *artifact_marks(store, "hawkes_process"),
    ],
    makes=lambda store, settings: stage_marks(store, NAME),
    when_skipped=unchanged_metadata,
)
def temporal_embeddings(context: dg.AssetExecutionContext, settings: Settings) -> dg.MaterializeResult:
    """Complete and embed every item's observed window.

    An item without feedback has simulated rows: the time without any event is information too. A window of age 0 has no rows,
    and an item that was observed for no time has a missing row. If no process could be fitted, no window has rows.
    """
    store, config = open_store(settings), settings.process
    version, fitted = fitted_process(store)
    process = load_encoder(version)
    encoder = process or RowlessEncoder(config.length)
    sides = read_splits(store)
    sequences = observed_sequences(
        read_events(store),
        read_popularity(store),
        settings.protocol,
        items=sides["item"].to_list(),
        types=fitted["types"],
        max_events=None,
    )
    ages = younger_ages(sequences, dict(sides.select("item", "split").iter_rows()), settings.protocol, config)
    place = {item: row for row, item in enumerate(sequences.items)}
    inputs = {item: content_hash(digest, ages[item], config.max_events) for item, digest in sequences.digests().items()}

    def compute(todo: Sequence[str]) -> Iterable[Row]:
        observed = [item for item in todo if len(sequences.hours[place[item]]) or sequences.age[place[item]] > 0]
        unobserved = sorted(set(todo) - set(observed))
        yield from (Row.missing(item, inputs[item], "no time of it was observed") for item in unobserved)
        # sorted by length, to keep padding small; an item's result does not depend on its batch
        observed.sort(key=lambda item: len(sequences.hours[place[item]]))
        for start in range(0, len(observed), BLOCK):
            block = sequences.take([place[item] for item in observed[start : start + BLOCK]])
            yield from _embed(encoder, block, ages, config, inputs)

    stage, fingerprint = store.stage(NAME, payload(encoder.length, encoder.width)), rows_fingerprint(version, config)
    return run_stage(
        context,
        store,
        settings,
        stage,
        inputs=inputs,
        fingerprint=fingerprint,
        compute=compute,
        is_quick=process is None,
        depends_on_batch=True,  # padding to the longest sequence of a block changes the order of sums
    )


def rows_fingerprint(process: ArtifactVersion, config: Process) -> Fingerprint:
    """Return what determines the rows besides their windows.

    Args:
        process: The version of the process that computes them.
        config: Section `[process]` of the settings.
    """
    made_by = content_hash(process.inputs_hash, process.fingerprint)
    return Fingerprint(code=CODE, parameters={"seed": config.seed}, model={"process": made_by})


def _embed(
    encoder: TemporalEncoder | RowlessEncoder,
    part: Sequences,
    ages: Mapping[str, Sequence[float]],
    process: Process,
    inputs: Mapping[str, str],
) -> Iterable[Row]:
    """Yield the rows of a block of items; if one cannot be simulated, each item is tried alone, so that only it fails."""
    windows, row_of = windows_of(part, ages, process.max_events)
    own = part.at_most(process.max_events)
    try:
        completed = completed_windows(encoder, windows, process.seed)
        with torch.no_grad():
            likelihood = encoder.log_likelihood(own.batch())
        if not bool(torch.isfinite(likelihood).all()):
            raise FloatingPointError("the process gives NaN or infinity for this sequence")
    except (SimulationError, FloatingPointError) as error:
        if len(part.items) == 1:
            yield Row.failed(part.items[0], inputs[part.items[0]], error)
            return
        for row in range(len(part.items)):
            yield from _embed(encoder, part.take([row]), ages, process, inputs)
        return
    for row, item in enumerate(part.items):
        *younger, (window, embedding) = (completed[place] for place in np.flatnonzero(row_of == row))
        keys = np.zeros((len(younger), encoder.width))
        for key, (held, rows) in zip(keys, younger, strict=True):
            if held["total"]:
                key[:] = rows.mean(axis=0, dtype=np.float64)
        yield Row.ok(
            item,
            inputs[item],
            {
                **window,
                "embedding": np.pad(embedding, ((0, encoder.length - len(embedding)), (0, 0))),
                "rows": len(embedding),
                "log_likelihood": float(likelihood[row]),
                "simulated": len(window["times"]) - window["observed"],
                "window_hours": part.window,
                "younger": [held for held, _ in younger],
                "younger_hours": [held["age_hours"] for held, _ in younger],
                "younger_keys": keys.astype(np.float32),
            },
        )


def completed_windows(
    encoder: TemporalEncoder | RowlessEncoder, windows: Sequences, seed: int, *, simulator: Simulator | None = None
) -> list[tuple[dict[str, object], np.ndarray]]:
    """Return each window's completed sequence, with the fields of `YOUNGER`, and its rows (at most length, width).

    Args:
        encoder: The encoder in service.
        windows: Windows of at most `process.max_events` events, each with an event or observed for some time.
        seed: Seed of the simulation, `process.seed`.
        simulator: What continues the windows; None is `models.thinning.simulate`.

    Raises:
        SimulationError: A window cannot be simulated.
        FloatingPointError: A window has no finite rows.
    """
    # seeds by item and age, so that simulated events do not depend on the batch or the worker
    seeds = item_seeds([f"{item}@{age!r}" for item, age in zip(windows.items, windows.age.tolist())], seed)
    order = sorted(range(len(windows.items)), key=lambda row: len(windows.hours[row]))
    results: dict[int, tuple[dict[str, object], np.ndarray]] = {}
    for start in range(0, len(order), SIMULATED_AT_ONCE):
        rows = order[start : start + SIMULATED_AT_ONCE]
        part = windows.take(rows)
        with torch.no_grad():
            own = [seeds[row] for row in rows]
            completed = encoder.complete(part.batch(), seeds=own, **part.observation(), simulator=simulator)
            embedding, mask = encoder(completed)
        if not bool(torch.isfinite(embedding).all()):
            raise FloatingPointError("the process gives NaN or infinity for this sequence")
        counts = completed.events.lengths.tolist()
        for place, (row, count) in enumerate(zip(rows, counts, strict=True)):
            window = {
                "age_hours": float(part.age[place]),
                "used_hours": float(part.t_end[place]),
                "total": int(part.total[place]),
                "observed": int(completed.observed[place]),
                "times": completed.events.times[place, :count].tolist(),
                "types": completed.events.types[place, :count].tolist(),
            }
            results[row] = window, embedding[place, : int(mask[place].sum())].numpy()
    return [results[row] for row in range(len(order))]


temporal_embeddings_failed_share = failed_share_check(temporal_embeddings, NAME)


@dg.asset_check(asset=temporal_embeddings, blocking=True)
@verdict_stands(
    "nothing_after_the_window_is_used",
    reads=lambda store, settings: [
        *stage_marks(store, NAME),
        *table_marks(store, "interactions", "popularity"),
        *artifact_marks(store, "hawkes_process"),
    ],
)
def nothing_after_the_window_is_used(settings: Settings) -> dg.AssetCheckResult:
    """Every embedding uses exactly the feedback inside its item's observation window (docs/protocol.md, Observation window)."""
    store = open_store(settings)
    rows = store.stages()[NAME].read(columns=list(CHECKED))
    types = fitted_process(store)[1]["types"]
    return check_windows(pl.from_arrow(rows), read_events(store), read_popularity(store), settings, types)


def check_windows(
    rows: pl.DataFrame, events: pl.DataFrame, windows: pl.DataFrame, settings: Settings, types: Sequence[str]
) -> dg.AssetCheckResult:
    """Cut the windows again from the raw events and the protocol alone, and compare them with the stored rows.

    Args:
        rows: Columns `CHECKED` of the stage, with `item`.
        events: All events.
        windows: The table `popularity`.
        settings: Sections `[protocol]` and `[process]` are used.
        types: The process's vocabulary of event types.
    """
    protocol = settings.protocol
    since = pl.col("time") - pl.col("t0")
    joined = events.join(windows.select("item", "t0"), on="item")
    # NumPy rounds the quotient to the nearest double; otherwise rounding could move an event out of its window.
    hours = joined.with_columns(pl.Series("hours", joined.select(since).to_series().to_numpy() / HOUR_MS))
    inside = (
        since <= round(protocol.hours * HOUR_MS) if protocol.first_k is None else pl.col("order") < protocol.first_k
    )
    allowed = hours.filter(inside & pl.col("type").is_in(list(types))).group_by("item").agg(pl.col("hours").sort())
    joined, leaks = rows.join(allowed, on="item", how="left", maintain_order="left"), []
    for block in joined.iter_slices(CHECKED_AT_ONCE):
        exact = _are_cut(block, settings.process.max_events, None if protocol.first_k is not None else protocol.hours)
        leaks += block.filter(~pl.Series(exact))["item"].to_list()
    return dg.AssetCheckResult(
        passed=not leaks,
        metadata={"rows": len(rows), "leaking": len(leaks), "items": dg.MetadataValue.json(leaks[:10])},
    )


def _are_cut(rows: pl.DataFrame, max_events: int, longest: float | None) -> np.ndarray:
    """Return whether the windows of each row are right, (n,) bool.

    A window uses the first events up to its age, counts all of them, and simulates only later ones. At age 0 a younger window
    sees nothing, not even an event at t = 0. Younger windows are younger than the own one, which has at most `longest` hours.

    Args:
        rows: Columns `CHECKED`, and `hours`: times of the feedback that may be seen, ascending, or null.
        max_events: Events that a window may use.
        longest: Largest age of an item's own window in hours, or None.
    """
    flat = FlatWindows.of_rows(rows.to_arrow())
    row, age, observed = flat.row, flat.scalars["age_hours"], flat.scalars["observed"]
    times, starts, lengths = flat.sequences["times"], flat.ends[:-1], np.diff(flat.ends)
    seen = rows["hours"].drop_nulls().explode(empty_as_null=False).to_numpy()
    counts = rows["hours"].list.len().fill_null(0).to_numpy().astype(np.int64)
    first = np.cumsum(counts) - counts

    window, place = _places(counts[row])
    by_age = np.bincount(window, weights=seen[first[row][window] + place] <= age[window], minlength=len(row))
    by_age[flat.younger & (age <= 0)] = 0
    used = np.minimum(observed, lengths)
    wrong = (observed < 0) | (used != np.minimum(by_age, max_events)) | (flat.scalars["total"] != by_age)

    window, place = _places(np.where(wrong, 0, used))
    other = ~(np.abs(times[starts[window] + place] - seen[first[row][window] + place]) <= 1e-9)
    window_of, place = _places(lengths)
    early = (place >= observed[window_of]) & ~(times >= age[window_of])
    for windows, faults in ((window, other), (window_of, early)):
        wrong |= np.bincount(windows, weights=faults, minlength=len(row)) > 0
    own = age[~flat.younger]
    wrong |= flat.younger & ~(age < own[row])
    if longest is not None:
        wrong |= ~flat.younger & ~(age <= longest + 1e-9)
    return np.bincount(row, weights=wrong, minlength=len(rows)) == 0


def _places(lengths: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return, for the elements of sequences with these lengths, the number of the sequence and the place in it."""
    number = np.repeat(np.arange(len(lengths)), lengths)
    return number, np.arange(len(number)) - np.repeat(np.cumsum(lengths) - lengths, lengths)
