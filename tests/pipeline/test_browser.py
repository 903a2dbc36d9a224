"""Dagster's UI in a real browser: what a newcomer sees after a run, and what a click starts.

`SCREENSHOTS=folder` keeps a screenshot of every page that a test looked at.
"""

import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest

from pipeline.demonstration import make
from tests.assets.conftest import QUICK

pytestmark = pytest.mark.browser
CHROMIUM = Path("/usr/bin/chromium")
START_SECONDS, PAGE_SECONDS, RUN_SECONDS = 300, 120, 300
UPLOAD = "25"  # a video without a label


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    """The UI on the store of a small set of which everything was run in a shell, as `make ui` starts it."""
    folder = tmp_path_factory.mktemp("browser")
    given = {
        "DATA__FOLDER": make(folder / "set", videos=24, uploads=4, workers=2),
        "STORE__PATH": folder / "store",
        "STORE__RESULTS": folder / "results",
        "SAMPLING__FRAMES": 4,
        "MODEL__SEEDS": "[0]",
    }
    own = {f"REELCAST_{name}": str(value) for name, value in given.items()}
    environment = {**os.environ, **QUICK, **own, "DAGSTER_HOME": ""}
    command = [sys.executable, "-m", "pipeline.command_line"]
    subprocess.run([*command, "run"], env=environment, check=True, timeout=540)
    shell = subprocess.run([*command, "shell"], env=environment, check=True, capture_output=True, text=True).stdout
    environment |= dict(re.findall(r"^export (\w+)=(.*)$", shell, re.MULTILINE))
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    program = Path(sys.executable).with_name("dagster")
    server = subprocess.Popen([program, "dev", "-p", str(port)], env=environment, start_new_session=True)
    try:
        _wait_for(f"http://127.0.0.1:{port}/server_info")
        yield f"http://127.0.0.1:{port}"
    finally:
        os.killpg(server.pid, signal.SIGINT)
        try:
            server.wait(timeout=60)
        except subprocess.TimeoutExpired:
            os.killpg(server.pid, signal.SIGKILL)


def _wait_for(address: str) -> None:
    until = time.monotonic() + START_SECONDS
    while True:
        try:
            urllib.request.urlopen(address, timeout=5).close()
            return
        except OSError:
            if time.monotonic() > until:
                raise
            time.sleep(0.5)


@pytest.fixture
def page(address):
    playwright = pytest.importorskip("playwright.sync_api")
    if not CHROMIUM.exists():
        pytest.skip(f"{CHROMIUM} does not exist")
    flags = ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"]
    with playwright.sync_playwright() as started:
        browser = started.chromium.launch(executable_path=CHROMIUM, args=flags)
        page = browser.new_page(viewport={"width": 1400, "height": 2400}, base_url=address)
        page.set_default_timeout(PAGE_SECONDS * 1000)
        yield page
        browser.close()


def shoot(page, name: str) -> None:
    if folder := os.environ.get("SCREENSHOTS"):
        page.wait_for_timeout(1000)
        page.screenshot(path=Path(folder) / f"{name}.png")


def wait_for_picture(page) -> None:
    """Wait until the first picture among the metadata of an asset's page is there, and has arrived."""
    page.locator("td img").first.wait_for()
    page.wait_for_function(
        "(() => { const img = document.querySelector('td img'); return img && img.naturalWidth > 100 })()"
    )


def test_from_the_overview_to_a_video_its_caption_its_neighbours_and_its_forecast(page):
    page.goto("/")
    page.get_by_role("link", name="everything", exact=True).first.wait_for()  # the run of the shell
    shoot(page, "overview")
    page.get_by_role("link", name="Catalog").first.click()
    page.wait_for_url("**/assets**")
    shoot(page, "catalog")
    for asset in ("frames", "visual_captions", "neighbours"):
        page.goto(f"/assets/{asset}")
        wait_for_picture(page)
        assert not page.get_by_text("[Show Markdown]").count()
        assert page.get_by_text("team", exact=False).count() or page.get_by_text("reelcast").count()
        shoot(page, asset)
    page.goto("/assets/predictions")
    page.locator("td table td", has_text=re.compile(f"^{UPLOAD}$")).first.wait_for()
    shoot(page, "predictions")


def test_the_numbers_of_the_evaluation_are_plotted(page):
    page.goto("/assets/evaluation")
    page.get_by_text("nMSE of comment@7d").first.wait_for()
    assert not page.get_by_text("Could not parse record").count()
    shoot(page, "evaluation")
    page.get_by_text("Plots", exact=True).click()
    page.locator("canvas").first.wait_for()
    shoot(page, "plots")


def test_an_asset_is_materialised_by_a_click_and_its_picture_appears(page):
    page.goto("/runs")
    successes = page.get_by_text("Success", exact=True)
    successes.first.wait_for()
    before = successes.count()
    page.goto("/assets/audio")
    wait_for_picture(page)
    page.get_by_role("button", name=re.compile("Materialize")).first.click()
    page.get_by_text(re.compile("Launched run")).first.wait_for()
    page.goto("/runs")
    successes.nth(before).wait_for(timeout=RUN_SECONDS * 1000)
    shoot(page, "runs")
    page.goto("/assets/audio")
    wait_for_picture(page)
    shoot(page, "materialised")
