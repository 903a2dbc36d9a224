"""Segments of sound lie where the timestamps say, whatever the track's rate, layout and start."""

import re

import av
import numpy as np
import pytest
import soxr

from models.media import MediaError, sample, sample_audio, sample_frames

RATE = 16000
RNG = np.random.default_rng(0)


def sweep(seconds: float = 3.0, *, rate: int = RATE) -> np.ndarray:
    """(samples,) float32: a tone that rises from 200 Hz by 600 Hz a second, so that its pitch tells the time."""
    time = np.arange(round(seconds * rate)) / rate
    return (0.4 * np.sin(2 * np.pi * (200 * time + 300 * time**2))).astype(np.float32)


def pitch(segment: np.ndarray, rate: int) -> float:
    """Hz of the strongest frequency."""
    spectrum = np.abs(np.fft.rfft(segment * np.hanning(len(segment)), 8 * len(segment)))
    return spectrum.argmax() * rate / (8 * len(segment))


def lossless(clip, sound, **arguments):
    return clip("sound.mkv", frames=75, sound=sound, sound_codec="flac", **arguments)


def expected(sound: np.ndarray, time: float, *, rate: int, seconds: float, start: float = 0.0) -> np.ndarray:
    """The reference: the whole track between silences, cut around a time."""
    length = round(rate * seconds)
    padded = np.concatenate([np.zeros(10 * rate), sound, np.zeros(10 * rate)]).astype(np.float32)
    first = 10 * rate + round((time - seconds / 2 - start) * rate)
    return padded[first : first + length]


def test_segments_are_centred_on_the_timestamps_and_padded_at_the_ends(clip):
    sound = sweep()
    times = [0.0, 0.1, 1.5, 2.95]
    segments = sample_audio(lossless(clip, sound[None]), times, rate=RATE, seconds=0.5)
    for segment, time in zip(segments, times, strict=True):
        assert segment.shape == (8000,) and segment.dtype == np.float32
        np.testing.assert_allclose(segment, expected(sound, time, rate=RATE, seconds=0.5), atol=1e-4)
    assert not segments[0][:4000].any() and segments[0][4000:].any()


@pytest.mark.parametrize("rate", [8000, 44100, 48000])
def test_resampled_segments_are_cut_from_the_resampled_track(clip, rate):
    sound = sweep()
    times = [0.2, 1.5, 2.9]
    segments = sample_audio(lossless(clip, sound[None]), times, rate=rate, seconds=0.4)
    track = soxr.resample(sound, RATE, rate)
    for segment, time in zip(segments, times, strict=True):
        assert segment.shape == (round(rate * 0.4),)
        np.testing.assert_allclose(segment, expected(track, time, rate=rate, seconds=0.4), atol=1e-3)


@pytest.mark.parametrize("codec", ["aac", "libmp3lame", "libopus", "flac"])
@pytest.mark.parametrize("name", ["a.mkv", "a.mp4"])
def test_codecs_keep_time(clip, codec, name):
    path = clip(name, frames=75, sound=sweep(rate=48000)[None], sound_rate=48000, sound_codec=codec)
    times = np.arange(0.3, 2.8, 0.2)
    for segment, time in zip(sample_audio(path, times, rate=RATE, seconds=0.1), times, strict=True):
        assert pitch(segment, RATE) == pytest.approx(200 + 600 * time, abs=12)


def test_a_track_that_starts_late(clip):
    sound = sweep()
    path = lossless(clip, sound[None], sound_start=1.0)
    segments = sample_audio(path, [0.5, 1.0, 2.5], rate=RATE, seconds=0.5)
    assert not segments[0].any()
    for segment, time in zip(segments, [0.5, 1.0, 2.5], strict=True):
        np.testing.assert_allclose(segment, expected(sound, time, rate=RATE, seconds=0.5, start=1.0), atol=1e-4)


def test_segments_lie_at_the_frames(clip):
    path = clip("a.mp4", frames=75, sound=sweep(rate=48000)[None], sound_rate=48000)
    frames = sample_frames(path)
    segments = sample_audio(path, frames.timestamps, rate=RATE, seconds=0.1)
    for segment, time in zip(segments, frames.timestamps, strict=True):
        assert pitch(segment, RATE) == pytest.approx(200 + 600 * time, abs=12)


