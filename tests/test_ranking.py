"""Losses of the order within a query: pairs, lists, ties, weights, curvature, draws."""

import itertools
import tracemalloc

import numpy as np
import pytest
from sklearn.metrics import ndcg_score

import gbobjectives as gbo
from gbobjectives._batch import Groups
from gbobjectives.testing import leaf_steps

PAIRWISE, NDCG = gbo.PairwiseLogisticLoss(), gbo.LambdaNDCGLoss()
LISTNET, XENDCG = gbo.ListNetLoss(), gbo.XENDCGLoss(draw=5)
EVERY = pytest.mark.parametrize("loss", [PAIRWISE, NDCG, LISTNET, XENDCG], ids=lambda x: x.name)

RNG = np.random.default_rng(2)
SIZES = np.array([1, 2, 40, 3, 3, 17, 5, 1, 9])
N = int(SIZES.sum())
GRADES = RNG.integers(0, 4, N).astype(float)
SCORES = RNG.normal(size=N)
WEIGHTS = RNG.uniform(0.5, 2.0, N)
ENDS = np.cumsum(SIZES)
QUERIES = [slice(b - a, b) for a, b in zip(SIZES, ENDS, strict=True)]


def discounts(n: int, k: int | None) -> np.ndarray:
    d = 1 / np.log2(np.arange(n) + 2)
    d[n if k is None else k :] = 0
    return d


def ideal(y, k=None):
    best: float = (np.sort(2**y - 1)[::-1] * discounts(len(y), k)).sum()
    return best if best > 0 else 1.0


def naive(y, f, w, change=None):
    """Sum over pairs and its gradient, pair by pair; with the weight of all pairs."""
    total, mass, gradient = 0.0, 0.0, np.zeros(len(y))
    for i, j in itertools.permutations(range(len(y)), 2):
        if y[i] > y[j]:
            c = w[i] * w[j] * (1.0 if change is None else change[i, j])
            total += c * np.logaddexp(0, f[j] - f[i])
            # Without warnings of overflow.
            pull = c * np.exp(-np.logaddexp(0, f[i] - f[j]))
            gradient[i] -= pull
            gradient[j] += pull
            mass += c
    return total, gradient, mass


def changes(y, f, k=None):
    """|Delta NDCG@k| of every pair, for scores without ties."""
    d = np.zeros(len(y))
    d[np.argsort(-f)] = discounts(len(y), k)
    return np.abs(np.subtract.outer(2**y, 2**y) * np.subtract.outer(d, d)) / ideal(y, k)


# ---- values ------------------------------------------------------------------------------------


@pytest.mark.parametrize("spread", [1.0, 20.0, 2000.0], ids="spread {:g}".format)
@pytest.mark.parametrize("weighted", [False, True], ids=["plain", "weighted"])
def test_pairwise_logistic_is_the_mean_over_pairs(spread, weighted):
    f, w = spread * SCORES, WEIGHTS if weighted else np.ones(N)
    value = PAIRWISE.value(GRADES, f, w, SIZES)
    gradient = PAIRWISE.gradient(GRADES, f, w, SIZES)
    for i, q in enumerate(QUERIES):
        total, g, mass = naive(GRADES[q], f[q], w[q])
        assert value[i] == pytest.approx(total / max(mass, 1e-300), rel=1e-12)
        np.testing.assert_allclose(gradient[q], g / max(mass, 1e-300), rtol=1e-10, atol=1e-15)


@pytest.mark.parametrize("k", [None, 1, 3, 100])
@pytest.mark.parametrize("spread", [1.0, 2000.0], ids="spread {:g}".format)
def test_lambda_ndcg_is_the_sum_over_pairs(spread, k):
    loss, f = gbo.LambdaNDCGLoss(truncation=k), spread * SCORES
    value = loss.value(GRADES, f, WEIGHTS, SIZES)
    gradient = loss.gradient(GRADES, f, WEIGHTS, SIZES)
    for i, q in enumerate(QUERIES):
        w = WEIGHTS[q] / WEIGHTS[q].mean()
        total, g, _ = naive(GRADES[q], f[q], w, changes(GRADES[q], f[q], k))
        assert value[i] == pytest.approx(total / len(w), rel=1e-12)
        np.testing.assert_allclose(gradient[q], g / len(w), rtol=1e-10, atol=1e-15)


