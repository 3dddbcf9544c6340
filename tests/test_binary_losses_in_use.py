"""Hinges and variants of log loss: intercepts, what is proved of their curvature, training."""

import pickle
from dataclasses import replace

import numpy as np
import pytest
import xgboost

import gbobjectives as gbo
from gbobjectives.losses.hinge import KINK_WIDTH
from gbobjectives.losses.imbalance import asymmetric_derivatives, largest_second_derivative
from gbobjectives.testing import leaf_steps
from tests.boosting import BINARY, LGB, WEIGHT, XGB, X, dataset, distance, dmatrix, raw
from tests.test_binary_losses import HARD, F, N, every_loss

# ---- intercepts ----------------------------------------------------------------------------


@every_loss
@pytest.mark.parametrize("positives", [3, 20, 31, 40, 57, 60])
def test_no_constant_beats_the_intercept(loss, positives):
    """Of losses whose badly wrong rows lose their gradient, too, within 15 of 0."""
    y = np.repeat([0.0, 1.0], [60 - positives, positives])
    best = loss.metric_value(y, np.full(60, loss.intercept(y)[0]))
    scores = [loss.metric_value(y, np.full(60, c)) for c in np.linspace(-15, 15, 601)]
    assert best <= min(scores) * (1 + 1e-9) + 1e-12


@every_loss
def test_no_constant_beats_the_intercept_beside_an_offset(loss):
    offset = np.clip(F, -3, 3)
    best = loss.metric_value(HARD, offset + loss.intercept(HARD, None, offset)[0])
    scores = [loss.metric_value(HARD, offset + c) for c in np.linspace(-15, 15, 601)]
    assert best <= min(scores) * (1 + 1e-9) + 1e-12


@pytest.mark.parametrize(
    ("loss", "want"),
    [
        (gbo.HingeLoss(), 1.0),
        (gbo.SquaredHingeLoss(), 0.5),
        (gbo.SmoothedHingeLoss(), 2 / 3),
        (gbo.ModifiedHuberLoss(), 0.5),
        (gbo.PerceptronLoss(), 0.0),
        (gbo.ExponentialLoss(), np.log(3) / 2),
        (gbo.HingeEmbeddingLoss(), 0.0),
        (gbo.BalancedLogLoss(alpha="balanced"), 0.0),
        (gbo.GeneralizedCrossEntropyLoss(q=0.5), 2 * np.log(3)),
        (gbo.GeneralizedCrossEntropyLoss(q=1.0), 15.0),
        (gbo.BrierLoss(), np.log(3)),
    ],
    ids=repr,
)
def test_intercepts_in_closed_form(loss, want):
    y = np.repeat([1.0, 0.0], [30, 10])
    assert loss.intercept(y)[0] == pytest.approx(want, abs=1e-12)
    negated = loss.intercept(1 - y)[0]
    assert negated == pytest.approx(1.0 if loss.name == "hinge_embedding" else -want, abs=1e-12)


@every_loss
def test_an_intercept_of_one_class_is_finite(loss):
    for label in (0.0, 1.0):
        found = replace(loss, class_weight=None).intercept(np.full(5, label))
        assert np.isfinite(found).all()
        nothing = replace(loss, class_weight=(label, 1 - label))
        assert np.isfinite(nothing.intercept(np.full(5, label))).all()


# ---- curvature -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("loss", "guarantee"),
    [
        (gbo.AsymmetricLoss(), "majorizer"),
        (gbo.AsymmetricLoss(gamma_negative=1.0), "majorizer"),
        (gbo.AsymmetricLoss(gamma_negative=0.9), "heuristic"),
        (gbo.AsymmetricLoss(margin=0.0), "no_overshoot"),
        (gbo.AsymmetricCrossEntropyLoss(), "heuristic"),
        (gbo.AsymmetricCrossEntropyLoss(margin=0.0), "no_overshoot"),
    ],
    ids=repr,
)
def test_the_guarantee_of_an_asymmetric_loss_is_that_of_its_parameters(loss, guarantee):
    for x in (loss, pickle.loads(pickle.dumps(loss)), replace(loss, pos_weight=2.0)):
        assert x.guarantee("safe") == guarantee
        assert x.redescending == (loss.margin > 0)


@pytest.mark.parametrize("gamma", [1.0, 1.5, 2.0, 4.0, 8.0])
@pytest.mark.parametrize("margin", [0.0, 1e-6, 0.05, 0.3, 0.9])
def test_no_second_derivative_exceeds_the_uniform_bound(gamma, margin):
    kink = -50.0 if margin == 0 else np.log(margin / (1 - margin))
    f = np.concatenate([np.linspace(-50, 50, 100_001), kink + np.geomspace(1e-9, 10, 10_001)])
    largest = asymmetric_derivatives(-f, gamma, margin)[1].max()
    assert largest <= largest_second_derivative(gamma, margin) <= 1.002 * largest


