"""Pictures in an asset's metadata, as Dagster's asset page shows them without a click."""

from __future__ import annotations

import base64
import io
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import dagster as dg
from PIL import Image

from storage.durable import written_beside
from storage.hashing import content_hash

KEPT = 20  # pictures per asset and metadata entry, the latest ones; older materialisations show a broken picture
WIDTH = 800  # pixels; a browser window of 1,920 leaves some 900 for a value of the metadata, and cuts what is wider
PICTURE = re.compile(r"!\[(?P<text>[^\]]*)\]\(data:image/png;base64,(?P<data>[^)]+)\)")


def as_linked_pictures(context: dg.AssetExecutionContext, asset: str, metadata: Mapping[str, Any]) -> dict[str, Any]:
    """Return metadata whose pictures are files of the Dagster instance, each referred to by a short link.

    Dagster 1.13 shows Markdown of less than 1,000 characters on the asset's page. Longer Markdown, such as a picture
    inside a `data:` address, has to be clicked open. The web server delivers files in the folder of the step logs, so
    pictures are written there, beside the logs. They stay `data:` addresses if the instance keeps its logs elsewhere.
    A picture that is wider than `WIDTH` is shown smaller, and a click opens it.

    Args:
        context: The asset's context; it names the instance.
        asset: Name of the asset.
        metadata: Metadata of a materialisation.
    """
    path_of = getattr(context.instance.compute_log_manager, "get_captured_local_path", None)
    if path_of is None:
        return dict(metadata)

    def link(key: Sequence[str], content: bytes) -> str:
        """Write a picture, if it is new, and return its address."""
        file = Path(path_of(key, "png"))
        if not file.exists():
            file.parent.mkdir(parents=True, exist_ok=True)
            with written_beside(file) as scratch:
                scratch.write_bytes(content)
            for old in sorted(file.parent.glob("*.png"), key=lambda other: other.stat().st_mtime)[:-KEPT]:
                old.unlink(missing_ok=True)
        return f"/logs/{'/'.join(key)}/png"

    def linked(found: re.Match[str], entry: str) -> str:
        folder, name = ["pictures", asset, re.sub(r"\W+", "-", entry)], content_hash(found["data"])[:16]
        content = base64.b64decode(found["data"])
        address = link([*folder, name], content)
        smaller = _narrowed(content)
        if smaller is None:
            return f"![{found['text']}]({address})"
        return f"[![{found['text']}]({link([*folder, 'narrow', name], smaller)})]({address})"

    result = dict(metadata)
    for entry, value in metadata.items():
        if isinstance(value, dg.MarkdownMetadataValue):
            result[entry] = dg.MetadataValue.md(
                PICTURE.sub(lambda found, entry=entry: linked(found, entry), value.value)
            )
    return result


def _narrowed(content: bytes) -> bytes | None:
    """Return a PNG file scaled to `WIDTH`; None if it is not wider."""
    with Image.open(io.BytesIO(content)) as picture:
        if picture.width <= WIDTH:
            return None
        size = (WIDTH, round(picture.height * WIDTH / picture.width))
        smaller = io.BytesIO()
        picture.convert("RGB").resize(size, Image.Resampling.LANCZOS).save(smaller, "PNG", optimize=True)
    return smaller.getvalue()
