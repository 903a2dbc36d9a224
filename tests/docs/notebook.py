"""A page of the documentation as a Jupyter notebook: its text as text cells, its Python code as code cells."""

from __future__ import annotations

import contextlib
import io
import json
from pathlib import Path
from typing import Any

from tests.docs.pages import FENCED

KERNEL = {"display_name": "Python 3", "language": "python", "name": "python3"}


def notebook_of(page: Path) -> dict[str, Any]:
    """Return a notebook without outputs. What the page shows as output (blocks of `text`) is left out.

    Args:
        page: The page, in Markdown.
    """
    text, cells, end = page.read_text(encoding="utf-8"), [], 0
    for block in FENCED.finditer(text):
        if block[1] in ("python", "text"):
            cells.append(_cell("markdown", text[end : block.start()]))
            end = block.end()
        if block[1] == "python":
            cells.append(_cell("code", block[2]) | {"execution_count": None, "outputs": []})
    cells.append(_cell("markdown", text[end:]))
    cells = [cell | {"id": f"cell-{number}"} for number, cell in enumerate(cells) if cell["source"]]
    return {"cells": cells, "metadata": {"kernelspec": KERNEL}, "nbformat": 4, "nbformat_minor": 5}


def run_notebook(notebook: dict[str, Any]) -> dict[str, Any]:
    """Run the code cells in the working folder, and return the notebook with what they print."""
    names: dict[str, Any] = {"__name__": "__main__"}
    cells, count = [], 0
    for cell in notebook["cells"]:
        if cell["cell_type"] == "code":
            count, printed = count + 1, io.StringIO()
            with contextlib.redirect_stdout(printed):
                exec(compile("".join(cell["source"]), f"cell {count}", "exec"), names)
            stream = {"output_type": "stream", "name": "stdout", "text": printed.getvalue().splitlines(keepends=True)}
            cell = cell | {"execution_count": count, "outputs": [stream] if printed.getvalue() else []}
        cells.append(cell)
    return notebook | {"cells": cells}


def printed_by(notebook: dict[str, Any]) -> list[str]:
    """Return the lines that a notebook's outputs show."""
    outputs = [output for cell in notebook["cells"] for output in cell.get("outputs", ())]
    return "".join("".join(output["text"]) for output in outputs).splitlines()


def without_outputs(notebook: dict[str, Any]) -> dict[str, Any]:
    """Return the notebook as `notebook_of` makes it."""
    bare = {"execution_count": None, "outputs": []}
    return notebook | {"cells": [cell | bare if cell["cell_type"] == "code" else cell for cell in notebook["cells"]]}


def write_notebook(notebook: dict[str, Any], path: Path) -> None:
    """Write a notebook as Jupyter does."""
    path.write_text(json.dumps(notebook, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def _cell(kind: str, text: str) -> dict[str, Any]:
    return {"cell_type": kind, "metadata": {}, "source": text.strip("\n").splitlines(keepends=True)}
