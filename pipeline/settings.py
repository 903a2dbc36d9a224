"""Where settings come from: a TOML file, then environment variables, later ones winning; the launchpad wins for its run.

The file is `reelcast.toml` in the working folder, or what `REELCAST_CONFIG` names; a variable is
`REELCAST_<SECTION>__<FIELD>`, for example `REELCAST_PROTOCOL__FIRST_K=5`. Lists are given as JSON.
"""

from __future__ import annotations

import copy
import difflib
import json
import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

from pydantic import BaseModel, ValidationError, create_model
from pydantic.fields import FieldInfo

from assets.settings import Settings

CONFIG_VARIABLE = "REELCAST_CONFIG"
DEFAULT_FILE = "reelcast.toml"
PREFIX = "REELCAST_"


class InvalidSettings(ValueError):
    """A setting that is not allowed; the message lists every problem, its source and what is allowed."""


def sections() -> dict[str, type[BaseModel]]:
    """The settings' sections by name."""
    return {
        name: type(field.default)
        for name, field in Settings.model_fields.items()
        if isinstance(field.default, BaseModel)
    }


def load(*, file: Path | None = None, environment: Mapping[str, str] | None = None) -> Settings:
    """Read and validate every setting.

    Args:
        file: TOML file; by default what `REELCAST_CONFIG` names, else `reelcast.toml` in the working folder if it exists.
        environment: variables to read instead of the process's own.

    Raises:
        InvalidSettings: a file that cannot be read, an unknown section or field, a value out of its range.
    """
    return _as_defaults(load_sections(file=file, environment=environment))


def load_sections(*, file: Path | None = None, environment: Mapping[str, str] | None = None) -> dict[str, BaseModel]:
    """Read and validate every setting, and return the sections by name. It is quicker than `load`.

    Args:
        file: See `load`.
        environment: See `load`.

    Raises:
        InvalidSettings: See `load`.
    """
    values, origin = _given(file, environment)
    problems, built = [], {}
    for section, schema in sections().items():
        try:
            built[section] = schema(**values.get(section, {}))
        except ValidationError as error:
            problems += [_explain(section, schema, detail, origin) for detail in error.errors()]
    if problems:
        raise InvalidSettings("settings refused:\n  " + "\n  ".join(problems))
    return built


def origins(*, file: Path | None = None, environment: Mapping[str, str] | None = None) -> dict[tuple[str, str], str]:
    """Return where each setting that is given comes from: (section, field) -> the file's field or the variable.

    Args:
        file: See `load`.
        environment: See `load`.

    Raises:
        InvalidSettings: See `load`; values are not validated here.
    """
    return _given(file, environment)[1]


def _given(
    file: Path | None, environment: Mapping[str, str] | None
) -> tuple[dict[str, dict[str, Any]], dict[tuple[str, str], str]]:
    """Return the values that the file and the environment give, and where each one comes from."""
    environment = os.environ if environment is None else environment
    values, origin = _from_file(_file(file, environment))
    for section, fields in _from_environment(environment).items():
        for field, value in fields.items():
            values.setdefault(section, {})[field] = value
            origin[section, field] = f"{PREFIX}{section}__{field}".upper()
    return values, origin


def changed(settings: Settings, changes: Mapping[str, Mapping[str, Any]]) -> Settings:
    """Return settings with other values in some fields.

    Args:
        settings: The settings.
        changes: Section -> field -> value.

    Raises:
        InvalidSettings: A value is not allowed; the message says what is.

    Example:
        >>> changed(Settings(), {"model": {"seeds": [7]}}).model.seeds
        [7]
    """
    built, problems = {}, []
    for section, schema in sections().items():
        try:
            built[section] = schema(**{**getattr(settings, section).model_dump(), **changes.get(section, {})})
        except ValidationError as error:
            problems += [_explain(section, schema, detail, {}) for detail in error.errors()]
    if problems:
        raise InvalidSettings("settings refused:\n  " + "\n  ".join(problems))
    return _as_defaults(built)


def _as_defaults(values: Mapping[str, BaseModel]) -> Settings:
    """Settings whose defaults are these values.

    Dagster fills what a launchpad leaves out with the defaults of the class, not with the values of the instance: a run
    that changes one field would otherwise lose what the file and the environment say of the others.
    """
    chosen = {name: _section_with_defaults(section) for name, section in values.items()}
    fields = {name: (schema, schema()) for name, schema in chosen.items()}
    return create_model("Settings", __base__=Settings, **fields)()


def _section_with_defaults(section: BaseModel) -> type[BaseModel]:
    fields: dict[str, Any] = {}
    for name, field in type(section).model_fields.items():
        described = copy.copy(field)
        described.default = getattr(section, name)
        fields[name] = (field.annotation, described)
    return create_model(type(section).__name__, __base__=type(section), __doc__=type(section).__doc__, **fields)


