"""Small clips made on the spot, with every frame's number painted into its pixels."""

from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from av.video.frame import PictureType

BITS = 10
TICKS = 90000  # of the clips' clock, a second


def painted(number: int, *, width: int = 80, height: int = 64) -> np.ndarray:
    """An (height, width, 3) uint8 picture: the number in black and white columns above, its index as grey below.

    The lower half is red on its left and blue on its right: a turned or mirrored picture is told from an upright one.
    """
    image = np.zeros((height, width, 3), dtype=np.uint8)
    edges = np.linspace(0, width, BITS + 1).astype(int)
    for bit in range(BITS):
        image[: height // 2, edges[bit] : edges[bit + 1]] = 255 * (number >> bit & 1)
    image[height // 2 :, : width // 2] = (200, 30, 30)
    image[height // 2 :, width // 2 :] = (30, 30, 200)
    return image


def read_number(image: np.ndarray) -> int:
    """The number painted into an upright picture; an AssertionError where the picture isn't upright."""
    height, width = image.shape[:2]
    lower = image[3 * height // 4]
    left, right = lower[width // 4].astype(int), lower[3 * width // 4].astype(int)
    assert left[0] > left[2] + 80 and right[2] > right[0] + 80, "the picture is not upright"
    columns = (np.arange(BITS) + 0.5) * width / BITS
    return sum(int(image[height // 4, int(column)].mean() > 127) << bit for bit, column in enumerate(columns))


def make_clip(
    path: Path,
    *,
    frames: int = 40,
    rate: int = 25,
    codec: str = "libx264",
    options: dict[str, str] | None = None,
    pixels: str = "yuv420p",
    times: Sequence[int] | None = None,
    width: int = 80,
    height: int = 64,
    sound: np.ndarray | None = None,
    layout: str = "mono",
    sound_rate: int = 16000,
    sound_codec: str = "aac",
    sound_start: float = 0.0,
    container_options: dict[str, str] | None = None,
    colours: dict[str, str] | None = None,
    transform: Callable[[np.ndarray], np.ndarray] | None = None,
    kinds: Sequence[str] | None = None,
    aspect: str | None = None,
) -> Path:
    """Write a clip.

    Args:
        times: Of each frame, in ticks of 1 / 90,000 s; evenly spaced by `rate` if None.
        transform: Turns a painted picture (80 x 64) into the one that is stored, of `width` x `height`.
        colours: How RGB is converted, as the arguments of `VideoFrame.reformat`.
        kinds: Of each frame, I, P or B; the encoder chooses if None.
        aspect: Width of a pixel relative to its height, such as "4/3"; square if None.
        sound: (channels, samples) float32, or None for a clip without a sound track.
    """
    with av.open(str(path), "w", options=container_options or {}) as container:
        video = container.add_stream(codec, rate=rate, options=options or {}) if frames else None
        if video is not None:
            video.width, video.height, video.pix_fmt = width, height, pixels
            # MPEG-4 and MPEG-2 have no clock as fine as that of the other codecs.
            video.codec_context.time_base = Fraction(1, rate if times is None else TICKS)
            video.codec_context.thread_count = 1
            if aspect is not None:
                video.codec_context.sample_aspect_ratio = Fraction(aspect)
        track = None
        if sound is not None:
            track = container.add_stream(sound_codec, rate=sound_rate, layout=layout)
        for number in range(frames):
            image = painted(number, width=width, height=height) if transform is None else transform(painted(number))
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(image), format="rgb24")
            frame = frame.reformat(format=pixels, **(colours or {}))
            frame.pts = times[number] if times is not None else number
            frame.time_base = Fraction(1, rate if times is None else TICKS)
            if kinds is not None:
                frame.pict_type = PictureType[kinds[number]]
            container.mux(video.encode(frame))
        if video is not None:
            container.mux(video.encode())
        if track is not None:
            # Packed: PyAV's planar frames of eight channels read past their end.
            frame = av.AudioFrame.from_ndarray(
                np.ascontiguousarray(sound.T).reshape(1, -1), format="flt", layout=layout
            )
            frame.sample_rate, frame.pts = sound_rate, round(sound_start * sound_rate)
            frame.time_base = Fraction(1, sound_rate)
            container.mux(track.encode(frame))
            container.mux(track.encode())
    return path


@pytest.fixture
def clip(tmp_path: Path) -> Callable[..., Path]:
    """`make_clip` into a fresh folder: clip("name.mp4", frames=..., ...)."""
    return lambda name="clip.mp4", **arguments: make_clip(tmp_path / name, **arguments)


@pytest.fixture
def number_of() -> Callable[[np.ndarray], int]:
    return read_number


@pytest.fixture
def paint() -> Callable[..., np.ndarray]:
    return painted


def decode_all(path: Path) -> list[tuple[float, np.ndarray]]:
    """The reference: every frame of a plain sequential decode up to the first error, as (seconds, RGB), not turned."""
    found = []
    with av.open(str(path)) as container:
        try:
            for frame in container.decode(video=0):
                found.append((frame.time, frame.to_ndarray(format="rgb24")))
        except av.FFmpegError:
            pass
    return found


@pytest.fixture
def reference() -> Callable[[Path], list[tuple[float, np.ndarray]]]:
    return decode_all
