"""The videos of a folder, as requests."""

from __future__ import annotations

from pathlib import Path

from pipeline.predicting.request import Request, WrongVideo
from storage.datasets.dataset import natural_order
from storage.datasets.errors import DatasetError, Problems
from storage.datasets.media_files import find_media
from storage.datasets.table_files import find_table
from storage.datasets.video_table import read_video_table

FEEDBACK = ".csv"


def folder_requests(folder: Path, *, at: str | None) -> list[Request]:
    """Return one request per media file of a folder, in natural order.

    `videos.csv`, if the folder has one, gives titles, authors, categories and publications, as in the plain layout
    (docs/datasets.md). `NAME.csv` is the feedback of `NAME.mp4`.

    Args:
        folder: The folder.
        at: Moment of the forecast for the videos with feedback; see `Request`.

    Raises:
        WrongVideo: The folder has no media file, two files of one name, or a table that cannot be read.
    """
    problems = Problems()
    try:
        files = find_media(folder, problems)
        tables = find_table(folder, "videos", notes=[])
        listed = read_video_table(folder, tables, [], problems, []).listed if tables else None
        problems.raise_if_any()
    except DatasetError as error:
        raise WrongVideo("; ".join(error.problems)) from error
    if not files:
        raise WrongVideo(f"{folder}: there is no media file in this folder")
    known = {} if listed is None else {row["item"]: row for row in listed.iter_rows(named=True)}
    requests = []
    for item in natural_order(files):
        row, feedback = known.get(item, {}), Path(files[item]).with_suffix(FEEDBACK)
        has_feedback = feedback.is_file()
        requests.append(
            Request(
                video=files[item],
                title=row.get("title"),
                author=row.get("author"),
                category=row.get("category"),
                published=row.get("published_at"),
                feedback=feedback if has_feedback else None,
                at=at if has_feedback else None,
            )
        )
    return requests
