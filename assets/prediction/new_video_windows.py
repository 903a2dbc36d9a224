"""Observation windows of new videos: cut, embedded, retrieved and tabulated as the stages do it, but stored nowhere."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from assets.embeddings import retrieval_vectors
from assets.feedback.temporal_embeddings import completed_windows
from assets.memory.feature_join import MODALITY_STAGES
from assets.memory.neighbours import asked_at, bank_queries, neighbour_rows
from assets.memory.temporal_keys import Windows, mean_keys, scaled_keys
from assets.metadata.author_history import DAY_MS, histories
from assets.metadata.item_metadata import joined_metadata
from assets.metadata.metadata_features import metadata_of_facts
from assets.metadata.observed_counts import windows_at
from assets.metadata.static_columns import FACTS
from assets.metadata.window_columns import WindowColumns
from assets.metadata.window_table import counted_columns, table_of
from assets.prediction.new_video import ContentRows, NewVideo
from assets.prediction.predictor_inputs import UNSEEN, Window, WindowFeedback, window_arrays
from assets.prediction.service_files import ServiceFiles
from assets.protocol.labels import measure_labels
from assets.protocol.observation import unlabelled_windows
from assets.protocol.process_inputs import observed_sequences
from assets.settings import Settings
from models.predictors import Neighbourhood
from models.predictors.features import PackedRows, VideoFeatures
from models.predictors.table import Table
from models.single_thinning import Simulator
from models.temporal import RowlessEncoder, TemporalEncoder
from models.thinning import SimulationError
from storage.bank import MemoryBank
from storage.pack import Pack


@dataclass(frozen=True)
class CutWindows:
    """The windows of n new videos.

    Attributes:
        videos: The videos.
        frame: `item`, `t0`, `t0_source`, `observed_until`, `window_complete`, one row per video.
        events: Their events.
        counters: Their counters.
    """

    videos: Sequence[NewVideo]
    frame: pl.DataFrame
    events: pl.DataFrame
    counters: pl.DataFrame


def cut_windows(videos: Sequence[NewVideo], settings: Settings, files: ServiceFiles) -> CutWindows:
    """Cut each video's window at its own moment of the forecast."""
    frames = [
        unlabelled_windows(
            pl.DataFrame(
                {"item": [video.item], "published_at": [video.published_at]},
                schema={"item": pl.String, "published_at": pl.Int64},
            ),
            video.events,
            video.counters,
            settings.protocol,
            files.targets,
            as_of=video.at,
        )
        for video in videos
    ]
    events, counters = (pl.concat([getattr(video, name) for video in videos]) for name in ("events", "counters"))
    return CutWindows(videos, pl.concat(frames), events, counters)


def embed_windows(
    cut: CutWindows,
    settings: Settings,
    encoder: TemporalEncoder | RowlessEncoder,
    types: Sequence[str],
    *,
    simulator: Simulator | None = None,
) -> dict[str, Mapping[str, Any]]:
    """Return what the stage `temporal_embeddings` keeps of each item that was observed for some time.

    Args:
        cut: The windows.
        settings: All settings.
        encoder: The encoder of feedback.
        types: Types of events that the process reads.
        simulator: What continues the windows; None is `models.thinning.simulate`.

    Returns:
        Item -> the fields of `YOUNGER`, `embedding` (rows, width) and `window_hours`. An item that cannot be simulated is left
        out and is retrieved by its content alone.
    """
    items, process = [video.item for video in cut.videos], settings.process
    sequences = observed_sequences(cut.events, cut.frame, settings.protocol, items=items, types=types, max_events=None)
    embedded = {}
    for row, item in enumerate(items):
        if not (len(sequences.hours[row]) or sequences.age[row] > 0):
            continue
        window = sequences.take([row]).at_most(process.max_events)
        with suppress(SimulationError, FloatingPointError):
            ((held, rows),) = completed_windows(encoder, window, process.seed, simulator=simulator)
            embedded[item] = {**held, "embedding": rows, "window_hours": sequences.window}
    return embedded


def query_windows(cut: CutWindows, embedded: Mapping[str, Mapping[str, Any]], *, width: int, form: str) -> Windows:
    """Return the windows as the bank is asked for them; see `assets.memory.temporal_keys.read_windows`."""
    count = len(cut.videos)
    keys, heard, hours = np.zeros((count, width), np.float32), np.zeros(count, bool), np.zeros(count)
    for row, video in enumerate(cut.videos):
        own = embedded.get(video.item)
        if own is not None:
            heard[row], hours[row] = own["total"] > 0, own["age_hours"]
            keys[row] = mean_keys(own["embedding"][None], np.array([len(own["embedding"])]))[0]
    return Windows(
        row=np.arange(count),
        younger=np.zeros(count, bool),
        hours=hours,
        complete=cut.frame["window_complete"].to_numpy(),
        key=scaled_keys(keys, form=form),
        heard=heard,
    )


