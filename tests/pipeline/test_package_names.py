"""A user's own `models.py` or `storage/` in the working folder is refused, not mixed with reelcast's packages."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
COMMANDS = {
    "python -m": [sys.executable, "-m", "pipeline.command_line", "settings"],
    "reelcast": [sys.executable, "-c", "from pipeline.command_line import main; main(['settings'])"],
    "dagster": [sys.executable, "-m", "dagster", "asset", "list", "-m", "pipeline.definitions"],
}


def started(command: list[str], folder: Path) -> subprocess.CompletedProcess[str]:
    """Run a command in `folder` with the packages found behind it, as an installed reelcast is."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "DAGSTER_HOME": ""}
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)


@pytest.mark.parametrize("way", ["python -m", "reelcast"])
@pytest.mark.parametrize("name", ["models.py", "models/__init__.py", "storage/__init__.py", "assets/__init__.py"])
def test_a_package_that_hides_one_of_ours_is_named(tmp_path, way, name):
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_text("")
    ended = started(COMMANDS[way], tmp_path)
    assert ended.returncode != 0
    last = ended.stderr.strip().splitlines()[-1]
    package = name.split(".")[0].split("/")[0]
    assert f"reelcast's package {package!r} ({ROOT / package}) is hidden by {tmp_path / package}" in last


@pytest.mark.slow
def test_dagster_names_the_package_that_hides_ours(tmp_path):
    (tmp_path / "models.py").write_text("")
    ended = started(COMMANDS["dagster"], tmp_path)
    assert ended.returncode != 0
    assert f"is hidden by {tmp_path / 'models.py'}" in ended.stdout + ended.stderr


def test_a_folder_of_checkpoints_called_models_hides_nothing(tmp_path):
    """A folder without an `__init__.py` gives way to a package in one of Python's folders."""
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "vit.safetensors").write_text("")
    assert started(COMMANDS["python -m"], tmp_path).returncode == 0
