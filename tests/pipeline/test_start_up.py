"""A command loads no library that it does not use: each of these costs from half a second to several seconds."""

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
    ended = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert ended.stdout.split() == []
