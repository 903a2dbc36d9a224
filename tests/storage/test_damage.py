"""Every kind of file in a store, damaged in every way: the next run mends it, or `check` names the command that does."""

import os
import shutil
import subprocess
import tarfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from storage import catalog
from storage.arrays import fixed, to_numpy
from storage.bank import MemoryBank, build
from storage.check import check_store
from storage.checked_parquet import read_table, write_parquet
from storage.damage import DamageError
from storage.durable import StoreError
from storage.fingerprint import Fingerprint
from storage.pack import open_pack
from storage.rows import Row
from storage.store import Store
from storage.upkeep import upkeep

PAYLOAD = pa.schema(
    [fixed("embedding", (3,), "float16"), pa.field("caption", pa.string()), pa.field("times", pa.list_(pa.float64()))]
)
FINGERPRINT = Fingerprint(1, {"frames": 10}, {"revision": "a"})
VALUES = {"a": 1, "b": 2, "c": 4}
SPLITS = pl.DataFrame({"item": ["a", "b", "c"], "split": ["train", "train", "test"]})
WEIGHTS = np.arange(1000.0).tobytes()
FULL_LOG = [1, 2]


def row(item: str) -> Row:
    value = VALUES[item]
    payload = {"embedding": np.full(3, value), "caption": f"{item}={value}", "times": [value / 2]}
    return Row.ok(item, f"input {item}", payload)


def members() -> dict:
    random = np.random.default_rng(0)
    count = 6
    return {
        "items": [f"v{number}" for number in range(count)],
        "content": random.standard_normal((count, 6)).astype(np.float32),
        "content_mask": np.ones(count, bool),
        "temporal": random.standard_normal((count, 4)).astype(np.float32),
        "temporal_mask": np.ones(count, bool),
        "labels": np.arange(count) / 2,
        "label_times": None,
        "groups": np.arange(count),
        "versions": {"content": "one"},
    }


def run(root: Path) -> None:
    """Bring a store up to date with the public surfaces, as a run of the graph does, and use all that it holds."""
    store = Store(root)
    stage = store.stage("captions", PAYLOAD)
    plan = stage.plan({item: f"input {item}" for item in VALUES}, FINGERPRINT)
    stage.drop(plan.orphaned)
    for item in plan.todo:
        stage.commit([row(item)], fingerprint=FINGERPRINT)
    table = store.table("splits")
    if not table.is_current("i2", "f", verify=True):
        table.write(SPLITS, inputs_hash="i2", fingerprint="f")
    model = store.artifact("model")
    service = model.current(verify=True)
    if service is None or service.inputs_hash != "two":
        with model.new(inputs_hash="two", fingerprint="f", metadata={"loss": 0.5}) as folder:
            (folder / "weights").write_bytes(WEIGHTS)
    bank = store.artifact("memory_bank")
    if bank.current(verify=True) is None:
        bank.activate(build(bank, **members()).version)
    catalog.publish(store)
    assert_whole(store)


def assert_whole(store: Store) -> None:
    stage = store.stages()["captions"]
    rows = pl.from_arrow(stage.read())
    assert dict(rows.select("item", "caption").iter_rows()) == {
        item: f"{item}={value}" for item, value in VALUES.items()
    }
    assert dict(rows.select("item", "times").iter_rows()) == {item: [value / 2] for item, value in VALUES.items()}
    assert dict(rows.select("item", "embedding").iter_rows()) == {item: [value] * 3 for item, value in VALUES.items()}
    assert store.table("splits").read().equals(SPLITS)
    with store.artifact("model").current().reading() as folder:
        assert (folder / "weights").read_bytes() == WEIGHTS
    bank = MemoryBank.open(store.artifact("memory_bank"), expect={"content": "one"})
    np.testing.assert_array_equal(bank.content, members()["content"])
    np.testing.assert_array_equal(bank.labels, members()["labels"])
    pack = open_pack(store, stage)
    for item, value in VALUES.items():
        (start,), (length,) = pack.find([item])
        np.testing.assert_array_equal(pack.values[start : start + length], [[value] * 3])
    log = store.log("runs").read()
    assert not log.height or set(log["run"]) <= set(FULL_LOG)
    with catalog.connect(store) as connection:
        views = [
            name for (name,) in connection.sql("SELECT view_name FROM duckdb_views() WHERE NOT internal").fetchall()
        ]
        assert {"captions", "captions_states", "splits", "artifact_versions"} <= set(views)
        for view in views:
            connection.sql(f'SELECT * FROM "{view}"').fetchall()


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> Path:
    """A store with something of every kind; not to be changed."""
    root = tmp_path_factory.mktemp("whole") / "store"
    store = Store(root)
    stage = store.stage("captions", PAYLOAD)
    stage.commit([row("a"), row("b"), Row.ok("gone", "h", row("a").payload)], fingerprint=FINGERPRINT)
    stage.drop(["gone"])
    store.table("splits").write(SPLITS.head(2), inputs_hash="i1", fingerprint="f")
    with store.artifact("model").new(inputs_hash="one", fingerprint="f") as folder:
        (folder / "weights").write_bytes(WEIGHTS)
    for number in FULL_LOG:
        store.append("runs", pl.DataFrame({"run": [number]}))
    run(root)
    assert list(check_store(root, deep=True)) == []
    return root


