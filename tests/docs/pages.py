"""The pages of the documentation, and the code and commands in them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGES = sorted([ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").rglob("*.md")])
FENCED = re.compile(r"^```(\w*)\n(.*?)^```$", flags=re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Line:
    """A line of code on a page.

    Attributes:
        page: The page, relative to the repository.
        number: Number of the line, from 1.
        text: The line without its indentation.
    """

    page: str
    number: int
    text: str


def python_of(page: Path) -> str:
    """Return the Python code of a page, with the page's line numbers."""
    text = page.read_text(encoding="utf-8")
    source = [""] * (text.count("\n") + 1)
    for block in FENCED.finditer(text):
        if block[1] == "python":
            first = text[: block.start(2)].count("\n")
            for offset, line in enumerate(block[2].splitlines()):
                source[first + offset] = line
    return "\n".join(source)


def shell_of(page: Path) -> str:
    """Return the fenced shell code of a page as one script."""
    blocks = FENCED.finditer(page.read_text(encoding="utf-8"))
    return "\n".join(block[2] for block in blocks if block[1] == "sh")


def run_page(page: Path) -> dict:
    """Run the Python code of a page in the working folder, and return its names."""
    names: dict = {"__name__": "__main__"}
    exec(compile(python_of(page), page, "exec"), names)
    return names


def code_blocks(page: Path) -> list[list[Line]]:
    """Return the blocks of a page's indented code and of its fenced code for a shell, as lines."""
    name, blocks, fence, before = str(page.relative_to(ROOT)), [], None, ""
    for number, text in enumerate(page.read_text(encoding="utf-8").splitlines(), start=1):
        if text.startswith("```"):
            fence = text[3:] if fence is None else None
            blocks.append([])
        elif fence in ("sh", "bash") or (
            fence is None and text.startswith("    ") and (not before.strip() or before.startswith("    "))
        ):
            if not before.strip() or not blocks:
                blocks.append([])
            if blocks[-1] and blocks[-1][-1].text.endswith("\\"):  # a command that goes on in the next line
                first = blocks[-1].pop()
                blocks[-1].append(Line(name, first.number, f"{first.text[:-1]} {text.strip()}"))
            else:
                blocks[-1].append(Line(name, number, text.strip()))
        before = text
    return [block for block in blocks if block]


if __name__ == "__main__":  # python -m tests.docs.pages: makes the tutorial's pictures and its notebook again
    import os

    from tests.docs.notebook import notebook_of, run_notebook, write_notebook

    os.chdir(ROOT / "docs" / "tutorials")
    write_notebook(run_notebook(notebook_of(Path("process.md"))), Path("process.ipynb"))
