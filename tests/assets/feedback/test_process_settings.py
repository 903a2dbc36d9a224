"""Settings of the process reach it, and the graph runs with each process of M3TR's table 2."""

from __future__ import annotations

import numpy as np
import pytest

from assets.engine.store_access import open_store
from assets.feedback.hawkes_process import fitted_process, load_encoder, new_process
from assets.settings import Process
from models.hawkes import MambaHawkesProcess, NeuralHawkesProcess, PoissonProcess, RawEvents


def test_equation_1_as_printed_can_be_set():
    default, printed = (
        new_process(config, 3).config()
        for config in (
            Process(),
            Process(softness=None, log_gaps=False, input_rule="zoh", shared_decays=True, learn_softness=False),
        )
    )
    own = MambaHawkesProcess(3).config()
    changed = {"softness": None, "log_gaps": False, "input_rule": "zoh", "shared_decays": True, "learn_softness": False}
    assert default == own
    assert printed == own | changed


@pytest.mark.parametrize(
    ("name", "kind"), [("neural", NeuralHawkesProcess), ("poisson", PoissonProcess), ("padded", RawEvents)]
)
def test_the_setting_names_the_process(name, kind):
    process = new_process(Process(intensity=name, hidden=7), 3)
    assert type(process) is kind and process.num_types == 3
    assert name != "neural" or process.hidden == 7


def test_a_penalty_of_a_process_without_influences_is_refused_at_once():
    with pytest.raises(ValueError, match="penalty 'mcp' needs intensity 'm3tr', whose influences it shrinks"):
        Process(intensity="neural", penalty="mcp")


@pytest.mark.slow
@pytest.mark.parametrize("name", ["neural", "poisson", "padded"])
def test_the_graph_runs_with_each_process(settings_of, materialise, name):
    """Up to a model whose process is inside it, unless there is none; the checks of the windows hold."""
    settings = settings_of(
        process__intensity=name, process__history="frozen", model__seeds="[0]", encoders__device="cpu"
    )
    assert materialise(settings, "*popularity_model").success
    store = open_store(settings)
    encoder = load_encoder(fitted_process(store)[0])
    assert encoder.history == "frozen"
    rows = store.stages()["temporal_embeddings"].read(columns=["embedding", "rows", "observed", "simulated", "younger"])
    simulated, observed, count = (np.array(rows[column].to_pylist()) for column in ("simulated", "observed", "rows"))
    if name == "padded":
        assert not simulated.any() and not list(encoder.parameters())
        assert np.array_equal(count, np.minimum(observed, encoder.length))
    else:
        assert simulated.any()
