"""Relative and logarithmic errors, positive amounts and overdispersed counts, one by one."""

import numpy as np
import pytest
import scipy.stats
from sklearn.metrics import mean_tweedie_deviance

import gbobjectives as gbo
from gbobjectives import metrics
from gbobjectives.losses.logarithmic import S0

DTYPES = [np.float32, np.float64]
RNG = np.random.default_rng(5)
AMOUNTS = RNG.gamma(0.7, 3.0, 200) + 0.01
COUNTS = RNG.poisson(1.5, 200).astype(float)
SCORES = RNG.normal(size=200) * RNG.choice([0.3, 2.0, 8.0], 200)
WEIGHT = RNG.integers(0, 4, 200)
OFFSET = RNG.normal(size=200) - 1
NEAR = AMOUNTS * np.exp(RNG.normal(size=200))

Y_TRUE, Y_PRED = [[0, 1, 1], [0, 0, 1]], [[1, 1, 0], [1, 0, 1]]


def worked(loss):
    metric = gbo.Metric(loss)
    return [metric(y, f) for y, f in zip(Y_TRUE, Y_PRED, strict=True)]


def test_worked_example():
    mape = worked(gbo.AbsolutePercentageErrorLoss())
    np.testing.assert_allclose(mape, [3.3333338e08, 3.3333331e08], rtol=1e-6)
    msle = worked(gbo.SquaredLogErrorLoss())
    np.testing.assert_allclose(msle, [0.32030192, 0.16015096], atol=1e-7)
    # of the first row 2, 0 and 2; of the second 2, 0 (where both are 0) and 0
    smape = worked(gbo.SymmetricAbsolutePercentageErrorLoss())
    np.testing.assert_allclose(smape, [4 / 3, 2 / 3], rtol=1e-12)


@pytest.mark.parametrize("name", ["mape", "smape", "msle"])
def test_metric_is_that_of_the_module(name):
    loss = gbo.get_loss(name)
    assert loss.metric_name == name
    got = loss.metric_value(AMOUNTS, NEAR)
    assert got == pytest.approx(getattr(metrics, name)(AMOUNTS, NEAR), rel=1e-12)


def test_root_of_mspe_is_rmspe():
    loss = gbo.SquaredPercentageErrorLoss()
    assert loss.metric_name == "mspe"
    root = np.sqrt(loss.metric_value(AMOUNTS, NEAR))
    assert root == pytest.approx(metrics.rmspe(AMOUNTS, NEAR), rel=1e-12)


def scores_off(centre, dtype):
    sizes = 10.0 ** np.arange(-12, 31, 6)
    return (centre + np.concatenate([-sizes, [0], sizes])).astype(dtype)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", ["mape", "smape", "rmspe", "msle", "msle_log1p"])
@pytest.mark.parametrize("label", [0.0, 1e-9, 3e5])
def test_label_of_zero_is_finite(name, label, dtype):
    f = scores_off(label, dtype)
    loss, y = gbo.get_loss(name), np.full(len(f), label)
    for what in ("value", "gradient", "hessian", "curvature"):
        assert np.isfinite(getattr(loss, what)(y, f)).all(), what


# ---- relative errors -----------------------------------------------------------------------


def test_relative_residual_in_the_place_of_the_residual():
    loss, plain = gbo.AbsolutePercentageErrorLoss(delta=0.3), gbo.AbsoluteErrorLoss(delta=0.3)
    v = (NEAR - AMOUNTS) / AMOUNTS
    zeros = np.zeros_like(v)
    np.testing.assert_allclose(loss.value(AMOUNTS, NEAR), plain.value(zeros, v), rtol=1e-12)
    for what, power in (("gradient", 1), ("hessian", 2), ("curvature", 2)):
        got, want = getattr(loss, what)(AMOUNTS, NEAR), getattr(plain, what)(zeros, v)
        np.testing.assert_allclose(got, want / AMOUNTS**power, rtol=1e-11)


