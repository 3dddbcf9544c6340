"""Robust, redescending and asymmetric losses of a residual: identities, limits, edge cases."""

import json
import pickle

import numpy as np
import pytest

import gbobjectives as gbo
from gbobjectives.testing import check_objective, leaf_steps

RNG = np.random.default_rng(5)
Y = 3 * RNG.normal(size=300)
F = Y + 4 * RNG.standard_cauchy(size=300)
INF = float("inf")


def assert_same(loss, other, rtol=1e-12, atol=1e-14):
    for what in ("value", "gradient", "hessian", "curvature"):
        a, b = getattr(loss, what)(Y, F), getattr(other, what)(Y, F)
        # A Hessian changes sign: its scale is that of squared error, 1.
        own = atol if what == "hessian" else 2e-38
        np.testing.assert_allclose(a, b, rtol=rtol, atol=own, err_msg=what)


# ---- identities ----------------------------------------------------------------------------

DELTA = 0.8
ROOT2 = np.sqrt(2)


@pytest.mark.parametrize(
    ("loss", "other"),
    [
        (gbo.BarronLoss(2.0, delta=DELTA), gbo.SquaredErrorLoss()),
        (gbo.BarronLoss(1.0, delta=DELTA), gbo.PseudoHuberLoss(delta=DELTA)),
        (gbo.BarronLoss(0.0, delta=DELTA), gbo.CauchyLoss(delta=DELTA * ROOT2)),
        (gbo.BarronLoss(-2.0, delta=DELTA), gbo.GemanMcClureLoss(delta=2 * DELTA)),
        (gbo.BarronLoss(-INF, delta=DELTA), gbo.WelschLoss(delta=DELTA * ROOT2)),
        (gbo.StudentTLoss(df=3.0, delta=DELTA), gbo.CauchyLoss(delta=DELTA * np.sqrt(3))),
        (gbo.LqLoss(q=1.0, delta=DELTA), gbo.AbsoluteErrorLoss(delta=DELTA)),
        (gbo.LqLoss(q=1.0), gbo.AbsoluteErrorLoss()),
        (gbo.LqLoss(q=2.0, delta=DELTA), gbo.SquaredErrorLoss()),
        (gbo.ExpectileLoss(0.5), gbo.SquaredErrorLoss()),
    ],
    ids=lambda x: repr(x),
)
def test_one_loss_is_another(loss, other):
    # A weight of e^-700 carries 700 roundings of its exponent.
    assert_same(loss, other, rtol=3e-12)


