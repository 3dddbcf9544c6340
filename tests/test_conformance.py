"""Every promise of the contract, over the one list of instances."""

from functools import partial

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import gbobjectives as gbo
from gbobjectives.curvature import DESCENDING
from gbobjectives.testing import check_loss, check_objective, leaf_steps
from tests.instances import INSTANCES, Instance, derivative_errors

IDS = [x.id for x in INSTANCES]
every_instance = pytest.mark.parametrize("instance", INSTANCES, ids=IDS)

TOLERANCE = {np.float64: 1e-12, np.float32: 1e-5}


@every_instance
def test_loss(instance: Instance):
    report = check_loss(instance.loss)
    assert report.failures == ()
    assert len(report.passed) == 20


@every_instance
@pytest.mark.parametrize("curvature", ["auto", "exact"])
def test_objective(instance: Instance, curvature):
    assert not check_objective(gbo.Objective(instance.loss, curvature)).failures


@every_instance
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_derivatives_against_mpmath(instance: Instance, dtype):
    gradient, hessian = derivative_errors(instance, dtype)
    assert gradient <= TOLERANCE[dtype]
    assert hessian <= TOLERANCE[dtype]


GUARANTEED = [
    pytest.param(instance, name, id=f"{instance.id}-{name}")
    for instance in INSTANCES
    for name, rule in instance.loss.rules.items()
    if rule.guarantee in DESCENDING
]


@pytest.mark.parametrize(("instance", "rule"), GUARANTEED)
def test_no_leaf_rises(instance: Instance, rule):
    loss = instance.resolved()

    @settings(max_examples=8, deadline=None, derandomize=True, database=None)
    @given(st.integers(0, 2**32 - 1), st.floats(0.01, 1.0), st.sampled_from([0.0, 1e-3, 1.0, 10.0]))
    def holds(seed, eta, reg_lambda):
        assert leaf_steps(loss, rule, 100, seed, eta=eta, reg_lambda=reg_lambda) == 0

    holds()


# ---- identities ----------------------------------------------------------------------------

RNG = np.random.default_rng(11)
REAL = 3 * RNG.normal(size=200)
HARD = RNG.integers(0, 2, 200).astype(float)
SOFT = RNG.uniform(size=200)
SCORES = np.concatenate([2 * RNG.normal(size=150), RNG.uniform(-60, 60, 50)])

IDENTITIES = {
    "focal gamma=0 is log loss": (gbo.FocalLoss(gamma=0.0), gbo.LogLoss(), 1.0, HARD),
    "also for soft labels": (gbo.FocalLoss(gamma=0.0), gbo.LogLoss(), 1.0, SOFT),
    "focal alpha=1/2 is half of focal": (
        gbo.FocalLoss(gamma=2.0, alpha=0.5),
        gbo.FocalLoss(gamma=2.0),
        0.5,
        HARD,
    ),
    "balanced focal gamma=0 is weighted log loss": (
        gbo.FocalLoss(gamma=0.0, alpha=0.75),
        gbo.LogLoss(pos_weight=3.0),
        0.25,
        HARD,
    ),
    "Huber with a large delta is squared error": (
        gbo.HuberLoss(delta=1e9),
        gbo.SquaredErrorLoss(),
        1.0,
        REAL,
    ),
    "the median is log-cosh": (
        gbo.QuantileLoss(quantile=0.5, delta=0.7),
        gbo.LogCoshLoss(delta=0.7),
        1.0,
        REAL,
    ),
    "smooth absolute error is pseudo-Huber": (
        gbo.AbsoluteErrorLoss(delta=0.7),
        gbo.PseudoHuberLoss(delta=0.7),
        1.0,
        REAL,
    ),
}


@pytest.mark.parametrize("one", IDENTITIES, ids=str)
def test_identity(one):
    loss, other, factor, y = IDENTITIES[one]
    for what in ("value", "gradient", "hessian", "curvature"):
        a, b = getattr(loss, what)(y, SCORES), getattr(other, what)(y, SCORES)
        # Curvature is floored at the smallest float32, whatever its factor.
        np.testing.assert_allclose(a, factor * b, rtol=1e-9, atol=2e-38)


def test_two_classes_are_the_logistic_loss():
    softmax, logistic = gbo.CrossEntropyLoss(n_classes=2), gbo.LogLoss()
    f = np.stack([RNG.normal(size=200), SCORES], axis=1)
    margin = f[:, 1] - f[:, 0]
    np.testing.assert_allclose(softmax.value(HARD, f), logistic.value(HARD, margin), rtol=1e-10)
    g, h = softmax.gradient(HARD, f), softmax.hessian(HARD, f)
    np.testing.assert_allclose(g[:, 1], logistic.gradient(HARD, margin), rtol=1e-10)
    np.testing.assert_allclose(g[:, 0], -g[:, 1], rtol=1e-10)
    np.testing.assert_allclose(h[:, 1], logistic.hessian(HARD, margin), rtol=1e-10)
    c = softmax.curvature(HARD, f)
    np.testing.assert_allclose(c[:, 1], logistic.curvature(HARD, margin), rtol=1e-10)


