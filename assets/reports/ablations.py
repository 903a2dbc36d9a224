"""Ablations: a predictor beside its variants on the same items, each compared with the full model."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence

import polars as pl

from assets.prediction.evaluation import ITEMS
from assets.reports.ablation_tables import ABLATIONS, AblationRow, AblationTable
from assets.reports.document import Block, Grid, Heading, Items, Paragraph, Picture
from assets.reports.interval_picture import Estimate, interval_picture
from assets.reports.leaderboard_document import metric_grid, published_blocks
from assets.reports.report_files import keep_report
from assets.reports.scores import score_rows
from assets.reports.study import Arm, arm_stores
from assets.settings import Settings
from models.predictor_table import CLASSES, predictor_class

AS_SET = "as_set"  # the arm without other settings, which trains the full model


def ablation_arms(of: str, *, seeds: Sequence[int], rows: Sequence[str] = ()) -> list[Arm]:
    """Return the arms of a predictor's ablations: one per combination of settings, which trains all rows that need it.

    Args:
        of: Name of the predictor.
        seeds: Seeds of every row.
        rows: Ends of the titles of the rows to run, such as `noTemporal`; empty for all. The full model is always run.

    Raises:
        ValueError: There are no ablations of this predictor, it is not in the table of predictors, or no row has such a title.
    """
    if of not in ABLATIONS or of not in CLASSES:
        allowed = ", ".join(name for name in ABLATIONS if name in CLASSES)
        raise ValueError(f"there are no ablations of {of!r}; allowed: {allowed}")
    groups: dict[str, list[AblationRow]] = {"{}": []}
    for row in _chosen(of, rows):
        groups.setdefault(json.dumps(row.changes, sort_keys=True), []).append(row)
    arms = []
    for changes, same in groups.items():
        variants = {_name(row): {"predictor": of, "title": row.title, "options": dict(row.options)} for row in same}
        own = json.loads(changes)
        model = {"train": [*([] if own else [of]), *variants], "variants": variants, "seeds": list(seeds)}
        arms.append(Arm(_study(of), _name(same[0]) if own else AS_SET, {**own, "model": model}))
    return arms


def _chosen(of: str, ends: Sequence[str]) -> list[AblationRow]:
    rows = [row for table in ABLATIONS[of] for row in table.rows]
    wanted = tuple(end.strip().lower() for end in ends)
    for end in wanted:
        if not any(row.title.lower().endswith(end) for row in rows):
            raise ValueError(f"no row of {of} ends with {end!r}; the rows are {', '.join(row.title for row in rows)}")
    return [row for row in rows if not wanted or row.title.lower().endswith(wanted)]


def report_ablations(settings: Settings, of: str) -> None:
    """Write the report of a predictor's ablations from the stores of its arms.

    The report is `ablations_NAME` as a table of the store, as Markdown and as HTML.

    Args:
        settings: Settings of the data set's own store.
        of: Name of the predictor.
    """
    full = predictor_class(of).title
    titles = [full, *(row.title for table in ABLATIONS[of] for row in table.rows)]
    frames = [store.table(ITEMS).read() for store in arm_stores(settings, _study(of), table=ITEMS).values()]
    items = pl.concat(frames).filter(pl.col("predictor").is_in(titles)).with_columns(arm=pl.lit(of))
    rows = score_rows(items, against=full)
    blocks: list[Block] = [Heading(f"Ablations of {full}", 1)]
    for number, (target, own) in enumerate(_by_target(rows)):
        blocks += _target_blocks(own, ABLATIONS[of], full, target, picture=f"{_study(of)}_{number}.svg")
    keep_report(settings, _study(of), rows, [*blocks, *published_blocks(titles)])


def _by_target(rows: pl.DataFrame) -> Iterator[tuple[str, pl.DataFrame]]:
    whole = rows.filter(pl.col("age_hours").is_null())
    for (target,), own in whole.group_by("target_name", maintain_order=True):
        yield target, own


def _target_blocks(
    rows: pl.DataFrame, tables: Sequence[AblationTable], full: str, target: str, *, picture: str
) -> list[Block]:
    blocks: list[Block] = [
        Heading(target),
        Paragraph(
            f"{rows['items'].max()} test items, whole windows. ± is a 95 % interval over seeds; brackets hold 95 % of "
            "resampled test sets. The difference is paired: both rows are scored on the same resampled sets."
        ),
    ]
    for table in tables:
        named = [full, *(row.title for row in table.rows)]
        own = rows.filter(pl.col("predictor").is_in(named))
        own = own.sort(pl.col("predictor").replace_strict({name: place for place, name in enumerate(named)}))
        blocks += [Heading(table.name, 3), metric_grid(own), *([Paragraph(table.note)] if table.note else [])]
    differences = rows.filter(pl.col("predictor") != full)
    cells = [
        [row["predictor"], f"{row['behind']:+.3f}", f"[{row['behind_low']:+.3f}, {row['behind_high']:+.3f}]"]
        for row in differences.iter_rows(named=True)
    ]
    estimates = [
        Estimate(row["predictor"], row["behind"], row["behind_low"], row["behind_high"])
        for row in differences.iter_rows(named=True)
    ]
    title = f"nMSE of each row minus that of {full}, {target}: points to the right of 0 are worse"
    return [
        *blocks,
        Heading(f"nMSE minus that of {full}", 3),
        Grid(["row", "difference", "95 % of resampled test sets"], cells),
        Picture(interval_picture(estimates, axis="difference in nMSE"), picture, title),
        Items(list(_told(differences, full))),
    ]


def _told(differences: pl.DataFrame, full: str) -> Iterator[str]:
    same = differences.filter(pl.col("behind_low") == 0, pl.col("behind_high") == 0)["predictor"].to_list()
    differences = differences.filter(~pl.col("predictor").is_in(same))
    better = differences.filter(pl.col("behind_high") < 0)["predictor"].to_list()
    equal = differences.filter(pl.col("behind_low") <= 0, pl.col("behind_high") >= 0)["predictor"].to_list()
    worse = differences.filter(pl.col("behind_low") > 0)["predictor"].to_list()
    for names, said in ((worse, "worse than"), (equal, "not told apart from"), (better, "better than")):
        if names:
            yield f"These rows are {said} {full}: {'; '.join(names)}."
    if same:
        yield f"These rows forecast exactly as {full} does, because the data lack what they leave out: {'; '.join(same)}."


def _study(of: str) -> str:
    return f"ablations_{of}"


def _name(row: AblationRow) -> str:
    """Return the row's title as the name of a variant."""
    return re.sub(r"[^a-z0-9]+", "_", row.title.lower()).strip("_")
