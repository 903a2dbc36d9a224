"""A Ray cluster whose head was started anew: a run must end, because its tasks never do."""

from contextlib import nullcontext
from types import SimpleNamespace

import pytest

from assets.engine import ray_shards
from assets.engine.ray_shards import ClusterError, map_on_ray
from assets.settings import Settings


class Cluster:
    """What a run uses of Ray; its tasks end after some looks."""

    def __init__(self, looks: int) -> None:
        self.looks = looks

    def remote(self, function):
        return SimpleNamespace(options=lambda **options: SimpleNamespace(remote=function))

    def wait(self, waiting, timeout):
        assert timeout > 0, "without a limit, a lost cluster is waited for forever"
        self.looks -= 1
        return (waiting[:1], waiting[1:]) if self.looks < 0 else ([], waiting)

    def get(self, results):
        return results


def mapped(monkeypatch, cluster: Cluster, known: list[bool]) -> list[int]:
    monkeypatch.setattr(ray_shards, "connected", lambda settings: cluster)
    monkeypatch.setattr(ray_shards, "_knows_this_node", lambda ray: known.pop(0))
    monkeypatch.setattr(ray_shards, "_told", lambda *texts: nullcontext())
    return map_on_ray(Settings())(lambda number: number + 1, [1, 2])


def test_a_run_ends_when_its_cluster_was_started_anew(monkeypatch):
    with pytest.raises(ClusterError, match=r"started anew during the run, so its tasks are lost; run again$"):
        mapped(monkeypatch, Cluster(looks=9), [True, False, True, False, False])


def test_a_cluster_that_is_slow_is_waited_for(monkeypatch):
    assert mapped(monkeypatch, Cluster(looks=3), [True, False, True]) == [2, 3]
