"""Assets and checks are skipped exactly while their inputs, outputs and settings are unchanged."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import dagster as dg
import polars as pl
import pytest

from assets.engine import skip_unchanged as module
from assets.engine.skip_unchanged import skip_unchanged, table_marks, verdict_stands
from assets.engine.store_access import open_store
from assets.settings import Settings
from storage.stage import Stage
from storage.store import Store
from storage.table import Table

calls: list[str] = []


def write(store: Store, name: str, value: int) -> None:
    store.table(name).write(pl.DataFrame({"value": [value]}), inputs_hash=str(value), fingerprint="1")


def doubled(before: Callable[[], object] = lambda: None) -> dg.AssetsDefinition:
    """An asset that reads the table `single` and makes the table `double`."""

    @dg.asset(name="double")
    @skip_unchanged(
        "double",
        reads=lambda store, settings: table_marks(store, "single"),
        makes=lambda store, settings: table_marks(store, "double"),
        when_skipped=lambda last: {**last, "skipped": True},
    )
    def double(context: dg.AssetExecutionContext, settings: Settings) -> dg.MaterializeResult:
        calls.append("double")
        before()
        store = open_store(settings)
        value = store.table("single").read()["value"][0]
        write(store, "double", 2 * value)
        return dg.MaterializeResult(metadata={"value": value, "named": dg.MetadataValue.json({"a": [1, None]})})

    return double


def change_a_bit(file: Path) -> None:
    """A disk's fault in a key's name: it is JSON all the same."""
    file.write_bytes(file.read_bytes().replace(b'"metadata"', b'"metadatc"'))


@pytest.fixture
def store(settings_of) -> Store:
    calls.clear()
    store = open_store(settings_of())
    write(store, "single", 1)
    return store


def run(settings: Settings, asset: dg.AssetsDefinition | None = None) -> dict[str, object]:
    result = dg.materialize([asset or doubled()], resources={"settings": settings})
    (made,) = result.asset_materializations_for_node("double")
    return {name: value.value for name, value in made.metadata.items()}


def test_a_second_run_is_skipped_and_returns_the_metadata_of_the_first(settings_of, store):
    first, second = run(settings_of()), run(settings_of())
    assert calls == ["double"]
    assert second == {**first, "skipped": True}
    assert store.log("runs").read()["asset"].to_list() == ["double"]


@pytest.mark.parametrize(
    "change",
    [
        lambda store: write(store, "single", 3),
        lambda store: write(store, "double", 7),
        lambda store: (store.root / "tables" / "double" / "current.parquet").unlink(),
        lambda store: (store.root / "settled" / "double.json").write_text("{"),
        lambda store: (store.root / "settled" / "double.json").write_text("[]"),
        lambda store: change_a_bit(store.root / "settled" / "double.json"),
        lambda store: os.truncate(store.root / "tables" / "single" / "current.parquet", 10),
    ],
)
def test_a_changed_table_or_record_runs_the_asset_again(settings_of, store, change):
    run(settings_of())
    change(store)
    dg.materialize([doubled()], resources={"settings": settings_of()}, raise_on_error=False)
    assert calls == ["double", "double"]


@pytest.mark.parametrize(
    ("setting", "again"),
    [
        ({"protocol__hours": "12"}, True),
        ({"run__retry_failed": "true"}, True),
        ({"run__failure_limit": "0.5"}, True),
        ({"store__min_free_mb": "1"}, False),
        ({"run__workers": "2"}, False),
    ],
)
def test_another_setting_voids_what_is_remembered_unless_it_changes_no_result(settings_of, store, setting, again):
    run(settings_of())
    run(settings_of(**setting))
    assert len(calls) == 1 + again


def test_an_asset_that_failed_is_run_again(settings_of, store):
    def fail() -> None:
        raise RuntimeError("no")

    run(settings_of())
    write(store, "single", 1)
    assert not dg.materialize([doubled(fail)], resources={"settings": settings_of()}, raise_on_error=False).success
    run(settings_of())
    assert len(calls) == 3


def test_a_result_is_not_remembered_if_two_processes_worked_on_the_asset(settings_of, store):
    run(settings_of(), doubled(lambda: run(settings_of(protocol__hours="12"))))
    run(settings_of())
    run(settings_of(protocol__hours="12"))
    assert len(calls) == 4


def test_a_passed_check_is_repeated_only_after_a_change_and_a_failed_one_always(settings_of, store):
    passes = True

    @verdict_stands("is_single", reads=lambda store, settings: table_marks(store, "single"))
    def check(settings: Settings) -> dg.AssetCheckResult:
        calls.append("check")
        return dg.AssetCheckResult(passed=passes, metadata={"items": 3})

    for _ in range(2):
        found = check(settings_of())
        assert found.passed and found.metadata["items"].value == 3
    assert len(calls) == 1
    write(store, "single", 2)
    passes = False
    assert [check(settings_of()).passed for _ in range(2)] == [False, False]
    assert len(calls) == 3


@pytest.mark.slow
def test_nothing_new_reads_no_video_and_no_row(settings_of, materialise, monkeypatch):
    settings = settings_of(model__seeds="[0]")
    assert materialise(settings).success

    def read(self: object, *args: object, **kwargs: object) -> None:
        raise AssertionError("a row was read")

    for method in (Stage.states, Stage.read, Stage.plan):
        monkeypatch.setattr(Stage, method.__name__, read)
    read_table = Table.read
    monkeypatch.setattr(Table, "read", lambda self: read_table(self) if self.name == "evaluation" else read(self))
    again = materialise(settings)
    assert again.success
    assert not open_store(settings).log("runs").read().tail(19)["computed"].sum()


@contextmanager
def watched(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[set[Path], set[Path]]]:
    """(folders of the store that are opened, folders that are marked) in this block."""
    opened, marked = set(), set()
    with monkeypatch.context() as patch:
        for kind in ("table", "artifact"):
            plain = getattr(Store, kind)

            def note(self: Store, name: str, plain: Callable = plain) -> object:
                opened.add(plain(self, name).folder)
                return plain(self, name)

            patch.setattr(Store, kind, note)
        for method in ("states", "read", "plan"):
            plain = getattr(Stage, method)

            def used(self: Stage, *args: object, plain: Callable = plain, **kwargs: object) -> object:
                opened.add(self.folder)
                return plain(self, *args, **kwargs)

            patch.setattr(Stage, method, used)
        mark = module.tree_mark
        patch.setattr(module, "tree_mark", lambda folder: marked.add(folder) or mark(folder))
        patch.setattr("assets.engine.run_log.publish", lambda store: None)  # looks at all, and depends on none
        yield opened, marked


@pytest.mark.slow
def test_an_asset_reads_nothing_that_it_does_not_name(settings_of, materialise, monkeypatch):
    from pipeline.definitions import defs

    settings = settings_of(model__seeds="[0]")
    for key in defs.resolve_asset_graph().toposorted_asset_keys:
        with watched(monkeypatch) as (opened, marked):
            assert materialise(settings, [key.to_user_string()]).success
        unnamed = {folder for folder in opened - marked if not folder.name.startswith("pack_")}
        assert not unnamed, key
