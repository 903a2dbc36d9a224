"""The graph on real files: a small demonstration set, with the handcrafted encoders and with the pretrained code path."""

import av
import dagster as dg
import polars as pl
import pytest

from assets.engine.failure_checks import damages, failures
from assets.engine.store_access import open_store
from assets.prediction.predictions import read_predictions
from assets.protocol.splits import read_splits
from assets.settings import Settings
from pipeline.demonstration import make

pytestmark = pytest.mark.slow  # every test runs most of the graph at least once


@pytest.fixture(scope="module")
def small_set(tmp_path_factory):
    return make(tmp_path_factory.mktemp("demonstration") / "set", videos=24, uploads=4, workers=2)


def test_handcrafted_from_files_to_predictions(small_set, settings_of, materialise):
    settings = settings_of(data__folder=str(small_set), sampling__frames="4", model__seeds="[0]")
    (small_set / "demo_videos" / "5.mp4").write_bytes(b"no video at all")
    assert materialise(settings).success
    store = open_store(settings)
    failed = failures(store)
    assert "5" in failed["item"].to_list()
    assert all(failed["error_message"].str.len_chars() > 10)
    states = {name: stage.states() for name, stage in store.stages().items()}
    ok = {name: set(frame.filter(pl.col("status") == "ok")["item"]) for name, frame in states.items()}
    assert len(ok["frames"]) >= 20
    assert ok["visual_captions"] == ok["visual_embeddings"] == ok["frames"]
    assert ok["acoustic_embeddings"] == ok["audio"] <= ok["frames"]
    prompts = store.stages()["retrieval_vectors"].read(columns=["prompt"])["prompt"].to_pylist()
    assert len(set(prompts)) > 15
    predicted = read_predictions(store)
    assert set(predicted["item"]) == {"25", "26", "27", "28"}
    assert predicted["predicted_count"].min() >= 0
    best = predicted.filter(pl.col("neighbours").list.len() > 0)["neighbours"][0]
    assert {"item", "score", "ss_modal", "ss_temp", "label"} <= set(best[0])


def test_what_a_renamed_file_and_new_feedback_cost(tmp_path, settings_of, materialise):
    folder = make(tmp_path / "set", videos=24, uploads=2, workers=1)
    settings = settings_of(data__folder=str(folder), sampling__frames="2", model__seeds="[0]")
    assert materialise(settings).success
    files = folder / "demo_videos"
    (files / "7.mp4").rename(files / "7.MP4")
    (files / "10.mp4").touch()
    assert computed(materialise(settings), settings) == {"videos": 2}

    store = open_store(settings)
    tested = read_splits(store).filter(pl.col("split") == "test")["item"]
    item, seen, until = (
        store.table("popularity")
        .read()
        .filter(pl.col("item").is_in(tested.implode()))
        .select("item", "observed_events", "observed_until")
        .row(0)
    )
    with (folder / "demo_pairs.csv").open("a") as events:
        events.write(f"999,{item},{until - 1},like\n")
    done = computed(materialise(settings), settings)
    tables = {"interactions", "popularity", "neighbours", "evaluation_items", "evaluation", "predictions"}
    assert {name: count for name, count in done.items() if name not in tables} == {"temporal_embeddings": 1}
    row = store.stages()["temporal_embeddings"].read(items=[item], columns=["observed"])
    assert row["observed"].to_pylist() == [seen + 1]

    with (folder / "demo_pairs.csv").open("a") as events:
        events.write(f"999,{item},{until + 1},like\n")
    done = computed(materialise(settings), settings)
    assert done.keys() <= {"interactions", "popularity", "evaluation_items", "evaluation", "predictions"}


def test_a_disk_that_is_not_mounted_costs_no_row(tmp_path, settings_of, materialise):
    folder = make(tmp_path / "set", videos=20, uploads=2, workers=2)
    settings = settings_of(data__folder=str(folder), sampling__frames="2")
    assert materialise(settings, ["videos", "frames"]).success
    stage = open_store(settings).stages()["frames"]
    sampled = set(stage.read(columns=[])["item"].to_pylist())
    files = folder / "demo_videos"
    files.rename(tmp_path / "unmounted")
    stopped = materialise(settings, ["videos", "frames"])
    assert not stopped.success
    told = str(stopped.failure_data_for_node("videos").error)
    assert "whose files were read before have no file now" in told and "REELCAST_RUN__FAILURE_LIMIT=1" in told
    assert set(stage.read(columns=[])["item"].to_pylist()) == sampled

    (tmp_path / "unmounted").rename(files)
    few = sorted(sampled)[:3]  # of some twenty
    for item in few:
        (files / f"{item}.mp4").unlink()
    assert materialise(settings, ["videos", "frames"]).success
    assert set(stage.read(columns=[])["item"].to_pylist()) == sampled - set(few)

    (folder / "demo_videos").rename(tmp_path / "unmounted")
    allowed = settings_of(data__folder=str(folder), sampling__frames="2", run__failure_limit="1")
    assert materialise(allowed, ["videos", "frames"]).success
    assert stage.read(columns=[])["item"].to_pylist() == []


