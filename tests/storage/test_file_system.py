import subprocess
from pathlib import Path

import pytest

from storage import file_system
from storage.durable import StoreError
from storage.file_system import check_file_system, mount_of
from storage.store import Store


@pytest.fixture
def mounted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Return a function that makes the test's folder look like a mount of another type."""

    def mount(kind: str, options: str = "rw") -> Path:
        mounts = tmp_path / "mounts"
        share = tmp_path / "my share"
        share.mkdir(exist_ok=True)
        place = str(share).replace(" ", "\\040")
        mounts.write_text(f"/dev/sda1 / ext4 rw 0 0\nserver:/export {place} {kind} {options} 0 0\n")
        monkeypatch.setattr(file_system, "MOUNTS", mounts)
        file_system._problem.cache_clear()
        return share

    yield mount
    file_system._problem.cache_clear()


def test_the_innermost_mount_counts(mounted, tmp_path):
    share = mounted("nfs4")
    assert mount_of(share)[:3] == ("server:/export", share, "nfs4")
    assert mount_of(tmp_path).kind == "ext4"


def test_a_network_file_system_that_has_everything_is_used(mounted):
    share = mounted("nfs4", "rw,hard")
    Store(share / "store")
    assert [path.name for path in (share / "store").iterdir()] == ["store.json"]


@pytest.mark.parametrize(
    ("kind", "options", "problem"),
    [
        ("nfs", "rw,nolock", "option nolock"),
        ("nfs4", "local_lock=all", "local_lock=all"),
        ("fuse.s3fs", "rw", "rename"),
    ],
)
def test_a_file_system_without_shared_locks_or_renames_is_refused_by_name(mounted, kind, options, problem):
    share = mounted(kind, options)
    with pytest.raises(StoreError, match=rf"type {kind} \(server:/export at .*my share\).*{problem}.*store\.path"):
        Store(share / "store")
    assert not (share / "store" / "store.json").exists()


def test_a_file_system_whose_locks_other_processes_do_not_see_is_refused(mounted, monkeypatch):
    share = mounted("fuse.sshfs")
    monkeypatch.setattr(file_system, "TRY_LOCK", "pass")  # a second process that gets the lock too
    with pytest.raises(StoreError, match=r"type fuse\.sshfs .*two processes can hold the same lock"):
        check_file_system(share)


def test_a_lock_server_that_does_not_answer_is_named(mounted, monkeypatch):
    def hang(*args, **kwargs):
        raise subprocess.TimeoutExpired("lock", kwargs["timeout"])

    share = mounted("nfs")
    monkeypatch.setattr(file_system.subprocess, "run", hang)
    with pytest.raises(StoreError, match="lock server does not answer"):
        check_file_system(share)


@pytest.mark.parametrize(("function", "problem"), [("link", "no hard links"), ("rename", "does not replace")])
def test_a_file_system_without_links_or_renames_is_refused(mounted, monkeypatch, function, problem):
    def refuse(*args, **kwargs):
        raise PermissionError(1, "Operation not permitted")

    share = mounted("fuse.exfat")
    if function == "link":
        monkeypatch.setattr(file_system.os, "link", refuse)
    else:
        monkeypatch.setattr(Path, "replace", refuse)
    with pytest.raises(StoreError, match=problem):
        check_file_system(share)
    assert list(share.iterdir()) == []


def test_a_local_disk_is_not_tried(mounted, monkeypatch):
    share = mounted("ext4")
    monkeypatch.setattr(file_system, "_lock", lambda *paths: "tried")
    check_file_system(share)
