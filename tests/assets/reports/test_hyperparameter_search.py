"""The search for hyper-parameters: what it fits, what it keeps, and that an interrupted search goes on."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from assets.engine.store_access import open_store
from assets.metadata.window_columns import WindowColumns
from assets.prediction import trained_models
from assets.prediction.trained_models import TrainedModel, artifact_of, model_fingerprint
from assets.prediction.training_processes import inputs_of
from assets.prediction.tuned_options import NothingTuned, note_tuned, tuned_artifact
from assets.reports import hyperparameter_search
from assets.reports.hyperparameter_search import NothingFound, search
from assets.reports.hyperparameter_search_picture import write_search_picture
from models.predictor_table import predictor_class
from models.predictors.training_report import Epoch

NOTHING = SimpleNamespace()


def epoch(number: int, dev_nmse: float) -> Epoch:
    return Epoch(number, 0.0, 0.0, None, dev_nmse, 1.0, 1.0, 1.0)


@pytest.fixture
def fits(monkeypatch):
    """Replace the fit by a formula: the nMSE is the learning rate's distance from 0.05, shown from the first pass on."""
    made = []

    def unfitted(store, settings, model):
        options = settings.model.options.get(model.predictor, {})
        everything = {**settings.model.model_dump(), "options": options, "neighbours": 3, "similarity": "both"}
        everything |= {"penalty": "none", "penalty_strength": 0.05}
        return predictor_class(model.predictor).from_settings(everything, temporal_encoder=None)

    def fit_model(store, settings, model, inputs, *, progress, on_epoch, resumable):
        assert not resumable
        options = unfitted(store, settings, model).hyperparameters()
        made.append(options)
        nmse = abs(options["learning_rate"] - 0.05)
        for number in range(1, 6):
            on_epoch(epoch(number, nmse + 1 / number))
        return None, SimpleNamespace(best_dev_nmse=nmse)

    for name, replacement in (
        ("unfitted", unfitted),
        ("fit_model", fit_model),
        ("input_digests", lambda *args: {"1": "a"}),
        ("model_fingerprint", lambda *args, code: SimpleNamespace(hash="f")),
    ):
        monkeypatch.setattr(hyperparameter_search, name, replacement)
    return made


def run(settings, predictor: str = "boosting", *, trials: int, told=lambda line: None):
    return search(open_store(settings), settings, predictor, trials=trials, inputs=(NOTHING,) * 3, told=told)


def test_the_own_values_come_first_and_the_best_is_kept(settings_of, fits):
    settings, lines = settings_of(), []
    result = run(settings, trials=8, told=lines.append)
    own = predictor_class("boosting")().hyperparameters()
    assert fits[0] == own
    assert result.default_nmse == abs(own["learning_rate"] - 0.05) and result.nmse < result.default_nmse
    assert abs(result.options["learning_rate"] - 0.05) == result.nmse
    assert len(lines) == 8 and lines[0].startswith("boosting: trial 1 of 8: nMSE 0.0200, best 0.0200")
    kept = tuned_artifact(open_store(settings), "boosting").current().metadata
    assert kept["options"] == result.options and kept["validation_nmse"] == result.nmse


def test_an_interrupted_search_goes_on_and_a_finished_one_fits_nothing(settings_of, fits, monkeypatch):
    settings, fit = settings_of(), hyperparameter_search.fit_model

    def stopped(*args, **kwargs):
        if len(fits) == 3:
            raise KeyboardInterrupt
        return fit(*args, **kwargs)

    monkeypatch.setattr(hyperparameter_search, "fit_model", stopped)
    with pytest.raises(KeyboardInterrupt):
        run(settings, trials=6)
    monkeypatch.setattr(hyperparameter_search, "fit_model", fit)
    result = run(settings, trials=6)
    assert [trial.state.name for trial in result.study.trials] == ["COMPLETE"] * 3 + ["FAIL"] + ["COMPLETE"] * 2
    assert len({tuple(options.items()) for options in fits}) == len(fits) == 5
    run(settings, trials=6)
    assert len(fits) == 5


