"""The graph on real files: a small demonstration set, with the handcrafted encoders and with the pretrained code path."""

import polars as pl
import pytest

from assets.predictions import read_predictions
from assets.stages import failures, open_store
from pipeline.demonstration import make


@pytest.fixture(scope="module")
def small_set(tmp_path_factory):
    return make(tmp_path_factory.mktemp("demonstration") / "set", videos=24, uploads=4, workers=2)


def test_handcrafted_from_files_to_predictions(small_set, settings_of, materialise):
    settings = settings_of(data__folder=str(small_set), sampling__frames="4", model__seeds="[0]")
    (small_set / "demo_videos" / "5.mp4").write_bytes(b"no video at all")
    assert materialise(settings).success
    store = open_store(settings)
    failed = failures(store)
    assert "5" in failed["item"].to_list()
    assert all(failed["error_message"].str.len_chars() > 10)
    states = {name: stage.states() for name, stage in store.stages().items()}
    ok = {name: set(frame.filter(pl.col("status") == "ok")["item"]) for name, frame in states.items()}
    assert len(ok["frames"]) >= 20
    assert ok["visual_captions"] == ok["visual_embeddings"] == ok["frames"]
    assert ok["acoustic_embeddings"] == ok["audio"] <= ok["frames"]
    prompts = store.stages()["retrieval_vectors"].read(columns=["prompt"])["prompt"].to_pylist()
    assert len(set(prompts)) > 15
    predicted = read_predictions(store)
    assert set(predicted["item"]) == {"25", "26", "27", "28"}
    assert predicted["predicted_count"].min() >= 0
    best = predicted.filter(pl.col("neighbours").list.len() > 0)["neighbours"][0]
    assert {"item", "score", "ss_modal", "ss_temp", "label"} <= set(best[0])


def test_the_pretrained_code_path(small_set, settings_of, materialise):
    settings = settings_of(
        data__folder=str(small_set),
        sampling__frames="2",
        model__seeds="[0]",
        encoders__profile="tiny",
        encoders__device="cpu",
    )
    assert materialise(settings).success
    assert failures(open_store(settings))["stage"].unique().to_list() in ([], ["videos"])
