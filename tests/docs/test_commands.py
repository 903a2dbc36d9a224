"""Every command on a page of the documentation is known: its parser takes it, and its settings exist."""

import importlib.util
import itertools
import re
import shlex
from collections.abc import Callable

import pytest
import typer

from pipeline.command_line import app
from pipeline.settings import load
from tests.docs.pages import PAGES, ROOT, Line, code_blocks

REELCAST = typer.main.get_command(app)
VARIABLE = re.compile(r"^(REELCAST_\w+|[A-Z][A-Z_]+)=(.*)$", flags=re.DOTALL)
TARGETS = set(re.findall(r"^([a-z-]+(?: [a-z-]+)*):", (ROOT / "Makefile").read_text(), flags=re.MULTILINE))
TARGETS = {name for line in TARGETS for name in line.split()}
# Commands of other programs. Each has a reason why no test runs it.
OTHERS = {
    "cd": "the shell's own",
    "eval": "the shell's own",
    "dagster": "Dagster parses it; tests/pipeline runs the same graph and selections through its API",
    "dagster-daemon": "runs for ever",
    "dagster-webserver": "runs for ever",
    "pip": "needs the network; CI installs the same extras",
    "claude": "another program, an example of a client",
    "ruff": "make test runs it",
    "lint-imports": "make test runs it",
    "rsync": "another machine",
    "cp": "files of the reader",
    "mv": "files of the reader",
    "rm": "files of the reader",
    "mail": "another program, an example",
}


def commands_of(line: Line) -> list[tuple[dict[str, str], list[str]]]:
    """Return the commands of a line, each with the variables that it sets."""
    text = re.sub(r"(^|\s{2,})#.*$", "", line.text)
    text = re.sub(r"\[(-[^\]]*)\]", r"\1", text)  # optional arguments
    text = re.sub(r"\s\d?[<>]\s*\S+(?=\s|$)|\s&$", "", text)  # redirections, and work in the background
    commands = []
    for part in re.split(r"&&|\|\||;(?![^'\"]*['\"])", text):
        words, variables = shlex.split(part), {}
        if words[:1] == ["export"]:
            words = words[1:]
        while words and (found := VARIABLE.match(words[0])):
            variables[found[1]] = found[2]
            words = words[1:]
        if words or variables:
            commands.append((variables, words))
    return commands


def parse_reelcast(words: list[str]) -> None:
    """Parse as `reelcast` does, down to the command's own options, and run nothing."""
    command, parent, name = REELCAST, None, "reelcast"
    while True:
        context = command.make_context(name, list(words), parent=parent)
        if not hasattr(command, "resolve_command"):
            return
        name, command, words = command.resolve_command(context, list(words))
        parent = context


def parse_python(words: list[str]) -> None:
    """Find the module or file, and each of its options in its source."""
    if words[0] == "-c":
        compile(words[1], "-c", "exec")
        return
    if words[0] == "-m":
        if words[1] in ("pytest", "pip", "venv"):
            return
        spec = importlib.util.find_spec(words[1])
        assert spec is not None, f"no module {words[1]}"
        if spec.submodule_search_locations:
            spec = importlib.util.find_spec(f"{words[1]}.__main__")
        file, words = ROOT / spec.origin, words[2:]
    else:
        file, words = ROOT / words[0], words[1:]
    source = file.read_text(encoding="utf-8")
    for word in words:
        if word.startswith("--"):
            assert f'"{word.split("=")[0]}"' in source, f"{file.name} has no option {word}"


def parse_make(words: list[str]) -> None:
    """Find the target."""
    for word in words:
        assert word in TARGETS or word.startswith("DATA="), f"no target {word}"


PARSERS: dict[str, Callable[[list[str]], None]] = {
    "reelcast": parse_reelcast,
    "python": parse_python,
    "make": parse_make,
}


def check(block: list[Line]) -> None:
    """Check the commands of a block. Settings hold for all of it, as `export` does."""
    settings: dict[str, str] = {}
    for variables, words in itertools.chain.from_iterable(map(commands_of, block)):
        settings |= {name: value for name, value in variables.items() if name.startswith("REELCAST_")}
        if words and words[0] not in OTHERS:
            assert words[0] in PARSERS, f"unknown command {words[0]!r}"
            PARSERS[words[0]](words[1:])
    load(file=None, environment=settings)


def is_command(line: Line) -> bool:
    return re.match(r"((reelcast|dagster|make|python|pip|export|eval)\s|REELCAST_\w+=)", line.text) is not None


BLOCKS = [block for page in PAGES for block in code_blocks(page) if any(map(is_command, block))]


@pytest.mark.parametrize("block", BLOCKS, ids=lambda block: f"{block[0].page}:{block[0].number}")
def test_commands_are_known(block):
    check(block)


def test_commands_are_found():
    """A change of how pages are written must not empty the test above."""
    assert sum(map(len, BLOCKS)) > 80
    assert {block[0].page for block in BLOCKS} > {"README.md", "docs/datasets.md", "docs/automation.md"}


@pytest.mark.parametrize(
    "text",
    [
        "reelcast resluts",
        "reelcast run --slect x",
        "reelcast bank lst",
        "python -m tests.benchmarks.nothing",
        "python -m tests.drill --fault 200",
        "make dmeo",
        "REELCAST_PROTOCOL__HOUR=0 reelcast run",
        "export REELCAST_PROTOCOL__HOURS=many",
        "dagstre dev",
    ],
)
def test_a_wrong_command_is_found(text):
    with pytest.raises(Exception):  # noqa: B017 each parser has an error of its own
        check([Line("here", 1, text)])


def test_commands_inside_sentences_are_known():
    """`reelcast NAME` in a sentence, with or without options; `...` stands for any."""
    for page in PAGES:
        for text in re.findall(r"`(reelcast [a-z][^`\n]*)`", page.read_text(encoding="utf-8")):
            words = shlex.split(text)[1:]
            if "..." in words[:2] or "|" in text:
                words = words[:1]
            assert words[0] in REELCAST.commands, f"{page.name}: {text}"
