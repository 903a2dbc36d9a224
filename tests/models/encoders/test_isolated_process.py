"""A model in another interpreter: answers, errors, a child that hangs and a child that dies are told apart."""

import os
import signal
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from models.encoders import EncoderError
from models.encoders.isolated import process
from models.encoders.isolated.child.messages import pack, unpack
from models.encoders.isolated.process import IsolatedModel, IsolatedProcessFailed

MODEL = """
import os, time
import numpy as np

def load(folder, device, dtype, prompt, longest):
    print("noise on the standard output")
    if folder == "nowhere":
        raise FileNotFoundError("nowhere holds no weights")

    def run(pixels):
        if pixels[0] == 1:
            raise ValueError("a planted error")
        if pixels[0] == 2:
            raise MemoryError("planted")
        if pixels[0] == 3:
            print("the last words", flush=True)
            os._exit(7)
        if pixels[0] == 4:
            time.sleep(60)
        if pixels[0] == 8:
            raise RuntimeError("[enforce fail at alloc_cpu.cpp:124] DefaultCPUAllocator: can't allocate memory")
        return {"words": pixels * 2}

    return run
"""


@pytest.fixture
def model(tmp_path, monkeypatch):
    """Opens a model whose child is the real one, but for the library."""
    child = tmp_path / "child"
    child.mkdir()
    for name in ("__main__.py", "memory.py", "messages.py"):
        (child / name).write_text((Path(process.CHILD) / name).read_text())
    (child / "lavis_blip2.py").write_text(MODEL)
    monkeypatch.setattr(process, "CHILD", child)
    opened = []

    def open_model(folder="here", **limits):
        settings = {"folder": folder, "device": "cpu", "dtype": "float32", "prompt": [], "longest": 1}
        opened.append(IsolatedModel(Path(sys.executable), "lavis", settings, **limits))
        return opened[-1]

    yield open_model
    for each in opened:
        each.close()


def test_answers_and_errors(model):
    opened = model()
    np.testing.assert_array_equal(opened(pixels=np.array([5.0, 6.0]))["words"], [10.0, 12.0])
    with pytest.raises(EncoderError, match="lavis: ValueError: a planted error"):
        opened(pixels=np.array([1]))
    with pytest.raises(MemoryError, match="lavis: MemoryError: planted"):
        opened(pixels=np.array([2]))
    with pytest.raises(MemoryError, match=r"lavis: RuntimeError: .*can't allocate memory"):
        opened(pixels=np.array([8]))
    assert opened(pixels=np.array([7], dtype=np.uint8))["words"].dtype == np.uint8  # it goes on after an error
    with pytest.raises(EncoderError, match="nowhere holds no weights"):
        model("nowhere")


def test_a_child_that_dies_says_why(model):
    with pytest.raises(IsolatedProcessFailed, match=r"(?s)ended without an answer \(exit code 7\).*the last words"):
        model()(pixels=np.array([3]))


def test_a_child_that_hangs_is_killed(model):
    opened = model(running=0.5)
    started = time.monotonic()
    with pytest.raises(IsolatedProcessFailed, match=r"gave no answer for 0.5 s and was killed \(exit code -9\)"):
        opened(pixels=np.array([4]))
    assert time.monotonic() - started < 10


def test_a_child_that_takes_no_message_is_killed(model):
    opened = model(running=0.5)
    os.kill(opened._process.pid, signal.SIGSTOP)
    started = time.monotonic()
    with pytest.raises(IsolatedProcessFailed, match=r"gave no answer for 0.5 s and was killed \(exit code -9\)"):
        opened(pixels=np.zeros(10_000_000))  # more than a socket holds
    assert time.monotonic() - started < 10


def test_a_child_that_hangs_does_not_outlive_its_parent(model):
    opened = model()
    opened._connection.send_bytes(pack({}, {"pixels": np.array([4])}))
    time.sleep(0.5)  # it is at work
    opened._connection.close()  # as the end of the parent does
    assert opened._process.wait(10) == 1


def test_messages_carry_any_array_and_no_code():
    arrays = {"a": np.zeros((0, 3), dtype=np.float16), "b": np.array(7), "c": RNG.integers(0, 9, (2, 3, 4))}
    header, found = unpack(pack({"text": "größe", "n": [1, None]}, arrays))
    assert header == {"text": "größe", "n": [1, None]}
    for name, array in arrays.items():
        np.testing.assert_array_equal(found[name], array)
        assert found[name].dtype == array.dtype
    with pytest.raises(ValueError, match="allow_pickle=False"):
        unpack(pack({}, {"a": np.array([object()])}))


RNG = np.random.default_rng(0)
