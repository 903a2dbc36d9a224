"""All models on the same items: every row with intervals over seeds and items, its cost, and the numbers that papers print."""

import dagster as dg
import polars as pl

from assets.curves.curve_evaluation import curve_evaluation
from assets.curves.curve_scores import SCORES, read_curve_scores
from assets.engine.data_versions import version_of_table
from assets.engine.dry_run import stop_if_plan_is_empty
from assets.engine.pools import IN_THE_CATALOG
from assets.engine.run_log import made_table
from assets.engine.skip_unchanged import artifact_marks, skip_unchanged, table_marks
from assets.engine.store_access import open_store
from assets.prediction.evaluation import ITEMS, evaluation
from assets.prediction.model_obstacles import NAME as OBSTACLES
from assets.prediction.model_obstacles import read_obstacles
from assets.protocol.splits import split_protocol
from assets.reports.costs import model_artifacts, training_costs
from assets.reports.curve_blocks import curve_blocks
from assets.reports.document import Heading, Paragraph
from assets.reports.leaderboard_document import published_blocks, score_blocks
from assets.reports.protocols import PROTOCOLS
from assets.reports.report_files import write_report
from assets.reports.scores import score_rows, strata
from assets.reports.study import Arm, arm_stores
from assets.settings import Settings
from storage.file_marks import files_mark
from storage.fingerprint import Fingerprint
from storage.hashing import content_hash
from storage.store import Store

NAME = "leaderboard"
STRATA = "leaderboard_strata"
CODE = 1  # raise it when the same inputs give another result
FILES = ("leaderboard.md", "leaderboard.html")


def protocol_arm(name: str, changes: dict[str, dict[str, object]]) -> Arm:
    """Return the arm of a protocol.

    Args:
        name: A name of `PROTOCOLS`.
        changes: Settings of other sections, such as the models to train.
    """
    return Arm(NAME, name, {**changes, **PROTOCOLS[name]})


def _sources(store: Store, settings: Settings) -> dict[str, Store]:
    """Return the stores of all protocols; the data set's own store counts unless its protocol has a store of its own."""
    arms = arm_stores(settings, NAME, table=ITEMS)
    is_scored = store.table(ITEMS).state() is not None or not arms
    return ({_own_protocol(settings): store} if is_scored else {}) | arms


def _own_protocol(settings: Settings) -> str:
    protocol = split_protocol(settings)
    return next(name for name, changes in PROTOCOLS.items() if changes["protocol"]["split"] == protocol.split)


def _marks(store: Store, settings: Settings) -> list[str]:
    marks = []
    for source in (store, *arm_stores(settings, NAME, table=ITEMS).values()):
        marks += table_marks(source, ITEMS, OBSTACLES, SCORES)
        marks += artifact_marks(source, *models) if (models := model_artifacts(source)) else []
    return marks


@dg.asset(
    group_name="reports",
    kinds={"parquet"},
    deps=[evaluation, curve_evaluation],
    description=__doc__,
    code_version=str(CODE),
    **IN_THE_CATALOG,
)
@skip_unchanged(
    NAME,
    reads=_marks,
    makes=lambda store, settings: [
        *table_marks(store, NAME, STRATA),
        files_mark(settings.results_folder() / file for file in FILES),
    ],
)
def leaderboard(context: dg.AssetExecutionContext, settings: Settings) -> dg.MaterializeResult:
    """Score every row of this store and of the protocols' stores that `reelcast leaderboard` has filled."""
    store = open_store(settings)
    sources = _sources(store, settings)
    items = pl.concat([_named(source.table(ITEMS).read(), arm) for arm, source in sources.items()])
    obstacles = pl.concat([_named(read_obstacles(source), arm) for arm, source in sources.items()])
    made_of = {"inputs_hash": _made_of(sources), "fingerprint": Fingerprint(code=CODE)}
    table = made_table(context, store, NAME, **made_of, compute=lambda: _with_costs(score_rows(items), sources))
    means = made_table(context, store, STRATA, **made_of, compute=lambda: strata(items))
    stop_if_plan_is_empty()
    titles = table["predictor"].unique(maintain_order=True).to_list()
    blocks = [
        Heading("Leaderboard", 1),
        Paragraph("Every row forecasts the same test items; the trivial rows stand first, then the models by nMSE."),
        *score_blocks(table, means, obstacles, file=NAME),
        *curve_blocks(pl.concat([_named(read_curve_scores(source), arm) for arm, source in sources.items()])),
        *published_blocks(titles),
    ]
    write_report(settings, NAME, blocks)
    best = table.filter("first", pl.col("age_hours").is_null()).select("arm", "target_name", "predictor").iter_rows()
    return dg.MaterializeResult(
        data_version=version_of_table(table),
        metadata={
            "first": dg.MetadataValue.json({f"{arm}: {target}": row for arm, target, row in best}),
            "rows": len(titles),
            "results": str(settings.results_folder()),
        },
    )


def _named(frame: pl.DataFrame, arm: str) -> pl.DataFrame:
    return frame.select(pl.lit(arm).alias("arm"), pl.all())


def _made_of(sources: dict[str, Store]) -> str:
    states = {arm: source.table(ITEMS).state() for arm, source in sources.items()}
    costs = {arm: training_costs(source).rows() for arm, source in sources.items()}
    return content_hash({arm: [state.inputs_hash, state.fingerprint] for arm, state in states.items()}, costs)


def _with_costs(table: pl.DataFrame, sources: dict[str, Store]) -> pl.DataFrame:
    costs = pl.concat([_named(training_costs(source), arm) for arm, source in sources.items()])
    return table.join(costs, on=["arm", "predictor"], how="left", maintain_order="left")
