"""Overlap and gradient density: identities, summaries, memory."""

import copy
import pickle

import numpy as np
import pytest

import gbobjectives as gbo
from gbobjectives.parallel import BLOCK_ENTRIES
from gbobjectives.testing import leaf_steps
from tests.boosting import REAL, both_libraries, raw

RNG = np.random.default_rng(17)
HARD = RNG.integers(0, 2, 200).astype(float)
SOFT = np.where(RNG.random(200) < 0.5, HARD, RNG.random(200))
SCORES = np.concatenate([2 * RNG.normal(size=150), RNG.uniform(-60, 60, 50)])
WEIGHTS = RNG.exponential(size=200)
COUPLED = [
    gbo.DiceLoss(),
    gbo.DiceLoss(denominator="squares"),
    gbo.TverskyLoss(alpha=0.3, beta=0.7),
    gbo.SelfAdjustingDiceLoss(),
    gbo.GradientHarmonizedLoss(),
    gbo.FocalDiceLoss(),
    gbo.LogLoss() + gbo.DiceLoss(),
]
every_coupled = pytest.mark.parametrize("loss", COUPLED, ids=repr)
EVERY_KERNEL = ("value", "gradient", "hessian", "curvature")


def same(one, other, y=SOFT, f=SCORES, rtol=1e-9, what=EVERY_KERNEL):
    for name in what:
        a, b = (getattr(loss, name)(y, f, sample_weight=WEIGHTS) for loss in (one, other))
        np.testing.assert_allclose(a, b, rtol=rtol, atol=1e-17, err_msg=name)


# ---- overlap -----------------------------------------------------------------------------------


@pytest.mark.parametrize("smooth", [1e-3, 1.0, 7.0])
def test_dice_is_tversky_of_equal_prices(smooth):
    same(gbo.TverskyLoss(0.5, 0.5, smooth / 2), gbo.DiceLoss(smooth))


def test_tversky_of_prices_1_is_the_jaccard_index():
    y, called = np.array([1.0, 1, 1, 0, 0]), np.array([1.0, 1, 0, 1, 0])
    loss = gbo.TverskyLoss(1.0, 1.0, smooth=1e-9)(y, 100 * called - 50)
    assert loss == pytest.approx(1 - 2 / 4, abs=1e-6)


def test_dice_is_one_less_f1_of_a_model_that_is_sure():
    y, called = np.array([1.0, 1, 1, 0, 0]), np.array([1.0, 1, 0, 1, 0])
    for denominator in ("sum", "squares"):
        loss = gbo.DiceLoss(1e-9, denominator)(y, 100 * called - 50)
        assert loss == pytest.approx(1 - 2 * 2 / (3 + 3), abs=1e-6)


def test_self_adjusting_dice_with_alpha_0_is_dice():
    same(
        gbo.SelfAdjustingDiceLoss(0.0),
        gbo.DiceLoss(),
        what=("value", "gradient", "hessian"),
    )


def test_positives_of_self_adjusting_dice_rest_at_their_peak():
    peak = -np.log(3.0)
    g = gbo.SelfAdjustingDiceLoss(alpha=3.0).gradient([1.0, 1.0, 1.0], [peak - 1, peak, peak + 1])
    assert g[0] < 0 < g[2]
    assert abs(g[1]) < 1e-16


@pytest.mark.parametrize("alpha", [0.0, 0.5, 1.0, 4.0])
def test_self_adjusting_dice_begins_below_its_peak(alpha):
    loss = gbo.SelfAdjustingDiceLoss(alpha)
    start = loss.predict(loss.intercept([1.0, 1.0, 1.0, 0.0]))
    assert start <= 0.5 / (1 + alpha) + 1e-12
    assert loss.predict(loss.intercept([0.0] * 99 + [1.0])) == pytest.approx(0.01)


def test_tversky_prices_shift_the_balance():
    recall, precision = gbo.TverskyLoss(0.1, 0.9), gbo.TverskyLoss(0.9, 0.1)
    y, f = HARD, np.zeros(200)
    up = [-loss.gradient(y, f)[y == 1][0] for loss in (recall, precision)]
    down = [loss.gradient(y, f)[y == 0][0] for loss in (recall, precision)]
    assert up[0] / down[0] > up[1] / down[1]


