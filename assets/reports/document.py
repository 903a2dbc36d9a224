"""A report of headings, paragraphs, lists, tables and pictures, as Markdown and as one HTML file without outside references."""

from __future__ import annotations

import html
from collections.abc import Sequence
from dataclasses import dataclass

STYLE = """
:root { color-scheme: light dark; --ink: #1c2128; --soft: #59636e; --line: #d5dae0; --ground: #ffffff; --band: #f4f6f8;
  --accent: #0a5fb4; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6e9ed; --soft: #9aa4af; --line: #343b44; --ground: #14181d;
  --band: #1c2229; --accent: #6cb0f5; } }
body { font: 15px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--ground); max-width: 76rem;
  margin: 2rem auto; padding: 0 1.2rem; }
h1 { font-size: 1.6rem; } h2 { font-size: 1.25rem; margin-top: 2.2rem; } h3 { font-size: 1.05rem; margin-top: 1.6rem; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; font-size: 0.87rem; margin: 0.6rem 0; }
th, td { padding: 0.3rem 0.7rem; border-bottom: 1px solid var(--line); text-align: right; white-space: nowrap; }
th:first-child, td:first-child, .text { text-align: left; white-space: normal; }
th { color: var(--soft); font-weight: 600; } tbody tr:hover { background: var(--band); }
svg { max-width: 100%; height: auto; color: var(--accent); } figure { margin: 1rem 0; }
svg text { fill: var(--ink); } figcaption { color: var(--soft); }
p, li { max-width: 60rem; }
"""


@dataclass(frozen=True)
class Heading:
    """A heading; level 1 is the report's title."""

    text: str
    level: int = 2


@dataclass(frozen=True)
class Paragraph:
    """A paragraph."""

    text: str


@dataclass(frozen=True)
class Items:
    """A list of sentences."""

    texts: Sequence[str]


@dataclass(frozen=True)
class Grid:
    """A table.

    Attributes:
        columns: Titles of the columns.
        rows: Cells as text, one sequence per row.
        bold: Numbers of the rows to emphasise.
        texts: Numbers of further columns, besides the first, that hold text instead of figures.
    """

    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    bold: frozenset[int] = frozenset()
    texts: frozenset[int] = frozenset()


@dataclass(frozen=True)
class Picture:
    """A picture.

    Attributes:
        svg: An `<svg>` element; it takes its colours from the text around it (`currentColor`).
        file: Name of the file that holds it beside the Markdown.
        title: What it shows.
    """

    svg: str
    file: str
    title: str


Block = Heading | Paragraph | Items | Grid | Picture


def as_markdown(blocks: Sequence[Block]) -> str:
    """Return a report as Markdown.

    Example:
        >>> print(as_markdown([Heading("Rows", 1), Grid(["row", "nMSE"], [["M3TR", "0.4"]])]))
        # Rows
        <BLANKLINE>
        | row | nMSE |
        |---|---:|
        | M3TR | 0.4 |
    """
    return "\n\n".join(_markdown(block) for block in blocks)


def _markdown(block: Block) -> str:
    if isinstance(block, Heading):
        return f"{'#' * block.level} {block.text}"
    if isinstance(block, Paragraph):
        return block.text
    if isinstance(block, Items):
        return "\n".join(f"- {text}" for text in block.texts)
    if isinstance(block, Picture):
        return f"![{block.title}]({block.file})"
    sides = ["---" if number == 0 or number in block.texts else "---:" for number in range(len(block.columns))]
    lines = ["| " + " | ".join(block.columns) + " |", "|" + "|".join(sides) + "|"]
    for number, row in enumerate(block.rows):
        cells = [cell.replace("|", "\\|") for cell in row]
        lines.append(
            "| " + " | ".join(f"**{cell}**" if cell and number in block.bold else cell for cell in cells) + " |"
        )
    return "\n".join(lines)


def as_html(blocks: Sequence[Block], *, title: str) -> str:
    """Return a report as one HTML file, which follows the reader's light or dark theme.

    Args:
        blocks: The report.
        title: Title of the page.
    """
    body = "\n".join(_html(block) for block in blocks)
    return (
        f'<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n<title>{html.escape(title)}</title>\n'
        f'<meta name="viewport" content="width=device-width, initial-scale=1">\n<style>{STYLE}</style>\n</head>\n'
        f"<body>\n{body}\n</body>\n</html>\n"
    )


def _html(block: Block) -> str:
    if isinstance(block, Heading):
        return f"<h{block.level}>{html.escape(block.text)}</h{block.level}>"
    if isinstance(block, Paragraph):
        return f"<p>{html.escape(block.text)}</p>"
    if isinstance(block, Items):
        return "<ul>" + "".join(f"<li>{html.escape(text)}</li>" for text in block.texts) + "</ul>"
    if isinstance(block, Picture):
        return f"<figure>{block.svg}<figcaption>{html.escape(block.title)}</figcaption></figure>"
    head = "".join(f"<th{_kind(block, number)}>{html.escape(title)}</th>" for number, title in enumerate(block.columns))
    rows = []
    for number, row in enumerate(block.rows):
        cells = (f"<td{_kind(block, place)}>{html.escape(cell)}</td>" for place, cell in enumerate(row))
        weight = ' style="font-weight:600"' if number in block.bold else ""
        rows.append(f"<tr{weight}>{''.join(cells)}</tr>")
    return f'<div class="wide"><table><thead><tr>{head}</tr></thead><tbody>{"".join(rows)}</tbody></table></div>'


def _kind(block: Grid, column: int) -> str:
    return ' class="text"' if column in block.texts else ""
