"""Each leakage rule of the protocol: clean data pass the check, and a planted leak stops the run."""

from dataclasses import replace

import dagster as dg
import numpy as np
import polars as pl
import pytest

import assets.engine.skip_unchanged
import assets.feedback.temporal_embeddings
import assets.memory.neighbours
import assets.prediction.popularity_model
import assets.protocol.observation
import assets.protocol.splits
from assets.engine.store_access import open_store
from assets.feedback.hawkes_process import check_fitted
from assets.feedback.temporal_embeddings import CHECKED, check_windows
from assets.ingest.interactions import read_events
from assets.memory.memory_bank import check_members
from assets.memory.neighbours import check_neighbours, read_neighbours
from assets.prediction.evaluation import check_ages, check_evaluation
from assets.prediction.popularity_model import check_validation, model_is_fitted_on_training_items
from assets.prediction.validation import read_validation
from assets.protocol.label_check import check_labels
from assets.protocol.labels import read_labels
from assets.protocol.popularity import read_popularity
from assets.protocol.splits import check_splits, read_splits
from assets.settings import Protocol, Settings
from storage.datasets import COUNTERS
from storage.store import Store


@pytest.fixture(scope="module")
def ran(tmp_path_factory, plain_set) -> Settings:
    from pipeline.definitions import ASSET_CHECKS, ASSETS
    from pipeline.settings import load
    from tests.assets.conftest import QUICK

    folder = tmp_path_factory.mktemp("leaks")
    variables = {
        "DATA__FOLDER": str(plain_set),
        "STORE__PATH": str(folder / "store"),
        "STORE__RESULTS": str(folder / "results"),
        "MODEL__TRAIN": '["m3tr", "boosting", "boosting_content", "stack"]',
    }
    settings = load(environment={**QUICK, **{f"REELCAST_{name}": value for name, value in variables.items()}})
    graph = [*ASSETS, *ASSET_CHECKS]
    assert dg.materialize(graph, resources={"settings": settings}).success
    return settings


@pytest.fixture
def store(ran) -> Store:
    return open_store(ran)


def test_every_rule_blocks_the_run():
    from pipeline.definitions import defs

    graph = defs.resolve_asset_graph()
    blocking = {key.name for key in graph.asset_check_keys if graph.get(key).blocking}
    assert blocking >= {
        "labels_lie_after_the_window",
        "duplicates_stay_on_one_side",
        "process_is_fitted_on_training_items",
        "nothing_after_the_window_is_used",
        "bank_holds_training_items_only",
        "no_neighbour_leaks_a_label",
        "observed_exposures_are_in_training_windows",
        "sasrec_is_fitted_on_training_items",
        "scores_rest_on_observed_exposures",
        "model_is_fitted_on_training_items",
        "stack_is_fitted_on_validation_items",
        "earlier_posts_were_published_before",
        "metrics_are_over_the_whole_split",
        "failed_share",
    }


class TestLabels:
    def test_clean(self, store, ran):
        assert self.check(store, ran, read_popularity(store), read_labels(store))

    def check(self, store: Store, ran: Settings, frame: pl.DataFrame, labels: pl.DataFrame) -> bool:
        return check_labels(frame, labels, read_events(store), COUNTERS.to_frame(), ran.protocol).passed

    @pytest.mark.parametrize(
        "leak",
        [
            pl.col("count") + 1,
            pl.col("observed_until") + 200 * 3_600_000,
            (pl.col("label_time") + 400 * 24 * 3_600_000),
        ],
        ids=["count", "window", "label in the future"],
    )
    def test_planted(self, store, ran, leak):
        planted = read_popularity(store).with_columns(leak)
        assert not self.check(store, ran, planted, read_labels(store))

    @pytest.mark.parametrize(
        "leak",
        [pl.col("count") + 1, pl.col("value") + 1, pl.col("label_time") + 400 * 24 * 3_600_000, pl.col("known").not_()],
        ids=["count", "value", "label in the future", "unknown"],
    )
    def test_planted_in_the_labels(self, store, ran, leak):
        assert not self.check(store, ran, read_popularity(store), read_labels(store).with_columns(leak))


