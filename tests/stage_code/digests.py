"""A digest per stage and encoder: of its own source and of all pure functions of this repository that it uses.

Comments, docstrings, annotations, formatting and the place of a function do not count. The machinery that every stage runs
on does not count either: it has tests of its own, and a change there would ask for a new number of every stage.
"""

from __future__ import annotations

import ast
import hashlib
from collections.abc import Iterable, Iterator, Mapping
from copy import deepcopy
from dataclasses import dataclass, field
from functools import cache

from tests.stage_code.call_graph import FUNCTIONS, Definition, Repository, dagster_decorator, fields

PACKAGES = ("assets", "models", "storage")
MACHINERY = ("assets.settings", "assets.engine", "assets.encoding", "models.encoders", "storage")
PURE = (  # within the machinery, yet they decide what rows hold
    "assets.engine.media_tasks",
    "assets.encoding.encoding_tasks",
    "storage.bank",
    "storage.datasets",
    "storage.duplicates",
    "storage.splits",
)
NUMBERED = ("Fingerprint", "EncoderStage")  # calls whose `code=` is the number
PRETRAINED = "models.encoders.pretrained"
LIBRARIES = {  # encoders that run a model by its own library
    "text": [("angle_text", "AngleLibraryEncoder")],
    "captions": [("lavis_captions", "LavisCaptioner")],
    "sounds": [("laion_sounds", "LaionDescriber"), ("preparing", "LaionPreparation")],
}


@dataclass(frozen=True)
class Code:
    """The code that decides a stage's results.

    Attributes:
        number: The number that is raised by hand; None for a stage without one.
        digest: Of all definitions that count; it stays the same when a function moves to another file.
        functions: Digest of each definition that counts, by its name; empty if it was read from a snapshot.
    """

    number: int | None
    digest: str
    functions: Mapping[str, str] = field(default_factory=dict)


def stages(repository: Repository) -> dict[str, Code]:
    """Return the code of every asset, by the asset's name."""
    found = {}
    for module in repository.modules("assets"):
        for name, (node, *_) in module.definitions.items():
            if _is_asset(node):
                used = closure(repository, [Definition(module.name, name)], machinery=MACHINERY)
                own = [definition for definition in used if definition.module == module.name]
                numbers = [number for definition in own for number in _numbers(repository.nodes(definition))]
                found[name] = _code(repository, used, max(numbers, default=None))
    return found


def encoders(repository: Repository, classes: dict[str, dict[str, str]]) -> dict[str, Code]:
    """Return the code of every encoder in the table of roles, and of each role's pretrained ones."""
    found = {}
    for role, named in classes.items():
        for profile, path in named.items():
            root = Definition(*path.split(":"))
            used, numbers = closure(repository, [root], machinery=()), _entries(repository.nodes(root))
            found[f"encoder/{role}/{profile}"] = _code(repository, used, max(numbers, default=None))
    (versions,) = repository.nodes(Definition(f"{PRETRAINED}.options", "CODE_VERSIONS"))
    for role, number in ast.literal_eval(versions.value).items():
        roots = [Definition(f"{PRETRAINED}.loading", f"_{role}")]
        roots += [Definition(f"{PRETRAINED}.{module}", name) for module, name in LIBRARIES.get(role, ())]
        found[f"encoder/{role}/pretrained"] = _code(repository, closure(repository, roots, machinery=()), number)
    return found


def predictors(repository: Repository, classes: dict[str, str]) -> dict[str, Code]:
    """Return the code of every predictor in the table of predictors; its number is the class attribute `code`."""
    found = {}
    for name, path in classes.items():
        used = closure(repository, [Definition(*path.split(":"))], machinery=MACHINERY)
        numbers = [number for definition in used for number in _class_numbers(repository.nodes(definition))]
        found[f"predictor/{name}"] = _code(repository, used, max(numbers, default=None))
    return found


def _class_numbers(nodes: Iterable[ast.stmt]) -> Iterator[int]:
    for node in nodes:
        for statement in node.body if isinstance(node, ast.ClassDef) else []:
            names = [getattr(target, "id", None) for target in getattr(statement, "targets", [])]
            if names == ["code"] and isinstance(statement.value, ast.Constant):
                yield statement.value.value


