"""Search for the hyper-parameters of a predictor that forecast the validation items best."""

from __future__ import annotations

import math
import sqlite3
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from assets.prediction.input_digests import input_digests
from assets.prediction.popularity_model import CODE
from assets.prediction.trained_models import TrainedModel, model_fingerprint, unfitted
from assets.prediction.training_processes import Inputs, fit_model
from assets.prediction.tuned_options import PRESET, keep_tuned
from assets.settings import Settings
from models.predictor_table import predictor_class
from models.predictors.installed_extra import import_library
from models.predictors.neural_predictor import NeuralPredictor
from models.predictors.search_space import SearchSpace, Span
from models.predictors.training_report import Epoch
from storage.hashing import content_hash
from storage.store import Store

if TYPE_CHECKING:
    from optuna import Study, Trial

FOLDER = "searches"
RANDOM_TRIALS = 5  # before the first one is pruned
PASSES = 3  # of every trial, before it may be pruned


@dataclass(frozen=True)
class SearchResult:
    """Outcome of a search.

    Attributes:
        predictor: Name of the predictor.
        study: All trials.
        options: The best trial's options.
        nmse: Its validation nMSE.
        default_nmse: Validation nMSE with the settings' own values; None if one of them lies outside its range.
    """

    predictor: str
    study: Study
    options: Mapping[str, Any]
    nmse: float
    default_nmse: float | None


class NothingFound(RuntimeError):
    """A predictor cannot be searched, or none of its trials came to an end."""


def search(
    store: Store,
    settings: Settings,
    predictor: str,
    *,
    trials: int,
    inputs: Inputs,
    told: Callable[[str], None],
) -> SearchResult:
    """Fit a predictor with many settings, and keep the best for `model.preset = "tuned"`.

    The first trial has the settings' own values. The next ones are random, the later ones Optuna's (tree-structured Parzen
    estimators). A network's trial is pruned when its validation nMSE is worse than the median of the earlier trials at the
    same pass. Trials are kept in the store, so that a search that was interrupted goes on. Another data set, another
    feature or another setting starts a new search.

    Args:
        store: The store.
        settings: The settings. Options that `model.options` sets are not searched.
        predictor: Name of the predictor.
        trials: Number of trials of the whole search, those of earlier calls included.
        inputs: Windows of the training and validation items, and the bank.
        told: Receives a line per trial.

    Returns:
        The outcome.

    Raises:
        ImportError: Optuna is not installed.
        NothingFound: The predictor cannot be fitted to the data, has no option to search, or no trial came to an end.
    """
    optuna = import_library("optuna")
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    model = TrainedModel(predictor, settings.model.seeds[0])
    fixed = settings.model.options.get(predictor, {})
    plain = _with_options(settings, predictor, fixed)
    start = unfitted(store, plain, model)
    if (obstacle := start.obstacle(inputs[0], inputs[2])) is not None:
        raise NothingFound(f"{model.title}: {obstacle}")
    space = _space_of(settings, predictor, fixed)
    if not space:
        raise NothingFound(f"{model.title} has no option to search besides those of [model.options.{predictor}]")
    inputs_hash = content_hash(
        input_digests(store, "train", "val"),
        model_fingerprint(store, plain, model, code=CODE).hash,
        {name: repr(values) for name, values in space.items()},
    )
    study = _study(store, f"{predictor}-{inputs_hash[:12]}", start.hyperparameters(), space)

    def fit(trial: Trial) -> float:
        def report(epoch: Epoch) -> None:
            trial.report(epoch.dev_nmse, epoch.epoch)
            if trial.should_prune():
                raise optuna.TrialPruned

        options = {name: suggest(trial, name, values) for name, values in space.items()}
        chosen = _with_options(settings, predictor, {**options, **fixed})
        # A trial's checkpoint would replace that of a training that was killed.
        fitted = fit_model(store, chosen, model, inputs, progress=lambda: None, on_epoch=report, resumable=False)
        return fitted[1].best_dev_nmse

    def tell(study: Study, trial: Any) -> None:
        value = (
            "pruned" if trial.state.name == "PRUNED" else "failed" if trial.value is None else f"nMSE {trial.value:.4f}"
        )
        best = min((past.value for past in finished(study)), default=math.nan)
        seconds = trial.duration.total_seconds()
        told(f"{model.title}: trial {trial.number + 1} of {trials}: {value}, best {best:.4f}, {seconds:.1f} s")

    made = sum(trial.state.is_finished() for trial in study.trials)
    study.optimize(fit, n_trials=max(trials - made, 0), callbacks=[tell], catch=(FloatingPointError,))
    if not finished(study):
        raise NothingFound(f"{model.title}: no trial came to an end")
    first, values = study.trials[0], start.hyperparameters()
    default = first.value if all(first.params.get(name) == values[name] for name in space) else None
    result = SearchResult(predictor, study, dict(study.best_params), study.best_value, default)
    facts = {
        "validation_nmse": result.nmse,
        "default_nmse": result.default_nmse,
        "trials": len(study.trials),
        "study": study.study_name,
    }
    keep_tuned(store, predictor, result.options, inputs_hash=inputs_hash, facts=facts)
    return result


