"""Dagster's UI and the report in a real browser: what a newcomer sees after a run, and what a click starts.

`make browser` runs these tests. Every wait is for a state of the page, with a limit that a loaded machine needs.
`SCREENSHOTS=folder` keeps a screenshot of every page that a test looked at.
"""

import contextlib
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from pipeline.demonstration import make
from tests.assets.conftest import QUICK

CHROMIUM = Path("/usr/bin/chromium")
PROJECT = Path(__file__).parents[2]
COMMAND = [sys.executable, "-m", "pipeline.command_line"]
RUN_SECONDS, START_SECONDS, PAGE_SECONDS = 3000, 900, 600
LOCATION = "pipeline.definitions"
UPLOAD = "25"  # a video without a label
pytestmark = [
    pytest.mark.browser,
    pytest.mark.timeout(RUN_SECONDS + START_SECONDS + PAGE_SECONDS),
    pytest.mark.skipif(not CHROMIUM.exists(), reason=f"waits for {CHROMIUM}: apt-get install chromium"),
]
playwright = pytest.importorskip("playwright.sync_api", reason="waits for playwright: pip install -e '.[dev]'")


@pytest.fixture(scope="module")
def environment(tmp_path_factory):
    """The environment of a shell in which everything of a small set was run."""
    folder = tmp_path_factory.mktemp("browser")
    given = {
        "DATA__FOLDER": make(folder / "set", videos=24, uploads=4, workers=2),
        "STORE__PATH": folder / "store",
        "STORE__RESULTS": folder / "results",
        "SAMPLING__FRAMES": 4,
        "MODEL__SEEDS": "[0]",
    }
    own = {f"REELCAST_{name}": str(value) for name, value in given.items()}
    variables = {**os.environ, **QUICK, **own, "DAGSTER_HOME": ""}
    subprocess.run([*COMMAND, "run"], env=variables, check=True, timeout=RUN_SECONDS)
    return variables


@pytest.fixture(scope="module")
def address(environment):
    """The UI on that store, as `make ui` opens it."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    # the environment of these tests is ready: make need not look at its packages
    ready = ["--old-file", f"{sys.prefix}/.ready"]
    command = ["make", "ui", f"PORT={port}", f"VENV={sys.prefix}", *ready]
    ui = subprocess.Popen(command, env=environment, cwd=PROJECT, start_new_session=True)
    try:
        url = f"http://127.0.0.1:{port}"
        _wait_for_location(url, ui)
        yield url
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(ui.pid, signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            ui.wait(timeout=60)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(ui.pid, signal.SIGKILL)


def ask(address: str, query: str, **variables: object) -> dict:
    """Ask the web server's GraphQL API."""
    body = json.dumps({"query": query, "variables": variables}).encode()
    request = urllib.request.Request(f"{address}/graphql", body, {"Content-Type": "application/json"})
    try:
        response = urllib.request.urlopen(request, timeout=PAGE_SECONDS)
    except urllib.error.HTTPError as refused:  # an answer of the type PythonError has the status 500
        response = refused
    with response:
        answer = json.load(response)
    assert "errors" not in answer, answer
    return answer["data"]


LOCATIONS = (
    "{ workspaceOrError { ... on Workspace { locationEntries { loadStatus locationOrLoadError { __typename } } } } }"
)


def _wait_for_location(address: str, ui: subprocess.Popen) -> None:
    """Wait until the web server answers and has loaded the definitions."""
    until = time.monotonic() + START_SECONDS
    while True:
        assert ui.poll() is None, "`make ui` has ended; its output is above"
        with contextlib.suppress(OSError):
            entries = ask(address, LOCATIONS)["workspaceOrError"]["locationEntries"]
            if entries and all(entry["loadStatus"] == "LOADED" for entry in entries):
                assert entries[0]["locationOrLoadError"]["__typename"] == "RepositoryLocation"
                return
        assert time.monotonic() < until, f"{address} has not loaded the definitions in {START_SECONDS} s"
        time.sleep(1)


