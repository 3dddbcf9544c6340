"""Several quantiles in one model: each column is its own loss, or the row is kept in order."""

import itertools

import numpy as np
import pytest
import xgboost
from numpy.testing import assert_allclose, assert_array_equal
from scipy.optimize import minimize_scalar

import gbobjectives as gbo
from gbobjectives.losses.residual import AutoDelta
from tests.boosting import (
    LGB,
    REAL,
    WEIGHT,
    XGB,
    N,
    X,
    both_libraries,
    dataset,
    distance,
    dmatrix,
    lgb_log,
    raw,
    response,
    train_xgb,
    xgb_log,
)

LEVELS = (0.1, 0.5, 0.9)
RNG = np.random.default_rng(17)
Y = RNG.normal(size=300)
# A third of the rows or so cross.
F = 0.6 * RNG.normal(size=(300, 3)) + [-1.0, 0.0, 1.0]
W = RNG.uniform(0, 2, 300)


# ---- parameters ----------------------------------------------------------------------------


def test_levels_are_outputs():
    loss = gbo.QuantileLoss([0.1, 0.5, 0.9])
    assert loss.quantile == LEVELS
    assert loss.n_outputs == 3
    assert loss.value(Y, F).shape == (300,)
    assert loss.gradient(Y, F).shape == (300, 3)
    assert gbo.get_loss("pinball", quantile=np.array(LEVELS)) == loss
    assert repr(loss) == "QuantileLoss(quantile=(0.1, 0.5, 0.9))"


def test_a_sequence_of_one_level_is_that_level():
    assert gbo.QuantileLoss([0.3]) == gbo.QuantileLoss(0.3)
    assert gbo.QuantileLoss([0.3], delta=0.5).gradient(Y, F[:, 0]).shape == (300,)


def test_one_level_is_always_in_order():
    plain, ordered = gbo.QuantileLoss(0.3), gbo.QuantileLoss(0.3, ordered=True)
    assert ordered.link.name == "identity"
    assert ordered.convex
    assert_array_equal(ordered.gradient(Y, F[:, 0]), plain.gradient(Y, F[:, 0]))


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"quantile": 1.0}, r"quantile must be a number in \(0, 1\); got 1.0"),
        ({"quantile": "half"}, r"quantile must be a number in \(0, 1\); got 'half'"),
        ({"quantile": [0.1, 1.5]}, r"quantile\[1\] must be a number in \(0, 1\); got 1.5"),
        ({"quantile": [0.5, 0.1]}, r"strictly increasing; got \(0.5, 0.1\)"),
        ({"quantile": [0.5, 0.5]}, r"strictly increasing; got \(0.5, 0.5\)"),
        ({"quantile": []}, r"quantile must be a sequence of numbers; got \[\]"),
        ({"quantile": [[0.1, 0.2]]}, r"quantile must be a sequence of numbers; got \[\["),
        ({"quantile": LEVELS, "delta": 0.0}, r"delta must be a number in .*; got 0.0"),
        ({"quantile": LEVELS, "delta": (1.0, 2.0)}, r"delta must hold 3 numbers; got 2"),
        ({"quantile": LEVELS, "delta": (1.0, 2.0, -1.0)}, r"delta\[2\] must be a number in"),
        ({"quantile": 0.5, "delta": (1.0,)}, r"delta must be a number in .*; got \(1.0,\)"),
        (
            {"quantile": LEVELS, "delta": (1.0, 1.0, 1.0), "ordered": True},
            r"delta must be one number where outputs are ordered; got \(1.0, 1.0, 1.0\)",
        ),
        ({"quantile": LEVELS, "ordered": 1}, r"ordered must be True or False; got 1"),
    ],
)
def test_bad_parameters(parameters, message):
    with pytest.raises(ValueError, match=rf"^QuantileLoss: .*{message}"):
        gbo.QuantileLoss(**parameters)


def test_raw_predictions_have_a_column_a_level():
    with pytest.raises(ValueError, match=r"raw_prediction must have shape \(n, 3\); got \(300,\)"):
        gbo.QuantileLoss(LEVELS).value(Y, F[:, 0])


