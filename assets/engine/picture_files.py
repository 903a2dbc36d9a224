"""Pictures in an asset's metadata, as Dagster's asset page shows them without a click."""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import dagster as dg

from storage.durable import written_beside
from storage.hashing import content_hash

KEPT = 20  # pictures per asset and metadata entry, the latest ones; older materialisations show a broken picture
PICTURE = re.compile(r"!\[(?P<text>[^\]]*)\]\(data:image/png;base64,(?P<data>[^)]+)\)")


def as_linked_pictures(context: dg.AssetExecutionContext, asset: str, metadata: Mapping[str, Any]) -> dict[str, Any]:
    """Return metadata whose pictures are files of the Dagster instance, each referred to by a short link.

    Dagster 1.13 shows Markdown of less than 1,000 characters on the asset's page. Longer Markdown, such as a picture
    inside a `data:` address, has to be clicked open. The web server delivers files in the folder of the step logs, so
    pictures are written there, beside the logs. They stay `data:` addresses if the instance keeps its logs elsewhere.

    Args:
        context: The asset's context; it names the instance.
        asset: Name of the asset.
        metadata: Metadata of a materialisation.
    """
    path_of = getattr(context.instance.compute_log_manager, "get_captured_local_path", None)
    if path_of is None:
        return dict(metadata)

    def linked(found: re.Match[str], entry: str) -> str:
        key = ["pictures", asset, re.sub(r"\W+", "-", entry), content_hash(found["data"])[:16]]
        file = Path(path_of(key, "png"))
        if not file.exists():
            file.parent.mkdir(parents=True, exist_ok=True)
            with written_beside(file) as scratch:
                scratch.write_bytes(base64.b64decode(found["data"]))
            for old in sorted(file.parent.glob("*.png"), key=lambda other: other.stat().st_mtime)[:-KEPT]:
                old.unlink(missing_ok=True)
        return f"![{found['text']}](/logs/{'/'.join(key)}/png)"

    result = dict(metadata)
    for entry, value in metadata.items():
        if isinstance(value, dg.MarkdownMetadataValue):
            result[entry] = dg.MetadataValue.md(
                PICTURE.sub(lambda found, entry=entry: linked(found, entry), value.value)
            )
    return result