@pytest.fixture(scope="module")
def chromium():
    flags = ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"]
    with playwright.sync_playwright() as started:
        browser = started.chromium.launch(executable_path=CHROMIUM, args=flags, timeout=START_SECONDS * 1000)
        yield browser
        browser.close()


@pytest.fixture
def page(chromium, address):
    page = chromium.new_page(viewport={"width": 1920, "height": 1800}, base_url=address)
    page.set_default_timeout(PAGE_SECONDS * 1000)
    yield page
    page.close()


def shoot(page, name: str) -> None:
    """Keep a screenshot, once no spinner turns any more."""
    if folder := os.environ.get("SCREENSHOTS"):
        with contextlib.suppress(playwright.TimeoutError):  # a page whose run is going on never comes to rest
            page.locator("[class*=spinner i]").first.wait_for(state="detached", timeout=10_000)
        page.screenshot(path=Path(folder) / f"{name}.png", animations="disabled")


def wait_for_picture(page) -> None:
    """Wait until the first picture among the metadata of an asset's page is there, and has arrived."""
    picture = page.locator("td img").first
    picture.wait_for()
    arrived = "img => img.complete || new Promise(arrived => img.onload = img.onerror = arrived)"
    picture.evaluate(arrived)  # the page's policy refuses a function that is polled
    assert picture.evaluate("img => img.naturalWidth") > 100


def test_from_the_overview_to_a_video_its_caption_its_neighbours_and_its_forecast(page):
    page.goto("/")
    page.locator(f"a[href='/locations/{LOCATION}/jobs/everything']").first.wait_for()  # the run of the shell
    shoot(page, "overview")
    page.get_by_role("link", name="Catalog").first.click()
    page.wait_for_url("**/assets**")
    page.locator("a[href='/assets/frames']").first.wait_for()
    shoot(page, "catalog")
    page.locator("a[href='/assets/frames']").first.click()
    for asset in ("frames", "visual_captions", "neighbours"):
        if asset != "frames":
            page.goto(f"/assets/{asset}")
        wait_for_picture(page)
        assert not page.get_by_text("[Show Markdown]").count()
        page.get_by_text("team:reelcast").or_(page.get_by_text("reelcast", exact=True)).first.wait_for()
        shoot(page, asset)
    page.goto("/assets/predictions")
    page.locator("td table td", has_text=re.compile(f"^{UPLOAD}$")).first.wait_for()
    shoot(page, "predictions")
    page.goto("/assets/forecast_reasons")
    page.locator("td table td", has_text=re.compile(f"^{UPLOAD}$")).first.wait_for()
    shoot(page, "forecast_reasons")


def test_the_numbers_of_the_evaluation_are_plotted(page):
    page.goto("/assets/evaluation")
    page.get_by_text("nMSE of comment@7d").first.wait_for()
    assert not page.get_by_text("Could not parse record").count()
    shoot(page, "evaluation")
    page.get_by_text("Plots", exact=True).click()
    page.locator("canvas").first.wait_for()
    shoot(page, "plots")


COLUMNS = """
{ assetNodes { assetKey { path } assetMaterializations(limit: 1) { metadataEntries {
  ... on TableSchemaMetadataEntry { schema { columns { name description } } }
} } } }
"""


def test_every_column_of_a_table_is_described(address):
    seen, bare = 0, []
    for node in ask(address, COLUMNS)["assetNodes"]:
        for entry in node["assetMaterializations"][0]["metadataEntries"]:
            for column in entry.get("schema", {}).get("columns", []):
                seen += 1
                if not column["description"]:
                    bare.append((node["assetKey"]["path"][-1], column["name"]))
    assert seen > 100 and not bare


def test_the_lineage_shows_the_groups(page):
    page.goto("/asset-groups")
    page.get_by_text("ingest").first.wait_for()
    shoot(page, "lineage")


