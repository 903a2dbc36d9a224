"""A media file never makes the reader open another file or an address, and a text is no video."""

import os
import pickle
import struct

import numpy as np
import pytest
from PIL import Image

from models.media import MediaError, probe, sample, sample_audio, sample_frames

USES = {
    "probe": probe,
    "sample_frames": sample_frames,
    "sample_audio": lambda path: sample_audio(path, [0.1], rate=16000, seconds=0.1),
    "sample": lambda path: sample(path, seconds=0.1),
}
# Each names {target}, a file beside it that can be decoded, where its format names files.
TEXTS = {
    "playlist.m3u8": "#EXTM3U\n#EXT-X-VERSION:3\n#EXT-X-TARGETDURATION:10\n#EXTINF:1.0,\n{target}\n#EXT-X-ENDLIST\n",
    "playlist_named_otherwise.mp4": "#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXTINF:1.0,\n{target}\n#EXT-X-ENDLIST\n",
    "list.ffconcat": "ffconcat version 1.0\nfile '{target}'\n",
    "list.txt": "file '{target}'\n",
    "manifest.mpd": """<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="static"
        mediaPresentationDuration="PT1S" profiles="urn:mpeg:dash:profile:isoff-on-demand:2011"><Period><AdaptationSet
        mimeType="video/mp4"><Representation id="0" bandwidth="1"><BaseURL>{target}</BaseURL></Representation>
        </AdaptationSet></Period></MPD>""",
    "session.sdp": "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=video 5004 RTP/AVP 96\n",
    "index.idx": "# VobSub index file, v7 (do not modify this line!)\nid: en, index: 0\ntimestamp: 00:00:00:000, filepos: 0\n",
    "metadata.txt": ";FFMETADATA1\ntitle={target}\n[CHAPTER]\nTIMEBASE=1/1000\nSTART=0\nEND=10\n",
    "list.asx": '<asx version="3.0"><entry><ref href="{target}"/></entry></asx>\n',
    "list.edl": "# mpv EDL v0\n{target},0,1\n",
    "show.smil": '<smil><body><video src="{target}"/></body></smil>\n',
    "picture.svg": '<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"><image href="{target}"/></svg>\n',
    "readme.txt": "These clips were collected in 2024.\n" * 20,
    "notes.nfo": "\x1b[31mcolours of a terminal\x1b[0m\r\n" * 40,
    "subtitles.srt": "1\n00:00:00,000 --> 00:00:01,000\nhello\n",
    "data.json": '{{"title": "a clip", "path": "{target}"}}\n' * 10,
}


@pytest.mark.parametrize("name", TEXTS)
@pytest.mark.parametrize(
    "target", ["beside.ts", "{folder}/beside.ts", "file:{folder}/beside.ts", "http://localhost:9/a.ts"]
)
def test_a_text_that_names_other_files_is_no_medium(clip, name, target):
    beside = clip("beside.ts", options={"g": "10"})
    path = beside.with_name(name)
    path.write_text(TEXTS[name].format(target=target.format(folder=beside.parent)))
    for use in USES.values():
        with pytest.raises(MediaError) as caught:
            use(path)
        assert caught.value.kind == "not_media"


def photo(path, value):
    Image.fromarray(np.full((16, 16, 3), value, dtype=np.uint8)).save(path)


@pytest.mark.parametrize("name", ["%03d.jpg", "%d.png", "[0-9]*.png", "*.jpg", "photo?.jpg"])
def test_a_picture_whose_name_is_a_pattern_is_read_as_itself(tmp_path, name):
    for number in range(5):
        for other in (f"{number:03}.jpg", f"{number}.png", f"photo{number}.jpg"):
            photo(tmp_path / other, 10)
    photo(tmp_path / name, 200)
    frames = sample_frames(tmp_path / name)
    assert len(frames.images) == 1 and frames.images[0].mean() == pytest.approx(200, abs=3)


def with_references(path, entry):
    """An mp4 whose tracks lie where one reference says, instead of in the file itself."""
    data = bytearray(path.read_bytes())
    place = 0
    while (place := data.find(b"dref", place)) > 0:
        old = data[place + 4 : place + 24]  # version and flags, one entry: a `url ` of 12 bytes
        assert old[12:16] == b"url "
        new = struct.pack(">II", 0, 1) + struct.pack(">I", len(entry) + 4) + entry
        grown = len(new) - len(old)
        for box in (b"dref", b"dinf", b"minf", b"mdia", b"trak", b"moov"):
            start = data.rfind(box, 0, place + 4) - 4
            data[start : start + 4] = (int.from_bytes(data[start : start + 4], "big") + grown).to_bytes(4, "big")
        data[place + 4 : place + 24] = new
        place += len(new)
    path.write_bytes(data)
    return path


def alias(path: str) -> bytes:
    """A Macintosh alias record of an absolute path."""
    name = path.encode()
    fixed = bytes(10) + b"\x03vol".ljust(28, b"\0") + bytes(12) + b"\x05other".ljust(64, b"\0") + bytes(16)
    record = struct.pack(">HH", 1, 1) + bytes(16) + struct.pack(">HH", 2, len(name)) + name + bytes(len(name) % 2)
    return b"alis" + bytes(4) + fixed + record + struct.pack(">Hh", 0xFFFF, 0)


@pytest.mark.parametrize("entry", [alias, lambda path: b"url " + bytes(4) + f"file://{path}\0".encode()])
def test_a_track_whose_data_lie_in_another_file(clip, entry):
    other, path = clip("other.mp4"), clip("a.mp4")
    with_references(path, entry(str(other)))
    for use in USES.values():
        with pytest.raises(MediaError, match="lie in another file") as caught:
            use(path)
        assert caught.value.kind == "not_media"


@pytest.mark.parametrize("entry", [b"url \0\0\0\1", b"url \0\0\0\0", b"alis\0\0\0\1"])
def test_a_track_whose_data_lie_in_the_same_file(clip, entry):
    assert len(sample_frames(with_references(clip("a.mp4"), entry)).images) == 10


def test_a_name_that_is_not_utf8(clip):
    path = clip("a.mp4", frames=5)
    odd = path.with_name(os.fsdecode(b"caf\xe9.mp4"))
    path.rename(odd)
    assert len(sample_frames(odd).images) == 5 and probe(odd).width == 80
    odd.write_bytes(b"no video at all" * 99)
    with pytest.raises(MediaError, match=r"caf\\xe9\.mp4") as caught:
        probe(odd)
    str(pickle.loads(pickle.dumps(caught.value))).encode()  # can be printed and stored
