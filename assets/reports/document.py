"""A report of headings, paragraphs, lists, tables and pictures, and its Markdown."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


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
