"""The small parts: elementary functions, links, registry, summaries, the cache."""

import pickle

import numpy as np
import pytest
from mpmath import mp, mpf

import gbobjectives as gbo
from gbobjectives import _numerics as num
from gbobjectives._batch import Batch
from gbobjectives.links import LINKS, get_link
from gbobjectives.losses import LOSSES
from gbobjectives.losses.residual import SIGMA_OVER_MEAN, SIGMA_OVER_MEDIAN

DTYPES = [np.float32, np.float64]

# ---- numerics ------------------------------------------------------------------------------

ELEMENTARY = {
    "log1pexp": (num.log1pexp, lambda x: mp.log(1 + mp.exp(x))),
    "expit": (num.expit, lambda x: 1 / (1 + mp.exp(-x))),
    "log_cosh": (num.log_cosh, lambda x: mp.log(mp.cosh(x))),
    "sech2": (num.sech2, lambda x: 1 / mp.cosh(x) ** 2),
    "exp_saturating": (num.exp_saturating, mp.exp),
    "expm1_saturating": (num.expm1_saturating, mp.expm1),
}
POINTS = [0.0, 1e-6, 1e-3, 0.3, 0.9999, 1.0, 1.0001, 3.0, 8.9, 17.0, 37.4, 40.0]
SIGNED = np.array(sorted({s * x for x in POINTS for s in (1, -1)}))


@pytest.mark.parametrize("dtype", DTYPES)
def test_log1p_keeps_its_digits_at_every_size(dtype):
    limits = np.finfo(dtype)
    sizes = np.geomspace(float(limits.tiny), float(limits.max) / 8, 4001)
    x = np.concatenate([[0, limits.smallest_subnormal], sizes, -sizes[sizes < 0.99]]).astype(dtype)
    with mp.workdps(60):
        true = np.array([float(mp.log1p(mpf(float(v)))) for v in x])
    np.testing.assert_allclose(num.log1p(x), true, rtol=3 * limits.eps, atol=0)


@pytest.mark.parametrize("name", ELEMENTARY)
@pytest.mark.parametrize("dtype", DTYPES)
def test_elementary_functions(name, dtype):
    function, formula = ELEMENTARY[name]
    x = SIGNED.astype(dtype)
    got = function(x)
    assert got.dtype == dtype
    with mp.workdps(60):
        true = [formula(mpf(float(v))) for v in x]
        errors = [abs(mpf(float(a)) - b) / b for a, b in zip(got, true, strict=True) if b]
    # A condition number of 2x: the argument of an exponential is rounded, too.
    assert max(errors) < 80 * float(np.finfo(dtype).eps)


@pytest.mark.parametrize("name", ELEMENTARY)
@pytest.mark.parametrize("dtype", DTYPES)
def test_elementary_functions_are_finite(name, dtype):
    x = np.array([1e30, 1e4, 710.0, 89.0], dtype=dtype)
    got = ELEMENTARY[name][0](np.concatenate([x, -x, [0]]).astype(dtype))
    assert np.isfinite(got).all()
    assert got.dtype == dtype


@pytest.mark.parametrize("dtype", DTYPES)
def test_softmax(dtype):
    f = np.array([[0, 0, 0], [1, -2, 30], [1e30, 0, -1e30], [1e30, 1e30, 1e30]], dtype=dtype)
    p = num.softmax(f)
    assert p.dtype == dtype
    np.testing.assert_allclose(p.sum(axis=1), 1, rtol=1e-6)
    np.testing.assert_allclose(p[[0, 3]], 1 / 3, rtol=1e-6)
    np.testing.assert_array_equal(p[2], [1, 0, 0])


def test_logsumexp_keeps_small_terms():
    f = np.array([[0.0, -40.0], [5.0, 5.0], [-1e30, -1e30]])
    with mp.workdps(60):
        small = float(mp.log(1 + mp.exp(-40)))
    np.testing.assert_allclose(num.logsumexp(f), [small, 5 + np.log(2), -1e30], rtol=1e-15)


@pytest.mark.parametrize("seed", range(3))
def test_median_of_bins(seed):
    rng = np.random.default_rng(seed)
    x = np.abs(rng.standard_t(2, 5001)) * 10.0 ** rng.integers(-12, 12)
    w = rng.exponential(size=x.size)
    for weights in (np.ones(x.size), w):
        counts = np.bincount(
            num.log_magnitude_bins(x), weights=weights, minlength=num.N_MAGNITUDE_BINS
        )
        order = np.argsort(x)
        cumulative = np.cumsum(weights[order])
        true = x[order][np.searchsorted(cumulative, cumulative[-1] / 2)]
        assert num.median_from_bins(counts) == pytest.approx(true, rel=5e-3)


