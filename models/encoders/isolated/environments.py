"""The environments that `reelcast environment NAME` makes, one per library that needs its own."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from models.encoders.errors import EncoderError

ROOT = ".environments"  # default folder of the environments, in the working folder
LIBRARIES = ("lavis", "laion-clap")


class EnvironmentMissing(EncoderError):
    """A backend's environment is missing or outdated; the message names the command that makes it."""


def requirements(library: str) -> Path:
    """Return the requirements file of a library's environment.

    Args:
        library: `lavis` or `laion-clap`.

    Raises:
        ValueError: The library is unknown.

    Example:
        >>> requirements("lavis").name
        'lavis.txt'
    """
    if library not in LIBRARIES:
        raise ValueError(f"library must be one of {', '.join(LIBRARIES)}, not {library!r}")
    return Path(__file__).with_name(f"{library}.txt")


def python_of(library: str, *, root: str | Path = ROOT) -> Path:
    """Return the interpreter of a library's environment.

    Args:
        library: `lavis` or `laion-clap`.
        root: Folder of the environments.

    Raises:
        EnvironmentMissing: The environment doesn't exist, is incomplete, has other requirements or lost its interpreter.
    """
    folder = Path(root).expanduser().absolute() / library
    command = f"reelcast environment {library}"
    try:
        installed = (folder / "made").read_text(encoding="utf-8")
    except OSError as error:
        raise EnvironmentMissing(
            f"the backend {library!r} runs in an environment of its own, which isn't in {folder}; make it with: {command}"
        ) from error
    if installed != _digest(library):
        raise EnvironmentMissing(f"{folder} was made for another version; make it again with: {command}")
    python = folder / "bin" / "python"
    if not python.exists():  # a link to the interpreter that made the environment
        raise EnvironmentMissing(f"{python} is a broken link: its interpreter is gone; make it again with: {command}")
    return python


def make(library: str, *, root: str | Path = ROOT, say: Callable[[str], object] = print) -> Path:
    """Make a library's environment if it doesn't exist, and return its interpreter.

    It takes some minutes and 2 GB.

    Args:
        library: `lavis` or `laion-clap`.
        root: Folder of the environments.
        say: Gets the messages about the progress.

    Raises:
        ValueError: The library is unknown.
        subprocess.CalledProcessError: The installation failed; pip's output is on the terminal.
    """
    file = requirements(library)
    try:
        return python_of(library, root=root)
    except EnvironmentMissing:
        folder = Path(root).expanduser().absolute() / library
    say(f"making {folder} from {file} (some minutes and 2 GB)")
    shutil.rmtree(folder, ignore_errors=True)
    subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
    python = folder / "bin" / "python"
    subprocess.run(
        [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r", str(file)], check=True
    )
    # Last, so that an interrupted installation doesn't count.
    (folder / "made").write_text(_digest(library), encoding="utf-8")
    say(f"{library} is in {folder}")
    return python


def _digest(library: str) -> str:
    return hashlib.sha256(requirements(library).read_bytes()).hexdigest()