@pytest.mark.parametrize("margin", [0.5, 1.0])
@pytest.mark.parametrize("decimals", [0, 9], ids=["ties", "no ties"])
def test_margin_ranking_is_the_mean_over_pairs(margin, decimals):
    # Rounded scores have leads of exactly a margin, which are inactive.
    loss, f = gbo.MarginRankingLoss(margin), (3 * SCORES).round(decimals)
    value = loss.value(GRADES, f, WEIGHTS, SIZES)
    gradient = loss.gradient(GRADES, f, WEIGHTS, SIZES)
    for i, q in enumerate(QUERIES):
        pair = np.less.outer(GRADES[q], GRADES[q]).T * np.outer(WEIGHTS[q], WEIGHTS[q])
        gap = margin - np.subtract.outer(f[q], f[q])
        mass = max(pair.sum(), 1e-300)
        active = pair * (gap > 0) / mass
        assert value[i] == pytest.approx((active * gap).sum(), rel=1e-12)
        want = active.sum(axis=0) - active.sum(axis=1)
        np.testing.assert_allclose(gradient[q], want, rtol=1e-10, atol=1e-15)


def test_groups_of_many_sizes_are_those_groups_alone():
    rng = np.random.default_rng(4)
    sizes = np.concatenate([[9000], rng.integers(1, 80, 900)])
    y, f = rng.integers(0, 3, sizes.sum()), rng.normal(size=sizes.sum())
    loss = gbo.LambdaNDCGLoss(truncation=5)
    value, gradient = loss.value(y, f, None, sizes), loss.gradient(y, f, None, sizes)
    start = np.cumsum(sizes) - sizes
    for i in (0, 1, 77, 899, 900):
        q = slice(start[i], start[i] + sizes[i])
        assert value[i] == pytest.approx(loss.value(y[q], f[q])[0], rel=1e-12)
        np.testing.assert_allclose(gradient[q], loss.gradient(y[q], f[q]), rtol=1e-12, atol=1e-16)


def test_two_rows_are_the_logistic_loss_of_their_difference():
    f = np.array([0.3, -1.1])
    log_loss = gbo.LogLoss()
    assert PAIRWISE([1, 0], f) == pytest.approx(log_loss([1], [1.4]), rel=1e-14)
    g, h = PAIRWISE.gradient([1, 0], f), PAIRWISE.hessian([1, 0], f)
    np.testing.assert_allclose(g, log_loss.gradient([1], [1.4]) * [1, -1], rtol=1e-14)
    np.testing.assert_allclose(h, log_loss.hessian([1], [1.4]) * [1, 1], rtol=1e-14)


def test_list_net_is_the_cross_entropy_less_its_minimum():
    y, f = np.array([2.0, 0.0, 1.0]), np.array([0.5, 0.0, -1.0])
    t, p = (np.exp(x) / np.exp(x).sum() for x in (y, f))
    assert LISTNET(y, f) == pytest.approx(-(t * np.log(p)).sum() + (t * np.log(t)).sum())
    np.testing.assert_allclose(LISTNET.gradient(y, f), p - t, rtol=1e-13)
    assert LISTNET(y, y + 7) == pytest.approx(0, abs=1e-15)


@EVERY
def test_only_differences_of_scores_matter(loss):
    f = SCORES.round(3)
    shifted = f + np.repeat(2.0 ** np.arange(len(SIZES)), SIZES)
    for what in ("gradient", "hessian", "curvature"):
        got = getattr(loss, what)(GRADES, shifted, group=SIZES)
        np.testing.assert_allclose(got, getattr(loss, what)(GRADES, f, group=SIZES), rtol=1e-9)


def test_the_best_shares_of_a_row_that_has_nearly_all():
    # 1 - p is 1e-40 there.
    h = LISTNET.hessian([1.0, 0.0, 0.0], [np.log(1e40), 0.0, 0.0])
    np.testing.assert_allclose(h, [2e-40, 1e-40, 1e-40], rtol=1e-12)


# ---- degenerate groups -------------------------------------------------------------------------


@EVERY
def test_a_group_of_one_row_asks_for_nothing(loss):
    y, f, sizes = [3.0, 1.0, 0.0], [-4.0, 0.0, 1.0], [1, 2]
    assert loss.value(y, f, None, sizes)[0] == 0
    assert loss.gradient(y, f, None, sizes)[0] == 0
    g, h = gbo.Objective(loss).gradient_hessian(y, f, None, sizes)
    assert g[0] == 0
    assert h[0] > 0
    assert loss.metric_value(y[:1], f[:1]) == 0


@pytest.mark.parametrize("loss", [PAIRWISE, NDCG], ids=lambda x: x.name)
@pytest.mark.parametrize("label", [0.0, 2.0])
def test_equal_labels_have_no_pairs(loss, label):
    y, f = np.full(5, label), SCORES[:5]
    assert loss(y, f) == 0
    assert loss.metric_value(y, f) == 0
    g, h = gbo.Objective(loss).gradient_hessian(y, f)
    assert not g.any()
    assert 0 < h.max() < 1e-30


