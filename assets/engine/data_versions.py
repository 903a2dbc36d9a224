"""Data versions: hashes of what the store holds for an asset.

Dagster marks downstream assets as outdated only if the data version changed, not after every materialisation.
"""

import dagster as dg
import polars as pl

from assets.engine.store_access import frame_hash
from storage.artifact import ArtifactVersion
from storage.hashing import content_hash


def version_of_rows(states: pl.DataFrame) -> dg.DataVersion:
    """Return the data version of a per-video stage, from each item's status and output hash."""
    return version_of_table(states.select("item", "status", "output_hash").sort("item"))


def version_of_table(frame: pl.DataFrame) -> dg.DataVersion:
    """Return the data version of a whole table."""
    return dg.DataVersion(frame_hash(frame)[:32])


def version_of_artifacts(*versions: ArtifactVersion | None) -> dg.DataVersion:
    """Return the data version of fitted models or a built bank, from the artifact versions in service."""
    facts = [None if one is None else [one.version, one.inputs_hash, one.fingerprint] for one in versions]
    return dg.DataVersion(content_hash(facts))
