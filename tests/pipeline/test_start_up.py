"""A command loads no library that it does not use: each of these costs from half a second to several seconds."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
IMPORTS = {
    "pipeline.command_line": ["torch", "transformers", "scipy", "numba", "matplotlib", "faiss", "duckdb", "av"],
    "pipeline.definitions": ["transformers", "matplotlib", "scipy.stats", "scipy.optimize"],
}


@pytest.mark.parametrize("module", IMPORTS)
def test_what_a_module_does_not_load(module):
    code = f"import sys, {module}; print(*[name for name in {IMPORTS[module]!r} if name in sys.modules])"
    # as in a new shell: without the data set or the instance that another test may have set
    shell = {name: value for name, value in os.environ.items() if not name.startswith(("REELCAST_", "DAGSTER_"))}
    ended = subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=shell, capture_output=True, text=True)
    assert (ended.returncode, ended.stdout.split()) == (0, []), ended.stderr


@pytest.mark.parametrize("module", ["pipeline.definitions", "models.hawkes"])
@pytest.mark.parametrize(("given", "kept"), [(None, "PASSIVE"), ("ACTIVE", "ACTIVE")])
def test_threads_that_wait_do_not_spin_unless_the_user_says_so(monkeypatch, module, given, kept):
    monkeypatch.delenv("OMP_WAIT_POLICY", raising=False)
    if given:
        monkeypatch.setenv("OMP_WAIT_POLICY", given)
    code = f"""
import importlib.abc, os, sys
class Look(importlib.abc.MetaPathFinder):
    def find_spec(self, name, *rest):
        if name == "torch":
            print(os.environ.get("OMP_WAIT_POLICY"))
            os._exit(0)
sys.meta_path.insert(0, Look())
import {module}
"""
    ended = subprocess.run([sys.executable, "-uc", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert ended.stdout.split() == [kept]