@pytest.mark.parametrize(
    ("epsilon", "convex", "redescending"),
    [(-1.0, True, False), (1.0, True, False), (1.01, False, False), (8.0, False, True)],
)
def test_what_a_polynomial_loss_is_depends_on_epsilon(epsilon, convex, redescending):
    loss = pickle.loads(pickle.dumps(gbo.PolyLoss(epsilon)))
    assert (loss.convex, loss.redescending) == (convex, redescending)
    assert (loss.hessian(HARD, F).min() >= 0) == convex
    slope = np.abs(loss.gradient(np.ones(N), F))
    assert (slope.max() > 2 * np.abs(loss.gradient([1.0], [-50.0])[0])) == redescending


@pytest.mark.parametrize(
    "loss",
    [gbo.HingeLoss(), gbo.PerceptronLoss(), gbo.HingeEmbeddingLoss(margin=0.3)],
    ids=repr,
)
def test_a_hinge_rises_above_its_quadratic_by_no_more_than_the_width(loss):
    width = KINK_WIDTH * getattr(loss, "margin", 1.0)
    rng = np.random.default_rng(1)
    y, f, t = HARD[rng.integers(0, N, 20_000)], rng.normal(size=20_000), rng.normal(size=20_000)
    quadratic = loss.value(y, f) + loss.gradient(y, f) * t + loss.curvature(y, f) * t * t / 2
    excess = (loss.value(y, f + t) - quadratic).max()
    assert width / 2 < excess <= width + 1e-12
    # Away from the kink there is no excess at all.
    away = np.min([np.abs(f - kink) for kink in loss.kinks(y, f)], axis=0) > width
    assert (loss.value(y, f + t) - quadratic)[away].max() <= 1e-12


@pytest.mark.parametrize(
    "loss",
    [
        0.5 * gbo.BrierLoss() + 0.5 * gbo.PolyLoss(),
        gbo.ExponentialLoss() + 2.0 * gbo.LDAMLoss(margins=(0.1, 0.5)),
        gbo.SquaredHingeLoss() + gbo.AsymmetricLoss(),
    ],
    ids=repr,
)
def test_sums_keep_what_their_terms_guarantee(loss):
    assert loss.guarantee("safe") in ("no_overshoot", "majorizer")
    assert leaf_steps(loss, "safe", 2000, eta=1.0, reg_lambda=0.0) == 0


def test_an_exponential_loss_saturates_as_one():
    loss = gbo.ExponentialLoss()
    f = np.array([-1e30, -500.0, -90.0], dtype=np.float32)
    for rule in ("safe", "auto", "exact"):
        np.testing.assert_array_equal(
            loss.curvature(np.ones(3), f, rule), -loss.gradient(np.ones(3), f)
        )


# ---- in training ---------------------------------------------------------------------------


@pytest.mark.parametrize("w", [None, WEIGHT], ids=["plain", "weighted"])
def test_active_hinge_is_the_hinge_of_xgboost(w):
    # The base score is a probability for the logit link, and a margin for the built-in.
    hinge = XGB | {"objective": "binary:hinge", "base_score": 0.0}
    theirs = xgboost.train(hinge, dmatrix(BINARY, w), 50)
    objective = gbo.Objective(gbo.HingeLoss(), curvature="active")
    ours = gbo.xgb.train(XGB | {"base_score": 0.5}, dmatrix(BINARY, w), 50, loss=objective)
    assert distance(raw(ours), raw(theirs)) < 1e-5
    # The built-in predicts a decision; ours has the logit link, whose 1/2 is the same one.
    np.testing.assert_array_equal(raw(ours) > 0, theirs.predict(dmatrix(BINARY)) == 1)


@every_loss
def test_every_loss_learns_the_decision_in_both_libraries(loss):
    models = [
        gbo.xgb.train(XGB, dmatrix(BINARY), 30, loss=loss),
        gbo.lgb.train(LGB, dataset(BINARY), 30, loss=loss),
    ]
    prior = max(BINARY.mean(), 1 - BINARY.mean())
    for model in models:
        f = raw(model)
        # A small distance is a positive decision.
        positive = f < loss.margin / 2 if loss.name == "hinge_embedding" else f > 0
        assert len(f) == len(X)
        assert np.mean(positive == (BINARY == 1)) > prior + 0.15
