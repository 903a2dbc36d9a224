"""The models that the settings name: one per row and seed, where each is stored, and how it is loaded."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any

from torch import nn

from assets.feedback.hawkes_process import fitted_process, load_encoder
from assets.memory.feature_join import versions
from assets.metadata.window_columns import columns_in_service
from assets.prediction.tuned_options import PRESET, tuned_options
from assets.settings import Settings
from assets.settings.variant import Variant, parse_variants
from models.predictor_table import CLASSES, predictor_class
from models.predictors.predictor import Predictor
from storage.artifact import Artifact
from storage.artifact_version import ArtifactVersion
from storage.durable import StoreError
from storage.fingerprint import Fingerprint
from storage.store import Store

NAME = "popularity_model"
FOLDER = "model"  # within an artifact's version


@dataclass(frozen=True)
class TrainedModel:
    """One model.

    Attributes:
        predictor: Name of the predictor in `models.predictor_table`.
        seed: The seed.
        variant: Name of the variant in `model.variants`; None for the predictor itself.
        label: Title of the variant; None for the predictor itself.
    """

    predictor: str
    seed: int
    variant: str | None = None
    label: str | None = None

    @property
    def name(self) -> str:
        """Name in `model.train`."""
        return self.variant or self.predictor

    @property
    def title(self) -> str:
        """Name of the model's row in tables of results."""
        return self.label or predictor_class(self.predictor).title

    @property
    def artifact(self) -> str:
        """Name of the artifact that holds the model."""
        return f"{NAME}_{self.name}_{self.seed}"

    def __str__(self) -> str:
        """Return predictor and seed, for messages."""
        return f"{self.title}, seed {self.seed}"


def trained_models(settings: Settings) -> list[TrainedModel]:
    """Return the models that `model.train` and `model.seeds` name. A predictor that ignores the seed has one model.

    `assets.prediction.model_obstacles.fitted_models` leaves out those that cannot be fitted to the data.
    """
    variants = parse_variants(settings.model.variants)
    return [
        model
        for name in settings.model.train
        if name in CLASSES or name in variants
        for model in _models_of(name, variants.get(name), settings.model.seeds)
    ]


def _models_of(name: str, variant: Variant | None, seeds: Iterable[int]) -> list[TrainedModel]:
    predictor = name if variant is None else variant.predictor
    own = (None, None) if variant is None else (name, variant.title)
    return [TrainedModel(predictor, seed, *own) for seed in (seeds if predictor_class(predictor).seeded else [0])]


def artifact_names(settings: Settings) -> list[str]:
    """Return the names of the artifacts that hold the models."""
    return [model.artifact for model in trained_models(settings)]


def artifact_of(store: Store, model: TrainedModel) -> Artifact:
    """Return the artifact that holds a model."""
    return store.artifact(model.artifact)


def model_in_service(store: Store, model: TrainedModel) -> ArtifactVersion:
    """Return the version of a model in service.

    Raises:
        storage.durable.StoreError: No such model is in service.
    """
    version = artifact_of(store, model).current()
    if version is None:
        raise StoreError(f"no model of {model} is in service; train it (dagster asset materialize --select '{NAME}+')")
    return version


def model_fingerprint(store: Store, settings: Settings, model: TrainedModel, *, code: int) -> Fingerprint:
    """Return what determines a model besides its data: its predictor's code and settings, and its inputs' versions.

    These are the versions of the features and, for a predictor that reads the table of windows, the table's columns.

    Args:
        store: The store.
        settings: The settings.
        model: The model.
        code: Version of the code that trains every model.
    """
    made = predictor_class(model.predictor)
    read = _settings_of(store, settings, model)
    parameters = {"predictor": model.predictor, "code": made.code, "seed": model.seed, **read}
    if settings.audit.fault == "scales_of_all_items":
        parameters["fault"] = settings.audit.fault
    if made.reads_table(read):
        parameters["columns"] = asdict(columns_in_service(store)[1])
    return Fingerprint(code=code, parameters=parameters, model=versions(store))


def _settings_of(store: Store, settings: Settings, model: TrainedModel) -> dict[str, Any]:
    """Return the settings that a model reads: those of `[model]`, and a few of other sections.

    With `model.preset = "tuned"` the options that a search found are among its own options, which win over them.
    """
    own = {} if model.variant is None else parse_variants(settings.model.variants)[model.variant].options
    found = tuned_options(store, settings, model.predictor)
    known = {
        **settings.model.model_dump(),
        "neighbours": settings.retrieval.neighbours,
        "similarity": settings.similarity,
        "penalty": settings.process.penalty,
        "penalty_strength": settings.process.penalty_strength,
        "preset": "default" if settings.model.preset == PRESET else settings.model.preset,
        "options": {**found, **settings.model.options.get(model.predictor, {}), **own},
    }
    return {name: known[name] for name in predictor_class(model.predictor).reads}


def unfitted(store: Store, settings: Settings, model: TrainedModel, *, encoder: nn.Module | None = None) -> Predictor:
    """Return a model's predictor as the settings describe it, with the fitted process for those that use one.

    Args:
        store: The store.
        settings: The settings.
        model: The model.
        encoder: The fitted process, which the predictor does not change. None: it is loaded.
    """
    if encoder is None:
        encoder = load_encoder(fitted_process(store)[0])
    read = _settings_of(store, settings, model)
    return predictor_class(model.predictor).from_settings(read, temporal_encoder=encoder)


def load_model(store: Store, settings: Settings, model: TrainedModel, *, encoder: nn.Module | None = None) -> Predictor:
    """Return a model in service; see `unfitted`."""
    predictor = unfitted(store, settings, model, encoder=encoder)
    with model_in_service(store, model).reading() as folder:
        predictor.load(folder / FOLDER)
    return predictor