def test_an_option_that_the_user_set_is_not_searched(settings_of, fits):
    settings = settings_of(model__options='{"boosting": {"depth": 4, "trees": 7}}')
    result = run(settings, trials=4)
    assert set(result.options) == {"learning_rate", "l2"}
    assert {(options["depth"], options["trees"]) for options in fits} == {(4, 7)}
    everything = '{"boosting": {"depth": 4, "learning_rate": 0.1, "l2": 1.0}}'
    with pytest.raises(NothingFound, match=r"no option to search besides those of \[model\.options\.boosting\]"):
        run(settings_of(model__options=everything), trials=4)


def test_hopeless_passes_of_a_network_are_pruned_and_its_neighbours_bounded(settings_of, fits, tmp_path):
    result = run(settings_of(), "m3tr", trials=12)
    searched = {"learning_rate", "batch_size", "weight_decay", "dropout", "alpha", "neighbours", "temperature"}
    assert searched == set(result.options)
    assert {options["neighbours"] for options in fits} == {1, 2, 3}
    states = {trial.state.name for trial in result.study.trials}
    assert states == {"COMPLETE", "PRUNED"}
    write_search_picture(tmp_path / "results" / "search.png", result, title="M3TR")
    assert (tmp_path / "results" / "search.png").stat().st_size > 10_000


def test_what_was_found_is_used_with_the_preset_and_own_options_win(settings_of, fits, monkeypatch):
    monkeypatch.setattr(trained_models, "versions", lambda store: {})
    columns = WindowColumns(["fps"], {}, {}, ["like"], [])
    monkeypatch.setattr(trained_models, "columns_in_service", lambda store: (None, columns))
    plain, tuned = settings_of(), settings_of(model__preset="tuned")
    context = SimpleNamespace(log=SimpleNamespace(warning=lambda line, *args: lines.append(line % args)))
    lines: list[str] = []
    with pytest.raises(NothingTuned, match="reelcast search --models boosting,m3tr"):
        note_tuned(context, open_store(tuned), tuned, ["boosting", "m3tr"])
    found, store = run(plain, trials=4), open_store(plain)
    note_tuned(context, store, tuned, ["boosting", "m3tr"])
    assert lines == ["popularity_model: M3TR was not searched; its defaults are used"]
    own = settings_of(model__preset="tuned", model__options='{"boosting": {"depth": 9}}')
    read = [
        model_fingerprint(store, settings, TrainedModel("boosting", 0), code=1).parameters["options"]
        for settings in (plain, tuned, own)
    ]
    assert read == [{}, found.options, {**found.options, "depth": 9}]


@pytest.mark.slow
def test_a_search_over_a_data_set_is_used_by_the_next_run(settings_of, materialise):
    settings = settings_of(model__train='["m3tr", "boosting"]', model__seeds="[0]")
    assert materialise(settings, "*popularity_model").success
    store, lines = open_store(settings), []
    inputs = inputs_of(store, settings)
    found = {
        name: search(store, settings, name, trials=3, inputs=inputs, told=lines.append) for name in ("m3tr", "boosting")
    }
    assert len(lines) == 6
    before = [artifact_of(store, TrainedModel(name, 0)).current() for name in found]
    assert found["boosting"].default_nmse == before[1].metadata["best_dev_nmse"]
    tuned = settings_of(model__train='["m3tr", "boosting"]', model__seeds="[0]", model__preset="tuned")
    assert materialise(tuned, "popularity_model").success
    for version, result in zip(before, found.values()):
        now = artifact_of(store, TrainedModel(result.predictor, 0)).current()
        assert now.version == version.version + 1
        assert now.metadata["best_dev_nmse"] == pytest.approx(result.nmse, abs=1e-12)
