"""Encode one mp4 file per video: H.264, and AAC if the video has sound.

Each file is written under a temporary name and then renamed, so that an interrupted run leaves no half file.
"""

import os
import shutil
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

from pipeline.demonstration import scenes, sound
from pipeline.demonstration.plan import Video

# x264 presets slower than "superfast" use a macroblock tree that encodes the same frames to different bytes in each run
# (20 of 70 clips, PyAV 18.1). REENCODED stands for another service's encoder.
OWN = {"preset": "superfast", "crf": "30"}
REENCODED = {"preset": "ultrafast", "crf": "36"}
AUDIO_BITS = 32_000
DAMAGED_SHARE = 0.6  # kept share of a damaged file's bytes; the index at its end is lost


def path_of(folder: Path, item: int) -> Path:
    """Return the path of an item's file in the set's folder."""
    return folder / "demo_videos" / f"{item}.mp4"


def make(video: Video, folder: Path, seed: int) -> None:
    """Encode the video's file, unless the video has none.

    Pixels and samples depend on the seed alone; the file's bytes also depend on the version of FFmpeg.
    """
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
    """Copy the original's file as that of its re-upload."""
    target = path_of(folder, video.item)
    partial = target.with_suffix(".partial")
    shutil.copyfile(path_of(folder, video.original), partial)
    partial.replace(target)


def encode(path: Path, frames: np.ndarray, samples: np.ndarray | None, *, options: dict[str, str]) -> None:
    """Encode frames, and sound if there is any, into an mp4 file.

    Args:
        path: File to write.
        frames: (n, height, width, 3) uint8.
        samples: (samples,) float32 in [-1, 1], or None.
        options: Options of x264.
    """
    with av.open(str(path), "w", format="mp4") as container:
        video = container.add_stream("libx264", rate=scenes.FPS, options=options)
        video.height, video.width = frames.shape[1:3]
        video.pix_fmt = "yuv420p"
        video.codec_context.thread_count = 1  # one process per core encodes; more threads would only compete
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
