"""What Dagster loads: every asset and check, the job over all of them, the settings."""

from __future__ import annotations

import dagster as dg

import assets.acoustic_embeddings
import assets.audio
import assets.audio_captions
import assets.evaluation
import assets.frames
import assets.hawkes_process
import assets.interactions
import assets.memory_bank
import assets.neighbours
import assets.popularity
import assets.popularity_model
import assets.predictions
import assets.retrieval_vectors
import assets.splits
import assets.temporal_embeddings
import assets.text_embeddings
import assets.videos
import assets.visual_captions
import assets.visual_embeddings
from assets.pools import MODEL_TAG
from pipeline.automation import EVERYTHING, automation, upkeep
from pipeline.settings import load

STAGES = [
    assets.videos,
    assets.interactions,
    assets.popularity,
    assets.splits,
    assets.frames,
    assets.audio,
    assets.visual_captions,
    assets.audio_captions,
    assets.visual_embeddings,
    assets.acoustic_embeddings,
    assets.text_embeddings,
    assets.retrieval_vectors,
    assets.hawkes_process,
    assets.temporal_embeddings,
    assets.memory_bank,
    assets.neighbours,
    assets.popularity_model,
    assets.evaluation,
    assets.predictions,
]

settings = load()
schedules, sensors = automation(settings)

# Steps share one process by default: the stages fan out over their own workers, and the models are loaded once.
# With one process a step, two models still never share a device.
ONE_MODEL = {"tag_concurrency_limits": [{"key": MODEL_TAG, "limit": 1}]}
EXECUTORS = {"in_process": dg.in_process_executor, "multiprocess": dg.multiprocess_executor.configured(ONE_MODEL)}

defs = dg.Definitions(
    assets=dg.load_assets_from_modules(STAGES),
    asset_checks=dg.load_asset_checks_from_modules(STAGES),
    jobs=[EVERYTHING, upkeep],
    schedules=schedules,
    sensors=sensors,
    resources={"settings": settings},
    executor=EXECUTORS[settings.run.executor],
)