# ---- each column is the loss of its level --------------------------------------------------


@pytest.mark.parametrize("weight", [None, W], ids=["plain", "weighted"])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("delta", ["auto", 0.3, (0.2, 0.5, 1.0)], ids=str)
def test_a_column_is_the_loss_of_its_level_bit_for_bit(delta, dtype, weight):
    loss, f = gbo.QuantileLoss(LEVELS, delta=delta), F.astype(dtype)
    deltas = delta if isinstance(delta, tuple) else (delta,) * 3
    total = 0.0
    for k, q in enumerate(LEVELS):
        alone, column = gbo.QuantileLoss(q, delta=deltas[k]), np.ascontiguousarray(f[:, k])
        for what in ("gradient", "hessian", "curvature"):
            several, single = getattr(loss, what), getattr(alone, what)
            got = several(Y, f, sample_weight=weight)[:, k]
            assert_array_equal(got, single(Y, column, sample_weight=weight))
        total = total + alone.value(Y, column, weight)
    assert_allclose(loss.value(Y, f, weight), total, rtol=1e-12 if dtype is np.float64 else 1e-6)


def test_auto_delta_is_one_number_for_each_output():
    resolved = gbo.QuantileLoss(LEVELS).resolve(Y, F, W)
    alone = [gbo.QuantileLoss(q).resolve(Y, F[:, k], W).delta for k, q in enumerate(LEVELS)]
    assert resolved.delta == tuple(alone)
    assert resolved.resolved


def test_auto_delta_has_its_floor_in_each_output():
    fitted = np.stack([Y, Y, Y + 100], axis=1)
    floor, same, large = gbo.QuantileLoss(LEVELS).resolve(Y, fitted).delta
    assert floor == same == gbo.QuantileLoss(0.5).resolve(Y, Y).delta > 0
    assert large > 10


def test_metric_is_the_mean_pinball_loss():
    single = [gbo.QuantileLoss(q).metric_value(Y, F[:, k], W) for k, q in enumerate(LEVELS)]
    assert gbo.QuantileLoss(LEVELS).metric_value(Y, F, W) == pytest.approx(np.mean(single))


@pytest.mark.parametrize("ordered", [False, True])
def test_intercept_is_the_exact_weighted_quantile_of_each_level(ordered):
    found = gbo.QuantileLoss(LEVELS, ordered=ordered).intercept(Y, W)
    assert_array_equal(found, [gbo.QuantileLoss(q).intercept(Y, W)[0] for q in LEVELS])


# ---- ordered -------------------------------------------------------------------------------

ORDERED = gbo.QuantileLoss(LEVELS, delta=0.4, ordered=True)
FREE = gbo.QuantileLoss(LEVELS, delta=0.4)


def test_ordered_predictions_never_cross():
    assert (np.diff(F, axis=1) < 0).any(axis=1).mean() > 0.2
    assert_array_equal(ORDERED.predict(F), np.sort(F, axis=1))
    assert ORDERED.link.name == "sorted"
    assert not ORDERED.convex


def test_ordered_is_the_loss_of_the_sorted_row():
    order = F.argsort(axis=1)
    in_order = np.take_along_axis(F, order, axis=1)
    assert_allclose(ORDERED.value(Y, F), FREE.value(Y, in_order), rtol=1e-12)
    for what in ("gradient", "hessian", "curvature"):
        got = np.take_along_axis(getattr(ORDERED, what)(Y, F), order, axis=1)
        assert_array_equal(got, getattr(FREE, what)(Y, in_order))


def test_ordered_is_the_least_over_all_orders():
    orders = [list(order) for order in itertools.permutations(range(3))]
    least = np.min([FREE.value(Y, F[:, order]) for order in orders], axis=0)
    assert_allclose(ORDERED.value(Y, F), least, rtol=1e-12)