@pytest.mark.parametrize("alpha", [0.0, 1.0, 2.0])
def test_barron_is_continuous_in_its_shape(alpha):
    for near in (alpha - 1e-9, min(alpha + 1e-9, 2.0)):
        loss, limit = gbo.BarronLoss(near, delta=1.0), gbo.BarronLoss(alpha, delta=1.0)
        assert_same(loss, limit, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize(
    "loss",
    [
        gbo.FairLoss(delta=1e9),
        gbo.CauchyLoss(delta=1e9),
        gbo.WelschLoss(delta=1e9),
        gbo.GemanMcClureLoss(delta=1e9),
        gbo.TukeyLoss(delta=1e9),
        gbo.StudentTLoss(df=4.0, delta=1e9),
        gbo.StudentTLoss(df=1e9, delta=1e5),
        gbo.BarronLoss(-3.0, delta=1e9),
        gbo.LqLoss(q=1.2, delta=1e9),
        gbo.LqLoss(q=4.0, delta=1e9),
    ],
    ids=lambda x: repr(x),
)
def test_wide_losses_are_squared_error(loss):
    # The value does not cancel for residuals that are small beside delta.
    assert_same(loss, gbo.SquaredErrorLoss(), rtol=2e-5)


def test_linex_of_a_small_rate_is_squared_error():
    a = 1e-7
    r = F - Y
    loss = gbo.LinexLoss(a=a)
    np.testing.assert_allclose(loss.gradient(Y, F) / a**2, r, rtol=1e-3)
    np.testing.assert_allclose(loss.hessian(Y, F) / a**2, 1, rtol=1e-3)


def test_linex_mirrors_with_its_rate():
    one, other = gbo.LinexLoss(a=0.3), gbo.LinexLoss(a=-0.3)
    np.testing.assert_allclose(one.gradient(Y, F), -other.gradient(-Y, -F), rtol=1e-14)
    for rule in ("safe", "auto"):
        a, b = one.curvature(Y, F, rule), other.curvature(-Y, -F, rule)
        np.testing.assert_allclose(a, b, rtol=1e-14)


def test_linex_is_poisson_in_units_of_its_rate():
    r = np.clip(F - Y, -20, 20)
    a = 0.7
    loss, poisson = gbo.LinexLoss(a=a), gbo.PoissonLoss()
    ones = np.ones_like(r)
    np.testing.assert_allclose(
        loss.gradient(0 * r, r) / a, poisson.gradient(ones, a * r), rtol=1e-11, atol=1e-15
    )
    for rule in ("safe", "auto", "exact"):
        mine, theirs = loss.curvature(0 * r, r, rule), poisson.curvature(ones, a * r, rule)
        np.testing.assert_allclose(mine / a**2, theirs, rtol=1e-13)


def test_dead_zone_tends_to_its_exact_loss():
    r = np.linspace(-3, 3, 61) + 0.01
    loss = gbo.EpsilonInsensitiveLoss(epsilon=1.0, delta=1e-4)
    exact = np.maximum(np.abs(r) - 1, 0)
    np.testing.assert_allclose(loss.value(0 * r, r) / 1e-4, exact, atol=1e-4)
    np.testing.assert_allclose(loss.gradient(0 * r, r) / 1e-4, np.sign(r) * (exact > 0), atol=1e-12)
    assert loss.metric_value(0 * r, r) == pytest.approx(exact.mean(), rel=1e-14)


def test_no_dead_zone_is_log_cosh():
    assert_same(
        gbo.EpsilonInsensitiveLoss(epsilon=1e-12, delta=0.7), gbo.LogCoshLoss(delta=0.7), rtol=1e-9
    )


def test_dead_zone_is_flat_inside():
    loss = gbo.SquaredEpsilonInsensitiveLoss(epsilon=0.5)
    inside = np.linspace(-0.5, 0.5, 11)
    for what in ("value", "gradient", "hessian"):
        np.testing.assert_array_equal(getattr(loss, what)(0 * inside, inside), 0)
    np.testing.assert_array_equal(loss.curvature(0 * inside, inside, "auto"), 1)


def test_smooth_dead_zone_keeps_its_tiny_gradient():
    # (tanh(u - e) + tanh(u + e)) / 2 would be 0 here: e^-40 beside 1.
    loss = gbo.EpsilonInsensitiveLoss(epsilon=20.0, delta=1.0)
    want = np.sinh(0.5) / (np.cosh(0.5) + np.cosh(40.0))
    assert loss.gradient([0.0], [0.25])[0] == pytest.approx(want, rel=1e-13)


def test_expectile_weighs_rows_by_their_side():
    loss = gbo.ExpectileLoss(0.8)
    np.testing.assert_allclose(loss.value([0.0, 0.0], [-2.0, 2.0]), [3.2, 0.8])
    np.testing.assert_allclose(loss.gradient([0.0, 0.0], [-2.0, 2.0]), [-3.2, 0.8])
    np.testing.assert_allclose(loss.hessian([0.0, 0.0], [-2.0, 2.0]), [1.6, 0.4])


def test_lq_metric_is_the_exact_power():
    loss = gbo.LqLoss(q=3.0)
    assert loss.metric_value([0.0, 0.0], [-2.0, 1.0]) == pytest.approx(4.5)
    assert gbo.Metric(loss).name == "lq"


def test_tukey_forgets_what_is_beyond_delta():
    loss = gbo.TukeyLoss(delta=2.0)
    y, f = [0.0, 0.0, 0.0], [2.0, 5.0, -1e30]
    np.testing.assert_array_equal(loss.gradient(y, f), 0)
    np.testing.assert_array_equal(loss.hessian(y, f), 0)
    np.testing.assert_allclose(loss.value(y, f), 4 / 6)


# ---- facts of an instance ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("alpha", "convex"), [(2.0, True), (1.0, True), (0.99, False), (0.0, False), (-INF, False)]
)
def test_barron_is_convex_from_one(alpha, convex):
    loss = gbo.BarronLoss(alpha)
    for same in (loss, pickle.loads(pickle.dumps(loss)), loss.resolve(Y, F)):
        assert same.convex is convex
        assert same.redescending is not convex
    total = loss + gbo.SquaredErrorLoss()
    assert total.convex is convex


