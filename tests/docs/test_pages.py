"""The code on pages runs, and the site has no broken link."""

import json
import re
import shutil
import subprocess
import sys

import matplotlib.image
import pytest

from tests.docs.notebook import notebook_of, printed_by, run_notebook, without_outputs
from tests.docs.pages import PAGES, ROOT, run_page

NUMBER = re.compile(r"-?\d+(?:\.\d+)?(?:e[+-]\d+)?")

pytest.importorskip("mkdocs")


def test_the_tutorial_of_the_process_runs_as_a_notebook_and_its_statements_hold(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    page = ROOT / "docs" / "tutorials" / "process.md"
    notebook = json.loads(page.with_suffix(".ipynb").read_text(encoding="utf-8"))
    assert without_outputs(notebook) == notebook_of(page), "make it again: python -m tests.docs.pages"
    shown, kept = printed_by(run_notebook(notebook)), printed_by(notebook)
    assert len(shown) == len(kept) > 10
    assert [line for line in shown if line in ("True", "False")] == ["True"] * 5
    (table,) = re.findall(r"```text\n(.*?)```", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    first = next(number for number, line in enumerate(shown) if line.startswith("ExponentialHawkes"))
    for printed, line in zip(table.splitlines(), shown[first:]):
        assert NUMBER.sub("", printed).split() == NUMBER.sub("", line).split()
        numbers = [[float(number) for number in NUMBER.findall(text)] for text in (printed, line)]
        assert numbers[0] == pytest.approx(numbers[1], rel=0.05, abs=0.005)
    for name in ("influence", "residuals", "intensity", "forecast"):
        kept = matplotlib.image.imread(ROOT / "docs" / "tutorials" / f"{name}.png")
        assert matplotlib.image.imread(f"{name}.png").shape == kept.shape, (
            "make pictures again: python -m tests.docs.pages"
        )


@pytest.mark.slow
def test_the_first_code_of_the_page_of_the_process_runs(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    names = run_page(ROOT / "docs" / "process.md")
    assert names["report"].best.dev > -2 and (tmp_path / "influence.png").exists()


def test_the_site_is_built_without_a_broken_link(tmp_path):
    done = build(ROOT, tmp_path / "site")
    assert done.returncode == 0, done.stderr
    for page in ("index", "contributing", "tutorials/process", "python"):
        assert (tmp_path / "site" / f"{page}.html").exists()
    reference = (tmp_path / "site" / "python.html").read_text(encoding="utf-8")
    assert 'id="models.events.EventBatch.from_frame"' in reference
    assert len(list((tmp_path / "site").rglob("*.html"))) >= len(PAGES)


@pytest.mark.slow
def test_a_broken_link_is_found(tmp_path):
    for name in ("mkdocs.yml", "README.md", "CONTRIBUTING.md", "CHANGELOG.md"):
        shutil.copy(ROOT / name, tmp_path)
    for folder in ("docs", "tests/docs", "models", "storage"):
        shutil.copytree(ROOT / folder, tmp_path / folder)
    with (tmp_path / "docs" / "operations.md").open("a") as file:
        file.write("\n[nowhere](nowhere.md)\n")
    done = build(tmp_path, tmp_path / "site")
    assert done.returncode == 1 and "nowhere.md" in done.stderr


def build(folder, into) -> subprocess.CompletedProcess:
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(into)]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True)