@pytest.fixture
def root(whole: Path, tmp_path: Path) -> Path:
    """A copy of it, in which a table's current version and its file beside are one file, as they are in the store."""
    subprocess.run(["cp", "-a", str(whole), str(tmp_path / "store")], check=True)
    return tmp_path / "store"


INVENTORY = {
    "marker": "store.json",
    "catalog": "catalog.duckdb",
    "publishing lock": "publishing.lock",
    "payload schema": "stages/captions/payload.arrow",
    "fingerprint": "stages/captions/fingerprints/*.json",
    "empty part": "stages/captions/parts/000001/*/*-empty.parquet",
    "open generation": "stages/captions/parts/000001/open",
    "part": "stages/captions/parts/000001/*/0*[!y].parquet",
    "table": "tables/splits/current.parquet",
    "earlier table version": "tables/splits/000001-*.parquet",
    "pointer": "artifacts/model/current.json",
    "listing": "artifacts/model/versions.json",
    "state": "artifacts/model/000002/version.json",
    "weights": "artifacts/model/000002/weights",
    "earlier state": "artifacts/model/000001/version.json",
    "earlier weights": "artifacts/model/000001/weights",
    "making lock": "artifacts/model/making.lock",
    "bank's pointer": "artifacts/memory_bank/current.json",
    "bank's state": "artifacts/memory_bank/000001/version.json",
    "content index": "artifacts/memory_bank/000001/content.faiss",
    "temporal index": "artifacts/memory_bank/000001/temporal.faiss",
    "members": "artifacts/memory_bank/000001/members.npz",
    "pack's values": "artifacts/pack_captions/000001/values.npy",
    "pack's offsets": "artifacts/pack_captions/000001/offsets.npy",
    "pack's hashes": "artifacts/pack_captions/000001/hashes.npy",
    "pack's items": "artifacts/pack_captions/000001/items.npy",
    "log": "logs/runs/*.parquet",
}


def end_of_pages(file: Path, *, group: int = 0) -> int:
    """Where the last page of a row group ends."""
    row_group = pq.ParquetFile(file).metadata.row_group(group)
    column = row_group.column(row_group.num_columns - 1)
    return (column.dictionary_page_offset or column.data_page_offset) + column.total_compressed_size


def flip(file: Path) -> None:
    """Change one bit: in a page or the footer's length of a parquet file, in a column's name, or in the middle."""
    content = bytearray(file.read_bytes())
    if file.suffix == ".parquet" and pq.ParquetFile(file).num_row_groups:
        place = end_of_pages(file) - 2
    elif file.suffix == ".parquet":
        place = len(content) - 5
    else:
        place = content.index(b"caption") if file.suffix == ".arrow" else len(content) // 2
    content[place] ^= 4
    file.write_bytes(content)


