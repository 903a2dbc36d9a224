"""The stages that encoders fill: a bad video fails only its own row, and a lack of memory fails none."""

import shutil
import time

import dagster as dg
import numpy as np
import polars as pl
import pytest
import torch

from assets.encoding.encoder_choice import load, release
from assets.engine.store_access import open_store
from assets.sampling import audio, frames
from models import encoders
from models.encoders.pretrained.text import AnglEEncoder
from models.encoders.pretrained.visual import ImageEncoder
from storage.rows import Row
from tests.assets.conftest import BRIGHT, ITEMS, SILENT


def metadata(result: dg.ExecuteInProcessResult, name: str) -> dict:
    (done,) = result.asset_materializations_for_node(name)
    return done.metadata


def vectors(settings, name: str = "visual_embeddings") -> dict[str, np.ndarray]:
    table = open_store(settings).stages()[name].read(columns=["embedding"])
    return dict(zip(table["item"].to_pylist(), (np.asarray(row) for row in table["embedding"].to_pylist())))


MEDIA = ["visual_embeddings", "acoustic_embeddings", "visual_captions", "audio_captions"]


def test_no_encoder_is_loaded_when_nothing_is_to_compute(tiny, materialise, monkeypatch):
    settings = tiny()
    everything = [*MEDIA, "text_embeddings"]
    assert materialise(settings, ["videos", *everything]).success
    for role in ("visual", "acoustic", "captions", "sounds", "text"):
        release(role)
    monkeypatch.setattr("assets.encoding.encoder_choice._loaded", {})

    def refuse(*_, **__):
        raise AssertionError("an encoder was loaded")

    monkeypatch.setattr("models.encoders.load", refuse)
    again = materialise(settings, everything)
    assert again.success
    assert all(metadata(again, name)["plan"].data["unchanged"] >= 12 for name in everything)
    open_store(settings).stages()["visual_embeddings"].drop(["3"])
    assert not materialise(settings, ["visual_embeddings"]).success  # the planted refusal does what the test says


def test_rows_statistics_and_missing_sound(tiny, materialise):
    settings = tiny(run__shard_size="5")
    result = materialise(settings, MEDIA)
    assert result.success
    for name in MEDIA:
        found = metadata(result, name)
        shards = found["shards"].data
        assert [shard["items"] for shard in shards] == [5, 5, 2]
        assert [shard["failed"] for shard in shards] == [0, 0, 0]
        assert {"decode", "load", "encode"} <= set(shards[0]["seconds"])
        assert all({"compute", "write"} <= set(shard["seconds"]) for shard in shards)
        totals = found["seconds_by_step"].data
        assert totals["write"] == pytest.approx(sum(shard["seconds"]["write"] for shard in shards), abs=1e-6)
        assert totals["compute"] >= totals["decode"] > 0
    states = open_store(settings).stages()["acoustic_embeddings"].states()
    assert states.filter(pl.col("status") == "missing")["item"].to_list() == [SILENT]


def test_no_process_is_started_for_missing_inputs(tiny, materialise, monkeypatch, capfd):
    settings = tiny(encoders__loaders="1")
    stage = open_store(settings).stage(audio.NAME, audio.PAYLOAD)
    stage.commit([Row.missing(item, item, "no audio track") for item in ITEMS], fingerprint="audio")

    def refuse(*_, **__):
        raise AssertionError("something was started")

    for name in (
        "assets.encoding.encoder_stage.encode_blocks",
        "assets.encoding.encoder_stage.encode_on_devices",
        "assets.encoding.encoder_stage.EncoderStage._warn_of_slow_work",
    ):
        monkeypatch.setattr(name, refuse)
    result = materialise(settings, ["acoustic_embeddings", "audio_captions"])
    assert result.success
    for name in ("acoustic_embeddings", "audio_captions"):
        assert metadata(result, name)["rows_missing"].value == 12
        states = open_store(settings).stages()[name].states()
        assert set(states["status"]) == {"missing"} and states["item"].to_list() == ITEMS
    assert not materialise(settings, ["visual_embeddings"]).success  # the planted refusal does what the test says
    assert "something was started" in capfd.readouterr().err


def test_out_of_memory_halves_the_batch_and_loses_nothing(tiny, materialise, monkeypatch, caplog):
    settings = tiny()
    sizes, encode = [], ImageEncoder._encode

    def one_by_one(self, pixels):
        # Kernels round by the size of the batch, and a number that is rounded to float16 then may be a step off.
        return torch.cat([encode(self, picture) for picture in pixels.split(1)])

    def planted(self, pixels):
        sizes.append(len(pixels))
        if len(pixels) > 5:
            raise torch.OutOfMemoryError("planted")
        return one_by_one(self, pixels)

    monkeypatch.setattr(ImageEncoder, "_encode", one_by_one)
    assert materialise(settings, ["visual_embeddings"]).success
    expected = vectors(settings)
    monkeypatch.setattr(ImageEncoder, "_encode", planted)
    open_store(settings).stages()["visual_embeddings"].drop(ITEMS)
    result = materialise(settings, ["visual_embeddings"])
    assert result.success
    assert sizes[:4] == [36, 18, 9, 4] and max(sizes[3:]) == 4 and sum(sizes[3:]) == 36
    assert "out of memory with 36 inputs per batch; continuing with 18" in caplog.text
    assert metadata(result, "visual_embeddings")["rows_ok"].value == 12
    found = vectors(settings)
    assert list(found) == list(expected) == ITEMS
    for item, row in found.items():
        np.testing.assert_array_equal(row, expected[item])


