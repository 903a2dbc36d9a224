"""All recommenders on the same held-out exposures of the store's user histories."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import polars as pl

from assets.audience.item_content import item_content
from assets.audience.user_histories import read_histories
from assets.embeddings import text_embeddings, visual_embeddings
from assets.encoding.encoder_choice import device_of
from assets.engine.store_access import frame_hash, open_store
from assets.reports.recommendation_blocks import recommendation_blocks
from assets.reports.recommendation_runs import run_recommenders, variants
from assets.reports.report_files import keep_report
from assets.settings import Settings
from models.recommenders import by_share
from storage.hashing import content_hash
from storage.store import Store

NAME = "recommendation_leaderboard"
RUNS = "recommendation_runs"
SHARES = {"dev": 0.1, "test": 0.2}
LARGEST = 200_000  # items up to which test clicks are ranked among all of them


def report_recommenders(
    settings: Settings, *, names: Sequence[str], seeds: Sequence[int], told: Callable[[str], None]
) -> pl.DataFrame:
    """Fit recommenders to the store's histories, and write the report `recommendation_leaderboard`.

    The split is by time within each user and not that of the popularity forecasts: this report compares recommenders, and
    no forecast reads its fits. A fit is kept in the table `recommendation_runs` when it ends, so a call that was interrupted
    goes on.

    Args:
        settings: Settings of the data set's store; `audience.options` are the hyper-parameters.
        names: Names in `models.recommender_table`.
        seeds: Seeds of the fits.
        told: Function to call with a sentence per fit.

    Returns:
        The runs, see `run_recommenders`.

    Raises:
        StoreError: The store has no histories.
    """
    store = open_store(settings)
    kept, runs = read_histories(store), store.table(RUNS)
    content = [] if kept.features is not None else _content_states(store)
    made_of = content_hash([kept.version.inputs_hash, kept.version.fingerprint, SHARES, content])
    frame = run_recommenders(
        variants(names, settings.audience.options),
        kept.histories,
        item_content(store, kept.histories.items.tolist()) if kept.features is None else kept.features,
        by_share(kept.histories, **SHARES),
        seeds=seeds,
        made_of=made_of,
        done=None if runs.state() is None else runs.read(),
        rank_all=len(kept.histories.items) <= LARGEST,
        device=device_of(settings),
        keep=lambda frame: runs.write(frame, inputs_hash=made_of, fingerprint=RUNS),
        told=told,
    )
    keep_report(settings, NAME, frame, recommendation_blocks(frame))
    return frame


def _content_states(store: Store) -> list[str]:
    stages = store.stages()
    names = (visual_embeddings.NAME, text_embeddings.NAME)
    return [frame_hash(stages[name].states().select("item", "output_hash").sort("item")) for name in names]