def test_barron_at_minus_infinity_survives_json():
    loss = gbo.BarronLoss(-INF, delta=2.0)
    assert gbo.get_loss(json.loads(json.dumps(loss.spec()))) == loss
    assert repr(loss) == "BarronLoss(alpha=-inf, delta=2.0)"


@pytest.mark.parametrize(
    ("q", "guarantee"), [(1.0, "majorizer"), (2.0, "majorizer"), (2.5, "heuristic")]
)
def test_guarantee_of_lq_depends_on_its_power(q, guarantee):
    loss = gbo.LqLoss(q)
    for same in (loss, pickle.loads(pickle.dumps(loss)), loss.resolve(Y, F)):
        assert same.guarantee("safe") == same.guarantee("auto") == guarantee
    # The second derivative of a higher power exceeds 1.
    assert ("unit" in loss.rules) is (guarantee == "majorizer")


def test_leaves_may_rise_where_nothing_is_claimed():
    assert leaf_steps(gbo.LqLoss(4.0, delta=1.0), "auto", 2000, eta=1.0, reg_lambda=0.0) > 0
    assert leaf_steps(gbo.ExpectileLoss(0.9), "auto", 2000, eta=1.0, reg_lambda=0.0) > 0
    # The rate up to which the docstring of `ExpectileLoss` proves descent.
    assert leaf_steps(gbo.ExpectileLoss(0.9), "auto", 2000, eta=2 / 9, reg_lambda=0.0) == 0


def test_psi_over_u_is_no_majorizer_of_a_dead_zone():
    # Nearly no gradient at 0, and the other side of the zone is steep.
    loss = gbo.EpsilonInsensitiveLoss(epsilon=10.0, delta=1.0)
    at, far = 1e-3, 30.0
    slope = loss.gradient([0.0], [at])[0]
    step = far - at
    bound = {
        "psi(u) / u": slope / at,
        "safe": loss.curvature([0.0], [at], "safe")[0],
    }
    rise = loss.value([0.0], [far])[0] - loss.value([0.0], [at])[0] - slope * step
    assert bound["psi(u) / u"] * step**2 / 2 < rise <= bound["safe"] * step**2 / 2


# ---- parameters ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda: gbo.StudentTLoss(df=0.0),
            r"StudentTLoss: df must be a number in \[0.01, 1e\+09\]",
        ),
        (lambda: gbo.BarronLoss(alpha=2.1), r"BarronLoss: alpha must be a number in \(-inf, 2\]"),
        (lambda: gbo.BarronLoss(alpha=float("nan")), "BarronLoss: alpha must be a number"),
        (lambda: gbo.ExpectileLoss(1.0), r"ExpectileLoss: quantile .* in \(0, 1\); got 1.0"),
        (lambda: gbo.EpsilonInsensitiveLoss(0.0), "EpsilonInsensitiveLoss: epsilon .* got 0.0"),
        (lambda: gbo.SquaredEpsilonInsensitiveLoss(-1.0), "epsilon must be a number in"),
        (lambda: gbo.LqLoss(q=0.5), r"LqLoss: q must be a number in \[1, 100\]; got 0.5"),
        (lambda: gbo.LinexLoss(a=0.0), "LinexLoss: a must be a number other than 0.*got 0.0"),
        (lambda: gbo.LinexLoss(a=float("nan")), "LinexLoss: a must be a number other than 0"),
        (lambda: gbo.LinexLoss(a="x"), "LinexLoss: a must be a number; got 'x'"),
    ],
)
def test_bad_parameters_are_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()


