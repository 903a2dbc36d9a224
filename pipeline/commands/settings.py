"""`reelcast settings`: every setting with its value, its default and where the value came from."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from pipeline.commands.declaration import OK, AsJson, command, print_json


def add(app: typer.Typer) -> None:
    """Add the command."""
    about = "Print every setting with its value, where the value comes from, and what it does."
    command(app, "settings", about=about, example="reelcast settings --changed")(settings)


def settings(
    changed: Annotated[
        bool, typer.Option("--changed", help="Print only settings that differ from their default.")
    ] = False,
    markdown: Annotated[
        bool, typer.Option("--markdown", help="Print the reference with the defaults (docs/settings.md).")
    ] = False,
    as_json: AsJson = False,
) -> int:
    """Print the settings, or their reference."""
    from rich.console import Console

    from pipeline.settings import reference, sections

    if markdown:
        print(reference(), end="")
        return OK
    known = described_settings()
    if changed:
        known = [one for one in known if one["value"] != one["default"]]
    if as_json:
        print_json(known)
        return OK
    console, shown = Console(), None
    for one in known:
        if one["section"] != shown:
            shown = one["section"]
            console.print(f"\n[{shown}]  {(sections()[shown].__doc__ or '').strip()}", markup=False)
        origin = f"   ({one['source']}; default {one['default']!r})" if one["value"] != one["default"] else ""
        console.print(f"  {one['field']} = {one['value']!r}{origin}", markup=False)
        console.print(f"      {one['description']}", markup=False, style="dim")
    if not known:
        console.print("every setting has its default")
    return OK


def described_settings() -> list[dict[str, Any]]:
    """Return one entry per setting: section, field, value, default, source and description.

    The source is "default", or the file's field or the variable that gives the value.

    Raises:
        InvalidSettings: A setting is not allowed.
    """
    from pipeline.settings import load_sections, origins, sections

    chosen, sources = load_sections(), origins()
    return [
        {
            "section": section,
            "field": field,
            "value": getattr(chosen[section], field),
            "default": described.get_default(call_default_factory=True),
            "source": sources.get((section, field), "default"),
            "description": described.description,
        }
        for section, schema in sections().items()
        for field, described in schema.model_fields.items()
    ]
