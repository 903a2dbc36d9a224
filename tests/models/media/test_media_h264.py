"""Where an H.264 track's clock and its pictures' own counts disagree, the frames are those of a sequential decode."""

import struct
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import av
import numpy as np
import pytest

from models.media import sample, sample_frames, sampled_indices
from models.media.h264 import Bits, H264Track, Parameters
from models.media.packets import read_table

REORDERED = {"options": {"g": "15", "bf": "3", "b-adapt": "0", "x264-params": "b-pyramid=normal"}}


def copied(
    source: Path, name: str, change: Callable[[int, av.Packet], bool], *, extradata: bytes | None = None
) -> Path:
    """The video track in another file: of each packet by its number, whether it is kept, and what `change` makes of it."""
    path = source.with_name(name)
    with av.open(str(source)) as old, av.open(str(path), "w") as new:
        track = new.add_stream_from_template(old.streams.video[0])
        if extradata is not None:
            track.codec_context.extradata = extradata
        for number, packet in enumerate(packet for packet in old.demux(old.streams.video[0]) if packet.size):
            if change(number, packet):
                packet.stream = track
                new.mux(packet)
    return path


def parameters(path: Path) -> bytes:
    """The extradata of a file's video track (an avcC box)."""
    with av.open(str(path)) as container:
        return bytes(container.streams.video[0].codec_context.extradata)


