"""Printed numbers: which contradict themselves, and how a row finds its own."""

import polars as pl

from assets.reports.leaderboard_document import published_blocks
from assets.reports.published import numbers_of, published_numbers


def test_the_four_rows_with_an_nmse_below_its_bound_are_marked():
    wrong = published_numbers().filter("impossible").select("paper", "dataset", "model").rows()
    assert sorted(wrong) == [
        ("M3TR", "INFORMS-2024", "HMMVED"),
        ("M3TR", "MicroLens-100k", "HMMVED"),
        ("MUFM", "pMicroLens", "HMMVED"),
        ("MUFM", "pMicroLens", "TMALL"),
    ]


def test_every_printed_row_says_why_it_is_not_comparable():
    assert published_numbers()["reason"].null_count() == 0


def test_a_title_finds_the_rows_with_the_same_letters():
    assert set(numbers_of(["att-mlp", "MMRA w/o Neg"]).select("predictor", "paper").rows()) == {
        ("att-mlp", "DSN"),
        ("MMRA w/o Neg", "MMRA"),
    }
    assert numbers_of(["MMRA w/o", "boosting", "SVR + observed counts"]).is_empty()


def test_a_remark_in_parentheses_counts_only_where_a_paper_prints_it():
    assert set(numbers_of(["TMALL (transductive)"])["model"]) == {"TMALL"}
    assert numbers_of(["DSN (w/o short-term dependency)"])["model"].to_list() == ["DSN (w/o short-term dependency)"]


def test_the_report_numbers_each_reason():
    grid, reasons = published_blocks(["HMMVED"])[2:]
    marks = dict(zip((tuple(row[1:3]) for row in grid.rows), (row[-1] for row in grid.rows)))
    assert marks["MUFM, Table 3", "pMicroLens"].startswith("impossible, ")
    assert marks["MMRA, Table 2", "MicroLens-100k"].startswith("not comparable, ")
    assert len(reasons.texts) == len(set(marks.values()))
    assert isinstance(published_numbers(), pl.DataFrame)
