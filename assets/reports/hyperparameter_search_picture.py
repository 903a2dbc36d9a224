"""Picture of a search for hyper-parameters: its history, and how much each option matters."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from assets.reports.hyperparameter_search import SearchResult, finished
from models.png import save_png
from models.predictors.installed_extra import import_library
from storage.durable import written_beside

ENOUGH = 4  # trials with a result from which importances are computed


def write_search_picture(path: Path, result: SearchResult, *, title: str) -> None:
    """Draw the validation nMSE of every trial with the best so far, and the options' importances (fANOVA).

    Args:
        path: File to write, PNG.
        result: The search.
        title: Title of the picture.
    """
    from matplotlib.figure import Figure

    done = finished(result.study)
    figure = Figure(figsize=(10, 4), layout="constrained")
    history, importance = figure.subplots(1, 2)
    numbers, values = [trial.number + 1 for trial in done], [trial.value for trial in done]
    history.plot(numbers, values, "o", color="0.6", label="trial")
    history.step(numbers, np.minimum.accumulate(values), where="post", label="best so far")
    pruned = [trial.number + 1 for trial in result.study.trials if trial.state.name == "PRUNED"]
    history.plot(pruned, [max(values)] * len(pruned), "x", color="0.6", label="pruned")
    if result.default_nmse is not None:
        history.axhline(result.default_nmse, linestyle=":", color="0.3", label="settings' own values")
    history.set(xlabel="trial", ylabel="validation nMSE", title=title)
    history.legend()
    shares = _importances(result)
    importance.barh(list(shares), list(shares.values()))
    importance.invert_yaxis()
    importance.set(xlabel="share of the variance", title="importance" if shares else "importance: too few trials")
    path.parent.mkdir(parents=True, exist_ok=True)
    with written_beside(path) as scratch:
        save_png(figure, scratch)


def _importances(result: SearchResult) -> dict[str, float]:
    """Return the options' shares, largest first; none with too few or equal trials."""
    values = [trial.value for trial in finished(result.study)]
    if len(values) < ENOUGH or np.ptp(values) == 0:
        return {}
    importance = import_library("optuna.importance")
    return importance.get_param_importances(result.study, evaluator=importance.FanovaImportanceEvaluator(seed=0))
