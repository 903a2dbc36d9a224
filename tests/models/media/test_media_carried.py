"""Pictures that need what only an earlier packet carries are those of a sequential decode."""

from fractions import Fraction

import av
import numpy as np
import pytest

from models.media import sample_frames, sampled_indices
from models.media.packets import read_table


def check(path, reference, *, reliable, frames=40):
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        assert read_table(stream, container.demux(stream)).reliable == reliable
    expected = reference(path)
    assert len(expected) == frames
    for count in (1, 3, 10, frames - 1):
        found = sample_frames(path, count=count)
        assert found.indices.tolist() == sampled_indices(frames, count=count).tolist()
        for image, index in zip(found.images, found.indices, strict=True):
            np.testing.assert_array_equal(image, expected[index][1])


def test_a_palette_that_comes_once(tmp_path, paint, reference):
    path = tmp_path / "a.avi"
    with av.open(str(path), "w") as container:
        track = container.add_stream("rawvideo", rate=25)
        track.width, track.height, track.pix_fmt = 80, 64, "pal8"
        for number in range(40):
            colours = np.zeros((256, 4), dtype=np.uint8)
            colours[:, 0], colours[:, 1:] = 255, np.arange(256)[::-1, None]
            frame = av.VideoFrame.from_ndarray((paint(number)[..., 0].copy(), colours), format="pal8")
            frame.pts, frame.time_base = number, Fraction(1, 25)
            container.mux(track.encode(frame))
        container.mux(track.encode())
    assert len({image.tobytes() for _, image in reference(path)}) == 40
    check(path, reference, reliable=False)


def units(data: bytes) -> list[bytes]:
    """The units of a packet of a transport stream."""
    return [unit.rstrip(b"\0") for unit in data.split(b"\0\0\1") if unit.rstrip(b"\0")]


def put_together(path, first, second, is_parameters):
    """Two transport streams as one track; the parameter units of the second one come with its first packet only."""
    with av.open(str(first)) as one, av.open(str(second)) as other, av.open(str(path), "w") as new:
        track, shift = new.add_stream_from_template(one.streams.video[0]), 0
        for container in (one, other):
            packets = [packet for packet in container.demux(video=0) if packet.size]
            step = packets[1].duration
            start = packets[0].dts
            for number, packet in enumerate(packets):
                kept = units(bytes(packet))
                if container is other and number:
                    kept = [unit for unit in kept if not is_parameters(unit[0])]
                written = av.Packet(b"".join(b"\0\0\0\1" + unit for unit in kept))
                written.pts, written.dts = packet.pts - start + shift, packet.dts - start + shift
                written.time_base, written.is_keyframe, written.stream = packet.time_base, packet.is_keyframe, track
                new.mux(written)
            shift += step * len(packets)
    return path


H264 = {"g": "5", "bf": "0", "sc_threshold": "0"}
HEVC = "keyint=5:min-keyint=5:bframes=0:open-gop=0:scenecut=0:repeat-headers=1:log-level=0"


def test_parameters_of_h264_that_come_once(clip, tmp_path, reference):
    first = clip("first.ts", frames=20, options={**H264, "coder": "cabac"})
    second = clip("second.ts", frames=20, options={**H264, "coder": "cavlc"})
    path = put_together(tmp_path / "both.mkv", first, second, lambda head: head & 31 in (7, 8))
    check(path, reference, reliable=False)


def test_parameters_of_hevc_that_come_once(clip, tmp_path, reference):
    hevc = {"codec": "libx265", "frames": 20}
    first = clip("first.ts", options={"x265-params": HEVC + ":sign-hide=1"}, **hevc)
    second = clip("second.ts", options={"x265-params": HEVC + ":sign-hide=0:cbqpoffs=4"}, **hevc)
    path = put_together(tmp_path / "both.ts", first, second, lambda head: head >> 1 & 63 in (32, 33, 34))
    check(path, reference, reliable=False)


@pytest.mark.parametrize("name", ["a.ts", "a.mp4", "a.mkv"])
@pytest.mark.parametrize("codec", ["libx264", "libx265"])
def test_parameters_that_never_change_are_no_reason_to_decode_everything(clip, reference, name, codec):
    options = H264 if codec == "libx264" else {"x265-params": HEVC}
    check(clip(name, codec=codec, options=options), reference, reliable=True)


def test_tables_of_motion_jpeg_that_come_once(clip, tmp_path, reference):
    source, path = (
        clip("source.avi", codec="mjpeg", pixels="yuvj420p", options={"huffman": "optimal"}),
        tmp_path / "a.avi",
    )
    check(source, reference, reliable=True)
    with av.open(str(source)) as old, av.open(str(path), "w") as new:
        track = new.add_stream_from_template(old.streams.video[0])
        for number, packet in enumerate(packet for packet in old.demux(video=0) if packet.size):
            data = bytes(packet)
            while number and (place := data.find(b"\xff\xdb")) > 0:  # quantisation tables
                data = data[:place] + data[place + 2 + int.from_bytes(data[place + 2 : place + 4], "big") :]
            written = av.Packet(data)
            written.pts, written.dts, written.time_base = packet.pts, packet.dts, packet.time_base
            written.is_keyframe, written.stream = True, track
            new.mux(written)
    check(path, reference, reliable=False)
