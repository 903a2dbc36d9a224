"""One mp4 file (H.264, and AAC where there is sound) for each video, written beside and renamed into place."""

import os
import shutil
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

from pipeline.demonstration import scenes, sound
from pipeline.demonstration.plan import Video

# x264 options: quick and small at these sizes. Not "veryfast" or slower: their macroblock tree made other bytes of the
# same frames in each run (20 of 70 clips, PyAV 18.1). A re-upload has been through another service's encoder.
OWN = {"preset": "superfast", "crf": "30"}
REENCODED = {"preset": "ultrafast", "crf": "36"}
AUDIO_BITS = 32_000
DAMAGED_SHARE = 0.6  # of the bytes of a damaged file are there; its index, at the end, is not


def path_of(folder: Path, item: int) -> Path:
    return folder / "demo_videos" / f"{item}.mp4"


def make(video: Video, folder: Path, seed: int) -> None:
    """Write the video's file, if it has one. Pixels and samples follow from the seed, bytes from FFmpeg too."""
    if video.file == "missing":
        return
    target = path_of(folder, video.item)
    partial = target.with_suffix(".partial")
    frames = scenes.draw(video, seed)
    samples = sound.synthesise(video, len(frames) / scenes.FPS, seed) if video.sound else None
    encode(partial, frames, samples, options=REENCODED if video.file == "reencoded" else OWN)
    if video.file == "damaged":
        os.truncate(partial, int(DAMAGED_SHARE * partial.stat().st_size))
    partial.replace(target)


def copy(video: Video, folder: Path) -> None:
    """Write a re-upload that has the very bytes of its original."""
    target = path_of(folder, video.item)
    partial = target.with_suffix(".partial")
    shutil.copyfile(path_of(folder, video.original), partial)
    partial.replace(target)


def encode(path: Path, frames: np.ndarray, samples: np.ndarray | None, *, options: dict[str, str]) -> None:
    """Encode (n, height, width, 3) uint8 frames and (samples,) float32 sound, if any, into an mp4 file."""
    with av.open(str(path), "w", format="mp4") as container:
        video = container.add_stream("libx264", rate=scenes.FPS, options=options)
        video.height, video.width = frames.shape[1:3]
        video.pix_fmt = "yuv420p"
        video.codec_context.thread_count = 1  # the processes share the cores; threads would only queue
        audio = None
        if samples is not None:
            audio = container.add_stream("aac", rate=sound.RATE, layout="mono")
            audio.bit_rate, audio.options = AUDIO_BITS, {"aac_coder": "fast"}
        for i, pixels in enumerate(frames):
            frame = av.VideoFrame.from_ndarray(pixels, format="rgb24")
            frame.pts, frame.time_base = i, Fraction(1, scenes.FPS)
            container.mux(video.encode(frame))
        container.mux(video.encode())
        if audio is not None:
            frame = av.AudioFrame.from_ndarray(samples[None], format="fltp", layout="mono")
            frame.sample_rate, frame.pts = sound.RATE, 0
            container.mux(audio.encode(frame))
            container.mux(audio.encode())
