"""Blocks of rows, the threads that work on them, and who says how many there are."""

import threading
import time
from dataclasses import dataclass

import lightgbm
import numpy as np
import pytest
import xgboost

import gbobjectives as gbo
from gbobjectives.parallel import (
    BLOCK_ENTRIES,
    available_threads,
    beside_library,
    default_threads,
    map_blocks,
    row_blocks,
)


@pytest.mark.parametrize("entries", [1, 7, 100, 1000])
@pytest.mark.parametrize("n_outputs", [1, 3])
def test_blocks_cover_the_rows(entries, n_outputs):
    blocks = row_blocks(100, n_outputs, entries)
    assert np.concatenate([np.arange(100)[b] for b in blocks]).tolist() == list(range(100))
    assert all(b.stop - b.start <= max(1, entries // n_outputs) for b in blocks)


@pytest.mark.parametrize("n", [BLOCK_ENTRIES, BLOCK_ENTRIES + 1, 10**6, 4_567_891])
def test_several_blocks_are_as_many_for_each_of_two_threads(n):
    sizes = [b.stop - b.start for b in row_blocks(n)]
    assert len(sizes) == 1 or len(sizes) % 2 == 0
    assert max(sizes) <= BLOCK_ENTRIES
    assert min(sizes) > 0.99 * max(sizes)


@pytest.mark.parametrize("n_threads", [1, 2, 5, None])
def test_results_come_in_block_order(n_threads):
    got = map_blocks(lambda i: i * i, range(40), n_entries=10**6, n_threads=n_threads)
    assert got == [i * i for i in range(40)]


def test_an_error_in_a_block_surfaces():
    with pytest.raises(ZeroDivisionError):
        map_blocks(lambda i: 1 / i, [1, 0], n_entries=10**6, n_threads=2)


@pytest.mark.parametrize("n_threads", [1, 2, 5])
def test_the_first_error_in_block_order_surfaces(n_threads):
    def function(i):
        raise ValueError(f"block {i}")

    with pytest.raises(ValueError, match="block 0"):
        map_blocks(function, range(40), n_entries=10**6, n_threads=n_threads)


def test_threads_can_be_limited():
    here = threading.get_ident()
    with beside_library(1):
        used = map_blocks(lambda _: threading.get_ident(), range(40), n_entries=10**6, n_threads=4)
    assert set(used) == {here}


@dataclass(frozen=True)
class WatchedLoss(gbo.LogLoss):
    """A log loss that knows the threads it was evaluated on."""

    def _derivatives(self, y, f):
        SEEN.add(threading.get_ident())
        # Long enough for every thread to get a block.
        time.sleep(0.01)
        return super()._derivatives(y, f)


SEEN = set()


@pytest.mark.parametrize("n", [1, 2])
@pytest.mark.parametrize(
    ("train", "data_of", "name"),
    [
        (gbo.xgb.train, xgboost.DMatrix, "nthread"),
        (gbo.lgb.train, lightgbm.Dataset, "num_threads"),
    ],
)
def test_kernels_use_the_threads_that_the_library_was_given(train, data_of, name, n):
    rows = np.linspace(0, 1, 600_000, dtype=np.float32)
    params = {name: n, "verbosity": -1 if name == "num_threads" else 0}
    SEEN.clear()
    objective = gbo.Objective(WatchedLoss(), n_threads=2)
    train(params, data_of(rows.reshape(-1, 1), (rows > 0.5).astype(float)), 2, loss=objective)
    assert len(SEEN) == n


def test_threads_obey_the_environment(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    assert available_threads() == 1


@pytest.mark.parametrize(("locked", "expected"), [(True, 4), (False, 16)])
def test_more_threads_than_four_need_a_python_without_a_lock(monkeypatch, locked, expected):
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setattr("os.sched_getaffinity", lambda _: set(range(16)), raising=False)
    monkeypatch.setattr("sys._is_gil_enabled", lambda: locked, raising=False)
    assert default_threads() == expected


@pytest.mark.parametrize("name", ["huber", "dice", "quantile"])
def test_number_of_threads_changes_no_bit(name):
    rng = np.random.default_rng(0)
    y, f = rng.integers(0, 2, 200_000).astype(float), rng.normal(size=200_000)
    results = [
        gbo.Objective(gbo.get_loss(name), n_threads=n).gradient_hessian(y, f) for n in (1, 2, 3)
    ]
    for g, h in results[1:]:
        np.testing.assert_array_equal(g, results[0][0])
        np.testing.assert_array_equal(h, results[0][1])


@pytest.mark.parametrize("sizes", [[70_000], [10, 40_000, 5, 29_985], [7] * 10_000])
def test_group_pieces_hold_whole_groups(sizes):
    loss, rng = gbo.MarginRankingLoss(), np.random.default_rng(0)
    y, f = rng.integers(0, 3, 70_000), rng.normal(size=70_000)
    together = loss.gradient(y, f, group=sizes)
    ends = np.cumsum(sizes)
    for i in (0, len(sizes) - 1):
        rows = slice(ends[i] - sizes[i], ends[i])
        np.testing.assert_array_equal(together[rows], loss.gradient(y[rows], f[rows]))


def test_beside_a_library_the_caller_works_alone_at_first():
    here = threading.get_ident()

    def block(seconds):
        time.sleep(seconds)
        return threading.get_ident()

    with beside_library(2):
        quick = map_blocks(block, [0.0] * 8, n_entries=10**6, n_threads=2)
        slow = map_blocks(block, [0.02] * 8, n_entries=10**6, n_threads=2)
    assert set(quick) == {here}
    assert slow[0] == here
    assert len(set(slow)) == 2