def test_sound_of_a_lost_item_goes_also_before_its_frames_do(tmp_path, settings_of, materialise):
    folder = make(tmp_path / "set", videos=20, uploads=2, workers=2)
    settings = settings_of(data__folder=str(folder), sampling__frames="2")
    assert materialise(settings, ["videos", "frames", "audio"]).success
    (folder / "demo_videos" / "6.mp4").unlink()
    for file in folder.glob("*.csv"):
        lines = file.read_text(encoding="utf-8-sig").splitlines(keepends=True)
        place = 1 if file.name == "demo_pairs.csv" else 0
        file.write_text("".join(line for line in lines if line.split(",")[place] != "6"), encoding="utf-8")
    assert computed(materialise(settings, "videos"), settings) == {"videos": 1}
    assert computed(materialise(settings, "audio"), settings) == {"audio": 1}
    stages = open_store(settings).stages()
    assert "6" in stages["frames"].states()["item"].to_list()
    assert "6" not in stages["audio"].states()["item"].to_list()


def test_a_title_of_which_nothing_can_be_seen_is_none(tmp_path, settings_of, materialise):
    folder = make(tmp_path / "set", videos=20, uploads=2, workers=2)
    titles = folder / "demo_title_en.csv"
    unseen = {"3": "\u200b\u2060", "5": " \u200e ", "7": "\u200b seen "}
    lines = titles.read_text(encoding="utf-8").splitlines()
    named = [line.split(",")[0].lstrip("\ufeff") for line in lines]
    titles.write_text(
        "".join(f"{item},{unseen.get(item, line.split(',', 1)[1])}\n" for item, line in zip(named, lines)), "utf-8"
    )
    settings = settings_of(data__folder=str(folder), sampling__frames="2")
    assert materialise(settings, ["videos", "text_embeddings"]).success
    states = open_store(settings).stages()["text_embeddings"].states()
    missing = states.filter(pl.col("status") == "missing")["item"].to_list()
    assert {"3", "5"} <= set(missing) and "7" not in missing


def computed(result: dg.ExecuteInProcessResult, settings: Settings) -> dict[str, int]:
    """How many rows a run computed, by stage; those of none are left out."""
    assert result.success
    runs = open_store(settings).log("runs").read().filter(pl.col("run_id") == result.run_id, pl.col("computed") > 0)
    return dict(runs.select("asset", "computed").iter_rows())


def test_the_pretrained_code_path(small_set, settings_of, materialise):
    settings = settings_of(
        data__folder=str(small_set),
        sampling__frames="2",
        model__seeds="[0]",
        encoders__profile="tiny",
        encoders__device="cpu",
    )
    assert materialise(settings).success
    assert failures(open_store(settings))["stage"].unique().to_list() in ([], ["videos"])


def test_damaged_sound_is_used_in_part_and_its_row_says_so(tmp_path, settings_of, materialise):
    folder = make(tmp_path / "set", videos=20, uploads=2, workers=2)
    settings = settings_of(data__folder=str(folder), sampling__frames="2")
    assert materialise(settings, ["videos", "frames", "audio"]).success
    heard = open_store(settings).stages()["audio"].read(columns=[])["item"][0].as_py()
    path = folder / "demo_videos" / f"{heard}.mp4"
    with av.open(str(path)) as container:
        packets = [bytes(packet) for packet in container.demux(audio=0) if packet.size]
    middle = packets[len(packets) // 2]
    path.write_bytes(path.read_bytes().replace(middle, b"\xff" * len(middle)))
    assert materialise(settings, ["videos", "frames", "audio"]).success
    store = open_store(settings)
    rows = pl.from_arrow(store.stages()["audio"].read(columns=["damage"]))
    told = dict(rows.filter(pl.col("damage").is_not_null()).select("item", "damage").iter_rows())
    assert list(told) == [heard]
    assert told[heard].startswith(f"1 of {len(packets)} packets of sound can't be decoded")
    assert (heard, told[heard]) in list(damages(store).iter_rows())
