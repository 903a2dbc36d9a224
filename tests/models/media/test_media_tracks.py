"""Of several tracks the one that a player plays is used, by probe and samplers alike."""

import av
import numpy as np
import pytest
from av.stream import Disposition

from models.media import MediaError, probe, sample, sample_audio, sample_frames

RATE = 16000


def tone(hertz, seconds=1.6):
    return (0.3 * np.sin(2 * np.pi * hertz * np.arange(round(seconds * RATE)) / RATE)).astype(np.float32)[None]


def joined(path, sources, *, marks=None):
    """The tracks of several files in one file; `marks` are their dispositions, in order."""
    with av.open(str(path), "w") as new:
        packets, opened = [], [av.open(str(source)) for source in sources]
        for container in opened:
            for stream in container.streams:
                track = new.add_stream_from_template(stream)
                track.disposition = (marks or {}).get(track.index, Disposition(0))
                container.seek(0)
                for packet in container.demux(stream):
                    if packet.size:
                        packets.append((float(packet.dts * packet.time_base), len(packets), packet, track))
        for _, _, packet, track in sorted(packets, key=lambda entry: entry[:2]):
            packet.stream = track
            new.mux(packet)
        for container in opened:
            container.close()
    return path


def seen(path):
    """(shape of the pictures, loudest frequency of the sound), which probe and `sample` must agree with."""
    info, frames = probe(path), sample_frames(path)
    segments = sample_audio(path, [0.8], rate=RATE, seconds=0.5)
    both = sample(path, rate=RATE, seconds=0.5)
    assert (info.height, info.width) == frames.images[0].shape[:2]
    assert both.info == info and both.frames.indices.tolist() == frames.indices.tolist()
    assert info.has_audio == (segments is not None) == (both.audio is not None)
    if segments is None:
        return (info.width, info.height), None
    np.testing.assert_array_equal(sample_audio(path, both.frames.timestamps, rate=RATE, seconds=0.5), both.audio)
    return (info.width, info.height), int(np.abs(np.fft.rfft(segments[0])).argmax() * 2)


@pytest.fixture
def pair(clip):
    """Two clips of different shape and tone."""
    return [
        clip("small.mp4", frames=40, sound=tone(440)),
        clip("large.mp4", frames=40, width=160, height=96, sound=tone(3000)),
    ]


SMALL, LARGE = (80, 64), (160, 96)


@pytest.mark.parametrize("default", [0, 1])
def test_the_default_track_is_taken(pair, tmp_path, default):
    marks = {2 * default: Disposition.default, 2 * default + 1: Disposition.default}
    path = joined(tmp_path / "a.mkv", pair, marks=marks)
    assert seen(path) == [(SMALL, 440), (LARGE, 3000)][default]


def test_a_track_for_some_is_not_taken(pair, tmp_path):
    both = Disposition.default
    marks = {0: both, 2: both, 1: both | Disposition.visual_impaired, 3: both}
    assert seen(joined(tmp_path / "a.mkv", pair, marks=marks))[1] == 3000


def test_of_equals_the_one_with_the_most_data_is_taken(clip, tmp_path):
    thin, rich = clip("thin.mp4", options={"qp": "50"}), clip("rich.mp4", width=160, height=96, options={"qp": "1"})
    for order in ([thin, rich], [rich, thin]):
        assert seen(joined(tmp_path / "a.mkv", order))[0] == LARGE


def test_a_moving_picture_is_taken_before_a_still_one(clip, tmp_path):
    still = clip("still.mov", frames=1, width=160, height=96, codec="mjpeg", pixels="yuvj420p")
    path = joined(tmp_path / "a.mkv", [still, clip("moving.mp4")], marks={0: Disposition.default})
    assert seen(path)[0] == SMALL


def test_cover_art_is_not_a_video(clip, tmp_path):
    cover = clip("cover.mov", frames=1, width=160, height=96, codec="mjpeg", pixels="yuvj420p")
    path = joined(tmp_path / "a.mp4", [cover, clip("moving.mp4")], marks={0: Disposition.attached_pic})
    assert seen(path)[0] == SMALL
    sound = clip("sound.m4a", frames=0, sound=tone(440))
    with pytest.raises(MediaError, match="no video track") as caught:
        probe(joined(tmp_path / "b.mp4", [cover, sound], marks={0: Disposition.attached_pic}))
    assert caught.value.kind == "no_video"


def test_sound_is_taken_before_silence(clip, tmp_path):
    silent = clip("silent.mp4", sound=0 * tone(440))
    heard = clip("heard.mp4", frames=0, sound=tone(3000))
    path = joined(tmp_path / "a.mkv", [silent, heard], marks={1: Disposition.default})
    assert seen(path) == (SMALL, 3000)


def test_a_track_without_packets_is_not_taken(clip, tmp_path):
    empty = clip("empty.mp4", frames=40, sound=tone(440))
    heard = clip("heard.mp4", frames=0, sound=tone(3000))
    path = tmp_path / "a.mkv"
    with av.open(str(path), "w") as new, av.open(str(empty)) as first, av.open(str(heard)) as second:
        tracks = {}
        for number, stream in enumerate([first.streams[0], first.streams[1], second.streams[0]]):
            tracks[number] = new.add_stream_from_template(stream)
        for number, container in ((0, first), (2, second)):
            for packet in container.demux(video=0) if number == 0 else container.demux(audio=0):
                if packet.size:
                    packet.stream = tracks[number]
                    new.mux(packet)
    assert seen(path) == (SMALL, 3000)
