"""Which stages are imported, and their files, checked against the data set before any long work."""

from collections.abc import Sequence

import numpy as np

from assets.settings import Settings
from storage.datasets.features import ImportedFeatures, open_features, source_files
from storage.file_marks import contents_mark, files_mark

FEW = 3


def check_imports(settings: Settings, items: Sequence[str]) -> None:
    """Reads every file that is to be imported, so that what is wrong with one is known before any long work.

    Raises:
        storage.datasets.errors.DatasetError: naming file, row and item, what was given and what is allowed.
    """
    for name in imported(settings):
        open_import(settings, name, items)


def imported(settings: Settings) -> list[str]:
    """The stages that are imported."""
    chosen = settings.imports.model_dump(exclude={"missing"})
    return [name for name, path in chosen.items() if path is not None]


def import_mark(settings: Settings, name: str) -> str:
    """Mark of the files that a stage is imported from; empty where it is not."""
    path = getattr(settings.imports, name)
    if path is None:
        return ""
    files = list(source_files(path))
    # vectors in one file go by their content, as tables do; of files of one item each there are many
    return contents_mark(files) if len(files) <= FEW else files_mark(files)


def open_import(settings: Settings, name: str, items: Sequence[str]) -> tuple[ImportedFeatures, list[str]]:
    """A stage's file, checked, and the items that it lacks."""
    features = open_features(getattr(settings.imports, name), items=items)
    most = {"text_embeddings": None, "retrieval_vectors": 1}.get(name, settings.sampling.frames)
    stored = np.float32 if name == "retrieval_vectors" else np.float16
    allowed = settings.imports.missing == "missing"
    missing = features.check(items, most_rows=most, missing_allowed=allowed, largest=float(np.finfo(stored).max))
    return features, missing
