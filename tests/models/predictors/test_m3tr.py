"""The whole forward pass against plain NumPy, with every switch of the ablations."""

from __future__ import annotations

import json
from dataclasses import fields, replace

import numpy as np
import pytest
import torch

from models.predictors import M3TR, M3TRConfig
from models.predictors.features import NeighbourBatch, VideoBatch, Widths
from tests.models.predictors.reference import Reference

WIDTHS = Widths(visual=3, acoustic=4, text=5, temporal=2)
ROWS = {"visual": 4, "acoustic": 4, "text": 6, "temporal": 7}
SWITCHES = [
    field.name for field in fields(M3TRConfig) if field.name.startswith("use_") and field.name != "use_metadata"
]
CONFIG = M3TRConfig(width=4, hidden=5, alpha=0.7, neighbours=3)


def videos(count: int, seed: int) -> VideoBatch:
    """Random videos of which the first has everything, the second nothing, and others lack some rows."""
    g = torch.Generator().manual_seed(seed)
    parts = {}
    for name, rows in ROWS.items():
        mask = torch.rand(count, rows, generator=g) < 0.7
        mask[:1], mask[1:2] = True, False
        values = torch.randn(count, rows, getattr(WIDTHS, name), generator=g).double()
        parts |= {name: values * mask[..., None], f"{name}_mask": mask}
    return VideoBatch(**parts)


def hood() -> NeighbourBatch:
    """Four videos with three, two, one and no neighbour among five."""
    g = torch.Generator().manual_seed(2)
    mask = torch.tensor([[1, 1, 1], [1, 1, 0], [0, 1, 0], [0, 0, 0]]).bool()
    index = torch.randint(5, mask.shape, generator=g) * mask
    score, label = (torch.rand(mask.shape, generator=g).double() * mask for _ in range(2))
    return NeighbourBatch(index=index, score=score, mask=mask, label=6 * label[..., None])


def make_model(config: M3TRConfig, *, targets: int = 1) -> M3TR:
    torch.manual_seed(0)
    model = M3TR(config, WIDTHS, targets=targets).double().eval()
    with torch.no_grad():
        for name, value in model.state_dict().items():
            value.copy_(torch.rand_like(value) + 0.5 if name.endswith("scale") else 0.7 * torch.randn_like(value))
    return model


def predict(model: M3TR) -> np.ndarray:
    with torch.no_grad():
        return model(videos(4, 0), videos(5, 1), hood()).numpy()


CONFIGS = [
    CONFIG,
    replace(CONFIG, aggregate="concat"),
    replace(CONFIG, aggregate="concat", use_labels=False),
    replace(CONFIG, aggregate="concat", interaction="product"),
    replace(CONFIG, aggregate="rows"),
    replace(CONFIG, aggregate="rows", temperature=0.2, interaction="product"),
    replace(CONFIG, aggregate="rows", use_labels=False),
    replace(CONFIG, temperature=0.2),
    replace(CONFIG, interaction="product"),
    replace(CONFIG, use_positive=False, use_negative=False),
    *(replace(CONFIG, **{switch: False}) for switch in SWITCHES),
]