def suggest(trial: Trial, name: str, values: Any) -> Any:
    """Return a trial's value of an option."""
    if not isinstance(values, Span):
        return trial.suggest_categorical(name, values.values)
    if isinstance(values.low, int):
        return trial.suggest_int(name, values.low, values.high, log=values.log)
    return trial.suggest_float(name, values.low, values.high, log=values.log)


def _with_options(settings: Settings, predictor: str, options: Mapping[str, Any]) -> Settings:
    """Return the settings with other options of one predictor, and without those of earlier searches."""
    preset = "default" if settings.model.preset == PRESET else settings.model.preset
    changes = {"preset": preset, "options": {**settings.model.options, predictor: dict(options)}}
    return settings.model_copy(update={"model": settings.model.model_copy(update=changes)})


def _space_of(settings: Settings, predictor: str, fixed: Mapping[str, Any]) -> dict[str, Any]:
    """Return a predictor's space without the options that the user fixed, and with no more neighbours than were retrieved."""
    made = predictor_class(predictor)
    space = {name: values for name, values in made.search_space().items() if name not in fixed}
    if issubclass(made, NeuralPredictor) and "neighbours" in space:
        space["neighbours"] = Span(1, settings.retrieval.neighbours)
    return space


def _study(store: Store, name: str, start: Mapping[str, Any], space: SearchSpace) -> Study:
    """Return a new study whose first trial has the values `start`, or the study of that name."""
    optuna = import_library("optuna")
    folder = store.root / FOLDER
    folder.mkdir(exist_ok=True)
    study = optuna.create_study(
        study_name=name,
        storage=optuna.storages.RDBStorage(
            "sqlite://", engine_kwargs={"creator": lambda: _connect(folder / "trials.db")}
        ),
        pruner=optuna.pruners.MedianPruner(n_startup_trials=RANDOM_TRIALS, n_warmup_steps=PASSES),
        load_if_exists=True,
    )
    for trial in study.trials:
        if not trial.state.is_finished() and trial.state.name == "RUNNING":  # its process was stopped
            study.tell(trial.number, state=optuna.trial.TrialState.FAIL)
    # Each call continues with other random numbers than the calls before.
    study.sampler = optuna.samplers.TPESampler(seed=len(study.trials), n_startup_trials=RANDOM_TRIALS)
    inside = {name: start[name] for name, values in space.items() if _holds(values, start[name])}
    if not study.trials and inside:
        study.enqueue_trial(inside)
    return study


def _connect(file: Path) -> sqlite3.Connection:
    """Return a connection that does not wait for the disk at every pass that a trial reports."""
    connection = sqlite3.connect(file, timeout=60.0, check_same_thread=False)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = NORMAL")
    return connection


def _holds(values: Any, value: Any) -> bool:
    if not isinstance(values, Span):
        return value in values.values
    return value is not None and values.low <= value <= values.high


def finished(study: Study) -> list[Any]:
    """Return the trials that were neither pruned nor failed."""
    return [trial for trial in study.trials if trial.state.name == "COMPLETE"]
