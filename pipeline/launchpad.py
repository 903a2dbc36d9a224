"""The settings as Dagster's launchpad shows them for one run.

Dagster checks names, types and allowed words while somebody types. It has no ranges and no rules over several fields, so the
settings' own classes check those when "Launch Run" is pressed: a refused launch makes no run.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import dagster as dg

from assets.settings import Settings
from assets.settings.read_at_start import is_read_at_start
from pipeline.settings import InvalidSettings, changed, sections


def settings_resource(settings: Settings, shown: Collection[str]) -> dg.ResourceDefinition:
    """Return the resource `settings` with the fields that a run reads, and the present values as their defaults.

    Args:
        settings: The settings of the file and the environment.
        shown: Names of the sections to show. The others keep their present values.
    """

    @contextmanager
    def enter(context: dg.InitResourceContext) -> Iterator[Settings]:
        with changed(settings, context.resource_config).yield_for_execution(context) as chosen:
            yield chosen

    @dg.configured(dg.ResourceDefinition(enter, config_schema=dg.Permissive()), config_schema=_fields(settings, shown))
    def check(values: Mapping[str, Any]) -> Mapping[str, Any]:
        try:
            changed(settings, values)
        except InvalidSettings as error:
            raise dg.DagsterInvalidConfigError(str(error), [], values) from None
        return values

    return check


def _fields(settings: Settings, shown: Collection[str]) -> dict[str, dg.Field]:
    """Return one field per section; a section of which a run reads nothing has none."""
    found = {}
    for name, schema in sections().items():
        fields = type(getattr(settings, name)).to_fields_dict()
        visible = {field: fields[field] for field in schema.model_fields if not is_read_at_start(schema, field)}
        if visible and name in shown:
            found[name] = dg.Field(dg.Shape(visible), is_required=False, description=schema.__doc__)
    return found
