"""Write the demonstration set to a folder, in the MicroLens layout with the prefix `demo`.

Files:
    demo_videos/{item}.mp4, demo_title_en.csv, demo_pairs.csv, demo_counters.csv, tags_to_summary.csv, demo_published.csv,
    demo_authors.csv, split.csv: the data set.
    truth/videos.csv, truth/branching.csv: the parameters of the simulation, for tests and documents; no stage reads them.
    demonstration.json: the arguments, the generator's version and the size of every file; written last.
"""

import json
import shutil
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import polars as pl

from pipeline.demonstration import authors, clips, feedback, plan, split, titles, users, views
from pipeline.demonstration.authors import Authors
from pipeline.demonstration.clusters import Events
from pipeline.demonstration.plan import CATEGORIES, DAY, HOUR, LABEL_DAYS, Video
from pipeline.demonstration.randomness import generator

VERSION = 2  # raise it when the generated data change; sets of another version are made again
MANIFEST = "demonstration.json"
UNFINISHED = "demonstration.unfinished.json"
OBSERVED_HOURS = 24
DUPLICATE_ROWS = 0.001  # share of feedback rows that occur twice, as in MicroLens
VIDEOS_PER_AUTHOR = 8
TABLES = (
    "demo_title_en.csv",
    "demo_pairs.csv",
    "demo_counters.csv",
    "tags_to_summary.csv",
    "demo_published.csv",
    "demo_authors.csv",
    "split.csv",
    "truth/videos.csv",
    "truth/branching.csv",
)

Progress = Callable[[int, int], None]


