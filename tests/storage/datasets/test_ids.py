"""One item, one id: whatever the programs between left in it."""

import unicodedata

import polars as pl
import pytest

from storage.datasets import DatasetError, open_dataset

T = 1_700_000_000_000


def plain(write, videos: str, events: str, **files):
    text = "item,time\n" + "".join(f"{item},{T + row}\n" for row, item in enumerate(events.split()))
    return write({"videos.csv": "item\n" + videos.replace(" ", "\n") + "\n", "events.csv": text, **files})


def problem(folder) -> str:
    with pytest.raises(DatasetError) as caught:
        open_dataset(folder)
    return str(caught.value)


@pytest.mark.parametrize("item", ["1.0", "7.", "6.907228749016714e+18", "6.90723E+18", "-1.0"])
def test_an_id_that_went_through_a_float_is_refused(write, item):
    found = problem(plain(write, "1 2", f"2 {item} {item}"))
    assert f"events.csv, line 3: item is '{item}': 2 ids went through a floating-point number" in found


@pytest.mark.parametrize("item", ["5e12", "1.5.0", "v1.0", "1e5f.0a"])
def test_an_id_that_only_looks_like_a_number_is_none(write, item):
    assert item in open_dataset(plain(write, item, item)).videos["item"]


def test_ids_that_are_floats_in_parquet_are_refused_once(write, tmp_path):
    write({"videos.csv": "item\n1\n"})
    pl.DataFrame({"item": [1.0, 2.0], "time": [T, T]}).write_parquet(tmp_path / "events.parquet")
    with pytest.raises(DatasetError, match="item is Float64") as caught:
        open_dataset(tmp_path)
    assert len(caught.value.problems) == 1


def test_users_that_are_floats_because_one_is_missing_are_integers(write, tmp_path):
    write({"videos.csv": "item\n1\n"})
    frame = pl.DataFrame({"item": [1, 1, 1], "time": [T, T, T], "user": [7.0, 7.0, None]})
    frame.write_parquet(tmp_path / "events.parquet")
    assert open_dataset(tmp_path).events["user"].to_list() == ["7", None]


@pytest.mark.parametrize("word", ["nan", "NaN", "None", "null", "NA", "<NA>"])
def test_a_word_for_missing_is_no_item(write, word):
    found = problem(plain(write, "a", f"a {word}"))
    assert f"events.csv, line 3: item is {word!r}, which means a missing value" in found


def test_a_word_for_missing_is_no_title_and_no_user(write):
    folder = write(
        {"videos.csv": "item,title\na,nan\nb,Nan tells\n", "events.csv": f"item,time,user\na,{T},None\nb,{T},Nan\n"}
    )
    dataset = open_dataset(folder)
    assert dataset.videos["title"].to_list() == [None, "Nan tells"]
    assert dataset.events["user"].to_list() == [None, "Nan"]
    assert any("1 values of title such as 'nan' count as missing" in note.text for note in dataset.notes)


@pytest.mark.parametrize("spelling", ["\u200ba", "a\u00a0", "\ufeffa", "a\u200e", "\u00a0a\u2009"])
def test_invisible_characters_are_no_part_of_an_id(write, spelling):
    folder = write({"videos.csv": f"item,title\n{spelling},A\n", "events.csv": f"item,time\na,{T}\n"})
    assert open_dataset(folder).videos.rows()[0][:3] == ("a", None, "A")


@pytest.mark.parametrize("form", ["NFC", "NFD"])
def test_a_composed_and_a_decomposed_name_are_one_item(write, form):
    other = {"NFC": "NFD", "NFD": "NFC"}[form]
    listed, filed = (unicodedata.normalize(name, "café") for name in (form, other))
    folder = write(
        {
            "videos.csv": f"item,path\n{listed},\nb,clips/{listed}.mp4\n",
            "events.csv": f"item,time\n{filed},{T}\n",
            f"files/{filed}.mp4": b"",
            f"clips/{filed}.mp4": b"",
        }
    )
    videos = open_dataset(folder).videos
    assert videos["item"].to_list() == ["b", "café"]
    assert videos["path"].null_count() == 0


def test_two_files_whose_names_differ_in_form_only_are_two_files_of_one_item(write):
    names = {f"files/{unicodedata.normalize(form, 'é')}.mp4": b"" for form in ("NFC", "NFD")}
    assert "two files for item é" in problem(plain(write, "a", "a", **names))


def test_ids_that_match_no_list_are_a_warning_with_examples(write):
    notes = open_dataset(plain(write, "007 010", "7 10")).notes
    texts = [note.text for note in notes if note.severity == "warning"]
    assert any(
        text.startswith("2 of 2 events belong to 2 items that are in no list, such as '10', '7'") for text in texts
    )
    assert any("'7', '007'" in text for text in texts)


def test_one_id_in_another_spelling_is_a_warning_too(write):
    notes = open_dataset(plain(write, "a b c Dd", "a b c dd a b c", **{"files/a.mp4": b""})).notes
    assert [note.text for note in notes if note.severity == "warning" and "'Dd', 'dd'" in note.text]


def test_a_few_unlisted_items_are_no_warning(write):
    notes = open_dataset(plain(write, "a b c", "a b c x")).notes
    assert [note.severity for note in notes if "1 of 4 events belong to 1 items that are in no list" in note.text] == [
        "info"
    ]


def test_a_file_in_another_spelling_than_the_lists_item_is_a_warning(write):
    notes = open_dataset(plain(write, "1 2", "1 2", **{"files/001.mp4": b""})).notes
    assert [note.text for note in notes if note.severity == "warning" and "'1', '001'" in note.text]
