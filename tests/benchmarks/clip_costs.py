"""CPU milliseconds per small clip and step, from reading the file to the outputs of all encoders of a profile.

    OMP_NUM_THREADS=1 python tests/benchmarks/clip_costs.py [--profile handcrafted|tiny] [--clips 10] [--rounds 4]
        [--width 192] [--height 144] [--frames 72]

By default, clips are 3 s long, 192 x 144 pixels at 24 frames per second, H.264 and AAC. The benchmark samples ten
frames, at most 512 pixels long as in the store, and ten segments of sound of 2 s at 16 kHz. It uses one thread and
prints the fastest round of each step, so that other work on the machine matters little.
"""

import argparse
import tempfile
import time
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np

from models.encoders import load
from models.media import perceptual_hash, probe, sample, sample_audio, sample_frames

RATE, SOUND_RATE, SECONDS, LONGEST = 24, 16000, 2.0, 512


def make(path: Path, seed: int, *, width: int, height: int, frames: int) -> Path:
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:height, :width]
    with av.open(str(path), "w") as container:
        video = container.add_stream("libx264", rate=RATE, options={"preset": "veryfast", "crf": "28"})
        video.width, video.height, video.pix_fmt = width, height, "yuv420p"
        sound = container.add_stream("aac", rate=44100, layout="mono")
        for number in range(frames):
            planes = [
                128 + 100 * np.sin(x / 20 + number / 5),
                128 + 100 * np.cos(y / 15 - number / 7),
                2 * x + 4 * number,
            ]
            image = np.stack(planes, -1) % 256 + rng.normal(0, 6, (height, width, 1))
            frame = av.VideoFrame.from_ndarray(image.clip(0, 255).astype(np.uint8), format="rgb24")
            frame.pts, frame.time_base = number, Fraction(1, RATE)
            container.mux(video.encode(frame))
        container.mux(video.encode())
        wave = 0.3 * np.sin(np.arange(44100 * frames // RATE) / 20) + 0.05 * rng.standard_normal(44100 * frames // RATE)
        frame = av.AudioFrame.from_ndarray(wave[None].astype(np.float32), format="fltp", layout="mono")
        frame.sample_rate, frame.pts = 44100, 0
        container.mux(sound.encode(frame))
        container.mux(sound.encode())
    return path


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--profile", choices=["handcrafted", "tiny"], default="handcrafted")
    parser.add_argument("--clips", type=int, default=10)
    parser.add_argument("--rounds", type=int, default=4)
    parser.add_argument("--width", type=int, default=192)
    parser.add_argument("--height", type=int, default=144)
    parser.add_argument("--frames", type=int, default=72)
    arguments = parser.parse_args()
    size = {"width": arguments.width, "height": arguments.height, "frames": arguments.frames}
    roles = ("visual", "acoustic", "text", "captions", "sounds")
    visual, acoustic, text, captions, sounds = (load(role, arguments.profile) for role in roles)
    best: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as folder:
        paths = [make(Path(folder) / f"{number}.mp4", number, **size) for number in range(arguments.clips)]
        for _ in range(arguments.rounds):
            spent: dict[str, float] = {}

            def timed(step: str, function: Callable[[], Any], spent: dict[str, float] = spent) -> Any:
                start = time.process_time()
                result = function()
                spent[step] = spent.get(step, 0.0) + time.process_time() - start
                return result

            for path in paths:
                timed("probe", lambda path=path: probe(path))
                frames = timed("frames", lambda path=path: sample_frames(path, max_side=LONGEST, threads=1))
                heard = timed(
                    "audio",
                    lambda path=path, times=frames.timestamps: sample_audio(
                        path, times, rate=SOUND_RATE, seconds=SECONDS
                    ),
                )
                timed(
                    "all three from one opening",
                    lambda path=path: sample(path, max_side=LONGEST, rate=SOUND_RATE, seconds=SECONDS, threads=1),
                )
                timed("perceptual hash", lambda images=frames.images: perceptual_hash(images))
                timed("visual", lambda images=frames.images: visual.encode(images))
                timed("acoustic", lambda heard=heard: acoustic.encode(heard, SOUND_RATE))
                written = timed("captions", lambda images=frames.images: captions.caption(images))
                timed("sounds", lambda heard=heard: sounds.describe(heard, SOUND_RATE))
                timed("text, words", lambda: text.encode_words(["a cat plays the piano at night, and more"]))
                timed("text, sentence", lambda written=written: text.encode_sentences([" ".join(written)]))
            for step, seconds in spent.items():
                best[step] = min(best.get(step, np.inf), 1000 * seconds / len(paths))
    for step, milliseconds in best.items():
        print(f"{step:28} {milliseconds:7.1f} ms")


if __name__ == "__main__":
    main()
