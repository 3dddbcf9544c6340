"""Blocks of rows on a pool of threads: NumPy releases the GIL inside a kernel.

The blocks depend on the data alone, never on the number of threads, and results come back in
block order: whatever is added up from them is the same for any number of threads. Sums over
blocks are sums over machines too: `total` adds up both.
"""

import os
import sys
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache
from typing import TypeVar

import numpy as np

from gbobjectives._numerics import Array

B = TypeVar("B")
T = TypeVar("T")

# Most entries of a block. A NumPy call on one, 0.7 MB of float32, lasts long enough that two
# threads seldom queue for the interpreter's lock: in blocks of 32,768 they took longer than one
# thread. On larger ones the temporaries of focal loss on two threads would pass 16 MB.
BLOCK_ENTRIES = 172_032

# Below this many entries the hand-over to threads costs more than it saves.
MIN_PARALLEL_ENTRIES = 200_000

# More threads than this queue for the interpreter's lock, which NumPy takes again after each call:
# on 16 cores 16 threads took twice the time of 4. Without the lock they do not.
MAX_THREADS_UNDER_LOCK = 4

# Just below the 32 MiB up to which the C library learns.
KEPT_BYTES = 31 * 2**20

_pools: dict[int, ThreadPoolExecutor] = {}

# From the sum of the rows here to the sum of all rows, those on other machines included.
_everywhere: ContextVar[Callable[[Array], Array] | None] = ContextVar("everywhere", default=None)


# Most threads of the kernels of a training: those that its library was told to use.
_limit: ContextVar[int] = ContextVar("limit", default=sys.maxsize)

# Seconds that the caller works alone.
_patience: ContextVar[float] = ContextVar("patience", default=0.0)

# For about so long the threads of a library spin between rounds: threads of ours beside them slow
# both. On 16 cores 20 rounds took 390 ms with four of ours at once, 290 ms with none.
SPIN_SECONDS = 0.005


def _forget_pools() -> None:
    # Threads do not survive a fork; a child that kept the pools would wait for ever.
    _pools.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_pools)


@cache
def _keep_freed_memory() -> None:
    """Have the allocator reuse the temporaries of kernels instead of returning them.

    The C library of Linux fetches arrays of over 128 KiB from the system and gives them back one
    by one, and each new page costs more than the arithmetic on it: 6 ns a row for five
    operations, against 0.4. Once it has freed one array of up to 32 MiB it keeps that much.
    """
    np.empty(KEPT_BYTES, dtype=np.uint8)


def available_threads() -> int:
    """Processors this process may use, no more than OMP_NUM_THREADS where that is set."""
    affinity = getattr(os, "sched_getaffinity", None)
    n = len(affinity(0)) if affinity else (os.cpu_count() or 1)
    limit = os.environ.get("OMP_NUM_THREADS", "")
    return max(1, min(n, int(limit))) if limit.isdigit() else n


def default_threads() -> int:
    """Threads of the kernels where nobody says how many."""
    locked = getattr(sys, "_is_gil_enabled", lambda: True)()
    return min(available_threads(), MAX_THREADS_UNDER_LOCK) if locked else available_threads()


@contextmanager
def beside_library(n_threads: int, spinning: bool = True) -> Iterator[None]:
    """Within it kernels run beside a library of that many threads, on no more than these.

    Below 1 is no limit. Where the library's threads spin between rounds, ours wait for their end.
    """
    limit = _limit.set(n_threads if n_threads > 0 else sys.maxsize)
    patience = _patience.set(SPIN_SECONDS if spinning else 0.0)
    try:
        yield
    finally:
        _limit.reset(limit)
        _patience.reset(patience)


def row_blocks(n_rows: int, n_outputs: int = 1, entries: int | None = None) -> list[slice]:
    """Consecutive slices that cover the rows, each of at most `BLOCK_ENTRIES` entries.

    They come in pairs of equal size, so that two threads end together.
    """
    rows = max(1, (entries or BLOCK_ENTRIES) // n_outputs)
    if n_rows > rows:
        n_pairs = -(-n_rows // (2 * rows))
        rows = -(-n_rows // (2 * n_pairs))
    return [slice(a, min(a + rows, n_rows)) for a in range(0, n_rows, rows)]


def map_blocks(
    function: Callable[[B], T], blocks: Sequence[B], n_entries: int, n_threads: int | None = None
) -> list[T]:
    """Call `function` on every block; the results in block order.

    The caller works too, and alone at first where a library's threads may hold the processors.
    """
    _keep_freed_memory()
    if len(blocks) <= 1 or n_entries < MIN_PARALLEL_ENTRIES:
        return [function(block) for block in blocks]
    n = default_threads() if n_threads is None else n_threads
    n = min(n, len(blocks), _limit.get())
    if n <= 1:
        return [function(block) for block in blocks]
    waiting = deque(enumerate(blocks))
    results: dict[int, T] = {}
    errors: dict[int, BaseException] = {}

    def work(until: float = np.inf) -> None:
        while waiting and not errors and time.perf_counter() < until:
            try:
                i, block = waiting.popleft()
            except IndexError:
                return
            try:
                results[i] = function(block)
            except BaseException as error:
                errors[i] = error

    work(time.perf_counter() + _patience.get())
    if n not in _pools:
        _pools[n] = ThreadPoolExecutor(n - 1, thread_name_prefix="gbobjectives")
    helpers = [_pools[n].submit(work) for _ in range(min(n - 1, len(waiting)))]
    work()
    # A helper that has not begun has nothing left to do.
    for helper in helpers:
        if not helper.cancel():
            helper.result()
    if errors:
        # Blocks are begun in order: the first error is the same for any number of threads.
        raise errors[min(errors)]
    return [results[i] for i in range(len(blocks))]


def total(parts: Sequence[Array]) -> Array:
    """Sum of what the blocks gave, in their own order, over all machines that `totals` names."""
    here: Array = sum(parts[1:], parts[0])
    everywhere = _everywhere.get()
    return here if everywhere is None else everywhere(here)


@contextmanager
def totals(everywhere: Callable[[Array], Array]) -> Iterator[None]:
    """Within it a `total` is what `everywhere` makes of the sum of the rows here, a float64 array.

    Code that calls `total` does so in the thread that entered, never inside a block.
    """
    token = _everywhere.set(everywhere)
    try:
        yield
    finally:
        _everywhere.reset(token)
