"""The stages that encoders fill: what is wrong with one video, with memory or with a process is contained."""

import multiprocessing
import os
import re
import shutil
import time

import dagster as dg
import numpy as np
import polars as pl
import pytest
import torch

from assets import audio, encoding, frames
from assets.device_workers import DeviceWorkerDied, encoded_on
from assets.encoded import blocks_of, encoded_blocks
from assets.encoding import check_encoders, options, release
from assets.encoding_tasks import prepare_frames
from assets.media_tasks import _jpeg
from assets.prepared import Work, prepared_blocks
from assets.stages import open_store
from models import encoders
from models.encoders import EncoderError
from models.encoders.pretrained.text import AnglEEncoder
from models.encoders.pretrained.visual import ViTEncoder
from storage.rows import Row

ITEMS = [str(number) for number in range(1, 13)]
BRIGHT = "5"  # the one video whose frames are all white
SILENT = "7"


@pytest.fixture(scope="session")
def tiny_cache(tmp_path_factory):
    os.environ["HF_HUB_OFFLINE"] = "1"
    return tmp_path_factory.mktemp("cache")


@pytest.fixture
def tiny(settings_of, tiny_cache, monkeypatch):
    """Settings with tiny models over a store that holds the frames and the sound of twelve videos."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tiny_cache))
    rng = np.random.default_rng(0)

    def make(**environment):
        given = {"encoders__profile": "tiny", "encoders__device": "cpu", "sampling__frames": "3"}
        settings = settings_of(**(given | environment))
        store = open_store(settings)
        pictures = {item: rng.integers(0, 200, (3, 24, 32, 3), dtype=np.uint8) for item in ITEMS}
        pictures[BRIGHT][:] = 255
        rows = [
            Row.ok(
                item,
                item,
                {
                    "frames": [_jpeg(picture, 92) for picture in pictures[item]],
                    "timestamps": [0.0, 1.0, 2.0],
                    "indices": [0, 1, 2],
                    "hashes": [1, 3, 2**40],
                    "damage": None,
                },
            )
            for item in ITEMS
        ]
        store.stage(frames.NAME, frames.PAYLOAD).commit(rows, fingerprint="frames")
        sound = [(rng.standard_normal(16000) * 3000).astype("<i2").tobytes() for _ in range(3)]
        heard = [
            Row.missing(item, item, "no audio track")
            if item == SILENT
            else Row.ok(item, item, {"segments": sound, "rate": 16000})
            for item in ITEMS
        ]
        store.stage(audio.NAME, audio.PAYLOAD).commit(heard, fingerprint="audio")
        return settings

    yield make
    for role in ("visual", "acoustic", "captions", "sounds"):
        release(role)


def metadata(result: dg.ExecuteInProcessResult, name: str) -> dict:
    (done,) = result.asset_materializations_for_node(name)
    return done.metadata


def vectors(settings, name: str = "visual_embeddings") -> dict[str, np.ndarray]:
    table = open_store(settings).stages()[name].read(columns=["embedding"])
    return dict(zip(table["item"].to_pylist(), (np.asarray(row) for row in table["embedding"].to_pylist())))


MEDIA = ["visual_embeddings", "acoustic_embeddings", "visual_captions", "audio_captions"]


def test_nothing_is_loaded_where_nothing_is_to_compute(tiny, materialise, monkeypatch):
    settings = tiny()
    everything = [*MEDIA, "text_embeddings"]
    assert materialise(settings, ["videos", *everything]).success
    for role in ("visual", "acoustic", "captions", "sounds", "text"):
        release(role)
    monkeypatch.setattr("assets.encoding._loaded", {})

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


def test_nothing_is_started_for_what_is_missing(tiny, materialise, monkeypatch, capfd):
    settings = tiny(encoders__loaders="1")
    stage = open_store(settings).stage(audio.NAME, audio.PAYLOAD)
    stage.commit([Row.missing(item, item, "no audio track") for item in ITEMS], fingerprint="audio")

    def refuse(*_, **__):
        raise AssertionError("something was started")

    for name in ("assets.encoding.encoded_blocks", "assets.encoding.encoded_on", "assets.encoding.warn_of_slow_work"):
        monkeypatch.setattr(name, refuse)
    result = materialise(settings, ["acoustic_embeddings", "audio_captions"])
    assert result.success
    for name in ("acoustic_embeddings", "audio_captions"):
        assert metadata(result, name)["rows_missing"].value == 12
        states = open_store(settings).stages()[name].states()
        assert set(states["status"]) == {"missing"} and states["item"].to_list() == ITEMS
    assert not materialise(settings, ["visual_embeddings"]).success  # the planted refusal does what the test says
    assert "something was started" in capfd.readouterr().err


@pytest.mark.parametrize(("blocks", "workers"), [(1, 1), (3, 3), (9, 4)])
def test_no_more_processes_than_blocks(tiny, monkeypatch, blocks, workers):
    told = {}
    monkeypatch.setattr("assets.prepared.DataLoader", lambda *_, **options: told.update(options) or [])
    assert not list(prepared_blocks(work_of(tiny()), blocks_of(ITEMS * 9, 12)[:blocks], workers=4))
    assert told["num_workers"] == workers


def test_out_of_memory_halves_the_batch_and_loses_nothing(tiny, materialise, monkeypatch, caplog):
    settings = tiny()
    sizes, encode = [], ViTEncoder._encode

    def one_by_one(self, pixels):
        # Kernels round by the size of the batch, and a number that is rounded to float16 then may be a step off.
        return torch.cat([encode(self, picture) for picture in pixels.split(1)])

    def planted(self, pixels):
        sizes.append(len(pixels))
        if len(pixels) > 5:
            raise torch.OutOfMemoryError("planted")
        return one_by_one(self, pixels)

    monkeypatch.setattr(ViTEncoder, "_encode", one_by_one)
    assert materialise(settings, ["visual_embeddings"]).success
    expected = vectors(settings)
    monkeypatch.setattr(ViTEncoder, "_encode", planted)
    open_store(settings).stages()["visual_embeddings"].drop(ITEMS)
    result = materialise(settings, ["visual_embeddings"])
    assert result.success
    assert sizes[:4] == [36, 18, 9, 4] and max(sizes[3:]) == 4 and sum(sizes[3:]) == 36
    assert "out of memory with 36 inputs a batch; going on with 18" in caplog.text
    assert metadata(result, "visual_embeddings")["rows_ok"].value == 12
    found = vectors(settings)
    assert list(found) == list(expected) == ITEMS
    for item, row in found.items():
        np.testing.assert_array_equal(row, expected[item])


def test_a_nan_is_a_failed_row_and_the_others_are_kept(tiny, materialise, monkeypatch):
    settings = tiny(run__failure_limit="0.5")
    encode = ViTEncoder._encode

    def planted(self, pixels):
        white = (pixels == 255).flatten(1).all(1)
        made = encode(self, pixels).clone()
        made[white] = float("nan")
        return made

    monkeypatch.setattr(ViTEncoder, "_encode", planted)
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
    encode, words = ViTEncoder._encode, AnglEEncoder._words

    def large(self, pixels):
        made = encode(self, pixels).clone()
        made[(pixels == 255).flatten(1).all(1), 0] = 1e5
        return made

    def large_words(self, texts):
        return [
            rows * (1e6 if text.endswith(" 5") else 1) for text, rows in zip(texts, words(self, texts), strict=True)
        ]

    monkeypatch.setattr(ViTEncoder, "_encode", large)
    monkeypatch.setattr(AnglEEncoder, "_words", large_words)
    monkeypatch.setattr("assets.encoding._loaded", {})
    assert materialise(settings, [name]).success
    stage = open_store(settings).stages()[name]
    failed = stage.states().filter(pl.col("status") == "failed")
    assert failed["item"].to_list() == [BRIGHT] and "more than float16 can store" in failed["error_message"][0]
    stored = [np.asarray(row, dtype=float) for row in stage.read(columns=["embedding"])["embedding"].to_pylist()]
    assert len(stored) >= 11 and all(np.isfinite(rows).all() for rows in stored)


def test_a_stage_asks_once_which_text_encoder_it_has(tiny, materialise, monkeypatch):
    asked, load = [], encoding.load
    monkeypatch.setattr("assets.encoded_texts.BLOCK", 7)
    monkeypatch.setattr("assets.encoded_texts.load", lambda *told: asked.append(told[1]) or load(*told))
    assert materialise(tiny(), ["videos", "text_embeddings"]).success  # with allow_download the hub is asked each time
    assert asked == ["text"]


def test_a_checkpoint_that_changed_under_its_name_is_loaded_anew_and_only_its_stages_are_stale(
    tiny, materialise, tiny_cache, tmp_path, monkeypatch
):
    from safetensors.torch import load_file, save_file

    from models.encoders.tiny import checkpoint

    monkeypatch.setattr("assets.encoding._loaded", {})
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
    monkeypatch.setattr("assets.encoded.BLOCK", 4)
    monkeypatch.setattr(blocks_of, "__defaults__", (4,))
    seen, whole = [], ViTEncoder.from_prepared

    def stopped(self, videos):
        seen.append(len(videos))
        if len(seen) == 3:
            raise RuntimeError("the machine went away")
        return whole(self, videos)

    monkeypatch.setattr(ViTEncoder, "from_prepared", stopped)
    assert not materialise(settings, ["visual_embeddings"]).success
    assert len(vectors(settings)) == 8
    result = materialise(settings, ["visual_embeddings"])
    assert result.success
    assert seen == [4, 4, 4, 4]
    plan = metadata(result, "visual_embeddings")["plan"].data
    assert (plan["new"], plan["unchanged"]) == (4, 8)


def test_a_vocabulary_of_ones_own(tiny, materialise, tmp_path):
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


def test_what_the_settings_tell_the_encoders(settings_of, tmp_path):
    folder = tmp_path / "some@where"
    folder.mkdir()
    chosen = settings_of(
        encoders__profile="paper",
        encoders__visual="google/vit@abc",
        encoders__captions="someone/blip2",
        encoders__acoustic=str(folder),
        encoders__revision="main",
        encoders__text_prompt="find: {text}",
    )
    told = {role: options(chosen, role) for role in ("visual", "captions", "acoustic", "text", "sounds")}
    named = {role: (given.get("checkpoint"), given.get("revision")) for role, given in told.items()}
    assert named == {
        "visual": ("google/vit", "abc"),
        "captions": ("someone/blip2", "main"),
        "acoustic": (str(folder), "main"),
        "text": (None, None),
        "sounds": (None, None),
    }
    assert [role for role, given in told.items() if "prompt" in given] == ["text"]
    assert told["text"]["prompt"] == "find: {text}"


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"text_prompt": "find it", "profile": "tiny"}, "it must hold {text}, where the text goes; got 'find it'"),
        ({"vocabulary": "words.txt"}, "vocabulary: this goes with profile = 'paper' or 'tiny', not 'handcrafted'"),
        ({"batch_size": "0", "profile": "tiny"}, "BATCH_SIZE: Input should be greater than or equal to 1 (given '0')"),
        ({"loaders": "many"}, "LOADERS: Input should be a valid integer"),
        ({"device": "gpu"}, "auto, cpu, cuda and cuda:N are allowed; got 'gpu'"),
        ({"revision": "main", "profile": "paper"}, "revision goes with a checkpoint that is named"),
    ],
)
def test_wrong_settings_of_encoders_are_refused(settings_of, given, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        settings_of(**{f"encoders__{name}": value for name, value in given.items()})


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


def work_of(settings, profile: str = "handcrafted", finish=None) -> Work:
    stage = open_store(settings).stage(frames.NAME, frames.PAYLOAD)
    told = options(settings, "visual") if profile == "tiny" else {}
    given = (stage.folder, frames.PAYLOAD, ("frames",))
    return Work("visual", profile, told, *given, prepare_frames, finish or whole_video)


def whole_video(rows, _note):
    return {"embedding": rows}


def cursed(_rows, _note):
    """What a fault in native code does to the process of a device."""
    os._exit(13)


def raising(rows, _note):
    raise ValueError(f"planted for {len(rows)} rows")


@pytest.mark.parametrize("profile", ["handcrafted", pytest.param("tiny", marks=pytest.mark.slow)])
def test_processes_and_devices_do_not_change_the_rows(tiny, profile):
    work, blocks = work_of(tiny(), profile), blocks_of([*ITEMS, "unknown"], 3)

    def gathered(made):
        return [pair for outcomes, _ in made for pair in outcomes]

    encoder = encoders.load("visual", profile)
    plain = gathered(encoded_blocks(work, blocks, lambda: encoder, device="cpu", workers=0))
    assert plain[-1] == ("unknown", None)
    loaded = gathered(encoded_blocks(work, blocks, lambda: encoder, device="cpu", workers=1))
    spread = gathered(encoded_on(["cpu", "cpu"], work, blocks, workers=0))
    for other in (loaded, spread):
        assert [item for item, _ in other] == [item for item, _ in plain]
        for (_, one), (_, two) in zip(plain[:-1], other[:-1], strict=True):
            np.testing.assert_allclose(one["embedding"], two["embedding"], atol=1e-6)


@pytest.mark.parametrize(("device", "number"), [("cuda", 0), ("cuda:1", 1)])
def test_a_process_uses_no_card_but_its_own(tiny, monkeypatch, device, number):
    seen = []
    monkeypatch.setattr("torch.cuda.set_device", lambda chosen: seen.append(("device", chosen)))
    monkeypatch.setattr("assets.encoded.prepared_blocks", lambda *_, **told: seen.append(told) or iter([]))
    assert not list(encoded_blocks(work_of(tiny()), blocks_of(ITEMS), pytest.fail, device=device, workers=2))
    assert seen == [("device", number), {"workers": 2, "pinned": True}]  # before the thread starts that pins memory


@pytest.mark.parametrize(
    ("finish", "error", "message"),
    [(cursed, DeviceWorkerDied, "visual-cpu ended with exit code 13"), (raising, ValueError, "planted for 3 rows")],
)
def test_the_end_of_a_device_is_an_error_of_the_run(tiny, finish, error, message):
    with pytest.raises(error, match=message):
        list(encoded_on(["cpu"], work_of(tiny(), finish=finish), blocks_of(ITEMS), workers=0))


def bulky(_rows, _note):
    """More than a pipe holds, so that the process is halfway through sending it."""
    return {"embedding": np.zeros(1_000_000, np.float32)}


def test_a_device_killed_amid_a_message_is_an_error_of_the_run(tiny):
    made = encoded_on(["cpu"], work_of(tiny(), finish=bulky), blocks_of(ITEMS, 3), workers=0)
    next(made)
    time.sleep(0.2)
    (process,) = [child for child in multiprocessing.active_children() if child.name == "reelcast-visual-cpu"]
    process.kill()
    with pytest.raises(DeviceWorkerDied, match="exit code -9"):
        list(made)


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
        assert "no JPEG that can be read" in failed["error_message"].item()


def hanging_frames(path, *chosen):
    from assets.media_tasks import take_frames

    if path.endswith("3.mp4"):
        time.sleep(60)
    return take_frames(path, *chosen)


def test_a_decoder_that_hangs_costs_its_own_row(settings_of, materialise, monkeypatch, tmp_path):
    from pipeline.demonstration import make

    folder = make(tmp_path / "set", videos=10, uploads=1, workers=1)
    settings = settings_of(data__folder=str(folder), sampling__timeout_seconds="5", sampling__frames="2")
    monkeypatch.setattr("assets.frames.take_frames", hanging_frames)
    assert materialise(settings, ["videos", "frames", "visual_embeddings"]).success
    stages = open_store(settings).stages()
    failed = stages["frames"].states().filter(pl.col("status") == "failed")
    assert failed["item"].to_list() == ["3"] and failed["error_type"].to_list() == ["WorkerTimeout"]
    embedded = stages["visual_embeddings"].states()
    sampled = stages["frames"].states().filter(pl.col("status") == "ok")["item"].to_list()
    assert embedded.filter(pl.col("status") == "ok")["item"].to_list() == sampled and len(sampled) >= 7
    assert "3" not in embedded["item"].to_list()


def test_handcrafted_work_is_spread_over_processes_for_many_videos(settings_of):
    from assets.encoding import MANY, loaders

    few, many = (loaders(settings_of(run__workers="3"), count, on_gpu=False) for count in (MANY - 1, MANY))
    assert (few, many) == (0, 3)
    assert loaders(settings_of(encoders__loaders="1"), 10, on_gpu=True) == 1
    assert encoders.preparation("visual", "handcrafted")([np.zeros((8, 8, 3), np.uint8)]).shape == (1, 95)


def test_papers_models_on_a_cpu_say_how_long_it_will_take_before_they_begin(tiny, materialise, tiny_cache, capfd):
    from models.encoders.tiny import checkpoint

    folder = checkpoint("visual", cache=tiny_cache / "reelcast" / "tiny")
    settings = tiny(encoders__profile="paper", encoders__visual=str(folder))
    assert materialise(settings, ["visual_embeddings"]).success
    said = capfd.readouterr().err
    warned = said.index("visual for 36 inputs runs on the CPU and will take some ")
    assert warned < said.index("visual_embeddings: 12 items in ")
    assert "WARNING" in said[: said.index("\n", warned)].splitlines()[-1]
    assert materialise(settings, ["visual_embeddings"]).success
    assert "runs on the CPU" not in capfd.readouterr().err


def test_the_expected_time_of_prompts_is_that_of_their_length(tiny, materialise, tiny_cache, capfd):
    from models.encoders.tiny import checkpoint

    cache = tiny_cache / "reelcast" / "tiny"
    named = {f"encoders__{role}": str(checkpoint(role, cache=cache)) for role in ("text", "captions", "sounds")}
    kept = {f"encoders__{role}": str(checkpoint(role, cache=cache)) for role in ("visual", "acoustic")}
    settings = tiny(encoders__profile="paper", **named, **kept)
    assert materialise(settings, ["videos", "visual_captions", "audio_captions"]).success
    capfd.readouterr()
    assert materialise(settings, ["text_embeddings", "retrieval_vectors"]).success
    said = capfd.readouterr().err
    pattern = r"{}: text for (\d+) inputs runs on the CPU .*? \((\S+) operations"
    titles, prompts = (re.search(pattern.format(name), said) for name in ("text_embeddings", "retrieval_vectors"))
    assert (titles[1], prompts[1]) == ("60", "12")
    # a title of three words against three captions of up to thirty each, three descriptions and the title
    assert float(prompts[2]) / 12 > 10 * float(titles[2]) / 60


def test_a_backend_that_is_absent_is_told_before_any_work(tiny, materialise, tmp_path, capfd):
    settings = tiny(encoders__captions_backend="lavis", encoders__environments=str(tmp_path / "none"))
    assert not materialise(settings, ["videos"]).success
    assert "make it with: reelcast environment lavis" in capfd.readouterr().err
    assert "videos" not in open_store(settings).stages()


def test_all_that_is_absent_is_told_at_once(settings_of, monkeypatch, tmp_path):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(EncoderError, match="several encoders are not ready") as caught:
        check_encoders(settings_of(encoders__profile="paper", encoders__visual="someone/vit@abc"))
    said = str(caught.value)
    assert "hf download someone/vit --revision abc" in said and "hf download laion/clap-htsat-unfused" in said
    assert len(said.splitlines()) == 6
    kept = {f"imports__{name}": "there.npy" for name in ("visual_embeddings", "text_embeddings", "retrieval_vectors")}
    with pytest.raises(EncoderError) as caught:
        check_encoders(settings_of(encoders__profile="paper", **kept))
    assert len(str(caught.value).splitlines()) == 4
