"""Which packets a frame needs, and when the packets alone can be trusted."""

import av
import numpy as np
import pytest

from models.media.packets import PacketTable, read_table


def table_of(path) -> PacketTable:
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        return read_table(stream, container.demux(stream))


def table(pts, start, shown=None) -> PacketTable:
    return PacketTable(
        pts=np.array(pts),
        start=np.array(start, dtype=bool),
        shown=np.ones(len(pts), dtype=bool) if shown is None else np.array(shown, dtype=bool),
        reliable=True,
    )


def test_display_order_is_by_time_and_leaves_out_what_is_not_shown():
    assert table([0, 30, 10, 20], [1, 0, 0, 0]).display_order.tolist() == [0, 2, 3, 1]
    assert table([0, 30, 10, 20], [1, 0, 0, 0], shown=[0, 1, 1, 1]).display_order.tolist() == [2, 3, 1]


def test_a_run_begins_at_the_last_start_before_its_frame():
    closed = table(range(12), [number % 4 == 0 for number in range(12)])
    assert closed.runs([2, 3, 9]) == [(0, [2, 3]), (8, [9])]
    assert closed.runs([5, 4]) == [(4, [4, 5])]


def test_a_run_goes_on_through_a_start_that_it_reaches():
    # Packet 6 needs start 4, packet 5 is shown before that start and needs start 0: one stretch, not two.
    leading = table([0, 1, 2, 3, 6, 5, 7], [1, 0, 0, 0, 1, 0, 0])
    assert leading.runs([5, 6]) == [(0, [5, 6])]
    assert leading.runs([6]) == [(4, [6])]
    assert leading.runs([5]) == [(0, [5])]


@pytest.mark.parametrize(
    ("name", "arguments", "reliable", "starts"),
    [
        ("a.mp4", {"options": {"g": "10", "bf": "2", "sc_threshold": "0"}}, True, [0, 10, 20, 30]),
        ("a.mkv", {"options": {"g": "10", "bf": "2", "sc_threshold": "0"}}, True, [0, 10, 20, 30]),
        ("a.ts", {"options": {"g": "10", "bf": "0", "sc_threshold": "0"}}, True, [0, 10, 20, 30]),
        # Recovery points that aren't IDR pictures are marked as keyframes; decoding can't start there exactly.
        ("a.mkv", {"options": {"g": "10", "bf": "0", "x264-params": "intra-refresh=1"}}, True, [0]),
        ("a.webm", {"codec": "libvpx-vp9", "options": {"g": "10"}}, True, [0, 10, 20, 30]),
        ("a.avi", {"codec": "mpeg4", "options": {"g": "10"}}, False, [0, 10, 20, 30]),
        ("a.webm", {"codec": "libvpx", "options": {"g": "10"}}, True, [0, 10, 20, 30]),
    ],
)
def test_where_decoding_may_start(clip, name, arguments, reliable, starts):
    found = table_of(clip(name, **arguments))
    assert found.reliable == reliable
    assert np.flatnonzero(found.start).tolist() == starts
    assert len(found.display_order) == 40


def test_a_table_of_a_truncated_file_is_not_reliable(clip):
    path = clip(frames=60, container_options={"movflags": "faststart"})
    assert table_of(path).reliable
    with path.open("r+b") as file:
        file.truncate(path.stat().st_size - 40)
    assert not table_of(path).reliable
