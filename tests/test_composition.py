"""Sums, penalties and wrappers: a composition is a loss."""

import json
import pickle

import numpy as np
import pytest

import gbobjectives as gbo
from gbobjectives.testing import leaf_steps
from tests.boosting import BINARY, CLASS, COUNT, REAL, both_libraries, response
from tests.instances import INSTANCES

RNG = np.random.default_rng(5)
Y = RNG.normal(size=100)
HARD = RNG.integers(0, 2, 100).astype(float)
F = 2 * RNG.normal(size=100)
HUBER, COSH = gbo.HuberLoss(delta=1.0), gbo.LogCoshLoss(delta=0.5)


@pytest.mark.parametrize("what", ["value", "gradient", "hessian", "curvature"])
def test_a_sum_is_the_sum_of_its_terms(what):
    total = getattr(0.7 * HUBER + 0.3 * COSH, what)(Y, F)
    parts = 0.7 * getattr(HUBER, what)(Y, F) + 0.3 * getattr(COSH, what)(Y, F)
    np.testing.assert_allclose(total, parts, rtol=1e-12)


def test_sums_are_flat_and_written_as_they_are():
    loss = 2 * (HUBER + 0.5 * COSH) + gbo.SquaredErrorLoss() / 4
    assert [a for a, _ in loss.terms] == [2.0, 1.0, 0.25]
    assert sum([HUBER, COSH]) == HUBER + COSH
    assert repr(loss) == (
        "2.0 * HuberLoss(delta=1.0) + 1.0 * LogCoshLoss(delta=0.5) + 0.25 * SquaredErrorLoss()"
    )
    assert eval(repr(loss), vars(gbo)) == loss


def test_a_sum_survives_pickle_and_json():
    loss = 0.7 * gbo.HuberLoss() + 0.3 * gbo.QuantileLoss(0.9)
    twin = pickle.loads(pickle.dumps(loss))
    assert twin == loss
    assert twin.guarantee("safe") == "majorizer"
    np.testing.assert_array_equal(twin.curvature(Y, F), loss.curvature(Y, F))
    assert gbo.get_loss(json.loads(json.dumps(loss.spec()))) == loss


def test_equal_terms_are_one_loss():
    twice = gbo.LogLoss() + gbo.LogLoss()
    for what in ("value", "gradient", "hessian", "curvature"):
        once = getattr(gbo.LogLoss(), what)(HARD, F)
        np.testing.assert_allclose(getattr(twice, what)(HARD, F), 2 * once, rtol=1e-12)
    np.testing.assert_allclose(twice.intercept(HARD), gbo.LogLoss().intercept(HARD), rtol=1e-9)


@pytest.mark.parametrize(
    ("loss", "safe", "auto"),
    [
        (HUBER + COSH, "majorizer", "majorizer"),
        (3 * gbo.PoissonLoss(), "no_overshoot", "descent"),
        (gbo.LogLoss() + gbo.FocalLoss(), "no_overshoot", "heuristic"),
        (gbo.LogLoss() + gbo.RawPenalty(l2=1.0), "heuristic", "heuristic"),
        (HUBER + gbo.RawPenalty(l1=1.0), "majorizer", "majorizer"),
    ],
    ids=repr,
)
def test_the_guarantee_is_the_one_that_survives_the_sum(loss, safe, auto):
    assert (loss.guarantee("safe"), loss.guarantee("auto")) == (safe, auto)
    assert loss.guarantee("exact") == "none"


def test_bare_sums_of_pulls_may_overshoot_where_slopes_differ():
    # Why all pulls are multiplied by the largest slope bound, and are not just added.
    loss = gbo.LogLoss() + gbo.FocalLoss(gamma=5.0)
    safe = loss.curvature(HARD, F, "safe")
    focal = gbo.FocalLoss(gamma=5.0).curvature(HARD, F, "safe")
    np.testing.assert_allclose(
        safe, 6 * gbo.LogLoss().curvature(HARD, F, "safe") + focal, rtol=1e-12
    )
    assert leaf_steps(loss, "safe", 3000, eta=1.0, reg_lambda=0.0) == 0


def test_a_sum_of_terms_with_units_is_the_same_in_any():
    loss = gbo.EpsilonInsensitiveLoss(epsilon=0.5) + gbo.HuberLoss()
    assert not gbo.testing.check_objective(loss).failures