class TestWindows:
    def rows(self, store: Store) -> pl.DataFrame:
        return pl.from_arrow(store.stages()["temporal_embeddings"].read(columns=list(CHECKED)))

    def check(self, store: Store, ran: Settings, rows: pl.DataFrame) -> bool:
        fitted = {"types": ["comment", "like"]}
        return check_windows(rows, read_events(store), read_popularity(store), ran, fitted["types"]).passed

    def test_clean(self, store, ran):
        assert self.check(store, ran, self.rows(store))

    def test_one_event_too_many(self, store, ran):
        rows = self.rows(store).with_columns(pl.col("observed") + 1, pl.col("age_hours") + 500)
        assert not self.check(store, ran, rows)

    @pytest.mark.parametrize("column", ["observed", "total"])
    def test_an_event_left_out(self, store, ran, column):
        assert not self.check(store, ran, self.rows(store).with_columns(pl.col(column) - 1))

    @pytest.mark.parametrize("name, leak", [("age_hours", 2.0), ("total", 1), ("observed", 1), ("age_hours", 900.0)])
    def test_a_younger_window_that_looks_ahead(self, store, ran, name, leak):
        """One window of one item says another age, or holds or counts an event more than were there at its age."""
        rows = self.rows(store).to_dicts()
        # an event follows within an hour, so that a window which claims to be older should hold it
        window = next(
            window
            for row in rows
            for window in row["younger"]
            if any(0 < hour - window["age_hours"] < 1 for hour in row["times"][: row["observed"]])
        )
        window[name] += leak
        assert not self.check(store, ran, pl.DataFrame(rows, schema=self.rows(store).schema))


def test_a_window_that_is_not_cut_stops_the_run(settings_of, materialise, monkeypatch):
    def everything(events, windows, protocol):
        joined = events.join(windows.select("item", "t0"), on="item", how="inner", maintain_order="left")
        return joined.with_columns(((pl.col("time") - pl.col("t0")) / 3_600_000).alias("hours")).drop("t0")

    def whole(*arguments, **named):
        made = original(*arguments, **named)
        ends = np.array([max([end, *hours]) for end, hours in zip(made.age, made.hours)])
        return replace(made, t_end=ends, age=ends)

    original = assets.protocol.process_inputs.observed_sequences
    monkeypatch.setattr("assets.protocol.process_inputs.observed", everything)
    for module in ("hawkes_process", "temporal_embeddings"):
        monkeypatch.setattr(f"assets.feedback.{module}.observed_sequences", whole)
    settings = settings_of()
    result = materialise(settings)
    assert not result.success
    failed = [check.check_name for check in result.get_asset_check_evaluations() if not check.passed]
    assert failed == ["nothing_after_the_window_is_used"]
    assert open_store(settings).artifact("memory_bank").current() is None


