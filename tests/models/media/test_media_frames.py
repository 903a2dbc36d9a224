"""The sampled frames are those that a full sequential decode has at their index."""

import os
import struct

import av
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.media import MediaError, probe, sample, sample_frames, sampled_indices
from models.media.container import decoded

# Name of the file, encoder and its options: how the frames refer to each other differs between all of these.
KINDS = {
    "one group of pictures": ("a.mp4", {"options": {"g": "250", "bf": "3", "b-pyramid": "normal"}}),
    "short groups": ("a.mp4", {"options": {"g": "8", "bf": "2"}}),
    "open groups": ("a.mp4", {"options": {"g": "12", "bf": "3", "x264-params": "open-gop=1"}}),
    "intra refresh": ("a.mkv", {"options": {"g": "12", "x264-params": "intra-refresh=1"}}),
    "no b-frames": ("a.mp4", {"options": {"g": "10", "bf": "0"}}),
    "matroska": ("a.mkv", {"options": {"g": "12", "bf": "2"}}),
    "transport stream": ("a.ts", {"options": {"g": "12", "bf": "2"}}),
    "flash": ("a.flv", {"options": {"g": "12", "bf": "2"}}),
    "fragmented": ("a.mp4", {"container_options": {"movflags": "frag_keyframe+empty_moov"}, "options": {"g": "10"}}),
    "10 bit": ("a.mp4", {"pixels": "yuv420p10le", "options": {"g": "12"}}),
    "4:4:4": ("a.mp4", {"pixels": "yuv444p"}),
    "hevc": ("a.mp4", {"codec": "libx265", "options": {"g": "12", "x265-params": "log-level=none:bframes=3"}}),
    "hevc open groups": ("a.mkv", {"codec": "libx265", "options": {"x265-params": "keyint=12:open-gop=1:log-level=0"}}),
    "hevc 10 bit": ("a.mp4", {"codec": "libx265", "pixels": "yuv420p10le", "options": {"x265-params": "log-level=0"}}),
    "vp8": ("a.webm", {"codec": "libvpx", "options": {"g": "12", "auto-alt-ref": "1", "lag-in-frames": "12"}}),
    "vp9": ("a.webm", {"codec": "libvpx-vp9", "options": {"g": "12", "auto-alt-ref": "1", "lag-in-frames": "12"}}),
    "av1": ("a.mp4", {"codec": "libsvtav1", "options": {"preset": "12", "g": "12", "svtav1-params": "lp=1"}}),
    "av1 10 bit": (
        "a.mkv",
        {
            "codec": "libsvtav1",
            "pixels": "yuv420p10le",
            "options": {"preset": "12", "g": "12", "svtav1-params": "lp=1"},
        },
    ),
    "hevc transport stream": (
        "a.ts",
        {"codec": "libx265", "options": {"x265-params": "keyint=9:bframes=3:log-level=0"}},
    ),
    "interlaced": ("a.mp4", {"options": {"g": "12", "bf": "2", "flags": "+ildct+ilme"}}),
    "without a duration": ("a.mkv", {"options": {"g": "12", "bf": "2"}, "container_options": {"live": "1"}}),
    "mpeg-4 in avi": ("a.avi", {"codec": "mpeg4", "options": {"g": "12", "bf": "2"}}),
    "mpeg-4 in mp4": ("a.mp4", {"codec": "mpeg4", "options": {"g": "12", "bf": "2"}}),
    "mpeg-2": ("a.ts", {"codec": "mpeg2video", "options": {"g": "12", "bf": "2"}}),
    "motion jpeg": ("a.mov", {"codec": "mjpeg", "pixels": "yuvj420p"}),
    "windows media": ("a.wmv", {"codec": "wmv2"}),
}


