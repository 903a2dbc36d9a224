"""What stands in the place of a mirror where the store is an ordinary folder."""

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

Result = TypeVar("Result")


class OrdinaryFolder:
    """The folder of an ordinary store: nothing is pulled, and a change is made when its function returns."""

    is_remote = False

    def pull(self) -> None:
        """Do nothing: the folder itself is the truth."""

    def fetch(self, within: str = "") -> None:
        """Do nothing: all files are here."""

    def change(
        self,
        work: Callable[[], Result],
        *,
        undo: Callable[[], object] | None = None,
        depends_on: Callable[[str], bool] | None = None,
    ) -> Result:
        """Run `work` and return its result."""
        return work()

    def distrust(self) -> None:
        """Do nothing: there is no other copy."""

    def names(self, within: str = "") -> list[str]:
        """Return no names: the folder's own listing has all of them."""
        return []

    def has(self, path: Path, size: int) -> bool:
        """Return False: a file that is not here is missing."""
        return False
