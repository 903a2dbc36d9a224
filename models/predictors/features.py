"""The features of many videos, as arrays that may lie on disk, and minibatches of them as tensors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

MODALITIES = ("visual", "acoustic", "text", "temporal")


@dataclass(frozen=True)
class Rows:
    """A sequence of feature rows for each of n videos, padded to a common length.

    values: (n, r, d) float16 or float32, memory-mapped or not; mask: (n, r) bool, True where there is a row.
    A video without the modality has no True in its mask. What stands under False is never looked at.
    Raises ValueError for other shapes or types, and for r or d of 0.
    """

    values: np.ndarray
    mask: np.ndarray

    def __post_init__(self) -> None:
        if self.values.ndim != 3 or 0 in self.values.shape[1:]:
            raise ValueError(f"values must be (videos, rows, width) with rows and width > 0, given {self.values.shape}")
        if self.values.dtype not in (np.float16, np.float32):
            raise ValueError(f"values must be float16 or float32, given {self.values.dtype}")
        if self.mask.shape != self.values.shape[:2] or self.mask.dtype != np.bool_:
            raise ValueError(
                f"mask must be bool of shape {self.values.shape[:2]}, given {self.mask.dtype} {self.mask.shape}"
            )

    @classmethod
    def pad(cls, sequences: Sequence[np.ndarray | None], *, width: int, length: int | None = None) -> Rows:
        """Rows of ragged sequences: each (r_i, width), or None for a video without this modality.

        length: rows to keep of each, the longest's if None; longer sequences are cut. Raises ValueError for another
        width.
        """
        longest = max((len(s) for s in sequences if s is not None), default=0)
        length = max(longest, 1) if length is None else length
        values = np.zeros((len(sequences), length, width), np.float32)
        mask = np.zeros((len(sequences), length), bool)
        for i, sequence in enumerate(sequences):
            if sequence is None or not len(sequence):
                continue
            if sequence.ndim != 2 or sequence.shape[1] != width:
                raise ValueError(f"sequence {i} must be (rows, {width}), given {sequence.shape}")
            values[i, : len(sequence)] = sequence[:length]
            mask[i, : len(sequence)] = True
        return cls(values, mask)

    @property
    def width(self) -> int:
        return self.values.shape[2]

    @property
    def longest(self) -> int:
        """r: how many rows a video may have."""
        return self.values.shape[1]

    def __len__(self) -> int:
        return len(self.values)

    def take(self, index: np.ndarray) -> Rows:
        """The rows of the videos at `index` (integers or a bool mask), copied."""
        return Rows(self.values[index], self.mask[index])

    def read(self, index: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """values (b, r, d) and mask (b, r) of the videos at `index` (b,), zeros under False.

        r is as long as the longest of them, and at least 1.
        """
        mask = self.mask[index]  # (b, r)
        used = int(mask.any(0).nonzero()[0].max(initial=0)) + 1
        values, mask = self.values[np.asarray(index), :used], mask[:, :used]  # a copy
        values[~mask] = 0.0  # padding may hold anything, and anything may be NaN
        return values, mask


@dataclass(frozen=True)
class PackedRows:
    """The same as `Rows`, where the rows of all videos lie one after the other: no padding, and nothing is copied
    before it is asked for, so that they may lie on disk and be larger than memory.

    values: (t, d) float16 or float32, memory-mapped or not; starts, lengths: (n,) where each video's rows start, and how
    many there are (0 without the modality); longest: how many rows a video may have. keep: what must live as long as
    the rows do. Raises ValueError for other shapes or types, and for rows that are not in `values`.
    """

    values: np.ndarray
    starts: np.ndarray
    lengths: np.ndarray
    longest: int
    keep: object = None

    def __post_init__(self) -> None:
        if self.values.ndim != 2 or not self.values.shape[1]:
            raise ValueError(f"values must be (rows, width) with width > 0, given {self.values.shape}")
        if self.values.dtype not in (np.float16, np.float32):
            raise ValueError(f"values must be float16 or float32, given {self.values.dtype}")
        if self.starts.ndim != 1 or self.starts.shape != self.lengths.shape:
            raise ValueError(
                f"videos must have a start and a length each, given {self.starts.shape} and {self.lengths.shape}"
            )
        ends = self.starts + self.lengths
        for wrong in np.flatnonzero((self.lengths > self.longest) | (self.lengths < 0))[:1]:
            raise ValueError(f"video {wrong} has {self.lengths[wrong]} rows, at most {self.longest} are allowed")
        for wrong in np.flatnonzero((self.lengths > 0) & ((self.starts < 0) | (ends > len(self.values))))[:1]:
            raise ValueError(
                f"video {wrong} has rows {self.starts[wrong]} to {ends[wrong]}, the pack has {len(self.values)}"
            )

    @property
    def width(self) -> int:
        return self.values.shape[1]

    def __len__(self) -> int:
        return len(self.starts)

    def take(self, index: np.ndarray) -> PackedRows:
        """The rows of the videos at `index` (integers or a bool mask); the values stay where they are."""
        return replace(self, starts=self.starts[index], lengths=self.lengths[index])

    def read(self, index: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """As `Rows.read`."""
        starts, lengths = self.starts[index], self.lengths[index]
        mask = np.arange(max(int(lengths.max(initial=0)), 1)) < lengths[:, None]  # (b, r)
        values = np.zeros((*mask.shape, self.width), self.values.dtype)
        for row, (start, length) in enumerate(zip(starts.tolist(), lengths.tolist(), strict=True)):
            values[row, :length] = self.values[start : start + length]
        return values, mask


@dataclass(frozen=True)
class Widths:
    """How wide a row of each modality is."""

    visual: int
    acoustic: int
    text: int
    temporal: int


@dataclass(frozen=True)
class VideoFeatures:
    """What the encoders and the process made of n videos; row i of each is the same video.

    visual (n, K, d_v) and acoustic (n, K, d_a): frame by frame, aligned (M3TR eq. 26); text (n, n_w, d_t): word by
    word; temporal (n, L, d_s): event by event. Raises ValueError where the numbers of videos differ, or K.
    """

    visual: Rows | PackedRows
    acoustic: Rows | PackedRows
    text: Rows | PackedRows
    temporal: Rows | PackedRows

    def __post_init__(self) -> None:
        numbers = {name: len(getattr(self, name)) for name in MODALITIES}
        if len(set(numbers.values())) > 1:
            raise ValueError(f"every modality must have the same number of videos, given {numbers}")
        if self.visual.longest != self.acoustic.longest:
            raise ValueError(
                f"visual and acoustic rows are aligned frame by frame: both need the same K, "
                f"given {self.visual.longest} and {self.acoustic.longest}"
            )

    @property
    def widths(self) -> Widths:
        return Widths(**{name: getattr(self, name).width for name in MODALITIES})

    def __len__(self) -> int:
        return len(self.visual)

    def take(self, index: np.ndarray) -> VideoFeatures:
        """The features of the videos at `index` (integers or a bool mask)."""
        return VideoFeatures(**{name: getattr(self, name).take(index) for name in MODALITIES})

    def batch(self, index: np.ndarray, *, device: torch.device | str = "cpu") -> VideoBatch:
        """The videos at `index` (b,) as float32 tensors, trailing rows that none of them has cut off.

        Raises ValueError where a feature that is not masked is not finite, naming the modality and the video's row.
        """
        tensors: dict[str, Tensor] = {}
        read = {name: getattr(self, name).read(index) for name in MODALITIES}
        # Frame by frame aligned, also where one has fewer rows than the other in this batch.
        frames = max(read["visual"][1].shape[1], read["acoustic"][1].shape[1])
        for name, (values, mask) in read.items():
            if name in ("visual", "acoustic") and mask.shape[1] < frames:
                more = ((0, 0), (0, frames - mask.shape[1]))
                values, mask = np.pad(values, (*more, (0, 0))), np.pad(mask, more)
            tensors[name] = torch.from_numpy(values).to(device).float()  # half the bytes on the way to a GPU
            # One pass; where the sum is not finite, each value is looked at.
            if not torch.isfinite(tensors[name].sum()):
                finite = torch.isfinite(tensors[name]).all(-1).all(-1).cpu().numpy()
                for row in np.asarray(index)[~finite][:1]:
                    raise ValueError(f"the {name} features of video {row} are not finite")
            tensors[f"{name}_mask"] = torch.from_numpy(mask).to(device)
        return VideoBatch(**tensors)


@dataclass(frozen=True)
class VideoBatch:
    """The features of b videos as tensors: (b, rows, width) float32 and (b, rows) bool, zeros under False."""

    visual: Tensor
    visual_mask: Tensor
    acoustic: Tensor
    acoustic_mask: Tensor
    text: Tensor
    text_mask: Tensor
    temporal: Tensor
    temporal_mask: Tensor

    def __len__(self) -> int:
        return len(self.visual)

    def with_temporal(self, rows: Tensor, mask: Tensor) -> VideoBatch:
        """The same videos with other temporal rows (b, L, d_s) and mask (b, L)."""
        return replace(self, temporal=rows, temporal_mask=mask)


@dataclass(frozen=True)
class Neighbourhood:
    """The S videos retrieved for each of n videos, most similar first.

    index: (n, S) int64, rows of the bank; score: (n, S) float32, the similarity (M3TR eq. 3); mask: (n, S) bool, False
    where fewer than S were eligible; label: (n, S) float32, the neighbours' targets. What stands under False is never
    looked at. Raises ValueError for shapes that differ, and for scores or labels that are not finite.
    """

    index: np.ndarray
    score: np.ndarray
    mask: np.ndarray
    label: np.ndarray

    def __post_init__(self) -> None:
        shapes = {name: getattr(self, name).shape for name in ("index", "score", "mask", "label")}
        if self.index.ndim != 2 or len(set(shapes.values())) > 1:
            raise ValueError(f"index, score, mask and label must all be (videos, neighbours), given {shapes}")
        if self.mask.dtype != np.bool_ or not np.issubdtype(self.index.dtype, np.integer):
            raise ValueError(f"index must be integer and mask bool, given {self.index.dtype} and {self.mask.dtype}")
        for name in ("score", "label"):
            bad = np.argwhere(self.mask & ~np.isfinite(getattr(self, name)))
            if len(bad):
                raise ValueError(f"{name} of video {bad[0][0]}, neighbour {bad[0][1]} is not finite")

    def __len__(self) -> int:
        return len(self.index)

    def take(self, index: np.ndarray) -> Neighbourhood:
        """The neighbourhoods of the videos at `index` (integers or a bool mask), copied."""
        return Neighbourhood(self.index[index], self.score[index], self.mask[index], self.label[index])

    def batch(self, rows: np.ndarray, *, device: torch.device | str = "cpu") -> tuple[np.ndarray, NeighbourBatch]:
        """The distinct bank rows (u,) among the neighbours of videos `rows` (b,), and who has which of them.

        Popular videos are neighbours of many: each goes through the network once a batch, not once an occurrence.
        """
        mask = self.mask[rows]  # (b, S)
        distinct, position = np.unique(self.index[rows][mask], return_inverse=True)
        index = np.zeros(mask.shape, np.int64)
        index[mask] = position
        batch = NeighbourBatch(
            index=torch.from_numpy(index).to(device),
            score=torch.from_numpy(np.where(mask, self.score[rows], 0).astype(np.float32)).to(device),
            mask=torch.from_numpy(mask).to(device),
            label=torch.from_numpy(np.where(mask, self.label[rows], 0).astype(np.float32)).to(device),
        )
        return distinct, batch


@dataclass(frozen=True)
class NeighbourBatch:
    """The neighbourhoods of b videos: index (b, S) int64 into a batch of u neighbours, score, mask, label (b, S)."""

    index: Tensor
    score: Tensor
    mask: Tensor
    label: Tensor