def check(frames, reference, number_of=None):
    """Every image and time is that of the sequential decode, bit for bit."""
    for image, time, index in zip(frames.images, frames.timestamps, frames.indices, strict=True):
        expected_time, expected = reference[index]
        assert time == pytest.approx(expected_time, abs=1e-9)
        np.testing.assert_array_equal(image, expected)
        if number_of:
            assert number_of(image) == index


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("count", [1, 10, 39])
def test_frames_are_those_of_a_sequential_decode(clip, reference, number_of, kind, count):
    name, arguments = KINDS[kind]
    path = clip(name, **arguments)
    expected = reference(path)
    frames = sample_frames(path, count=count)
    assert frames.indices.tolist() == sampled_indices(len(expected), count=count).tolist()
    check(frames, expected, number_of if len(expected) == 40 else None)


@pytest.mark.parametrize("options", [{"g": "250", "bf": "3"}, {"g": "8", "bf": "3"}])
def test_one_decoder_thread_or_several_give_the_same(clip, options):
    path = clip(options=options)
    one, several = sample_frames(path, threads=1), sample_frames(path, threads=4)
    for first, second in zip(one.images, several.images, strict=True):
        np.testing.assert_array_equal(first, second)


def test_variable_frame_rate(clip, reference, number_of):
    rng = np.random.default_rng(3)
    times = np.cumsum(rng.choice([900, 3000, 45000], 40)).tolist()
    path = clip(times=times, options={"bf": "2", "g": "9"})
    frames = sample_frames(path)
    check(frames, reference(path), number_of)
    assert np.unique(np.diff(frames.timestamps).round(3)).size > 3  # the clip is what the test says it is
    start = times[0] / 90000 - frames.timestamps[0] if frames.indices[0] == 0 else 0
    np.testing.assert_allclose(
        np.diff(frames.timestamps), np.diff(np.array(times)[frames.indices] / 90000), atol=1e-3 + start
    )


@pytest.mark.parametrize("name", ["a.mkv", "a.ts", "a.mp4"])
def test_a_clock_that_does_not_start_at_zero(clip, reference, number_of, name):
    path = clip(name, times=[450_000 + 3600 * number for number in range(40)])
    frames = sample_frames(path)
    check(frames, reference(path), number_of)
    assert np.diff(frames.timestamps) == pytest.approx(np.diff(frames.indices) * 0.04, abs=2e-3)


@pytest.mark.parametrize("frames", [1, 2, 9, 10, 11])
@pytest.mark.parametrize("name", ["a.mp4", "a.avi"])
def test_few_frames_are_each_given_once(clip, reference, number_of, frames, name):
    path = clip(name, frames=frames, codec="mpeg4" if name == "a.avi" else "libx264")
    sampled = sample_frames(path, count=10)
    assert len(sampled.images) == min(10, frames) == len(set(sampled.indices.tolist()))
    check(sampled, reference(path), number_of)


def test_odd_sizes_and_one_pixel(clip, reference):
    for number, (width, height) in enumerate([(81, 63), (1, 1), (17, 300)]):
        path = clip(f"{number}.mp4", frames=12, pixels="yuv444p", width=width, height=height)
        frames = sample_frames(path, count=3)
        assert frames.images[0].shape == (height, width, 3)
        check(frames, reference(path))


def test_scaling_down_keeps_the_shape_and_the_picture(clip, number_of, reference):
    path = clip(width=160, height=96)
    small = sample_frames(path, max_side=80)
    for image, index in zip(small.images, small.indices):
        assert image.shape == (48, 80, 3) and number_of(image) == index
        means = reference(path)[index][1].reshape(48, 2, 80, 2, 3).mean((1, 3))
        assert np.abs(image - means).mean() < 3  # the area average, up to the chroma's own resolution
    unscaled = sample_frames(path, max_side=161)
    check(unscaled, reference(path), number_of)


def test_the_stride_of_mmra(clip, number_of):
    path = clip(frames=40)
    frames = sample_frames(path, count=100, method="stride", stride=12)
    assert [number_of(image) for image in frames.images] == frames.indices.tolist() == [0, 12, 24]
    assert sample_frames(path, count=2, method="stride", stride=12).indices.tolist() == [0, 12]
    assert sample_frames(path, method="stride", stride=50).indices.tolist() == [0]


