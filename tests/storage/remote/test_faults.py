from typing import ClassVar

import polars as pl
import pyarrow as pa
import pytest

from storage.check import check_store
from storage.durable import StoreError
from storage.remote import connection
from storage.remote.connection import connect, remote_of
from storage.remote.objects import ObjectFolder, ObjectMissing, PutRefused, RemoteError
from storage.remote.unused import delete_everything
from storage.rows import Row
from storage.store import Store

PAYLOAD = pa.schema({"words": pa.int32()})


def commit(store: Store, *items: str) -> None:
    rows = [Row.ok(item, "h", {"words": 1}) for item in items]
    store.stage("title_words", PAYLOAD).commit(rows, fingerprint="f")


def items(store: Store) -> list[str]:
    return sorted(store.stage("title_words", PAYLOAD).read()["item"].to_pylist())


def part_objects(store: Store) -> list[str]:
    files = remote_of(store.root).mirror("stages/title_words").manifest().files
    return [f"stages/title_words/{files[path].object}" for path in sorted(files) if path.endswith(".parquet")][1:]


def failing(store: Store, operation: str, *, times: int = 10**9):
    """Let an operation of this worker fail, before it takes effect."""
    objects, left = remote_of(store.root).objects, [times]
    send = objects.send

    def fail(kind, name, request):
        if kind == operation and left[0] > 0:
            left[0] -= 1
            raise RemoteError(f"{objects.url}/{name} ({objects.endpoint}): {kind} failed: timed out")
        return send(kind, name, request)

    objects.send = fail
    return lambda: setattr(objects, "send", send)


@pytest.mark.parametrize("operation", ["put", "put_if_match"])
def test_a_commit_that_fails_leaves_nothing_and_can_be_made_again(worker, operation):
    store = worker("first")
    commit(store, "7")
    mend = failing(store, operation)
    with pytest.raises(RemoteError, match="memory://"):
        commit(store, "8")
    mend()
    assert items(worker("second")) == items(store) == ["7"]
    commit(store, "8")
    assert items(worker("second")) == items(store) == ["7", "8"]


def test_a_failure_that_passes_is_survived(worker):
    store = worker("first")
    commit(store, "7")
    failing(store, "put_if_match", times=1)
    commit(store, "8")
    assert items(worker("second")) == ["7", "8"]


def test_what_a_killed_process_left_in_the_local_folder_is_removed(worker, tmp_path):
    store = worker("first")
    commit(store, "7")
    mend = failing(store, "put_if_match")
    with pytest.raises(RemoteError):
        commit(store, "8")
    mend()
    connection._open.clear()  # as in a new process
    assert items(worker("first")) == ["7"]
    assert len(list((tmp_path / "first" / "stages" / "title_words").rglob("*-*.parquet"))) == 2, "with the empty part"


def test_a_commit_that_took_effect_before_its_process_died_is_there(worker):
    store = worker("first")
    commit(store, "7")
    mirror = remote_of(store.root).mirror("stages/title_words")
    keep = mirror._keep

    def die(copy):
        raise KeyboardInterrupt

    mirror._settle, settle = lambda *args: die(args), mirror._settle
    with pytest.raises(KeyboardInterrupt):
        commit(store, "8")
    mirror._settle, mirror._keep = settle, keep
    connection._open.clear()
    assert items(worker("first")) == items(worker("second")) == ["7", "8"]


def test_a_download_that_was_cut_is_made_again(worker):
    commit(worker("first"), "7")
    second = worker("second")
    objects, cut = remote_of(second.root).objects, []
    send = objects.send

    def cut_once(operation, name, request):
        answer = send(operation, name, request)
        if operation == "read" and not cut:
            cut.append(name)
            return answer[:-1]
        return answer

    objects.send = cut_once
    assert items(second) == ["7"]
    assert cut


def test_an_object_that_was_changed_or_lost_is_taken_out_and_its_rows_are_computed_again(worker, caplog):
    first = worker("first")
    for item in "789":
        commit(first, item)
    changed, lost, _ = part_objects(first)
    objects = remote_of(first.root).objects
    objects.put(changed, objects.get(changed).content[:-1] + b"x")
    objects.delete([lost])
    second = worker("second")
    assert items(second) == ["9"]
    assert "content differs" in caplog.text and "object is missing" in caplog.text
    commit(second, "7", "8")
    assert items(worker("third")) == ["7", "8", "9"]


def test_a_damaged_local_copy_is_downloaded_again(worker, tmp_path, caplog):
    store = worker("first")
    commit(store, "7")
    part = max((tmp_path / "first" / "stages" / "title_words").rglob("*.parquet"))
    part.write_bytes(part.read_bytes()[:-20])
    assert items(store) == ["7"]
    assert "downloaded again" in caplog.text
    assert items(worker("second")) == ["7"]


def test_a_damaged_local_table_is_downloaded_again(worker, tmp_path):
    store = worker("first")
    store.table("likes").write(pl.DataFrame({"value": [1]}), inputs_hash="i", fingerprint="f")
    current = tmp_path / "first" / "tables" / "likes" / "current.parquet"
    current.unlink()
    current.write_bytes(b"nothing")
    assert store.table("likes").state().inputs_hash == "i"
    assert store.table("likes").read()["value"].to_list() == [1]


def test_a_damaged_manifest_is_named_with_the_way_out(worker):
    store = worker("first")
    commit(store, "7")
    objects = remote_of(store.root).objects
    name = "stages/title_words/manifest.json"
    objects.put(name, objects.get(name).content.replace(b"parts/000001", b"parts/000002"))
    with pytest.raises(
        RemoteError, match=r"title_words/manifest.json is damaged: its content differs.*earlier version"
    ):
        items(worker("second"))