@EVERY
def test_a_row_of_weight_0_is_absent_and_takes_no_place(loss):
    w = WEIGHTS * (RNG.random(N) < 0.6)
    w[ENDS - 1] = 1.0
    # A whole query as well.
    w[QUERIES[2]] = 0
    kept = w > 0
    sizes = np.add.reduceat(kept.astype(int), ENDS - SIZES)
    f = np.where(kept, SCORES, 1e30)
    got = gbo.Objective(loss, "safe").gradient_hessian(GRADES, f, w, SIZES)
    want = gbo.Objective(loss, "safe").gradient_hessian(
        GRADES[kept], f[kept], w[kept], sizes[sizes > 0]
    )
    for a, b in zip(got, want, strict=True):
        assert not a[~kept].any()
        np.testing.assert_allclose(a[kept], b, rtol=1e-6)
    for mean in (loss, loss.metric_value):
        alone = mean(GRADES[kept], f[kept], w[kept], sizes[sizes > 0])
        assert mean(GRADES, f, w, SIZES) == pytest.approx(alone, rel=1e-12)


@EVERY
def test_a_query_of_weight_k_is_the_query_k_times(loss):
    times = np.array([1, 2, 3, 1, 1, 2, 1, 1, 3])
    rows = np.concatenate(
        [np.arange(N)[q] for q, k in zip(QUERIES, times, strict=True) for _ in range(k)]
    )
    w = np.repeat(times, SIZES)
    assert loss(GRADES, SCORES, w, SIZES) == pytest.approx(
        loss(GRADES[rows], SCORES[rows], None, np.repeat(SIZES, times)), rel=1e-12
    )


@EVERY
@pytest.mark.parametrize("heavy", [1e-20, 1e20])
def test_weights_of_any_size(loss, heavy):
    w = np.repeat(np.where(np.arange(len(SIZES)) % 2, heavy, 1.0), SIZES)
    want = loss.value(GRADES, SCORES, None, SIZES)
    np.testing.assert_allclose(loss.value(GRADES, SCORES, w, SIZES), want, rtol=1e-10, atol=1e-15)


# ---- ties --------------------------------------------------------------------------------------

TIED = np.array([2.0, 2.0, 1.0, 1.0, 1.0, 0.0, -1.0])
TIED_GRADES = np.array([0.0, 3.0, 1.0, 1.0, 2.0, 0.0, 3.0])


def orders(f):
    """Scores without ties, for every order of those that are tied."""
    for order in itertools.permutations(range(len(f))):
        if (np.diff(f[list(order)]) <= 0).all():
            untied = np.empty(len(f))
            untied[list(order)] = -np.arange(len(f))
            yield untied


@pytest.mark.parametrize("k", [None, 1, 2, 4])
def test_tied_rows_share_their_places(k):
    loss = gbo.LambdaNDCGLoss(truncation=k)
    every = list(orders(TIED))
    assert len(every) == 12
    lost = [loss.metric_value(TIED_GRADES, f) for f in every]
    assert loss.metric_value(TIED_GRADES, TIED) == pytest.approx(np.mean(lost), rel=1e-12)
    change = np.mean([changes(TIED_GRADES, f, k) for f in every], axis=0)
    total, gradient, _ = naive(TIED_GRADES, TIED, np.ones(7), change)
    assert loss(TIED_GRADES, TIED) == pytest.approx(total / 7, rel=1e-12)
    np.testing.assert_allclose(loss.gradient(TIED_GRADES, TIED), gradient / 7, rtol=1e-11)


@EVERY
def test_tied_rows_in_any_order(loss):
    order = RNG.permutation(7)
    for what in ("gradient", "hessian", "curvature"):
        want = getattr(loss, what)(TIED_GRADES, TIED)[order]
        got = getattr(loss, what)(TIED_GRADES[order], TIED[order])
        np.testing.assert_allclose(got, want, rtol=1e-12)


@pytest.mark.parametrize("k", [None, 1, 3, 10])
@pytest.mark.parametrize("decimals", [0, 9], ids=["ties", "no ties"])
def test_the_metric_is_one_less_ndcg(k, decimals):
    loss, f = gbo.LambdaNDCGLoss(truncation=k), SCORES.round(decimals)
    for q in (q for q in QUERIES if q.stop - q.start > 1 and GRADES[q].any()):
        want = 1 - ndcg_score([2 ** GRADES[q] - 1], [f[q]], k=k)
        assert loss.metric_value(GRADES[q], f[q]) == pytest.approx(want, abs=1e-12)


# ---- curvature ---------------------------------------------------------------------------------