def test_delta_follows_the_relative_residuals():
    loss = gbo.AbsolutePercentageErrorLoss()
    v = (NEAR - AMOUNTS) / AMOUNTS
    want = np.mean(np.sqrt(np.abs(v))) ** 2
    assert loss.resolve(AMOUNTS, NEAR).delta == pytest.approx(want, rel=1e-12)
    # A model that fits keeps a quarter of the width of the best constant, of which y/|y| says
    # nothing.
    v = (loss.intercept(AMOUNTS) - AMOUNTS) / AMOUNTS
    at_best = np.mean(np.sqrt(np.abs(v))) ** 2
    assert loss.resolve(AMOUNTS, AMOUNTS).delta == pytest.approx(at_best / 4, rel=1e-12)


def test_no_floor_by_the_curvature_of_small_labels():
    """Relative to a mean that the small label makes, the large one would not move."""
    y = np.array([1e-3, 1e3])
    g, h = gbo.Objective("mape").gradient_hessian(y, 2 * y)
    np.testing.assert_allclose(-g / h, -y, rtol=0.5)


def test_epsilon_is_the_size_of_small_labels():
    loss = gbo.AbsolutePercentageErrorLoss(epsilon=1.0, delta=0.5)
    plain = gbo.AbsoluteErrorLoss(delta=0.5)
    y, f = RNG.uniform(-1, 1, 50), RNG.normal(size=50)
    np.testing.assert_allclose(loss.gradient(y, f), plain.gradient(y, f), rtol=1e-12)


def test_squared_percentage_error_is_weighted_squared_error():
    loss, plain = gbo.SquaredPercentageErrorLoss(epsilon=0.5), gbo.SquaredErrorLoss()
    w = 1 / np.maximum(AMOUNTS, 0.5) ** 2
    for what in ("value", "gradient", "hessian"):
        got, want = getattr(loss, what)(AMOUNTS, NEAR), getattr(plain, what)(AMOUNTS, NEAR)
        np.testing.assert_allclose(got, w * want, rtol=1e-12)
    best = loss.intercept(AMOUNTS, WEIGHT, OFFSET)
    np.testing.assert_allclose(best, plain.intercept(AMOUNTS, WEIGHT * w, OFFSET), rtol=1e-12)


SYMMETRIC = gbo.SymmetricAbsolutePercentageErrorLoss()


def test_symmetric_error_is_symmetric_and_has_no_unit():
    value = SYMMETRIC.value(AMOUNTS, NEAR)
    for y, f in ((NEAR, AMOUNTS), (1e-6 * AMOUNTS, 1e-6 * NEAR), (-AMOUNTS, -NEAR)):
        np.testing.assert_allclose(SYMMETRIC.value(y, f), value, rtol=1e-12)


def test_symmetric_error_tends_to_its_metric():
    narrow = gbo.SymmetricAbsolutePercentageErrorLoss(delta=1e-3)
    exact = 2 * np.abs(NEAR - AMOUNTS) / (NEAR + AMOUNTS)
    np.testing.assert_allclose(narrow.value(AMOUNTS, NEAR), exact, atol=2e-3)


def test_a_single_row_steps_to_its_label():
    f = np.concatenate([NEAR, np.zeros(200)])
    y = np.concatenate([AMOUNTS, AMOUNTS])
    step = -SYMMETRIC.gradient(y, f) / SYMMETRIC.curvature(y, f)
    np.testing.assert_allclose(f + step, y, rtol=1e-10)


def test_beyond_zero_the_symmetric_error_is_constant():
    y, f = np.array([2.0, -3.0, 0.0]), np.array([-1e-6, 5.0, 1.0])
    assert SYMMETRIC.gradient(y, f).tolist() == [0, 0, 0]
    assert SYMMETRIC.hessian(y, f).tolist() == [0, 0, 0]
    assert len(set(SYMMETRIC.value(y, f).round(12))) == 1


@pytest.mark.parametrize("offset", [None, AMOUNTS[::-1] / 2], ids=["plain", "offset"])
def test_no_constant_has_a_lower_symmetric_error(offset):
    base = np.zeros(200) if offset is None else offset
    best = SYMMETRIC.intercept(AMOUNTS, WEIGHT, offset)[0]
    low = SYMMETRIC.metric_value(AMOUNTS, base + best, WEIGHT)
    others = np.concatenate([np.linspace(-3, 20, 2000), AMOUNTS - base])
    scores = [SYMMETRIC.metric_value(AMOUNTS, base + c, WEIGHT) for c in others]
    assert low <= min(scores) * (1 + 1e-9)