def test_an_asset_is_materialised_by_a_click_and_its_picture_appears(page, address):
    before = runs_of(address)
    page.goto("/assets/audio")
    wait_for_picture(page)
    page.get_by_role("button", name=re.compile("Materialize")).first.click()
    page.get_by_text(re.compile("Launched run")).first.wait_for()
    until = time.monotonic() + RUN_SECONDS
    while not (started := {run: status for run, status in runs_of(address).items() if run not in before}) or any(
        status in ("QUEUED", "NOT_STARTED", "STARTING", "STARTED") for status in started.values()
    ):
        assert time.monotonic() < until, started
        time.sleep(2)
    assert list(started.values()) == ["SUCCESS"]
    page.goto("/runs")
    page.get_by_text("Success", exact=True).nth(1).wait_for()
    shoot(page, "runs")
    page.goto("/assets/audio")
    wait_for_picture(page)
    shoot(page, "materialised")


def runs_of(address: str) -> dict[str, str]:
    found = ask(address, "{ runsOrError { ... on Runs { results { runId status } } } }")["runsOrError"]["results"]
    return {run["runId"]: run["status"] for run in found}


LAUNCH = """
mutation Launch($job: String!, $config: RunConfigData!) {
  launchRun(executionParams: {
    selector: {repositoryLocationName: "pipeline.definitions", repositoryName: "__repository__", jobName: $job},
    runConfigData: $config
  }) { __typename ... on PythonError { message } ... on RunConfigValidationInvalid { errors { message } } }
}
"""


@pytest.mark.parametrize(
    ("section", "says"),
    [
        ({"alpha": 5.0}, "less than or equal to 1"),
        ({"alfa": 0.5}, "alfa"),
        ({"train": ["m4tr"]}, "different names among"),
    ],
)
def test_a_launch_with_a_wrong_setting_is_refused_and_makes_no_run(address, section, says):
    before = runs_of(address)
    config = {"resources": {"settings": {"config": {"model": section}}}}
    answer = ask(address, LAUNCH, job="everything", config=config)["launchRun"]
    assert answer["__typename"] in ("PythonError", "RunConfigValidationInvalid")
    assert says in json.dumps(answer)
    assert runs_of(address) == before


def test_the_launchpad_shows_what_is_wrong(page):
    page.goto("/locations/pipeline.definitions/jobs/everything/playground")
    editor = page.locator(".CodeMirror").first
    editor.wait_for()
    text = "resources:\n  settings:\n    config:\n      model:\n        alpha: 5.0\n"
    editor.evaluate("(node, text) => node.CodeMirror.setValue(text)", text)
    page.get_by_role("button", name=re.compile("Launch Run|Materialize", re.IGNORECASE)).last.click()
    page.get_by_text(re.compile("less than or equal to 1")).first.wait_for()
    shoot(page, "launchpad")


@pytest.mark.parametrize("width", [1280, 390])
def test_the_report_opens_from_the_disk_with_no_request_and_no_console_error(chromium, environment, width):
    file = Path(environment["REELCAST_STORE__RESULTS"]) / "report.html"
    page = chromium.new_page(viewport={"width": width, "height": 900})
    page.set_default_timeout(PAGE_SECONDS * 1000)
    requests, problems = [], []
    page.on("request", lambda request: requests.append(request.url))
    page.on("console", lambda message: problems.append(message.text))
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.goto(file.as_uri(), wait_until="load")
    page.get_by_role("heading").first.wait_for()
    assert [url for url in requests if not url.startswith("data:")] == [file.as_uri()]
    assert problems == []
    assert page.evaluate("document.documentElement.scrollWidth") <= width, "the page scrolls sideways"
    if folder := os.environ.get("SCREENSHOTS"):
        page.screenshot(path=Path(folder) / f"report_{width}.png", full_page=True)
    page.close()
