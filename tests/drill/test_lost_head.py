"""A cluster whose head is lost and started again while tasks run, with real processes."""

import importlib.util
import threading
import time

import pytest

from assets.engine import ray_shards
from assets.engine.ray_shards import ClusterError, map_on_ray
from assets.settings import Settings
from deploy.local_cluster import LocalCluster
from pipeline.settings import changed


@pytest.mark.slow
@pytest.mark.skipif(importlib.util.find_spec("ray") is None, reason="Ray is not installed: pip install 'reelcast[ray]'")
def test_a_run_ends_after_the_head_was_started_again(monkeypatch):
    monkeypatch.setattr(ray_shards, "LOOK_SECONDS", 3.0)
    with LocalCluster(postgres=False, s3=False) as cluster:
        address = cluster.variables["REELCAST_RAY__ADDRESS"]
        settings = changed(Settings(), {"run": {"executor": "ray"}, "ray": {"address": address}})
        restart = threading.Timer(10, cluster.restart, ["head"])
        restart.start()
        with pytest.raises(ClusterError, match="started anew during the run"):
            map_on_ray(settings)(lambda seconds: time.sleep(seconds), [600, 600])
        restart.join()