@pytest.mark.parametrize("seed", range(20))
def test_median_of_bins_at_the_end_of_an_exponent(seed):
    # the same weights in two powers of 2: half of all is the sum of the first, however it rounds
    weights = np.random.default_rng(seed).random(100)
    counts = np.zeros(num.N_MAGNITUDE_BINS)
    starts = num.log_magnitude_bins(np.array([1.0, 8.0]))
    for start in starts:
        counts[start : start + 100] = weights
    end = float(num.MAGNITUDE_EDGES[starts[0] + 100])
    assert num.median_from_bins(counts) == pytest.approx(end, rel=1e-12)


# ---- links and intervals -------------------------------------------------------------------

RESPONSES = {
    "identity": np.array([-3.0, 0.0, 5.0]),
    "logit": np.array([1e-9, 0.2, 0.5, 0.999]),
    "log": np.array([1e-9, 1.0, 1e9]),
    "log1p": np.array([-1 + 1e-6, 1e-9, 1e9]),
    "softplus": np.array([1e-9, 1.0, 50.0]),
    "tanh": np.array([-0.99, 0.0, 0.5]),
    "softsign": np.array([-0.99, 0.0, 0.5]),
    "softmax": np.array([[0.2, 0.3, 0.5], [0.98, 0.01, 0.01]]),
    "sorted": np.array([-3.0, 0.0, 5.0]),
}


@pytest.mark.parametrize("name", LINKS)
def test_link(name):
    link, y_pred = get_link(name), RESPONSES[name]
    raw = link.link(y_pred)
    np.testing.assert_allclose(link.inverse(raw), y_pred, rtol=1e-7)
    back = pickle.loads(pickle.dumps(link))
    assert back is link
    assert repr(link) == f"Link({name!r})"
    assert link.range.includes(y_pred).all()


@pytest.mark.parametrize("name", LINKS)
def test_link_derivative(name):
    link, h = get_link(name), 1e-5
    f = np.array([[-2.0, 0.3, 1.5]]) if name == "softmax" else np.array([-2.0, -0.1, 0.3, 1.5])
    if name == "softmax":
        steps = h * np.eye(3)[:, None, :]
        up, down = link.inverse(f + steps), link.inverse(f - steps)
        difference = np.array([[(up - down)[k, 0, k] for k in range(3)]]) / (2 * h)
    else:
        difference = (link.inverse(f + h) - link.inverse(f - h)) / (2 * h)
    np.testing.assert_allclose(link.inverse_derivative(f), difference, rtol=1e-8)


def test_unknown_link():
    with pytest.raises(ValueError, match="get_link: unknown link 'probit'; known: identity, logit"):
        get_link("probit")


def test_interval():
    half_open = gbo.Interval(0.0, np.inf, True, False)
    assert str(half_open) == "[0, inf)"
    assert half_open.includes([0, 1, np.inf, -1, np.nan]).tolist() == [True, True, *[False] * 3]
    assert str(gbo.Interval()) == "(-inf, inf)"
    assert str(gbo.Interval(0.0, 1.0, False, True)) == "(0, 1]"
    assert gbo.Interval(0, 1) == gbo.Interval(0.0, 1.0)


# ---- registry ------------------------------------------------------------------------------


def test_registry_knows_every_name_once():
    names = [n for cls in LOSSES.values() for n in (cls.name, *cls.aliases)]
    assert len(names) == len(set(names))
    assert gbo.list_losses() == list(LOSSES)


@pytest.mark.parametrize(
    ("name", "cls"),
    [
        ("mse", gbo.SquaredErrorLoss),
        ("mae", gbo.AbsoluteErrorLoss),
        ("l1", gbo.AbsoluteErrorLoss),
        ("pinball", gbo.QuantileLoss),
        ("bce", gbo.LogLoss),
        ("logcosh", gbo.LogCoshLoss),
        ("LogCoshLoss", gbo.LogCoshLoss),
        ("log_cosh_loss", gbo.LogCoshLoss),
        ("focal_loss", gbo.FocalLoss),
        ("dice", gbo.DiceLoss),
        ("poisson", gbo.PoissonLoss),
    ],
)
def test_name_or_alias(name, cls):
    assert type(gbo.get_loss(name)) is cls


def test_parameters_pass_through():
    assert gbo.get_loss("cross_entropy", n_classes=3) == gbo.CrossEntropyLoss(n_classes=3)
    assert gbo.get_loss({"loss": "quantile", "quantile": 0.9}).quantile == 0.9
    loss = gbo.HuberLoss(delta=2.0)
    assert gbo.get_loss(loss) is loss


