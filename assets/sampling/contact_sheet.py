"""Contact sheets: the sampled frames of some videos in rows, with their times or captions under them."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import dagster as dg

from assets.engine.media_tasks import decode_jpeg
from assets.engine.plots import picture
from assets.ingest.videos import known_items
from storage.store import Store

if TYPE_CHECKING:
    from matplotlib.figure import Figure

VIDEOS = 4  # rows of a sheet
FRAMES = 3  # fit the page; frames per row, evenly spread over those of the video
CAPTION_WIDTH = 26  # characters per line


def contact_sheet(
    store: Store, frames: Mapping[str, Sequence[bytes]], captions: Mapping[str, Sequence[str]]
) -> dict[str, dg.MetadataValue]:
    """Return a contact sheet as metadata; nothing if there is no video.

    Args:
        store: The store; it has the titles.
        frames: Item -> its frames as JPEG.
        captions: Item -> one line of text per frame.
    """
    if not frames:
        return {}
    titles = dict(known_items(store).select("item", "title").iter_rows())
    rows = []
    for item, images in frames.items():
        places = sorted({round(part * (len(images) - 1) / (FRAMES - 1)) for part in range(FRAMES)})
        title = f"video {item}: {titles.get(item) or 'no title'}"
        rows.append((title, [(images[place], captions[item][place]) for place in places]))
    return {"contact_sheet": picture(draw_sheet(rows))}


def draw_sheet(rows: Sequence[tuple[str, Sequence[tuple[bytes, str]]]]) -> Figure:
    """Draw one row per video: (title, [(JPEG, text under it)])."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(1.7 * FRAMES, 2.2 * len(rows)), layout="constrained")
    for part, (title, frames) in zip(figure.subfigures(len(rows), 1, squeeze=False)[:, 0], rows, strict=True):
        part.suptitle(textwrap.shorten(title, 70, placeholder="…"), fontsize=9, x=0.01, ha="left")
        for axes in part.subplots(1, FRAMES):
            axes.set_axis_off()
        for axes, (image, text) in zip(part.axes, frames, strict=False):
            axes.imshow(decode_jpeg(image))
            axes.text(
                *(0.5, -0.04, textwrap.fill(text, CAPTION_WIDTH)),
                transform=axes.transAxes,
                ha="center",
                va="top",
                fontsize=7,
            )
    return figure
