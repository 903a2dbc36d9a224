"""Runs of the whole graph over a store that was damaged between them."""

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from assets.engine.store_access import open_store
from assets.settings import Settings
from storage.check import check_store

TABLES = [
    "interactions",
    "counters",
    "popularity",
    "splits",
    "neighbours",
    "validation_items",
    "stack_weights",
    "evaluation",
    "evaluation_items",
    "predictions",
]


def found(root: Path, pattern: str) -> Path:
    return sorted(root.glob(pattern))[0]


def cut(file: Path) -> None:
    os.truncate(file, file.stat().st_size // 2)


def flip_payload(part: Path) -> None:
    """Change one bit in the first page of the last column, which a plan does not read."""
    import pyarrow.parquet as pq

    column = pq.ParquetFile(part).metadata.row_group(0)
    last = column.column(column.num_columns - 1)
    content = bytearray(part.read_bytes())
    content[(last.dictionary_page_offset or last.data_page_offset) + last.total_compressed_size - 2] ^= 1
    part.write_bytes(content)


DAMAGES: dict[str, list[Callable[[Path], object]]] = {
    "files gone": [
        lambda root: found(root, "artifacts/memory_bank/000001/content.faiss").unlink(),
        lambda root: shutil.rmtree(root / "artifacts/hawkes_process/000001/encoder/process"),
        lambda root: found(root, "artifacts/popularity_model_m3tr_0/current.json").unlink(),
        lambda root: found(root, "artifacts/popularity_model_m3tr_1/000001").rename(root / "elsewhere"),
        lambda root: found(root, "stages/text_embeddings/parts/*/*/0*[!y].parquet").unlink(),
        lambda root: found(root, "tables/popularity/current.parquet").unlink(),
        lambda root: found(root, "stages/retrieval_vectors/payload.arrow").unlink(),
    ],
    "files cut": [
        lambda root: cut(found(root, "artifacts/memory_bank/000001/members.npz")),
        lambda root: found(root, "artifacts/hawkes_process/current.json").write_bytes(b"\xff garbage"),
        lambda root: found(root, "artifacts/popularity_model_m3tr_0/000001/version.json").write_text("{}"),
        lambda root: cut(found(root, "tables/splits/current.parquet")),
        lambda root: cut(found(root, "tables/neighbours/current.parquet")),
        lambda root: cut(found(root, "stages/videos/parts/*/*/0*[!y].parquet")),
        lambda root: cut(found(root, "logs/runs/*.parquet")),
        lambda root: cut(root / "catalog.duckdb"),
        lambda root: (root / "store.json").write_text(""),
        lambda root: (root / "tables" / ".DS_Store").write_text(""),
    ],
    "bits flipped": [
        lambda root: flip_payload(found(root, "stages/temporal_embeddings/parts/*/*/0*[!y].parquet")),
        lambda root: flip_payload(found(root, "tables/splits/current.parquet")),
        lambda root: flip_payload(found(root, "tables/evaluation_items/current.parquet")),
    ],
}


@pytest.mark.slow
@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_store_is_mended_by_the_next_runs(settings_of, materialise, damage, caplog):
    """At most two runs stop at damage, with one clear error; in the end everything is as it was, to the bit."""
    settings: Settings = settings_of()
    assert materialise(settings).success
    store = open_store(settings)
    before = {name: store.table(name).read() for name in TABLES}
    states = {name: stage.states().select("item", "output_hash").sort("item") for name, stage in store.stages().items()}
    for spoil in DAMAGES[damage]:
        spoil(store.root)
    assert [finding for finding in check_store(store.root, deep=True) if finding.level == "problem"]
    runs = [materialise(settings)]
    while not runs[-1].success and len(runs) < 3:
        runs.append(materialise(settings))
    assert runs[-1].success
    for run in runs[:-1]:
        errors = [
            event.event_specific_data.error for event in run.all_events if event.event_type_value == "STEP_FAILURE"
        ]
        assert [(error.cause or error).cls_name for error in errors] == ["DamageError"]
    # what no asset read is left to the command that `check` names: here a log's rows, and a page of a part
    for finding in check_store(store.root, deep=True):
        assert finding.way_out.startswith("rm "), finding
        subprocess.run(finding.way_out.split(";")[0], shell=True, check=True)
    assert materialise(settings).success
    assert list(check_store(store.root, deep=True)) == []
    for name, frame in before.items():
        after, expected = store.table(name).read(), frame
        if "bank_version" in frame.columns:
            after, expected = after.drop("bank_version"), expected.drop("bank_version")
        assert after.equals(expected), name
    for name, expected in states.items():
        assert store.stages()[name].states().select("item", "output_hash").sort("item").equals(expected), name
