"""The examples of CONTRIBUTING.md: a stage is one file, an encoder or a predictor is one file and one line."""

import importlib.util
import re
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import dagster as dg
import numpy as np
import pytest

import assets.embeddings
import models.encoders
import models.predictors
from assets.engine.store_access import open_store
from models import predictor_table
from models.encoders.encoder_table import CLASSES
from models.metrics import nmse
from models.predictor_table import predictor_class
from models.predictors import TrainingOptions
from storage.arrays import to_numpy
from tests.models.predictors.synthetic import make_world

CONTRIBUTING = Path(__file__).parents[2] / "CONTRIBUTING.md"
EXAMPLES = re.findall(
    r"This one, as\s+`(\S+\.py)`[^`]*```python\n(.*?)```", CONTRIBUTING.read_text(encoding="utf-8"), flags=re.DOTALL
)
((PREDICTOR, PREDICTOR_CLASS),) = re.findall(
    r'^ {4}"(\S+)": "(\S+:\S+)",$', CONTRIBUTING.read_text(encoding="utf-8"), flags=re.MULTILINE
)
((ENTRY, CLASS),) = re.findall(
    r'^ {8}"(\S+)": "(\S+:\S+)",$', CONTRIBUTING.read_text(encoding="utf-8"), flags=re.MULTILINE
)


@pytest.fixture
def add_example(tmp_path, monkeypatch):
    """Put an example's file into a package, as if it lay in the package's folder."""

    def add(package: ModuleType) -> None:
        ((path, source),) = [pair for pair in EXAMPLES if pair[0].startswith(package.__name__.replace(".", "/"))]
        file = tmp_path / Path(path).name
        file.write_text(source)
        monkeypatch.setattr(package, "__path__", [*package.__path__, str(tmp_path)])
        monkeypatch.delitem(sys.modules, f"{package.__name__}.{file.stem}", raising=False)

    before = set(sys.modules)
    yield add
    for name in set(sys.modules) - before:
        if str(getattr(sys.modules[name], "__file__", "")).startswith(str(tmp_path)):
            del sys.modules[name]


@pytest.fixture
def definitions() -> Callable[[], ModuleType]:
    """The definitions as a process that starts now would load them."""

    def load() -> ModuleType:
        spec = importlib.util.find_spec("pipeline.definitions")
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module

    return load


def test_a_stage_is_one_file(add_example, definitions, settings_of):
    add_example(assets.embeddings)
    loaded = definitions()
    graph = loaded.defs.resolve_asset_graph()
    added = graph.get(dg.AssetKey("title_words"))
    assert (added.group_name, added.parent_keys) == ("embeddings", {dg.AssetKey("videos")})
    assert "failed_share" in {key.name for key in graph.get_check_keys_for_assets({added.key})}
    settings = settings_of()
    result = dg.materialize(
        [*loaded.ASSETS, *loaded.ASSET_CHECKS], resources={"settings": settings}, selection=["videos", "title_words"]
    )
    assert result.success
    assert open_store(settings).stages()["title_words"].read()["words"].to_pylist() == [3] * 60


def test_an_encoder_is_one_file_and_one_line(add_example, tiny, materialise, monkeypatch):
    add_example(models.encoders)
    monkeypatch.setitem(CLASSES["visual"], ENTRY, CLASS)
    settings = tiny(encoders__profile="handcrafted", encoders__visual_profile=ENTRY)
    assert materialise(settings, ["visual_embeddings", "visual_captions"]).success
    rows = open_store(settings).stages()["visual_embeddings"].read()
    vectors = to_numpy(rows, "embedding")
    assert vectors.shape == (12, 3, 3)
    bright = rows["item"].to_pylist().index("5")
    np.testing.assert_allclose(vectors[bright], 1, atol=1e-2)
    assert len(np.unique(vectors[:, 0, 0])) > 6
    with pytest.raises(
        ValueError, match=r"VISUAL_PROFILE: handcrafted, mean-colour, tiny, paper are allowed; got 'other'"
    ):
        tiny(encoders__visual_profile="other")


def test_a_predictor_is_one_file_and_one_line(add_example, monkeypatch, tmp_path, settings_of):
    add_example(models.predictors)
    monkeypatch.setitem(predictor_table.CLASSES, PREDICTOR, PREDICTOR_CLASS)
    assert settings_of(model__train=f'["{PREDICTOR}"]').model.train == [PREDICTOR]
    world, made = make_world(), predictor_class(PREDICTOR)
    predictor = made(options=TrainingOptions(epochs=15, learning_rate=3e-2))
    predictor.fit(world.train, world.dev, world.bank)
    forecasts = predictor.predict(world.test, world.bank)
    assert nmse(world.test.target[:, 0], forecasts[:, 0]) < 0.9
    predictor.save(tmp_path / "model")
    again = made()
    again.load(tmp_path / "model")
    np.testing.assert_array_equal(again.predict(world.test, world.bank), forecasts)
