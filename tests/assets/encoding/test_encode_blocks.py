"""Encoding on several processes and devices."""

import multiprocessing
import os
import time

import numpy as np
import pytest

from assets.encoding.encode_blocks import DeviceWorkerDied, blocks_of, encode_blocks, encode_on_devices
from assets.encoding.encoder_choice import chosen_encoder
from assets.encoding.encoder_loader import Missing, Source, Work, prepared_blocks
from assets.encoding.encoder_spec import EncoderSpec
from assets.encoding.encoding_tasks import prepare_frames
from assets.engine.store_access import open_store
from assets.sampling.frames import FRAMES
from models import encoders
from storage.parts import Parts
from tests.assets.conftest import ITEMS


def work_of(settings, profile: str = "handcrafted", finish=None) -> Work:
    encoder = chosen_encoder(settings, "visual") if profile == "tiny" else EncoderSpec("visual", profile)
    source = Source(FRAMES.open(open_store(settings)).folder, FRAMES.payload, ("frames",))
    return Work(encoder, (source,), prepare_frames, finish or whole_video)


def whole_video(rows, _note):
    return {"embedding": rows}


def cursed(_rows, _note):
    """End the process as a fault in native code would."""
    os._exit(13)


def raising(rows, _note):
    raise ValueError(f"planted for {len(rows)} rows")


@pytest.mark.parametrize(("blocks", "workers"), [(1, 1), (3, 3), (9, 4)])
def test_no_more_processes_than_blocks(tiny, monkeypatch, blocks, workers):
    told = {}
    monkeypatch.setattr("assets.encoding.encoder_loader.DataLoader", lambda *_, **options: told.update(options) or [])
    assert not list(prepared_blocks(work_of(tiny()), blocks_of(ITEMS * 9, 12)[:blocks], workers=4))
    assert told["num_workers"] == workers


def test_states_are_searched_once_however_many_blocks_there_are(tiny, monkeypatch):
    work, looked, states = work_of(tiny()), [], Parts.states
    monkeypatch.setattr(Parts, "states", lambda *args: looked.append(args) or states(*args))
    prepared = list(prepared_blocks(work, blocks_of(["unknown", *ITEMS, "another"], 3), workers=0))
    assert len(looked) == 1
    assert [[item for item, _ in block.items] for block in prepared][-1] == [ITEMS[-1], "another"]
    assert [item for block in prepared for item, made in block.items if isinstance(made, Missing)] == [
        "unknown",
        "another",
    ]


@pytest.mark.parametrize("profile", ["handcrafted", pytest.param("tiny", marks=pytest.mark.slow)])
@pytest.mark.slow
def test_processes_and_devices_do_not_change_the_rows(tiny, profile):
    work, blocks = work_of(tiny(), profile), blocks_of([*ITEMS, "unknown"], 3)

    def gathered(made):
        return [pair for block in made for pair in block.results]

    encoder = encoders.load("visual", profile)
    plain = gathered(encode_blocks(work, blocks, lambda: encoder, device="cpu", workers=0))
    assert plain[-1] == ("unknown", Missing("no frames"))
    loaded = gathered(encode_blocks(work, blocks, lambda: encoder, device="cpu", workers=1))
    spread = gathered(encode_on_devices(["cpu", "cpu"], work, blocks, workers=0))
    for other in (loaded, spread):
        assert [item for item, _ in other] == [item for item, _ in plain]
        for (_, one), (_, two) in zip(plain[:-1], other[:-1], strict=True):
            np.testing.assert_allclose(one["embedding"], two["embedding"], atol=1e-6)


@pytest.mark.parametrize(("device", "number"), [("cuda", 0), ("cuda:1", 1)])
def test_a_process_uses_no_card_but_its_own(tiny, monkeypatch, device, number):
    seen = []
    monkeypatch.setattr("torch.cuda.set_device", lambda chosen: seen.append(("device", chosen)))
    monkeypatch.setattr(
        "assets.encoding.encode_blocks.prepared_blocks", lambda *_, **told: seen.append(told) or iter([])
    )
    assert not list(encode_blocks(work_of(tiny()), blocks_of(ITEMS), pytest.fail, device=device, workers=2))
    assert seen == [("device", number), {"workers": 2, "pinned": True}]  # before the thread starts that pins memory


@pytest.mark.parametrize(
    ("finish", "error", "message"),
    [(cursed, DeviceWorkerDied, "visual-cpu ended with exit code 13"), (raising, ValueError, "planted for 3 rows")],
)
def test_the_end_of_a_device_is_an_error_of_the_run(tiny, finish, error, message):
    with pytest.raises(error, match=message):
        list(encode_on_devices(["cpu"], work_of(tiny(), finish=finish), blocks_of(ITEMS), workers=0))


def bulky(_rows, _note):
    """Return more than a pipe holds, so that the process is killed in the middle of sending it."""
    return {"embedding": np.zeros(1_000_000, np.float32)}


def test_a_process_killed_while_it_sends_is_an_error_of_the_run(tiny):
    made = encode_on_devices(["cpu"], work_of(tiny(), finish=bulky), blocks_of(ITEMS, 3), workers=0)
    next(made)
    time.sleep(0.2)
    (process,) = [child for child in multiprocessing.active_children() if child.name == "reelcast-visual-cpu"]
    process.kill()
    with pytest.raises(DeviceWorkerDied, match="exit code -9"):
        list(made)


def test_handcrafted_work_is_spread_over_processes_for_many_videos(settings_of):
    from assets.encoding.encoder_choice import MANY, loader_count

    frames, texts = EncoderSpec("visual", "handcrafted"), EncoderSpec("text", "handcrafted")
    few, many = (loader_count(settings_of(run__workers="3"), frames, count, on_gpu=False) for count in (MANY - 1, MANY))
    assert (few, many) == (0, 3)
    assert loader_count(settings_of(encoders__loaders="1"), frames, 10, on_gpu=True) == 1
    assert loader_count(settings_of(encoders__loaders="1"), texts, 10, on_gpu=True) == 0
    assert encoders.preparation("visual", "handcrafted")([np.zeros((8, 8, 3), np.uint8)]).shape == (1, 95)
