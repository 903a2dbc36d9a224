"""Whether a data set's files may have changed since they were read, told without reading them."""

from pathlib import Path

import polars as pl

from storage.file_marks import folder_mark
from storage.hashing import content_hash

MEDIA = ("files", "*_videos")  # folders of media files in the two layouts


def source_mark(folder: str | Path) -> str | None:
    """Mark of every file that a reader of the folder may look at; None where that cannot be told.

    It cannot where the plain form's videos name their files themselves (a column `path`), for those may lie anywhere.
    """
    folder = Path(folder).expanduser().absolute()
    if any(_names_files(file) for file in (folder / "videos.csv", folder / "videos.parquet")):
        return None
    media = sorted(child for pattern in MEDIA for child in folder.glob(pattern) if child.is_dir())
    return content_hash([str(folder), folder_mark(folder), *(folder_mark(child) for child in media)])


def _names_files(file: Path) -> bool:
    if not file.is_file():
        return False
    try:
        columns = (
            pl.read_parquet_schema(file)
            if file.suffix == ".parquet"
            else pl.scan_csv(file, infer_schema=False).collect_schema()
        )
    except (pl.exceptions.PolarsError, OSError):
        return True  # it cannot be read: its reader says why
    return "path" in {column.strip().lower() for column in columns}
