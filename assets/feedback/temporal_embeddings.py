"""[feedback] temporal_embeddings: L rows an item from its observed feedback, completed by thinning (X^s in M3TR)."""

from collections.abc import Iterable, Sequence

import dagster as dg
import numpy as np
import polars as pl
import pyarrow as pa
import torch

from assets.engine.failure_checks import failed_share_check
from assets.engine.pools import ON_THE_DEVICE
from assets.engine.run_stage import run_stage
from assets.engine.store_access import open_store
from assets.feedback.hawkes_process import fitted_process, hawkes_process, item_seeds
from assets.ingest.interactions import read_events
from assets.protocol.observation import HOUR_MS
from assets.protocol.popularity import read_popularity
from assets.protocol.process_inputs import Sequences, observed_sequences
from assets.protocol.splits import read_splits
from assets.settings import Settings
from models import temporal
from models.temporal import TemporalEncoder
from models.thinning import SimulationError
from storage.arrays import fixed
from storage.fingerprint import Fingerprint
from storage.hashing import content_hash
from storage.rows import Row

NAME = "temporal_embeddings"
CODE = 1  # raise it when the same inputs give another result
BLOCK = 128


def payload(length: int, width: int) -> pa.Schema:
    """Columns: `embedding` (length, width) of which the first `rows` are real; the completed sequence, in hours."""
    return pa.schema(
        [
            fixed("embedding", (length, width), "float32"),
            pa.field("rows", pa.int32()),
            pa.field("log_likelihood", pa.float64()),
            pa.field("observed", pa.int32()),
            pa.field("simulated", pa.int32()),
            pa.field("window_hours", pa.float64()),
            pa.field("times", pa.list_(pa.float64())),
            pa.field("types", pa.list_(pa.int32())),
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
def temporal_embeddings(context: dg.AssetExecutionContext, settings: Settings) -> dg.MaterializeResult:
    """Complete and embed every item's observed window; an item without feedback in it has a missing row."""
    store, chosen = open_store(settings), settings.process
    version, folder, fitted = fitted_process(store)
    encoder = temporal.load(folder)
    sequences = observed_sequences(
        read_events(store),
        read_popularity(store),
        settings.protocol,
        items=read_splits(store)["item"].to_list(),
        types=fitted["types"],
        max_events=chosen.max_events,
    )
    place = {item: row for row, item in enumerate(sequences.items)}
    inputs = sequences.digests()

    def compute(todo: Sequence[str]) -> Iterable[Row]:
        silent = [item for item in todo if not len(sequences.hours[place[item]])]
        yield from (Row.missing(item, inputs[item], "no feedback in the observation window") for item in silent)
        heard = [item for item in todo if len(sequences.hours[place[item]])]
        # by length, so that little of a batch is padding; what an item gets does not depend on its batch
        heard.sort(key=lambda item: len(sequences.hours[place[item]]))
        for start in range(0, len(heard), BLOCK):
            block = sequences.take([place[item] for item in heard[start : start + BLOCK]])
            yield from _embed(encoder, block, chosen.seed, inputs)

    made_by = content_hash(version.inputs_hash, version.fingerprint)
    fingerprint = Fingerprint(code=CODE, parameters={"seed": chosen.seed}, model={"process": made_by})
    stage = store.stage(NAME, payload(encoder.length, encoder.width))
    return run_stage(context, store, settings.run, stage, inputs=inputs, fingerprint=fingerprint, compute=compute)


def _embed(encoder: TemporalEncoder, part: Sequences, seed: int, inputs: dict[str, str]) -> Iterable[Row]:
    """Rows of one batch; where one of its sequences cannot be simulated, each is tried alone, so that it fails alone."""
    batch = part.batch()
    try:
        with torch.no_grad():
            completed = encoder.complete(batch, seeds=item_seeds(part.items, seed))
            rows, mask = encoder(completed)
            likelihood = encoder.log_likelihood(batch)
    except SimulationError as error:
        if len(part.items) == 1:
            yield Row.failed(part.items[0], inputs[part.items[0]], error)
            return
        for row in range(len(part.items)):
            yield from _embed(encoder, part.take([row]), seed, inputs)
        return
    for row, item in enumerate(part.items):
        length = int(completed.events.lengths[row])
        made = rows[row].numpy()
        if not (np.isfinite(made).all() and np.isfinite(float(likelihood[row]))):
            error = FloatingPointError("the process gives NaN or infinity for this sequence")
            yield Row.failed(item, inputs[item], error)
            continue
        yield Row.ok(
            item,
            inputs[item],
            {
                "embedding": made,
                "rows": int(mask[row].sum()),
                "log_likelihood": float(likelihood[row]),
                "observed": int(completed.observed[row]),
                "simulated": int(completed.simulated[row]),
                "window_hours": float(part.t_end[row]),
                "times": completed.events.times[row, :length].tolist(),
                "types": completed.events.types[row, :length].tolist(),
            },
        )


temporal_embeddings_failed_share = failed_share_check(temporal_embeddings, NAME)


@dg.asset_check(asset=temporal_embeddings, blocking=True)
def nothing_after_the_window_is_used(settings: Settings) -> dg.AssetCheckResult:
    """What an embedding rests on is exactly the feedback inside its item's window (design section 5, rule 1)."""
    store = open_store(settings)
    rows = store.stages()[NAME].read(columns=["observed", "window_hours", "times"])
    types = fitted_process(store)[2]["types"]
    return check_windows(pl.from_arrow(rows), read_events(store), read_popularity(store), settings, types)


def check_windows(
    rows: pl.DataFrame, events: pl.DataFrame, windows: pl.DataFrame, settings: Settings, types: Sequence[str]
) -> dg.AssetCheckResult:
    """Cut the windows again, from the raw events and the protocol alone, and compare them with what each row holds."""
    protocol = settings.protocol
    since = pl.col("time") - pl.col("t0")
    hours = events.join(windows.select("item", "t0"), on="item").with_columns((since / HOUR_MS).alias("hours"))
    inside = (
        since <= round(protocol.hours * HOUR_MS) if protocol.first_k is None else pl.col("order") < protocol.first_k
    )
    allowed = hours.filter(inside & pl.col("type").is_in(list(types))).group_by("item").agg(pl.col("hours").sort())
    leaks = []
    for row in rows.join(allowed, on="item", how="left").iter_rows(named=True):
        used, simulated = np.split(np.asarray(row["times"]), [row["observed"]])
        expected = np.asarray(row["hours"] or [])[: settings.process.max_events]
        exact = len(used) == len(expected) and np.allclose(used, expected, rtol=0, atol=1e-9)
        within = protocol.first_k is not None or row["window_hours"] <= protocol.hours + 1e-9
        # what follows the window is the process's own: nothing simulated may stand inside it
        if not (exact and within and (simulated >= row["window_hours"]).all()):
            leaks.append(row["item"])
    return dg.AssetCheckResult(
        passed=not leaks,
        metadata={"rows": len(rows), "leaking": len(leaks), "items": dg.MetadataValue.json(leaks[:10])},
    )
