"""The Dagster instance of a data set's store, and the shell variables that select it."""

import shlex
import shutil
from collections.abc import Mapping
from pathlib import Path

from assets.settings import Settings
from assets.settings.dagster_home import HOME, MARK
from storage.data_set_mark import mark_store, marked_folder
from storage.durable import check_writable
from storage.store import Store

DEFAULTS = Path(__file__).with_name("dagster.yaml")
MODULE = "pipeline.definitions"


def make_instance(settings: Settings) -> Path:
    """Create the instance's folder in the store, with the instance's settings.

    This also marks the store with its data set, before the first run, so that a second data set whose folder has the same
    name gets its own store.

    Returns:
        The instance's folder.

    Raises:
        storage.durable.StoreError: The store cannot be written.
    """
    store, data = Store(settings.store_folder()).root, settings.data_folder().resolve()
    home = store / HOME
    if marked_folder(store) is None and data.is_dir():
        mark_store(store, data)
    check_writable(home)
    target = home / DEFAULTS.name
    if not target.exists() or target.stat().st_mtime < DEFAULTS.stat().st_mtime:
        shutil.copyfile(DEFAULTS, target)
    (home / MARK).write_text("The Dagster instance of the store around this folder.\n", encoding="utf-8")
    return home


def shell_variables(settings: Settings, environment: Mapping[str, str]) -> str:
    """Return shell commands that select the Dagster instance of the configured data set.

    If `DAGSTER_HOME` names a folder outside any store, the user chose it, and it is kept.

    Args:
        settings: The settings in force.
        environment: The shell's variables.
    """
    home = shlex.quote(instance_home(settings, environment))
    return f"export DAGSTER_HOME={home}\nexport DAGSTER_MODULE_NAME={MODULE}\n"


def instance_home(settings: Settings, environment: Mapping[str, str]) -> str:
    """Return the folder of the Dagster instance in use; that of the store is made if it does not exist.

    Args:
        settings: The settings in force.
        environment: Variables; see `shell_variables`.
    """
    given = environment.get("DAGSTER_HOME")
    own = given and not (Path(given) / MARK).exists()
    return given if own else str(make_instance(settings))
