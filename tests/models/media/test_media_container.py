"""What a file says about itself, and what is said of files that are none."""

import os
import pickle
import subprocess
import sys

import numpy as np
import pytest

from models.media import MediaError, MediaInfo, probe, sample, sample_audio, sample_frames

TONE = 0.4 * np.sin(2 * np.pi * 440 * np.arange(32000, dtype=np.float32)[None] / 16000)


def test_probe(clip):
    assert probe(clip(frames=50, sound=TONE)) == MediaInfo(
        duration=pytest.approx(2.0, abs=0.1),
        fps=25.0,
        width=80,
        height=64,
        rotation=0,
        has_audio=True,
        video_codec="h264",
        audio_codec="aac",
    )
    silent = probe(clip("silent.webm", codec="libvpx-vp9"))
    assert (silent.has_audio, silent.audio_codec, silent.video_codec) == (False, None, "vp9")


def test_a_missing_duration_is_read_from_the_packets(clip):
    path = clip("live.mkv", frames=50, container_options={"live": "1"})
    assert probe(path).duration == pytest.approx(2.0, abs=0.1)
    assert sample(path, seconds=1).info == probe(path)
    assert len(sample_frames(path).images) == 10


def write(tmp_path, name, data):
    path = tmp_path / name
    path.write_bytes(data)
    return path


@pytest.mark.parametrize(
    ("name", "data", "kind"),
    [
        ("empty.mp4", b"", "empty_file"),
        ("page.mp4", b"<!DOCTYPE html><html><body>404</body></html>" * 20, "not_media"),
        ("noise.mp4", np.random.default_rng(0).integers(0, 256, 5000, dtype=np.uint8).tobytes(), "not_media"),
        ("zeros.mp4", bytes(4096), "not_media"),
        ("playlist.mp4", b"#EXTM3U\n#EXTINF:10,\nhttp://localhost:9/a.ts\n#EXT-X-ENDLIST\n", "not_media"),
        ("head.mp4", b"\x00\x00\x00\x20ftypisom\x00\x00\x02\x00isomiso2avc1mp41", "truncated"),
        ("head.webm", b"\x1a\x45\xdf\xa3\x01\x00\x00\x00", "truncated"),
    ],
)
@pytest.mark.parametrize("use", [probe, sample_frames])
def test_files_that_cannot_be_opened(tmp_path, name, data, kind, use):
    path = write(tmp_path, name, data)
    with pytest.raises(MediaError) as caught:
        use(path)
    assert caught.value.kind == kind and str(path) in str(caught.value) and kind in str(caught.value)


def test_sound_alone_is_no_video(clip):
    path = clip("sound.m4a", frames=0, sound=TONE)
    for use in (probe, sample_frames, lambda path: sample(path, seconds=1)):
        with pytest.raises(MediaError, match="tracks found: audio") as caught:
            use(path)
        assert caught.value.kind == "no_video"
    assert len(sample_audio(path, [0.5], rate=16000, seconds=1)) == 1


def test_a_missing_file_a_folder_and_a_pipe(tmp_path):
    with pytest.raises(FileNotFoundError):
        probe(tmp_path / "none.mp4")
    with pytest.raises(MediaError, match="not a regular file"):
        probe(tmp_path)
    os.mkfifo(tmp_path / "pipe.mp4")
    with pytest.raises(MediaError, match="not a regular file"):  # and doesn't wait for a writer
        sample_frames(tmp_path / "pipe.mp4")


def test_errors_survive_pickling():
    error = MediaError("truncated", "a.mp4", "cut short")
    copy = pickle.loads(pickle.dumps(error))
    assert (copy.kind, copy.path, copy.reason) == ("truncated", "a.mp4", "cut short") and str(copy) == str(error)
    with pytest.raises(ValueError, match="kind must be one of empty_file"):
        MediaError("broken", "a.mp4", "no such kind")


def test_damaged_files_print_nothing(clip):
    path = clip(frames=60, container_options={"movflags": "faststart"})
    data = bytearray(path.read_bytes())
    data[len(data) * 3 // 4 :] = bytes(len(data) - len(data) * 3 // 4)
    path.write_bytes(data)
    code = f"from models.media import sample_frames; print(len(sample_frames({str(path)!r}).images))"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert int(result.stdout) > 0 and result.stderr == ""


def test_a_name_that_looks_like_a_protocol(clip, monkeypatch):
    path = clip("10:30.mp4", frames=5)
    monkeypatch.chdir(path.parent)
    assert len(sample_frames("10:30.mp4").images) == 5