def test_sorting_never_raises_the_pinball_loss():
    for rows in np.split(np.arange(300), 100):
        assert ORDERED.metric_value(Y[rows], F[rows]) <= FREE.metric_value(Y[rows], F[rows]) + 1e-15
    assert ORDERED.metric_value(Y, F) < 0.99 * FREE.metric_value(Y, F)
    assert ORDERED.metric_value(Y, F) == pytest.approx(FREE.metric_value(Y, np.sort(F, axis=1)))


def test_auto_delta_of_ordered_outputs_is_that_of_all_residuals():
    together = gbo.QuantileLoss(0.5).resolve(np.repeat(Y, 3), F.ravel(), np.repeat(W, 3))
    resolved = gbo.QuantileLoss(LEVELS, ordered=True).resolve(Y, F, W)
    assert resolved.delta == pytest.approx(together.delta, rel=1e-12)
    # of the responses alone, whichever output they come from
    mixed = np.random.default_rng(0).permuted(F, axis=1)
    again = gbo.QuantileLoss(LEVELS, ordered=True).resolve(Y, mixed, W)
    assert again.delta == pytest.approx(resolved.delta, rel=1e-12)


def test_auto_delta_is_held_to_what_suits_the_narrow_side():
    at_or_below, above = [-1.0, -9.0, 0.0], [81.0, 196.0, 169.0]  # mean roots 4/3 and 12
    y = np.array(at_or_below + above)
    assert ((4 / 3 + 12) / 2) ** 2 > 2 * 4 / 3 * 12
    delta = gbo.QuantileLoss(0.3).resolve(y, np.zeros(6)).delta
    assert delta == pytest.approx(0.2 * 2 * 4 / 3 * 12)
    # A row counts as often as its weight says.
    weighted = gbo.QuantileLoss(0.3).resolve(y[:5], np.zeros(5), [1.0, 3.0, 1.0, 1.0, 1.0]).delta
    repeated = gbo.QuantileLoss(0.3).resolve(y[[0, 1, 1, 1, 2, 3, 4]], np.zeros(7)).delta
    assert weighted == pytest.approx(repeated)


@pytest.mark.parametrize("y", [[1.0, 9.0], [-1.0, -9.0], [-1.0, 9.0], [-4.0, 4.0]])
def test_auto_delta_is_of_all_residuals_where_no_side_is_narrow(y):
    delta = gbo.QuantileLoss(0.3).resolve(y, np.zeros(2)).delta
    assert delta == pytest.approx(0.2 * np.sqrt(np.abs(y)).mean() ** 2)


def test_auto_delta_keeps_a_low_quantile_of_amounts_where_it_is():
    y = np.random.default_rng(0).lognormal(sigma=1.5, size=4000)
    loss = gbo.QuantileLoss(0.05)
    start = np.full_like(y, loss.intercept(y)[0])
    smoothed = loss.resolve(y, start)
    wide = gbo.QuantileLoss(0.05, delta=0.2 * np.sqrt(np.abs(y - start)).mean() ** 2)

    def below(loss):
        """Share of the labels below its best constant."""
        best = minimize_scalar(lambda f: loss(y, np.full_like(y, f)), bounds=(-9, 1)).x
        return (y < best).mean()

    assert below(wide) == 0
    assert 0.035 < below(smoothed) < 0.05


def test_a_kink_is_where_outputs_meet():
    y, f, step = np.zeros(1), np.array([[0.2, 0.2, 0.7]]), 1e-7 * np.array([[1.0, 0.0, 0.0]])
    met = np.stack(ORDERED.kinks(y, f))
    assert (met[:, 0, 0] == 0.2).any()
    below, at, above = (ORDERED.value(y, f + t)[0] for t in (-step, 0, step))
    assert above - at < at - below  # concave
    assert FREE.kinks(y, f) == ()