def test_automatic_widths_are_those_of_the_terms():
    y, f = Y, Y + RNG.normal(size=100)
    loss = (gbo.HuberLoss() + gbo.QuantileLoss(0.9)).resolve(y, f)
    assert loss.resolved
    assert [term for _, term in loss.terms] == [
        gbo.HuberLoss().resolve(y, f),
        gbo.QuantileLoss(0.9).resolve(y, f),
    ]


def test_a_penalty_draws_the_score_to_0_and_costs_what_it_says():
    loss = gbo.SquaredErrorLoss() + gbo.RawPenalty(l2=3.0)
    np.testing.assert_allclose(loss.intercept(Y + 4), (Y + 4).mean() / 4, rtol=1e-9)
    np.testing.assert_allclose(
        loss.value(Y, F), gbo.SquaredErrorLoss().value(Y, F) + 1.5 * F**2, rtol=1e-12
    )
    lasso = gbo.SquaredErrorLoss() + gbo.RawPenalty(l1=1.0)
    assert abs(lasso.intercept(np.full(10, 0.5))[0]) < 1e-3, "a mean below l1 is drawn to 0"
    assert lasso.intercept(np.full(10, 5.0))[0] == pytest.approx(4, abs=1e-6)


def test_a_penalty_counts_every_output():
    loss, f = gbo.CrossEntropyLoss(3) + gbo.RawPenalty(l2=2.0), RNG.normal(size=(100, 3))
    y = RNG.integers(0, 3, 100)
    plain = gbo.CrossEntropyLoss(3)
    np.testing.assert_allclose(loss.value(y, f), plain.value(y, f) + (f**2).sum(axis=1))
    np.testing.assert_allclose(loss.gradient(y, f), plain.gradient(y, f) + 2 * f)


def test_the_domain_is_the_intersection():
    loss = gbo.PoissonLoss() + gbo.RawPenalty(l2=1.0)
    with pytest.raises(ValueError, match=r"SumLoss: PoissonLoss: y_true must lie in \[0, inf\)"):
        loss.value([-1.0], [0.0])


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: -1 * HUBER, ValueError, r"a coefficient must be a number in \(0, inf\); got -1"),
        (lambda: 0 * HUBER, ValueError, r"a coefficient must be a number in \(0, inf\); got 0"),
        (lambda: HUBER * "2", ValueError, r"a coefficient must be a number in \(0, inf\)"),
        (lambda: gbo.SumLoss(()), ValueError, r"terms must be pairs \(coefficient, loss\)"),
        (lambda: gbo.SumLoss((HUBER,)), ValueError, r"\(coefficient, loss\); got HuberLoss"),
        (
            lambda: HUBER + gbo.LogLoss(),
            ValueError,
            r"all terms must have the same link; got Link\('identity'\) of HuberLoss, "
            r"Link\('logit'\) of LogLoss",
        ),
        (
            lambda: gbo.CrossEntropyLoss(3) + gbo.CrossEntropyLoss(4),
            ValueError,
            "all terms must have the same n_outputs; got 3 of CrossEntropyLoss, 4 of Cross",
        ),
        (
            lambda: HUBER + gbo.MarginRankingLoss(),
            TypeError,
            "losses of single rows can be added; got MarginRankingLoss.*looks at several rows",
        ),
        (
            lambda: gbo.LogLoss(ignore_index=-1) + gbo.FocalLoss(ignore_index=-2),
            ValueError,
            r"terms must have the same ignore_index; got \[-1.0, -2.0\]",
        ),
        (lambda: gbo.RawPenalty(), ValueError, "RawPenalty: l2 or l1 must be positive"),
        (lambda: gbo.RawPenalty(l2=-1), ValueError, r"RawPenalty: l2 must be .* in \[0, inf\)"),
    ],
)
def test_what_does_not_add_up_is_refused(make, error, message):
    with pytest.raises(error, match=message):
        make()


def test_losses_are_not_subtracted():
    with pytest.raises(TypeError, match="unsupported operand"):
        HUBER - COSH


# ---- wrappers --------------------------------------------------------------------------


def test_class_weights_are_sample_weights():
    loss = gbo.ClassWeighted(gbo.LogLoss() + gbo.RawPenalty(l2=1.0), {1: 5.0})
    weight = np.where(HARD == 1, 5.0, 1.0)
    want = weight * gbo.LogLoss().gradient(HARD, F) + F
    np.testing.assert_allclose(loss.gradient(HARD, F), want, rtol=1e-12)