class TestSplits:
    def test_clean(self, store, ran):
        assert check_splits(read_splits(store), read_popularity(store), ran.protocol).passed

    def test_a_group_on_two_sides(self, store, ran):
        sides = read_splits(store)
        train, test = (sides.filter(pl.col("split") == side)["item"][0] for side in ("train", "test"))
        planted = sides.with_columns(
            pl.when(pl.col("item").is_in([train, test])).then(7).otherwise("group").alias("group")
        )
        assert not check_splits(planted, read_popularity(store), ran.protocol).passed

    def test_an_item_twice(self, store, ran):
        sides = read_splits(store)
        assert not check_splits(pl.concat([sides, sides.head(1)]), read_popularity(store), ran.protocol).passed

    def test_a_reupload_goes_where_its_latest_copy_belongs(self):
        sides = pl.DataFrame(
            {
                "item": ["a", "b", "c", "old", "new"],
                "split": ["train", "train", "val", "test", "test"],
                "group": [1, 2, 3, 4, 4],
            }
        ).with_columns(pl.lit("chronological").alias("protocol"))
        sides = sides.with_columns(
            pl.when(pl.col("item") == "old").then(pl.lit("gap")).otherwise("split").alias("split")
        )
        clocks = pl.DataFrame({"item": ["a", "b", "c", "old", "new"], "t0": [10, 20, 30, 5, 40]})
        clocks = clocks.with_columns(label_time=pl.col("t0") + 10)
        protocol = Protocol(split="chronological")
        assert check_splits(sides, clocks, protocol).passed
        planted = clocks.with_columns(pl.when(pl.col("item") == "b").then(35).otherwise("t0").alias("t0"))
        assert not check_splits(sides, planted, protocol).passed

    @pytest.mark.parametrize("side", ["train", "val"])
    def test_a_label_that_was_not_known_when_the_first_test_item_was_published(self, side):
        """The leak of a plain cut by time: the newest of the older items were still being counted."""
        sides = pl.DataFrame(
            {"item": ["a", "b", "late", "c"], "split": ["train", "val", side, "test"], "group": range(4)}
        )
        clocks = pl.DataFrame({"item": ["a", "b", "late", "c"], "t0": [10, 20, 21, 40], "label_time": [20, 30, 41, 50]})
        planted = check_splits(sides, clocks, Protocol(split="chronological"))
        assert not planted.passed
        problems = planted.metadata["problems"].value
        assert problems["label not known when the first test item was published"] == ["late"]
        known = clocks.with_columns(pl.col("label_time").clip(upper_bound=40))
        assert "label not known" not in str(check_splits(sides, known, Protocol(split="chronological")).metadata)

    def test_a_planted_late_label_stops_the_run(self, settings_of, materialise, monkeypatch):
        def cut_without_gap(items, times, groups, *, label_times, fractions):
            return chronological(items, times, groups, label_times=times, fractions=fractions)

        chronological = assets.protocol.splits.chronological
        monkeypatch.setattr(assets.protocol.splits, "chronological", cut_without_gap)
        assert not materialise(settings_of(protocol__split="chronological"), "*splits").success

    def test_a_shuffled_chronological_split(self, store):
        assert not check_splits(read_splits(store), read_popularity(store), Protocol(split="chronological")).passed


class TestFitted:
    def test_clean(self, store):
        sides = read_splits(store)
        training = sides.filter(pl.col("split") == "train")["item"].to_list()
        assert check_fitted({"types": ["like"], "scaler": training}, sides).passed

    @pytest.mark.parametrize("side", ["val", "test"])
    def test_fitted_on_another_side(self, store, side):
        sides = read_splits(store)
        planted = sides.filter(pl.col("split").is_in(["train", side]))["item"].to_list()
        assert not check_fitted({"types": ["like"], "scaler": planted}, sides).passed

    def test_every_predictor_is_looked_at(self, ran, store, monkeypatch):
        """A boosting model that was fitted on a test item stops the run like any other."""
        stranger = read_splits(store).filter(pl.col("split") == "test")["item"][0]
        assert model_is_fitted_on_training_items(settings=ran).passed
        fits = iter([{}, {}, {"model": [stranger]}, {}, {}, {}])
        monkeypatch.setattr(assets.prediction.popularity_model, "fitted_on", lambda folder: next(fits))
        monkeypatch.setattr(assets.engine.skip_unchanged._Memory, "read", lambda memory: {})
        assert not model_is_fitted_on_training_items(settings=ran).passed

    @pytest.mark.parametrize("side", ["train", "test"])
    def test_a_stack_that_has_seen_another_side(self, store, side):
        items, sides = read_validation(store), read_splits(store)
        assert check_validation(items, sides).passed
        stranger = sides.filter(pl.col("split") == side)["item"][0]
        assert not check_validation(items.with_columns(pl.lit(stranger).alias("item")), sides).passed


