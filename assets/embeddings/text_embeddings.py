"""[embeddings] text_embeddings: one vector a word of the title (AnglE in M3TR appendix E)."""

import hashlib
from collections.abc import Iterable, Sequence

import dagster as dg
import pyarrow as pa

from assets.encoding.encoded_texts import TextRows
from assets.encoding.encoder_stage import encoder_fingerprint, warn_of_slow_work, width
from assets.encoding.encoding_tasks import as_float16
from assets.encoding.feature_imports import import_words
from assets.encoding.imported_files import imported
from assets.engine.failure_checks import failed_share_check
from assets.engine.gates import BEHIND_SPLITS
from assets.engine.pools import ON_THE_DEVICE
from assets.engine.run_stage import run_stage
from assets.engine.store_access import open_store
from assets.ingest.videos import import_items, known_titles, videos
from assets.settings import Settings
from storage.arrays import ragged
from storage.rows import Row

NAME = "text_embeddings"


def payload(width: int) -> pa.Schema:
    """Columns: `embedding` (words, width)."""
    return pa.schema([ragged("embedding", width, "float16")])


@dg.asset(
    group_name="embeddings",
    kinds={"parquet"},
    deps=[videos, BEHIND_SPLITS],
    description=__doc__,
    code_version="1",
    **ON_THE_DEVICE,
)
def text_embeddings(context: dg.AssetExecutionContext, settings: Settings) -> dg.MaterializeResult:
    """Embed every title word by word; an empty title has a missing row."""
    store = open_store(settings)
    if NAME in imported(settings):
        return import_words(context, settings, NAME, payload, import_items(store))
    titles = known_titles(store)
    inputs = {item: hashlib.sha256(title.encode()).hexdigest() for item, title in titles.items()}
    texts = TextRows(settings, encode=lambda encoder, given: [as_float16(rows) for rows in encoder.encode_words(given)])

    def compute(todo: Sequence[str]) -> Iterable[Row]:
        yield from (Row.missing(item, inputs[item], "empty title") for item in todo if not titles[item])
        written = [item for item in todo if titles[item]]
        warn_of_slow_work(context, settings, NAME, "text", len(written), texts=[titles[item] for item in written])
        for item, outcome in texts.encoded((item, titles[item]) for item in written):
            if isinstance(outcome, Exception):
                yield Row.failed(item, inputs[item], outcome)
            elif len(outcome):
                yield Row.ok(item, inputs[item], {"embedding": outcome})
            else:
                yield Row.missing(item, inputs[item], "no word in the title")

    return run_stage(
        context,
        store,
        settings.run,
        store.stage(NAME, payload(width(settings, "text"))),
        inputs=inputs,
        fingerprint=encoder_fingerprint(settings, "text", code=1, level="words"),
        compute=compute,
        statistics=texts.statistics,
    )


text_embeddings_failed_share = failed_share_check(text_embeddings, NAME)