def test_one_hot_labels_are_class_labels():
    loss = gbo.CrossEntropyLoss(n_classes=3)
    y, f = RNG.integers(0, 3, 50), RNG.normal(size=(50, 3))
    for what in ("value", "gradient", "hessian"):
        one_hot = getattr(loss, what)(np.eye(3)[y], f)
        np.testing.assert_array_equal(one_hot, getattr(loss, what)(y, f))


@pytest.mark.parametrize("size", [1, 30])
@pytest.mark.parametrize("weights", [None, (1.0, 0.5, 3.0)])
@pytest.mark.parametrize("curvature", [*gbo.CrossEntropyLoss(3).rules, 0.3])
def test_what_one_hot_labels_train_class_labels_train(curvature, weights, size):
    loss = gbo.CrossEntropyLoss(n_classes=3, class_weight=weights)
    objective = gbo.Objective(loss, curvature)
    y, f = RNG.integers(0, 3, 50), size * RNG.normal(size=(50, 3))
    # what is less is 0 in float32
    near = partial(np.testing.assert_allclose, rtol=1e-6, atol=2e-38)
    for hard, soft in zip(
        objective.gradient_hessian(y, f), objective.gradient_hessian(np.eye(3)[y], f), strict=True
    ):
        near(hard, soft)
    g, h = objective.gradient_hessian(y, f)
    near(g, loss.gradient(y, f))
    near(h, loss.curvature(y, f, curvature))


def test_softmax_does_not_see_a_common_shift():
    loss = gbo.CrossEntropyLoss(n_classes=3)
    y, f = RNG.integers(0, 3, 50), RNG.normal(size=(50, 3)).round(6)
    shifted = loss.gradient(y, f + 2.0**20)
    np.testing.assert_allclose(shifted, loss.gradient(y, f), rtol=1e-8)


@pytest.mark.parametrize("n_classes", [2, 3, 10])
def test_all_class_trees_at_once_do_not_raise_softmax(n_classes):
    loss = gbo.CrossEntropyLoss(n_classes)
    rng = np.random.default_rng(n_classes)
    for _ in range(300):
        n = int(rng.integers(2, 40))
        y, w = rng.integers(0, n_classes, n), rng.exponential(size=n)
        f = rng.normal(size=(n, n_classes)) * 10 ** rng.uniform(-1, 1)
        g, h = loss.gradient(y, f), loss.curvature(y, f, "safe")
        moved = f.copy()
        for k in range(n_classes):
            # The leaves of each class's tree are a partition of their own.
            leaf = rng.integers(0, rng.integers(1, 6), n)
            pull, weight = (np.bincount(leaf, w * x[:, k]) for x in (g, h))
            step = pull / np.maximum(weight, 1e-300)
            moved[:, k] -= step[leaf]
        assert loss(y, moved, w) <= loss(y, f, w) * (1 + 1e-9)


def test_quantile_tends_to_pinball():
    loss = gbo.QuantileLoss(quantile=0.8, delta=1e-6)
    r = SCORES - REAL
    pinball = np.maximum(-0.8 * r, 0.2 * r)
    assert loss.metric_value(REAL, SCORES) == pytest.approx(pinball.mean(), rel=1e-12)
    np.testing.assert_allclose(loss.value(REAL, SCORES) / 2e-6, pinball, atol=1e-5)


def test_smoothing_is_a_soft_label():
    smoothed, plain = gbo.LogLoss(label_smoothing=0.2), gbo.LogLoss()
    soft = HARD * 0.8 + 0.1
    np.testing.assert_allclose(
        smoothed.gradient(HARD, SCORES), plain.gradient(soft, SCORES), rtol=1e-12
    )


def test_dice_without_groups_is_one_group():
    loss = gbo.DiceLoss()
    assert loss.value(HARD, SCORES).shape == (1,)
    both = loss.value(HARD, SCORES, group=[80, 120])
    alone = [loss(HARD[:80], SCORES[:80]), loss(HARD[80:], SCORES[80:])]
    np.testing.assert_allclose(both, alone, rtol=1e-12)


@pytest.mark.parametrize(
    ("loss", "want"),
    [
        (gbo.SquaredErrorLoss(), [0.6666667, 0.33333334]),
        (gbo.AbsoluteErrorLoss(), [0.6666667, 0.33333334]),
        (gbo.LogCoshLoss(delta=1.0), [0.2891872, 0.1445936]),
    ],
    ids=lambda x: type(x).__name__,
)
def test_worked_example(loss, want):
    y_true, y_pred = [[0, 1, 1], [0, 0, 1]], [[1, 1, 0], [1, 0, 1]]
    metric = gbo.Metric(loss)
    got = [metric(y, f) for y, f in zip(y_true, y_pred, strict=True)]
    np.testing.assert_allclose(got, want, atol=1e-7)


@pytest.mark.parametrize("name", ["cauchy", "geman_mcclure", "tukey", "welsch"])
def test_the_scale_leaves_negative_second_derivatives_negative(name):
    loss = gbo.get_loss(name, delta=1.0)
    y, f = np.zeros(200), np.linspace(-3, 3, 200)
    plain, scaled = (gbo.Objective(loss, "exact", s).gradient_hessian(y, f) for s in (None, "auto"))
    assert plain[1].min() < 0
    factor = scaled[1][100] / plain[1][100]
    assert factor > 0
    for a, b in zip(plain, scaled, strict=True):
        np.testing.assert_allclose(factor * a, b, rtol=1e-5, atol=1e-6)
