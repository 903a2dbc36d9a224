"""Tables in several files, compressed, as parquet; and types that are none of text."""

import bz2
import gzip
import lzma

import polars as pl
import pyarrow as pa
import pytest

from storage.datasets import DatasetError, open_dataset

T = 1_700_000_000_000
VIDEOS = "item,title\na,A\nb,B\n"
EVENTS = f"item,time,user\na,{T},u1\na,{T + 1},u2\nb,{T + 2},u3\n"
MORE = f"item,time,type,user\nb,{T + 3},like,u4\n"
ROWS = [("a", "u1", "comment", T), ("a", "u2", "comment", T + 1), ("b", "u3", "comment", T + 2)]


def zstd(data: bytes) -> bytes:
    out = pa.BufferOutputStream()
    with pa.CompressedOutputStream(out, "zstd") as packed:
        packed.write(data)
    return out.getvalue().to_pybytes()


PACKERS = {".gz": gzip.compress, ".bz2": bz2.compress, ".xz": lzma.compress, ".zst": zstd}


def problem(folder) -> str:
    with pytest.raises(DatasetError) as caught:
        open_dataset(folder)
    assert len(caught.value.problems) == 1, caught.value.problems
    return caught.value.problems[0]


@pytest.mark.parametrize("suffix", PACKERS)
def test_compressed_files(write, suffix):
    pack = PACKERS[suffix]
    folder = write({f"videos.csv{suffix}": pack(VIDEOS.encode()), f"events.csv{suffix}": pack(EVENTS.encode())})
    assert open_dataset(folder).events.rows() == ROWS


@pytest.mark.parametrize("suffix", PACKERS)
def test_the_whole_microlens_layout_compressed(write, suffix):
    pack = PACKERS[suffix]
    pairs = f"user,item,timestamp\nu1,1,{T}\n"
    files = {"a_pairs.csv": pairs, "a_title_en.csv": "1,one\n", "a_published.csv": f"item,published_at\n1,{T}\n"}
    dataset = open_dataset(write({name + suffix: pack(text.encode()) for name, text in files.items()}))
    assert dataset.prefix == "a"
    assert dataset.videos.select("title", "published_at").rows() == [("one", T)]


def test_a_compressed_file_without_its_suffix(write):
    folder = write({"videos.csv": VIDEOS, "events.csv": gzip.compress(EVENTS.encode())})
    assert open_dataset(folder).events.rows() == ROWS
    write({"events.csv": gzip.compress(b"item,time\na,oops\n")})
    assert "events.csv, line 2: time is 'oops'" in problem(folder)


@pytest.mark.parametrize("suffix", PACKERS)
def test_a_compressed_file_that_is_cut_off(write, suffix):
    packed = PACKERS[suffix](EVENTS.encode() * 50)
    found = problem(write({"videos.csv": VIDEOS, f"events.csv{suffix}": packed[: len(packed) // 2]}))
    assert f"events.csv{suffix}: cannot be decompressed" in found


@pytest.mark.parametrize(
    "names", [("events-2.csv", "events-10.csv"), ("events/part-2.csv", "events/day=3/part-10.csv")]
)
def test_events_in_several_files(write, names):
    folder = write({"videos.csv": VIDEOS, names[0]: EVENTS, names[1]: MORE, "events/_SUCCESS": b""})
    assert open_dataset(folder).events.rows() == [*ROWS, ("b", "u4", "like", T + 3)]
    write({names[1]: MORE.replace(str(T + 3), "soon")})
    assert f"{names[1]}, line 2: time is 'soon'" in problem(folder)


def test_parts_that_repeat_each_other_are_told(write):
    dataset = open_dataset(write({"videos.csv": VIDEOS, "events-1.csv": EVENTS, "events-2.csv": EVENTS}))
    assert (dataset.events.height, dataset.duplicates) == (3, 3)
    assert any("events-1.csv and 1 more file: 3 exact duplicate rows dropped" in note.text for note in dataset.notes)


def test_pairs_in_several_files(write):
    pairs = f"user,item,timestamp\nu1,{{}},{T}\n"
    dataset = open_dataset(write({"a_pairs-1.csv": pairs.format(1), "a_pairs-2.csv": pairs.format(2)}))
    assert (dataset.prefix, dataset.events["item"].to_list()) == ("a", ["1", "2"])


def test_a_copy_beside_the_whole_file_is_left_alone_and_told(write):
    dataset = open_dataset(write({"videos.csv": VIDEOS, "events.csv": EVENTS, "events_old.csv": MORE}))
    assert dataset.events.rows() == ROWS
    assert any("1 files such as events_old.csv are not read" in note.text for note in dataset.notes)


@pytest.mark.parametrize("second", ["events.csv.gz", "events/part.csv"])
def test_a_table_that_lies_there_twice(write, second):
    found = problem(write({"videos.csv": VIDEOS, "events.csv": EVENTS, second: EVENTS}))
    assert "events.csv and" in found and "are both there" in found


def test_one_part_in_two_formats(write):
    folder = write({"videos.csv": VIDEOS, "events-1.csv": EVENTS, "events-1.csv.gz": gzip.compress(EVENTS.encode())})
    assert "events-1.csv and events-1.csv.gz are both there" in problem(folder)


def test_a_format_that_is_not_read_is_named(write):
    found = problem(write({"events.xlsx": b"PK", "notes.txt": b""}))
    assert "no data set found" in found and "events.xlsx cannot be read: export each sheet as CSV" in found


@pytest.mark.parametrize(
    "title, told",
    [
        ([["x", "y"], ["z"]], "videos.parquet: title is List(String): a column of text or integers is allowed"),
        ([{"en": "x"}, {"en": "y"}], "title is Struct"),
    ],
)
def test_a_column_that_is_no_text(write, tmp_path, title, told):
    write({"events.csv": EVENTS})
    pl.DataFrame({"item": ["a", "b"], "title": title}).write_parquet(tmp_path / "videos.parquet")
    assert told in problem(tmp_path)


def test_times_that_are_lists_are_one_problem(write, tmp_path):
    write({"videos.csv": VIDEOS})
    pl.DataFrame({"item": ["a", "b"], "time": [[T], [T]]}).write_parquet(tmp_path / "events.parquet")
    assert "events.parquet: time is List(Int64), must be integer unix milliseconds or" in problem(tmp_path)


def test_columns_that_can_be_told_as_text(write, tmp_path):
    write({"events.csv": EVENTS})
    frame = pl.DataFrame({"item": [b"a", b"b"], "title": [1, None], "category": ["x", "y"], "extra": [[1], [2]]})
    frame.with_columns(pl.col("category").cast(pl.Categorical)).write_parquet(tmp_path / "videos.parquet")
    dataset = open_dataset(tmp_path)
    assert dataset.videos.select("item", "title", "category").rows() == [("a", "1", "x"), ("b", None, "y")]
    assert dataset.further["videos"].rows() == [("a", [1]), ("b", [2])]


def test_a_further_column_is_kept_in_the_order_of_the_items(write):
    dataset = open_dataset(write({"videos.csv": "item,titel,rank\nb,B,3\na,A,4\n", "events.csv": EVENTS}))
    assert dataset.further["videos"].rows() == [("a", "A", "4"), ("b", "B", "3")]
    assert [note.severity for note in dataset.notes if "'titel' (is title meant?)" in note.text] == ["warning"]
