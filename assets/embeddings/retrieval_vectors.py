"""[embeddings] retrieval_vectors: one vector of captions, sound and title together (R in M3TR section 3.3, MUFM eq. 23)."""

from collections.abc import Iterable, Sequence

import dagster as dg
import pyarrow as pa

from assets.captions import audio_captions as sounds
from assets.captions import visual_captions as sights
from assets.encoding.encoded_texts import BLOCK, TextRows
from assets.encoding.encoder_stage import encoder_fingerprint, warn_of_slow_work, width
from assets.encoding.feature_imports import import_vectors
from assets.encoding.imported_files import imported
from assets.engine.failure_checks import failed_share_check
from assets.engine.pools import ON_THE_DEVICE
from assets.engine.run_stage import run_stage
from assets.engine.store_access import combined, open_store, outputs
from assets.ingest.videos import import_items, known_titles, videos
from assets.settings import Settings
from storage.arrays import fixed
from storage.rows import Row
from storage.stage import Stage

NAME = "retrieval_vectors"


def payload(width: int) -> pa.Schema:
    """Columns: the `prompt` that was embedded, and its `embedding` (width), of unit length."""
    return pa.schema([pa.field("prompt", pa.string()), fixed("embedding", (width,), "float32")])


@dg.asset(
    group_name="embeddings",
    kinds={"parquet"},
    deps=[videos, sights.visual_captions, sounds.audio_captions],
    description=__doc__,
    code_version="1",
    **ON_THE_DEVICE,
)
def retrieval_vectors(context: dg.AssetExecutionContext, settings: Settings) -> dg.MaterializeResult:
    """Embed captions, sound descriptions and title as one text; an item with none of them has a missing row."""
    store = open_store(settings)
    if NAME in imported(settings):
        return import_vectors(context, settings, NAME, payload, import_items(store))
    titles = known_titles(store)
    seen, heard = store.stage(sights.NAME, sights.PAYLOAD), store.stage(sounds.NAME, sounds.PAYLOAD)
    sight_hashes, sound_hashes = outputs(seen), outputs(heard)
    usable = [item for item in titles if item in sight_hashes and item in sound_hashes]
    inputs = combined(sight_hashes, sound_hashes, titles, items=usable)
    texts = TextRows(settings, encode=lambda encoder, given: list(encoder.encode_sentences(given)))

    def compute(todo: Sequence[str]) -> Iterable[Row]:
        for start in range(0, len(todo), BLOCK):
            block = todo[start : start + BLOCK]
            captions, descriptions = _texts(seen, block, "captions"), _texts(heard, block, "descriptions")
            prompts = {item: prompt(captions.get(item, []), descriptions.get(item, []), titles[item]) for item in block}
            if not start:  # the first prompts tell how long they are: several times a title
                written = [text for text in prompts.values() if text]
                warn_of_slow_work(context, settings, NAME, "text", len(todo), texts=written)
            yield from (
                Row.missing(item, inputs[item], "no caption, sound or title") for item in block if not prompts[item]
            )
            for item, outcome in texts.encoded((item, prompts[item]) for item in block if prompts[item]):
                if isinstance(outcome, Exception):
                    yield Row.failed(item, inputs[item], outcome)
                else:
                    yield Row.ok(item, inputs[item], {"prompt": prompts[item], "embedding": outcome})

    return run_stage(
        context,
        store,
        settings.run,
        store.stage(NAME, payload(width(settings, "text"))),
        inputs=inputs,
        fingerprint=encoder_fingerprint(settings, "text", code=1, level="sentence"),
        compute=compute,
        statistics=texts.statistics,
    )


def prompt(captions: Sequence[str], descriptions: Sequence[str], title: str) -> str:
    """The text that is embedded: distinct captions in order, then the sound, then the title (MUFM eq. 23)."""
    return ". ".join([*dict.fromkeys(captions), *descriptions, *([title] if title else [])])


def _texts(stage: Stage, items: Sequence[str], column: str) -> dict[str, list[str]]:
    table = stage.read(items=items, columns=[column])
    return dict(zip(table["item"].to_pylist(), table[column].to_pylist()))


retrieval_vectors_failed_share = failed_share_check(retrieval_vectors, NAME)
