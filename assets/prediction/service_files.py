"""The files that the forecast of one new video is made from, beside the bank and the models: written once, then mapped.

Everything about members of the bank is aligned with the bank and memory-mapped, so that a forecast reads a few rows and its
time does not depend on the bank's size.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from assets.memory.feature_join import MODALITY_STAGES
from assets.memory.member_labels import MemberLabels
from assets.prediction.extrapolation import Extrapolation
from assets.prediction.row_forecasts import TrivialRows
from assets.protocol.horizon_counts import HorizonCounts
from assets.protocol.target import MeasuredTarget
from models.baselines import LogLinear, NotApplicable
from models.predictors.features import PackedRows, VideoFeatures
from models.predictors.table import Table
from storage.artifact_version import ArtifactVersion
from storage.bank.memory_bank import OwnLists
from storage.durable import StoreError
from storage.pack import Pack, pack_artifact
from storage.store import Store

FACTS = "facts.json"
# A single search of 20,000 members takes 12 to 18 ms of CPU if it is exact, and 3 to 7 ms over lists, whatever their number.
SEARCHED_EXACTLY = 20_000  # largest number of members
WEIGHTS, POSTS, POST_LABELS, STATISTICS = "weights", "posts", "post_labels", "author_statistics"


@dataclass(frozen=True)
class ServiceFiles:
    """An open version; while it is open, its files are not removed.

    Attributes:
        version: The version.
        facts: Small facts, by name.
    """

    version: ArtifactVersion
    facts: dict[str, Any]
    hold: object

    @classmethod
    def open(cls, version: ArtifactVersion) -> ServiceFiles:
        """Open a version.

        Args:
            version: The version.

        Raises:
            storage.damage.DamageError: Its files are damaged. It was set aside, and the next run makes it again.
        """
        with version.reading() as folder:
            facts = json.loads((folder / FACTS).read_text(encoding="utf-8"))
        return cls(version, facts, version.hold())

    @cached_property
    def targets(self) -> list[MeasuredTarget]:
        """What is forecast, the primary target first."""
        return [MeasuredTarget(*target) for target in self.facts["targets"]]

    @cached_property
    def trivial(self) -> TrivialRows:
        """What the trivial rows were fitted to."""
        grid, whole, scale, lines = self.facts["extrapolation"]
        fitted = [
            [NotApplicable(line) if isinstance(line, str) else LogLinear(*line) for line in at_age] for at_age in lines
        ]
        return TrivialRows(self.facts["means"], Extrapolation(grid, fitted, whole, scale))

    @cached_property
    def weights(self) -> pl.DataFrame:
        """The stack's weights; see `assets.prediction.stacking.SCHEMA`."""
        return self._table(WEIGHTS)

    @cached_property
    def author_statistics(self) -> pl.DataFrame | None:
        """Given statistics of authors (`Dataset.authors`); None if the data set has none."""
        return self._table(STATISTICS) if (self.version.path / f"{STATISTICS}.parquet").is_file() else None

    def posts_of(self, author: str) -> tuple[pl.DataFrame, pl.DataFrame]:
        """Return an author's posts and their labels that may be part of a history.

        Args:
            author: Id of the author.

        Returns:
            `item`, `author`, `t0`; and `item`, `target`, `observable_at`, `value`, as `histories` takes them.
        """
        posts, labels = (
            pl.scan_parquet(self.version.path / f"{name}.parquet").filter(pl.col("author") == author).collect()
            for name in (POSTS, POST_LABELS)
        )
        return posts, labels.drop("author")

    @property
    def lists(self) -> OwnLists | None:
        """Lists of the bank's members for searches of single videos; None for a bank that is searched as it is."""
        description = self.facts["lists"]
        return None if description is None else OwnLists(self.version.path, description, SEARCHED_EXACTLY)

    @cached_property
    def labels(self) -> MemberLabels:
        """The members' labels."""
        return MemberLabels(self._array("label_value"), self._array("label_since"))

    def horizon_counts(self, members: np.ndarray) -> HorizonCounts:
        """Return the counts of some members, (k,) rows of the bank, at the horizons of the curves."""
        return HorizonCounts(self._array("horizon_count")[members], self._array("horizon_since")[members])

    @cached_property
    def simulated(self) -> np.ndarray:
        """(H,) bool, the horizons of the curves up to which the process is continued."""
        return np.array(self.facts["simulated"])

    def table(self, members: np.ndarray) -> Table:
        """Return the window table of some members, (k,) rows of the bank."""
        names = self.facts["categorical"]
        codes = self._array("categorical")[members]
        categorical = np.empty(codes.shape, object)
        for place, vocabulary in enumerate(names.values()):
            categorical[:, place] = np.array(vocabulary, object)[codes[:, place]]
        return Table(self._array("numeric")[members], tuple(self.facts["numeric"]), categorical, tuple(names))

    def features(self, packs: dict[str, Pack], members: np.ndarray) -> VideoFeatures:
        """Return the features of some members, memory-mapped.

        Args:
            packs: From `open_packs`.
            members: (k,) rows of the bank.
        """
        parts = {}
        for modality, pack in packs.items():
            starts, lengths = (self._array(f"{modality}_{name}")[members] for name in ("starts", "lengths"))
            parts[modality] = PackedRows(pack.values, starts, lengths, longest=pack.longest, keep=pack)
        return VideoFeatures(**parts)

    def open_packs(self, store: Store) -> dict[str, Pack]:
        """Return the packs of the members' features, by modality.

        Raises:
            storage.durable.StoreError: The features were packed anew since these files were made.
        """
        packs = {}
        for modality, stage in MODALITY_STAGES.items():
            version = pack_artifact(store, stage).current()
            if version is None or version.version != self.facts["packs"][modality]:
                raise StoreError(f"{stage} has changed since the last run; {RUN_AGAIN}")
            packs[modality] = Pack(version)
        return packs

    def titles(self, members: Sequence[int]) -> list[str | None]:
        """Return the titles of some members; None for one without a title."""
        offsets, letters = self._array("title_offsets"), self._array("titles")
        texts = [letters[offsets[member] : offsets[member + 1]].tobytes().decode() for member in members]
        return [text or None for text in texts]

    def duplicates(self, members: np.ndarray, sha256: str | None, hashes: Sequence[int]) -> np.ndarray:
        """Return which of some members are copies of a new video, (k,) bool; see `storage.duplicates`.

        Args:
            members: (k,) rows of the bank.
            sha256: Digest of the new video's file, or None.
            hashes: Perceptual hashes of its frames.
        """
        theirs = self._array("hashes")[members]
        own = np.zeros(theirs.shape[1], np.uint64)
        own[: len(hashes)] = hashes[: len(own)]
        counted = (theirs != 0) & (own != 0)
        number = counted.sum(axis=1)
        bits = np.where(counted, np.bitwise_count(theirs ^ own), 0).sum(axis=1)
        similar = (2 * number >= max(len(own), 1)) & (bits <= self.facts["duplicate_bits"] * number + 1e-3)
        equal = np.zeros(len(members), bool) if sha256 is None else self._array("sha256")[members] == sha256.encode()
        return equal | similar

    def _table(self, name: str) -> pl.DataFrame:
        return pl.read_parquet(self.version.path / f"{name}.parquet")

    def _array(self, name: str) -> np.ndarray:
        arrays = self.__dict__.setdefault("_arrays", {})
        if name not in arrays:
            arrays[name] = mapped(self.version.path / f"{name}.npy")
        return arrays[name]


RUN_AGAIN = "run: reelcast run --select forecast_service"


def mapped(path: Path) -> np.ndarray:
    """Return a saved array, memory-mapped unless it is empty."""
    try:
        return np.load(path, mmap_mode="r")
    except ValueError:  # an empty array cannot be mapped
        return np.load(path)