DAMAGES: dict[str, Callable[[Path], object]] = {
    "deleted": lambda file: file.unlink(),
    "emptied": lambda file: file.write_bytes(b""),
    "cut": lambda file: os.truncate(file, file.stat().st_size // 2),
    "garbage": lambda file: file.write_bytes(np.random.default_rng(0).bytes(file.stat().st_size)),
    "flipped": flip,
}
WITHOUT_MEANING = {"publishing lock", "making lock", "open generation"}
# nothing tells that these were there; the next run writes what it needs of them
LEFT_NO_TRACE = {"part", "empty part", "fingerprint", "catalog", "log", "earlier table version"}
# mended without a word: nothing depends on what they held
MENDED_SILENTLY = {"catalog", "listing", "empty part"} | WITHOUT_MEANING


def find(root: Path, name: str) -> Path:
    return sorted(root.glob(INVENTORY[name]))[0]


def follow_commands(root: Path) -> None:
    """Carry out the commands that `check` names."""
    for finding in check_store(root, deep=True):
        if finding.way_out.startswith("rm "):
            subprocess.run(finding.way_out.split(";")[0], shell=True, check=True)


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("name", INVENTORY)
def test_any_damage_is_found_and_mended(root, caplog, name, damage):
    file = find(root, name)
    DAMAGES[damage](file)
    unseen = name in WITHOUT_MEANING or (name in LEFT_NO_TRACE and damage == "deleted")
    found = list(check_store(root, deep=True))
    assert found == [] if unseen else any(str(file).startswith(finding.subject) for finding in found), found
    try:
        run(root)
    except DamageError as error:
        assert "run again" in str(error)
        run(root)
    left = [finding for finding in check_store(root, deep=True) if finding.level == "problem"]
    said = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    by_run = not left and not unseen and name not in MENDED_SILENTLY and damage != "deleted"
    assert said or not by_run, "a run mended it and did not say so"
    follow_commands(root)
    run(root)
    assert list(check_store(root, deep=True)) == []


def test_no_flipped_bit_of_a_part_gives_another_value(tmp_path):
    """With a checksum per page and the columns' types known, every bit either counts for nothing or is found."""
    file = tmp_path / "part.parquet"
    table = pa.table({"item": ["a", "b", "c"], "value": [1.5, 2.5, 3.5], "names": [["x"], [], ["y", "z"]]})
    write_parquet(file, table)
    content = file.read_bytes()
    found = 0
    for place in range(len(content)):
        file.write_bytes(content[:place] + bytes([content[place] ^ 1 << place % 8]) + content[place + 1 :])
        try:
            assert read_table(file, table.schema).equals(table)
        except DamageError:
            found += 1
    assert found > len(content) / 2


def test_the_intact_rows_of_a_damaged_part_stay(store, caplog):
    stage = store.stage("frames", pa.schema([pa.field("jpeg", pa.binary())]))
    noise = np.random.default_rng(0).bytes(2**20)
    stage.commit([Row.ok(str(number), "h", {"jpeg": noise}) for number in range(40)], fingerprint="f")
    (part,) = stage.folder.glob("parts/*/*/0*[!y].parquet")
    groups = pq.ParquetFile(part).metadata
    content = bytearray(part.read_bytes())
    content[end_of_pages(part, group=1) - 2] ^= 1
    part.write_bytes(content)
    with pytest.raises(DamageError, match=r"frames.*is damaged.*run again"):
        stage.read()
    lost = stage.plan({str(number): "h" for number in range(40)}, "f").new
    assert lost == [str(number) for number in range(groups.row_group(0).num_rows, 2 * groups.row_group(0).num_rows)]
    assert stage.read()["item"].to_pylist() == [str(number) for number in range(40) if str(number) not in lost]
    assert f"{40 - len(lost)} of its rows are intact and stay" in caplog.text


def test_compaction_passes_a_damaged_part_over(store):
    stage = store.stage("numbers", pa.schema([pa.field("number", pa.int64())]))
    for number in range(4):
        stage.commit([Row.ok(str(number), "h", {"number": number})], fingerprint="f")
    flip(sorted(stage.folder.glob("parts/*/*/0*[!y].parquet"))[1])
    stage.compact(publish=lambda: None, most_parts=1)
    assert stage.read()["number"].to_pylist() == [0, 2, 3]
    assert stage.plan({str(number): "h" for number in range(4)}, "f").new == ["1"]


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_stage_whose_schema_is_damaged_is_still_there(root, caplog, damage):
    DAMAGES[damage](find(root, "payload schema"))
    assert Store(root).stages()["captions"].payload.equals(PAYLOAD, check_metadata=True)
    assert "the columns are taken from the newest part" in caplog.text


def test_foreign_files_are_passed_over(root):
    for folder in [path for path in root.rglob("*") if path.is_dir() and "memory_bank/" not in str(path)]:
        (folder / ".DS_Store").write_bytes(b"\0\0")
        (folder / "notes (copy).txt").write_text("notes")
    for kind in ("stages", "tables", "artifacts", "logs"):
        (root / kind / "Old copy").mkdir()
        (root / kind / "readme").write_text("not a folder")
    shutil.copy(find(root, "table"), root / "logs" / "runs" / "copy.parquet")
    (root / "stages" / "captions" / "parts" / "7").write_text("not a generation")
    run(root)
    assert list(check_store(root, deep=True)) == []
    upkeep(Store(root))


def test_a_foreign_file_among_the_parts_is_set_aside(root):
    shutil.copy(find(root, "table"), find(root, "part").with_name("copy.parquet"))
    assert "copy.parquet" in next(check_store(root)).subject
    run(root)
    assert [finding.level for finding in check_store(root, deep=True)] == ["note"]


def test_a_damaged_pointer_keeps_what_was_in_service(root, caplog):
    """The listing tells which version was in service, here not the newest."""
    artifact = Store(root).artifact("model")
    artifact.activate(1)
    find(root, "pointer").write_text("{}")
    assert artifact.current().version == 1
    assert "version 1 is in service, as before; if a version was pinned, pin it again" in caplog.text


def test_a_damaged_table_falls_back_to_the_version_before(root, caplog):
    """What was drawn once is not drawn again: the version before is a better start than none."""
    table = Store(root).table("splits")
    flip(table.current)
    with pytest.raises(DamageError, match="the next run makes it again: run again"):
        table.read()
    assert table.state().inputs_hash == "i1"
    assert table.read().equals(SPLITS.head(2))
    assert "version 1" in caplog.text


def test_a_table_that_is_gone_comes_back_from_its_version(root):
    table = Store(root).table("splits")
    table.current.unlink()
    assert table.read().equals(SPLITS)


def test_the_number_of_a_damaged_version_is_not_given_again(root):
    artifact = Store(root).artifact("model")
    find(root, "state").write_text("")
    assert artifact.current() is None
    with artifact.new(inputs_hash="three", fingerprint="f"):
        pass
    assert artifact.current().version == 3


@pytest.fixture
def old(tmp_path: Path) -> Path:
    """A store as it was written before there were checksums (format 1, by the first versions)."""
    root = tmp_path / "old"
    with tarfile.open(Path(__file__).with_name("store_without_checksums.tar.gz")) as archive:
        archive.extractall(root, filter="data")
    return root


def test_a_store_without_checksums_opens_and_goes_on(old):
    assert list(check_store(old, deep=True)) == []
    store = Store(old)
    stage = store.stages()["captions"]
    assert stage.read()["caption"].to_pylist() == ["a=1", "b=2", "c=4"]
    assert dict(stage.states().select("item", "status").iter_rows()) == {
        **dict.fromkeys("abc", "ok"),
        "d": "failed",
        "e": "missing",
    }
    inputs = {item: f"input {item}" for item in "abcde"}
    assert stage.plan(inputs, FINGERPRINT).todo == []
    assert store.table("splits").read()["version"].to_list() == [2, 2, 2]
    model = store.artifact("model")
    with model.current(verify=True).reading() as folder:
        assert (folder / "weights").read_text() == "two" * 100
    assert len(MemoryBank.open(store.artifact("memory_bank"), expect={"content": "one"})) == 6
    pack = open_pack(store, stage)  # of that time, or made anew
    embeddings = dict(zip("abc", to_numpy(stage.read(), "embedding"), strict=True))
    for item, vectors in embeddings.items():
        (start,), (length,) = pack.find([item])
        np.testing.assert_array_equal(pack.values[start : start + length], np.atleast_2d(vectors))
    assert store.log("runs").read()["computed"].to_list() == [6, 3]
    stage.commit([row("b")], fingerprint=FINGERPRINT)
    stage.compact(publish=lambda: catalog.publish(store), most_parts=1)
    model.annotate(2, {"noted": True})
    assert model.current().metadata == {"loss": 0.5, "noted": True}
    assert list(check_store(old, deep=True)) == []


def test_a_changed_value_in_a_part_without_checksums_is_found(old):
    part = sorted(old.glob("stages/captions/parts/*/*/0*[!y].parquet"))[0]
    table = pq.read_table(part)
    changed = table.set_column(table.schema.get_field_index("caption"), "caption", pa.array(["a=1", "b=3", "gone=3"]))
    pq.write_table(changed, part)
    (finding,) = check_store(old, deep=True)
    assert (finding.subject, finding.problem) == (str(part), "1 rows differ from their output hash, item b first")
    follow_commands(old)
    assert Store(old).stages()["captions"].plan({item: f"input {item}" for item in "abcde"}, FINGERPRINT).new == [
        "a",
        "b",
    ]


@pytest.mark.parametrize("name", ["content.faiss", "temporal.faiss", "members.npz"])
@pytest.mark.parametrize("damage", ["deleted", "emptied", "cut"])
def test_a_bank_without_a_record_of_its_files_is_set_aside_when_it_cannot_be_read(old, name, damage):
    artifact = Store(old).artifact("memory_bank")
    DAMAGES[damage](artifact.folder / "000001" / name)
    with pytest.raises(DamageError, match=r"000001 is damaged.*the next run makes it again: run again"):
        MemoryBank.open(artifact, expect={"content": "one"})
    with pytest.raises(StoreError, match="there is no memory bank in service"):
        MemoryBank.open(artifact, expect={"content": "one"})
    assert artifact.current() is None
