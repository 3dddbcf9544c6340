"""Class balance, sums with coupled terms, Cox's loss, and training with all of them."""

import json
import pickle

import lightgbm
import numpy as np
import pytest
import xgboost

import gbobjectives as gbo
from tests.boosting import (
    LGB,
    REAL,
    XGB,
    X,
    both_libraries,
    dataset,
    dmatrix,
    raw,
    train_lgb,
    train_xgb,
)
from tests.test_coupled import COUPLED, EVERY_KERNEL, HARD, SCORES, SOFT, WEIGHTS, same

RNG = np.random.default_rng(18)


# ---- class balance -----------------------------------------------------------------------------

COUNTS = np.array([9000.0, 900.0, 100.0])


def test_effective_numbers_are_those_of_the_paper():
    beta = 0.99
    weights = (1 - beta) / (1 - beta**COUNTS)
    got = gbo.EffectiveNumber(beta).weights(COUNTS)
    np.testing.assert_allclose(got, 3 * weights / weights.sum(), rtol=1e-12)
    assert sum(got) == pytest.approx(3)


def test_beta_0_weighs_all_classes_the_same():
    assert gbo.EffectiveNumber(0.0).weights(COUNTS) == (1.0, 1.0, 1.0)


def test_beta_near_1_is_inverse_frequency():
    inverse = 3 / COUNTS / (1 / COUNTS).sum()
    for beta in (1 - 1e-9, 1 - 2**-53):
        np.testing.assert_allclose(gbo.EffectiveNumber(beta).weights(COUNTS), inverse, rtol=1e-4)


def test_a_class_without_rows_is_no_error():
    weights = gbo.EffectiveNumber(0.999).weights(np.array([500.0, 0.0, 50.0]))
    assert weights[1] == 1
    assert sum(weights) == pytest.approx(3)
    loss = gbo.ClassBalanced(gbo.CrossEntropyLoss(3))
    assert np.isfinite(loss.gradient([0, 2, 2], np.zeros((3, 3)))).all()


def test_weights_of_rows_count():
    loss = gbo.LogLoss(class_weight=gbo.EffectiveNumber(0.9))
    y, w = [0.0, 0.0, 1.0], [2.0, 3.0, 1.0]
    repeated = loss.resolve([0.0] * 5 + [1.0], np.zeros(6))
    assert loss.resolve(y, np.zeros(3), w) == repeated


@pytest.mark.parametrize(
    "loss",
    [
        gbo.LogLoss(class_weight=gbo.EffectiveNumber(0.9)),
        gbo.FocalLoss(class_weight={"effective_number": 0.9}),
        gbo.CrossEntropyLoss(3, class_weight=gbo.EffectiveNumber(0.99)),
    ],
    ids=repr,
)
def test_the_recipe_survives_every_round_trip(loss):
    assert isinstance(loss.class_weight, gbo.EffectiveNumber)
    assert eval(repr(loss), vars(gbo)) == loss
    twin = pickle.loads(pickle.dumps(loss))
    assert twin == loss
    assert hash(twin) == hash(loss)
    spec = json.loads(json.dumps(loss.spec()))
    assert spec["class_weight"] == {"effective_number": loss.class_weight.beta}
    assert gbo.get_loss(spec) == loss


def test_class_balanced_by_name():
    loss = gbo.get_loss("class_balanced", loss="focal", beta=0.99)
    assert loss == gbo.FocalLoss(class_weight=gbo.EffectiveNumber(0.99))
    nested = gbo.get_loss("class_balanced", loss={"loss": "focal", "gamma": 1.0})
    assert nested == gbo.FocalLoss(gamma=1.0, class_weight=gbo.EffectiveNumber(0.999))
    assert gbo.get_loss("masked", loss="log", ignore=-1) == gbo.LogLoss(ignore_index=-1)
    with pytest.raises(ValueError, match="ClassBalanced: unknown parameter 'beat'"):
        gbo.get_loss("class_balanced", loss="focal", beat=0.9)
    with pytest.raises(ValueError, match="ClassBalanced: the parameter loss is required"):
        gbo.get_loss("class_balanced")
    with pytest.raises(TypeError, match="has no class_weight"):
        gbo.get_loss("class_balanced", loss="huber")


# ---- sums with coupled terms -------------------------------------------------------------------


@pytest.mark.parametrize("what", EVERY_KERNEL)
def test_a_sum_is_the_sum_of_its_terms(what):
    one, other = gbo.FocalLoss(gamma=1.0), gbo.DiceLoss()
    y, f, w = SOFT, SCORES, WEIGHTS
    total = getattr(0.5 * one + 2 * other, what)(y, f, sample_weight=w)
    of_rows = getattr(one, what)(y, f)
    of_rows = np.average(of_rows, weights=w) if what == "value" else of_rows * w / w.sum()
    parts = 0.5 * of_rows + 2 * getattr(other, what)(y, f, sample_weight=w)
    np.testing.assert_allclose(total, parts, rtol=1e-9, atol=1e-17)


