"""How much the users of the training videos would click each video: the mean score of SASRec (MUFM, eq. 38-40)."""

from collections.abc import Sequence

import dagster as dg
import numpy as np
import polars as pl

from assets.audience.exposures import observable
from assets.audience.item_content import item_content
from assets.audience.sasrec import NAME as MODEL
from assets.audience.sasrec import fitted_sasrec, fold_of, sasrec, without_fold
from assets.audience.user_histories import NAME as HISTORIES
from assets.audience.user_histories import read_histories
from assets.encoding.encoder_choice import device_of
from assets.engine.data_versions import version_of_table
from assets.engine.pools import ON_THE_DEVICE
from assets.engine.run_log import keep_table, made_table
from assets.engine.skip_unchanged import artifact_marks, skip_unchanged, stage_marks, table_marks, verdict_stands
from assets.engine.store_access import open_store
from assets.ingest.videos import known_items
from assets.protocol.popularity import read_popularity
from assets.protocol.splits import read_splits
from assets.settings import Settings
from models.recommenders import UserHistories
from models.recommenders.sasrec import SASRec
from storage.fingerprint import Fingerprint
from storage.hashing import content_hash
from storage.store import Store

NAME = "recommendation_scores"
CODE = 2  # raise it when the same inputs give another result
SCHEMA = pl.Schema({"item": pl.String, "logit": pl.Float64, "score": pl.Float64})
TOLERANCE = 1e-4  # of the check: scores are float32 sums, in another order on a GPU


@dg.asset(
    group_name="audience",
    kinds={"parquet"},
    deps=[sasrec],
    description=__doc__,
    code_version=str(CODE),
    **ON_THE_DEVICE,
)
@skip_unchanged(
    NAME,
    reads=lambda store, settings: [
        *artifact_marks(store, MODEL, HISTORIES),
        *stage_marks(store, "videos", "visual_embeddings", "text_embeddings"),
    ],
    makes=lambda store, settings: table_marks(store, NAME),
)
def recommendation_scores(context: dg.AssetExecutionContext, settings: Settings) -> dg.MaterializeResult:
    """Score every video by its content. Without a fitted SASRec there is no table, or an empty one if there was one before."""
    store = open_store(settings)
    fitted = fitted_sasrec(store) if MODEL in settings.audience.train else None
    if fitted is None:
        context.log.info("recommendation_scores: nothing to do, no SASRec is fitted (audience.train)")
        frame = SCHEMA.to_frame()
        if store.table(NAME).state() is not None:
            keep_table(context, store, NAME, frame, Fingerprint(code=CODE))
        return dg.MaterializeResult(data_version=version_of_table(frame), metadata={"skipped": "no SASRec is fitted"})
    version, models = fitted
    kept = read_histories(store)
    items = known_items(store)["item"].to_list()
    states = [store.stages()[name].states() for name in ("visual_embeddings", "text_embeddings")]
    content = [dict(frame.select("item", "output_hash").iter_rows()) for frame in states]
    frame = made_table(
        context,
        store,
        NAME,
        inputs_hash=content_hash(
            [
                version.version,
                version.inputs_hash,
                version.fingerprint,
                kept.version.inputs_hash,
                kept.version.fingerprint,
            ],
            items,
            content,
        ),
        fingerprint=Fingerprint(code=CODE),
        compute=lambda: score_items(
            store, models, kept.histories.only(np.asarray(kept.observed)), items, device=device_of(settings)
        ),
    )
    return dg.MaterializeResult(
        data_version=version_of_table(frame),
        metadata={
            "items": len(frame),
            "scored": len(frame.drop_nulls("logit")),
            "mean_score": frame["score"].mean(),
            "deviation_of_logit": frame["logit"].std(),
        },
    )


def score_items(
    store: Store, models: Sequence[SASRec], histories: UserHistories, items: list[str], *, device: str = "cpu"
) -> pl.DataFrame:
    """Return the table: `item`, `logit` (mean score over users), `score` (its sigmoid); null without any content.

    An exposed item has the score of the model that was fitted without its fold, so that its own clicks do not raise it. Any
    other item has the mean over the models.

    Args:
        store: The store with the items' embeddings.
        models: The fitted model of every fold.
        histories: The exposures that the score may rest on.
        items: Items to score.
        device: Device to compute on.
    """
    features, folds = item_content(store, histories.items.tolist()), len(models)
    logits = np.stack(
        [
            model.mean_scores(without_fold(histories, fold, folds), features, device=device)[0]
            for fold, model in enumerate(models)
        ]
    )
    exposed = np.bincount(histories.item, minlength=len(histories.items)) > 0
    own = logits[fold_of(histories.items.tolist(), folds), np.arange(len(histories.items))]
    logit = np.where(exposed, own, logits.mean(0))
    has = np.any([*features.known.values()], axis=0)
    every = pl.DataFrame({"item": histories.items, "logit": logit, "score": 1 / (1 + np.exp(-logit))}, schema=SCHEMA)
    return pl.DataFrame({"item": items}).join(
        every.filter(pl.Series(has)), on="item", how="left", maintain_order="left"
    )


def read_scores(store: Store) -> pl.DataFrame | None:
    """Return the table: `item`, `logit`, `score`; None if no video is scored."""
    if store.table(NAME).state() is None:
        return None
    frame = store.table(NAME).read()
    return None if frame.is_empty() else frame


@dg.asset_check(asset=recommendation_scores, blocking=True)
@verdict_stands(
    "scores_rest_on_observed_exposures",
    reads=lambda store, settings: [
        *artifact_marks(store, MODEL, HISTORIES),
        *stage_marks(store, "visual_embeddings", "text_embeddings"),
        *table_marks(store, NAME, "popularity", "splits"),
    ],
)
def scores_rest_on_observed_exposures(settings: Settings) -> dg.AssetCheckResult:
    """The scores are those that the fitted model gives to users who have nothing but observed clicks of training items."""
    store = open_store(settings)
    fitted = fitted_sasrec(store) if MODEL in settings.audience.train else None
    if fitted is None:
        return dg.AssetCheckResult(passed=True, metadata={"skipped": "no SASRec is fitted"})
    return check_scores(store, settings, store.table(NAME).read(), fitted[1])


def check_scores(
    store: Store, settings: Settings, frame: pl.DataFrame, models: Sequence[SASRec]
) -> dg.AssetCheckResult:
    """Compute the scores again from all exposures, cut once more at the windows as they are now, and compare.

    Args:
        store: The store.
        settings: Section `[protocol]` is used.
        frame: The table `recommendation_scores`.
        models: The fitted model of every fold.
    """
    kept = read_histories(store)
    histories = kept.histories
    exposed = pl.DataFrame({"item": histories.items[histories.item], "time": np.asarray(histories.time)})
    seen = observable(
        exposed.with_columns(pl.lit(None, pl.Int64).alias("order")),
        read_popularity(store),
        read_splits(store),
        settings.protocol,
    ).to_numpy()
    expected = score_items(store, models, histories.only(seen & np.asarray(kept.observed)), frame["item"].to_list())
    differ = (frame["logit"] - expected["logit"]).abs() > TOLERANCE * (1 + expected["logit"].abs())
    differ |= frame["logit"].is_null() != expected["logit"].is_null()
    wrong = frame.filter(differ.fill_null(False))["item"]
    return dg.AssetCheckResult(
        passed=wrong.is_empty(),
        metadata={"items": len(frame), "wrong": len(wrong), "first": dg.MetadataValue.json(wrong.head(10).to_list())},
    )
