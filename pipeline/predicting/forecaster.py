"""A forecaster that stays warm: it loads what is in service once and forecasts any number of videos."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from assets.engine.decoding_workers import WorkerPool
from assets.engine.durations import timed
from assets.sampling.decoded_video import DecodedVideo, DecodingOptions, decode_video
from models.media import MediaError
from pipeline.predicting.request import Request, WrongVideo
from pipeline.predicting.video_forecast import VideoForecast
from pipeline.settings import load
from storage.durable import StoreError

if TYPE_CHECKING:
    from assets.curves.new_video_curves import NewVideoCurves
    from assets.prediction.new_video import NewVideo
    from assets.prediction.new_video_forecasts import NewForecasts, NewVideoForecaster
    from assets.settings import Settings
    from models.curves import Curves

AHEAD = 4  # files per worker that are decoded before their turn
# Returns the decoded file or its error; or why the video cannot be forecast; or None: there is no file.
Pending = Callable[[], DecodedVideo | Exception] | WrongVideo | None


class Forecaster:
    """Forecasts videos with the bank and the models in service, and stores nothing.

    What is needed is loaded at the first forecast and kept. A version that comes into service later is not seen: make a new
    forecaster.

    Example:
        `docs/predict.md` has one.
    """

    def __init__(self, settings: Settings | None = None, *, workers: int = 0, details: bool = True) -> None:
        """Make a forecaster; the store must be that of a finished run.

        Args:
            settings: The settings of that run. Default: those of `reelcast.toml` and the environment.
            workers: Processes that decode files, so that a file that crashes or hangs a decoder costs its own forecast alone.
                They need a main module that can be imported (`if __name__ == "__main__":`). 0 decodes in this process.

            details: Whether forecasts have their curve and their reasons, which take several times as long as the forecast.

        Raises:
            storage.durable.StoreError: There is no store.
        """
        self.settings = load() if settings is None else settings
        folder = self.settings.store_folder()
        if not (folder / "store.json").is_file():
            raise StoreError(f"{folder}: there is no store yet; run the graph first (`make demo`, or `reelcast run`)")
        self._workers, self._details = workers, details
        timeout = self.settings.sampling.timeout_seconds
        self._pool = WorkerPool(decode_video, workers, timeout) if workers else None
        self._curve_model: NewVideoCurves | None = None

    def __enter__(self) -> Forecaster:
        """Return the forecaster."""
        return self

    def __exit__(self, *error: object) -> None:
        """End the worker processes."""
        if self._pool is not None:
            self._pool.__exit__(*error)

    def predict(
        self,
        video: str | Path | None = None,
        *,
        title: str | None = None,
        author: str | None = None,
        category: str | None = None,
        published: str | int | None = None,
        feedback: Any = None,
        at: str | int | None = None,
        item: str | None = None,
    ) -> VideoForecast:
        """Forecast one video. All arguments are optional, but something must be known of the video.

        Args:
            video: Media file.
            title: Title.
            author: Id of the author, as in the data set; the author's earlier videos are then known.
            category: Category, as in the data set.
            published: A date, a time, or unix time. Default: the first event, or now.
            feedback: File of its feedback: events (`time[,type][,user]`) or counts (`time,views,...`); or a polars frame of
                events with `time` in unix ms. None: nothing is known of it, and the forecast is made at publication.
            at: Moment of the forecast; later feedback is left out. Default: the last event.
            item: Id. Default: the file's name without its suffix.

        Raises:
            WrongVideo: The video cannot be forecast; the message says why in one line.
            storage.durable.StoreError: No bank, model or process is in service, or they do not belong together.
        """
        request = Request(video, title, author, category, published, feedback, at, item)
        (_, result) = next(self.predict_all([request]))
        if isinstance(result, WrongVideo):
            raise result
        return result

    def predict_all(self, requests: Iterable[Request]) -> Iterator[tuple[Request, VideoForecast | WrongVideo]]:
        """Forecast several videos; one that cannot be forecast costs only its own forecast.

        Args:
            requests: The videos; read lazily.

        Yields:
            Each request with its forecast, or with the reason why there is none, in order.
        """
        options = DecodingOptions.of(self.settings)
        ahead: deque[tuple[Request, Pending]] = deque()
        for request in requests:
            ahead.append((request, self._start(request, options)))
            if len(ahead) > AHEAD * self._workers:  # without workers, none is decoded ahead
                yield self._finish(*ahead.popleft())
        while ahead:
            yield self._finish(*ahead.popleft())

    def _start(self, request: Request, options: DecodingOptions) -> Pending:
        """Check a request and start to decode its file."""
        try:
            request.check()
        except WrongVideo as error:
            return error
        if request.video is None:
            return None
        arguments = (str(request.video), options)
        return partial(_decoded, *arguments) if self._pool is None else self._pool.submit(arguments).result

    def _finish(self, request: Request, pending: Pending) -> tuple[Request, VideoForecast | WrongVideo]:
        try:
            return request, self._forecast(request, pending)
        except WrongVideo as error:
            return request, error

    @cached_property
    def _service(self) -> NewVideoForecaster:
        from assets.prediction.new_video_forecasts import NewVideoForecaster
        from storage.store import Store

        return NewVideoForecaster(Store(self.settings.store_folder()), self.settings)

    def _forecast(self, request: Request, pending: Pending) -> VideoForecast:
        if isinstance(pending, WrongVideo):
            raise pending
        seconds: dict[str, float] = {}
        with timed(seconds, "start"):
            from assets.prediction.new_video import NotComputable, content_rows
            from pipeline.predicting.describe import described

            service = self._service
        with timed(seconds, "decoding"):
            video, notes = self._known(request, pending)
        try:
            with timed(seconds, "encoders"):
                rows = content_rows(self.settings, [video])[video.item]
            if isinstance(rows, Exception):
                raise WrongVideo(f"{request.video or request.name}: {rows}")
            forecasts = service.forecast([video], {video.item: rows})
        except NotComputable as error:
            raise StoreError(str(error)) from error
        seconds |= forecasts.seconds
        curves = reasons = None
        if self._details:
            from assets.curves.served_reasons import served_reasons

            with timed(seconds, "curve"):
                curves = self._curves(forecasts, at=video.at)
            with timed(seconds, "reasons"):
                reasons, _ = served_reasons(forecasts.rows, forecasts.samples, forecasts.forecasts)
        return described(video, forecasts, service, curves=curves, reasons=reasons, notes=notes, seconds=seconds)

    def _curves(self, forecasts: NewForecasts, *, at: int) -> Curves | None:
        """Return the curves; None if the store has no curve model."""
        from assets.curves.new_video_curves import NewVideoCurves, has_curve_model

        if not has_curve_model(self._service.store):
            return None
        if self._curve_model is None:
            self._curve_model = NewVideoCurves(self._service.store, self.settings, self._service.files, forecasts.rows)
        return self._curve_model.curves(forecasts.rows, forecasts.samples, forecasts.members, at=at)

    def _known(
        self, request: Request, decode: Callable[[], DecodedVideo | Exception] | None
    ) -> tuple[NewVideo, list[str]]:
        """Return everything that is known of a video, with remarks.

        Raises:
            WrongVideo: Its file or its feedback cannot be used.
        """
        from assets.prediction.new_video import NewVideo

        facts = self._service.files.facts
        feedback = request.read_feedback(facts["types"], facts["metrics"])
        decoded: DecodedVideo | None = None
        if decode is not None:
            outcome = decode()
            if isinstance(outcome, Exception):
                raise WrongVideo(str(outcome)) from outcome
            decoded = outcome
            if _is_picture(decoded):
                raise WrongVideo(f"{request.video}: it is one picture without sound; give a video")
        video = NewVideo(
            item=request.name,
            at=feedback.end,
            title=request.title,
            author=request.author,
            category=request.category,
            published_at=feedback.end
            if request.published is None and request.feedback is None
            else request.published_at,
            events=feedback.events,
            counters=feedback.counters,
            decoded=decoded,
        )
        return video, [note.text for note in feedback.notes]


def _decoded(path: str, options: DecodingOptions) -> DecodedVideo | Exception:
    """Decode a file in this process."""
    try:
        return decode_video(path, options)
    except (MediaError, OSError) as error:
        return error


def _is_picture(decoded: DecodedVideo) -> bool:
    """Return whether a file holds a single frame and no sound."""
    duration, fps = decoded.facts["duration"], decoded.facts["fps"]
    single = duration is not None and fps is not None and round(duration * fps) <= 1
    return single and decoded.audio is None
