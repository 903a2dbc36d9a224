"""One caption per sampled frame (BLIP-2; M3TR, section 3.3)."""

from functools import partial

import dagster as dg
import pyarrow as pa

from assets.encoding.encoder_stage import EncoderStage, origin_mark
from assets.encoding.encoding_tasks import captions_of_all, prepare_distinct_frames, prepare_frames
from assets.engine.failure_checks import failed_share_check
from assets.engine.gates import BEHIND_SPLITS
from assets.engine.pools import ON_THE_DEVICE
from assets.engine.run_stage import unchanged_metadata
from assets.engine.skip_unchanged import skip_unchanged, stage_marks
from assets.engine.stage_declaration import StageDeclaration
from assets.engine.store_access import computed_items
from assets.sampling.contact_sheet import VIDEOS as SHOWN
from assets.sampling.contact_sheet import contact_sheet
from assets.sampling.frames import FRAMES
from assets.settings import Settings
from storage.store import Store

NAME = "visual_captions"
CODE = 1  # raise it when the same inputs give another result
PAYLOAD = pa.schema({"captions": pa.list_(pa.string())})


@dg.asset(
    group_name="captions",
    kinds={"parquet"},
    deps=[FRAMES.asset, BEHIND_SPLITS],
    description=__doc__,
    code_version=str(CODE),
    **ON_THE_DEVICE,
)
@skip_unchanged(
    "visual_captions",
    reads=lambda store, settings: [*stage_marks(store, "frames"), origin_mark(settings, NAME, "captions")],
    makes=lambda store, settings: stage_marks(store, NAME),
    when_skipped=unchanged_metadata,
    shows=lambda store, settings: _first_captions(store),
)
def visual_captions(context: dg.AssetExecutionContext, settings: Settings) -> dg.MaterializeResult:
    """Caption all sampled frames; with `encoders.repeated_frame_bits`, similar frames of a video share a caption."""
    return encoder_stage(settings).run(context, settings)


def encoder_stage(settings: Settings) -> EncoderStage:
    """Return how the stage's rows are computed."""
    bits = settings.encoders.repeated_frame_bits
    return EncoderStage(
        name=NAME,
        code=CODE,
        role="captions",
        upstream=(FRAMES.columns("frames") if bits is None else FRAMES.columns("frames", "hashes"),),
        payload=PAYLOAD,
        prepare=prepare_frames if bits is None else partial(prepare_distinct_frames, bits=bits),
        finish=captions_of_all,
        parameters={} if bits is None else {"repeated_frame_bits": bits},
    )


VISUAL_CAPTIONS = StageDeclaration(NAME, PAYLOAD, visual_captions)
visual_captions_failed_share = failed_share_check(visual_captions, NAME)


def _first_captions(store: Store) -> dict[str, dg.MetadataValue]:
    stage = VISUAL_CAPTIONS.open(store)
    table = stage.read(items=computed_items(stage)[:SHOWN])
    captions = dict(zip(table["item"].to_pylist(), table["captions"].to_pylist()))
    images = FRAMES.open(store).read(items=list(captions), columns=["frames"])
    return contact_sheet(store, dict(zip(images["item"].to_pylist(), images["frames"].to_pylist())), captions)
