"""The report in a browser, opened from the disk, at the width of a desk and of a phone, over titles that could break it."""

import json

import polars as pl
import pytest

from tests.assets.conftest import HOUR, START, write_plain_set

pytestmark = pytest.mark.browser

TITLES = [
    "<script>document.title = 'broken'</script>",
    "</script></style></svg></body>",
    "a" * 10_000,
    "مرحبا بالعالم، هذا فيديو قصير",
    "猫が踊っている動画" * 20,
    "$\\frac{1}{2}$ & \"quotes\" 'quotes' `code`",
]
FILES = ("videos.csv", "events.csv")
OVERFLOWING = """
    [...document.querySelectorAll('body *')]
        .filter(element => !element.closest('.wide') && element.getBoundingClientRect().right > innerWidth + 1)
        .map(element => element.outerHTML.slice(0, 200))
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Every title once more, as a new video: these have no label yet, so the report lists all of them."""
    folder = write_plain_set(tmp_path_factory.mktemp("hostile"))
    videos, events = (pl.read_csv(folder / name, schema_overrides={"item": pl.String}) for name in FILES)
    titles = [f"{TITLES[row % len(TITLES)]} {row}" for row in range(len(videos))]
    published = START + 59 * 24 * HOUR
    new = [(f"new{row}", title, published) for row, title in enumerate(TITLES)]
    comments = [(item, "u1", "comment", published + hour * HOUR) for item, *_ in new for hour in (1, 2, 3)]
    videos = videos.with_columns(pl.Series("title", titles))
    pl.concat([videos, _rows(new, videos)]).write_csv(folder / "videos.csv")
    pl.concat([events, _rows(comments, events)]).write_csv(folder / "events.csv")
    return folder


def _rows(rows, like):
    return pl.DataFrame(rows, schema=like.schema, orient="row")


@pytest.fixture
def report(settings_of, materialise, folder):
    settings = settings_of(data__folder=str(folder), model__train=json.dumps(["boosting"]))
    assert materialise(settings).success
    return settings.results_folder() / "report.html"


def test_it_opens_without_a_request_or_an_error_and_nothing_overflows(report, tmp_path):
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path="/usr/bin/chromium", args=["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"]
        )
        for width in (1280, 390):
            for scheme in ("light", "dark"):
                context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme)
                page, requests, told = context.new_page(), [], []
                page.on("request", lambda request, requests=requests: requests.append(request.url))
                page.on("console", lambda message, told=told: told.append(message.text))
                page.on("pageerror", lambda error, told=told: told.append(str(error)))
                page.goto(report.as_uri())
                page.screenshot(path=tmp_path / f"report_{width}_{scheme}.png", full_page=True)
                assert [url for url in requests if not url.startswith("data:")] == [report.as_uri()]
                assert told == []
                assert page.evaluate("document.documentElement.scrollWidth") <= width
                assert page.evaluate(OVERFLOWING) == []
                assert page.title().startswith("reelcast: ")
                assert page.locator("h2").count() == 17
                shown = page.inner_text("body")
                assert [title for title in TITLES if title[:40] not in shown] == []
                context.close()
        browser.close()