def test_the_first_coupled_term_makes_the_sum_coupled():
    loss = 2 * (gbo.LogLoss() + 0.5 * gbo.DiceLoss()) + gbo.FocalLoss() / 4
    assert type(loss) is gbo.CoupledSumLoss
    assert [a for a, _ in loss.terms] == [2.0, 1.0, 0.25]
    assert type(gbo.LogLoss() + gbo.FocalLoss()) is gbo.SumLoss
    assert type(sum([gbo.LogLoss(), gbo.FocalLoss(), gbo.DiceLoss()])) is gbo.CoupledSumLoss
    assert eval(repr(loss), vars(gbo)) == loss
    assert pickle.loads(pickle.dumps(loss)) == loss
    assert gbo.get_loss(json.loads(json.dumps(loss.spec()))) == loss


def test_what_is_proved_of_a_sum():
    assert (2 * gbo.DiceLoss()).guarantee("safe") == "descent"
    assert (gbo.LogLoss() + gbo.DiceLoss()).guarantee("safe") == "heuristic"


def test_focal_dice_is_the_sum_that_it_says():
    same(
        gbo.FocalDiceLoss(gamma=1.0, alpha=0.3, smooth=0.1, dice_weight=3.0),
        gbo.FocalLoss(1.0, 0.3) + 3 * gbo.DiceLoss(0.1),
    )
    balanced = gbo.FocalDiceLoss(alpha="balanced")
    assert not balanced.resolved
    y = np.array([0.0, 0.0, 0.0, 1.0])
    assert balanced.resolve(y, np.zeros(4)).alpha == pytest.approx(0.75)


def test_recipes_and_ignored_labels_reach_a_sum():
    loss = gbo.ClassWeighted(gbo.LogLoss(), "balanced") + gbo.DiceLoss()
    assert loss.resolve([0.0, 0.0, 0.0, 1.0], np.zeros(4)).terms[0][1].class_weight[1] == 2
    masked = gbo.Masked(gbo.LogLoss() + gbo.DiceLoss(), -1.0)
    y, f = np.array([1.0, -1.0, 0.0]), np.array([0.3, 5.0, -0.2])
    assert masked(y, f) == pytest.approx((gbo.LogLoss() + gbo.DiceLoss())(y[[0, 2]], f[[0, 2]]))
    assert masked.gradient(y, f)[1] == 0


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: gbo.DiceLoss() + gbo.HuberLoss(), ValueError, "must have the same link"),
        (lambda: gbo.DiceLoss() + gbo.MarginRankingLoss(), TypeError, "sums over the batch, can"),
        (lambda: -1 * gbo.DiceLoss(), ValueError, "a coefficient must be a number in"),
    ],
)
def test_terms_that_do_not_fit_are_refused(make, error, message):
    with pytest.raises(error, match=f"CoupledSumLoss: .*{message}"):
        make()


# ---- Cox ---------------------------------------------------------------------------------------


def survival(n=600, ties=False):
    rng = np.random.default_rng(5)
    time = rng.exponential(np.exp(-X[:n, 0] + 0.5 * X[:n, 1]))
    seen = rng.exponential(1.5, n)
    y = np.where(time < seen, time, -seen)
    y = np.sign(y) * np.ceil(np.abs(y) * 5) if ties else y
    return y.astype(np.float32)


def test_cox_by_hand():
    # At time 1 all three are at risk, at time 3 the last alone.
    f = np.array([0.5, -1.0, 2.0])
    share = np.exp(f) / np.exp(f).sum()
    loss = gbo.CoxLoss()
    assert loss([1.0, -2.0, 3.0], f) == pytest.approx(-np.log(share[0]) / 3)
    np.testing.assert_allclose(
        loss.gradient([1.0, -2.0, 3.0], f), (share - [1, 0, 0]) / 3, atol=1e-16
    )


def test_a_censored_row_is_at_risk_until_it_is_lost_sight_of():
    g = gbo.CoxLoss().gradient([2.0, -1.0, -2.0, -3.0, 0.0], np.zeros(5))
    np.testing.assert_allclose(g * 5, [-2 / 3, 0, 1 / 3, 1 / 3, 0], atol=1e-15)


def test_strata_do_not_see_each_other():
    y, f = survival(200), RNG.normal(size=200)
    for what in EVERY_KERNEL:
        together = getattr(gbo.CoxLoss(), what)(y, f, group=[120, 1, 79])
        parts = [slice(0, 120), slice(120, 121), slice(121, 200)]
        apart = [getattr(gbo.CoxLoss(), what)(y[rows], f[rows]) for rows in parts]
        np.testing.assert_allclose(together, np.concatenate(apart), rtol=1e-12)


