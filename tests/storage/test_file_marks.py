import os
import tracemalloc

from storage.file_marks import contents_mark, files_mark, tree_mark


def test_a_mark_changes_with_a_files_size_time_name_and_absence(tmp_path):
    file = tmp_path / "a"
    marks = [files_mark([file])]
    file.write_text("1")
    marks.append(files_mark([file]))
    file.write_text("22")
    marks.append(files_mark([file]))
    os.utime(file, ns=(1, 1))
    marks.append(files_mark([file]))
    file.rename(tmp_path / "b")
    marks.append(files_mark([tmp_path / "b"]))
    assert len(set(marks)) == len(marks)
    assert files_mark([tmp_path / "b"]) == marks[-1]


def test_a_file_that_is_written_again_with_its_old_content_size_and_time_has_another_mark(tmp_path):
    (tmp_path / "a").write_text("1")
    stat, before = (tmp_path / "a").stat(), files_mark([tmp_path / "a"])
    (tmp_path / "new").write_text("2")
    os.utime(tmp_path / "new", ns=(stat.st_atime_ns, stat.st_mtime_ns))
    (tmp_path / "new").replace(tmp_path / "a")
    assert files_mark([tmp_path / "a"]) != before


def test_the_mark_of_contents_changes_with_them_alone(tmp_path):
    file = tmp_path / "a"
    absent = contents_mark([file])
    file.write_text("1")
    before = contents_mark([file])
    file.unlink()
    file.write_text("1")
    os.utime(file, ns=(1, 1))
    assert contents_mark([file]) == before != absent
    file.write_text("2")
    os.utime(file, ns=(2, 2))
    assert contents_mark([file]) != before


def test_a_large_file_goes_by_its_size_and_time(tmp_path, monkeypatch):
    monkeypatch.setattr("storage.file_marks.LARGE", 3)
    (tmp_path / "a").write_text("1234")
    before = contents_mark([tmp_path / "a"])
    assert contents_mark([tmp_path / "a"]) == before
    os.utime(tmp_path / "a", ns=(1, 1))
    assert contents_mark([tmp_path / "a"]) != before


def test_marks_of_trees_pass_over_hidden_files_and_locks(tmp_path):
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "a").write_text("1")
    before = tree_mark(tmp_path)
    (tmp_path / ".writing-1").write_text("1")
    (tmp_path / "sub" / "listing.lock").write_text("1")
    assert tree_mark(tmp_path) == before
    (tmp_path / "sub" / "a").write_text("22")
    assert tree_mark(tmp_path) != before


def test_memory_does_not_grow_with_the_number_of_files(tmp_path):
    names = (f"{tmp_path}/{number}" for number in range(20_000))
    tracemalloc.start()
    files_mark(names)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 200_000