def test_a_nan_is_a_failed_row_and_the_others_are_kept(tiny, materialise, monkeypatch):
    settings = tiny(run__failure_limit="0.5")
    encode = ImageEncoder._encode

    def planted(self, pixels):
        white = (pixels == 255).flatten(1).all(1)
        made = encode(self, pixels).clone()
        made[white] = float("nan")
        return made

    monkeypatch.setattr(ImageEncoder, "_encode", planted)
    result = materialise(settings, ["visual_embeddings"])
    assert result.success
    failed = open_store(settings).stages()["visual_embeddings"].states().filter(pl.col("status") == "failed")
    assert failed["item"].to_list() == [BRIGHT]
    assert failed["error_type"].to_list() == ["EncoderError"]
    assert "3 of 3 outputs are NaN or infinite" in failed["error_message"][0]
    stored = vectors(settings)
    assert set(stored) == set(ITEMS) - {BRIGHT}
    assert all(np.isfinite(row.astype(float)).all() for row in stored.values())
    assert sum(shard["failed"] for shard in metadata(result, "visual_embeddings")["shards"].data) == 1


@pytest.mark.parametrize("name", ["visual_embeddings", "text_embeddings"])
def test_a_number_too_large_to_be_stored_is_a_failed_row(tiny, materialise, monkeypatch, name):
    settings = tiny(run__failure_limit="0.5")
    assert materialise(settings, ["videos"]).success
    encode, words = ImageEncoder._encode, AnglEEncoder._words

    def large(self, pixels):
        made = encode(self, pixels).clone()
        made[(pixels == 255).flatten(1).all(1), 0] = 1e5
        return made

    def large_words(self, texts):
        return [
            rows * (1e6 if text.endswith(" 5") else 1) for text, rows in zip(texts, words(self, texts), strict=True)
        ]

    monkeypatch.setattr(ImageEncoder, "_encode", large)
    monkeypatch.setattr(AnglEEncoder, "_words", large_words)
    monkeypatch.setattr("assets.encoding.encoder_choice._loaded", {})
    assert materialise(settings, [name]).success
    stage = open_store(settings).stages()[name]
    failed = stage.states().filter(pl.col("status") == "failed")
    assert failed["item"].to_list() == [BRIGHT] and "float16 can store at most 65504" in failed["error_message"][0]
    stored = [np.asarray(row, dtype=float) for row in stage.read(columns=["embedding"])["embedding"].to_pylist()]
    assert len(stored) >= 11 and all(np.isfinite(rows).all() for rows in stored)


def test_a_stage_asks_once_which_text_encoder_it_has(tiny, materialise, monkeypatch):
    asked = []
    monkeypatch.setattr("assets.encoding.encoder_stage.TEXTS", 7)
    monkeypatch.setattr(
        "assets.encoding.encoder_stage.load",
        lambda encoder, device: asked.append(encoder.role) or load(encoder, device),
    )
    assert materialise(tiny(), ["videos", "text_embeddings"]).success  # with allow_download the hub is asked each time
    assert asked == ["text"]


def test_texts_are_spread_over_devices_as_frames_are(tiny, materialise, monkeypatch):
    settings = tiny(encoders__profile="handcrafted")
    assert materialise(settings, ["videos", "text_embeddings"]).success
    expected = vectors(settings, "text_embeddings")
    monkeypatch.setattr("assets.encoding.encoder_stage.TEXTS", 20)
    monkeypatch.setattr("assets.encoding.encoder_stage.devices_of", lambda *_: ["cpu", "cpu"])
    open_store(settings).stages()["text_embeddings"].drop(expected)
    assert materialise(settings, ["text_embeddings"]).success
    found = vectors(settings, "text_embeddings")
    assert list(found) == list(expected) and len(found) == 60
    assert all(np.array_equal(found[item], row) for item, row in expected.items())


def test_a_checkpoint_that_changed_under_its_name_is_loaded_anew_and_only_its_stages_are_stale(
    tiny, materialise, tiny_cache, tmp_path, monkeypatch
):
    from safetensors.torch import load_file, save_file

    from models.encoders.tiny import checkpoint

    monkeypatch.setattr("assets.encoding.encoder_choice._loaded", {})
    named = {}
    for role in ("visual", "acoustic", "text", "captions", "sounds"):
        named[role] = tmp_path / role
        shutil.copytree(checkpoint(role, cache=tiny_cache / "reelcast" / "tiny"), named[role])
    settings = tiny(encoders__profile="paper", **{f"encoders__{role}": str(path) for role, path in named.items()})
    stages = ["visual_embeddings", "text_embeddings"]
    assert materialise(settings, ["videos", *stages]).success
    before = vectors(settings, "text_embeddings")
    weights = named["text"] / "model.safetensors"
    save_file({name: 1.5 * value for name, value in load_file(weights).items()}, weights, metadata={"format": "pt"})
    result = materialise(settings, stages)
    assert result.success
    assert metadata(result, "visual_embeddings")["plan"].data["unchanged"] == 12
    assert metadata(result, "text_embeddings")["plan"].data["stale"] == len(before)
    after = vectors(settings, "text_embeddings")
    whole = encoders.load("text", "paper", checkpoint=str(named["text"])).encode_words(["big dance 1"])[0]
    np.testing.assert_allclose(after["1"], whole, atol=2e-2)
    assert not np.allclose(after["1"], before["1"], atol=0.1)


