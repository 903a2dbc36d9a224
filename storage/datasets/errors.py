"""Problems of a data set, collected so that a user can fix several at once."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

SHOWN = 5
# At most this many problems of one kind are reported per file; a user does not fix more of them by hand.
LOCATED = 100


class DatasetError(ValueError):
    """A data set cannot be read. The message names file and line, and what is allowed.

    Attributes:
        problems: All problems; the message shows the first five.
    """

    def __init__(self, problems: list[str]):
        """Make an error from one or more problems, each a text that starts with the file's path."""
        self.problems = problems
        if len(problems) == 1:
            message = problems[0]
        else:
            shown = "\n".join(f"  - {problem}" for problem in problems[:SHOWN])
            message = f"{len(problems)} problems in the data set:\n{shown}"
            if len(problems) > SHOWN:
                message += f"\n  ... and {len(problems) - SHOWN} more"
        super().__init__(message)

    def __reduce__(self):
        """Pickle the error with its problems, so that it can be raised in another process."""
        return DatasetError, (self.problems,)


class Problems:
    """A list of problems that is filled while reading goes on. `raise_if_any` raises them.

    Attributes:
        found: The problems, each a text that starts with the file's path.
    """

    def __init__(self):
        """Start without problems."""
        self.found: list[str] = []

    def add(self, where: str | Path, text: str, *, line: int | None = None) -> None:
        """Add a problem.

        Args:
            where: The file, or a file and line from `Tabular.where`.
            text: What is wrong, and what is allowed.
            line: Line of the file, from 1, unless `where` names it.
        """
        self.found.append(f"{where}, line {line}: {text}" if line is not None else f"{where}: {text}")

    @contextmanager
    def collected(self) -> Iterator[None]:
        """Return a context in which an error is added to the problems, and reading goes on after it."""
        try:
            yield
        except DatasetError as error:
            self.found += error.problems

    def raise_if_any(self) -> None:
        """Raise all problems as one error.

        Raises:
            DatasetError: There is at least one problem.
        """
        if self.found:
            raise DatasetError(self.found)