def closure(repository: Repository, roots: Iterable[Definition], *, machinery: tuple[str, ...]) -> set[Definition]:
    """Return the roots and all that they use, directly or not; other assets, checks and the machinery end the search."""
    found, left = set(roots), list(roots)
    while left:
        for used in repository.used_by(left.pop()):
            if used not in found and not _is_machinery(used.module, machinery) and not _ends(repository.nodes(used)):
                found.add(used)
                left.append(used)
    return found


def normalised(node: object) -> object:
    """Return what a node does as nested tuples, the same for every Python version, layout and docstring."""
    if isinstance(node, ast.AST):
        return (type(node).__name__, *((name, normalised(value)) for name, value in fields(node)))
    if isinstance(node, list):
        return tuple(map(normalised, node))
    return (type(node).__name__, repr(node))


def _code(repository: Repository, used: Iterable[Definition], number: int | None) -> Code:
    functions = {str(definition): _digest(repository, definition) for definition in sorted(used, key=str)}
    return Code(number, _hash("\n".join(sorted(functions.values()))), functions)


@cache
def _digest(repository: Repository, definition: Definition) -> str:
    """Return the digest of a definition without the number: raising it is not a change of code."""
    return _hash(repr([normalised(_without_number(node)) for node in repository.nodes(definition)]))


def _without_number(statement: ast.stmt) -> ast.stmt:
    statement = deepcopy(statement)
    if _is_number(statement):
        statement.value = ast.Constant(0)
    for node in ast.walk(statement):
        if isinstance(node, ast.Call) and _called(node) in NUMBERED:
            node.keywords = [keyword for keyword in node.keywords if keyword.arg != "code"]
        if isinstance(node, ast.Dict):
            kept = [pair for pair in zip(node.keys, node.values) if not _is_code(pair[0])]
            node.keys, node.values = [key for key, _ in kept], [value for _, value in kept]
    return statement


def _numbers(nodes: Iterable[ast.stmt]) -> Iterator[int]:
    """Yield the numbers that a stage states, as `CODE = N` or in a call as `code=N`."""
    for statement in nodes:
        if _is_number(statement):
            yield statement.value.value
        for node in ast.walk(statement):
            if isinstance(node, ast.Call) and _called(node) in NUMBERED:
                for keyword in node.keywords:
                    if keyword.arg == "code" and isinstance(keyword.value, ast.Constant):
                        yield keyword.value.value


def _entries(nodes: Iterable[ast.stmt]) -> Iterator[int]:
    """Yield the numbers that an encoder's identity states as `"code": N`."""
    for statement in nodes:
        for node in ast.walk(statement):
            if isinstance(node, ast.Dict):
                for key, value in zip(node.keys, node.values):
                    if _is_code(key) and isinstance(value, ast.Constant):
                        yield value.value


def _is_number(statement: ast.stmt) -> bool:
    """Whether a statement is `CODE = N`, the number of the stage in this file."""
    return (
        isinstance(statement, ast.Assign)
        and [getattr(target, "id", None) for target in statement.targets] == ["CODE"]
        and isinstance(statement.value, ast.Constant)
    )


def _is_code(key: ast.expr | None) -> bool:
    return isinstance(key, ast.Constant) and key.value == "code"


def _called(node: ast.Call) -> str | None:
    return node.func.id if isinstance(node.func, ast.Name) else None


def _is_asset(node: ast.stmt) -> bool:
    return isinstance(node, FUNCTIONS) and any(dagster_decorator(found) == "asset" for found in node.decorator_list)


def _ends(nodes: Iterable[ast.stmt]) -> bool:
    """Whether a definition is another stage or a check, or refers to one."""
    for node in nodes:
        if isinstance(node, FUNCTIONS) and any(map(dagster_decorator, node.decorator_list)):
            return True
        value = getattr(node, "value", None)
        if isinstance(value, ast.Call) and _called(value) in ("StageDeclaration", "failed_share_check"):
            return True
    return False


def _is_machinery(module: str, machinery: tuple[str, ...]) -> bool:
    return _within(module, machinery) and not _within(module, PURE)


def _within(module: str, prefixes: tuple[str, ...]) -> bool:
    return any(module == prefix or module.startswith(f"{prefix}.") for prefix in prefixes)


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:12]
