"""A reader of files with lines `item,text` and no header. Everything after the first comma is text, including quotes."""

from collections.abc import Callable
from pathlib import Path

from storage.datasets.dataset import Note
from storage.datasets.errors import DatasetError, Problems
from storage.datasets.file_bytes import not_utf8, read_text_bytes
from storage.datasets.ids import canonical_id


def read_lines(path: Path, problems: Problems) -> list[str]:
    """Return the lines of a text file, without line ends. If it cannot be read, add problems and return no lines."""
    try:
        raw = read_text_bytes(path)
        text = raw.decode()
    except DatasetError as error:
        problems.found += error.problems
        return []
    except UnicodeDecodeError as error:
        problems.found += not_utf8(path, raw, error).problems
        return []
    # Not splitlines(), which also splits at characters such as U+2028 that occur in titles.
    return [line.removesuffix("\r") for line in text.split("\n")]


def read_item_texts(
    path: Path,
    problems: Problems,
    notes: list[Note],
    *,
    what: str,
    conflict: Callable[[str, int, int], None] | None = None,
) -> dict[str, str | None]:
    """Read a file with lines `item,text`. Repeated lines count once.

    Args:
        path: The file, possibly compressed.
        problems: Problems are added here.
        notes: Notes about repeated lines and empty texts are added here.
        what: What the text is, for messages: "title".
        conflict: Called with (item, first line, line) for an item with two different texts. By default these are a
            problem.

    Returns:
        Item -> text, None if it is empty.
    """
    texts: dict[str, str | None] = {}
    first_line: dict[str, int] = {}
    repeated = empty = 0
    for number, line in enumerate(read_lines(path, problems), start=1):
        if not line.strip():
            continue
        item, comma, text = line.partition(",")
        item, text = canonical_id(item), text.strip() or None
        if not comma:
            problems.add(path, f"{line[:60]!r} has no comma; every line must be `item,{what}`", line=number)
        elif not item:
            problems.add(path, f"there is no item before the comma; every line must be `item,{what}`", line=number)
        elif number == 1 and (item.lower(), (text or "").lower()) in {
            ("item", what),
            ("videoid", what),
            ("video_id", what),
        }:
            continue
        elif item not in texts:
            texts[item] = text
            first_line[item] = number
            empty += text is None
        elif texts[item] == text:
            repeated += 1
        elif conflict:
            conflict(item, first_line[item], number)
        else:
            problems.add(
                path,
                f"item {item} has another {what} than in line {first_line[item]} "
                f"({text!r}, there {texts[item]!r}); one line per item is allowed",
                line=number,
            )
    if repeated:
        notes.append(Note("info", f"{path.name}: {repeated:,} repeated lines dropped"))
    if empty:
        notes.append(Note("info", f"{path.name}: {empty:,} items have an empty {what}, which counts as missing"))
    return texts
