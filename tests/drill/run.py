"""One run of the whole graph in a process of its own, forked from this one, which has imported everything already."""

from __future__ import annotations

import os
import signal
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path

FAILED, BROKEN = 1, 70


def forked(work: Callable[[], int], log: Path) -> int:
    """Start `work` in a process with a session of its own; returns its pid. What it prints goes to `log`."""
    sys.stdout.flush()
    child = os.fork()
    if child:
        return child
    os.setsid()
    handle = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(handle, 1)
    os.dup2(handle, 2)
    code = BROKEN
    try:
        code = work()
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def ended(pid: int, *, within: float) -> int:
    """The exit code of a forked process; negative for a signal. TimeoutError, with everything of it killed."""
    until = time.monotonic() + within
    while time.monotonic() < until:
        done, status = os.waitpid(pid, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.01)
    kill_session(pid)
    os.waitpid(pid, 0)
    raise TimeoutError(f"the run did not end within {within:g} s")


def kill_session(pid: int) -> None:
    """SIGKILL to a run and to all its workers."""
    for member in [*session_of(pid), pid]:
        try:
            os.kill(member, signal.SIGKILL)
        except ProcessLookupError:
            continue


def session_of(pid: int) -> list[int]:
    """The living processes of the session that `pid` leads, without itself."""
    members = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit() or int(entry.name) == pid:
            continue
        try:
            fields = (entry / "stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[3]) == pid and fields[0] != "Z":
            members.append(int(entry.name))
    return members


def materialise(variables: dict[str, str]) -> int:
    """Run everything with the settings of these variables; 0 where all of it succeeded."""
    import dagster as dg
    import torch

    from pipeline.definitions import ASSET_CHECKS, ASSETS
    from pipeline.settings import load

    torch.set_num_threads(1)
    graph = [*ASSETS, *ASSET_CHECKS]
    done = dg.materialize(graph, resources={"settings": load(file=None, environment=variables)}, raise_on_error=False)
    return 0 if done.success else FAILED