@pytest.mark.parametrize("rule", ["safe", "auto", "unit"])
@pytest.mark.parametrize("levels", [(0.3, 0.7), LEVELS, (0.05, 0.2, 0.5, 0.8, 0.99)], ids=len)
def test_all_outputs_at_once_do_not_raise_the_ordered_loss(levels, rule):
    k = len(levels)
    rng = np.random.default_rng(k)
    for _ in range(300):
        n, delta = int(rng.integers(2, 40)), 10 ** rng.uniform(-2, 2)
        loss = gbo.QuantileLoss(levels, delta=delta, ordered=True)
        y, w = rng.normal(size=n), rng.exponential(size=n)
        f = rng.normal(size=(n, k)) * 10 ** rng.uniform(-2, 2)
        g, h = loss.gradient(y, f), loss.curvature(y, f, rule)
        moved = f.copy()
        for output in range(k):
            # The leaves of each output's tree are a partition of their own.
            leaf = rng.integers(0, rng.integers(1, 6), n)
            pull, weight = (np.bincount(leaf, w * x[:, output]) for x in (g, h))
            moved[:, output] -= (pull / np.maximum(weight, 1e-300))[leaf]
        assert loss(y, moved, w) <= loss(y, f, w) * (1 + 1e-9)


def test_no_single_constant_improves_the_intercept_of_an_offset_that_crosses():
    y, w, offset = Y[:60], W[:60], F[:60]
    best = ORDERED.intercept(y, w, offset)
    score = ORDERED.metric_value(y, offset + best, w)
    assert score < ORDERED.metric_value(y, offset + FREE.intercept(y, w, offset), w)
    for k in range(3):
        # A piecewise linear function is least where a label is met.
        for constant in y - offset[:, k]:
            other = np.where(np.arange(3) == k, constant, best)
            assert ORDERED.metric_value(y, offset + other, w) >= score - 1e-12


# XGBoost sorts the outputs of its own quantile objective.
XGBOOST_SORTS = tuple(map(int, xgboost.__version__.split(".")[:2])) >= (3, 4)

# ---- training ------------------------------------------------------------------------------


@both_libraries
@pytest.mark.parametrize("weight", [None, WEIGHT], ids=["plain", "weighted"])
@pytest.mark.parametrize("delta", ["auto", 0.3])
def test_one_model_of_three_levels_is_three_models(train, data, adapters, delta, weight):
    model = train(gbo.QuantileLoss(LEVELS, delta=delta), REAL, weight, rounds=20)
    alone = [train(gbo.QuantileLoss(q, delta=delta), REAL, weight, rounds=20) for q in LEVELS]
    got, want = response(model), np.stack([response(m) for m in alone], axis=1)
    assert got.shape == (N, 3)
    assert_allclose(got, want, atol=1e-5)


@both_libraries
def test_an_ordered_model_predicts_sorted_columns_or_says_that_it_does_not(train, data, adapters):
    loss = gbo.QuantileLoss(LEVELS, ordered=True)
    if adapters is gbo.xgb and XGBOOST_SORTS:
        model = train(loss, REAL, rounds=20)
        assert_array_equal(response(model), loss.predict(raw(model)))
    else:
        message = r"link 'sorted'.*predicts raw scores; gbobjectives.predict\(model, data\)"
        with pytest.warns(UserWarning, match=message):
            model = train(loss, REAL, rounds=20)
        assert_array_equal(response(model), raw(model))
    quantiles = loss.predict(raw(model))
    assert (np.diff(quantiles, axis=1) >= 0).all()
    constant = np.broadcast_to(loss.intercept(REAL), (N, 3))
    assert loss.metric_value(REAL, raw(model)) < 0.6 * loss.metric_value(REAL, constant)
    assert_allclose((REAL[:, None] < quantiles).mean(axis=0), LEVELS, atol=0.1)


@pytest.mark.filterwarnings("ignore:.*has no objective with the link 'sorted'")
@pytest.mark.parametrize("log", [xgb_log, lgb_log], ids=["xgboost", "lightgbm"])
@pytest.mark.parametrize("ordered", [False, True])
def test_the_logged_metric_is_the_mean_pinball_loss_of_the_response(log, ordered):
    loss = gbo.QuantileLoss(LEVELS, ordered=ordered)
    model, history = log(loss, REAL, rounds=8)
    rows = slice(400, N)
    want = loss.metric_value(REAL[rows], raw(model, rows))
    assert history["pinball"][-1] == pytest.approx(want, abs=1e-6)