def _file(file: Path | None, environment: Mapping[str, str]) -> Path | None:
    if file is None and environment.get(CONFIG_VARIABLE):
        file = Path(environment[CONFIG_VARIABLE])
    if file is not None:
        if not file.is_file():
            raise InvalidSettings(f"settings file {file} does not exist")
        return file
    return Path(DEFAULT_FILE) if Path(DEFAULT_FILE).is_file() else None


def _from_file(file: Path | None) -> tuple[dict[str, dict[str, Any]], dict[tuple[str, str], str]]:
    if file is None:
        return {}, {}
    try:
        raw = tomllib.loads(file.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InvalidSettings(f"{file} is not TOML: {error}") from error
    known, problems = sections(), []
    for section, fields in raw.items():
        if section not in known:
            problems.append(f"{file}: [{section}] is unknown; {_allowed(section, known)}")
        elif not isinstance(fields, dict):
            problems.append(f"{file}: {section} must be a section, [{section}]")
        else:
            schema = known[section].model_fields
            problems += [
                f"{file}: {section}.{name} is unknown; {_allowed(name, schema)}"
                for name in fields
                if name not in schema
            ]
    if problems:
        raise InvalidSettings("settings refused:\n  " + "\n  ".join(problems))
    return raw, {(section, field): f"{file}: {section}.{field}" for section, fields in raw.items() for field in fields}


def _from_environment(environment: Mapping[str, str]) -> dict[str, dict[str, Any]]:
    known, problems = sections(), []
    given: dict[str, dict[str, Any]] = {}
    for variable in sorted(environment):
        if not variable.upper().startswith(PREFIX) or variable == CONFIG_VARIABLE:
            continue
        section, _, field = variable[len(PREFIX) :].lower().partition("__")
        if section not in known:
            problems.append(f"{variable}: section {section!r} is unknown; {_allowed(section, known)}")
        elif field not in known[section].model_fields:
            problems.append(
                f"{variable}: field {field!r} is unknown in [{section}]; {_allowed(field, known[section].model_fields)}"
            )
        else:
            annotation = known[section].model_fields[field].annotation
            given.setdefault(section, {})[field] = _decode(variable, annotation, environment[variable])
    if problems:
        raise InvalidSettings("settings refused:\n  " + "\n  ".join(problems))
    return given


def _decode(variable: str, annotation: Any, text: str) -> Any:
    """Turn a variable's text into a value: `none` unsets, lists and objects are JSON; the schema converts the rest."""
    if text.strip().lower() == "none":
        return None
    example = {
        list: "a list is given as JSON, for example [0, 1, 2]",
        dict: 'an object is given as JSON, for example {"a": 1}',
    }
    kind = get_origin(annotation)
    if kind not in example:
        return text
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        raise InvalidSettings(f"settings refused:\n  {variable}: {example[kind]}; got {text!r}") from error


def _allowed(given: str, known: Mapping[str, Any]) -> str:
    near = difflib.get_close_matches(given, known, n=1)
    if near:
        return f"did you mean {near[0]!r}? `reelcast settings --markdown` lists all"
    return "allowed: " + ", ".join(sorted(known))


def _explain(
    section: str, schema: type[BaseModel], detail: Mapping[str, Any], origin: Mapping[tuple[str, str], str]
) -> str:
    field = str(detail["loc"][0]) if detail["loc"] else ""
    where = origin.get((section, field), f"{section}.{field}" if field else f"[{section}]")
    if detail["type"] == "extra_forbidden":
        return f"{where} is unknown; {_allowed(field, schema.model_fields)}"
    message = detail["msg"].removeprefix("Value error, ")
    given = f" (given {detail['input']!r})" if field else ""
    return f"{where}: {message}{given}"


def reference() -> str:
    """The settings' reference as Markdown (docs/settings.md): every section and field with its default and its use."""
    lines = [
        "# Settings",
        "",
        "Read from `reelcast.toml` in the working folder (or the file that `REELCAST_CONFIG` names), then from environment",
        "variables `REELCAST_<SECTION>__<FIELD>`; in the UI's launchpad they can be changed for one run. `none` unsets",
        "a field, a list is given as JSON. A wrong setting is refused at start with what is allowed.",
        "",
        "This page is made by `reelcast settings --markdown`.",
    ]
    for name, schema in sections().items():
        lines += [
            "",
            f"## [{name}]",
            "",
            (schema.__doc__ or "").strip(),
            "",
            "| field | default | what it does |",
            "|---|---|---|",
        ]
        for field, described in schema.model_fields.items():
            lines.append(f"| `{field}` | `{described.default!r}` | {_limits(described)}{described.description} |")
    return "\n".join(lines) + "\n"


def _limits(field: FieldInfo) -> str:
    """The allowed values of a field, where its type names them."""
    choices = [repr(choice) for choice in get_args(field.annotation)] if get_origin(field.annotation) is Literal else []
    return f"{' or '.join(choices)}. ".replace("'", "`") if choices else ""
