"""The whole graph as Dagster runs it, on feedback alone: every item lacks video and sound."""

import json
import re
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch

from assets.curves.course_figure import course_figure
from assets.curves.forecast_reasons import check_sums, read_reasons, read_sentences
from assets.curves.intensity_figure import intensity_figure
from assets.engine.nothing_to_show import NothingToShow
from assets.engine.store_access import open_store
from assets.ingest.interactions import read_events
from assets.ingest.videos import known_titles
from assets.memory.neighbours import read_neighbours
from assets.memory.retrieval_figure import retrieval_figure
from assets.prediction.predictions import read_predictions
from assets.prediction.predictor_inputs import samples_by_age, samples_of
from assets.prediction.results import SHOWN
from assets.protocol.popularity import read_popularity
from assets.protocol.splits import items_of, read_splits
from assets.settings import Model, Settings
from models.predictor_table import MEAN, NEIGHBOURS, TRIVIAL
from models.predictors import Samples
from models.predictors.features import MODALITIES
from pipeline.predicting.forecaster import Forecaster
from storage import catalog

DOCUMENT = Path(__file__).parents[2] / "docs" / "storage.md"
PREDICT = DOCUMENT.with_name("predict.md")
CONTENT = ["*retrieval_vectors", "*text_embeddings", "*visual_embeddings"]
TRAINED = '["m3tr", "boosting", "stack"]'
PER_VIDEO = [
    "videos",
    "frames",
    "audio",
    "visual_captions",
    "audio_captions",
    "visual_embeddings",
    "acoustic_embeddings",
    "text_embeddings",
    "retrieval_vectors",
    "temporal_embeddings",
    "simulated_curves",
]


@pytest.fixture
def ran(settings_of, materialise) -> Settings:
    settings = settings_of(model__train=json.dumps(Model().train))
    assert materialise(settings).success
    return settings