def make(
    folder: str | Path,
    *,
    videos: int = 1200,
    uploads: int = 40,
    seed: int = 0,
    workers: int = 2,
    progress: Progress | None = None,
) -> Path:
    """Make the set in `folder`, unless it is complete already.

    A complete set with the same arguments and generator version is left alone. An interrupted set is continued. A set with
    other arguments is replaced.

    Args:
        folder: Folder of the set; made if it does not exist.
        videos: Number of items with a label, at least 10.
        uploads: Number of new items without a label.
        seed: Seed of everything random.
        workers: Number of processes that encode files; 1 uses this process alone.
        progress: Called as `progress(done, total)` after each file.

    Returns:
        The folder.

    Raises:
        ValueError: An argument is out of range.
        FileExistsError: The folder holds something other than a demonstration set. Nothing in it is changed.
    """
    for name, value, least in (
        ("videos", videos, 10),
        ("uploads", uploads, 0),
        ("seed", seed, 0),
        ("workers", workers, 1),
    ):
        if value < least:
            raise ValueError(f"{name} = {value}: allowed is {least} or more")
    folder = Path(folder)
    arguments = {"version": VERSION, "videos": videos, "uploads": uploads, "seed": seed}
    if is_complete(folder, arguments):
        return folder
    _start(folder, arguments)

    creators = authors.draw(max(2, videos // VIDEOS_PER_AUTHOR), generator(seed, "authors"))
    items, end = plan.draw(videos=videos, uploads=uploads, authors=creators, rng=generator(seed, "plan"))
    files = _make_clips(items, folder, seed=seed, workers=workers, progress=progress)
    _write_tables(items, creators, end, folder, seed=seed)
    sizes = {str(path.relative_to(folder)): path.stat().st_size for path in [*files, *(folder / t for t in TABLES)]}
    _write_json(folder / MANIFEST, {**arguments, "files": sizes})
    (folder / UNFINISHED).unlink()
    return folder


def is_complete(folder: Path, arguments: dict) -> bool:
    """Return whether `folder` holds a finished set with these arguments, with every file at its recorded size."""
    manifest = _read_json(folder / MANIFEST)
    if manifest is None or any(manifest.get(key) != value for key, value in arguments.items()):
        return False
    paths = {folder / name: size for name, size in manifest["files"].items()}
    return all(path.is_file() and path.stat().st_size == size for path, size in paths.items())


def _start(folder: Path, arguments: dict) -> None:
    """Prepare the folder: keep an interrupted set with the same arguments, remove the files of any other set."""
    folder.mkdir(parents=True, exist_ok=True)
    begun = _read_json(folder / UNFINISHED)
    # a `.partial` file can be our own manifest, cut short by a full disk
    strange = any(path.suffix != ".partial" for path in folder.iterdir())
    if begun is None and _read_json(folder / MANIFEST) is None and strange:
        raise FileExistsError(f"{folder} is not empty and holds no {MANIFEST}: allowed is a new folder or such a set")
    if begun != arguments:
        for name in ("demo_videos", "truth"):
            if (folder / name).exists():
                shutil.rmtree(folder / name)
    _write_json(folder / UNFINISHED, arguments)
    (folder / MANIFEST).unlink(missing_ok=True)
    (folder / "demo_videos").mkdir(exist_ok=True)
    (folder / "truth").mkdir(exist_ok=True)


def _make_clips(
    items: Sequence[Video], folder: Path, *, seed: int, workers: int, progress: Progress | None
) -> list[Path]:
    """Encode the missing files and return the paths of all files."""
    having = [video for video in items if video.file != "missing"]
    encoded = [video for video in having if video.file != "copy"]
    left = [video for video in encoded if not clips.path_of(folder, video.item).exists()]
    done = len(encoded) - len(left)
    for _ in _run(left, folder, seed, workers):
        done += 1
        if progress is not None:
            progress(done, len(having))
    for video in having:
        if video.file == "copy":
            clips.copy(video, folder)
    if progress is not None:
        progress(len(having), len(having))
    return [clips.path_of(folder, video.item) for video in having]


def _run(left: Sequence[Video], folder: Path, seed: int, workers: int) -> Iterator[None]:
    if workers == 1 or len(left) < 2:
        for video in left:
            yield clips.make(video, folder, seed)
        return
    # Spawn, because a forked child of a process with threads (Dagster, torch) can deadlock.
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        tasks = [pool.submit(clips.make, video, folder, seed) for video in left]
        try:
            for task in as_completed(tasks):
                yield task.result()
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise


def _write_tables(items: Sequence[Video], creators: Authors, end: int, folder: Path, *, seed: int) -> None:
    process = feedback.parameters(items, generator(seed, "process"))
    events = feedback.draw(items, process, end=end, rng=generator(seed, "events"))
    published = np.array([video.published_at for video in items])
    stamp = published[events.sequence] + np.floor(events.time * HOUR).astype(np.int64)
    now = int(stamp.max(initial=plan.START))  # the data end at the last event

    category = np.array([list(CATEGORIES).index(video.category) for video in items])
    audience = users.audience(generator(seed, "audience"))
    user = audience.draw(category[events.sequence], generator(seed, "user"))
    pairs = pl.DataFrame(
        {
            "user": user,
            "item": events.sequence + 1,
            "timestamp": stamp,
            "event": np.array(feedback.TYPES)[events.type],
        }
    )
    shuffle = generator(seed, "rows")
    rows = np.concatenate([np.arange(len(pairs)), shuffle.integers(0, len(pairs), int(DUPLICATE_ROWS * len(pairs)))])
    pairs[shuffle.permutation(rows)].write_csv(folder / "demo_pairs.csv")

    wording = generator(seed, "title")
    lines = [f"{video.item},{titles.write(video, wording)}" for video in items]
    (folder / "demo_title_en.csv").write_text("\n".join(lines) + "\n", encoding="utf-8-sig")
    tags = "".join(f"{video.item},{video.category}\n" for video in items)
    (folder / "tags_to_summary.csv").write_text(tags, encoding="utf-8")
    # In a very small set a video without feedback could be newer than the last event of the set.
    shown = pl.DataFrame(
        {
            "item": [v.item for v in items],
            "published_at": np.minimum(published, now),
            "author": [v.author for v in items],
        }
    )
    shown.write_csv(folder / "demo_published.csv")
    # taken before the first video was published, so that they tell nothing of the feedback
    followers = pl.DataFrame(
        {
            "author": np.arange(1, creators.followers.size + 1),
            "time": np.full(creators.followers.size, plan.START),
            "followers": creators.followers,
        }
    )
    followers.write_csv(folder / "demo_authors.csv")
    split.draw(items, generator(seed, "split")).write_csv(folder / "split.csv")

    ages = (OBSERVED_HOURS, LABEL_DAYS * 24)
    seen = views.draw(items, process, events, now=now, ages=ages, rng=generator(seed, "views"))
    seen.readings.write_csv(folder / "demo_counters.csv")
    truth = _truth(items, process, events, shown["published_at"], now)
    truth = truth.with_columns(views_24h=seen.counts[:, 0], views_7d=seen.counts[:, 1])
    truth.write_csv(folder / "truth" / "videos.csv")
    _branching().write_csv(folder / "truth" / "branching.csv")


def _truth(
    items: Sequence[Video], process: feedback.Parameters, events: Events, published: pl.Series, now: int
) -> pl.DataFrame:
    """Return one row per video: archetype, appeal, style, parameters of the process, and counts."""
    n = len(items)
    first_day, labelled = events.time < OBSERVED_HOURS, events.time < LABEL_DAYS * 24
    comments = labelled & (events.type == feedback.TYPES.index("comment"))
    background = process.background
    mixes = {f"mix_{name}": background.mix[:, 0, k] for k, name in enumerate(feedback.TYPES)}
    plain = [{k: v for k, v in asdict(video).items() if k not in ("style", "published_at")} for video in items]
    return pl.DataFrame(plain).with_columns(
        published_at=published,
        **{name: pl.Series([getattr(v.style, name) for v in items]) for name in plan.STYLE_LOGITS},
        rate=background.rate[:, 0],
        lasting_hours=background.lasting[:, 0],
        catalyst_rate=background.rate[:, 1],
        catalyst_hour=background.start[:, 1],
        **mixes,
        quarrel_rate=background.rate[:, 2],
        quarrel_hour=background.start[:, 2],
        branching_ratio=np.abs(np.linalg.eigvals(np.maximum(process.branching, 0.0))).max(axis=1),
        events_24h=np.bincount(events.sequence[first_day], minlength=n),
        comments_7d=np.bincount(events.sequence[comments], minlength=n),
        events=np.bincount(events.sequence, minlength=n),
        seven_days_over=(published + LABEL_DAYS * DAY) <= now,
    )


def _branching() -> pl.DataFrame:
    """Return the branching numbers of each archetype; a negative one is a mean number of prevented events."""
    rows = [
        (archetype, target, source, float(value))
        for archetype in plan.ARCHETYPES
        for target, line in zip(feedback.TYPES, feedback.branching_matrix(archetype), strict=True)
        for source, value in zip(feedback.TYPES, line, strict=True)
    ]
    return pl.DataFrame(rows, schema=["archetype", "target", "source", "branching"], orient="row")


def _read_json(path: Path) -> dict | None:
    """Return a manifest's content, or None if the file is missing or is not JSON."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, json.JSONDecodeError):
        return None


def _write_json(path: Path, content: dict) -> None:
    partial = path.with_suffix(".partial")
    partial.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    partial.replace(path)