# ---- automatic delta -----------------------------------------------------------------------

AUTO = [gbo.HuberLoss(), gbo.LogCoshLoss(), gbo.AbsoluteErrorLoss(), gbo.QuantileLoss()]


def test_delta_follows_the_median_of_the_residuals():
    rng = np.random.default_rng(1)
    y, f = rng.standard_t(2, 20_000), np.zeros(20_000)
    delta = gbo.HuberLoss().resolve(y, f).delta
    assert delta == pytest.approx(1.345 * SIGMA_OVER_MEDIAN * np.median(np.abs(y)), rel=5e-3)


def test_delta_with_most_residuals_zero():
    y = np.zeros(1000)
    y[:100] = 3.0
    delta = gbo.HuberLoss().resolve(y, np.zeros(1000)).delta
    assert delta == pytest.approx(1.345 * SIGMA_OVER_MEAN * 0.3, rel=1e-6)


@pytest.mark.parametrize("loss", AUTO, ids=repr)
def test_constant_labels(loss):
    y = np.full(50, 7.0)
    assert loss.resolve(y, y).delta > 0
    g, h = gbo.Objective(loss).gradient_hessian(y, y + 2)
    assert np.isfinite(g).all()
    assert (h > 0).all()
    assert loss.intercept(y) == pytest.approx([7.0])


@pytest.mark.parametrize("loss", AUTO, ids=repr)
def test_delta_does_not_collapse(loss):
    rng = np.random.default_rng(2)
    y = rng.normal(size=500)
    at_start = loss.resolve(y, np.full(500, np.median(y))).delta
    assert loss.resolve(y, y + 1e-9).delta == pytest.approx(at_start / 4, rel=0.2)


@pytest.mark.parametrize("loss", AUTO, ids=repr)
def test_the_cache_is_no_state(loss):
    rng = np.random.default_rng(3)
    first, second = rng.normal(size=400), 1e3 * rng.normal(size=400)
    objective, f = gbo.Objective(loss), np.zeros(400)
    before = objective.gradient_hessian(first, f)
    objective.gradient_hessian(second, f)
    objective.gradient_hessian(second[:100], f[:100])
    for got in (
        objective.gradient_hessian(first, f),
        gbo.Objective(loss).gradient_hessian(first, f),
    ):
        np.testing.assert_array_equal(got, before)
    fresh = gbo.Objective(loss).gradient_hessian(second, f)
    np.testing.assert_array_equal(objective.gradient_hessian(second, f), fresh)


def test_the_cache_tells_weights_apart():
    y, w = np.concatenate([np.zeros(50), np.arange(50.0)]), np.ones(100)
    heavy = np.concatenate([np.full(50, 1e-3), np.ones(50)])
    objective, f = gbo.Objective(gbo.HuberLoss()), y + 1e-6
    objective.gradient_hessian(y, f, w)
    got = objective.gradient_hessian(y, f, heavy)
    np.testing.assert_array_equal(got, gbo.Objective("huber").gradient_hessian(y, f, heavy))


def test_histograms_add_up():
    rng = np.random.default_rng(4)
    y = rng.normal(size=100_000)
    whole = gbo.HuberLoss().auto_delta.of(Batch(y, np.zeros_like(y)), 1.0)
    shuffled = gbo.HuberLoss().auto_delta.of(Batch(rng.permutation(y), np.zeros_like(y)), 1.0)
    assert whole == pytest.approx(shuffled, rel=1e-12)


def test_scale_without_a_unit():
    # Every exact Hessian is 0 beyond delta: there is nothing to divide by.
    objective = gbo.Objective(gbo.HuberLoss(delta=1.0), curvature="exact")
    g, h = objective.gradient_hessian(np.zeros(3), np.array([5.0, -5.0, 9.0]))
    assert g.tolist() == [1.0, -1.0, 1.0]
    assert h.tolist() == [0.0, 0.0, 0.0]


def test_metric_of_auto_loss_is_one_function():
    rng = np.random.default_rng(5)
    y, f = rng.normal(size=300), rng.normal(size=300)
    metric = gbo.Metric(gbo.HuberLoss())
    fixed = gbo.HuberLoss().resolve(y, np.full(300, gbo.HuberLoss().intercept(y)[0]))
    assert metric(y, f) == pytest.approx(fixed(y, f), rel=1e-12)
    assert metric(y, f / 2) == pytest.approx(fixed(y, f / 2), rel=1e-12)