@pytest.mark.parametrize("config", CONFIGS, ids=lambda config: repr(config).split("neighbours=3, ")[1])
def test_the_forward_pass_is_the_papers(config):
    model = make_model(config)
    expected = Reference(model).predict(videos(4, 0), videos(5, 1), hood())
    np.testing.assert_allclose(predict(model), expected, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("name", make_model(CONFIG).state_dict())
def test_a_wrong_weight_would_be_noticed(name):
    """The negative control: the comparison depends on every weight of the network."""
    model = make_model(CONFIG)
    reference = Reference(model)
    reference.weights[name] += 1e-3 * np.random.default_rng(0).standard_normal(reference.weights[name].shape)
    found = reference.predict(videos(4, 0), videos(5, 1), hood())
    assert np.abs(found - predict(model)).max() > 1e-8


@pytest.mark.parametrize(
    ("config", "other"),
    [
        (replace(CONFIG, temperature=0.2), {"temperature": 0.3}),
        (replace(CONFIG, aggregate="rows"), {"aggregate": "attention"}),
        (replace(CONFIG, aggregate="rows", temperature=0.2), {"temperature": 1.0}),
    ],
    ids=repr,
)
def test_another_average_of_the_neighbours_would_be_noticed(config, other):
    model = make_model(config)
    reference = Reference(model)
    reference.config = replace(config, **other)
    found = reference.predict(videos(4, 0), videos(5, 1), hood())
    assert np.abs(found - predict(model)).max() > 1e-6


@pytest.mark.parametrize("config", [CONFIG, replace(CONFIG, aggregate="rows"), replace(CONFIG, interaction="product")])
def test_more_padding_and_more_masked_neighbours_change_nothing(config):
    model, target, neighbours, around = make_model(config), videos(4, 0), videos(5, 1), hood()

    def padded(batch: VideoBatch) -> VideoBatch:
        parts = {name: getattr(batch, name) for name in ROWS} | {f"{n}_mask": getattr(batch, f"{n}_mask") for n in ROWS}
        pads = {name: (0, 0, 0, 3) if parts[name].ndim == 3 else (0, 3) for name in parts}
        return VideoBatch(**{name: torch.nn.functional.pad(part, pads[name]) for name, part in parts.items()})

    more = {name: torch.nn.functional.pad(getattr(around, name), (0, 2)) for name in ("index", "score", "mask")}
    more["label"] = torch.nn.functional.pad(around.label, (0, 0, 0, 2), value=7.0)
    with torch.no_grad():
        found = model(padded(target), padded(neighbours), NeighbourBatch(**more)).numpy()
    np.testing.assert_allclose(found, predict(model), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("config", [CONFIG, replace(CONFIG, aggregate="rows"), replace(CONFIG, interaction="product")])
def test_the_gradient_reaches_every_parameter(config):
    model = make_model(config)
    model(videos(4, 0), videos(5, 1), hood()).square().sum().backward()
    assert [name for name, value in model.named_parameters() if value.grad is None or not value.grad.any()] == []


@pytest.mark.parametrize("config", [CONFIG, replace(CONFIG, aggregate="rows", temperature=0.2, interaction="product")])
def test_a_network_built_from_its_description_with_its_weights_forecasts_the_same(config):
    model = make_model(config)
    again = M3TR.from_description(json.loads(json.dumps(model.description())), temporal_encoder=None).double().eval()
    again.load_state_dict(model.state_dict())
    np.testing.assert_array_equal(predict(again), predict(model))


@pytest.mark.parametrize("switch", SWITCHES)
def test_every_switch_takes_something_away(switch):
    """Each ablation ignores what it leaves out: the forecast does not depend on it any more."""
    model = make_model(replace(CONFIG, **{switch: False}))
    target, neighbours, around = videos(4, 0), videos(5, 1), hood()
    part = {"use_visual": "visual", "use_audio": "acoustic", "use_text": "text", "use_temporal": "temporal"}.get(switch)
    if part is not None:
        target, neighbours = (replace(v, **{part: 9 * getattr(v, part)}) for v in (target, neighbours))
    elif switch == "use_labels":
        around = replace(around, label=around.label + 5)
    elif switch == "use_retrieval":
        neighbours, around = videos(5, 7), replace(around, label=around.label + 5, score=9 * around.score)
    else:
        full = make_model(CONFIG).attention["ct"].query
        assert len(model.attention["ct"].query) == len(full) - 1
        return
    with torch.no_grad():
        changed = model(target, neighbours, around).numpy()
    np.testing.assert_array_equal(changed, predict(model))
    assert switch not in ("use_labels", "use_retrieval") or not np.array_equal(predict(make_model(CONFIG)), changed)


@pytest.mark.parametrize("aggregate", ["attention", "rows", "concat"])
def test_a_batch_in_which_nobody_has_a_neighbour_gets_a_forecast_without(aggregate):
    model = make_model(replace(CONFIG, aggregate=aggregate))
    alone = replace(hood(), mask=torch.zeros(4, 3).bool(), index=torch.zeros(4, 3).long())
    expected = Reference(model).predict(videos(4, 0), videos(0, 1), alone)
    with torch.no_grad():
        found = model(videos(4, 0), videos(0, 1), alone).numpy()
    np.testing.assert_allclose(found, expected, rtol=1e-10, atol=1e-10)
