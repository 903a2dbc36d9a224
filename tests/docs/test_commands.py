"""Every command on a page of the documentation is known, and a test runs it or it is listed here with the reason why not."""

import importlib.util
import itertools
import re
import shlex
from collections.abc import Callable

import pytest
import typer

from pipeline.command_line import app
from pipeline.settings import load
from tests.docs.pages import PAGES, ROOT, Line, code_blocks, shell_of

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
    "helm": "needs a Kubernetes cluster; tests/deploy checks the values that it reads",
    "ray": "needs several machines; `python -m deploy.local_cluster` starts the same programs on one",
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
# Commands of this project that no test runs as they stand on the page.
NOT_RUN = {
    "reelcast leaderboard": "minutes; tests/pipeline/test_studies.py runs its arms",
    "reelcast recommenders": "minutes; tests/assets/audience fits the same models",
    "python -m deploy.local_cluster": "runs for ever; tests/drill/test_same_tables.py uses it where PostgreSQL is",
    "make demo": "minutes; its commands run in tests/pipeline/test_browser.py",
    "make ui": "runs for ever; tests/pipeline/test_browser.py opens it in a browser",
    "make test": "continuous integration runs it",
    "make browser": "continuous integration runs it",
    "make clean": "tests/pipeline/test_instance.py runs `reelcast clean`",
    "python -c": "an example of one line of Python",
    "python -m pytest": "runs the tests",
    "python -m pipeline.demonstration": "its function `make` runs in most tests",
    "python -m tests.benchmarks": "minutes to hours, some with a GPU or with data that are not in the repository",
    "python -m tests.docs": "needs the demonstration's report; tests/pipeline/test_browser.py opens such a page",
    "python -m tests.drill": "kills processes for up to an hour",
    "python -m tests.stage_code": "tests/stage_code runs the same comparison",
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


def name_of(words: list[str]) -> str:
    """Return a command's name: the program, and what it is asked to do."""
    if words[0] == "python":
        return " ".join([*words[:2], *(".".join(word.split(".")[:2]) for word in words[2:3] if words[1] == "-m")])
    count = 3 if words[:2] in (["reelcast", "bank"], ["reelcast", "models"]) else 2
    return " ".join([word for word in words if not word.startswith("DATA=")][:count])


def is_run_by_a_test(name: str, tests: str, tutorials: str) -> bool:
    """Whether a test calls the command's parser with it, or a tutorial that the tests run has it."""
    arguments = ", ".join(f'"{word}"' for word in name.split()[1:])
    called = re.search(rf"(main\(\[|COMMAND, |\"pipeline.command_line\", ){arguments}[,\]]", tests) is not None
    return called or re.search(rf"^{name}\b", tutorials, flags=re.MULTILINE) is not None


def test_every_command_is_run_by_a_test_or_has_a_reason():
    tests = "\n".join(file.read_text(encoding="utf-8") for file in (ROOT / "tests").rglob("test_*.py"))
    tutorials = "\n".join(shell_of(ROOT / "docs" / "tutorials" / f"{name}.md") for name in ("own_videos", "microlens"))
    lines = itertools.chain.from_iterable(BLOCKS)
    names = {name_of(words) for line in lines for _, words in commands_of(line) if words and words[0] not in OTHERS}
    assert "reelcast bank list" in names and "make demo" in names
    left = {name for name in names if not is_run_by_a_test(name, tests, tutorials)}
    assert left - set(NOT_RUN) == set(), "call it in a test, or give a reason in NOT_RUN"
    assert set(NOT_RUN) - names == set(), "a command that stands on no page any more"


def test_a_command_that_no_test_runs_is_found():
    assert is_run_by_a_test("reelcast bank list", 'main(["bank", "list", "--json"])', "")
    assert not is_run_by_a_test("reelcast bank", 'main(["banks"])', "reelcast banking")


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
