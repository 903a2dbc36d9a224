"""Forecasts of videos that are in no store, by the bank and the models in service; the store is only read."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import polars as pl

from assets.embeddings import acoustic_embeddings, retrieval_vectors, text_embeddings, visual_embeddings
from assets.engine.durations import timed
from assets.feedback import temporal_embeddings
from assets.feedback.hawkes_process import fitted_process, load_encoder
from assets.memory.memory_bank import NAME as BANK
from assets.metadata.window_columns import WindowColumns, columns_in_service
from assets.prediction.age_weights import age_weights
from assets.prediction.all_forecasts import all_forecasts
from assets.prediction.counted import counted_at, counted_so_far
from assets.prediction.forecast import Forecast
from assets.prediction.forecast_service import service_files
from assets.prediction.model_obstacles import fitted_models
from assets.prediction.new_rows import NewRows
from assets.prediction.new_video import ContentRows, NewVideo, NotComputable
from assets.prediction.new_video_windows import (
    CutWindows,
    cut_windows,
    embed_windows,
    new_table,
    query_windows,
    retrieve,
    video_features,
    window_feedback,
)
from assets.prediction.row_forecasts import row_order
from assets.prediction.served_row import served_forecasts, target_rows
from assets.prediction.trained_models import TrainedModel, load_model
from assets.settings import Settings
from models.predictor_table import STACK, predictor_class
from models.predictors import Bank, Neighbourhood, Predictor, Samples
from models.single_thinning import Simulator, SingleThinning
from models.temporal import RowlessEncoder, TemporalEncoder
from storage.bank import MemoryBank
from storage.pack import Pack
from storage.store import Store


@dataclass(frozen=True)
class NewForecasts:
    """Forecasts of n new videos.

    Attributes:
        frame: One row per target and video, as the table `predictions` has them: `item`, `target_name`, `model`, `predicted`,
            `predicted_low`, `predicted_high`, `seeds`, `predicted_count`, `counted_so_far`.
        neighbours: The rows of the table `neighbours`, with `title`.
        windows: `item`, `t0`, `t0_source`, `observed_until`, `window_complete`, `observed_events`.
        samples: The windows as the predictors took them.
        rows: The rows that forecast them. Their bank holds the neighbours alone, to which `samples.neighbourhood` refers.
        members: (k,) rows of the bank in service that hold the videos of `rows.bank`.
        forecasts: Forecasts of the rows that the served ones need.
        seconds: Duration of each step, by name.
    """

    frame: pl.DataFrame
    neighbours: pl.DataFrame
    windows: pl.DataFrame
    samples: Samples
    rows: NewRows
    members: np.ndarray
    forecasts: Sequence[Forecast]
    seconds: Mapping[str, float]


class NewVideoForecaster:
    """Forecasts new videos with the bank, the process and the models in service; each is loaded when first needed.

    Whatever comes into service later is not seen: make a new forecaster.
    """

    def __init__(self, store: Store, settings: Settings) -> None:
        """Check what is in service.

        Args:
            store: The store of a finished run.
            settings: The settings of that run.

        Raises:
            storage.durable.StoreError: Something is missing, or does not belong together.
        """
        self.store, self.settings = store, settings
        self.files = service_files(store, settings)
        self._loaded: dict[TrainedModel, Predictor] = {}

    @cached_property
    def bank(self) -> MemoryBank:
        """The bank in service.

        Raises:
            storage.bank.BankVersionError: It was built with other encoders, or another process, than the settings name.
        """
        stages = (visual_embeddings, acoustic_embeddings, text_embeddings, retrieval_vectors)
        expect = {stage.NAME: stage.encoder_stage(self.settings).fingerprint(self.settings).hash for stage in stages}
        process = temporal_embeddings.rows_fingerprint(fitted_process(self.store)[0], self.settings.process)
        expect[temporal_embeddings.NAME] = process.hash
        artifact, device = self.store.artifact(BANK), self.settings.bank.device
        return MemoryBank.open(artifact, expect=expect, device=device, lists=self.files.lists)

    @cached_property
    def encoder(self) -> TemporalEncoder | RowlessEncoder:
        """The encoder of feedback."""
        return load_encoder(fitted_process(self.store)[0]) or RowlessEncoder(self.settings.process.length)

    @cached_property
    def simulator(self) -> Simulator | None:
        """What continues windows one at a time; None if only `models.thinning.simulate` can continue them."""
        if isinstance(self.encoder, RowlessEncoder) or not SingleThinning.expressible(self.encoder.process):
            return None
        return SingleThinning(self.encoder.process)

    @cached_property
    def types(self) -> list[str]:
        """Types of events that the process reads."""
        return fitted_process(self.store)[1]["types"]

    @cached_property
    def packs(self) -> dict[str, Pack]:
        """Packs of the members' features, by modality."""
        return self.files.open_packs(self.store)

    @cached_property
    def columns(self) -> WindowColumns:
        """Columns of the window table."""
        return columns_in_service(self.store)[1]

    @cached_property
    def models(self) -> list[TrainedModel]:
        """The trained models, in the order of their rows."""
        return row_order(fitted_models(self.store, self.settings))

    def forecast(self, videos: Sequence[NewVideo], content: Mapping[str, ContentRows]) -> NewForecasts:
        """Forecast videos.

        Args:
            videos: n videos with distinct ids.
            content: From `assets.prediction.new_video.content_rows`, without errors.

        Raises:
            NotComputable: The served row cannot be computed for new videos.
        """
        seconds: dict[str, float] = {}
        with timed(seconds, "feedback"):
            cut = cut_windows(videos, self.settings, self.files)
            embedded = embed_windows(cut, self.settings, self.encoder, self.types, simulator=self.simulator)
        with timed(seconds, "retrieval"):
            form = self.bank.version.metadata["temporal_key"]
            windows = query_windows(cut, embedded, width=self.encoder.width, form=form)
            neighbours, found = retrieve(cut, windows, content, self.settings, self.bank, self.files)
        with timed(seconds, "inputs"):
            members = np.unique(found.index[found.mask])
            bank, neighbourhood = self._small_bank(found, members)
            items, protocol = [video.item for video in videos], self.settings.protocol
            own = [None] * len(items)
            samples = Samples(
                items=np.array(items, dtype=str),
                features=video_features(cut, content, embedded, self.packs),
                neighbourhood=neighbourhood,
                feedback=window_feedback(cut, embedded),
                age=np.where(windows.complete, np.nan, windows.hours),
                table=new_table(cut, self.settings, self.columns, self.files),
                counted=counted_at(
                    cut.events, cut.counters, cut.frame, self.files.targets, protocol, items=items, ages=own
                ),
                scale=protocol.target,
            )
        with timed(seconds, "models"):
            rows, forecasts, floor = self._forecasts(cut, samples, bank)
            frame = self._served(samples, forecasts, floor)
        titles = pl.DataFrame({"neighbour": self.bank.items[members], "title": self.files.titles(members)})
        return NewForecasts(
            frame=frame,
            neighbours=neighbours.join(titles, on="neighbour", how="left", maintain_order="left"),
            windows=cut.frame.with_columns(
                pl.Series("observed_events", [embedded.get(video.item, {}).get("total", 0) for video in videos])
            ),
            samples=samples,
            rows=rows,
            members=members,
            forecasts=forecasts,
            seconds=seconds,
        )

    def _small_bank(self, found: Neighbourhood, members: np.ndarray) -> tuple[Bank, Neighbourhood]:
        """Return a bank of the retrieved members alone, (k,) rows in order, and the neighbourhood as rows of it."""
        index = np.where(found.mask, np.searchsorted(members, found.index), 0)
        bank = Bank(self.bank.items[members], self.files.features(self.packs, members), self.files.table(members))
        return bank, Neighbourhood(index, found.score, found.mask, found.label)

    def _forecasts(self, cut: CutWindows, samples: Samples, bank: Bank) -> tuple[NewRows, list[Forecast], np.ndarray]:
        """Return the rows, their forecasts, and what was counted so far, (n, T)."""
        floor = counted_so_far(cut.events, cut.counters, cut.frame, self.files.targets, items=samples.items.tolist())
        served = {ranked[0] for ranked in self.files.facts["ranked"].values()}
        wanted = self._needed_rows(served, samples.age)
        rows = self._rows(cut, bank, wanted)
        forecasts = all_forecasts(rows, samples, floor=floor)
        if not _apply_everywhere(forecasts, wanted):
            rows = self._rows(cut, bank, None)
            forecasts = all_forecasts(rows, samples, floor=floor)
        return rows, forecasts, floor

    def _served(self, samples: Samples, forecasts: Sequence[Forecast], floor: np.ndarray) -> pl.DataFrame:
        items, ranked = samples.items.tolist(), self.files.facts["ranked"]
        return pl.concat(
            target_rows(
                served_forecasts(forecasts, ranked[target.name], column),
                floor[:, column],
                items,
                scale=self.settings.protocol.target,
                target=target.name,
            )
            for column, target in enumerate(self.files.targets)
        )

    def _needed_rows(self, served: Collection[str], ages: np.ndarray) -> set[str]:
        """Return the rows that have to be computed: the served ones, and the stack's members with a weight at these ages."""
        needed = set(served) - {STACK}
        if STACK in served:
            weights = self.files.weights
            young = weights["age_hours"].drop_nulls().unique().sort().to_list()
            by_age = age_weights(ages, [*young, None], whole=self.files.trivial.extrapolation.whole)
            for place, age in enumerate([*young, None]):
                if (by_age[:, place] > 0).any():
                    own = weights.filter(pl.col("age_hours").eq_missing(age) & (pl.col("weight") > 0))
                    needed |= set(own["member"])
        return needed

    def _rows(self, cut: CutWindows, bank: Bank, wanted: Collection[str] | None) -> NewRows:
        """Return the rows with the models of some rows alone; None: of all rows that can be computed."""
        posts = {model.title for model in self.models if predictor_class(model.predictor).reads_posts}
        if wanted is not None and (lacking := sorted(posts & set(wanted))):
            raise NotComputable(
                f"{', '.join(lacking)}: it reads all posts before a video's own, so its forecasts need a run of the graph; "
                "name another row (model.serve), or leave it out of model.train"
            )
        models = [
            model for model in self.models if model.title not in posts and (wanted is None or model.title in wanted)
        ]
        return NewRows(self.store, self.settings, cut, self.files, bank, models=models, load=self._predictor)

    def _predictor(self, model: TrainedModel) -> Predictor:
        if model not in self._loaded:
            encoder = None if isinstance(self.encoder, RowlessEncoder) else self.encoder
            self._loaded[model] = load_model(self.store, self.settings, model, encoder=encoder)
        return self._loaded[model]


def _apply_everywhere(forecasts: Sequence[Forecast], rows: Collection[str]) -> bool:
    """Return whether some rows have forecasts of every window and target."""
    finite = {forecast.row for forecast in forecasts if np.isfinite(forecast.values).all()}
    return set(rows) <= finite
