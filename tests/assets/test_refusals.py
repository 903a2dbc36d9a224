"""Errors in data and settings stop a run before any work, and nothing that was computed is lost."""

import pytest

from assets.engine.store_access import OtherDataSet, claim, open_store
from storage.damage import DamageError
from storage.store import Store
from tests.assets.conftest import write_plain_set


def failure(result) -> str:
    return "\n".join(str(event.step_failure_data.error) for event in result.all_events if event.is_step_failure)


def test_no_such_folder(settings_of, materialise, tmp_path):
    result = materialise(settings_of(data__folder=str(tmp_path / "nothing")))
    assert not result.success
    assert "no such folder" in failure(result)


def test_a_clock_in_seconds_names_file_and_line(settings_of, materialise, tmp_path):
    (tmp_path / "own_pairs.csv").write_text("user,item,timestamp\n1,2,1600000000\n1,3,1600000100\n")
    result = materialise(settings_of(data__folder=str(tmp_path)))
    assert not result.success
    assert "own_pairs.csv, line 2" in failure(result)
    assert "milliseconds" in failure(result)


def test_an_item_without_any_label_says_what_is_needed(settings_of, materialise, tmp_path):
    (tmp_path / "videos.csv").write_text("item\n" + "".join(f"{item}\n" for item in range(5)))
    (tmp_path / "events.csv").write_text("item,time\n" + "".join(f"{item},1780000000000\n" for item in range(5)))
    result = materialise(settings_of(data__folder=str(tmp_path)))
    assert not result.success
    assert "at least 10 are needed" in failure(result)


def test_windows_that_end_where_they_begin_say_what_sets_them(settings_of, materialise, tmp_path):
    """The first event of an item is its t = 0 where no publication is known, and with first_k = 1 all that is seen of it."""
    (tmp_path / "videos.csv").write_text("item\n" + "".join(f"{item}\n" for item in range(20)))
    hour, start = 3_600_000, 1_780_000_000_000
    rows = [f"{item},{start + 100 * item * hour + after * hour}\n" for item in range(20) for after in (0, 1, 24, 4000)]
    (tmp_path / "events.csv").write_text("item,time\n" + "".join(rows))
    result = materialise(settings_of(data__folder=str(tmp_path), protocol__first_k="1"), "*hawkes_process")
    assert not result.success
    assert "observation window ends at t = 0" in failure(result) and "first_k" in failure(result)


def test_a_date_in_the_far_future_leaves_labels_open_unless_the_end_of_the_data_is_given(
    settings_of, materialise, tmp_path
):
    """One item's clock is wrong: it may not make the labels of items that are still followed complete."""
    hour, start = 3_600_000, 1_780_000_000_000
    rows = [f"{item},{start + item * hour + after * hour},{item}\n" for item in range(20) for after in (0, 1, 24, 100)]
    (tmp_path / "videos.csv").write_text("item\n" + "".join(f"{item}\n" for item in range(20)))
    (tmp_path / "events.csv").write_text("item,time,user\n" + "".join(rows) + f"3,{4_080_000_000_000},late\n")
    result = materialise(settings_of(data__folder=str(tmp_path)), "*popularity")
    assert "0 of 20 items have a complete window" in failure(result)
    assert "The data end at 2026-06-02 19:26:40 UTC" in failure(result)
    later = materialise(settings_of(data__folder=str(tmp_path), data__as_of="2026-06-10"), "*popularity")
    assert "all 20 labels are equal" in failure(later)  # they are known then


def test_a_store_is_kept_to_one_data_set(tmp_path):
    store = Store(tmp_path / "store")
    claim(store, tmp_path / "one")
    claim(store, tmp_path / "one")
    with pytest.raises(OtherDataSet, match=r"another store .*REELCAST_STORE__PATH"):
        claim(store, tmp_path / "two")


def test_a_store_whose_data_set_cannot_be_read_says_what_to_remove(tmp_path):
    store = Store(tmp_path / "store")
    claim(store, tmp_path / "one")
    mark = store.root / "dataset.json"
    for damaged in (b"", b"{}", b"\xff\xfe garbage", mark.read_bytes()[:10]):
        mark.write_bytes(damaged)
        with pytest.raises(
            DamageError, match=rf"if the store was computed from .*one, remove that file \(rm .*{mark.name}\)"
        ):
            claim(store, tmp_path / "one")
    mark.unlink()
    claim(store, tmp_path / "one")


def test_a_store_that_cannot_be_made(settings_of, tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(Exception, match="file"):
        open_store(settings_of(store__path=str(tmp_path / "file" / "store")))


def test_a_disk_that_is_too_full(settings_of):
    with pytest.raises(Exception, match=r"GiB are free .* are needed"):
        open_store(settings_of(store__min_free_mb=str(10**9)))


def test_results_that_cannot_be_written_stop_the_run_at_videos(settings_of, materialise, tmp_path):
    (tmp_path / "file").write_text("in the way")
    settings = settings_of(store__results=str(tmp_path / "file" / "results"))
    result = materialise(settings)
    assert not result.success
    assert str(tmp_path / "file") in failure(result)
    assert Store(settings.store_folder()).stages() == {}


@pytest.mark.parametrize(
    ("items", "environment", "said", "stopped"),
    [
        (3, {}, "at least 10 are needed", {"frames", "audio", "visual_captions", "text_embeddings"}),
        (30, {"protocol__fractions": "[0.98, 0.01, 0.01]"}, "split has", {"visual_captions", "text_embeddings"}),
    ],
    ids=["too few labels", "a side of the split too small"],
)
def test_a_run_that_is_lost_decodes_and_encodes_nothing(
    settings_of, materialise, tmp_path, items, environment, said, stopped
):
    folder = write_plain_set(tmp_path / "data", items=items)
    settings = settings_of(data__folder=str(folder), **environment)
    result = materialise(settings)
    assert not result.success
    assert said in failure(result)
    stages = open_store(settings).stages()
    assert not stopped & stages.keys(), stages.keys()
    assert "videos" in stages