@pytest.mark.filterwarnings("ignore:.*has no objective with the link 'sorted'")
def test_the_ordered_loss_falls_in_every_round():
    loss = gbo.QuantileLoss([0.4, 0.5, 0.6], delta=0.1, ordered=True)
    objective = gbo.Objective(loss, "safe")
    hardest = {"eta": 1.0, "lambda": 0.0, "max_depth": 4, "min_child_weight": 0.0}
    model = gbo.xgb.train(XGB | hardest, dmatrix(REAL), 15, loss=objective)
    d = xgboost.DMatrix(X)
    rounds = [model[:k].predict(d, output_margin=True) for k in range(1, 16)]
    assert any((np.diff(f, axis=1) < 0).any() for f in rounds)
    losses = [loss(REAL, f) for f in rounds]
    assert (np.diff(losses) <= 1e-6 * losses[0]).all()
    hardest = {"learning_rate": 1.0, "lambda_l2": 0.0, "min_sum_hessian_in_leaf": 1e-9}
    model = gbo.lgb.train(LGB | hardest, dataset(REAL), 15, loss=objective)
    losses = [loss(REAL, model.predict(X, num_iteration=k)) for k in range(1, 16)]
    assert (np.diff(losses) <= 1e-6 * losses[0]).all()


# ---- parity with XGBoost from 3.4 ----------------------------------------------------------


def _has_expectiles() -> bool:
    """Whether quantiles are smooth in this XGBoost: that came with reg:expectileerror."""
    try:
        params = {"objective": "reg:expectileerror", "expectile_alpha": 0.5}
        xgboost.train(params, dmatrix(REAL), 1)
    except xgboost.core.XGBoostError:
        return False
    return True


smooth_quantiles = pytest.mark.skipif(not _has_expectiles(), reason="XGBoost before 3.4")


def _built_in(name, weight, rounds, start, **params):
    params |= {"objective": name, "base_score": start.tolist() if len(start) > 1 else start[0]}
    return xgboost.train(XGB | params, dmatrix(REAL, weight), rounds)


@smooth_quantiles
@pytest.mark.parametrize("weight", [None, WEIGHT], ids=["plain", "weighted"])
@pytest.mark.parametrize("quantile", [0.1, 0.5, 0.9, LEVELS], ids=str)
def test_parity_with_reg_quantileerror(monkeypatch, quantile, weight):
    # Its width, and what it divides gradient and curvature by.
    monkeypatch.setattr(gbo.QuantileLoss, "auto_delta", AutoDelta("root", 0.04))
    loss = gbo.QuantileLoss(quantile)
    ours = train_xgb(gbo.Objective(loss, "safe", scale=2 * 0.04), REAL, weight, rounds=50)
    start = loss.intercept(REAL, weight)
    theirs = _built_in("reg:quantileerror", weight, 50, start, quantile_alpha=quantile)
    # It sorts the response of a row; the raw predictions are columns, as ours.
    assert distance(raw(ours), raw(theirs)) < 1e-5
    if loss.n_outputs > 1:
        assert_allclose(np.sort(response(ours), axis=1), response(theirs), atol=1e-5)


@smooth_quantiles
@pytest.mark.parametrize("weight", [None, WEIGHT], ids=["plain", "weighted"])
@pytest.mark.parametrize("level", LEVELS)
def test_parity_with_reg_expectileerror(level, weight):
    loss = gbo.ExpectileLoss(level)
    # Ten rows of curvature 0.1 are 1 but for rounding, on either side of the default.
    off = {"min_child_weight": 0.95}
    # Its value has a half, ours has none.
    ours = train_xgb(gbo.Objective(loss, "exact", 2.0), REAL, weight, rounds=50, params=off)
    start = loss.intercept(REAL, weight)
    theirs = _built_in("reg:expectileerror", weight, 50, start, expectile_alpha=level, **off)
    assert distance(response(ours), response(theirs)) < 1e-5
