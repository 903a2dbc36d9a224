"""Features of many videos as arrays, optionally memory-mapped, and minibatches of them as tensors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

MODALITIES = ("visual", "acoustic", "text", "temporal")


def on_device(values: np.ndarray, device: torch.device | str) -> Tensor:
    """Return an array as a tensor on a device.

    The copy to a GPU starts from pinned memory and runs beside the work that is queued there, so that the CPU can go on.
    """
    tensor = torch.from_numpy(values)
    if torch.device(device).type == "cuda":
        return tensor.pin_memory().to(device, non_blocking=True)
    return tensor.to(device)


@dataclass(frozen=True)
class Rows:
    """Feature rows of n videos for one modality, padded to a common length.

    Attributes:
        values: (n, r, d) float16 or float32; it may be memory-mapped. Values where the mask is False are ignored.
        mask: (n, r) bool, True where the video has a row. A video without the modality has only False.

    Raises:
        ValueError: Another shape or type, or r or d is 0.

    Example:
        >>> rows = Rows.pad([np.ones((3, 2)), None, np.ones((1, 2))], width=2)
        >>> rows.values.shape, rows.mask.sum(axis=1).tolist()
        ((3, 3, 2), [3, 0, 1])
    """

    values: np.ndarray
    mask: np.ndarray

    def __post_init__(self) -> None:
        """Check the values."""
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
        """Return sequences of different lengths, padded.

        Args:
            sequences: Per video its (r_i, width) rows, or None for a video without this modality.
            width: Width d of a row.
            length: Rows to keep per video; longer sequences are cut. None keeps the longest sequence whole.

        Returns:
            n videos, float32.

        Raises:
            ValueError: A sequence has another width; the message names it.
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
        """Width d of a row."""
        return self.values.shape[2]

    @property
    def longest(self) -> int:
        """Largest number of rows per video, r."""
        return self.values.shape[1]

    @property
    def present(self) -> np.ndarray:
        """(n,) bool, True for a video with at least one row."""
        return self.mask.any(1)

    def __len__(self) -> int:
        """Return the number of videos."""
        return len(self.values)

    def take(self, index: np.ndarray) -> Rows:
        """Return a copy of the rows of the videos at `index` (integers or a bool mask)."""
        return Rows(self.values[index], self.mask[index])

    def read(self, index: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return a copy of some videos' rows.

        Args:
            index: (b,) numbers of the videos.

        Returns:
            values (b, r, d), zero where the mask is False, and mask (b, r). r is the length of the longest of these b
            videos, and at least 1.
        """
        mask = self.mask[index]  # (b, r)
        used = int(mask.any(0).nonzero()[0].max(initial=0)) + 1
        values, mask = self.values[np.asarray(index), :used], mask[:, :used]  # a copy
        values[~mask] = 0.0  # padding may hold any value, even NaN
        return values, mask


@dataclass(frozen=True)
class PackedRows:
    """Feature rows of n videos for one modality, stored one video after the other without padding.

    It has the interface of `Rows`. Rows are copied only when `read` asks for them, so `values` may be a memory-mapped file
    that is larger than memory.

    Attributes:
        values: (t, d) float16 or float32, the rows of all videos.
        starts: (n,) first row of each video.
        lengths: (n,) number of rows of each video; 0 for a video without the modality.
        longest: Largest number of rows that a video may have.
        keep: An object that must stay alive as long as the rows, such as an open file.

    Raises:
        ValueError: Another shape or type, or rows outside `values`; the message names the video.
    """

    values: np.ndarray
    starts: np.ndarray
    lengths: np.ndarray
    longest: int
    keep: object = None

    def __post_init__(self) -> None:
        """Check the values."""
        if self.values.ndim != 2 or not self.values.shape[1]:
            raise ValueError(f"values must be (rows, width) with width > 0, given {self.values.shape}")
        if self.values.dtype not in (np.float16, np.float32):
            raise ValueError(f"values must be float16 or float32, given {self.values.dtype}")
        if self.starts.ndim != 1 or self.starts.shape != self.lengths.shape:
            raise ValueError(
                f"starts and lengths must both be (videos,), given {self.starts.shape} and {self.lengths.shape}"
            )
        ends = self.starts + self.lengths
        for wrong in np.flatnonzero((self.lengths > self.longest) | (self.lengths < 0))[:1]:
            raise ValueError(f"video {wrong} has {self.lengths[wrong]} rows, at most {self.longest} are allowed")
        for wrong in np.flatnonzero((self.lengths > 0) & ((self.starts < 0) | (ends > len(self.values))))[:1]:
            raise ValueError(
                f"video {wrong} has rows {self.starts[wrong]} to {ends[wrong]}, but values has only {len(self.values)} rows"
            )

    @property
    def width(self) -> int:
        """Width d of a row."""
        return self.values.shape[1]

    @property
    def present(self) -> np.ndarray:
        """(n,) bool, True for a video with at least one row."""
        return self.lengths > 0

    def __len__(self) -> int:
        """Return the number of videos."""
        return len(self.starts)

    def take(self, index: np.ndarray) -> PackedRows:
        """Return the rows of the videos at `index` (integers or a bool mask), without copying the values."""
        return replace(self, starts=self.starts[index], lengths=self.lengths[index])

    def read(self, index: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return a copy of some videos' rows, as `Rows.read` does."""
        starts, lengths = self.starts[index], self.lengths[index]
        place = np.arange(max(int(lengths.max(initial=0)), 1))
        mask = place < lengths[:, None]  # (b, r)
        values = np.zeros((*mask.shape, self.width), self.values.dtype)
        values[mask] = self.values[(starts[:, None] + place)[mask]]
        return values, mask


@dataclass(frozen=True)
class Widths:
    """Width of a row, per modality."""

    visual: int
    acoustic: int
    text: int
    temporal: int


@dataclass(frozen=True)
class VideoFeatures:
    """Features of n videos in all four modalities; position i is the same video in each of them.

    Attributes:
        visual: (n, K, d_v), one row per frame.
        acoustic: (n, K, d_a), one row per frame, aligned with `visual` (M3TR eq. 26).
        text: (n, n_w, d_t), one row per word.
        temporal: (n, L, d_s), one row per event.

    Raises:
        ValueError: The modalities differ in their number of videos, or visual and acoustic differ in K.
    """

    visual: Rows | PackedRows
    acoustic: Rows | PackedRows
    text: Rows | PackedRows
    temporal: Rows | PackedRows

    def __post_init__(self) -> None:
        """Check the values."""
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
        """Width of a row, per modality."""
        return Widths(**{name: getattr(self, name).width for name in MODALITIES})

    def __len__(self) -> int:
        """Return the number of videos."""
        return len(self.visual)

    def take(self, index: np.ndarray) -> VideoFeatures:
        """Return the features of the videos at `index` (integers or a bool mask)."""
        return VideoFeatures(**{name: getattr(self, name).take(index) for name in MODALITIES})

    def batch(self, index: np.ndarray, *, device: torch.device | str = "cpu") -> VideoBatch:
        """Return some videos as float32 tensors, without the trailing rows that are padding in all of them.

        Args:
            index: (b,) numbers of the videos.
            device: Device of the tensors.

        Returns:
            The b videos.

        Raises:
            ValueError: A feature that is not masked is NaN or infinite; the message names the modality and the video.
        """
        tensors: dict[str, Tensor] = {}
        read = {name: getattr(self, name).read(index) for name in MODALITIES}
        # Visual and acoustic rows stay aligned, even if one has fewer rows than the other in this batch.
        frames = max(read["visual"][1].shape[1], read["acoustic"][1].shape[1])
        for name, (values, mask) in read.items():
            if name in ("visual", "acoustic") and mask.shape[1] < frames:
                padding = ((0, 0), (0, frames - mask.shape[1]))
                values, mask = np.pad(values, (*padding, (0, 0))), np.pad(mask, padding)
            # The sum takes one pass. Only if it is not finite is each value checked.
            if not torch.isfinite(torch.from_numpy(values).sum(dtype=torch.float32)):
                finite = np.isfinite(values).all((1, 2))
                for row in np.asarray(index)[~finite][:1]:
                    raise ValueError(f"the {name} features of video {row} are not finite")
            tensors[name] = on_device(values, device).float()  # float16 halves the bytes that go to a GPU
            tensors[f"{name}_mask"] = on_device(mask, device)
        return VideoBatch(**tensors)


@dataclass(frozen=True)
class VideoBatch:
    """Features of b videos as tensors.

    Each modality has (b, rows, width) float32 values and a (b, rows) bool mask; values are zero where the mask is False.
    """

    visual: Tensor
    visual_mask: Tensor
    acoustic: Tensor
    acoustic_mask: Tensor
    text: Tensor
    text_mask: Tensor
    temporal: Tensor
    temporal_mask: Tensor

    def __len__(self) -> int:
        """Return the number of videos."""
        return len(self.visual)

    def with_temporal(self, rows: Tensor, mask: Tensor) -> VideoBatch:
        """Return the same videos with other temporal rows (b, L, d_s) and mask (b, L)."""
        return replace(self, temporal=rows, temporal_mask=mask)


@dataclass(frozen=True)
class Neighbourhood:
    """The S videos retrieved for each of n videos, most similar first.

    Values where the mask is False are ignored.

    Attributes:
        index: (n, S) int64, rows of the bank.
        score: (n, S) float32, similarity (M3TR eq. 3).
        mask: (n, S) bool, False where fewer than S videos were eligible.
        label: (n, S, T) float32, the neighbours' targets; NaN where a target is unknown.

    Raises:
        ValueError: Shapes or types differ, or a score that is not masked is NaN or infinite, or a label infinite.
    """

    index: np.ndarray
    score: np.ndarray
    mask: np.ndarray
    label: np.ndarray

    def __post_init__(self) -> None:
        """Check the values."""
        shapes = {name: getattr(self, name).shape for name in ("index", "score", "mask")}
        if self.index.ndim != 2 or len(set(shapes.values())) > 1:
            raise ValueError(f"index, score and mask must all be (videos, neighbours), given {shapes}")
        if self.label.ndim != 3 or self.label.shape[:2] != self.index.shape:
            raise ValueError(f"label must be (videos, neighbours, targets), given {self.label.shape}")
        if self.mask.dtype != np.bool_ or not np.issubdtype(self.index.dtype, np.integer):
            raise ValueError(f"index must be integer and mask bool, given {self.index.dtype} and {self.mask.dtype}")
        bad = {"score": ~np.isfinite(self.score), "label": np.isinf(self.label).any(-1)}
        for name, values in bad.items():
            for video, neighbour in np.argwhere(self.mask & values)[:1]:
                raise ValueError(f"{name} of video {video}, neighbour {neighbour} is not finite")

    def __len__(self) -> int:
        """Return the number of videos."""
        return len(self.index)

    def take(self, index: np.ndarray) -> Neighbourhood:
        """Return a copy of the neighbourhoods of the videos at `index` (integers or a bool mask)."""
        return Neighbourhood(self.index[index], self.score[index], self.mask[index], self.label[index])

    def nearest(self, count: int) -> Neighbourhood:
        """Return each video's `count` most similar neighbours."""
        parts = (self.index, self.score, self.mask, self.label)
        return Neighbourhood(*(part[:, :count] for part in parts))

    def batch(self, rows: np.ndarray, *, device: torch.device | str = "cpu") -> tuple[np.ndarray, NeighbourBatch]:
        """Return the distinct neighbours of some videos, and which video has which of them.

        A popular video is a neighbour of many videos. With distinct neighbours it goes through the network once per batch.

        Args:
            rows: (b,) numbers of the videos.
            device: Device of the tensors.

        Returns:
            (u,) distinct rows of the bank, and the b neighbourhoods, whose `index` counts within these u rows.
        """
        mask = self.mask[rows]  # (b, S)
        distinct, position = np.unique(self.index[rows][mask], return_inverse=True)
        index = np.zeros(mask.shape, np.int64)
        index[mask] = position
        batch = NeighbourBatch(
            index=on_device(index, device),
            score=on_device(np.where(mask, self.score[rows], 0).astype(np.float32), device),
            mask=on_device(mask, device),
            label=on_device(np.where(mask[..., None], self.label[rows], 0).astype(np.float32), device),
        )
        return distinct, batch


@dataclass(frozen=True)
class NeighbourBatch:
    """Neighbourhoods of b videos as tensors.

    Attributes:
        index: (b, S) int64, positions in a batch of u distinct neighbours.
        score: (b, S) float32, similarity; 0 where the mask is False.
        mask: (b, S) bool.
        label: (b, S, T) float32, the neighbours' targets; NaN where a target is unknown, 0 where the mask is False.
    """

    index: Tensor
    score: Tensor
    mask: Tensor
    label: Tensor
