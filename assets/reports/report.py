"""One self-contained HTML page about a run: how good the forecasts are, why, and on which data."""

import functools
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import dagster as dg
import polars as pl

from assets.curves.forecast_curves import forecast_curves
from assets.curves.forecast_reasons import forecast_reasons
from assets.engine.data_versions import version_of_rows
from assets.engine.dry_run import stop_if_plan_is_empty
from assets.engine.pools import IN_THE_CATALOG
from assets.engine.run_log import made_table
from assets.engine.skip_unchanged import artifact_marks, skip_unchanged, stage_marks, table_marks
from assets.engine.store_access import open_store
from assets.monitoring.decided import decided
from assets.monitoring.drift import drift
from assets.reports.charts import house_style
from assets.reports.document import Heading
from assets.reports.leaderboard import leaderboard
from assets.reports.page import Missing, PageBlock, as_html
from assets.reports.report_sections.accuracy import answer, by_age, forecasts_against_labels
from assets.reports.report_sections.archetypes import archetypes
from assets.reports.report_sections.calibration import calibration, fans
from assets.reports.report_sections.data_set import data_set
from assets.reports.report_sections.inputs import part
from assets.reports.report_sections.new_videos import new_videos
from assets.reports.report_sections.overview import overview
from assets.reports.report_sections.past_forecasts import drift_since_training, errors
from assets.reports.report_sections.process import influences, intensity, residuals
from assets.reports.report_sections.provenance import changed_settings, provenance
from assets.reports.report_sections.retrieved import retrieved
from assets.reports.report_sections.troubles import troubles
from assets.settings import Settings
from storage.durable import write_text
from storage.file_marks import files_mark
from storage.fingerprint import Fingerprint
from storage.hashing import content_hash
from storage.store import Store

NAME = "report"
CODE = 2  # raise it when the same inputs give another result

Section = Callable[[Store, Settings], list[PageBlock]]

# In the order in which a person asks.
SECTIONS: dict[str, Section] = {
    "What this is": overview,
    "The answer: which forecast is best": answer,
    "Forecasts of new videos": new_videos,
    "Forecasts against the truth": forecasts_against_labels,
    "Accuracy by age of the video": by_age,
    "Do the intervals cover what they say?": calibration,
    "Forecast curves of test videos": fans,
    "Archetypes of growth": archetypes,
    "Retrieved videos": retrieved,
    "An intensity taken apart": intensity,
    "Which events cause which": influences,
    "Does the process fit?": residuals,
    "Failures and damages": troubles,
    "The data set": data_set,
    "Drift": drift_since_training,
    "Errors of past forecasts": errors,
    "Provenance": provenance,
}
TABLES = (
    *("interactions", "counters", "popularity", "labels", "splits", "model_obstacles", "validation_items"),
    *("evaluation", "evaluation_items", "leaderboard", "predictions", "forecast_sentences", "forecast_curves"),
    *("curve_scores", "curve_items", "decided_shares", "drift", "forecast_scores", "forecast_score_summary"),
)


@dataclass(frozen=True)
class Page:
    """The report.

    Attributes:
        html: The page.
        sections: `section`, and `missing`: why it shows nothing, else null.
    """

    html: str
    sections: pl.DataFrame


def report_page(store: Store, settings: Settings) -> Page:
    """Build the report. A section without its input says in one line what would make it.

    Args:
        store: The store.
        settings: The settings.
    """
    title = f"reelcast: {settings.data_folder().name}"
    blocks: list[PageBlock] = [Heading(title, 1)]
    rows: list[tuple[str, str | None]] = []
    with house_style():
        for heading, section in SECTIONS.items():
            own = part(lambda section=section: section(store, settings))
            blocks += [Heading(heading), *own]
            rows.append((heading, own[0].text if own and isinstance(own[0], Missing) else None))
    sections = pl.DataFrame(rows, schema={"section": pl.String, "missing": pl.String}, orient="row")
    return Page(as_html(blocks, title=title, contents=True), sections)


def write_page(page: Page, settings: Settings) -> Path:
    """Write the report into the results' folder and return its path."""
    path = settings.report_file()
    write_text(path, page.html)
    return path


@dg.asset(
    group_name="reports",
    kinds={"html"},
    deps=[leaderboard, forecast_curves, forecast_reasons, decided, drift],
    description=__doc__,
    code_version=str(CODE),
    **IN_THE_CATALOG,
)
@skip_unchanged(
    NAME,
    reads=lambda store, settings: [*stage_marks(store), *table_marks(store, *TABLES), *artifact_marks(store)],
    makes=lambda store, settings: [*table_marks(store, NAME), files_mark([settings.report_file()])],
)
def report(context: dg.AssetExecutionContext, settings: Settings) -> dg.MaterializeResult:
    """Write the report into the results' folder. The table `report` lists its sections, and why some show nothing."""
    store = open_store(settings)
    page = functools.cache(lambda: report_page(store, settings))
    inputs_hash = _made_from(store)
    table = made_table(
        context,
        store,
        NAME,
        inputs_hash=inputs_hash,
        fingerprint=Fingerprint(code=CODE, parameters={"settings": changed_settings(settings)}),
        compute=lambda: page().sections,
    )
    stop_if_plan_is_empty()
    path = write_page(page(), settings)
    context.log.info("report: %s", path)
    return dg.MaterializeResult(
        data_version=dg.DataVersion(inputs_hash),
        metadata={
            "report": dg.MetadataValue.url(path.as_uri()),
            "path": dg.MetadataValue.path(path),
            "size_mb": round(path.stat().st_size / 2**20, 2),
            "sections": len(table),
            "sections_without_input": table["missing"].count(),
        },
    )


def _made_from(store: Store) -> str:
    """Return a hash of everything in the store that the report shows."""
    tables = {name: store.table(name).state() for name in TABLES}
    fits = {name: store.artifact(name).current() for name in store.names("artifacts")}
    return content_hash(
        {name: version_of_rows(stage.states()).value for name, stage in store.stages().items()},
        {name: state and [state.inputs_hash, state.fingerprint] for name, state in tables.items()},
        {name: fit and [fit.version, fit.inputs_hash, fit.fingerprint] for name, fit in fits.items()},
    )
