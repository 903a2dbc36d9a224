"""Embedding stages filled from precomputed features, row by row."""

import numpy as np
import polars as pl
import pytest

from assets.engine.store_access import open_store
from assets.memory.neighbours import read_neighbours
from storage.arrays import to_numpy
from storage.rows import Row

ITEMS = [str(number) for number in range(1, 61)]


def stage(settings, name):
    return open_store(settings).stages()[name]


def recomputed(before: pl.DataFrame, after: pl.DataFrame) -> list[str]:
    joined = before.join(after, on="item", suffix="_after")
    return joined.filter(pl.col("computed_at") != pl.col("computed_at_after"))["item"].to_list()


def failure(result) -> str:
    return "\n".join(str(event.step_failure_data.error) for event in result.all_events if event.is_step_failure)


@pytest.fixture
def features(tmp_path):
    """Four files: pooled frames in MicroLens's layout, sound by frame with ids, words in a folder, retrieval in parquet."""
    random = np.random.default_rng(0)
    folder = tmp_path / "features"
    (folder / "words").mkdir(parents=True)
    np.save(folder / "video_features_VideoMAE.npy", random.standard_normal((60, 8)).astype(np.float32))
    np.save(folder / "sound.npy", random.standard_normal((60, 10, 5)).astype(np.float32))
    (folder / "sound.ids.txt").write_text("\n".join(reversed(ITEMS)))
    for number, item in enumerate(ITEMS):
        np.save(folder / "words" / f"{item}.npy", random.standard_normal((1 + number % 4, 6)))
    pl.DataFrame({"item": ITEMS, "embedding": random.standard_normal((60, 7)).tolist()}).write_parquet(
        folder / "retrieval.parquet"
    )
    return folder


@pytest.fixture
def imported(settings_of, features):
    def make(**changed):
        given = {
            "imports__visual_embeddings": str(features / "video_features_VideoMAE.npy"),
            "imports__acoustic_embeddings": str(features / "sound.npy"),
            "imports__text_embeddings": str(features / "words"),
            "imports__retrieval_vectors": str(features / "retrieval.parquet"),
            "model__seeds": "[0]",
        }
        return settings_of(**given | changed)

    return make


@pytest.mark.slow
def test_the_whole_graph_on_imported_features(imported, materialise, features):
    settings = imported()
    result = materialise(settings)
    assert result.success, failure(result)
    visual = stage(settings, "visual_embeddings").read(items=["2"])
    given = np.load(features / "video_features_VideoMAE.npy")
    assert visual["rows"].to_pylist() == [1]
    np.testing.assert_allclose(to_numpy(visual, "embedding")[0, 0], given[1], rtol=1e-3)
    assert not to_numpy(visual, "embedding")[0, 1:].any()
    sound = stage(settings, "acoustic_embeddings").read(items=["60"])
    assert sound["rows"].to_pylist() == [10]
    np.testing.assert_allclose(to_numpy(sound, "embedding")[0], np.load(features / "sound.npy")[0], rtol=1e-3)
    (words,) = to_numpy(stage(settings, "text_embeddings").read(items=["4"]), "embedding")
    np.testing.assert_allclose(words, np.load(features / "words" / "4.npy"), rtol=1e-3, atol=1e-4)
    content = to_numpy(stage(settings, "retrieval_vectors").read(items=ITEMS), "embedding")
    np.testing.assert_allclose(np.linalg.norm(content, axis=1), 1, rtol=1e-6)
    assert len(read_neighbours(open_store(settings)))


def test_rows_that_cost_nothing_come_in_large_parts(imported, materialise):
    settings = imported(run__shard_size="5")
    assert materialise(settings, ["*visual_embeddings"]).success
    for name in ("videos", "visual_embeddings"):
        states = stage(settings, name).states()
        assert len(states) == 60
        assert states["computed_at"].n_unique() == 1  # one commit


def test_rows_without_ids_keep_their_items_where_a_file_failed(imported, materialise, features):
    settings = imported()
    assert materialise(settings, "videos").success
    states = stage(settings, "videos").states()
    used = dict(states.select("item", "input_hash").iter_rows())
    failed = [Row.failed("5", used["5"], RuntimeError("planted"))]
    stage(settings, "videos").commit(failed, fingerprint=states["fingerprint"][0])
    result = materialise(settings, ["*visual_embeddings"])
    assert result.success, failure(result)
    made = stage(settings, "visual_embeddings").read()
    assert set(made["item"].to_pylist()) == set(ITEMS) - {"5"}
    given = np.load(features / "video_features_VideoMAE.npy")
    rows = [int(item) - 1 for item in made["item"].to_pylist()]
    np.testing.assert_allclose(to_numpy(made, "embedding")[:, 0], given[rows], rtol=1e-3, atol=1e-4)


def test_another_file_recomputes_only_the_rows_that_differ(imported, materialise, features):
    settings, select = imported(), ["*visual_embeddings", "*retrieval_vectors"]
    assert materialise(settings, select).success
    before = {name: stage(settings, name).states() for name in ("visual_embeddings", "retrieval_vectors")}
    given = np.load(features / "video_features_VideoMAE.npy")
    given[[4, 20]] += 1
    np.save(features / "video_features_VideoMAE.npy", given)
    assert materialise(settings, select).success
    assert recomputed(before["visual_embeddings"], stage(settings, "visual_embeddings").states()) == ["5", "21"]
    assert recomputed(before["retrieval_vectors"], stage(settings, "retrieval_vectors").states()) == []


def test_a_bad_file_is_an_error_before_any_work(imported, materialise, features):
    given = np.load(features / "video_features_VideoMAE.npy")
    given[30, 2] = np.nan
    np.save(features / "video_features_VideoMAE.npy", given)
    settings = imported()
    result = materialise(settings)
    assert not result.success
    assert "video_features_VideoMAE.npy: row 30 (item 31): value 2 of vector 0 is nan" in failure(result)
    assert "videos" not in open_store(settings).stages()


def test_items_that_a_file_lacks_are_missing_where_that_is_allowed(imported, materialise, features):
    kept = pl.read_parquet(features / "retrieval.parquet").filter(~pl.col("item").is_in(["3", "7"]))
    kept.write_parquet(features / "retrieval.parquet")
    result = materialise(imported(), ["*retrieval_vectors"])
    assert not result.success
    assert "2 items of the data set are not in it: 3, 7" in failure(result)
    settings = imported(imports__missing="missing")
    assert materialise(settings, ["*retrieval_vectors"]).success
    states = stage(settings, "retrieval_vectors").states().filter(pl.col("status") == "missing")
    assert sorted(states["item"]) == ["3", "7"]
    assert states["error_message"][0] == "not in retrieval.parquet"


def test_several_vectors_per_video_are_refused_for_retrieval(imported, materialise, features):
    result = materialise(imported(imports__retrieval_vectors=str(features / "sound.npy")), ["videos"])
    assert not result.success
    assert "it has 10 vectors, at most 1 are allowed" in failure(result)


def test_a_vector_of_zeros_is_a_failed_row(imported, materialise, features):
    frame = pl.read_parquet(features / "retrieval.parquet")
    frame = frame.with_columns(pl.when(pl.col("item") == "9").then([0.0] * 7).otherwise("embedding").alias("embedding"))
    frame.write_parquet(features / "retrieval.parquet")
    settings = imported()
    assert materialise(settings, ["*retrieval_vectors"]).success
    failed = stage(settings, "retrieval_vectors").states().filter(pl.col("status") == "failed")
    assert failed["item"].to_list() == ["9"]
    assert "no direction" in failed["error_message"][0]
