"""The imported stages and their files, checked against the data set before any long work."""

from collections.abc import Sequence

import numpy as np

from assets.settings import Settings
from storage.datasets.features import ImportedFeatures, open_features, source_files
from storage.file_marks import contents_mark, files_mark

FEW = 3  # files of an import, up to which their contents are hashed


def check_imports(settings: Settings, items: Sequence[str]) -> None:
    """Read and check every import file, so that a fault is reported before any long work.

    Args:
        settings: The section `[imports]`.
        items: All items of the data set, in stored order.

    Raises:
        storage.datasets.errors.DatasetError: A file is invalid. The message names file, row and item, and what is allowed.
    """
    for name in imported(settings):
        open_import(settings, name, items)


def imported(settings: Settings) -> list[str]:
    """Return the names of the imported stages."""
    paths = settings.imports.model_dump(exclude={"missing"})
    return [name for name, path in paths.items() if path is not None]


def import_mark(settings: Settings, name: str) -> str:
    """Return a mark that changes when the stage's import files change; an empty string if the stage isn't imported."""
    path = getattr(settings.imports, name)
    if path is None:
        return ""
    files = list(source_files(path))
    # A few large files are marked by their content, as tables are. A folder has one file per item, too many to hash.
    return contents_mark(files) if len(files) <= FEW else files_mark(files)


def open_import(settings: Settings, name: str, items: Sequence[str]) -> tuple[ImportedFeatures, list[str]]:
    """Open and check a stage's import file.

    Args:
        settings: The section `[imports]`, and the number of frames.
        name: The stage.
        items: All items of the data set, in stored order.

    Returns:
        The features, and the items that the file lacks.

    Raises:
        storage.datasets.errors.DatasetError: The file is invalid. The message names file, row and item, and what is allowed.
    """
    features = open_features(getattr(settings.imports, name), items=items)
    most = {"text_embeddings": None, "retrieval_vectors": 1}.get(name, settings.sampling.frames)
    stored = np.float32 if name == "retrieval_vectors" else np.float16
    allowed = settings.imports.missing == "missing"
    missing = features.check(items, most_rows=most, missing_allowed=allowed, largest=float(np.finfo(stored).max))
    return features, missing
