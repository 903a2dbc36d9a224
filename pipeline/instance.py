"""The Dagster instance that belongs to a data set's store, and the shell variables that lead to it."""

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
    """Make the instance's folder in the store, with the instance's settings. Returns the folder.

    The store is marked with its data set here, before the first run: a second data set whose folder has the same name
    then gets a store of its own.

    Raises:
        storage.durable.StoreError: the store cannot be written.
    """
    store, data = Store(settings.store_folder()).root, settings.data_folder().resolve()
    home = store / HOME
    if marked_folder(store) is None and data.is_dir():
        mark_store(store, data)
    check_writable(home)
    target = home / DEFAULTS.name
    if not target.exists() or target.stat().st_mtime < DEFAULTS.stat().st_mtime:
        shutil.copyfile(DEFAULTS, target)
    (home / MARK).write_text("The Dagster instance of the store that this folder lies in.\n", encoding="utf-8")
    return home


def shell_variables(settings: Settings, environment: Mapping[str, str]) -> str:
    """Return the commands that make a shell's `dagster` work on the data set of the settings.

    An instance in a folder outside any store, which the user chose (`DAGSTER_HOME`), is kept.

    Args:
        settings: the settings in force.
        environment: the shell's variables.
    """
    given = environment.get("DAGSTER_HOME")
    own = given and not (Path(given) / MARK).exists()
    home = given if own else str(make_instance(settings))
    return f"export DAGSTER_HOME={shlex.quote(home)}\nexport DAGSTER_MODULE_NAME={MODULE}\n"