def test_only_differences_matter():
    y, f = survival(200), RNG.normal(size=200).round(6)
    for shift in (-700.0, 2.0**20):
        for what in ("gradient", "hessian", "curvature"):
            moved, plain = (getattr(gbo.CoxLoss(), what)(y, x) for x in (f + shift, f))
            np.testing.assert_allclose(moved, plain, rtol=1e-7, atol=1e-15)
    assert gbo.CoxLoss().intercept(y) == 0


def test_a_group_that_spreads_far_keeps_its_shares():
    # Of each risk set the largest score has all of it, however far the others are below.
    y, f = np.array([1.0, 2.0, 3.0, 4.0]), np.array([1e19, -1e25, 0.0, 0.0])
    loss = gbo.CoxLoss()
    np.testing.assert_allclose(4 * loss.gradient(y, f), [0, -1, 0, 1], atol=1e-12)
    assert loss(y, f) == pytest.approx(1e25 / 4)
    near = np.array([2000.0, -3000.0, 0.0, 0.0])
    np.testing.assert_allclose(loss.gradient(y, near), loss.gradient(y, f), atol=1e-12)


def test_cox_without_ties_is_that_of_xgboost():
    y, params = survival(), {"base_score": 1.0}
    built_in = xgboost.train(XGB | params | {"objective": "survival:cox"}, dmatrix(y), 50)
    ours = gbo.xgb.train(
        XGB | params, dmatrix(y), 50, loss=gbo.Objective(gbo.CoxLoss(), "exact", None)
    )
    assert np.abs(raw(ours) - raw(built_in)).max() <= 1e-5 * np.ptp(raw(built_in))
    np.testing.assert_allclose(ours.predict(dmatrix(y)), np.exp(raw(built_in)), rtol=1e-4)


def test_rows_of_the_same_time_are_treated_alike():
    # survival:cox gives rows of the same time the pulls of those before them only.
    y, f = np.array([1.0, 1.0, 2.0]), np.zeros(3)
    g = gbo.CoxLoss().gradient(y, f) * 3
    np.testing.assert_allclose(g, [2 / 3 - 1, 2 / 3 - 1, 2 / 3 + 1 - 1], atol=1e-15)


# ---- training ----------------------------------------------------------------------------------

RARE = (REAL > 1).astype(np.float32)


@pytest.mark.parametrize(
    ("loss", "y"),
    [
        *((loss, RARE) for loss in COUPLED),
        (gbo.ClassBalanced(gbo.FocalLoss(), 0.99), RARE),
        (gbo.CoxLoss(), survival()),
        (gbo.CoxLoss(), survival(ties=True)),
    ],
    ids=lambda x: repr(x) if isinstance(x, gbo.Loss) else "ties" if (x == x.round()).all() else "",
)
@both_libraries
def test_it_trains_with_the_default_limits_of_a_leaf(train, data, adapters, loss, y):
    start = loss(y, np.full(len(y), loss.intercept(y)[0]))
    scores = [loss(y, raw(train(loss, y, rounds=n))) for n in (1, 5, 15)]
    assert scores[2] < scores[1] < scores[0] < start
    assert scores[2] < 0.95 * start


def test_groups_of_both_libraries_are_the_groups_of_a_coupled_loss():
    loss, sizes = gbo.DiceLoss(), np.array([250, 150, 200])
    qid = np.repeat(np.arange(3), sizes)
    start = loss(RARE, np.full(len(RARE), loss.intercept(RARE)[0]), group=sizes)
    grouped = [
        gbo.xgb.train(XGB, dmatrix(RARE, qid=qid), 5, loss=loss),
        gbo.lgb.train(dict(LGB), dataset(RARE, group=sizes), 5, loss=loss),
    ]
    whole = train_xgb(loss, RARE), train_lgb(loss, RARE)
    for one, other in zip(grouped, whole, strict=True):
        assert loss(RARE, raw(one), group=sizes) < 0.95 * start
        assert not np.array_equal(raw(one), raw(other))


def test_objectives_are_of_order_1_whatever_the_number_of_rows():
    for n in (200, 20_000):
        y, f = np.tile(HARD, n // 200), np.tile(SCORES, n // 200)
        for loss in COUPLED:
            g, _ = gbo.Objective(loss).gradient_hessian(y, f)
            assert 0.05 < np.abs(g).max() < 100


def test_lightgbm_takes_a_coupled_objective_in_its_own_train():
    params = dict(LGB) | {"objective": gbo.lgb.objective(gbo.DiceLoss())}
    model = lightgbm.train(params, dataset(RARE), 10)
    assert gbo.DiceLoss()(RARE, raw(model)) < gbo.DiceLoss()(RARE, np.zeros(len(RARE)))