def test_squares_descend_for_labels_between():
    # The gradient of such a row changes its sign: twice abs(g) would not do.
    loss = gbo.DiceLoss(denominator="squares")
    g, h = (getattr(loss, x)(SOFT, SCORES) for x in ("gradient", "curvature"))
    assert (h >= (2 - 1e-9) * np.abs(g)).all()
    assert (h > 2.1 * np.abs(g)).any()
    assert (h[SOFT == 1] <= (2 + 1e-9) * np.abs(g[SOFT == 1]) + 1e-30).all()
    soft = np.linspace(0.05, 0.95, 40)
    assert leaf_steps(loss, "safe", 3000, 5, eta=1.0, reg_lambda=0.0, y_true=soft) == 0


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: gbo.DiceLoss(denominator="cubes"), 'denominator must be "sum" or "squares"'),
        (lambda: gbo.TverskyLoss(alpha=-1), r"alpha must be a number in \[0, inf\); got -1"),
        (lambda: gbo.TverskyLoss(0, 0), "alpha or beta must be positive"),
        (lambda: gbo.SelfAdjustingDiceLoss(smooth=0), "SelfAdjustingDiceLoss: smooth must"),
        (lambda: gbo.GradientHarmonizedLoss(bins=0), "bins must be an integer of at least 1"),
        (lambda: gbo.GradientHarmonizedLoss(momentum=1), r"momentum must be a number in \[0, 1\)"),
        (lambda: gbo.FocalDiceLoss(dice_weight=0), "FocalDiceLoss: dice_weight must"),
        (lambda: gbo.EffectiveNumber(1.0), r"EffectiveNumber: beta must be a number in \[0, 1\)"),
    ],
)
def test_bad_parameters_are_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()


# ---- summaries ---------------------------------------------------------------------------------


def large(n=3 * BLOCK_ENTRIES + 17):
    rng = np.random.default_rng(3)
    y, f = rng.integers(0, 2, n).astype(float), 3 * rng.normal(size=n)
    return y, f, rng.exponential(size=n)


@every_coupled
def test_sums_are_the_same_for_any_number_of_threads(loss):
    y, f, w = large()
    batch = loss._batch(y, f, w, None)
    sums = [loss._context(batch, n) for n in (1, 2, 5)]
    assert all(np.array_equal(sums[0], other) for other in sums)


@every_coupled
def test_sums_of_partitions_add_up(loss):
    y, f, w = large(50_000)
    whole = loss._context(loss._batch(y, f, w, None), 1)
    rng = np.random.default_rng(4)
    for k in (2, 7, 40):
        part = rng.integers(0, k, len(f))
        parts = [
            loss._context(loss._batch(y[part == i], f[part == i], w[part == i], None), 1)
            for i in range(k)
        ]
        np.testing.assert_allclose(sum(parts), whole, rtol=1e-12)


@every_coupled
def test_groups_are_batches(loss):
    sizes = np.array([50, 1, 149])
    for what in EVERY_KERNEL:
        together = getattr(loss, what)(SOFT, SCORES, sample_weight=WEIGHTS, group=sizes)
        apart = [
            getattr(loss, what)(SOFT[rows], SCORES[rows], sample_weight=WEIGHTS[rows])
            for rows in (slice(0, 50), slice(50, 51), slice(51, 200))
        ]
        np.testing.assert_allclose(together, np.concatenate(apart), rtol=1e-11, atol=1e-16)


@every_coupled
def test_weighted_values_are_values_times_their_weight(loss):
    sizes = np.array([50, 150])
    values = loss.value(SOFT, SCORES, WEIGHTS, sizes)
    of_group = np.array([WEIGHTS[:50].sum(), WEIGHTS[50:].sum()])
    each = loss(SOFT, SCORES, WEIGHTS, sizes, reduction="none")
    np.testing.assert_allclose(each, values * of_group)
    total = loss(SOFT, SCORES, WEIGHTS, sizes, reduction="sum")
    assert total == pytest.approx(each.sum())


# ---- gradient density --------------------------------------------------------------------------


def test_every_bin_in_use_has_the_same_weight():
    f = np.array([-2.0, -2.1, -2.15, 0.1, 3.0])
    y = np.zeros(5)
    value = gbo.GradientHarmonizedLoss(bins=10).value(y, f)[0]
    rows = np.log1p(np.exp(f))
    # abs(p - y) of 0.1 to 0.12, 0.52 and 0.95: three bins.
    assert value == pytest.approx((rows[:3].mean() + rows[3] + rows[4]) / 3)


