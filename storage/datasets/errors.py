"""What is wrong with a data set, collected so that a person can mend several things at once."""

from pathlib import Path

SHOWN = 5
# Problems of one kind that are looked up in a file: more than a person mends by hand say nothing new.
LOCATED = 100


class DatasetError(ValueError):
    """A data set that cannot be read as it lies. The message names file and line, and what is allowed.

    `problems` holds every problem found, not only those that the message shows.
    """

    def __init__(self, problems: list[str]):
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
        return DatasetError, (self.problems,)


class Problems:
    """Collects problems while reading goes on; `raise_if_any` ends it."""

    def __init__(self):
        self.found: list[str] = []

    def add(self, where: str | Path, text: str, *, line: int | None = None) -> None:
        """Add a problem at `where`: a file, or a place as `Tabular.where` names it."""
        self.found.append(f"{where}, line {line}: {text}" if line is not None else f"{where}: {text}")

    def raise_if_any(self) -> None:
        """Raise what was found.

        Raises:
            DatasetError: there was a problem.
        """
        if self.found:
            raise DatasetError(self.found)
