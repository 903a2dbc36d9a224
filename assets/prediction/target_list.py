"""The targets that are forecast."""

from __future__ import annotations

from assets.ingest.interactions import read_events
from assets.protocol.observation import label_event
from assets.settings import Settings
from storage.store import Store


def target_names(store: Store, settings: Settings) -> list[str]:
    """Return the names of the targets, the primary first."""
    horizon = settings.protocol.horizon
    metric = label_event(settings.protocol, read_events(store))
    if horizon is None:
        return [f"{metric}@end"]
    return [f"{metric}@{horizon / 24:g}d" if horizon % 24 == 0 else f"{metric}@{horizon:g}h"]