def test_symmetric_error_of_many_labels():
    y = np.exp(np.random.default_rng(0).normal(size=20_000))
    best = SYMMETRIC.intercept(y)[0]
    low = SYMMETRIC.metric_value(y, np.full(20_000, best))
    scores = [SYMMETRIC.metric_value(y, np.full(20_000, c)) for c in np.linspace(0.5, 2, 100)]
    assert low <= min(scores)


# ---- logarithmic errors --------------------------------------------------------------------

LOGARITHMIC, LOG1P = gbo.SquaredLogErrorLoss(), gbo.Log1pSquaredErrorLoss()


def test_both_forms_of_the_logarithmic_error_are_one():
    raw = np.log1p(NEAR)
    np.testing.assert_allclose(LOGARITHMIC.value(AMOUNTS, NEAR), LOG1P.value(AMOUNTS, raw), 1e-9)
    chain = LOG1P.gradient(AMOUNTS, raw) / (1 + NEAR)
    np.testing.assert_allclose(LOGARITHMIC.gradient(AMOUNTS, NEAR), chain, rtol=1e-9)
    response = LOG1P.predict(LOG1P.intercept(AMOUNTS, WEIGHT))
    np.testing.assert_allclose(LOGARITHMIC.intercept(AMOUNTS, WEIGHT), response, rtol=1e-12)
    assert LOGARITHMIC.metric_value(AMOUNTS, NEAR) == pytest.approx(
        gbo.Metric(LOG1P)(AMOUNTS, NEAR, given="response"), rel=1e-9
    )


@pytest.mark.parametrize("dtype", DTYPES)
def test_outside_the_domain_the_loss_is_finite_and_pulls_back(dtype):
    f = np.array([-1, -5, -1e30], dtype=dtype)
    y = np.array([0.0, 3.0, 0.5])
    assert np.isfinite(LOGARITHMIC.value(y, f)).all()
    assert np.isfinite(LOGARITHMIC.metric_value(y, f))
    assert (LOGARITHMIC.gradient(y, f) < 0).all()
    step = -LOGARITHMIC.gradient(y, f) / LOGARITHMIC.curvature(y, f)
    assert ((f + step)[:2] > -1).all()


def test_the_parabola_goes_on_smoothly():
    y = np.array([0.0, 7.0, -0.5])
    below, above = (np.full(3, S0 * x - 1) for x in (1 - 1e-9, 1 + 1e-9))
    for what in ("value", "gradient", "hessian"):
        function = getattr(LOGARITHMIC, what)
        np.testing.assert_allclose(function(y, below), function(y, above), rtol=1e-7)


def test_a_single_row_inside_the_domain_does_not_pass_its_label():
    y = np.repeat([-0.9, 0.0, 5.0, 1e4], 9)
    f = np.tile(np.concatenate([[2e-6, 1e-3, 0.5], 10.0 ** np.arange(0, 6)]) - 1, 4)
    after = f - LOGARITHMIC.gradient(y, f) / LOGARITHMIC.curvature(y, f)
    rounding = 1e-12 * (1 + np.abs(f))
    low, high = np.minimum(y, f) - rounding, np.maximum(y, f) + rounding
    assert ((low <= after) & (after <= high)).all()


@pytest.mark.parametrize("loss", [LOGARITHMIC, LOG1P], ids=repr)
def test_labels_that_float32_rounds_to_the_edge(loss):
    y, f = np.array([-1 + 1e-9]), np.zeros(1, dtype=np.float32)
    assert np.isfinite(loss.gradient(y, f)).all()
    assert np.isfinite(loss.intercept(y)).all()
    with pytest.raises(ValueError, match=r"y_true must lie in \(-1, inf\); got -1 at row 0"):
        loss.value([-1.0], f)


