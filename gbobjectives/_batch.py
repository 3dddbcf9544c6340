"""One call's rows, checked: what a kernel is given."""

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from gbobjectives._numerics import Array
from gbobjectives.parallel import BLOCK_ENTRIES, row_blocks


@dataclass(frozen=True)
class Groups:
    """Consecutive groups of rows."""

    sizes: Array

    @cached_property
    def starts(self) -> Array:
        """First row of each group."""
        return np.concatenate([[0], np.cumsum(self.sizes)[:-1]])

    @cached_property
    def ids(self) -> Array:
        """Group of each row."""
        return np.repeat(np.arange(len(self.sizes)), self.sizes)

    def sum(self, rows: Array) -> Array:
        """Sum within each group, along the first axis."""
        totals: Array = np.add.reduceat(rows, self.starts, axis=0)
        return totals

    def spread(self, per_group: Array) -> Array:
        """The group's number in each of its rows."""
        return per_group[self.ids]


class Targets:
    """Labels that stay with a loss; equal if their numbers are."""

    def __init__(self, values: Array) -> None:
        self.values = np.array(values)
        self.values.setflags(write=False)

    def rows(self, numbers: Array) -> Array:
        """Labels of those rows."""
        return self.values[numbers]

    def __len__(self) -> int:
        return len(self.values)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Targets) and np.array_equal(self.values, other.values)

    def __hash__(self) -> int:
        return hash((self.values.shape, self.values.astype(np.float64).tobytes()))

    def __repr__(self) -> str:
        return f"<targets of shape {self.values.shape}>"


@dataclass(frozen=True)
class Batch:
    """Labels, raw predictions, weights and groups of the same rows.

    An ignored row has weight 0, and a label that only stands in for its own.
    """

    y: Array
    f: Array
    w: Array | None = None
    groups: Groups | None = None
    ignored: Array | None = None

    @property
    def n_rows(self) -> int:
        """Number of rows."""
        return int(self.f.shape[0])

    def rows(self, block: slice) -> tuple[Array, Array]:
        """Labels, in the dtype of the raw prediction, and raw predictions of a block.

        Of several outputs each is contiguous: loops along rows of K are slow for small K.
        """
        f = np.asarray(self.f[block], order="F")
        return self.y[block].astype(f.dtype, order="F", copy=False), f

    def weights(self, block: slice) -> Array:
        """Weights of a block, ones where there are none, in the dtype of the prediction."""
        if self.w is None:
            return np.ones(block.stop - block.start, dtype=self.f.dtype)
        return self.w[block].astype(self.f.dtype, copy=False)

    def grouped(self) -> Groups:
        """The groups; the whole batch is one group where none are given."""
        return self.groups or Groups(np.array([self.n_rows]))

    def row_pieces(self) -> list["Piece"]:
        """Blocks of rows."""
        n_outputs = self.f.shape[1] if self.f.ndim == 2 else 1
        return [Piece(block) for block in row_blocks(self.n_rows, n_outputs)]

    def group_pieces(self) -> list["Piece"]:
        """Runs of whole groups, each of about a block of rows (or one larger group)."""
        groups = self.grouped()
        ends = groups.starts + groups.sizes
        pieces, first, start = [], 0, 0
        while start < self.n_rows:
            reach = min(start + BLOCK_ENTRIES, self.n_rows)
            last = int(np.searchsorted(ends, reach))
            stop = int(ends[last])
            pieces.append(Piece(slice(start, stop), slice(first, last + 1)))
            first, start = last + 1, stop
        return pieces


@dataclass(frozen=True)
class Piece:
    """A block of rows, and the groups that it holds where it holds whole groups."""

    rows: slice
    groups: slice = field(default_factory=lambda: slice(0, 1))
