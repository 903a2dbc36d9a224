"""The Dagster instance of a data set's store, and the shell variables that select it."""

import os
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from assets.settings import Settings
from assets.settings.dagster_home import HOME, MARK
from pipeline.errors import RunFailed, WrongUse
from pipeline.extras import require
from pipeline.path_without_pattern import path_without_pattern
from storage.data_set_mark import mark_store, marked_folder
from storage.durable import check_writable, write_text
from storage.store import Store

DEFAULTS = Path(__file__).with_name("dagster.yaml")
FROM_SETTINGS = "\n# From the settings; this part is written again when they change.\n"
MODULE = "pipeline.definitions"
# `dagster dev` starts programs with a workspace file, and these refuse a module beside it; its older way uses the module alone.
GRAPH = f"export DAGSTER_MODULE_NAME={MODULE}\nexport DAGSTER_CLI_DEV_USE_LEGACY_CODE_SERVER_BEHAVIOR=1\n"
URL = "postgresql+psycopg2://USER:PASSWORD@HOST:5432/NAME"


def make_instance(settings: Settings) -> Path:
    """Create the instance's folder in the store, with the instance's settings.

    This also marks the store with its data set, before the first run, so that a second data set whose folder has the same
    name gets its own store.

    Returns:
        The instance's folder.

    Raises:
        storage.durable.StoreError: The store cannot be written.
        WrongUse: The settings name a database, and its URL or its package is missing.
    """
    store, data = Store(settings.store_folder()).root, settings.data_folder().resolve()
    home = store / HOME
    if marked_folder(store) is None and data.is_dir():
        mark_store(store, data)
    check_writable(home)
    target = home / DEFAULTS.name
    chosen = configuration(settings)
    ours = FROM_SETTINGS + yaml.safe_dump(chosen) if chosen else ""
    before = target.read_text(encoding="utf-8") if target.exists() else None
    if (
        before is None
        or before.partition(FROM_SETTINGS)[2] != ours.partition(FROM_SETTINGS)[2]
        or target.stat().st_mtime < DEFAULTS.stat().st_mtime
    ):
        write_text(target, DEFAULTS.read_text(encoding="utf-8") + ours)
    (home / MARK).write_text("The Dagster instance of the store around this folder.\n", encoding="utf-8")
    return home


def configuration(settings: Settings) -> dict[str, Any]:
    """Return the part of dagster.yaml that the settings decide. A password is in none of it: the URL stays in its variable.

    Args:
        settings: The settings in force.

    Raises:
        WrongUse: The URL of the database is not set, or a package is not installed.
    """
    chosen: dict[str, Any] = {}
    if settings.dagster.storage == "postgres":
        variable = settings.dagster.url_variable
        require("dagster_postgres", extra="postgres", setting='dagster.storage = "postgres"')
        if not os.environ.get(variable):
            raise WrongUse(
                f'dagster.storage is "postgres", but the variable {variable} (dagster.url_variable) is not set: '
                f"export {variable}={URL}"
            )
        _refuse_other_urls(variable)
        chosen["storage"] = {"postgres": {"postgres_url": {"env": variable}}}
    if settings.ray.jobs:
        require("dagster_ray", extra="ray", setting="ray.jobs")
        config = {"ray": {"address": settings.ray.jobs}}
        chosen["run_launcher"] = {"module": "dagster_ray", "class": "RayRunLauncher", "config": config}
    return chosen


def _refuse_other_urls(variable: str) -> None:
    """Refuse another driver than psycopg2: Dagster's notifications work with no other one, and SQLAlchemy prefers psycopg."""
    from sqlalchemy import make_url
    from sqlalchemy.exc import ArgumentError

    try:
        url = make_url(os.environ[variable])
    except ArgumentError:
        raise WrongUse(f"{variable} is no URL of a database: {URL}") from None
    if url.drivername != "postgresql+psycopg2":
        raise WrongUse(f"the URL in {variable} begins with {url.drivername}://, but Dagster needs {URL}")


def check_database(settings: Settings) -> None:
    """Check that the database that the settings name answers. No message has its URL, which holds a password.

    Args:
        settings: The settings in force.

    Raises:
        RunFailed: The database does not answer, or refuses.
    """
    if settings.dagster.storage != "postgres":
        return
    from sqlalchemy import create_engine, make_url
    from sqlalchemy.exc import OperationalError

    variable = settings.dagster.url_variable
    url = make_url(os.environ[variable])
    try:
        create_engine(url, connect_args={"connect_timeout": 10}).connect().close()
    except OperationalError as error:
        told = str(error.orig).strip().splitlines()[0]
        raise RunFailed(f"the database of {variable} at {url.host} does not answer, or refuses: {told}") from None


def shell_variables(settings: Settings, environment: Mapping[str, str]) -> str:
    """Return shell commands that select the Dagster instance of the configured data set.

    If `DAGSTER_HOME` names a folder outside any store, the user chose it, and it is kept.

    Args:
        settings: The settings in force.
        environment: The shell's variables.
    """
    home = shlex.quote(instance_home(settings, environment))
    return f"export DAGSTER_HOME={home}\n{GRAPH}"


def instance_home(settings: Settings, environment: Mapping[str, str]) -> str:
    """Return the folder of the Dagster instance in use; that of the store is made if it does not exist.

    Args:
        settings: The settings in force.
        environment: Variables; see `shell_variables`.
    """
    given = environment.get("DAGSTER_HOME")
    own = given and not (Path(given) / MARK).exists()
    return given if own else str(path_without_pattern(make_instance(settings)))
