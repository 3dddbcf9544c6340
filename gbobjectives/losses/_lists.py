"""Groups side by side in the order of their scores: all pairs of rows, and no pair matrix."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from gbobjectives._batch import Groups
from gbobjectives._numerics import Array

# Entries of one layout of lists: its arrays stay in the cache, and a call of NumPy lasts long
# enough for two threads. Half or twice as many were no faster.
LAYOUT_ENTRIES = 32_768

# Scores of a list further apart than this have a ratio of exponentials near the end of float64.
MAX_SPREAD = 600.0

# Shortest list of a layout, as a share of the longest: less fill-up against fewer calls.
SHORTEST = 0.75

Signed: TypeAlias = Callable[[int, slice], Array]


@dataclass(frozen=True)
class Lists:
    """Groups of similar size as the columns of arrays of shape (longest, n_groups), in float64.

    Each runs from its highest score to its lowest. Shorter ones are filled up with copies of
    their last row, of weight 0. Weights are relative to the heaviest row of the list.
    """

    groups: Array
    rows: Array
    real: Array
    y: Array
    f: Array
    w: Array
    heaviest: Array

    def pairs(self, signed: Signed, n_first: int) -> Iterator[tuple[int, slice, Array, Array]]:
        """Each of the first rows of all lists, and all rows that follow it.

        Yields p, the rows q after it, the signed weight of each pair (positive where p should
        lead, negative where q should) and e^-(f_p - f_q), which is at most 1.
        """
        f = self.f
        near = bool((f[0] - f[-1]).max() < MAX_SPREAD)
        # One exponential a row in place of one a pair.
        odds = np.exp(f - f[0]) if near else f
        inverse = 1 / odds if near else f
        for p in range(min(n_first, len(f) - 1)):
            q = slice(p + 1, None)
            yield p, q, signed(p, q), odds[q] * inverse[p] if near else np.exp(f[q] - f[p])

    def inner(self, entries: Array, q: slice) -> Array:
        """Sum over the rows q of each list, weighted."""
        result: Array = np.einsum("ij,ij->j", entries, self.w[q])
        return result


def side_by_side(y: Array, f: Array, w: Array, groups: Groups) -> Iterator[Lists]:
    """All groups of more than one row, a few at a time; a row of weight 0 is in no list."""
    present = w > 0
    if present.all():
        kept, sizes = None, groups.sizes
    else:
        kept, sizes = np.flatnonzero(present), groups.sum(present.astype(np.int64))
    starts = np.cumsum(sizes) - sizes
    by_size = np.argsort(-sizes, kind="stable")
    falling = -sizes[by_size]
    first, end = 0, int(np.searchsorted(falling, -1))
    while first < end:
        longest = -int(falling[first])
        similar = int(np.searchsorted(falling, -SHORTEST * longest, side="right"))
        last = min(first + max(1, LAYOUT_ENTRIES // longest), similar, end)
        chosen = by_size[first:last]
        yield _lists(chosen, starts[chosen], sizes[chosen], kept, (y, f, w))
        first = last


def _lists(
    chosen: Array, starts: Array, sizes: Array, kept: Array | None, block: tuple[Array, ...]
) -> Lists:
    y, f, w = block
    n = int(sizes[0])
    real = np.arange(n) < sizes[:, None]
    rows = starts[:, None] + np.minimum(np.arange(n), sizes[:, None] - 1)
    rows = rows if kept is None else kept[rows]
    order = np.argsort(np.where(real, -f[rows], np.inf), axis=1)
    rows = np.take_along_axis(rows, order, axis=1)
    rows = np.where(real, rows, np.take_along_axis(rows, sizes[:, None] - 1, axis=1))
    # The longer axis is the one that runs in memory.
    if len(chosen) >= n:
        rows, real = np.ascontiguousarray(rows.T), np.ascontiguousarray(real.T)
    else:
        rows, real = rows.T, real.T
    weights = w[rows] * real.astype(np.float64)
    heaviest = weights.max(axis=0)
    y, f = y[rows].astype(np.float64), f[rows].astype(np.float64)
    return Lists(chosen, rows, real, y, f, weights / heaviest, heaviest)