@pytest.mark.parametrize(
    ("name", "cls"),
    [
        ("fair", gbo.FairLoss),
        ("geman_mcclure", gbo.GemanMcClureLoss),
        ("student_t", gbo.StudentTLoss),
        ("svr", gbo.EpsilonInsensitiveLoss),
        ("lq", gbo.LqLoss),
        ("linex", gbo.LinexLoss),
    ],
)
def test_names(name, cls):
    assert isinstance(gbo.get_loss(name), cls)


# ---- finiteness ----------------------------------------------------------------------------

FAR = np.concatenate([10.0 ** np.arange(-30, 31.0), -(10.0 ** np.arange(-30, 31.0)), [0.0]])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(
    "loss",
    [
        *(gbo.LinexLoss(a=s * a) for a in (1e-15, 1e-3, 1e3, 1e15) for s in (1, -1)),
        *(gbo.LqLoss(q=q, delta=d) for q in (1.0, 3.0, 100.0) for d in (1e-3, 1e9)),
        *(gbo.BarronLoss(a, delta=1.0) for a in (2 - 1e-15, 1e-40, -1e-300, -1e19, -1e300)),
        gbo.StudentTLoss(df=0.01, delta=0.1),
        gbo.StudentTLoss(df=1e9, delta=10.0),
        gbo.EpsilonInsensitiveLoss(epsilon=1e6, delta=1e-3),
    ],
    ids=lambda x: repr(x),
)
def test_parameters_at_their_ends_stay_finite(loss, dtype):
    f = FAR.astype(dtype)
    for what in ("value", "gradient", "hessian", "curvature"):
        got = getattr(loss, what)(np.zeros_like(f), f)
        assert got.dtype == dtype
        assert np.isfinite(got).all(), what


def test_cauchy_keeps_a_gradient_whose_square_overflows():
    f = np.array([1e25], dtype=np.float32)
    for loss in (gbo.CauchyLoss(delta=1.0), gbo.BarronLoss(0.0, delta=1 / ROOT2)):
        assert loss.gradient([0.0], f)[0] == pytest.approx(1e-25, rel=1e-5)
        assert loss.value([0.0], f)[0] == pytest.approx(np.log(1e25), rel=1e-6)


def test_linex_saturates_in_gradient_and_curvature_together():
    loss = gbo.LinexLoss(a=2.0)
    y, f = np.zeros(2, dtype=np.float32), np.array([60.0, 1e30], dtype=np.float32)
    g, h = loss.gradient(y, f), loss.curvature(y, f, "auto")
    np.testing.assert_allclose(g / h, 3 / 4, rtol=1e-5)


# ---- intercepts ----------------------------------------------------------------------------


def bimodal(rng):
    return np.concatenate([rng.normal(0, 1, 450), rng.normal(30, 1, 550)])


def outliers(rng):
    return np.concatenate([rng.normal(0, 1, 900), 1e6 * rng.normal(size=100)])


def one_sided(rng):
    return np.concatenate([rng.normal(0, 1, 700), rng.uniform(100, 1e5, 300)])


def small_units(rng):
    return 1e-9 * outliers(rng)


@pytest.mark.parametrize("labels", [bimodal, outliers, one_sided, small_units])
@pytest.mark.parametrize(
    "loss",
    [
        gbo.CauchyLoss(),
        gbo.StudentTLoss(),
        gbo.WelschLoss(),
        gbo.GemanMcClureLoss(),
        gbo.TukeyLoss(),
        gbo.BarronLoss(-5.0),
        gbo.TukeyLoss(delta=2.0),
    ],
    ids=lambda x: repr(x),
)
def test_intercept_lies_in_the_deepest_valley(loss, labels):
    y = labels(np.random.default_rng(0))
    if loss.resolved and labels is small_units:
        y = y * 1e9
    fixed = loss.resolve(y, np.full_like(y, np.median(y)))
    found = fixed(y, np.full_like(y, loss.intercept(y)[0]))
    others = [fixed(y, np.full_like(y, c)) for c in np.quantile(y, np.linspace(0, 1, 500))]
    assert found <= min(others) * (1 + 1e-9)


