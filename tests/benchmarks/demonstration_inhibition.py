"""How well a fitted process recovers the inhibition that is planted in the demonstration set.

    python -m tests.benchmarks.demonstration_inhibition FOLDER --store STORE --figure PNG

FOLDER is the demonstration set, and STORE is its store with a fitted process. The benchmark prints the process's
influence matrix and the response: the change in the expected number of events of each type, over the three hours after
one additional event, if no other event happens. The response is averaged over the test items, twelve hours after
publication. The figure shows the intensity of likes of one test item, the slow burn with the largest quarrel: without
the quarrel, its likes would go on.
"""

import argparse
from pathlib import Path

import numpy as np
import polars as pl
import torch

from assets.feedback.hawkes_process import fitted_process, load_encoder
from assets.ingest.interactions import read_events
from assets.protocol.popularity import read_popularity
from assets.protocol.process_inputs import observed_sequences
from assets.protocol.splits import items_of, read_splits
from assets.settings import Settings
from models.events import EventBatch
from models.hawkes import MambaHawkesProcess
from models.pictures import draw_terms
from storage.store import Store

AT, AHEAD = 12.0, 3.0  # hours


@torch.no_grad()
def response(process: MambaHawkesProcess, times: list[np.ndarray], types: list[np.ndarray]) -> np.ndarray:
    """Return (k, k): additional events of type k (row) expected within AHEAD hours of one event of type m (column) at AT."""
    before = [(t[t < AT], m[t < AT]) for t, m in zip(times, types, strict=True)]

    at = torch.linspace(AT, AT + AHEAD, 31, dtype=torch.float64)[1:] - AHEAD / 60  # middles of 30 steps

    def expected(extra: list[int]) -> torch.Tensor:
        batch = EventBatch.from_sequences(
            [np.append(t, [AT] * len(extra)) for t, _ in before],
            [np.append(m, extra).astype(np.int64) for _, m in before],
            t_end=[AT + AHEAD] * len(before),
        )
        return AHEAD * process.intensity(batch, at.expand(len(before), -1)).double().mean((0, 1))

    base = expected([])
    return np.stack([(expected([kind]) - base).numpy() for kind in range(process.num_types)], axis=1)


def main() -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--store", type=Path, required=True)
    parser.add_argument("--figure", type=Path, help="PNG of the terms of an intensity of likes")
    args = parser.parse_args()
    store = Store(args.store)
    version, fitted = fitted_process(store)
    process, names = load_encoder(version).process.eval(), fitted["types"]
    items = items_of(read_splits(store), "test")
    protocol = Settings().protocol
    seen = observed_sequences(
        read_events(store), read_popularity(store), protocol, items=items, types=names, max_events=512
    )
    print("types", names)
    print("influence (classical part, rows are excited)\n", process.branching_matrix().numpy().round(3))
    print(f"response within {AHEAD:g} h at {AT:g} h\n", response(process, seen.hours, seen.types).round(3))
    if args.figure:
        truth = pl.read_csv(args.folder / "truth" / "videos.csv", schema_overrides={"item": pl.String})
        steady = pl.col("archetype") == "slow burn"
        quarrels = truth.filter(pl.col("item").is_in(items), pl.col("quarrel_rate") > 0, steady)
        row = items.index(quarrels.sort("quarrel_rate", descending=True)["item"][0])
        figure = draw_terms(process, seen.batch(), names.index("like"), row=row, names=names)
        figure.savefig(args.figure, dpi=80)
        print("item", items[row], quarrels.filter(pl.col("item") == items[row]).to_dicts())


if __name__ == "__main__":
    main()