@pytest.mark.parametrize(
    ("layout", "weights"),
    [
        ("mono", [1]),
        ("stereo", [0.5, 0.5]),
        ("2.1", [0.5, 0.5, 0]),
        ("quad", np.array([1, 1, 0.5**0.5, 0.5**0.5]) / (2 + 2**0.5)),
        ("5.1", np.array([1, 1, 2**0.5, 0, 0.5**0.5, 0.5**0.5]) / (2 + 2 * 2**0.5)),
        ("7.1", np.array([1, 1, 2**0.5, 0, *4 * [0.5**0.5]]) / (2 + 3 * 2**0.5)),
    ],
)
def test_any_layout_becomes_mono(clip, layout, weights):
    channels = (0.2 * RNG.standard_normal((len(weights), 3 * RATE))).astype(np.float32)
    path = lossless(clip, channels, layout=layout)
    (segment,) = sample_audio(path, [1.5], rate=RATE, seconds=1)
    np.testing.assert_allclose(segment, (np.asarray(weights) @ channels)[RATE : 2 * RATE], atol=1e-4)


@pytest.mark.parametrize("layout", ["7.1", "hexadecagonal"])
def test_many_planes_of_channels(clip, layout):
    channels = {"7.1": 8, "hexadecagonal": 16}[layout]
    sound = np.tile(sweep(rate=48000), (channels, 1))
    path = clip("a.mkv", frames=75, sound=sound, layout=layout, sound_rate=48000, sound_codec="aac")
    (segment,) = sample_audio(path, [1.5], rate=RATE, seconds=0.1)
    assert pitch(segment, RATE) == pytest.approx(200 + 600 * 1.5, abs=12)


@pytest.mark.parametrize("codec", ["pcm_u8", "pcm_s16le", "pcm_s32le", "pcm_f32le", "pcm_f64le"])
def test_any_sample_format_becomes_float(clip, codec):
    sound = sweep()
    path = clip("a.mkv", frames=75, sound=np.stack([sound, sound]), layout="stereo", sound_codec=codec)
    (segment,) = sample_audio(path, [1.5], rate=RATE, seconds=1)
    np.testing.assert_allclose(segment, sound[RATE : 2 * RATE], atol=0.01 if codec == "pcm_u8" else 1e-4)


@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize("rate", [RATE, 48000])
def test_samples_that_are_no_numbers_are_silent(clip, value, rate):
    sound = sweep()
    sound[24000:24010] = 0
    times = [1.2, 1.5, 1.8]
    silent = sample_audio(
        clip("a.mkv", frames=75, sound=sound[None], sound_codec="pcm_f32le"), times, rate=rate, seconds=1
    )
    sound[24000:24010] = value
    found = sample_audio(
        clip("b.mkv", frames=75, sound=sound[None], sound_codec="pcm_f32le"), times, rate=rate, seconds=1
    )
    np.testing.assert_array_equal(found, silent)


def test_a_gap_in_the_track_is_silent(clip, tmp_path):
    # Two pieces of one track, the second moved by a second: the container's clock jumps.
    sound = sweep()
    source, path = lossless(clip, sound[None]), tmp_path / "gap.mkv"
    with av.open(str(source)) as old, av.open(str(path), "w") as new:
        track = new.add_stream_from_template(old.streams.audio[0])
        for packet in old.demux(old.streams.audio[0]):
            if packet.dts is not None:
                late = packet.pts * packet.time_base >= 1.5
                packet.pts = packet.dts = packet.pts + (round(1 / packet.time_base) if late else 0)
                packet.stream = track
                new.mux(packet)
    before, inside, after = sample_audio(path, [1.0, 2.1, 3.5], rate=RATE, seconds=0.2)
    np.testing.assert_allclose(before, expected(sound, 1.0, rate=RATE, seconds=0.2), atol=1e-4)
    assert not inside.any()
    # The jump is known to the container's millisecond.
    assert pitch(after, RATE) == pytest.approx(200 + 600 * 2.5, abs=12)


def test_no_track_is_none_and_no_timestamps_are_no_segments(clip):
    assert sample_audio(clip(), [0.5], rate=RATE, seconds=1) is None
    assert sample_audio(lossless(clip, sweep()[None]), [], rate=RATE, seconds=1) == []


