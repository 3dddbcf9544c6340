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


@dataclass(frozen=True)
class Batch:
    """Labels, raw predictions, weights and groups of the same rows."""

    y: Array
    f: Array
    w: Array | None = None
    groups: Groups | None = None

    @property
    def n_rows(self) -> int:
        """Number of rows."""
        return int(self.f.shape[0])

    def rows(self, block: slice) -> tuple[Array, Array]:
        """Labels, in the dtype of the raw prediction, and raw predictions of a block."""
        f = self.f[block]
        return self.y[block].astype(f.dtype, copy=False), f

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
