"""The report of recommenders: metrics with intervals over seeds, what MTIN filters, and the numbers that MTIN prints."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import polars as pl

from assets.reports.document import Block, Grid, Heading, Paragraph
from assets.reports.recommendation_runs import AMONG_ALL
from models.metrics import interval

COLUMNS = ("AUC global", "AUC", "precision@50", "recall@50", "F1@50", "NDCG@10", "MRR")
ALL_COLUMNS = ("NDCG@10", "hit rate@10", "MRR")
FILE = Path(__file__).with_name("published_recommendations.csv")
OTHER_DEFINITION = ("BPR", "LSTM", "CNN", "NCF", "ATRank", "THACIL")


def recommendation_blocks(runs: pl.DataFrame) -> list[Block]:
    """Return the report of runs: exposures among themselves, clicks among all items, what MTIN filters, printed numbers."""
    order = (
        runs.filter(pl.col("metric") == "AUC global")
        .group_by("name")
        .agg(pl.col("value").mean())
        .sort("value", descending=True)["name"]
        .to_list()
    )
    users = runs.filter(pl.col("metric") == "AUC").select("users", "left_out").row(0)
    blocks: list[Block] = [
        Heading("Recommenders", 1),
        Paragraph(
            "Every row is fitted to the first 70 % of each user's exposures and validated on the next 10 %. The last "
            "20 % are the test, with the training exposures as history. ± is a 95 % interval over seeds. The rows stand "
            "by their AUC over all test exposures."
        ),
        Heading("Each user's test exposures among themselves"),
        Paragraph(
            f"Means over {users[0]} users; {users[1]} users without a click in their test exposures are left out. AUC "
            "global is over all exposures of all users, and F1 is that of the mean precision and recall."
        ),
        _grid(runs, order, COLUMNS),
    ]
    if runs["metric"].str.starts_with(AMONG_ALL).any():
        blocks += [
            Heading("Each user's test clicks among all items"),
            Paragraph("Items that the user met before stay candidates. No negatives are sampled."),
            _grid(runs, order, [AMONG_ALL + name for name in ALL_COLUMNS]),
        ]
    if (runs["metric"] == "filtered_clicked").any():
        own = [name for name in order if name.startswith("MTIN")]
        blocks += [
            Heading("Clicks that MTIN's routing filters"),
            Paragraph("Shares of the latest training clicks and skips that the routing puts into no interest group."),
            _grid(runs, own, ("filtered_clicked", "filtered_skipped")),
        ]
    return [
        *blocks,
        Heading("Cost"),
        _grid(runs, order, ("parameters", "seconds"), digits=0),
        *_published(order),
    ]


def _grid(runs: pl.DataFrame, order: Sequence[str], metrics: Sequence[str], *, digits: int = 4) -> Grid:
    cells = []
    for name in order:
        own = runs.filter(pl.col("name") == name)
        cells.append([name, *(_cell(own.filter(pl.col("metric") == metric)["value"], digits) for metric in metrics)])
    return Grid(["row", *(metric.removeprefix(AMONG_ALL) for metric in metrics)], cells)


def _cell(values: pl.Series, digits: int) -> str:
    if values.is_empty():
        return "n/a"
    found = interval(values.to_numpy())
    half = "" if math.isnan(found.high) else f" ± {found.high - found.value:,.{digits}f}"
    return f"{found.value:,.{digits}f}{half}"


def _published(titles: Sequence[str]) -> list[Block]:
    """Return the numbers that MTIN prints in table 2 for rows of these titles, with a mark beside each."""
    printed = pl.read_csv(FILE, schema_overrides={"value": pl.Float64})
    wide = printed.pivot(on="metric", index=["dataset", "model"], values="value", maintain_order=True)
    wide = wide.filter(pl.col("model").is_in(list(titles)))
    if wide.is_empty():
        return []
    metrics = [name for name in wide.columns if name not in ("dataset", "model")]
    cells = [
        [row["model"], row["dataset"], *(f"{row[metric]:g}" for metric in metrics), _mark(row["model"], row["dataset"])]
        for row in wide.iter_rows(named=True)
    ]
    return [
        Heading("Numbers that MTIN prints"),
        Paragraph(
            "Table 2 of Jiang et al. 2020. None can be compared with a row above: other users, items and exposures. Mark 1: on "
            "MicroVideo-1.7M recall over precision is 0.71 to 0.75 for these rows and 1.50 to 1.53 for ALPINE and MTIN. On one "
            "test set it is nearly one number for all methods, as on KuaiShou-Dataset (1.31 to 1.33). The two groups were "
            "measured by different definitions, so the gain in recall over the marked rows is none."
        ),
        Grid(["row", "data set", *metrics, "mark"], cells, texts=frozenset({1, 2 + len(metrics)})),
    ]


def _mark(model: str, dataset: str) -> str:
    return "1" if model in OTHER_DEFINITION and dataset == "MicroVideo-1.7M" else ""