def test_the_proved_curvature_is_the_smallest_of_its_kind():
    # Two leaves, the first rows and the second rows of 17 pairs that lead by 30: nine ask the
    # first leaf to rise, eight the second.
    y = np.array([1.0, 0.0] * 9 + [0.0, 1.0] * 8)
    f = np.array([0.0, -30.0] * 9 + [0.0, 30.0] * 8)
    sizes, leaf = np.full(17, 2), np.tile([0, 1], 17)
    g, h = PAIRWISE.gradient(y, f, None, sizes), PAIRWISE.curvature(y, f, "safe", None, sizes)
    step = -np.bincount(leaf, g) / np.bincount(leaf, h)
    before, after, beyond = (
        PAIRWISE.value(y, f + c * step[leaf], None, sizes).sum() for c in (0.0, 1.0, 1.01)
    )
    assert after < before < beyond


def test_lambda_ndcg_descends_while_the_order_stays():
    rng = np.random.default_rng(6)
    for _ in range(300):
        n = int(rng.integers(2, 30))
        y, f = rng.integers(0, 5, n), 2.5 * rng.permutation(n) * rng.choice([1, -1])
        leaf = rng.integers(0, rng.integers(1, 6), n)
        g, h = NDCG.gradient(y, f), NDCG.curvature(y, f, "safe")
        step = -np.bincount(leaf, g) / np.maximum(np.bincount(leaf, h), 1e-300)
        moved = f + step[leaf]
        assert (np.argsort(moved) == np.argsort(f)).all()
        assert NDCG(y, moved) <= NDCG(y, f) * (1 + 1e-9) + 1e-14


def test_what_is_not_proved_of_pairs_is_counted():
    grades = np.arange(5.0)
    counts = {
        rule: leaf_steps(PAIRWISE, rule, 2000, eta=1.0, reg_lambda=0.0, y_true=grades)
        for rule in ("safe", "auto", "gershgorin", "exact")
    }
    assert counts["safe"] == counts["auto"] == 0
    assert 0 < counts["gershgorin"] < counts["exact"]


# ---- draws -------------------------------------------------------------------------------------


def test_each_round_has_its_own_draw_and_each_run_the_same():
    loss = gbo.XENDCGLoss(seed=1)
    assert not loss.resolved
    here, there = loss.resolve(GRADES, SCORES), loss.resolve(GRADES, SCORES + 0.25)
    assert here == loss.resolve(GRADES, SCORES)
    assert here.draw != there.draw
    assert here.draw != gbo.XENDCGLoss(seed=2).resolve(GRADES, SCORES).draw
    g = gbo.Objective(loss).gradient_hessian(GRADES, SCORES, None, SIZES)[0]
    again = gbo.Objective(here).gradient_hessian(GRADES, SCORES, None, SIZES)[0]
    np.testing.assert_array_equal(g, again)


def test_noise_is_uniform_and_differs_between_queries_and_labels():
    sizes = np.full(2000, 3)
    groups = Groups(sizes)
    y = np.stack([np.arange(2000) / 100, np.zeros(2000), np.ones(2000)], axis=1).ravel()
    noise = XENDCG._noise(y, np.ones(len(y)), groups)
    assert 0 <= noise.min() < noise.max() < 1
    assert np.histogram(noise, 10)[0] == pytest.approx(np.full(10, 600), rel=0.2)
    assert len(np.unique(noise)) > 5900


def test_targets_tend_to_the_gain_as_labels_grow():
    # 2^y - gamma is 2^y (1 - gamma 2^-y).
    y, f = np.array([30.0, 28.0, 29.0]), np.zeros(3)
    share = 2**y / (2**y).sum()
    np.testing.assert_allclose(XENDCG.gradient(y, f), 1 / 3 - share, rtol=1e-7)


# ---- input -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: gbo.LambdaNDCGLoss(truncation=0), "truncation must be an integer of at least 1"),
        (lambda: gbo.LambdaNDCGLoss(truncation=2.5), "truncation must be an integer of at least"),
        (lambda: gbo.XENDCGLoss(seed=-1), "seed must be an integer of at least 0; got -1"),
        (lambda: NDCG([32.0, 0.0], [0.0, 1.0]), r"y_true must lie in \[0, 31\]; got 32 at row 0"),
        (lambda: XENDCG([-1.0, 0.0], [0.0, 1.0]), r"y_true must lie in \[0, 31\]; got -1"),
    ],
)
def test_what_is_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()


@pytest.mark.parametrize("loss", [PAIRWISE, LISTNET, gbo.LambdaNDCGLoss(truncation=10)], ids=str)
def test_a_large_group_needs_no_pair_matrix(loss):
    n = 6000
    y, f = RNG.integers(0, 5, n), RNG.normal(size=n)
    tracemalloc.start()
    gbo.Objective(loss).gradient_hessian(y, f)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    # 40 arrays of n numbers; a matrix of pairs would be 6000.
    assert peak < 40 * 8 * n
