"""Media files that no forecast can be made of: one line each, and the other videos are forecast."""

from types import SimpleNamespace

import av
import numpy as np
import pytest
from PIL import Image

from pipeline.predicting import forecaster as module
from pipeline.predicting.forecaster import Forecaster
from pipeline.predicting.request import Request, WrongVideo
from pipeline.settings import load
from storage.durable import StoreError
from storage.store import Store


def write_clip(path, frames=20):
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=10)
        stream.width = stream.height = 64
        stream.pix_fmt = "yuv420p"
        for number in range(frames):
            picture = av.VideoFrame.from_ndarray(np.full((64, 64, 3), number * 10, np.uint8), format="rgb24")
            container.mux(list(stream.encode(picture)))
        container.mux(list(stream.encode()))


@pytest.fixture
def settings(tmp_path):
    return load(environment={"REELCAST_STORE__PATH": str(tmp_path / "store")})


def test_without_a_store_the_run_that_makes_one_is_named(settings):
    with pytest.raises(StoreError, match="run the graph first"):
        Forecaster(settings)


def test_without_a_finished_run_too(settings):
    Store(settings.store_folder())
    with Forecaster(settings) as forecaster, pytest.raises(StoreError, match="no model can forecast a new video yet"):
        forecaster.predict(title="a")


@pytest.mark.parametrize("workers", [0, 1])
def test_each_bad_file_has_one_line_and_the_good_one_its_rows(settings, tmp_path, monkeypatch, workers):
    Store(settings.store_folder())
    (tmp_path / "empty.mp4").touch()
    (tmp_path / "words.mp4").write_text("no video")
    Image.new("RGB", (64, 64), (200, 3, 3)).save(tmp_path / "picture.png")
    write_clip(tmp_path / "clip.mp4")
    facts = SimpleNamespace(files=SimpleNamespace(facts={"types": [], "metrics": []}))
    monkeypatch.setattr(module.Forecaster, "_service", facts)
    monkeypatch.setattr(module.Forecaster, "_forecast", lambda self, request, pending: self._known(request, pending))
    names = ("empty.mp4", "words.mp4", "picture.png", "clip.mp4")
    with Forecaster(settings, workers=workers) as forecaster:
        results = [result for _, result in forecaster.predict_all(Request(tmp_path / name) for name in names)]
    *bad, (video, notes) = results
    assert all(isinstance(result, WrongVideo) and "\n" not in str(result) for result in bad)
    for result, told in zip(bad, ("no bytes", "not_media", "one picture"), strict=True):
        assert told in str(result)
    assert video.item == "clip" and len(video.decoded.frames["frames"]) == 10 and video.decoded.audio is None
    assert notes == []
