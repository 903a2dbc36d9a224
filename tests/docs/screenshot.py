"""`python -m tests.docs.screenshot PAGE HEADING PNG`: the picture of a part of a page in a browser, such as README's report."""

import sys
from pathlib import Path

from playwright.sync_api import sync_playwright

CHROMIUM = "/usr/bin/chromium"
SIZE = {"width": 1100, "height": 1000}
SECONDS = 600  # on a loaded machine


def screenshot(page: Path, heading: str, png: Path) -> None:
    """Open a page, scroll to a heading, and write what a window shows.

    Args:
        page: HTML file.
        heading: Its heading, or the beginning of it.
        png: The picture.
    """
    with sync_playwright() as started:
        browser = started.chromium.launch(
            executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"], timeout=SECONDS * 1000
        )
        opened = browser.new_page(viewport=SIZE)
        opened.set_default_timeout(SECONDS * 1000)
        opened.goto(page.absolute().as_uri())
        opened.get_by_role("heading", name=heading).first.evaluate("heading => heading.scrollIntoView()")
        opened.screenshot(path=png)
        browser.close()


if __name__ == "__main__":
    page, heading, png = sys.argv[1:]
    screenshot(Path(page), heading, Path(png))
