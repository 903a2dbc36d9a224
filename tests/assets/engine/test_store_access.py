"""The data set is read once, and again when its files or the settings that it depends on change."""

from __future__ import annotations

import pytest

from assets.engine import store_access
from assets.engine.store_access import open_store, read_dataset


@pytest.fixture
def reads(monkeypatch):
    """The folders that were read, one entry per reading."""
    seen, open_dataset = [], store_access.open_dataset

    def counted(folder, **options):
        seen.append(folder)
        return open_dataset(folder, **options)

    monkeypatch.setattr(store_access, "open_dataset", counted)
    return seen


def write(folder, *rows: str) -> None:
    folder.mkdir(exist_ok=True)
    (folder / "events.csv").write_text("\n".join(["item,user,time", *rows]) + "\n")


def test_steps_of_a_run_share_one_reading_until_a_file_changes(settings_of, tmp_path, reads):
    write(tmp_path / "data", "a,u,1700000000", "b,v,1700000100")
    settings = settings_of(data__folder=str(tmp_path / "data"))
    store = open_store(settings)
    first = read_dataset(store, settings)
    assert read_dataset(store, settings) is first and len(reads) == 1
    write(tmp_path / "data", "a,u,1700000000", "b,v,1700000100", "c,w,1700000200")
    assert read_dataset(store, settings).videos["item"].to_list() == ["a", "b", "c"] and len(reads) == 2


def test_other_settings_are_another_reading(settings_of, tmp_path, reads):
    write(tmp_path / "data", "a,u,1700000000", "b,v,1700000100")
    early = settings_of(data__folder=str(tmp_path / "data"), data__as_of="2023-11-14T22:13:50Z")
    settings = settings_of(data__folder=str(tmp_path / "data"))
    assert len(read_dataset(open_store(settings), settings).events) == 2
    assert len(read_dataset(open_store(early), early).events) == 1
    assert len(reads) == 2


def test_a_large_data_set_is_not_kept(settings_of, tmp_path, reads, monkeypatch):
    monkeypatch.setattr(store_access, "LARGEST_KEPT", 1)
    write(tmp_path / "data", "a,u,1700000000", "b,v,1700000100")
    settings = settings_of(data__folder=str(tmp_path / "data"))
    for _ in range(2):
        read_dataset(open_store(settings), settings)
    assert len(reads) == 2
