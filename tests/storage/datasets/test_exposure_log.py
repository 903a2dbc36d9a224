"""Logs of exposures: their forms, and what is refused."""

import numpy as np
import pytest

from storage.datasets import DatasetError
from storage.datasets.exposure_log import open_exposure_log

KUAISHOU = (
    "user_id,video_id,time_ms,duration_ms,playing_time,label_1D\n"
    "1,316602,205739830,32366,1623,[0 -1]\n1,9,205739831,100,50,[1]\n"
)
CLICKS = ",userId,itemId,showTime,network,click\n0,77,463510256,1624843756147,5,0\n1,77,463852707,1624843756147,5,1\n"


def write(path, text):
    path.write_text(text)
    return path


@pytest.mark.parametrize(
    ("text", "measure", "values", "least"),
    [
        (KUAISHOU, "share watched", [1623 / 32366, 0.5], 0.5),
        (CLICKS, "click", [0.0, 1.0], 1.0),
        ("user,item,time,clicked\na,x,1,true\nb,x,2,False\n", "click", [1.0, 0.0], 1.0),
        ("user,item,time,rating\na,x,1,3\nb,x,2,4.5\n", "rating", [3.0, 4.5], 4.0),
    ],
)
def test_usual_columns_say_what_was_clicked(tmp_path, text, measure, values, least):
    log = open_exposure_log(write(tmp_path / "log.csv", text))
    assert (log.layout, log.measure, log.click_from) == ("table", measure, least)
    assert log.frame["value"].to_list() == pytest.approx(values)
    assert log.frame.columns == ["user", "item", "time", "value"]
    assert open_exposure_log(tmp_path).frame.equals(log.frame)  # the only table of a folder


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("user,item,time,clicked\na,x,1,1\nb,x,2,3\n", r"log.csv, line 3: clicked is 3, must be 0 or 1"),
        ("user,item,time,clicked\na,x,soon,1\n", r"log.csv, line 2: time is 'soon', must be a number"),
        ("user,item,time,rating\na,x,1,\n", r"log.csv, line 2: rating is empty, must be a number"),
        ("user,item,time,clicked\n,x,1,1\n", r"log.csv, line 2: user is empty"),
        ("user,item,time,duration,watched\na,x,1,0,5\n", r"log.csv, line 2: duration is 0, must be above 0"),
        ("user,item,time,colour\na,x,1,red\n", r"a column clicked \(0 or 1\), a column rating, or the columns watched"),
    ],
)
def test_a_wrong_value_is_told_with_its_line(tmp_path, text, told):
    with pytest.raises(DatasetError, match=told):
        open_exposure_log(write(tmp_path / "log.csv", text))


def microvideo(folder):
    write(
        folder / "train_data.csv",
        "user_id,item_id,cate_id,is_click,w,timestamp\n5,0,7,1,0,30\n5,2,9,0,0,10\n6,0,7,1,0,20\n",
    )
    write(folder / "test_data.csv", "user_id,item_id,cate_id,is_click,w,timestamp\n5,0,7,0,0,40\n")
    np.save(folder / "train_cover_image_feature.npy", np.arange(12, dtype=np.float32).reshape(3, 4))
    np.save(folder / "test_cover_image_feature.npy", np.full((1, 4), 9, np.float32))
    return folder


def test_the_microvideo_set_has_parts_categories_and_vectors(tmp_path):
    log = open_exposure_log(microvideo(tmp_path))
    assert log.frame.rows() == [
        ("5", "train_0", 30, 1.0),
        ("5", "train_2", 10, 0.0),
        ("6", "train_0", 20, 1.0),
        ("5", "test_0", 40, 0.0),
    ]
    assert log.part.tolist() == [0, 0, 0, 1]
    assert sorted(log.categories.rows()) == [("test_0", 7), ("train_0", 7), ("train_2", 9)]
    items, vectors = log.features["train"]
    assert items == ["train_0", "train_1", "train_2"] and vectors[2].tolist() == [8, 9, 10, 11]


@pytest.mark.parametrize(
    ("name", "text", "told"),
    [
        ("test_data.csv", "u,i,c,k,t\n5,0,7,2,40\n", r"test_data.csv, line 2: clicked is 2, must be 0 or 1"),
        (
            "test_data.csv",
            "u,i,c,k,t\n5,-1,7,1,40\n",
            r"test_data.csv, line 2: item is -1, must be an integer of at least 0",
        ),
        ("test_data.csv", "u,i,c,k,t\n5,x,7,1,40\n", r"test_data.csv: a table of integers with a header is allowed"),
        ("test_data.csv", "u,i,c\n5,0,7\n", r"test_data.csv: 3 columns; user, item, category, click"),
        (
            "train_data.csv",
            "u,i,c,k,t\n5,3,7,1,40\n",
            r"float32 \(3, 4\); floating-point vectors \(items, width\) of at least 4",
        ),
    ],
)
def test_a_wrong_file_of_the_microvideo_set_is_refused(tmp_path, name, text, told):
    write(microvideo(tmp_path) / name, text)
    with pytest.raises(DatasetError, match=told):
        open_exposure_log(tmp_path)


def test_a_missing_or_ambiguous_path_is_refused(tmp_path):
    with pytest.raises(DatasetError, match="no such file or folder"):
        open_exposure_log(tmp_path / "absent")
    for name in ("a.csv", "b.csv"):
        write(tmp_path / name, CLICKS)
    with pytest.raises(DatasetError, match=r"it has a.csv, b.csv. Name the file itself"):
        open_exposure_log(tmp_path)