def test_a_track_of_which_nothing_can_be_decoded(clip):
    path = lossless(clip, sweep()[None])
    data = bytearray(path.read_bytes())
    position = 0
    while (position := data.find(b"\xff\xf8", position)) >= 0:  # the sync code of a FLAC frame
        data[position : position + 16] = bytes(16)
    path.write_bytes(data)
    with pytest.raises(MediaError, match="not one sample") as caught:
        sample_audio(path, [0.5], rate=RATE, seconds=1)
    assert caught.value.kind == "decode"


def test_wrong_arguments_are_refused():
    with pytest.raises(ValueError, match="rate and seconds must be positive"):
        sample_audio("/no/such/file.mp4", [0], rate=0, seconds=1)
    with pytest.raises(ValueError, match="rate and seconds must be positive"):
        sample_audio("/no/such/file.mp4", [0], rate=RATE, seconds=0)


def test_one_opening_gives_what_three_give(clip):
    path = clip("a.mp4", frames=75, sound=sweep(rate=48000)[None], sound_rate=48000, options={"bf": "2", "g": "20"})
    found = sample(path, seconds=0.5, rate=RATE)
    frames = sample_frames(path)
    np.testing.assert_array_equal(found.frames.images, frames.images)
    np.testing.assert_array_equal(found.frames.timestamps, frames.timestamps)
    np.testing.assert_array_equal(found.audio, sample_audio(path, frames.timestamps, rate=RATE, seconds=0.5))
    assert sample(clip("silent.mp4"), seconds=0.5).audio is None


def test_a_file_too_large_to_hold_gives_the_same(clip, monkeypatch):
    path = clip("a.mp4", frames=75, sound=sweep(rate=48000)[None], sound_rate=48000, options={"bf": "2", "g": "20"})
    held = sample(path, seconds=0.5, rate=RATE)
    monkeypatch.setattr("models.media.packets._HELD", 0)
    read_again = sample(path, seconds=0.5, rate=RATE)
    np.testing.assert_array_equal(read_again.frames.images, held.frames.images)
    np.testing.assert_array_equal(read_again.frames.indices, held.frames.indices)
    np.testing.assert_array_equal(read_again.audio, held.audio)
    assert read_again.info == held.info


def spoiled(path, share):
    """One packet of sound in the file, at this share of the track, becomes noise; its time in seconds."""
    with av.open(str(path)) as container:
        packets = [packet for packet in container.demux(audio=0) if packet.size]
        packet = packets[int(share * len(packets))]
        time, data = float(packet.pts * packet.time_base), bytes(packet)
    file = bytearray(path.read_bytes())
    place = file.find(data)
    file[place : place + len(data)] = np.random.default_rng(1).integers(0, 256, len(data), dtype=np.uint8).tobytes()
    path.write_bytes(file)
    return time


@pytest.mark.parametrize(
    ("name", "codec"),
    [("a.mp4", "aac"), ("a.mkv", "aac"), ("a.mkv", "flac"), ("a.mkv", "libmp3lame")],
)
def test_one_damaged_packet_silences_no_more_than_itself(clip, name, codec):
    times = np.arange(0.3, 2.8, 0.2)
    path = clip(name, frames=75, sound=sweep(rate=48000)[None], sound_rate=48000, sound_codec=codec)
    whole = sample_audio(path, times, rate=RATE, seconds=0.1)
    assert whole.damage is None
    at = spoiled(path, 0.4)
    found = sample_audio(path, times, rate=RATE, seconds=0.1)
    (told,) = re.findall(r"^1 of \d+ packets of sound can't be decoded, the first at (\d\.\d\d) s: \w+", found.damage)
    assert float(told) == pytest.approx(at, abs=0.03)  # MP3's decoder notices with the packet after it
    far = np.abs(times - at) > 0.25
    assert far.sum() > 8
    for segment, before in zip(np.array(found)[far], np.array(whole)[far], strict=True):
        lag = np.correlate(segment, before, mode="full").argmax() - (len(before) - 1)
        assert abs(lag) <= 0.001 * RATE  # the same moment, but for the container's millisecond
        assert np.abs(segment).mean() == pytest.approx(np.abs(before).mean(), rel=0.05)
    assert sample(path, seconds=0.1).audio.damage == found.damage


def test_a_first_packet_that_is_damaged(clip):
    path = clip("a.mp4", frames=75, sound=sweep(rate=48000)[None], sound_rate=48000)
    spoiled(path, 0)
    (segment,) = sample_audio(path, [1.5], rate=RATE, seconds=0.1)
    assert pitch(segment, RATE) == pytest.approx(200 + 600 * 1.5, abs=12)
