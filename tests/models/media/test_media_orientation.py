"""Turned and mirrored videos come out upright, as a player shows them."""

import io
import struct
from fractions import Fraction

import av
import numpy as np
import pytest
from PIL import Image, ImageOps

from models.media import probe, sample, sample_frames

# The (a, b, c, d) of the display matrix, by what it does to the stored picture, and the picture to store so that an
# upright one is shown.
TURNS = {
    "as it is": ((1, 0, 0, 1), 0, lambda image: image),
    "clockwise": ((0, 1, -1, 0), 90, lambda image: np.rot90(image, 1)),
    "half": ((-1, 0, 0, -1), 180, lambda image: np.rot90(image, 2)),
    "anticlockwise": ((0, -1, 1, 0), 270, lambda image: np.rot90(image, -1)),
    "mirrored": ((-1, 0, 0, 1), 0, lambda image: image[:, ::-1]),
    "upside down": ((1, 0, 0, -1), 0, lambda image: image[::-1]),
    "transposed": ((0, 1, 1, 0), 90, lambda image: image.swapaxes(0, 1)),
}


def with_matrix(path, matrix):
    """Write a matrix into the track header of an mp4 (tkhd box, version 0: it ends with the matrix, width, height)."""
    data = bytearray(path.read_bytes())
    box = data.index(b"tkhd")
    a, b, c, d = (value * 65536 for value in matrix)
    data[box + 44 : box + 80] = struct.pack(">9i", a, b, 0, c, d, 0, 0, 0, 1 << 30)
    path.write_bytes(data)
    return path


@pytest.mark.parametrize("turn", TURNS)
def test_pictures_are_upright(clip, number_of, paint, turn):
    matrix, degrees, stored = TURNS[turn]
    height, width = stored(paint(0)).shape[:2]
    path = with_matrix(clip(width=width, height=height, transform=stored), matrix)
    frames = sample_frames(path)
    for image, index in zip(frames.images, frames.indices):
        assert image.shape == (64, 80, 3) and image.flags.c_contiguous
        assert number_of(image) == index
    info = probe(path)
    assert (info.width, info.height, info.rotation) == (80, 64, degrees)
    assert sample(path, seconds=1).info == info
    assert frames.rotation == degrees


def test_scaling_goes_by_the_longest_side_of_a_turned_picture(clip, number_of):
    path = with_matrix(clip(width=64, height=80, transform=lambda image: np.rot90(image, 1)), (0, 1, -1, 0))
    frames = sample_frames(path, max_side=40)
    assert frames.images[0].shape == (32, 40, 3)
    assert [number_of(image) for image in frames.images] == frames.indices.tolist()


def agrees(path, number_of, *, shape=(64, 80, 3)):
    """Probe and all frames, however many are sampled, agree on the picture, which is upright."""
    info = probe(path)
    assert (info.height, info.width, 3) == shape
    assert sample(path, seconds=1).info == info
    for count in (1, 3, 40):
        frames = sample_frames(path, count=count)
        assert {image.shape for image in frames.images} == {shape}
        assert [number_of(image) for image in frames.images] == frames.indices.tolist()


def with_messages(source, name, turns):
    """An H.264 or HEVC track with display orientation messages: degrees anticlockwise by the number of the packet.

    (H.264 D.1.27, H.265 D.2.17: not cancelled, not flipped, turned, until further notice)
    """
    path = source.with_name(name)
    with av.open(str(source)) as old, av.open(str(path), "w") as new:
        track = new.add_stream_from_template(old.streams.video[0])
        for number, packet in enumerate(packet for packet in old.demux(video=0) if packet.size):
            told = packet
            if number in turns:
                is_hevc = old.streams.video[0].codec_context.name == "hevc"
                fields = f"000{round(turns[number] / 360 * 65536):016b}" + ("11000" if is_hevc else "01001")
                header = bytes([39 << 1, 1]) if is_hevc else bytes([6])
                unit = header + bytes([47, 3]) + int(fields, 2).to_bytes(3, "big") + b"\x80"
                told = av.Packet(len(unit).to_bytes(4, "big") + unit + bytes(packet))
                told.pts, told.dts, told.time_base = packet.pts, packet.dts, packet.time_base
                told.is_keyframe = packet.is_keyframe
            told.stream = track
            new.mux(told)
    return path


