"""Everything that the pipeline takes from a media file, from one opening of it."""

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
    """What was taken from a file: what it says of itself, its frames, and the sound around each (None: no track)."""

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
    """Return what `probe`, `sample_frames` and `sample_audio` at the frames' timestamps do, from one reading of the file.

    A file above 256 MiB, whose packets aren't held in memory, is opened and read for each.

    Arguments, results and errors are theirs.
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
        if table.tells_orientation:  # the first frame's may differ from that of the first frame sampled
            info = probe(path)
        else:
            info = describe(container, video, sound, rotation=frames.rotation)
    return Sample(info=info, frames=frames, audio=audio)
