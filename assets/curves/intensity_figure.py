"""Figure 8 of M3TR from a run: the intensity of a test video taken apart, where the network corrects it most."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from assets.engine.nothing_to_show import NothingToShow
from assets.feedback.hawkes_process import fitted_process, load_encoder
from assets.ingest.interactions import read_events
from assets.protocol.popularity import read_popularity
from assets.protocol.process_inputs import observed_sequences
from assets.protocol.splits import items_of, read_splits
from assets.settings import Settings
from models.hawkes import MambaHawkesProcess
from models.pictures import draw_terms
from storage.store import Store

if TYPE_CHECKING:
    from matplotlib.figure import Figure

TIMES = 48  # at which the network's term is compared
FEWEST = 20  # events of a video that is shown


@torch.no_grad()
def intensity_figure(store: Store, settings: Settings, *, item: str | None = None) -> Figure:
    """Draw the figure.

    Args:
        store: A store with a fitted process.
        settings: The settings.
        item: A test item. By default, the one in which the network lowers the intensity of a type most, averaged over the
            window, among those with at least 20 events.

    Raises:
        NothingToShow: The process has no network and classical part, or no test item has enough events.
    """
    version, fitted = fitted_process(store)
    encoder, types = load_encoder(version), fitted["types"]
    if encoder is None or not isinstance(encoder.process, MambaHawkesProcess):
        raise NothingToShow(
            "the process in service has no classical part with a network's correction (process.intensity)"
        )
    process = encoder.process.eval()
    seen = observed_sequences(
        read_events(store),
        read_popularity(store),
        settings.protocol,
        items=items_of(read_splits(store), "test"),
        types=types,
        max_events=settings.process.max_events,
    )
    if item is not None and item not in seen.items:
        raise NothingToShow(f"item {item!r} is no test item")
    rows = [row for row, hours in enumerate(seen.hours) if len(hours) >= FEWEST]
    rows = rows if item is None else [seen.items.index(item)]
    if not rows:
        raise NothingToShow(f"no test item has {FEWEST} events in its window")
    batch = seen.take(rows).batch()
    at = batch.t_end[:, None] * torch.linspace(0, 1, TIMES, dtype=torch.float64)
    lowered = process.components(batch, at)[2].clamp_max(0).mean(1)  # (rows, k)
    place, kind = divmod(int(lowered.argmin()), len(types))
    figure = draw_terms(process, batch, kind, row=place, names=types)
    chosen = "" if item is not None else f", in which the network lowers an intensity most of {len(rows)} test videos"
    figure.suptitle(f"video {seen.items[rows[place]]}{chosen}", fontsize=10)
    return figure
