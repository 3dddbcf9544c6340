"""Sums over blocks are sums over machines: two parts of a data set, with their sums added up.

Here the two are threads of one process; `test_dask` has processes.
"""

import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

import gbobjectives as gbo
from gbobjectives.parallel import total, totals
from gbobjectives.testing.samples import draw_labels, draw_scores
from tests.instances import INSTANCES

N, FIRST = 400, 90
PARTS = (slice(0, FIRST), slice(FIRST, N))

# Rows of a group lie on one machine; a loss that draws does so on each for its own rows.
ADDED_UP = [
    x
    for x in INSTANCES
    if not isinstance(x.loss, gbo.GroupLoss) and getattr(x.loss, "draw", 0) is not None
]


def together(function):
    """What the function gives for each part, run at once, each `total` the sum of both."""
    held, barrier = [None, None], threading.Barrier(2)

    def run(i):
        def everywhere(here):
            held[i] = here
            barrier.wait(timeout=10)
            added = held[0] + held[1]
            barrier.wait(timeout=10)
            return added

        with totals(everywhere):
            return function(PARTS[i])

    with ThreadPoolExecutor(2) as pool:
        return list(pool.map(run, range(2)))


def test_a_total_is_the_sum_of_the_blocks_and_of_the_machines():
    parts = [np.array([1.0, 2.0]), np.array([3.0, 4.0])]
    assert total(parts).tolist() == [4.0, 6.0]
    assert [x.tolist() for x in together(lambda _: total(parts))] == [[8.0, 12.0]] * 2
    assert total(parts).tolist() == [4.0, 6.0]


@pytest.mark.parametrize("instance", ADDED_UP, ids=lambda x: x.id)
def test_parts_have_the_derivatives_and_the_metric_of_the_whole(instance):
    rng = np.random.default_rng(5)
    y = draw_labels(instance.loss, rng, N)
    f = draw_scores(instance.loss, rng, y)
    w = rng.uniform(0.5, 1.5, N) * np.where(np.arange(N) < FIRST, 5.0, 1.0)
    objective = gbo.Objective(instance.loss)
    whole = objective.gradient_hessian(y, f, w)

    shards = objective.for_shards(y, w)
    found = together(lambda part: shards.gradient_hessian(y[part], f[part], w[part]))
    for derivative, parts in zip(whole, zip(*found, strict=True), strict=True):
        np.testing.assert_allclose(np.concatenate(parts), derivative, rtol=1e-5, atol=1e-30)

    metric = gbo.Metric(instance.loss.resolve(y, f, w))
    values = together(lambda part: metric(y[part], f[part], w[part]))
    assert values[0] == values[1]
    assert values[0] == pytest.approx(metric(y, f, w), rel=1e-12)


@pytest.mark.parametrize("name", ["rmse", "rmsle", "rmspe", "accuracy", "zero_one"])
def test_metrics_that_are_functions_of_means(name):
    rng = np.random.default_rng(6)
    y, p, w = rng.integers(0, 2, N) * 1.0, rng.random(N), rng.random(N)
    metric = gbo.Metric(name)
    values = together(lambda part: metric(y[part], p[part], w[part], given="response"))
    assert values == [pytest.approx(metric(y, p, w, given="response"), rel=1e-12)] * 2