def test_balanced_class_weights_are_those_of_the_training_labels():
    y = np.repeat([0.0, 1.0], [90, 10])
    loss = gbo.ClassWeighted(gbo.FocalLoss(), "balanced").resolve(y, np.zeros(100))
    assert loss.class_weight == pytest.approx((100 / 180, 100 / 20))


def test_smoothed_labels_are_soft_labels():
    loss = gbo.LabelSmoothed(gbo.LogLoss(), 0.2)
    want = gbo.LogLoss().gradient(HARD * 0.8 + 0.1, F)
    np.testing.assert_allclose(loss.gradient(HARD, F), want, rtol=1e-12)


@pytest.mark.parametrize("ignore", [-1.0, np.nan])
@pytest.mark.parametrize("loss", [gbo.LogLoss(), gbo.LogLoss() + gbo.FocalLoss()], ids=repr)
def test_masked_rows_are_absent(loss, ignore):
    gone = np.arange(100) % 3 == 0
    masked, y = gbo.Masked(loss, ignore), np.where(gone, ignore, HARD)
    for what in ("value", "gradient", "hessian"):
        got = getattr(masked, what)(y, F)
        assert not got[gone].any()
        np.testing.assert_array_equal(got[~gone], getattr(loss, what)(HARD[~gone], F[~gone]))
    assert masked(y, F) == pytest.approx(loss(HARD[~gone], F[~gone]), rel=1e-12)
    np.testing.assert_allclose(masked.intercept(y), loss.intercept(HARD[~gone]), rtol=1e-6)
    g, h = gbo.Objective(masked).gradient_hessian(y, F)
    assert not g[gone].any()
    assert not h[gone].any()
    assert gbo.get_loss(masked.spec()) == masked


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: gbo.ClassWeighted(HUBER, "balanced"), TypeError, "has no class_weight"),
        (lambda: gbo.LabelSmoothed(gbo.PoissonLoss(), 0.1), TypeError, "has no label_smoothing"),
        (lambda: gbo.Masked("log"), TypeError, "Masked: a loss is wanted; got 'log'"),
        (
            lambda: gbo.ClassWeighted(gbo.LogLoss(class_weight=[1, 2]), [1, 2]),
            ValueError,
            "has a class_weight already",
        ),
        (
            lambda: gbo.ClassWeighted(gbo.LogLoss(), {2: 1.0}),
            ValueError,
            "class_weight must have the classes 0 to 1 as keys; got 2",
        ),
        (
            lambda: gbo.LabelSmoothed(gbo.LogLoss(), 1.0),
            ValueError,
            r"label_smoothing must be a number in \[0, 1\)",
        ),
    ],
)
def test_what_cannot_be_wrapped_is_refused(make, error, message):
    with pytest.raises(error, match=message):
        make()


# ---- reductions ------------------------------------------------------------------------


def test_reductions():
    w = RNG.uniform(0.5, 2, 100)
    loss = 0.5 * HUBER + COSH
    rows = loss(Y, F, w, reduction="none")
    np.testing.assert_allclose(rows, w * loss.value(Y, F), rtol=1e-12)
    assert loss(Y, F, w, reduction="sum") == pytest.approx(rows.sum())
    assert loss(Y, F, w) == pytest.approx(rows.sum() / w.sum())


# ---- training --------------------------------------------------------------------------


@both_libraries
@pytest.mark.parametrize(
    ("loss", "y"),
    [
        (0.7 * gbo.HuberLoss() + 0.3 * gbo.QuantileLoss(0.9), REAL),
        (gbo.LogLoss() + 0.5 * gbo.FocalLoss() + gbo.RawPenalty(l2=0.01), BINARY),
        (gbo.PoissonLoss() + gbo.RawPenalty(l1=0.01), COUNT),
        (gbo.ClassWeighted(gbo.CrossEntropyLoss(3) + gbo.RawPenalty(l2=0.01), "balanced"), CLASS),
    ],
    ids=["residual", "binary", "count", "multiclass"],
)
def test_a_composition_trains_in_both_libraries(train, data, adapters, loss, y):
    model = train(loss, y, rounds=20)
    fitted = loss.predict(np.zeros((len(y), loss.n_outputs)).squeeze() + loss.intercept(y))
    assert response(model).shape == fitted.shape
    before, after = (gbo.Metric(loss)(y, p, given="response") for p in (fitted, response(model)))
    assert after < 0.95 * before


def test_every_wrapped_instance_is_in_the_list():
    assert sum(isinstance(x.loss, gbo.SumLoss) for x in INSTANCES) >= 5
