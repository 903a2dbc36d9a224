"""The process stands alone: it is imported where Dagster and transformers are not installed."""

import subprocess
import sys

BLOCKED = """
import importlib.abc, sys

class Blocker(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {"dagster", "transformers", "polars", "duckdb", "faiss", "matplotlib", "av"}:
            raise ImportError(name + " is blocked")

sys.meta_path.insert(0, Blocker())
"""


MODULES = "models.events, models.hawkes, models.thinning, models.goodness, models.scan, models.temporal"


def test_the_process_is_imported_without_dagster_and_transformers():
    done = subprocess.run([sys.executable, "-c", f"{BLOCKED}\nimport {MODULES}"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