def retrieve(
    cut: CutWindows,
    windows: Windows,
    content: Mapping[str, ContentRows],
    settings: Settings,
    bank: MemoryBank,
    files: ServiceFiles,
) -> tuple[pl.DataFrame, Neighbourhood]:
    """Search the bank in service.

    If a member that was found is a copy of the video (equal bytes or similar frames), the search is repeated without its
    group, so that a video never retrieves its duplicates.

    Args:
        cut: The n windows.
        windows: From `query_windows`.
        content: Item -> rows of the content stages.
        settings: All settings.
        bank: The bank in service.
        files: Its service files.

    Returns:
        The rows of the table `neighbours`, and the neighbourhood, whose `index` are rows of the bank.
    """
    items, size = [video.item for video in cut.videos], settings.retrieval.neighbours
    vectors, has_vector = np.zeros((len(items), bank.content.shape[1]), np.float32), np.zeros(len(items), bool)
    for row, item in enumerate(items):
        own = content[item][retrieval_vectors.NAME]
        if own is not None:
            vectors[row], has_vector[row] = own["embedding"], True
    times = asked_at(cut.frame["t0"], settings.protocol)
    groups = np.full(len(items), -1, np.int64)

    def queries(groups: np.ndarray):
        return bank_queries(
            bank,
            windows,
            vectors,
            has_vector,
            items=items,
            groups=groups,
            times=times,
            similarity=settings.similarity,
        )

    answers = bank.answer(queries(groups), size=size)
    for row, video in enumerate(cut.videos):
        found = answers.index[row][answers.mask[row]]
        if video.decoded is not None and len(found):
            copies = files.duplicates(found, video.decoded.facts["sha256"], video.decoded.frames["hashes"])
            groups[row] = bank.groups[found[copies][0]] if copies.any() else -1
    if (groups >= 0).any():
        answers = bank.answer(queries(groups), size=size)
    table = neighbour_rows(items, windows, answers, bank, files.labels, times)
    label = np.full((*answers.index.shape, files.labels.value.shape[1]), np.nan, np.float32)
    place, rank = np.nonzero(answers.mask)
    if len(place):
        label[place, rank] = np.array(table["labels"].to_list(), np.float32)
    index, score = np.where(answers.mask, answers.index, 0), np.where(answers.mask, answers.score, 0)
    return table, Neighbourhood(index, score.astype(np.float32), answers.mask, label)


def video_features(
    cut: CutWindows,
    content: Mapping[str, ContentRows],
    embedded: Mapping[str, Mapping[str, Any]],
    packs: Mapping[str, Pack],
) -> VideoFeatures:
    """Return the videos' features as the predictors take them.

    Args:
        cut: The windows.
        content: Item -> rows of the content stages.
        embedded: From `embed_windows`.
        packs: The members' packs, for widths, types and largest numbers of rows.
    """
    parts = {}
    for modality, stage in MODALITY_STAGES.items():
        pack = packs[modality]
        rows = []
        for video in cut.videos:
            own = embedded.get(video.item) if modality == "temporal" else content[video.item][stage]
            if own is None:
                rows.append(np.zeros((0, pack.values.shape[1]), pack.values.dtype))
            else:
                rows.append(own["embedding"][: own.get("rows", len(own["embedding"]))].astype(pack.values.dtype))
        lengths = np.array([len(part) for part in rows], np.int64)
        parts[modality] = PackedRows(
            np.concatenate(rows),
            np.cumsum(lengths) - lengths,
            lengths,
            longest=max([pack.longest, *lengths.tolist()]),
        )
    return VideoFeatures(**parts)


def window_feedback(cut: CutWindows, embedded: Mapping[str, Mapping[str, Any]]) -> WindowFeedback:
    """Return the windows' feedback as the predictors take it."""
    return WindowFeedback(
        [Window(row, False, window_arrays(embedded.get(video.item, UNSEEN))) for row, video in enumerate(cut.videos)]
    )


def new_table(cut: CutWindows, settings: Settings, columns: WindowColumns, files: ServiceFiles) -> Table:
    """Return the window table of new videos: metadata, the author's history, and what was counted.

    Columns that only the data set's files have (`data.features`, language, description) are unknown.
    """
    static = pl.concat([_static(cut, row, settings, files) for row in range(len(cut.videos))], how="diagonal_relaxed")
    static = joined_metadata(static, settings.metadata)
    items = [video.item for video in cut.videos]
    windows = windows_at(items, [None] * len(items), cut.frame)
    return table_of(
        static, counted_columns(windows, cut.events, cut.counters, cut.frame, settings.protocol, columns), columns
    )


def _static(cut: CutWindows, row: int, settings: Settings, files: ServiceFiles) -> pl.DataFrame:
    video, window = cut.videos[row], cut.frame[row]
    known = {"item": video.item, "t0": window["t0"][0], "author": video.author, "title": video.title}
    known["category"] = video.category
    media = {} if video.decoded is None else video.decoded.facts
    given = known | {name: media.get(name) for name in ("duration", "width", "height", "fps", "has_audio")}
    facts = pl.DataFrame({name: [given.get(name)] for name in FACTS.names()}, schema=FACTS)
    metadata = metadata_of_facts(facts, files.author_statistics, settings.metadata.time_zone)
    names, own = [target.name for target in files.targets], facts.select("item", "author", "t0")
    if video.author is None:
        history = histories(own, _NO_LABELS, names)
    else:
        posts, labels = files.posts_of(video.author)
        posts = posts.filter(pl.col("item") != video.item)
        history = histories(pl.concat([posts, own]), labels.filter(pl.col("item") != video.item), names).tail(1)
    frame = metadata.join(history, on="item", how="left")
    open_ended = [target for target in files.targets if target.hours is None]
    return frame.with_columns(label_days=_label_days(cut, row, open_ended[0])) if open_ended else frame


_NO_LABELS = pl.DataFrame(
    schema={"item": pl.String, "target": pl.String, "observable_at": pl.Int64, "value": pl.Float64}
)


def _label_days(cut: CutWindows, row: int, target: Any) -> pl.Series:
    """Return days from t = 0 to the time of a label that is counted to the end of the data, which is the forecast's moment."""
    video = cut.videos[row]
    clocks = cut.frame[row].with_columns(
        window_end="observed_until", window_closed="window_complete", has_clock=pl.col("t0").is_not_null()
    )
    label = measure_labels(clocks, video.events, video.counters, [target], as_of=video.at, scale="raw")
    return (label["label_time"] - cut.frame[row]["t0"]) / DAY_MS
