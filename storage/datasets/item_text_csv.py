"""Files without a header whose lines are `item,text`: everything after the first comma is the text, quotes included."""

from collections.abc import Callable
from pathlib import Path

from storage.datasets.dataset import Note
from storage.datasets.errors import DatasetError, Problems
from storage.datasets.file_bytes import not_utf8, read_text_bytes
from storage.datasets.ids import canonical_id


def read_lines(path: Path, problems: Problems) -> list[str]:
    """Return the lines of a text file, without line ends; what is wrong with the file is a problem."""
    try:
        raw = read_text_bytes(path)
        text = raw.decode()
    except DatasetError as error:
        problems.found += error.problems
        return []
    except UnicodeDecodeError as error:
        problems.found += not_utf8(path, raw, error).problems
        return []
    # Not splitlines(): titles hold characters such as U+2028, which it takes for line ends.
    return [line.removesuffix("\r") for line in text.split("\n")]


def read_item_texts(
    path: Path,
    problems: Problems,
    notes: list[Note],
    *,
    what: str,
    conflict: Callable[[str, int, int], None] | None = None,
) -> dict[str, str | None]:
    """item -> text, None where it is empty. An item given twice with the same text counts once.

    conflict(item, first line, line) is called for an item with two different texts; without it that is a problem.
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
                f"({text!r}, there {texts[item]!r}); one line an item is allowed",
                line=number,
            )
    if repeated:
        notes.append(Note("info", f"{path.name}: {repeated:,} repeated lines dropped"))
    if empty:
        notes.append(Note("info", f"{path.name}: {empty:,} items have an empty {what}, which counts as missing"))
    return texts
