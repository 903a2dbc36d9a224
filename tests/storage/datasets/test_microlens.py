import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from storage.datasets import DatasetError, open_dataset

T = 1_600_000_000_000
PAIRS = f"user,item,timestamp\nu1,10,{T + 3}\nu2,2,{T + 1}\nu1,2,{T}\n"


def problems(folder, **options) -> list[str]:
    with pytest.raises(DatasetError) as caught:
        open_dataset(folder, **options)
    return caught.value.problems


def only_problem(folder, **options) -> str:
    found = problems(folder, **options)
    assert len(found) == 1, found
    return found[0]


def test_union_of_all_items_in_natural_order(write):
    folder = write(
        {
            "set_pairs.csv": PAIRS,
            "set_title_en.csv": "2,second\n7,seventh\n",
            "tags_to_summary.csv": "11,Sport\n",
            "set_videos/9.webm": b"",
            "set_videos/10.mp4": b"x",
            "set_videos/.hidden.mp4": b"x",
        }
    )
    dataset = open_dataset(folder)
    assert (dataset.layout, dataset.prefix) == ("microlens", "set")
    assert dataset.videos["item"].to_list() == ["2", "7", "9", "10", "11"]
    rows = {row["item"]: row for row in dataset.videos.iter_rows(named=True)}
    assert rows["2"] == {
        "item": "2", "path": None, "title": "second", "category": None, "author": None, "published_at": None,
    }  # fmt: skip
    assert rows["9"]["path"] == str(folder / "set_videos" / "9.webm")
    assert rows["11"]["category"] == "Sport"


def test_events_are_sorted_by_item_then_time(write):
    events = open_dataset(write({"set_pairs.csv": PAIRS})).events
    assert events.rows() == [
        ("2", "u1", "comment", T),
        ("2", "u2", "comment", T + 1),
        ("10", "u1", "comment", T + 3),
    ]
    assert events.schema == {"item": pl.String, "user": pl.String, "type": pl.String, "time": pl.Int64}


def test_events_at_one_time_keep_the_order_of_the_file(write):
    users = [f"u{number}" for number in (5, 3, 9, 1)]
    text = "user,item,timestamp\n" + "".join(f"{user},1,{T}\n" for user in users)
    assert open_dataset(write({"a_pairs.csv": text})).events["user"].to_list() == users


@pytest.mark.parametrize(
    "header, row",
    [
        ("user,item,timestamp", "u,i,{}"),
        ("userID,videoID,timestamp", "u,i,{}"),
        ("timestamp,video_id,User_Id", "{},i,u"),
        (" item , user , timestamp ", " i , u , {} "),
        ("\ufeffuser,item,timestamp", "u,i,{}"),
        ("user,item,timestamp\r", "u,i,{}\r"),
    ],
)
def test_header_variants(write, header, row):
    events = open_dataset(write({"a_pairs.csv": f"{header}\n{row.format(T)}\n"})).events
    assert events.rows() == [("i", "u", "comment", T)]


def test_fourth_column_is_the_type(write):
    text = f"user,item,timestamp,event\nu,i,{T},like\nu,i,{T},share\n"
    assert open_dataset(write({"a_pairs.csv": text})).events["type"].to_list() == ["like", "share"]


def test_blank_lines_are_passed_over(write):
    text = f"user,item,timestamp\n\nu,i,{T}\n\n\nu,j,{T}\n"
    assert open_dataset(write({"a_pairs.csv": text})).events.height == 2


def test_exact_duplicates_are_dropped_and_counted(write):
    row = f"u,i,{T}\n"
    dataset = open_dataset(write({"a_pairs.csv": "user,item,timestamp\n" + row * 3 + f"v,i,{T}\n"}))
    assert dataset.events["user"].to_list() == ["u", "v"]
    assert any("2 exact duplicate rows" in note.text for note in dataset.notes)


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(
        st.tuples(st.sampled_from("abc"), st.sampled_from(["1", "2", "10"]), st.integers(T, T + 3)),
        min_size=1,
        max_size=30,
    )
)
def test_events_equal_a_slow_reading(write, rows):
    text = "user,item,timestamp\n" + "".join(f"{user},{item},{time}\n" for user, item, time in rows)
    expected = sorted(dict.fromkeys(rows), key=lambda row: (int(row[1]), row[2]))
    events = open_dataset(write({"a_pairs.csv": text})).events
    assert events.select("user", "item", "time").rows() == expected