class IgnoresConditions(ObjectFolder):
    ignored = ""

    def put_if_absent(self, name, content):
        if self.ignored != "If-None-Match":
            return super().put_if_absent(name, content)
        self.put(name, content)
        return self.get(name).tag

    def put_if_match(self, name, content, tag):
        if self.ignored != "If-Match":
            return super().put_if_match(name, content, tag)
        self.put(name, content)
        return self.get(name).tag


@pytest.mark.parametrize("header", ["If-None-Match", "If-Match"])
def test_a_server_that_ignores_a_condition_is_refused_by_name(url, tmp_path, monkeypatch, header):
    monkeypatch.setattr(IgnoresConditions, "ignored", header)
    monkeypatch.setattr(connection, "ObjectFolder", IgnoresConditions)
    with pytest.raises(StoreError, match=f"{url}.*does not honour the condition {header}"):
        connect(url, cache=tmp_path / "first")
    assert not (tmp_path / "first" / "remote.json").exists()


class LosesAnswers(ObjectFolder):
    """Does what the first put of a kind asks, and says what the client then sees."""

    left: ClassVar[dict[str, Exception]] = {}

    def put_if_absent(self, name, content):
        return self._lost("put_if_absent", super().put_if_absent(name, content))

    def put_if_match(self, name, content, tag):
        return self._lost("put_if_match", super().put_if_match(name, content, tag))

    def _lost(self, kind, tag):
        if error := self.left.pop(kind, None):
            raise error
        return tag


@pytest.mark.parametrize("kind", ["put_if_absent", "put_if_match"])
@pytest.mark.parametrize("seen", [PutRefused("probe"), RemoteError("no answer")])
def test_a_lost_answer_is_no_reason_to_refuse_a_server(url, tmp_path, monkeypatch, kind, seen):
    monkeypatch.setattr(LosesAnswers, "left", {kind: seen})
    monkeypatch.setattr(connection, "ObjectFolder", LosesAnswers)
    connect(url, cache=tmp_path / "first")
    assert LosesAnswers.left == {}
    assert (tmp_path / "first" / "remote.json").exists()


def test_a_file_url_cannot_replace_on_a_condition_and_is_refused(tmp_path):
    (tmp_path / "bucket").mkdir()
    with pytest.raises(StoreError, match=r"put_if_match is not possible.*store\.path"):
        connect((tmp_path / "bucket").as_uri(), cache=tmp_path / "first")


def test_a_server_that_does_not_answer_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr("storage.remote.objects.RETRIES", 0)
    options = {"endpoint": "http://127.0.0.1:9", "region": "r", "allow_http": "true", "skip_signature": "true"}
    with pytest.raises(RemoteError, match=r"s3://bucket/one/probes.*\(http://127.0.0.1:9\)"):
        connect("s3://bucket/one", cache=tmp_path / "first", options=options)


def test_a_folder_serves_one_store(url, tmp_path):
    connect(url, cache=tmp_path / "first")
    with pytest.raises(StoreError, match="is a copy of"):
        connect(url + "-other", cache=tmp_path / "first")
    Store(tmp_path / "plain")
    with pytest.raises(StoreError, match="a store of its own"):
        connect(url, cache=tmp_path / "plain")


def test_objects_answer_as_the_store_needs(url):
    objects = ObjectFolder(url)
    with pytest.raises(ObjectMissing):
        objects.get("absent")
    tag = objects.put_if_absent("a", b"1")
    with pytest.raises(PutRefused):
        objects.put_if_absent("a", b"2")
    assert objects.get("a", unless=tag) is None
    newer = objects.put_if_match("a", b"2", tag)
    with pytest.raises(PutRefused):
        objects.put_if_match("a", b"3", tag)
    assert objects.get("a", unless=tag) == (b"2", newer)
    assert [found.name for found in objects.list()] == ["a"]
    objects.delete(["a", "absent"])
    assert list(objects.list()) == []


def test_upkeep_deletes_what_no_manifest_names_after_a_day_and_keeps_the_rest(worker, monkeypatch):
    store = worker("first")
    for number in range(3):
        store.table("likes").write(pl.DataFrame({"value": [number]}), inputs_hash=str(number), fingerprint="f")
    objects = remote_of(store.root).objects
    objects.put("tables/likes/objects/abandoned/x.parquet", b"of a killed writer")
    objects.put("notes.txt", b"of somebody else")
    store.table("likes").prune(keep=1)
    before = {found.name for found in objects.list()}
    assert store.delete_unused(retention=0) == 0, "they may belong to a commit that goes on"
    monkeypatch.setattr("storage.remote.unused.UPLOADING", 0.0)
    assert store.delete_unused(retention=3600) == 1, "removed files stay for workers that read an earlier manifest"
    assert store.delete_unused(retention=0) == 2
    left = {found.name for found in objects.list()}
    assert {"notes.txt", "tables/likes/manifest.json"} < left < before
    assert worker("second").table("likes").read()["value"].to_list() == [2]


def test_a_deep_check_names_the_object_that_was_changed(worker):
    store = worker("first")
    commit(store, "7")
    (name,) = part_objects(store)
    assert [found for found in check_store(store.root, deep=True) if found.level == "problem"] == []
    objects = remote_of(store.root).objects
    objects.put(name, objects.get(name).content[:-1] + b"x")
    (found,) = check_store(store.root, deep=True)
    assert found.subject == f"{objects.url}/{name}"
    assert "differs" in found.problem


def test_a_deleted_store_leaves_nothing(worker):
    store = worker("first")
    commit(store, "7")
    delete_everything(remote_of(store.root))
    assert list(remote_of(store.root).objects.list()) == []