def test_from_videos_to_predictions(ran, materialise, settings_of, tmp_path, monkeypatch, capsys):
    store = open_store(ran)
    table = store.table("evaluation").read()
    assert set(table["predictor"]) == {"M3TR", "boosting", "boosting + content", "stack", *TRIVIAL}
    whole = table.filter(pl.col("age_hours").is_null())
    assert sorted(whole.filter(pl.col("predictor") == "M3TR")["seed"]) == [0, 1]
    assert table["age_hours"].unique().sort().to_list() == [None, 1.0, 3.0, 8.0]
    assert table.group_by("age_hours").agg("predictor").height == 4
    assert table["target_name"].unique().to_list() == ["comment@7d"]
    assert table.filter(pl.col("predictor") == "M3TR").select(SHOWN).to_numpy().min() > -1
    text = (tmp_path / "results" / "evaluation.md").read_text()
    assert "M3TR" in text
    assert "6 test items" in text
    assert "| nMSE by age | 1 h | 3 h | 8 h | 24 h |" in text

    (queries,) = re.findall(r"```sql\n(.*?)```", DOCUMENT.read_text(encoding="utf-8"), flags=re.DOTALL)
    with catalog.connect(store) as connection:
        failed, similar = (connection.sql(query).fetchall() for query in queries.split(";")[:2])
    assert failed == [] and len(similar) == 10 and similar[0][1] >= similar[-1][1] > -1

    same_samples_for_one_age_and_for_several(ran)
    same_forecasts_without_a_store(ran)
    example_of_the_document_runs(ran, tmp_path, monkeypatch, capsys)
    # 48 training items are too few for a regression: the curves are those of the process alone, up to the target's horizon.
    curves = store.table("curve_items").read().filter(pl.col("age_hours") == 1.0)
    assert curves["horizon_hours"].unique().sort().to_list() == [1.0, 3.0, 6.0, 12.0, 24.0, 48.0, 72.0, 168.0]
    assert (curves["q05"] <= curves["q95"]).all()
    assert (
        curves.filter(pl.col("horizon_hours") == 1.0)["q50"]
        == curves.filter(pl.col("horizon_hours") == 1.0)["observed"]
    ).all()
    reasons = read_reasons(store)
    assert check_sums(reasons, read_predictions(store)).passed
    parts = reasons.filter(pl.col("kind").is_in(["part", "remainder"]))
    sums = parts.group_by("item", "target_name").agg(pl.col("share").sum())["share"]
    assert sums.to_list() == pytest.approx([1.0] * len(sums))
    assert {"feedback", "words", "time"} <= set(parts["name"]) and "frames" not in set(parts["name"])
    assert set(read_sentences(store)["item"]) == set(reasons["item"])

    sections = store.table("report").read()
    missing = dict(sections.filter(pl.col("missing").is_not_null()).iter_rows())
    assert missing == {
        "Forecasts of new videos": "Every video has a label.",
        "Do the intervals cover what they say?": "Too few test videos were followed to any horizon.",
        "Archetypes of growth": "6 test videos have a shape of growth; 40 are needed to tell archetypes apart.",
        "Drift": "Too few videos on one side for any test.",
        "Errors of past forecasts": "No label of a logged forecast has become known yet; a later run with newer data "
        "scores them.",
    }
    page = (tmp_path / "results" / "report.html").read_text(encoding="utf-8")
    assert page.count("<h2 ") == len(sections) and page.count("<svg") > 20

    item = store.table("evaluation_items").read()["item"][0]
    gallery = retrieval_figure(store, ran, item=item)
    assert "this video: " in gallery.get_supxlabel() and "percentile" not in gallery.get_supxlabel()
    assert intensity_figure(store, ran, item=item).get_suptitle() == f"video {item}"
    for figure in (retrieval_figure, intensity_figure):
        with pytest.raises(NothingToShow, match="item 'nobody' is no "):
            figure(store, ran, item="nobody")

    with pytest.raises(NothingToShow, match="archetypes are known of the demonstration set alone"):
        course_figure(store, ran, tmp_path / "none.csv")
    items = store.table("evaluation_items").read()["item"].unique().sort()
    kinds = pl.DataFrame({"item": items, "archetype": ["odd", "even"] * (len(items) // 2), "events": range(len(items))})
    kinds.write_csv(tmp_path / "archetypes.csv")
    titles = [axes.get_title() for axes in course_figure(store, ran, tmp_path / "archetypes.csv").axes]
    assert [title.split(" (video ")[0] for title in titles] == ["even", "odd"]

    again = materialise(ran)
    assert again.success
    for name in PER_VIDEO:
        (done,) = again.asset_materializations_for_node(name)
        plan = done.metadata["plan"].data
        assert plan["new"] == plan["stale"] == plan["orphaned"] == 0, name
    assert again.asset_materializations_for_node("popularity_model")[0].metadata["trained"].data == []


def example_of_the_document_runs(settings: Settings, folder: Path, monkeypatch, capsys) -> None:
    (code,) = re.findall(r"```python\n(.*?)```", PREDICT.read_text(encoding="utf-8"), flags=re.DOTALL)
    start = pl.Series(["2026-05-01T12:00:00"]).str.to_datetime().dt.epoch("ms")[0]
    (folder / "events.csv").write_text(f"time,type\n{start + 60_000},like\n{start + 3_600_000},comment\n")
    monkeypatch.chdir(folder)
    monkeypatch.setattr("pipeline.predicting.forecaster.load", lambda: settings)
    exec(code, {})
    told = capsys.readouterr().out
    assert re.search(r"comment@7d: \d+ expected, 1 so far, by ", told) and "like " in told


def same_samples_for_one_age_and_for_several(settings: Settings) -> None:
    """What is read once for all ages, or of some items, is what is read of one age and of all items."""
    store, ages = open_store(settings), [1.0, 3.0, 8.0, None]
    together = dict(samples_by_age(store, settings, "test", [*ages, 7.0]).each())
    assert list(together) == ages
    for age, part in together.items():
        alone = samples_of(store, settings, "test", age="own" if age is None else age)
        assert read_of(part) == read_of(alone)
        some = alone.items[[4, 1]].tolist()
        own = samples_of(store, settings, "test", age="own" if age is None else age, items=some)
        assert read_of(own) == read_of(alone, np.sort(np.flatnonzero(np.isin(alone.items, some))))


def read_of(samples: Samples, rows: np.ndarray | None = None) -> list[bytes]:
    """The bytes of all that a predictor reads of some windows."""
    rows = np.arange(len(samples)) if rows is None else rows
    near, table, feedback = samples.neighbourhood, samples.table, samples.feedback.take(torch.from_numpy(rows))
    numbers = [
        samples.items,
        samples.target,
        samples.age,
        samples.counted,
        table.numeric,
        table.categorical.astype(str),
    ]
    numbers += [near.index, near.score, near.mask, near.label]
    seen = [feedback.observed.times, feedback.completed.events.times, feedback.completed.age]
    content = [part for name in MODALITIES for part in getattr(samples.features, name).read(rows)]
    parts = [*(part[rows] for part in numbers), *(part.numpy() for part in seen), *content]
    return [np.ascontiguousarray(part).tobytes() for part in parts]


def same_forecasts_without_a_store(settings: Settings) -> None:
    """What a new video with a test item's title and feedback is forecast is what the test item was."""
    store = open_store(settings)
    windows = read_popularity(store).rows_by_key("item", named=True, unique=True)
    titles, events = known_titles(store), read_events(store)
    made = store.table("evaluation_items").read().filter(pl.col("age_hours").is_null())
    with Forecaster(settings) as forecaster:
        for item in items_of(read_splits(store), "test"):
            window = windows[item]
            forecast = forecaster.predict(
                title=titles[item],
                published=window["t0"],
                feedback=events.filter(pl.col("item") == item).select("time", "type", "user"),
                at=window["observed_until"],
                item=item,
            )
            assert forecast.observed_events == window["observed_events"] and forecast.window_complete
            (one,) = forecast.forecasts
            assert one.why.endswith(".") and [point.hours for point in one.curve][-1] == 168.0
            assert all(point.quantiles["0.1"] <= point.quantiles["0.9"] for point in one.curve)
            own = made.filter((pl.col("item") == item) & (pl.col("predictor") == one.row))["predicted"]
            assert one.value == pytest.approx(own.mean(), abs=1e-5)
            assert one.lowest <= one.count <= one.highest and (one.highest > one.lowest) == (own.max() > own.min())
            stored = read_neighbours(store).filter(pl.col("item") == item).sort("rank")
            assert [near.item for near in forecast.neighbours] == stored["neighbour"].to_list()
            assert [near.score for near in forecast.neighbours] == pytest.approx(stored["score"].to_list(), abs=1e-5)


@pytest.mark.slow
def test_every_target_has_its_rows_its_stack_and_its_forecasts(settings_of, materialise, tmp_path):
    """Two targets, of which a young item lacks one; a forecast at publication; and a row that is served by name."""
    settings = settings_of(
        protocol__targets='["comment@7d", "like@3d"]', protocol__ages="[0, 3]", model__seeds="[0]", model__train=TRAINED
    )
    assert materialise(settings).success
    store = open_store(settings)
    table, weights = store.table("evaluation").read(), store.table("stack_weights").read()
    targets = ["comment@7d", "like@3d"]
    assert table["target_name"].unique().sort().to_list() == weights["target_name"].unique().sort().to_list() == targets
    at_publication = table.filter(pl.col("age_hours") == 0.0)
    assert {"M3TR", "boosting", "stack", MEAN, NEIGHBOURS} == set(at_publication["predictor"])
    assert table["age_hours"].unique().sort().to_list() == [None, 0.0, 3.0]
    sums = weights.group_by("target_name", "age_hours").agg(pl.col("weight").sum())["weight"]
    assert sums.to_list() == pytest.approx([1.0] * 6)
    text = (tmp_path / "results" / "evaluation.md").read_text()
    assert "## comment@7d" in text and "## like@3d" in text and "Forecasts are served by: " in text

    named = settings_of(
        protocol__targets='["comment@7d", "like@3d"]',
        protocol__ages="[0, 3]",
        model__seeds="[0]",
        model__train=TRAINED,
        model__serve="boosting",
    )
    again = materialise(named)
    assert again.success
    assert again.asset_materializations_for_node("popularity_model")[0].metadata["trained"].data == []
    predicted = read_predictions(store)
    assert set(predicted["model"]) <= {"boosting"}


@pytest.mark.slow
def test_same_seed_gives_the_same_numbers(settings_of, materialise, tmp_path):
    tables = []
    for run in ("first", "second"):
        settings = settings_of(store__path=str(tmp_path / run), model__seeds="[3]")
        assert materialise(settings).success
        tables.append(open_store(settings).table("evaluation").read())
    assert tables[0].equals(tables[1])


@pytest.mark.slow
def test_first_k_drops_short_items_and_predicts_them(settings_of, materialise):
    settings = settings_of(protocol__first_k="12", protocol__label_event="all")
    assert materialise(settings).success
    store = open_store(settings)
    sides = read_splits(store)
    windows = store.table("popularity").read()
    short = set(windows.filter(~pl.col("window_complete"))["item"])
    assert short
    assert short == set(sides.filter(pl.col("split") == "predict")["item"])
    predicted = read_predictions(store)
    assert set(predicted["item"]) == short
    assert windows.filter("labelled")["observed_events"].unique().to_list() == [12]
    whole = store.table("evaluation").read().filter(pl.col("age_hours").is_null())
    assert "M3TR" in set(whole["predictor"]) and "log-linear extrapolation" not in set(whole["predictor"])


def test_a_changed_title_recomputes_text_and_no_frame(settings_of, materialise, plain_set, tmp_path):
    folder = tmp_path / "data"
    folder.mkdir()
    for name in ("videos.csv", "events.csv"):
        (folder / name).write_text((plain_set / name).read_text())
    settings = settings_of(data__folder=str(folder))
    assert materialise(settings, CONTENT).success
    before = {name: stage.states() for name, stage in open_store(settings).stages().items()}
    text = (folder / "videos.csv").read_text()
    (folder / "videos.csv").write_text(text.replace("small talk 2,", "another title,"))
    assert materialise(settings, CONTENT).success
    after = {name: stage.states() for name, stage in open_store(settings).stages().items()}

    def recomputed(stage: str) -> list[str]:
        joined = before[stage].join(after[stage], on="item", suffix="_after")
        return joined.filter(pl.col("computed_at") != pl.col("computed_at_after"))["item"].to_list()

    assert recomputed("videos") == recomputed("text_embeddings") == recomputed("retrieval_vectors") == ["2"]
    for stage in ("frames", "audio", "visual_embeddings", "visual_captions", "audio_captions"):
        assert recomputed(stage) == [], stage