def test_weights_choose_the_valley():
    y = np.concatenate([np.linspace(-1, 1, 99), np.linspace(99, 101, 50)])
    w = np.concatenate([np.full(99, 1.0), np.full(50, 10.0)])
    loss = gbo.TukeyLoss(delta=4.0)
    assert loss.intercept(y)[0] == pytest.approx(0, abs=1e-6)
    assert loss.intercept(y, w)[0] == pytest.approx(100, abs=1e-6)


def test_intercept_of_expectile_balances_the_sides():
    c = gbo.ExpectileLoss(0.9).intercept(Y)[0]
    above, below = np.maximum(Y - c, 0).sum(), np.maximum(c - Y, 0).sum()
    assert 0.9 * above == pytest.approx(0.1 * below, rel=1e-10)
    assert gbo.ExpectileLoss(0.5).intercept(Y)[0] == pytest.approx(Y.mean(), rel=1e-12)


def test_intercept_of_linex_is_in_closed_form():
    w = RNG.uniform(0.5, 2, len(Y))
    for a in (0.5, -0.5):
        want = -np.log(np.average(np.exp(-a * Y), weights=w)) / a
        assert gbo.LinexLoss(a).intercept(Y, w)[0] == pytest.approx(want, rel=1e-12)
    # exp(-a y) overflows; what is left is the lowest label and the number of rows.
    assert gbo.LinexLoss(1.0).intercept([-1e4, 0.0])[0] == pytest.approx(-1e4 + np.log(2))
    # A row of weight 0 is absent.
    assert gbo.LinexLoss(1.0).intercept([-1e4, 3.0], [0.0, 1.0])[0] == pytest.approx(3.0)


def test_intercept_of_lq_goes_from_median_to_middle():
    y = np.array([0.0, 1.0, 10.0])
    assert gbo.LqLoss(1.0).intercept(y)[0] == 1.0
    assert gbo.LqLoss(2.0).intercept(y)[0] == pytest.approx(y.mean(), rel=1e-12)
    assert gbo.LqLoss(100.0).intercept(y)[0] == pytest.approx(5.0, abs=0.05)
    assert gbo.LqLoss(3.0).intercept([2.0, 2.0])[0] == 2.0
    # A far row of weight 0 does not matter, not even to the precision.
    assert gbo.LqLoss(100.0).intercept([*y, 1e9], [1, 1, 1, 0])[0] == pytest.approx(5.0, abs=0.05)


def test_intercept_of_a_dead_zone_is_a_median_of_its_edges():
    y = np.array([0.0, 0.0, 10.0, 10.0])
    loss = gbo.EpsilonInsensitiveLoss(epsilon=3.0)
    c = loss.intercept(y)[0]
    assert loss.metric_value(y, np.full(4, c)) == pytest.approx(2.0)


# ---- units ---------------------------------------------------------------------------------


def test_epsilon_is_in_units_of_the_label():
    assert gbo.EpsilonInsensitiveLoss.label_units == ("epsilon",)
    assert not check_objective(gbo.EpsilonInsensitiveLoss(epsilon=0.3)).failures


def test_fair_is_that_of_lightgbm():
    c, x = 1.7, F - Y
    objective = gbo.Objective(gbo.FairLoss(delta=c), curvature="exact", scale=None)
    g, h = objective.gradient_hessian(Y, F)
    np.testing.assert_allclose(g, c * x / (np.abs(x) + c), rtol=1e-6)
    np.testing.assert_allclose(h, c * c / (np.abs(x) + c) ** 2, rtol=1e-6)
