"""Functions, classes and constants of this repository that a function uses, found in the source without importing it.

Names are followed through imports (at the top of a file or inside a function), through re-exports, and through attributes of
modules. A class counts with all of its methods. What a name is bound to at run time is not known here: a function that is
passed as an argument counts where it is named.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path

FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)


@dataclass(frozen=True)
class Definition:
    """A name at the top level of a module."""

    module: str
    name: str

    def __str__(self) -> str:
        return f"{self.module}.{self.name}"


class Module:
    """A parsed file."""

    def __init__(self, name: str, path: Path):
        self.name = name
        self.tree = ast.parse(path.read_text(encoding="utf-8"))
        self.package = name if path.name == "__init__.py" else name.rpartition(".")[0]

    @cached_property
    def definitions(self) -> dict[str, list[ast.stmt]]:
        """Statements that define each top-level name; several where it is defined under conditions."""
        found: dict[str, list[ast.stmt]] = {}
        for statement in _statements(self.tree.body):
            for name in _defined(statement):
                found.setdefault(name, []).append(statement)
        return found

    @cached_property
    def imports(self) -> dict[str, tuple[str, str | None]]:
        """Imported name -> (module, name in it); the second is None for a module itself."""
        return imports_of(_statements(self.tree.body), self.package)


def _statements(body: Iterable[ast.stmt]) -> Iterator[ast.stmt]:
    """Yield the statements of a module, those under conditions too."""
    for statement in body:
        yield statement
        if isinstance(statement, (ast.If, ast.Try, ast.With)):
            for part in ("body", "orelse", "finalbody"):
                yield from _statements(getattr(statement, part, []))
            for handler in getattr(statement, "handlers", []):
                yield from _statements(handler.body)


def _defined(statement: ast.stmt) -> list[str]:
    match statement:
        case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
            return [name]
        case ast.Assign(targets=targets):
            return [node.id for target in targets for node in ast.walk(target) if isinstance(node, ast.Name)]
        case ast.AnnAssign(target=ast.Name(id=name)) | ast.AugAssign(target=ast.Name(id=name)):
            return [name]
    return []


def imports_of(nodes: Iterable[ast.AST], package: str) -> dict[str, tuple[str, str | None]]:
    """Return imported name -> (module, name in it) of the import statements among the nodes."""
    found: dict[str, tuple[str, str | None]] = {}
    for node in nodes:
        if isinstance(node, ast.Import):
            for alias in node.names:
                found[alias.asname or alias.name.partition(".")[0]] = (
                    alias.name if alias.asname else alias.name.partition(".")[0],
                    None,
                )
        elif isinstance(node, ast.ImportFrom):
            above = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
            source = ".".join([*above, *([node.module] if node.module else [])])
            for alias in node.names:
                found[alias.asname or alias.name] = (source, alias.name)
    return found


class Repository:
    """The modules of some top-level packages in a folder."""

    def __init__(self, root: Path, packages: Iterable[str]):
        self.root = root
        self.packages = tuple(packages)
        self.module = cache(self._module)
        self.used_by = cache(self._used_by)

    def _module(self, name: str) -> Module | None:
        """Return a module of this repository, or None."""
        if name.partition(".")[0] not in self.packages:
            return None
        base = self.root.joinpath(*name.split("."))
        for path in (base.with_suffix(".py"), base / "__init__.py"):
            if path.is_file():
                return Module(name, path)
        return None

    def modules(self, package: str) -> Iterator[Module]:
        """Yield every module of a package."""
        for path in sorted(self.root.joinpath(package).rglob("*.py")):
            parts = path.relative_to(self.root).with_suffix("").parts
            found = self.module(".".join(parts[:-1] if parts[-1] == "__init__" else parts))
            assert found is not None
            yield found

    def resolve(
        self, module: Module, name: str, local: dict[str, tuple[str, str | None]]
    ) -> Definition | Module | None:
        """Return what a name means in a module, given the imports inside the function that uses it."""
        if name in local:
            return self._imported(*local[name])
        if name in module.definitions:
            return Definition(module.name, name)
        if name in module.imports:
            return self._imported(*module.imports[name])
        return None

    def _imported(self, source: str, name: str | None) -> Definition | Module | None:
        module = self.module(source)
        if name is None or module is None:
            return module
        if (source, name) == module.imports.get(name):  # a package that imports its own submodule
            return self.module(f"{source}.{name}")
        return self.resolve(module, name, {}) or self.module(f"{source}.{name}")

    def nodes(self, definition: Definition) -> list[ast.stmt]:
        """Return the statements that define a name."""
        module = self.module(definition.module)
        return module.definitions[definition.name] if module else []

    def _used_by(self, definition: Definition) -> set[Definition]:
        """Return the definitions of this repository that a definition names, annotations and docstrings apart."""
        module, nodes = self.module(definition.module), self.nodes(definition)
        assert module is not None
        read = [node for statement in nodes for node in walk(statement)]
        local = imports_of(read, module.package)
        return {found for node in read if isinstance(found := self._target(module, node, local), Definition)}

    def _target(
        self, module: Module, node: ast.AST, local: dict[str, tuple[str, str | None]]
    ) -> Definition | Module | None:
        match node:
            case ast.Name(id=name, ctx=ast.Load()):
                return self.resolve(module, name, local)
            case ast.Attribute(value=value, attr=name):
                base = self._target(module, value, local)
                return self._imported(base.name, name) if isinstance(base, Module) else None
        return None


def walk(node: ast.AST) -> Iterator[ast.AST]:
    """Yield the nodes of a statement that decide what it does: no annotation, no docstring, no decorator of an asset."""
    yield node
    for _, value in fields(node):
        for child in value if isinstance(value, list) else [value]:
            if isinstance(child, ast.AST):
                yield from walk(child)


def fields(node: ast.AST) -> Iterator[tuple[str, object]]:
    """Yield a node's fields that decide what it does, without empty ones."""
    for name, value in ast.iter_fields(node):
        if name in ("annotation", "returns", "type_comment", "type_params", "kind", "ctx"):
            continue
        if name == "decorator_list" and any(map(dagster_decorator, value)):
            continue  # an asset's decorators say when it runs, not what it computes
        if name == "body" and isinstance(node, (*FUNCTIONS, ast.ClassDef)):
            value = value[1:] if ast.get_docstring(node, clean=False) is not None else value
        if value is not None and value != []:
            yield name, value


def dagster_decorator(node: ast.expr) -> str | None:
    """Return the name of a decorator `dg.NAME` or `dg.NAME(...)`, None for others."""
    called = node.func if isinstance(node, ast.Call) else node
    match called:
        case ast.Attribute(value=ast.Name(id="dg"), attr=name):
            return name
    return None
