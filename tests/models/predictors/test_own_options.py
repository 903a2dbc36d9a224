"""Which value a predictor's hyper-parameter has, and which options are refused."""

from __future__ import annotations

import pytest

from models.predictor_table import predictor_class
from models.predictors import M3TRPredictor

SETTINGS = {
    "dim": 8,
    "dropout": 0.1,
    "neighbours": 4,
    "alpha": 0.7,
    "aggregate": "attention",
    "preset": "default",
    "options": {},
    "learning_rate": 1e-2,
    "batch_size": 16,
    "weight_decay": 0.0,
    "gamma": 0.0,
    "max_epochs": 3,
    "patience": 2,
    "averaging": 0.0,
    "precision": "auto",
    "whole_share": 0.5,
    "penalty": "none",
    "penalty_strength": 0.05,
    "similarity": "both",
    **{f"use_{name}": True for name in ("retrieval", "labels", "temporal", "visual", "audio", "text")},
    "use_metadata": False,
    "use_positive": True,
    "use_negative": True,
}


def made(**changed) -> M3TRPredictor:
    return M3TRPredictor.from_settings({**SETTINGS, **changed}, temporal_encoder=None)


def test_the_settings_of_all_networks_reach_the_network_and_its_training():
    model = made()
    assert (model.config.width, model.config.hidden, model.config.neighbours, model.config.alpha) == (8, 8, 4, 0.7)
    assert (model.options.epochs, model.options.learning_rate, model.options.penalty) == (3, 1e-2, None)


def test_printed_values_win_over_settings_and_own_options_over_both():
    paper = made(preset="paper")
    assert {
        name: getattr(paper.config if hasattr(paper.config, name) else paper.options, name)
        for name in M3TRPredictor.paper
    } == dict(M3TRPredictor.paper)
    own = made(preset="paper", options={"width": 12, "patience": 9, "use_audio": False})
    assert (own.config.width, own.config.hidden, own.options.patience) == (12, paper.config.hidden, 9)
    assert not own.config.use_audio


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("m3tr", {"alfa": 0.5}, "'alfa' is unknown; allowed: aggregate, alpha"),
        ("m3tr", {"alpha": 1.5}, "alpha must lie in"),
        ("m3tr", {"alpha": "0.5"}, "alpha must be float, given '0.5'"),
        ("m3tr", {"width": True}, "width must be int, given True"),
        ("m3tr", {"aggregate": "mean"}, "aggregate must be one of 'attention', 'rows', 'concat', given 'mean'"),
        ("m3tr", {"temperature": 0}, "temperature must be above 0, given 0"),
        ("m3tr", {"precision": "float16"}, "precision must be one of 'auto', 'float32', 'bfloat16', given 'float16'"),
        ("boosting", {"depth": 17}, "depth must lie in"),
        ("boosting", {"width": 3}, "'width' is unknown; allowed: depth"),
    ],
)
def test_a_wrong_option_is_refused_with_what_is_allowed(name, options, message):
    with pytest.raises(ValueError, match=message):
        predictor_class(name).check_options(options)


def test_a_whole_number_and_none_fit_where_they_are_allowed():
    predictor_class("m3tr").check_options({"alpha": 1, "penalty": None, "max_branching": 0.5})
