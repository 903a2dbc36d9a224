"""The environments that `reelcast environment NAME` makes, one for each library that needs one."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from models.encoders.errors import EncoderError

ROOT = ".environments"  # below the working folder, where none is named
LIBRARIES = ("lavis", "laion-clap")


class EnvironmentMissing(EncoderError):
    """A backend's environment isn't there, or isn't the one that this version needs; the message names the command."""


def requirements(library: str) -> Path:
    """The file of what a library's environment holds; ValueError for another library."""
    if library not in LIBRARIES:
        raise ValueError(f"library must be one of {', '.join(LIBRARIES)}, not {library!r}")
    return Path(__file__).with_name(f"{library}.txt")


def python_of(library: str, *, root: str | Path = ROOT) -> Path:
    """The interpreter of a library's environment.

    Raises:
        EnvironmentMissing: It was never made, not to its end, from other requirements, or its interpreter is gone.
    """
    folder = Path(root).expanduser().absolute() / library
    command = f"reelcast environment {library}"
    try:
        made = (folder / "made").read_text(encoding="utf-8")
    except OSError as error:
        raise EnvironmentMissing(
            f"the backend {library!r} runs in an environment of its own, which isn't in {folder}; make it with: {command}"
        ) from error
    if made != _digest(library):
        raise EnvironmentMissing(f"{folder} was made for another version; make it again with: {command}")
    python = folder / "bin" / "python"
    if not python.exists():  # a link to the interpreter that it was made with
        raise EnvironmentMissing(f"{python} leads nowhere: its interpreter is gone; make it again with: {command}")
    return python


def make(library: str, *, root: str | Path = ROOT, say: Callable[[str], object] = print) -> Path:
    """Make a library's environment, unless it is there, and return its interpreter.

    Raises:
        subprocess.CalledProcessError: pip couldn't install it; what it said is on the terminal.
    """
    wanted = requirements(library)
    try:
        return python_of(library, root=root)
    except EnvironmentMissing:
        folder = Path(root).expanduser().absolute() / library
    say(f"making {folder} from {wanted} (some minutes and 2 GB)")
    shutil.rmtree(folder, ignore_errors=True)
    subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
    python = folder / "bin" / "python"
    subprocess.run(
        [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r", str(wanted)], check=True
    )
    (folder / "made").write_text(_digest(library), encoding="utf-8")  # last: a stopped installation doesn't count
    say(f"{library} is in {folder}")
    return python


def _digest(library: str) -> str:
    return hashlib.sha256(requirements(library).read_bytes()).hexdigest()
