"""The Dagster instance of a data set, which keeps its runs, schedules and checks in the store (`store/NAME/dagster`)."""

from pathlib import Path

HOME = "dagster"
MARK = "reelcast-instance"


class OtherInstance(RuntimeError):
    """`DAGSTER_HOME` names the instance of a data set other than the one in the settings."""


def refuse_other_instance(home: Path, store: Path) -> None:
    """Refuse to record runs of one data set in the instance of another.

    An instance outside any store may hold the runs of several data sets.

    Args:
        home: Folder of the instance in use.
        store: Folder of the store in use.

    Raises:
        OtherInstance: `home` lies in another store. The message says how to switch to the right instance.
    """
    home = home.resolve()
    if (home / MARK).exists() and home != store / HOME:
        raise OtherInstance(
            f"DAGSTER_HOME is {home}, the instance of the store {home.parent}, but the settings name the store {store}. "
            'Switch to that store\'s instance with eval "$(reelcast shell)", or unset DAGSTER_HOME'
        )
