"""The report before anything was computed."""

from assets.engine.store_access import open_store
from assets.reports.report import report_page, write_page


def test_an_empty_store_has_a_report_that_says_what_makes_each_section(settings_of, tmp_path):
    settings = settings_of()
    page = report_page(open_store(settings), settings)
    missing = dict(page.sections.iter_rows())
    assert missing["The answer: which forecast is best"] == (
        "Not computed yet; `reelcast run --select '+leaderboard'` computes it."
    )
    present = [section for section, why in missing.items() if why is None]
    assert present == ["Failures and damages", "Provenance"]
    remedies = ("reelcast run", "dagster asset materialize")
    assert [why for why in missing.values() if why and not any(remedy in why for remedy in remedies)] == []
    path = write_page(page, settings)
    assert path == tmp_path / "results" / "report.html"
    assert "<code>reelcast run --select &#39;+drift&#39;</code>" in path.read_text(encoding="utf-8")