def test_one_bin_is_log_loss():
    one, log = gbo.GradientHarmonizedLoss(bins=1), gbo.LogLoss()
    assert one(SOFT, SCORES, WEIGHTS) == pytest.approx(log(SOFT, SCORES, WEIGHTS))
    for curvature in ("safe", "auto", "exact"):
        made = [gbo.Objective(x, curvature) for x in (one, log)]
        for a, b in zip(*(x.gradient_hessian(SOFT, SCORES, WEIGHTS) for x in made), strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-12)


def test_gradient_is_exact_until_a_row_passes_an_edge():
    loss, f = gbo.GradientHarmonizedLoss(), np.array([-1.5, -1.4, -1.0, 0.4])
    y = np.zeros(4)
    edge = np.log(0.2 / 0.8)
    near = np.array([edge - 1e-6, *f[1:]])
    past = near + np.array([2e-6, 0, 0, 0])
    assert abs(loss(y, past) - loss(y, near)) > 0.01
    step = np.array([1e-6, 0, 0, 0])
    slope = (loss(y, f + step) - loss(y, f - step)) / 2e-6
    assert loss.gradient(y, f)[0] == pytest.approx(slope, rel=1e-6)


def test_momentum_averages_the_histograms_of_the_rounds():
    m, y = 0.75, HARD
    rounds = [RNG.normal(size=200) for _ in range(4)]
    objective = gbo.Objective(gbo.GradientHarmonizedLoss(momentum=m), "safe", None)
    plain = gbo.GradientHarmonizedLoss()
    running = None
    for f in rounds:
        g, _ = objective.gradient_hessian(y, f)
        at = plain._bin(y, f)
        counts = np.bincount(at, minlength=10)
        shares = counts / 200
        running = shares if running is None else m * running + (1 - m) * shares
        rate = 1 / (running[at] * (counts > 0).sum())
        np.testing.assert_allclose(g, rate * (1 / (1 + np.exp(-f)) - y), rtol=1e-5)


def test_a_round_is_its_raw_predictions_and_copies_begin_anew():
    objective = gbo.Objective(gbo.GradientHarmonizedLoss(momentum=0.9))
    first, second = RNG.normal(size=200), RNG.normal(size=200)
    fresh = objective.gradient_hessian(HARD, second)
    objective = gbo.Objective(objective.loss)
    objective.gradient_hessian(HARD, first)
    once, again = (objective.gradient_hessian(HARD, second) for _ in range(2))
    assert np.array_equal(once, again)
    assert not np.array_equal(once, fresh)
    for twin in (
        copy.copy(objective),
        copy.deepcopy(objective),
        pickle.loads(pickle.dumps(objective)),
    ):
        assert np.array_equal(twin.gradient_hessian(HARD, second), fresh)
    # Another data set, as in cross-validation, has a memory of its own.
    objective.gradient_hessian(1 - HARD, first)
    assert np.array_equal(objective.gradient_hessian(HARD, second), once)


@both_libraries
def test_two_trainings_with_momentum_give_the_same_model(train, data, adapters):
    y = (REAL > 1).astype(np.float32)
    objective = gbo.Objective(gbo.GradientHarmonizedLoss(momentum=0.7))
    one, two = (raw(train(objective, y, rounds=6)) for _ in range(2))
    assert np.array_equal(one, two)
    assert not np.array_equal(one, raw(train(gbo.GradientHarmonizedLoss(), y, rounds=6)))


def test_a_sum_remembers_what_its_terms_do():
    loss = gbo.LogLoss() + gbo.GradientHarmonizedLoss(momentum=0.5)
    assert loss.remembers
    assert not (gbo.LogLoss() + gbo.GradientHarmonizedLoss()).remembers
    f, later = RNG.normal(size=200), RNG.normal(size=200)
    objective, plain = gbo.Objective(loss), gbo.Objective(gbo.LogLoss())
    ghm = gbo.Objective(gbo.GradientHarmonizedLoss(momentum=0.5))
    for scores in (f, later):
        g = objective.gradient_hessian(HARD, scores)[0]
        parts = [x.gradient_hessian(HARD, scores)[0] for x in (plain, ghm)]
        np.testing.assert_allclose(g, sum(parts), rtol=1e-5, atol=1e-7)