def test_titles_are_split_on_the_first_comma_only(write):
    titles = {
        "1": 'He said, "no", and left',
        "2": '"unbalanced, quote',
        "3": "line\u2028separator and \x0b too",
        "4": None,
        "5": "a,,b,",
    }
    text = "\ufeff" + "\r\n".join(f"{item},{title or ''}" for item, title in titles.items()) + "\r\n"
    dataset = open_dataset(write({"a_pairs.csv": PAIRS, "a_title_en.csv": text}))
    found = dict(dataset.videos.select("item", "title").iter_rows())
    assert {item: found[item] for item in titles} == titles
    assert any("1 items have an empty title" in note.text for note in dataset.notes)


def test_title_file_without_language_is_read_too(write):
    dataset = open_dataset(write({"a_pairs.csv": PAIRS, "a_title.csv": "2,two\n"}))
    assert dataset.videos.filter(item="2")["title"].item() == "two"


def test_published_times(write):
    files = {"a_pairs.csv": PAIRS, "a_published.csv": f"item,published_at\n2,{T - 1}\n3,{T}\n"}
    videos = open_dataset(write(files)).videos
    assert dict(videos.select("item", "published_at").iter_rows()) == {"2": T - 1, "3": T, "10": None}


def test_feedback_before_publication_is_noted(write):
    dataset = open_dataset(write({"a_pairs.csv": PAIRS, "a_published.csv": f"item,published_at\n2,{T + 1}\n"}))
    note = next(note for note in dataset.notes if "before their publication" in note.text)
    assert note.severity == "warning" and "item 2" in note.text


def test_likes_and_views_are_final_counts(write):
    text = "1\t10\t5\n2\t1\t5\n3\tmany\n"
    dataset = open_dataset(write({"a_pairs.csv": PAIRS, "a_likes_and_views.txt": text}))
    assert dataset.counters.rows() == [
        ("1", "like", None, 10), ("1", "view", None, 5), ("2", "like", None, 1), ("2", "view", None, 5),
    ]  # fmt: skip
    assert any("1 items have more likes than views, first: item 1 (10 likes, 5 views)" in n.text for n in dataset.notes)
    assert any("1 lines are not" in note.text and "first: line 3" in note.text for note in dataset.notes)


def test_several_categories_take_the_first(write):
    dataset = open_dataset(write({"a_pairs.csv": PAIRS, "tags_to_summary.csv": "2,Food\n2,Travel\n"}))
    assert dataset.videos.filter(item="2")["category"].item() == "Food"
    assert any("several categories" in note.text for note in dataset.notes)


def test_prefix_is_needed_where_there_are_several(write):
    folder = write({"a_pairs.csv": PAIRS, "b_pairs.csv": PAIRS.replace("u1", "z")})
    assert "a, b" in only_problem(folder)
    assert "z" in open_dataset(folder, prefix="b").events["user"].to_list()
    assert "a pairs file in this folder: a, b" in only_problem(folder, prefix="c")


def test_pairs_tsv_alone_has_no_timestamps(write):
    found = only_problem(write({"a_pairs.tsv": "u1\t1 2 3\n"}))
    assert "a_pairs.tsv" in found and "no timestamps" in found


def test_pairs_without_timestamps(write):
    found = only_problem(write({"a_pairs.csv": "user,item\nu,1\n"}))
    assert "a_pairs.csv, line 1" in found and "without timestamps" in found and "timestamp" in found


def test_further_columns_are_kept_beside_the_events_row_by_row(write):
    text = f"user,item,timestamp,stars\nu,2,{T},5\nu,1,{T},4\nu,1,{T},4\nu,1,{T},3\n"
    dataset = open_dataset(write({"a_pairs.csv": text}))
    assert dataset.events["item"].to_list() == ["1", "1", "2"]
    assert dataset.further["events"].rows() == [("4",), ("3",), ("5",)]
    assert any("further columns, which no stage reads: stars" in note.text for note in dataset.notes)


def test_a_column_given_twice(write):
    assert "user is given twice" in only_problem(write({"a_pairs.csv": f"user,userid,item,timestamp\nu,v,1,{T}\n"}))
    assert "column item is given twice" in only_problem(
        write({"a_pairs.csv": f"user,item,item,timestamp\nu,v,1,{T}\n"})
    )


def test_missing_header(write):
    found = only_problem(write({"a_pairs.csv": f"1,2,{T}\n3,4,{T}\n"}))
    assert "line 1" in found and "no header" in found


@pytest.mark.parametrize("text", ["", "user,item,timestamp\n", "user,item,timestamp\n\n\n"])
def test_empty_pairs(write, text):
    assert "a_pairs.csv" in only_problem(write({"a_pairs.csv": text}))


