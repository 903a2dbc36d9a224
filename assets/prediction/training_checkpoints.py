"""Where a model's training keeps its checkpoint, and when a later run may continue from it."""

from __future__ import annotations

from assets.encoding.encoder_choice import device_of
from assets.engine.skip_unchanged import artifact_marks, code_mark, stage_marks, table_marks
from assets.prediction.input_digests import FITS, TABLES
from assets.prediction.trained_models import TrainedModel, model_fingerprint
from assets.settings import Settings
from models.predictors.checkpoints import Checkpoint
from storage.hashing import content_hash
from storage.store import Store

FOLDER = "training"  # in the store; empty unless a model is in training or a training was killed


def checkpoint_of(store: Store, settings: Settings, model: TrainedModel, *, ranks: int = 1) -> Checkpoint:
    """Return the checkpoint of a model's training.

    A training continues only with the same code, device, number of processes, settings and files of its inputs.

    Args:
        store: The store.
        settings: The settings.
        model: The model.
        ranks: Number of processes that train it together.
    """
    fingerprint = content_hash(
        model_fingerprint(store, settings, model, code=0).hash,  # `code_mark` stands for the number too
        code_mark(),
        str(device_of(settings)),
        stage_marks(store),
        table_marks(store, *TABLES),
        artifact_marks(store, *FITS),
        *([ranks] if ranks > 1 else []),
    )
    return Checkpoint(store.root / FOLDER / f"{model.artifact}.pt", fingerprint=fingerprint)
