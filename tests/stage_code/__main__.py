"""`python -m tests.stage_code`: bring the snapshot of every stage's code up to date.

A stage whose code changed needs a decision: raise its number where its results change, so that stored rows are computed
again; or name it after `--same-results` where they don't.
"""

import argparse
import sys

from tests.stage_code.snapshot import accepted, changes, current, read, write


def main(arguments: list[str] | None = None) -> int:
    """Show what changed, take what is decided, and return 1 while something is not."""
    parser = argparse.ArgumentParser(prog="python -m tests.stage_code", description=__doc__)
    parser.add_argument(
        "--same-results", nargs="+", default=[], metavar="STAGE", help="stages whose results did not change, or `all`"
    )
    options = parser.parse_args(arguments)
    after = current()
    before = read()
    found = changes(before, after)
    open_ = [change for change in found if not change.settled]
    same = [change.name for change in open_] if options.same_results == ["all"] else options.same_results
    if unknown := set(same) - set(after):
        parser.error(f"no stage is named {', '.join(sorted(unknown))}; there are {', '.join(after)}")
    write(accepted(before, after, same))
    left = [change for change in open_ if change.name not in same]
    for change in found:
        print(("undecided  " if change in left else "taken      ") + str(change))
    if left:
        print("\nRaise the number of each undecided stage if its results change, or name it after --same-results.")
    return 1 if left else 0


if __name__ == "__main__":
    sys.exit(main())