class TestBank:
    def members(self, store: Store) -> tuple[np.ndarray, np.ndarray]:
        bank = assets.memory.memory_bank.open_bank(store)
        return bank.items, bank.labels

    def test_clean(self, store):
        assert check_members(*self.members(store), read_splits(store), read_labels(store)).passed

    @pytest.mark.parametrize("side", ["val", "test"])
    def test_a_member_of_another_side(self, store, side):
        items, labels = self.members(store)
        sides, known = read_splits(store), read_labels(store)
        stranger = sides.filter(pl.col("split") == side)["item"][0]
        target = known.filter(pl.col("item") == stranger)["value"][0]
        assert not check_members(np.append(items, stranger), np.append(labels, target), sides, known).passed

    def test_a_wrong_label(self, store):
        items, labels = self.members(store)
        assert not check_members(items, labels + 1, read_splits(store), read_labels(store)).passed


class TestNeighbours:
    def check(self, store: Store, frame: pl.DataFrame, split: str = "paper") -> bool:
        return check_neighbours(frame, read_splits(store), read_popularity(store), read_labels(store), split).passed

    @pytest.mark.parametrize("younger", [False, True])
    def test_clean(self, store, younger):
        frame = read_neighbours(store, younger=younger)
        assert len(frame) and self.check(store, frame)

    def test_itself(self, store):
        assert not self.check(store, read_neighbours(store).with_columns(pl.col("item").alias("neighbour")))

    def test_a_duplicate(self, store):
        frame = read_neighbours(store).head(1)
        pair = [frame["item"][0], frame["neighbour"][0]]
        sides = read_splits(store)
        planted = sides.with_columns(pl.when(pl.col("item").is_in(pair)).then(7).otherwise("group").alias("group"))
        assert not check_neighbours(frame, planted, read_popularity(store), read_labels(store), "paper").passed

    def test_a_test_item(self, store):
        stranger = read_splits(store).filter(pl.col("split") == "test")["item"][0]
        frame = (
            read_neighbours(store).filter(pl.col("item") != stranger).with_columns(pl.lit(stranger).alias("neighbour"))
        )
        assert not self.check(store, frame)

    def test_a_label_that_was_not_known(self, store):
        assert not self.check(store, read_neighbours(store), split="chronological")

    @pytest.mark.parametrize(
        "leak",
        [
            pl.col("labels").list.eval(pl.element() + 0.5),
            pl.col("label") + 0.5,
            pl.col("labels").shift(1),
        ],
        ids=["labels", "label", "another item's"],
    )
    def test_a_label_that_is_not_the_neighbours(self, store, leak):
        assert not self.check(store, read_neighbours(store).with_columns(leak))

    def test_a_planted_neighbour_stops_the_run(self, settings_of, materialise, monkeypatch):
        def leak(*arguments):
            return frame_of(*arguments).with_columns(pl.col("item").alias("neighbour"))

        frame_of = assets.memory.neighbours.neighbour_rows
        monkeypatch.setattr(assets.memory.neighbours, "neighbour_rows", leak)
        settings = settings_of()
        assert not materialise(settings).success
        assert open_store(settings).artifact("popularity_model_m3tr_0").current() is None


def test_chronological_labels_and_neighbours_are_known_in_time(settings_of, materialise):
    settings = settings_of(protocol__split="chronological")
    assert materialise(settings).success
    store = open_store(settings)
    labels = read_splits(store).join(read_popularity(store), on="item")
    begin = labels.filter(pl.col("split") == "test")["t0"].min()
    assert labels.filter(pl.col("split").is_in(["train", "val"]))["label_time"].max() <= begin
    assert labels.filter(pl.col("split") == "gap")["label_time"].min() > begin
    assert not set(read_neighbours(store)["item"]) & set(labels.filter(pl.col("split") == "gap")["item"])
    clocks = read_popularity(store).select("item", "t0", "label_time")
    pairs = (
        read_neighbours(store).join(clocks, on="item").join(clocks, left_on="neighbour", right_on="item", suffix="_of")
    )
    assert len(pairs)
    assert (pairs["label_time_of"] <= pairs["t0"]).all()