@given(total=st.integers(1, 10_000), count=st.integers(1, 100))
def test_even_indices_are_the_centres_of_equal_parts(total, count):
    indices = sampled_indices(total, count=count)
    if total <= count:
        assert indices.tolist() == list(range(total))
    else:
        assert len(indices) == count
        for part, index in enumerate(indices.tolist()):
            centre = (part + 0.5) * total / count
            assert index <= centre < index + 1
        assert (np.diff(indices) > 0).all()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"count": 0}, "count must be at least 1"),
        ({"method": "random"}, "method must be one of even, stride, given 'random'"),
        ({"method": "stride"}, "needs a stride"),
        ({"method": "stride", "stride": 0}, "needs a stride"),
        ({"stride": 3}, "is for method 'stride' only"),
        ({"max_side": 0}, "max_side must be at least 1"),
    ],
)
def test_wrong_arguments_are_refused_before_the_file_is_opened(arguments, message):
    with pytest.raises(ValueError, match=message):
        sample_frames("/no/such/file.mp4", **arguments)


def cut(path, share):
    os.truncate(path, int(share * path.stat().st_size))
    return path


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv", "a.ts"])
@pytest.mark.parametrize("share", [0.9, 0.6, 0.5])
def test_a_truncated_file_gives_what_a_sequential_decode_yields(clip, reference, name, share):
    path = clip(
        name, frames=120, options={"g": "12"}, container_options={"movflags": "faststart"} if name == "a.mp4" else {}
    )
    cut(path, share)
    expected = reference(path)
    assert 0 < len(expected) < 120
    frames = sample_frames(path)
    assert frames.indices.tolist() == sampled_indices(len(expected)).tolist()
    check(frames, expected)


def test_damage_in_the_middle_of_a_file(clip, reference):
    path = clip(frames=120, options={"g": "250"}, container_options={"movflags": "faststart"})
    data = bytearray(path.read_bytes())
    middle = len(data) * 3 // 5
    data[middle : middle + 400] = bytes(400)
    path.write_bytes(data)
    frames, expected = sample_frames(path), reference(path)
    assert len(frames.images) == 10 and len(expected) < 120
    check(frames, expected)
    assert frames.damage.startswith(f"the decoder refused what follows frame {len(expected)}: ")
    assert sample_frames(clip("whole.mp4")).damage is None


def test_an_mp4_cut_before_its_index_is_truncated(clip):
    path = cut(clip(frames=60), 0.5)
    with pytest.raises(MediaError) as caught:
        sample_frames(path)
    assert caught.value.kind == "truncated"


def test_a_track_that_cannot_be_decoded(clip):
    path = clip(frames=30, container_options={"movflags": "faststart"})
    data = bytearray(path.read_bytes())
    start = data.index(b"mdat") + 4
    data[start:] = np.random.default_rng(0).integers(0, 256, len(data) - start, dtype=np.uint8).tobytes()
    path.write_bytes(data)
    with pytest.raises(MediaError) as caught:
        sample_frames(path)
    assert caught.value.kind == "decode"


@pytest.mark.parametrize("pixels", ["yuv420p", "yuv420p10le"])
@pytest.mark.parametrize("colorspace", ["ITU601", "ITU709"])
@pytest.mark.parametrize("color_range", ["MPEG", "JPEG"])
def test_colours_are_converted_by_the_matrix_and_range_of_the_file(clip, paint, pixels, colorspace, color_range):
    tags = {"colorspace": {"ITU601": "smpte170m", "ITU709": "bt709"}[colorspace], "color_range": color_range.lower()}
    path = clip(
        pixels=pixels,
        options={**tags, "qp": "1"},
        colours={"dst_colorspace": colorspace, "dst_color_range": color_range},
    )
    image, expected = sample_frames(path, count=1).images[0], paint(20)
    for x in (20, 60):
        np.testing.assert_allclose(image[50, x], expected[50, x], atol=3)


