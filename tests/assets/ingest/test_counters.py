"""The table of counters in the store, of sets with counters alone and without any."""

import pytest

from assets.engine.store_access import open_store
from assets.ingest.counters import read_counters
from assets.ingest.interactions import read_events
from assets.ingest.videos import known_items
from storage.datasets.dataset import COUNTERS, EVENTS

INGEST = ["videos", "interactions", "counters"]


@pytest.fixture
def counted(tmp_path):
    folder = tmp_path / "counted"
    folder.mkdir()
    (folder / "videos.csv").write_text("item,title,published_at\na,A,2024-01-01\nb,B,2024-01-02\n")
    (folder / "counters.csv").write_text("item,time,views,likes\nb,2024-01-03,20,\na,2024-01-03,1.2K,7\n")
    return folder


def test_a_set_with_counters_alone_is_ingested(counted, settings_of, materialise):
    settings = settings_of(data__folder=str(counted))
    assert materialise(settings, INGEST).success
    store = open_store(settings)
    assert read_counters(store).schema == COUNTERS
    assert read_counters(store).drop("time").rows() == [("a", "like", 7), ("a", "view", 1200), ("b", "view", 20)]
    assert read_events(store).is_empty() and read_events(store).schema.items() >= EVENTS.items()
    assert known_items(store)["title"].to_list() == ["A", "B"]


def test_a_set_without_counters_has_an_empty_table(settings_of, materialise):
    settings = settings_of()
    assert materialise(settings, INGEST).success
    assert read_counters(open_store(settings)).is_empty()


def test_a_new_count_changes_the_table_and_no_change_keeps_it(counted, settings_of, materialise):
    settings = settings_of(data__folder=str(counted))
    materialise(settings, INGEST)
    store = open_store(settings)
    version = store.table("counters").state()
    materialise(settings, INGEST)
    assert store.table("counters").state() == version
    with (counted / "counters.csv").open("a") as file:
        file.write("b,2024-01-04,30,\n")
    materialise(settings, INGEST)
    assert read_counters(store).height == 4
