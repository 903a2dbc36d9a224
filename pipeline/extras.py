"""Packages that only some settings need."""

from importlib.util import find_spec

from pipeline.errors import WrongUse


def require(package: str, *, extra: str, setting: str) -> None:
    """Refuse a setting whose package is not installed.

    Args:
        package: Import name of the package.
        extra: The extra of reelcast that installs it.
        setting: The setting that needs it, for the message.

    Raises:
        WrongUse: The package is not installed; the message says how to install it.

    Example:
        >>> require("no_such_package", extra="ray", setting='run.executor = "ray"')
        Traceback (most recent call last):
        pipeline.errors.WrongUse: run.executor = "ray" needs the package no_such_package: pip install "reelcast[ray]"
    """
    if find_spec(package) is None:
        raise WrongUse(f'{setting} needs the package {package}: pip install "reelcast[{extra}]"')