@pytest.mark.slow
def test_each_target_of_a_neighbour_is_shown_once_it_was_known(settings_of, materialise, monkeypatch):
    settings = settings_of(protocol__split="chronological", protocol__targets='["all@2d", "comment@7d"]')
    assert materialise(settings, "*neighbours").success
    store = open_store(settings)
    known = read_labels(store).select(
        pl.col("item").alias("neighbour"), pl.col("target"), pl.col("label_time"), pl.col("value").cast(pl.Float32)
    )
    pairs = store.table("neighbours").read().join(read_popularity(store).select("item", "t0"), on="item")
    for place, name in enumerate(["all@2d", "comment@7d"]):
        own = pairs.join(known.filter(pl.col("target") == name), on="neighbour")
        shown = own["labels"].list.get(place).cast(pl.Float32)
        expected = own.select(pl.when(pl.col("label_time") <= pl.col("t0")).then("value")).to_series()
        assert shown.equals(expected, null_equal=True) and (place == 0 or 0 < shown.null_count() < len(shown))

    def unmasked(self, members, times):
        return self.value[members]

    monkeypatch.setattr(assets.memory.neighbours.MemberLabels, "shown", unmasked)
    store.table("neighbours").write(pl.DataFrame({"item": ["1"]}), inputs_hash="other", fingerprint="other")
    result = materialise(settings, "neighbours")
    assert not result.success
    assert [check.check_name for check in result.get_asset_check_evaluations() if not check.passed] == [
        "no_neighbour_leaks_a_label"
    ]


class TestEvaluation:
    def parts(self, store: Store) -> tuple[pl.DataFrame, pl.DataFrame, pl.DataFrame]:
        return store.table("evaluation").read(), store.table("evaluation_items").read(), read_splits(store)

    def test_clean(self, store):
        assert check_evaluation(*self.parts(store)).passed

    def test_an_average_over_batches(self, store):
        table, items, sides = self.parts(store)
        assert not check_evaluation(table.with_columns(pl.col("nMSE") * 1.01), items, sides).passed

    def test_only_a_part_of_the_split(self, store):
        table, items, sides = self.parts(store)
        assert not check_evaluation(table, items.filter(pl.col("item") != items["item"][0]), sides).passed

    def test_predictors_that_are_scored_on_different_items_at_an_age(self, store):
        table, items, sides = self.parts(store)
        one = (pl.col("age_hours") == 3.0) & (pl.col("predictor") == "M3TR") & (pl.col("item") == items["item"][0])
        assert not check_evaluation(table, items.filter(~one.fill_null(False)), sides).passed

    def test_an_age_that_is_worse_than_the_training_mean_is_told(self):
        rows = [("training mean", None, 1.0, 1.0), ("M3TR", 0, 1.0, 0.8), ("M3TR", 1, 1.0, 1.1)]
        rows += [("training mean", None, 8.0, 1.0), ("M3TR", 0, 8.0, 1.2), ("M3TR", 1, 8.0, 0.9)]
        rows += [("training mean", None, None, 1.0), ("M3TR", 0, None, 3.0)]
        table = pl.DataFrame(rows, schema=["predictor", "seed", "age_hours", "nMSE"], orient="row")
        table = table.with_columns(target_name=pl.lit("like@7d"))
        served = {"like@7d": "M3TR"}
        result = check_ages(table, served)
        assert not result.passed and result.severity is dg.AssetCheckSeverity.WARN
        assert result.metadata["worse_at_hours"].data == [8.0]
        assert check_ages(table.filter(pl.col("age_hours").is_null() | (pl.col("age_hours") < 8)), served).passed
