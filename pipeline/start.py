"""The program `reelcast`: it answers Ctrl-C in one line even while its modules are read, which takes about a second."""

from __future__ import annotations

import sys

INTERRUPTED = 130  # exit code; the others are in `pipeline.commands.declaration`, which takes a while to import


def main() -> int:
    """Run a command with the process's arguments, and return the exit code."""
    try:
        from pipeline.command_line import main as run
    except KeyboardInterrupt:
        print("reelcast: stopped before it began", file=sys.stderr)
        return INTERRUPTED
    return run()
