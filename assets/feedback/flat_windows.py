"""The windows of many items as flat arrays, without a Python object per event."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import pyarrow as pa

SCALARS = {"age_hours": np.float64, "used_hours": np.float64, "total": np.int64, "observed": np.int64}
SEQUENCES = {"times": np.float64, "types": np.int64}


@dataclass(frozen=True)
class FlatWindows:
    """Windows of n items: all own windows in order, then the younger windows of the first item, of the second one, ...

    Attributes:
        row: (w,) row of each window's item.
        younger: (w,) bool, whether the window was cut at a younger age.
        scalars: Column of `temporal_embeddings` with a number per window -> (w,) its values.
        sequences: Column with a sequence per window -> all sequences in the order of the windows, joined.
        ends: (w + 1,) where the windows' sequences start and end in these.
    """

    row: np.ndarray
    younger: np.ndarray
    scalars: dict[str, np.ndarray]
    sequences: dict[str, np.ndarray]
    ends: np.ndarray

    @classmethod
    def of_rows(cls, table: pa.Table) -> FlatWindows:
        """Return the windows in some rows of the stage.

        Args:
            table: Rows of `temporal_embeddings` with `times`, `younger`, and those of the other columns that are needed.
        """
        cut = _array(table["younger"])
        counts = cut.value_lengths().to_numpy(zero_copy_only=False).astype(np.int64)
        structs = cut.flatten()
        fields = dict(zip([field.name for field in structs.type], structs.flatten(), strict=True))
        both = {
            name: (_array(table[name]), fields[name]) for name in (*SCALARS, *SEQUENCES) if name in table.column_names
        }
        lengths = np.concatenate([part.value_lengths().to_numpy(zero_copy_only=False) for part in both["times"]])
        return cls(
            row=np.concatenate([np.arange(len(table)), np.repeat(np.arange(len(table)), counts)]),
            younger=np.repeat([False, True], [len(table), counts.sum()]),
            scalars={
                name: np.concatenate([part.to_numpy(zero_copy_only=False) for part in both[name]]).astype(kind)
                for name, kind in SCALARS.items()
                if name in both
            },
            sequences={
                name: np.concatenate([part.flatten().to_numpy(zero_copy_only=False) for part in both[name]]).astype(
                    kind
                )
                for name, kind in SEQUENCES.items()
                if name in both
            },
            ends=np.concatenate([[0], np.cumsum(lengths, dtype=np.int64)]),
        )

    def held(self) -> list[dict[str, Any]]:
        """Return each window's values by column: numbers, and arrays that are views."""
        values = {name: column.tolist() for name, column in self.scalars.items()}
        for name, column in self.sequences.items():
            values[name] = [column[start:end] for start, end in pairwise(self.ends.tolist())]
        return [dict(zip(values, window, strict=True)) for window in zip(*values.values(), strict=True)]


def _array(column: pa.ChunkedArray) -> pa.Array:
    return pa.concat_arrays(column.chunks) if column.num_chunks else pa.array([], column.type)
