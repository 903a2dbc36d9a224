"""Sample ten exact frames and the sound around them from 15 s clips of 720 x 1280, beside the peers that are installed.

    python tests/benchmarks/media_sampling.py [--clips 3] [--rounds 3]

Each method's pictures are compared with a sequential decode before its time counts. Peers for frames: PyAV in sequence,
PyAV with one seek per frame, OpenCV (`opencv-python-headless`), decord. Peers for sound: PyAV and torchcodec, which
needs FFmpeg's libraries on the machine. Printed are clips per second of wall time, the fastest round of each method.
"""

import argparse
import tempfile
import time
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

from models.media import sample_audio, sample_frames, sampled_indices

FRAMES, RATE, WIDTH, HEIGHT = 450, 30, 720, 1280
INDICES = sampled_indices(FRAMES)


def make(path: Path, *, group: int, seed: int) -> Path:
    """Write a moving scene with some noise: H.264 with B-frames and a keyframe every `group` frames, and a tone in AAC."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:HEIGHT, :WIDTH].astype(np.float32)
    options = {"preset": "medium", "crf": "28", "g": str(group), "keyint_min": str(group), "sc_threshold": "0"}
    with av.open(str(path), "w") as container:
        video = container.add_stream("libx264", rate=RATE, options=options)
        video.width, video.height, video.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        sound = container.add_stream("aac", rate=44100, layout="stereo")
        for number in range(FRAMES):
            planes = [
                128 + 100 * np.sin(x / 20 + number / 5),
                128 + 100 * np.cos(y / 15 - number / 7),
                2 * x + 4 * number,
            ]
            image = np.stack(planes, -1) % 256 + rng.normal(0, 4, (HEIGHT, WIDTH, 1))
            frame = av.VideoFrame.from_ndarray(image.clip(0, 255).astype(np.uint8), format="rgb24")
            frame.pts, frame.time_base = number, Fraction(1, RATE)
            container.mux(video.encode(frame))
        container.mux(video.encode())
        wave = 0.3 * np.sin(np.arange(44100 * FRAMES // RATE) / 20)
        frame = av.AudioFrame.from_ndarray(np.tile(wave, (2, 1)).astype(np.float32), format="fltp", layout="stereo")
        frame.sample_rate, frame.pts = 44100, 0
        container.mux(sound.encode(frame))
        container.mux(sound.encode())
    return path


def ours(path: Path) -> list[np.ndarray]:
    return sample_frames(path).images


def pyav_in_sequence(path: Path) -> list[np.ndarray]:
    wanted = set(INDICES.tolist())
    with av.open(str(path)) as container:
        container.streams.video[0].thread_type = "AUTO"
        frames = enumerate(container.decode(video=0))
        return [frame.to_ndarray(format="rgb24") for number, frame in frames if number in wanted]


def pyav_with_seeks(path: Path) -> list[np.ndarray]:
    images = []
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        stream.thread_type = "AUTO"
        for index in INDICES.tolist():
            time_stamp = round(index / RATE / stream.time_base)
            container.seek(time_stamp, stream=stream)
            frame = next(frame for frame in container.decode(stream) if frame.pts >= time_stamp)
            images.append(frame.to_ndarray(format="rgb24"))
    return images


def opencv(path: Path) -> list[np.ndarray]:
    import cv2

    wanted, images = set(INDICES.tolist()), []
    capture = cv2.VideoCapture(str(path))
    for number in range(FRAMES):
        capture.grab()
        if number in wanted:
            images.append(cv2.cvtColor(capture.retrieve()[1], cv2.COLOR_BGR2RGB))
    return images


def decord(path: Path) -> list[np.ndarray]:
    import decord

    return list(decord.VideoReader(str(path)).get_batch(INDICES.tolist()).asnumpy())


def our_sound(path: Path) -> list[np.ndarray]:
    return sample_audio(path, INDICES / RATE, rate=16000, seconds=1.5)


def pyav_sound(path: Path) -> list[np.ndarray]:
    """Decode, mix and resample the whole track with FFmpeg, then cut."""
    resampler = av.AudioResampler(format="flt", layout="mono", rate=16000)
    with av.open(str(path)) as container:
        parts = [part.to_ndarray()[0] for frame in container.decode(audio=0) for part in resampler.resample(frame)]
    track = np.pad(np.concatenate(parts), 16000)
    return [track[(first := round((index / RATE - 0.75) * 16000) + 16000) : first + 24000] for index in INDICES]


def torchcodec_sound(path: Path) -> list[np.ndarray]:
    """Decode and resample the whole track with torchcodec, then cut."""
    from torchcodec.decoders import AudioDecoder

    samples = AudioDecoder(str(path), sample_rate=16000, num_channels=1).get_all_samples()
    track = np.pad(samples.data.numpy()[0], 16000)
    return [track[(first := round((index / RATE - 0.75) * 16000) + 16000) : first + 24000] for index in INDICES]


def measured(ways: list[Callable], paths: list[Path], rounds: int, check: Callable) -> None:
    best = {way.__name__: 0.0 for way in ways}
    for _ in range(rounds):
        for way in ways:  # in turns, so that a busy moment of the machine affects all methods
            try:
                start = time.perf_counter()
                results = [way(path) for path in paths]
                rate = len(paths) / (time.perf_counter() - start)
            except (ImportError, OSError):  # torchcodec raises the second where FFmpeg's libraries are missing
                continue
            for path, result in zip(paths, results):
                check(way.__name__, path, result)
            best[way.__name__] = max(best[way.__name__], rate)
    for name, rate in best.items():
        compared = f"{best[ways[0].__name__] / rate:6.2f} x" if rate else "not installed"
        print(f"  {name:18} {rate:7.2f} clips/s   ours is {compared}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--clips", type=int, default=3)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()

    def same_picture(name: str, path: Path, images: list[np.ndarray]) -> None:
        """Return whether both are the same frame and not a neighbouring one; converters may differ by some grey levels."""
        for index, image, expected in zip(INDICES, images, references[path], strict=True):
            difference = np.abs(image.astype(int) - expected).mean()
            assert difference < 2, f"{name}: frame {index} of {path.name} differs by {difference:.1f} grey levels"

    with tempfile.TemporaryDirectory() as folder:
        for group in (30, 250):
            paths = [make(Path(folder) / f"{group}-{n}.mp4", group=group, seed=n) for n in range(arguments.clips)]
            references = {path: pyav_in_sequence(path) for path in paths}
            print(f"ten frames, a keyframe every {group}:")
            measured([ours, pyav_in_sequence, pyav_with_seeks, opencv, decord], paths, arguments.rounds, same_picture)
        print("ten segments of 1.5 s at 16 kHz:")
        measured([our_sound, pyav_sound, torchcodec_sound], paths, arguments.rounds, lambda *_: None)


if __name__ == "__main__":
    main()