def test_a_stopped_run_goes_on_at_its_shard(tiny, materialise, monkeypatch):
    settings = tiny(run__shard_size="4")
    monkeypatch.setattr("assets.encoding.encoder_stage.BLOCK", 4)
    seen, whole = [], ImageEncoder.from_prepared

    def stopped(self, videos):
        seen.append(len(videos))
        if len(seen) == 3:
            raise RuntimeError("the machine went away")
        return whole(self, videos)

    monkeypatch.setattr(ImageEncoder, "from_prepared", stopped)
    assert not materialise(settings, ["visual_embeddings"]).success
    assert len(vectors(settings)) == 8
    result = materialise(settings, ["visual_embeddings"])
    assert result.success
    assert seen == [4, 4, 4, 4]
    plan = metadata(result, "visual_embeddings")["plan"].data
    assert (plan["new"], plan["unchanged"]) == (4, 8)


def test_near_identical_frames_share_a_caption_where_asked(tiny, materialise):
    every, shared = tiny(), tiny(encoders__repeated_frame_bits="1")
    assert materialise(every, ["visual_captions"]).success
    stage = open_store(every).stages()["visual_captions"]
    before = stage.read().to_pylist()
    assert materialise(shared, ["visual_captions"]).success
    after = stage.read().to_pylist()
    for old, new in zip(before, after, strict=True):  # hashes 1, 3 and 2 ** 40: the second is like the first
        assert new["captions"] == [old["captions"][0], old["captions"][0], old["captions"][2]]
    assert any(old["captions"][1] != old["captions"][0] for old in before)


def test_a_kept_frame_that_cannot_be_read_costs_its_own_row(tiny, materialise):
    settings = tiny()
    stage = open_store(settings).stage(frames.NAME, frames.PAYLOAD)
    (row,) = stage.read(items=["4"]).to_pylist()
    spoilt = {**{name: row[name] for name in frames.PAYLOAD.names}, "frames": [b"not a picture", *row["frames"][1:]]}
    stage.commit([Row.ok("4", "4", spoilt)], fingerprint="frames")
    assert materialise(settings, ["visual_embeddings", "visual_captions"]).success
    for name in ("visual_embeddings", "visual_captions"):
        failed = open_store(settings).stages()[name].states().filter(pl.col("status") == "failed")
        assert failed["item"].to_list() == ["4"]
        assert "can't be read as JPEG" in failed["error_message"].item()


def hanging_frames(path, *chosen):
    from assets.engine.media_tasks import take_frames

    if path.endswith("/2.mp4"):
        time.sleep(60)
    return take_frames(path, *chosen)


@pytest.mark.slow
def test_a_decoder_that_hangs_costs_its_own_row(settings_of, materialise, monkeypatch, tmp_path):
    from pipeline.demonstration import make

    folder = make(tmp_path / "set", videos=10, uploads=1, workers=1)
    settings = settings_of(data__folder=str(folder), sampling__timeout_seconds="5", sampling__frames="2")
    monkeypatch.setattr("assets.sampling.frames.take_frames", hanging_frames)
    assert materialise(settings, ["videos", "frames", "visual_embeddings"]).success
    stages = open_store(settings).stages()
    failed = stages["frames"].states().filter(pl.col("status") == "failed")
    assert failed["item"].to_list() == ["2"] and failed["error_type"].to_list() == ["WorkerTimeout"]
    embedded = stages["visual_embeddings"].states()
    sampled = stages["frames"].states().filter(pl.col("status") == "ok")["item"].to_list()
    assert embedded.filter(pl.col("status") == "ok")["item"].to_list() == sampled and len(sampled) >= 7
    assert "2" not in embedded["item"].to_list()


def test_a_custom_vocabulary(tiny, materialise, tmp_path):
    words = tmp_path / "words.txt"
    words.write_text("a dog\nrain\n")
    settings = tiny(encoders__vocabulary=str(words))
    assert materialise(settings, ["audio_captions"]).success
    stage = open_store(settings).stages()["audio_captions"]
    rows = stage.read().to_pylist()
    assert len(rows) == 11 and all(set(row["descriptions"]) == {"a dog", "rain"} for row in rows)
    words.write_text("a dog\nsnow\n")
    again = metadata(materialise(settings, ["audio_captions"]), "audio_captions")["plan"].data
    assert again["stale"] == 12 and "snow" in str(stage.read().to_pylist())