def without_usability(extradata: bytes) -> bytes:
    """An avcC box whose sequence parameters end before the video usability information, as some encoders write them."""
    size = int.from_bytes(extradata[6:8], "big")
    unit = extradata[8 : 8 + size]
    fields = replace(Parameters.read(unit), reordered=None)
    bits = "".join(f"{byte:08b}" for byte in unit.replace(b"\0\0\3", b"\0\0"))
    for flag in (place for place in range(32, len(bits)) if bits[place] == "1"):
        short = bits[:flag] + "01"  # vui_parameters_present_flag is 0, and nothing follows
        made = int(short.ljust(-(-len(short) // 8) * 8, "0"), 2).to_bytes(-(-len(short) // 8), "big")
        with suppress(IndexError):
            if Parameters.read(made) == fields:
                return extradata[:6] + struct.pack(">H", len(made)) + made + extradata[8 + size :]
    raise AssertionError("no place to cut")


def check(path: Path, reference, *, reliable: bool, number_of=None) -> None:
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        assert read_table(stream, container.demux(stream)).reliable == reliable
    expected = reference(path)
    for count in (1, 3, 10, len(expected) - 1):
        frames = sample_frames(path, count=count)
        assert frames.indices.tolist() == sampled_indices(len(expected), count=count).tolist()
        for image, time, index in zip(frames.images, frames.timestamps, frames.indices, strict=True):
            assert time == pytest.approx(expected[index][0], abs=1e-9)
            np.testing.assert_array_equal(image, expected[index][1])
            assert number_of is None or number_of(image) == index


def test_a_container_without_presentation_times(clip, reference, number_of):
    check(clip("a.avi", **REORDERED), reference, reliable=False, number_of=number_of)


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv"])
def test_presentation_times_that_are_decoding_times(clip, reference, number_of, name):
    def flatten(number: int, packet: av.Packet) -> bool:
        packet.pts = packet.dts = number * 512
        return True

    path = copied(clip(**REORDERED), "flat" + name, flatten)
    check(path, reference, reliable=False, number_of=number_of)


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv", "a.ts"])
@pytest.mark.parametrize("lost", [{9}, {4, 22}, {3, 4, 5, 6}])
def test_packets_that_are_missing(clip, reference, name, lost):
    path = copied(clip(**REORDERED), "lost" + name, lambda number, _: number not in lost)
    check(path, reference, reliable=False)


def test_an_encoder_that_does_not_say_how_many_pictures_change_places(clip, reference):
    # No B-frames at first: that pictures change places comes after what is looked at when the file is opened.
    kinds = ["I", *24 * "P", *5 * ["B", "B", "B", "P"]]
    source = clip(kinds=kinds, frames=45, options={"g": "60", "bf": "3", "x264-params": "b-pyramid=normal:b-adapt=0"})
    assert Parameters.read(_unit(parameters(source))).reordered == 2
    short = without_usability(parameters(source))
    assert Parameters.read(_unit(short)).reordered is None
    matroska = copied(source, "short.mkv", lambda *_: True, extradata=short)
    assert len(reference(matroska)) < 45  # a decoder loses the first that come late, until it knows better
    check(matroska, reference, reliable=False)
    check(copied(source, "short.mp4", lambda *_: True, extradata=short), reference, reliable=True)


def _unit(extradata: bytes) -> bytes:
    return extradata[8 : 8 + int.from_bytes(extradata[6:8], "big")]


@pytest.mark.parametrize("pixels", ["yuv420p", "yuv444p", "yuv420p10le"])
def test_parameters_are_those_that_the_encoder_was_told(clip, pixels):
    told = {"bf": "2", "x264-params": "b-pyramid=none:nal-hrd=vbr:vbv-maxrate=900:vbv-bufsize=900:sar=4/3:cqm=jvt"}
    found = Parameters.read(_unit(parameters(clip(pixels=pixels, options=told))))
    assert (found.count_type, found.reordered, found.frames_only, found.separate_planes) == (0, 1, True, False)
    still = Parameters.read(
        _unit(parameters(clip("b.mp4", pixels=pixels, options={"bf": "0", "x264-params": "cqm=jvt"})))
    )
    assert (still.count_type, still.reordered) == (2, 0)


def test_numbers_of_a_unit():
    bits = Bits(b"\x67" + bytes([0b1_010_011_0, 0b0100_0000]) + b"\0\0\3\1")
    assert [bits.ue(), bits.ue(), bits.ue(), bits.ue()] == [0, 1, 2, 3]
    bits.u(4)
    assert bits.u(24) == 1
    with pytest.raises(IndexError, match="ends within a field"):
        bits.u(1)


def test_damage_in_a_packet_that_no_wanted_frame_needs(clip, reference):
    # The chain of units is broken in one packet: a sequential decode ends there, whichever frames are wanted.
    path = clip(frames=60, options={"g": "250", "bf": "2"}, container_options={"movflags": "faststart"})
    with av.open(str(path)) as container:
        packets = [packet for packet in container.demux(video=0) if packet.size]
    late = packets[50]
    data = bytearray(path.read_bytes())
    data[late.pos : late.pos + 4] = b"\x7f\xff\xff\xff"
    path.write_bytes(data)
    assert len(reference(path)) < 51
    check(path, reference, reliable=False)


def test_a_packet_is_read_by_the_lengths_or_the_start_codes_of_its_track(clip):
    source = clip(options={"g": "10", "bf": "0", "sc_threshold": "0"})
    with av.open(str(source)) as container:
        packets = [bytes(packet) for packet in container.demux(video=0) if packet.size]
    track = H264Track(parameters(source))
    assert [track.is_idr(data) for data in packets] == [number % 10 == 0 for number in range(40)]
    assert track.in_order(np.arange(40), delay_known=False)
    assert not track.in_order(np.roll(np.arange(40), 1), delay_known=True)
    assert not track.is_idr(packets[0][:-1]) and not track.whole
    assert not H264Track(None).is_idr(packets[0])


def flash_tags(path: Path) -> tuple[bytes, list[bytearray]]:
    """The header of an FLV file and its tags."""
    data = path.read_bytes()
    tags, position = [], 13
    while position + 11 <= len(data):
        size = 11 + int.from_bytes(data[position + 1 : position + 4], "big") + 4
        tags.append(bytearray(data[position : position + size]))
        position += size
    return data[:13], tags


def test_headers_that_change_on_the_way(clip, tmp_path):
    # What a live stream gives whose encoder was started again: the pictures turn from one shape to another.
    header, first = flash_tags(clip("first.flv", options={"g": "12", "bf": "2"}))
    _, second = flash_tags(clip("second.flv", width=48, height=96, options={"g": "12", "bf": "2"}))
    for tag in second:
        tag[4:7] = (int.from_bytes(tag[4:7], "big") + 1700).to_bytes(3, "big")
    path = tmp_path / "both.flv"
    path.write_bytes(header + b"".join([*first, *(tag for tag in second if tag[0] != 18)]))
    frames = sample_frames(path, count=4)
    assert frames.indices.tolist() == [10, 30, 50, 70]
    with av.open(str(path)) as container:
        for index, frame in enumerate(container.decode(video=0)):
            if index in frames.indices:
                place = frames.indices.tolist().index(index)
                np.testing.assert_array_equal(frames.images[place], frame.to_ndarray(format="rgb24"))
                assert frames.timestamps[place] == frame.time
    assert [image.shape for image in frames.images] == [(64, 80, 3)] * 2 + [(96, 48, 3)] * 2


def test_a_clock_that_jumps_back(clip, tmp_path):
    later = clip("later.ts", times=[180_000 + 3600 * number for number in range(40)], options={"g": "12", "bf": "2"})
    sooner = clip("sooner.ts", times=[3600 * number + 1234 for number in range(40)], options={"g": "12", "bf": "2"})
    path = tmp_path / "both.ts"
    path.write_bytes(later.read_bytes() + sooner.read_bytes())
    with av.open(str(path)) as container:
        times = [frame.time for frame in container.decode(video=0)]
    assert min(times) == times[40] < times[0]
    assert sample_frames(path, count=8).timestamps.tolist() == [times[index] for index in range(5, 80, 10)]


def test_a_track_that_appears_on_the_way(clip, tmp_path):
    # The header of an FLV file names no sound, and it comes after what is looked at when the file is opened.
    sound = np.zeros((1, 32000), dtype=np.float32)
    noisy = {"width": 320, "height": 240, "options": {"qp": "1", "preset": "ultrafast"}, "transform": noise}
    header, tags = flash_tags(clip("a.flv", frames=80, sound=sound, **noisy))
    path = tmp_path / "late.flv"
    silent = bytes([*header[:4], 1, *header[5:]])
    path.write_bytes(silent + b"".join(sorted(tags, key=lambda tag: tag[0] == 8)))
    with av.open(str(path)) as container:
        assert not container.streams.audio
    assert sample_frames(path, count=4).indices.tolist() == [10, 30, 50, 70]
    assert sample(path, count=4, seconds=0.1).audio is None


def noise(image: np.ndarray) -> np.ndarray:
    return np.random.default_rng(int(image.sum())).integers(0, 256, (240, 320, 3), dtype=np.uint8)
