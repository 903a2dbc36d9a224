"""The settings of the project in the working folder, for commands that open a store."""

from __future__ import annotations

import os
from pathlib import Path

from assets.settings import Settings
from pipeline.settings import CONFIG_VARIABLE, DEFAULT_FILE, InvalidSettings, load

STORE_VARIABLE = "REELCAST_STORE__PATH"


def load_project() -> Settings:
    """Return the settings, where a settings file or a variable says which store is meant.

    Elsewhere the defaults would make an empty store in a folder that has nothing to do with reelcast.

    Raises:
        InvalidSettings: There is no `reelcast.toml` here and neither variable is set, or a setting is not allowed.
    """
    named = os.environ.get(CONFIG_VARIABLE) or os.environ.get(STORE_VARIABLE)
    if not named and not Path(DEFAULT_FILE).is_file():
        raise InvalidSettings(
            f"no {DEFAULT_FILE} was found in {Path.cwd()}. Change to the folder that holds it, name it "
            f"({CONFIG_VARIABLE}=/path/to/{DEFAULT_FILE}), or make one here: `reelcast init FOLDER`"
        )
    return load()
