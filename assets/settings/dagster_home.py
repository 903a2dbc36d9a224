"""The Dagster instance of a data set: its runs, schedules and checks lie in its own store, in `store/NAME/dagster`."""

from pathlib import Path

HOME = "dagster"
MARK = "reelcast-instance"


class OtherInstance(RuntimeError):
    """`DAGSTER_HOME` is the instance of another data set than the settings name."""


def refuse_other_instance(home: Path, store: Path) -> None:
    """Refuse to note runs of one data set in the instance of another.

    An instance in a folder of one's own, outside any store, may hold the runs of several data sets.

    Args:
        home: the folder of the instance in use.
        store: the folder of the store in use.

    Raises:
        OtherInstance: `home` lies in another store; the message says how to change to the right one.
    """
    home = home.resolve()
    if (home / MARK).exists() and home != store / HOME:
        raise OtherInstance(
            f"DAGSTER_HOME is {home}, the instance of the store {home.parent}, and the settings name the store {store}. "
            'Change to its own instance with eval "$(reelcast shell)", or unset DAGSTER_HOME first'
        )