def test_intercept_of_logarithmic_error_with_offset():
    base = OFFSET + 2
    best = LOGARITHMIC.intercept(AMOUNTS, WEIGHT, base)
    low = LOGARITHMIC.metric_value(AMOUNTS, base + best, WEIGHT)
    others = [LOGARITHMIC.metric_value(AMOUNTS, base + c, WEIGHT) for c in np.linspace(-3, 9, 500)]
    assert low <= min(others)


def test_log1p_responses_stay_in_the_domain():
    f = np.array([-1e30, -50.0, 0.0, 1e30])
    response = LOG1P.predict(f)
    assert (response >= -1).all()
    assert np.isfinite(response).all()


# ---- amounts and counts --------------------------------------------------------------------


def assert_same(loss, other, y, shift=0.0, tolerance=1e-9, rules=()):
    np.testing.assert_allclose(
        loss.value(y, SCORES), other.value(y, SCORES) + shift, rtol=tolerance, atol=tolerance
    )
    for what in ("gradient", "hessian"):
        got, want = getattr(loss, what)(y, SCORES), getattr(other, what)(y, SCORES)
        np.testing.assert_allclose(got, want, rtol=tolerance, atol=tolerance)
    for rule in rules:
        got, want = (x.curvature(y, SCORES, rule) for x in (loss, other))
        np.testing.assert_allclose(got, want, rtol=tolerance)


def test_tweedie_of_power_1_is_poisson():
    assert_same(gbo.TweedieLoss(1.0), gbo.PoissonLoss(), COUNTS, -1.0, rules=("safe", "auto"))


def test_tweedie_of_power_2_is_gamma():
    one, other = gbo.TweedieLoss(2.0), gbo.GammaLoss()
    assert_same(one, other, AMOUNTS, -AMOUNTS, rules=("safe", "auto"))


@pytest.mark.parametrize(("near", "end"), [(1 + 1e-12, 1.0), (2 - 1e-12, 2.0)])
def test_tweedie_is_continuous_at_its_ends(near, end):
    assert_same(gbo.TweedieLoss(near), gbo.TweedieLoss(end), AMOUNTS, tolerance=1e-8)


def test_negative_binomial_without_dispersion_is_poisson():
    small = gbo.NegativeBinomialLoss(1e-10)
    y, f = COUNTS, np.minimum(SCORES, 5)
    for what in ("value", "gradient", "hessian"):
        got, want = getattr(small, what)(y, f), getattr(gbo.PoissonLoss(), what)(y, f)
        np.testing.assert_allclose(got, want, rtol=1e-6, atol=1e-9)


POWERS = [(gbo.TweedieLoss(p), p) for p in (1.0, 1.5, 2.0)]
POWERS += [(gbo.PoissonLoss(), 1), (gbo.GammaLoss(), 2), (gbo.InverseGaussianLoss(), 3)]


@pytest.mark.parametrize(("loss", "power"), POWERS, ids=str)
def test_twice_the_loss_is_the_deviance(loss, power):
    """Up to what depends on the label alone, which two models share."""
    one, two = (np.clip(x, -4, 4) for x in (SCORES, OFFSET))
    deviances = [mean_tweedie_deviance(AMOUNTS, np.exp(f), power=power) for f in (one, two)]
    assert 2 * (loss(AMOUNTS, one) - loss(AMOUNTS, two)) == pytest.approx(
        deviances[0] - deviances[1], rel=1e-10
    )


@pytest.mark.parametrize("a", [0.01, 1.0, 30.0])
def test_negative_binomial_is_its_log_likelihood(a):
    loss, one, two = gbo.NegativeBinomialLoss(a), np.clip(SCORES, -4, 4), OFFSET
    minus = [-scipy.stats.nbinom.logpmf(COUNTS, 1 / a, 1 / (1 + a * np.exp(f))) for f in (one, two)]
    difference = loss.value(COUNTS, one) - loss.value(COUNTS, two)
    np.testing.assert_allclose(difference, minus[0] - minus[1], rtol=1e-8, atol=1e-10)