ENCODERS = {
    "h264": {"options": {"g": "10", "bf": "2", "sc_threshold": "0"}},
    "hevc": {
        "codec": "libx265",
        "options": {"x265-params": "keyint=10:min-keyint=10:open-gop=0:bframes=2:scenecut=0:log-level=0"},
    },
}


@pytest.mark.parametrize("codec", ENCODERS)
@pytest.mark.parametrize("name", ["a.mp4", "a.mkv", "a.ts"])
@pytest.mark.parametrize(("degrees", "quarters"), [(90, -1), (180, 2), (270, 1)])
def test_an_orientation_told_only_in_the_stream_holds_for_all_frames(
    clip, number_of, paint, codec, name, degrees, quarters
):
    height, width = np.rot90(paint(0), quarters).shape[:2]
    stored = {"width": width, "height": height, "transform": lambda image: np.rot90(image, quarters)}
    source = clip("source.mkv", **stored, **ENCODERS[codec])
    agrees(with_messages(source, name, {0: degrees}), number_of)
    agrees(with_messages(source, "every" + name, dict.fromkeys(range(0, 40, 10), degrees)), number_of)


@pytest.mark.parametrize("codec", ENCODERS)
def test_an_orientation_that_changes_in_the_stream(clip, number_of, codec):
    def stored(image):
        return np.rot90(image, -1) if number_of(image) < 20 else np.rot90(image, 1)

    source = clip("source.mp4", width=64, height=80, transform=stored, **ENCODERS[codec])
    agrees(with_messages(source, "once.mp4", {0: 90, 20: 270}), number_of)
    agrees(with_messages(source, "every.mp4", {0: 90, 10: 90, 20: 270, 30: 270}), number_of)


def test_the_container_overrules_the_stream(clip, number_of):
    source = clip("source.mp4", width=64, height=80, transform=lambda image: np.rot90(image, 1), **ENCODERS["h264"])
    agrees(with_matrix(with_messages(source, "both.mp4", {0: 90}), (0, 1, -1, 0)), number_of)


def with_exif(image, orientation):
    """A JPEG file whose EXIF tells how to turn it, with other tags too; without EXIF if None."""
    exif = Image.Exif()
    exif[0x010E] = "a description"
    if orientation:
        exif[0x0112] = orientation
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, format="JPEG", quality=95, **({} if orientation is None else {"exif": exif}))
    return buffer.getvalue()


@pytest.mark.parametrize("orientation", range(9))
@pytest.mark.parametrize("ending", ["jpg", "png", "webp"])
def test_a_photo_is_turned_as_its_exif_says(tmp_path, paint, orientation, ending):
    path = tmp_path / f"photo.{ending}"
    picture = Image.open(io.BytesIO(with_exif(paint(5), orientation)))
    picture.save(path, exif=picture.getexif(), **({"quality": 95} if ending != "png" else {}))
    expected = np.asarray(ImageOps.exif_transpose(Image.open(path)).convert("RGB"))
    (image,) = sample_frames(path).images
    assert image.shape == expected.shape and np.abs(image.astype(int) - expected).mean() < 4
    info = probe(path)
    assert (info.height, info.width) == expected.shape[:2]


def motion_jpeg(path, pictures):
    """Pictures of a camera that writes JPEG files one after another into an AVI."""
    with av.open(str(path), "w") as container:
        track = container.add_stream("mjpeg", rate=25)
        track.width, track.height, track.pix_fmt = *Image.open(io.BytesIO(pictures[0])).size, "yuvj420p"
        for number, data in enumerate(pictures):
            packet = av.Packet(data)
            packet.pts = packet.dts = number
            packet.time_base, packet.is_keyframe, packet.stream = Fraction(1, 25), True, track
            container.mux(packet)
    return path


@pytest.mark.parametrize("later", [6, None, 0])
def test_motion_jpeg_is_turned_as_every_picture_or_the_first_one_says(tmp_path, paint, number_of, later):
    stored = [np.rot90(paint(number), 1) for number in range(40)]
    pictures = [with_exif(image, 6 if number == 0 else later) for number, image in enumerate(stored)]
    agrees(motion_jpeg(tmp_path / "a.avi", pictures), number_of)


def test_side_data_without_a_name_is_no_error(tmp_path, paint, number_of):
    pictures = [with_exif(paint(number), 0) for number in range(40)]
    agrees(motion_jpeg(tmp_path / "a.avi", pictures), number_of)
