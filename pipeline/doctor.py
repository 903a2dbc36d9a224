"""`reelcast doctor`: what this machine and this installation offer, what is wrong with them, and how to mend it."""

from __future__ import annotations

import os
import platform
import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path
from typing import Literal

from packaging.requirements import Requirement

from assets.settings import Settings
from pipeline.settings import CONFIG_VARIABLE, DEFAULT_FILE

OLDEST_PYTHON = (3, 11)


@dataclass(frozen=True)
class Diagnosis:
    """The state of one thing.

    Attributes:
        subject: What was looked at.
        state: `ok`; `note`, which needs no action; or `problem`.
        detail: What was found.
        mend: What to do about it; empty if nothing.
    """

    subject: str
    state: Literal["ok", "note", "problem"]
    detail: str
    mend: str = ""


def diagnose(settings: Settings) -> Iterator[Diagnosis]:
    """Yield the state of Python, packages, GPU, checkpoints, folders and the store; nothing is written.

    Args:
        settings: The settings in force.
    """
    yield _python()
    yield from _packages()
    yield _settings_file()
    yield _gpu(settings)
    yield _checkpoints(settings)
    yield from _folders(settings)
    yield _instance(settings)
    yield _store(settings)


def _python() -> Diagnosis:
    found = f"Python {platform.python_version()}, {sys.executable}"
    if sys.version_info[:2] < OLDEST_PYTHON:
        return Diagnosis(
            "Python", "problem", found, "reelcast needs Python 3.11 or newer: make setup PYTHON=python3.11"
        )
    return Diagnosis("Python", "ok", found)


def _packages() -> Iterator[Diagnosis]:
    """Yield reelcast's version, and a problem for each required package that is absent or of another version."""
    try:
        needed = [Requirement(text) for text in requires("reelcast") or ()]
    except PackageNotFoundError:
        yield Diagnosis(
            "packages", "problem", "reelcast is not installed", "run `make setup`, or `pip install -e .[cpu]`"
        )
        return
    wrong = []
    for requirement in needed:
        if requirement.marker is not None and not requirement.marker.evaluate({"extra": ""}):
            continue
        try:
            found = version(requirement.name)
        except PackageNotFoundError:
            wrong.append((f"{requirement} is not installed", requirement))
            continue
        if not requirement.specifier.contains(found, prereleases=True):
            wrong.append((f"{requirement.name} {found} is installed, {requirement} is needed", requirement))
    for problem, requirement in wrong:
        yield Diagnosis("packages", "problem", problem, f"{sys.executable} -m pip install '{requirement}'")
    faiss = [name for name in ("faiss-cpu", "faiss-gpu-cu12") if _installed(name)]
    if len(faiss) != 1:
        problem = "both faiss packages overwrite each other" if faiss else "faiss is not installed"
        mend = f"{sys.executable} -m pip uninstall faiss-cpu faiss-gpu-cu12, then install one of the two"
        yield Diagnosis("packages", "problem", problem, mend)
    if not wrong:
        shown = ", ".join(f"{name} {version(name)}" for name in ("reelcast", "dagster", "torch", "polars"))
        yield Diagnosis("packages", "ok", shown)


def _installed(name: str) -> bool:
    try:
        return bool(version(name))
    except PackageNotFoundError:
        return False


def _settings_file() -> Diagnosis:
    file = Path(os.environ.get(CONFIG_VARIABLE) or DEFAULT_FILE).absolute()
    if file.is_file():
        return Diagnosis("settings", "ok", str(file))
    mend = f"change to the folder that holds {DEFAULT_FILE}, set {CONFIG_VARIABLE}, or run `reelcast init FOLDER`"
    return Diagnosis("settings", "problem", f"{file} does not exist", mend)


def _gpu(settings: Settings) -> Diagnosis:
    import torch

    names = [torch.cuda.get_device_name(number) for number in range(torch.cuda.device_count())]
    if names:
        return Diagnosis("GPU", "ok", ", ".join(names))
    cores = f"no GPU is visible; {os.cpu_count()} cores are used"
    if settings.encoders.device.startswith("cuda"):
        return Diagnosis("GPU", "problem", cores, f'set encoders.device = "auto" (now {settings.encoders.device!r})')
    if shutil.which("nvidia-smi"):
        mend = "install a PyTorch with CUDA for this driver (https://pytorch.org); `nvidia-smi` shows the driver"
        return Diagnosis("GPU", "problem", f"PyTorch {torch.__version__} finds none of this machine's GPUs", mend)
    return Diagnosis("GPU", "note", f"{cores}, which suits encoders.profile handcrafted and light")


def _checkpoints(settings: Settings) -> Diagnosis:
    from assets.encoding.encoder_choice import check_encoders
    from models.encoders.errors import EncoderError

    try:
        check_encoders(settings)
    except EncoderError as error:
        return Diagnosis("encoders", "problem", str(error))
    return Diagnosis("encoders", "ok", f"profile {settings.encoders.profile}: everything that it needs is here")


def _folders(settings: Settings) -> Iterator[Diagnosis]:
    from pipeline.lost_run import nearest_existing, unwritable

    problems = list(unwritable(settings))
    for finding in problems:
        yield Diagnosis("disk", "problem", f"{finding.subject}: {finding.problem}", finding.way_out)
    if not problems:
        folder = settings.store_folder()
        free = shutil.disk_usage(nearest_existing(folder)).free / 2**30
        yield Diagnosis("disk", "ok", f"{free:,.1f} GiB are free for {folder}")


def _instance(settings: Settings) -> Diagnosis:
    from assets.settings.dagster_home import OtherInstance, refuse_other_instance

    home = os.environ.get("DAGSTER_HOME")
    if not home:
        return Diagnosis("Dagster", "note", "DAGSTER_HOME is not set; `reelcast run` chooses the store's instance")
    try:
        refuse_other_instance(Path(home), settings.store_folder())
    except OtherInstance as error:
        return Diagnosis("Dagster", "problem", str(error), 'eval "$(reelcast shell)"')
    return Diagnosis("Dagster", "ok", f"DAGSTER_HOME is {home}")


def _store(settings: Settings) -> Diagnosis:
    from storage.check import check_store

    root = settings.store_folder()
    if not root.is_dir():
        return Diagnosis("store", "note", f"{root} does not exist yet; the first run creates it")
    problems = [finding for finding in check_store(root) if finding.level == "problem"]
    if problems:
        return Diagnosis(
            "store", "problem", f"{len(problems)} files of {root} are damaged", "`reelcast check` names them"
        )
    return Diagnosis("store", "ok", str(root))
