"""Files without a header whose lines are `item,text`: everything after the first comma is the text, quotes included."""

from collections.abc import Callable
from pathlib import Path

from storage.datasets.dataset import Note
from storage.datasets.errors import Problems


def read_lines(path: Path, problems: Problems) -> list[str]:
    """The lines of a UTF-8 file, without BOM and CR; a problem names the first line that is not UTF-8."""
    raw = path.read_bytes()
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        problems.add(path, f"not UTF-8 (byte 0x{raw[error.start]:02x})", line=line)
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
        item, text = item.strip(), text.strip() or None
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