@pytest.mark.parametrize(
    "value, words",
    [("abc", "'abc'"), ("1600000000000.5", "integer"), ("", "empty"), ("0", "positive"), ("-5", "positive")],
)
def test_a_wrong_timestamp_is_named_with_its_line(write, value, words):
    found = only_problem(write({"a_pairs.csv": f"user,item,timestamp\nu,1,{T}\n\nu,2,{value}\nu,3,{T}\n"}))
    assert "a_pairs.csv, line 4:" in found and words in found


def test_the_line_counts_quoted_line_ends(write):
    found = only_problem(write({"a_pairs.csv": f'\nuser,item,timestamp\n"a\nb",1,{T}\nu,2,x\n'}))
    assert "line 5:" in found


@pytest.mark.parametrize(
    "factor, unit, remedy",
    [(1e-3, "seconds", "multiply"), (1e3, "microseconds", "divide"), (1e6, "nanoseconds", "1,000,000")],
)
def test_another_clock_is_refused_with_the_remedy(write, factor, unit, remedy):
    found = only_problem(write({"a_pairs.csv": f"user,item,timestamp\nu,1,{int(T * factor)}\n"}))
    assert f"in {unit}" in found and remedy in found and "line 2" in found


def test_an_early_time_among_others_is_refused_with_its_line(write):
    found = only_problem(write({"a_pairs.csv": f"user,item,timestamp\nu,1,{T}\nu,1,{T // 1000}\n"}))
    assert (
        "a_pairs.csv, line 3: time is 1600000000, as unix milliseconds 1970-01-19 12:26:40 UTC" in found
        and "in seconds" in found
    )


def test_an_item_with_two_titles(write):
    found = only_problem(write({"a_pairs.csv": PAIRS, "a_title_en.csv": "1,one\n2,two\n1,other\n"}))
    assert "a_title_en.csv, line 3:" in found and "item 1" in found and "line 1" in found


def test_a_repeated_title_counts_once(write):
    dataset = open_dataset(write({"a_pairs.csv": PAIRS, "a_title_en.csv": "1,one\n1,one\n"}))
    assert any("1 repeated lines" in note.text for note in dataset.notes)


def test_a_title_line_without_a_comma(write):
    found = only_problem(write({"a_pairs.csv": PAIRS, "a_title_en.csv": "1,one\nno comma here\n"}))
    assert "line 2" in found and "item,title" in found


@pytest.mark.parametrize("name", ["a_title_en.csv", "a_pairs.csv"])
def test_text_that_is_not_utf8(write, name):
    files = {"a_pairs.csv": PAIRS.encode(), "a_title_en.csv": b"2,two\n"}
    files[name] += b"u1,caf\xe9,1600000000000\n"
    line = files[name].count(b"\n")
    found = only_problem(write(files))
    assert f"{name}, line {line}: not UTF-8 (byte 0xe9)" in found


def test_a_line_with_too_many_fields(write):
    found = problems(write({"a_pairs.csv": PAIRS + f"u,1,{T},extra\n"}))
    assert "line 5: 4 fields, the header has 3" in found[0]


def test_two_files_for_one_item(write):
    found = only_problem(write({"a_pairs.csv": PAIRS, "a_videos/1.mp4": b"", "a_videos/1.webm": b""}))
    assert "1.mp4" in found and "1.webm" in found


def test_published_may_name_the_authors(write):
    files = {"a_pairs.csv": PAIRS, "a_published.csv": f"item,published_at,author\n2,{T - 1},ann\n3,{T},\n"}
    authors = dict(open_dataset(write(files)).videos.select("item", "author").iter_rows())
    assert authors["2"] == "ann" and {author for item, author in authors.items() if item != "2"} == {None}


def test_two_publication_times_for_one_item(write):
    files = {"a_pairs.csv": PAIRS, "a_published.csv": f"item,published_at\n1,{T}\n1,{T}\n1,{T + 1}\n"}
    assert "a_published.csv, line 4" in only_problem(write(files))


def test_several_problems_come_at_once(write):
    bad = "".join(f"u,{item},wrong\n" for item in range(20))
    folder = write({"a_pairs.csv": "user,item,timestamp\n" + bad, "a_title_en.csv": "1,a\n1,b\n"})
    found = problems(folder)
    assert len(found) == 21
    with pytest.raises(DatasetError, match=r"21 problems(.|\n)*and 16 more"):
        open_dataset(folder)
