"""[embeddings] text_embeddings: one vector a word of the title (AnglE in M3TR appendix E)."""

import hashlib
from collections.abc import Iterable, Sequence

import dagster as dg
import pyarrow as pa

from assets.encoding import BLOCK, encoder_fingerprint, load
from assets.imported_files import imported
from assets.imports import import_words
from assets.increment import run_stage
from assets.settings import Settings
from assets.stages import failed_share_check, open_store
from assets.videos import known_items, videos
from storage.arrays import ragged
from storage.rows import Row

NAME = "text_embeddings"


def payload(width: int) -> pa.Schema:
    """Columns: `embedding` (words, width)."""
    return pa.schema([ragged("embedding", width, "float16")])


@dg.asset(group_name="embeddings", kinds={"parquet"}, deps=[videos], description=__doc__)
def text_embeddings(context: dg.AssetExecutionContext, settings: Settings) -> dg.MaterializeResult:
    """Embed every title word by word; an empty title has a missing row."""
    if NAME in imported(settings):
        return import_words(context, settings, NAME, payload)
    store = open_store(settings)
    titles = {item: (title or "").strip() for item, title in known_items(store).select("item", "title").iter_rows()}
    inputs = {item: hashlib.sha256(title.encode()).hexdigest() for item, title in titles.items()}
    encoder = load(settings, "text")

    def compute(todo: Sequence[str]) -> Iterable[Row]:
        yield from (Row.missing(item, inputs[item], "empty title") for item in todo if not titles[item])
        written = [item for item in todo if titles[item]]
        for start in range(0, len(written), BLOCK):
            block = written[start : start + BLOCK]
            for item, words in zip(block, encoder.encode_words([titles[item] for item in block]), strict=True):
                if len(words):
                    yield Row.ok(item, inputs[item], {"embedding": words})
                else:
                    yield Row.missing(item, inputs[item], "no word in the title")

    return run_stage(
        context,
        store,
        settings.run,
        store.stage(NAME, payload(encoder.width)),
        inputs=inputs,
        fingerprint=encoder_fingerprint(settings, "text", code=1, level="words"),
        compute=compute,
    )


text_embeddings_failed_share = failed_share_check(text_embeddings, NAME)
