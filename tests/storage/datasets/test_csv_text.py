"""CSV files as spreadsheets, exports and broken uploads leave them, read as videos of the plain layout."""

import csv
import io

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from storage.datasets import DatasetError, open_dataset

EVENTS = "item,time,user\na,1700000000000,u1\nb,1700000000002,u3\n"


def titles(folder) -> dict[str, str | None]:
    return dict(open_dataset(folder).videos.select("item", "title").iter_rows())


def problem(folder) -> str:
    with pytest.raises(DatasetError) as caught:
        open_dataset(folder)
    assert len(caught.value.problems) == 1, caught.value.problems
    return caught.value.problems[0]


@pytest.mark.parametrize("separator", [";", "\t", "|", ","])
def test_the_separator_is_found(write, separator):
    text = f"item{separator}title\na{separator}A; B, C\nb{separator}x\n".replace(
        "; B, C" if separator in ";," else "", ""
    )
    found = titles(write({"videos.csv": text, "events.csv": EVENTS.replace(",", separator)}))
    assert found == {"a": "A" if separator in ";," else "A; B, C", "b": "x"}


def test_a_first_line_that_names_the_separator(write):
    folder = write({"events.csv": "sep=;\r\nitem;time;type\r\na;1700000000000;x,y\r\nb;soon;z\r\n"})
    with pytest.raises(DatasetError, match=r"events\.csv, line 4: time is 'soon'"):
        open_dataset(folder)
    write({"events.csv": "sep=;\r\nitem;time;type\r\na;1700000000000;x,y\r\n"})
    assert open_dataset(folder).events["type"].to_list() == ["x,y"]


def test_an_inch_mark_is_a_character_of_its_title(write):
    text = 'item,title,author\na,TV 20" review,x\nb,B,y\nc,5" tall,z\nd,"one, ""two""",w\n'
    folder = write({"videos.csv": text, "events.csv": EVENTS})
    assert titles(folder) == {"a": 'TV 20" review', "b": "B", "c": '5" tall', "d": 'one, "two"'}
    assert any("first in line 2" in note.text for note in open_dataset(folder).notes)


def test_blanks_may_stand_around_quotes(write):
    text = 'item, title, author\na, "one, two" , x\nb,  B, "y"\n'
    videos = open_dataset(write({"videos.csv": text, "events.csv": EVENTS})).videos
    assert videos.select("item", "title", "author").rows() == [("a", "one, two", "x"), ("b", "B", "y")]


def test_a_quote_that_swallows_rows_is_refused_with_its_line(write):
    text = 'item,title\nz,Z\na,"The 5 best\nb,B\nc,so good"\nd,D\n'
    found = problem(write({"videos.csv": text, "events.csv": EVENTS}))
    assert "videos.csv, line 3: a quoted field starts here and ends in line 5" in found


def test_a_title_over_several_lines_is_read_and_told(write):
    folder = write({"videos.csv": 'item,title\na,"one\ntwo\n"\nb,B\nc,"x"\n', "events.csv": EVENTS})
    assert titles(folder) == {"a": "one\ntwo", "b": "B", "c": "x"}
    assert any(
        "1 rows extend over several lines, the first from line 2" in note.text for note in open_dataset(folder).notes
    )


def test_a_lone_quote_at_a_titles_start_is_a_character_of_it(write):
    assert titles(write({"videos.csv": 'item,title\na,"unbalanced\nb,B\n', "events.csv": EVENTS}))["a"] == '"unbalanced'


@pytest.mark.parametrize(
    "end, told",
    [
        ("b,17000000", "line 3: 2 fields, the header has 3; the file ends within this line"),
        ("b\n", "line 3: 1 field, the"),
    ],
)
def test_a_row_that_is_cut_off_is_refused(write, end, told):
    found = problem(write({"videos.csv": "item\na\nb\n", "events.csv": f"item,time,user\na,1700000000000,u1\n{end}"}))
    assert told in found


def test_a_very_long_title_is_read(write):
    text = f'item,title\na,{"x" * 200_000}\nb,{"y" * 200_000} "\n'
    assert len(titles(write({"videos.csv": text, "events.csv": EVENTS}))["a"]) == 200_000
    assert "line 4: item b is given twice" in problem(write({"videos.csv": text + "b,\n"}))


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
@pytest.mark.parametrize("ends", ["\n", "\r\n", "\r"])
def test_encodings_and_line_ends(write, encoding, ends):
    text = ends.join(["item,title", "a,héllo", "b,x", ""])
    assert titles(write({"videos.csv": text.encode(encoding), "events.csv": EVENTS})) == {"a": "héllo", "b": "x"}


@pytest.mark.parametrize("data", ["item\na\n".encode("utf-16-le"), b"item\na\n\0\0\0\0"])
def test_zero_bytes_are_refused(write, data):
    assert "a zero byte; the file is damaged, or UTF-16" in problem(write({"videos.csv": data, "events.csv": EVENTS}))


def test_names_of_columns_are_compared_loosely_and_an_index_is_left_out(write):
    text = ",Item , TITLE,Published At\n0,a,A,2023-11-01\n1,b,B,2023-11-01\n"
    dataset = open_dataset(write({"videos.csv": text, "events.csv": EVENTS}))
    assert dataset.videos["title"].to_list() == ["A", "B"]
    assert dataset.videos["published_at"].null_count() == 0
    assert not dataset.further


@pytest.mark.parametrize("number", ['"1,700,000,000,000"', '"1700000000000,5"', "1.7E+12", "1 700 000 000 000"])
def test_a_time_that_a_spreadsheet_wrote_is_named(write, number):
    text = f"item,time\na,1700000000000\nb,{number}\n"
    assert "events.csv, line 3: time is '1" in problem(write({"videos.csv": "item\na\n", "events.csv": text}))


CELL = st.text(st.sampled_from('ab,;"\n\r é'), max_size=6)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(CELL, CELL), min_size=1, max_size=8), st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]))
def test_what_a_csv_writer_wrote_comes_back(write, rows, quoting):
    """Unless a text looks like rows, which is refused: each item here has a blank, as no row of its own would."""
    file = io.StringIO()
    writer = csv.writer(file, quoting=quoting)
    writer.writerow(["item", "title", "author"])
    writer.writerows([(f"i {row}", title, author) for row, (title, author) in enumerate(rows)])
    folder = write({"videos.csv": file.getvalue(), "events.csv": EVENTS.replace("a,", "i 0,").replace("b,", "i 0,")})
    got = open_dataset(folder).videos.select("title", "author").rows()
    assert got == [tuple(cell.strip() or None for cell in row) for row in rows]


def test_the_first_line_of_another_program_is_no_header(write):
    found = problem(write({"videos.csv": "PK\x03\x04\n", "events.csv": EVENTS}))
    assert "videos.csv: cannot be decompressed" in found


def test_parts_in_polars_own_writing(write, tmp_path):
    write({"videos.csv": "item\na\nb\n"})
    frame = pl.DataFrame({"item": ["a", "b"], "time": [1_700_000_000_000, 1_700_000_000_001], "user": ['"', "x,y"]})
    frame.write_csv(tmp_path / "events.csv", quote_style="always")
    assert open_dataset(tmp_path).events["user"].to_list() == ['"', "x,y"]