def test_frames_before_an_edit_list_are_not_shown(clip, reference):
    # Copying from the middle of a group leaves frames in the file that are decoded and not shown.
    source = clip(frames=60, options={"g": "30", "bf": "2"})
    path = source.with_name("copied.mp4")
    with av.open(str(source)) as old, av.open(str(path), "w") as new:
        track = new.add_stream_from_template(old.streams.video[0])
        shift = None
        for packet in old.demux(old.streams.video[0]):
            if packet.dts is None:
                continue
            if shift is None:
                shift = packet.pts + 10 * 3600 * old.streams.video[0].time_base.denominator // 90000
            packet.pts, packet.dts = packet.pts - shift, packet.dts - shift
            packet.stream = track
            new.mux(packet)
    expected = reference(path)
    frames = sample_frames(path)
    assert frames.indices.tolist() == sampled_indices(len(expected)).tolist()
    check(frames, expected)


RATIOS = {"4/3": 4 / 3, "16/11": 16 / 11, "8/9": 8 / 9, "1/2": 1 / 2}


@pytest.mark.parametrize("ratio", RATIOS)
@pytest.mark.parametrize("name", ["a.mp4", "a.mkv", "a.ts", "a.avi"])
def test_pixels_that_are_not_square_are_sampled_in_the_shape_that_is_shown(clip, number_of, ratio, name):
    codec = {"codec": "mpeg4", "options": {"aspect": ratio}} if name == "a.avi" else {}
    path = clip(name, aspect=ratio, **codec)
    width = round(80 * RATIOS[ratio])
    info, frames = probe(path), sample_frames(path)
    assert {image.shape for image in frames.images} == {(64, width, 3)} and (info.width, info.height) == (width, 64)
    assert [number_of(image) for image in frames.images] == frames.indices.tolist()
    assert sample(path, seconds=1).info == info
    longest = max(width, 64)
    for image in sample_frames(path, max_side=40).images:
        assert image.shape == (round(64 * 40 / longest), round(width * 40 / longest), 3)


def test_a_turned_picture_has_its_shape_too(clip, number_of):
    path = clip("a.mp4", aspect="4/3", width=64, height=80, transform=lambda image: np.rot90(image, 1))
    data = bytearray(path.read_bytes())
    place = data.index(b"tkhd") + 44
    data[place : place + 36] = struct.pack(">9i", 0, 65536, 0, -65536, 0, 0, 0, 0, 1 << 30)
    path.write_bytes(data)
    frames, info = sample_frames(path), probe(path)
    assert {image.shape for image in frames.images} == {(85, 80, 3)} and (info.width, info.height) == (80, 85)
    assert [number_of(image) for image in frames.images] == frames.indices.tolist()


def test_an_absurd_shape_of_pixels_is_not_believed(clip):
    assert sample_frames(clip("a.mp4", aspect="50/1")).images[0].shape == (64, 80, 3)


@pytest.mark.parametrize("count", [3, 10])
def test_the_reference_way_decodes_once(clip, reference, monkeypatch, count):
    # AVI has no presentation times, so that only a decode of all packets tells the frames.
    path = clip("a.avi", frames=60, options={"g": "20", "bf": "2"})
    expected = reference(path)
    passes = []
    monkeypatch.setattr("models.media.frames.decoded", lambda *arguments: passes.append(1) or decoded(*arguments))
    frames = sample_frames(path, count=count)
    check(frames, expected)
    assert len(passes) == 1


def test_the_reference_way_decodes_again_where_frames_are_missing(clip, reference, monkeypatch):
    path = clip("a.avi", frames=60, options={"g": "20", "bf": "0"})
    with av.open(str(path)) as container:
        packet = [packet for packet in container.demux(video=0) if packet.size][40]
    data = bytearray(path.read_bytes())
    data[packet.pos + 8 : packet.pos + 8 + 60] = bytes(60)
    path.write_bytes(data)
    expected = reference(path)
    assert len(expected) < 58
    passes = []
    monkeypatch.setattr("models.media.frames.decoded", lambda *arguments: passes.append(1) or decoded(*arguments))
    frames = sample_frames(path)
    assert frames.indices.tolist() == sampled_indices(len(expected)).tolist()
    check(frames, expected)
    assert len(passes) == 2