MEANS = [
    (gbo.GammaLoss(), AMOUNTS),
    *((gbo.TweedieLoss(p), COUNTS) for p in (1.0, 1.4, 2.0)),
    (gbo.InverseGaussianLoss(), AMOUNTS),
    (gbo.NegativeBinomialLoss(0.5), COUNTS),
]
every_mean = pytest.mark.parametrize(("loss", "y"), MEANS, ids=[repr(x) for x, _ in MEANS])


@every_mean
def test_intercept_is_the_log_of_the_mean(loss, y):
    mean = np.average(y, weights=WEIGHT)
    np.testing.assert_allclose(loss.intercept(y, WEIGHT), [np.log(mean)], rtol=1e-12)


@every_mean
@pytest.mark.parametrize("shift", [0.0, 40.0, -40.0, 800.0])
def test_intercept_with_offset_has_no_gradient(loss, y, shift):
    best = loss.intercept(y, WEIGHT, OFFSET + shift)[0]
    g = loss.gradient(y, OFFSET + (best + shift))
    assert abs(np.sum(WEIGHT * g)) < 1e-8 * np.sum(WEIGHT * np.abs(g))


@pytest.mark.parametrize("loss", [gbo.TweedieLoss(1.5), gbo.NegativeBinomialLoss()], ids=repr)
def test_intercept_of_zeros_is_finite(loss):
    zeros = np.zeros(5)
    assert loss.intercept(zeros).tolist() == [-15.0]
    assert np.isfinite(loss.intercept(zeros, None, zeros + 2)).all()


@pytest.mark.parametrize("p", [1.0, 1.3, 1.8, 2.0])
def test_exposure_as_offset_is_a_weighted_rate(p):
    """Of Poisson the weight is the exposure, of gamma it is 1."""
    loss, exposure = gbo.TweedieLoss(p), np.exp(OFFSET)
    got = loss.gradient(COUNTS, SCORES + OFFSET)
    want = exposure ** (2 - p) * loss.gradient(COUNTS / exposure, SCORES)
    np.testing.assert_allclose(got, want, rtol=1e-9)


@pytest.mark.parametrize("dtype", DTYPES)
@every_mean
def test_far_scores_keep_their_gradient(loss, y, dtype):
    y = y[y > 0][:1]
    far = [np.full(1, f, dtype=dtype) for f in (-1e30, -90.0, 90.0, 1e30)]
    values = [loss.value(y, f)[0] for f in far]
    gradients = [loss.gradient(y, f)[0] for f in far]
    assert np.isfinite(values).all()
    assert np.isfinite(gradients).all()
    assert max(gradients[:2]) < 0
    if not loss.redescending:
        assert min(gradients[2:]) > 0
    for rule in ("safe", "auto"):
        assert all(loss.curvature(y, f, rule)[0] > 0 for f in far)


# ---- parameters ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("cls", "parameters", "message"),
    [
        ("AbsolutePercentageError", {"epsilon": 0.0}, "epsilon must be a number in [1e-15, 1e+15]"),
        ("AbsolutePercentageError", {"delta": "wide"}, 'delta must be "auto" or a positive number'),
        ("SquaredPercentageError", {"epsilon": -1}, "epsilon must be a number in [1e-15, 1e+15]"),
        ("SymmetricAbsolutePercentageError", {"delta": 0}, "delta must be a number in [0.001, 10]"),
        ("Tweedie", {"power": 2.5}, "power must be a number in [1, 2]; got 2.5"),
        ("Tweedie", {"power": float("nan")}, "power must be a number in [1, 2]; got nan"),
        ("NegativeBinomial", {"dispersion": 0.0}, "dispersion must be a number in [1e-10, 1e+10]"),
    ],
)
def test_bad_parameters_are_refused(cls, parameters, message):
    with pytest.raises(ValueError) as error:
        getattr(gbo, f"{cls}Loss")(**parameters)
    assert str(error.value).startswith(f"{cls}Loss: {message}")


@pytest.mark.parametrize("name", ["gamma", "inverse_gaussian"])
def test_amounts_of_zero_are_refused(name):
    with pytest.raises(ValueError, match=r"y_true must lie in \(0, inf\); got 0 at row 1"):
        gbo.get_loss(name).value([1.0, 0.0], [0.0, 0.0])
