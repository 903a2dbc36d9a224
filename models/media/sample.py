"""Metadata, frames and sound of a media file from one reading of it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import av

from models.media.audio import Segments, cut_segments, sample_audio
from models.media.container import open_media, read_packets
from models.media.frames import Frames, FrameSampler, SamplingMethod, sample_frames
from models.media.media_info import MediaInfo, describe, probe
from models.media.packets import kept, read_table, too_large_to_hold
from models.media.tracks import audio_track, video_track


@dataclass(frozen=True)
class Sample:
    """Metadata, frames and sound of one file.

    Attributes:
        info: Metadata of the file.
        frames: Sampled frames.
        audio: One segment of sound per frame, centred on it; None if the file has no audio track.
    """

    info: MediaInfo
    frames: Frames
    audio: Segments | None


def sample(
    path: str | Path,
    *,
    count: int = 10,
    method: SamplingMethod = "even",
    stride: int | None = None,
    max_side: int | None = None,
    rate: int = 48000,
    seconds: float,
    threads: int | None = None,
) -> Sample:
    """Return the results of `probe`, `sample_frames` and `sample_audio` from one reading of the file.

    The sound is sampled at the frames' timestamps. A file above 256 MiB is read separately for each of the three, because
    its packets are not held in memory.

    Args:
        path: The file.
        count: As for `sample_frames`, like the next four arguments.
        method: "even" or "stride".
        stride: Stride in frames, for "stride" only.
        max_side: Longest side in pixels; None keeps the size.
        rate: Samples per second, as for `sample_audio`.
        seconds: Length of a segment, as for `sample_audio`.
        threads: Decoder threads, as for `sample_frames`.

    Returns:
        Metadata, frames and sound.

    Raises:
        FileNotFoundError: There is no such file.
        MediaError: As for the three functions.
        ValueError: As for the three functions.
    """
    sampler = FrameSampler(path, count, method, stride, max_side, threads)
    if too_large_to_hold(path):
        frames = sample_frames(path, count=count, method=method, stride=stride, max_side=max_side, threads=threads)
        return Sample(probe(path), frames, sample_audio(path, frames.timestamps, rate=rate, seconds=seconds))
    with open_media(path) as container:
        video = video_track(container, path)
        sound = audio_track(container, path)
        pictures: list[av.Packet] = []
        sounds: list[av.Packet] = []

        def video_packets() -> Iterator[av.Packet]:
            for packet in read_packets(container, *([video, sound] if sound else [video])):
                if packet.stream.index == video.index:
                    yield packet
                else:
                    sounds.append(packet)

        table = read_table(video, kept(video_packets(), pictures))
        frames = sampler.sample(video, pictures, table)
        audio = None
        if sound is not None:
            audio = cut_segments(path, sounds, frames.timestamps, rate=rate, seconds=seconds)
        if table.tells_orientation:  # the first frame and the first sampled frame may differ in orientation
            info = probe(path)
        else:
            info = describe(container, video, sound, rotation=frames.rotation)
    return Sample(info=info, frames=frames, audio=audio)
