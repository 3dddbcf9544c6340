"""Hinges and variants of log loss: identities, soft labels, weights, edge cases."""

from dataclasses import replace

import numpy as np
import pytest

import gbobjectives as gbo

RNG = np.random.default_rng(23)
N = 240
HARD = RNG.integers(0, 2, N).astype(float)
SOFT = RNG.uniform(size=N)
F = np.concatenate([2 * RNG.normal(size=N - 60), RNG.uniform(-40, 40, 60)])

LOSSES = [
    gbo.HingeLoss(),
    gbo.SquaredHingeLoss(),
    gbo.SmoothedHingeLoss(),
    gbo.ModifiedHuberLoss(),
    gbo.PerceptronLoss(),
    gbo.ExponentialLoss(),
    gbo.HingeEmbeddingLoss(margin=1.5),
    gbo.BalancedLogLoss(alpha=0.7),
    gbo.AsymmetricLoss(),
    gbo.AsymmetricLoss(gamma_negative=0.5, margin=0.2),
    gbo.AsymmetricCrossEntropyLoss(),
    gbo.PolyLoss(),
    gbo.PolyLoss(epsilon=-1.0),
    gbo.GeneralizedCrossEntropyLoss(),
    gbo.SymmetricCrossEntropyLoss(beta=3.0),
    gbo.LDAMLoss(margins=(0.1, 0.8)),
    gbo.BrierLoss(),
]
every_loss = pytest.mark.parametrize("loss", LOSSES, ids=repr)


def assert_same(loss, other, factor=1.0, y=HARD, f=F, **tolerance):
    for what in ("value", "gradient", "hessian"):
        a, b = getattr(loss, what)(y, f), factor * getattr(other, what)(y, f)
        np.testing.assert_allclose(
            a, b, **({"rtol": 1e-11, "atol": 1e-300} | tolerance), err_msg=what
        )


# ---- identities ----------------------------------------------------------------------------


@pytest.mark.parametrize("y", [HARD, SOFT], ids=["hard", "soft"])
@pytest.mark.parametrize(
    ("loss", "other", "factor"),
    [
        (gbo.BalancedLogLoss(), gbo.LogLoss(), 0.5),
        (gbo.BalancedLogLoss(alpha=None), gbo.LogLoss(), 1.0),
        (gbo.BalancedLogLoss(alpha=0.8), gbo.FocalLoss(gamma=0.0, alpha=0.8), 1.0),
        (gbo.BalancedLogLoss(alpha=(1.0, 4.0)), gbo.LogLoss(pos_weight=4.0), 1.0),
        (gbo.AsymmetricLoss(2.0, 2.0, margin=0.0), gbo.FocalLoss(gamma=2.0), 1.0),
        (gbo.AsymmetricLoss(0.5, 0.5, margin=0.0), gbo.FocalLoss(gamma=0.5), 1.0),
        (gbo.AsymmetricLoss(0, 0, margin=0.1), gbo.AsymmetricCrossEntropyLoss(margin=0.1), 1.0),
        (gbo.AsymmetricCrossEntropyLoss(margin=0.0), gbo.LogLoss(), 1.0),
        (gbo.PolyLoss(epsilon=0.0), gbo.LogLoss(), 1.0),
        (
            gbo.SymmetricCrossEntropyLoss(alpha=0.5, beta=2.0, log_zero=-3.0),
            gbo.PolyLoss(epsilon=12.0),
            0.5,
        ),
        (gbo.SymmetricCrossEntropyLoss(beta=0.0), gbo.LogLoss(), 1.0),
        (gbo.LDAMLoss(max_margin=0.0), gbo.LogLoss(), 1.0),
    ],
    ids=lambda x: repr(x) if isinstance(x, gbo.Loss) else "",
)
def test_one_loss_is_another(loss, other, factor, y):
    # A focal Hessian changes sign, and is rounded differently where it does.
    assert_same(loss, other, factor, y, atol=1e-15)


@pytest.mark.parametrize("y", [HARD, SOFT], ids=["hard", "soft"])
def test_generalized_cross_entropy_tends_to_log_loss(y):
    near = np.clip(F, -5, 5)
    assert_same(
        gbo.GeneralizedCrossEntropyLoss(q=1e-9), gbo.LogLoss(), y=y, f=near, rtol=1e-7, atol=1e-8
    )


def test_generalized_cross_entropy_of_1_is_the_absolute_error_of_the_probability():
    p = gbo.LogLoss().predict(F)
    value = gbo.GeneralizedCrossEntropyLoss(q=1.0).value(HARD, F)
    np.testing.assert_allclose(value, np.abs(p - HARD), rtol=1e-9, atol=1e-15)


def test_hinges_meet_where_they_are_the_same():
    near = np.linspace(-0.99, 5, 100)
    ones = np.ones(100)
    assert_same(gbo.ModifiedHuberLoss(), gbo.SquaredHingeLoss(), y=ones, f=near)
    beyond = np.linspace(0.01, 5, 100)
    assert_same(gbo.SmoothedHingeLoss(), gbo.SquaredHingeLoss(), 0.5, y=ones, f=beyond)
    below = np.linspace(-9.0, -0.01, 100)
    smoothed, hinge = gbo.SmoothedHingeLoss(), gbo.HingeLoss()
    np.testing.assert_allclose(smoothed.value(ones, below), hinge.value(ones, below) - 0.5)
    np.testing.assert_array_equal(smoothed.gradient(ones, below), hinge.gradient(ones, below))


def test_a_perceptron_is_a_hinge_without_its_margin():
    perceptron, hinge = gbo.PerceptronLoss(), gbo.HingeLoss()
    for what in ("value", "gradient", "curvature"):
        shifted = getattr(hinge, what)(np.ones(N), F + 1)
        np.testing.assert_allclose(getattr(perceptron, what)(np.ones(N), F), shifted, rtol=1e-12)


def test_hinge_embedding_of_dissimilar_pairs_is_a_hinge():
    zeros, ones = np.zeros(N), np.ones(N)
    embedding, hinge = gbo.HingeEmbeddingLoss(margin=1.0), gbo.HingeLoss()
    for what in ("value", "gradient", "curvature"):
        want = getattr(hinge, what)(ones, F)
        np.testing.assert_array_equal(getattr(embedding, what)(zeros, F), want)


# ---- worked values -------------------------------------------------------------------------


def test_worked_gradients_of_asymmetric_losses():
    cross_entropy = gbo.AsymmetricCrossEntropyLoss(margin=0.05)
    assert cross_entropy.gradient([0.0], [3.0])[0] == pytest.approx(0.464, abs=5e-4)
    asymmetric = gbo.AsymmetricLoss(gamma_negative=2.0, gamma_positive=1.0, margin=0.05)
    assert asymmetric.gradient([0.0], [3.0])[0] == pytest.approx(0.568, abs=5e-4)


def test_easy_negatives_are_dropped_and_positives_are_not():
    loss = gbo.AsymmetricLoss(margin=0.05)
    for what in ("value", "gradient", "hessian"):
        negative, positive = getattr(loss, what)([0.0, 1.0], [-3.0, -3.0])
        assert negative == 0
        assert positive != 0


def test_badly_wrong_negatives_lose_their_gradient_with_a_margin():
    far = np.array([5.0, 50.0])
    kept = gbo.AsymmetricLoss(margin=0.0).gradient(np.zeros(2), far)
    lost = gbo.AsymmetricLoss(margin=0.05).gradient(np.zeros(2), far)
    assert kept[1] == pytest.approx(1.0)
    assert lost[1] < 1e-15


def test_brier_is_half_of_its_metric():
    p = gbo.LogLoss().predict(F)
    loss = gbo.BrierLoss()
    assert loss.metric_name == "brier"
    for y in (HARD, SOFT):
        np.testing.assert_allclose(loss.value(y, F), (p - y) ** 2 / 2, rtol=1e-9, atol=1e-14)
        assert loss.metric_value(y, F) == pytest.approx(((p - y) ** 2).mean(), rel=1e-12)


def test_a_brier_loss_of_weighted_and_smoothed_rows():
    loss = gbo.BrierLoss(class_weight=(1.0, 3.0), label_smoothing=0.2)
    t = SOFT * 0.8 + 0.1
    up, down = 3 * t, 1 - t
    p = gbo.LogLoss().predict(F)
    want = (up + down) * (p - up / (up + down)) ** 2 / 2
    np.testing.assert_allclose(loss.value(SOFT, F), want, rtol=1e-9)


# ---- soft labels, weights, ignored rows ----------------------------------------------------


@every_loss
def test_a_soft_label_is_a_mixture(loss):
    ones, zeros = np.ones(N), np.zeros(N)
    for what in ("value", "gradient", "hessian"):
        kernel = getattr(loss, what)
        mixture = SOFT * kernel(ones, F) + (1 - SOFT) * kernel(zeros, F)
        if what == "value" and isinstance(loss, gbo.BrierLoss):
            mixture = mixture - SOFT * (1 - SOFT) / 2
        np.testing.assert_allclose(kernel(SOFT, F), mixture, rtol=1e-10, atol=1e-14)


@every_loss
def test_class_weights_are_sample_weights(loss):
    plain = replace(loss, class_weight=None, pos_weight=1.0)
    weighted = replace(plain, class_weight={0: 0.5, 1: 2.0}, pos_weight=3.0)
    w = np.where(HARD == 1, 6.0, 0.5)
    for what in ("value", "gradient", "hessian", "curvature"):
        want = w * getattr(plain, what)(HARD, F)
        np.testing.assert_allclose(
            getattr(weighted, what)(HARD, F), want, rtol=1e-12, atol=1e-37, err_msg=what
        )
    both = [
        gbo.Objective(x, scale=None).gradient_hessian(HARD, F, v)
        for x, v in ((weighted, None), (plain, w))
    ]
    for a, b in zip(*both, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-6, atol=1e-37)
    np.testing.assert_allclose(weighted.intercept(HARD), plain.intercept(HARD, w), atol=1e-6)


@every_loss
def test_smoothing_is_a_soft_label(loss):
    smoothed = replace(loss, label_smoothing=0.2)
    for what in ("value", "gradient", "hessian", "curvature"):
        want = getattr(loss, what)(HARD * 0.8 + 0.1, F)
        np.testing.assert_allclose(getattr(smoothed, what)(HARD, F), want, rtol=1e-12)


@every_loss
def test_ignored_rows_count_for_nothing(loss):
    masked = replace(loss, ignore_index=-1.0)
    y = np.where(np.arange(N) % 3 == 0, -1.0, HARD)
    kept = y >= 0
    assert masked(y, F) == pytest.approx(loss(HARD[kept], F[kept]), rel=1e-12)
    assert not masked.gradient(y, F)[~kept].any()
    assert masked.intercept(y) == pytest.approx(loss.intercept(HARD[kept]), abs=1e-9)


@every_loss
def test_balanced_class_weights(loss):
    y = np.repeat([0.0, 1.0], [180, 60])
    balanced = replace(loss, class_weight="balanced").resolve(y, F)
    assert balanced.class_weight == pytest.approx((240 / 360, 240 / 120))


# ---- edge cases ----------------------------------------------------------------------------


def test_a_perceptron_at_0_has_made_a_mistake():
    loss = gbo.PerceptronLoss()
    np.testing.assert_array_equal(loss.gradient([1.0, 0.0], [0.0, 0.0]), [-1.0, 1.0])
    np.testing.assert_array_equal(loss.value([1.0, 0.0], [0.0, 0.0]), [0.0, 0.0])


def test_hinge_embedding_is_bounded_below_a_distance_of_0():
    loss = gbo.HingeEmbeddingLoss(margin=1.0)
    np.testing.assert_array_equal(loss.value([1.0, 0.0], [-2.0, -2.0]), [0.0, 3.0])
    np.testing.assert_array_equal(loss.gradient([1.0, 0.0], [-2.0, -2.0]), [0.0, -1.0])
    np.testing.assert_array_equal(loss.predict([0.5]), [0.5])


def test_a_soft_row_far_off_has_a_finite_value_in_float32():
    f = np.array([1e30, -1e30], dtype=np.float32)
    assert np.isfinite(gbo.SquaredHingeLoss().value([1.0, 0.5], f)).all()


def test_margins_follow_the_class_sizes():
    y = np.repeat([0.0, 1.0], [81, 1])
    loss = gbo.LDAMLoss(max_margin=0.9)
    assert loss.resolve(y, np.zeros(82)).margins == pytest.approx((0.3, 0.9))
    w = np.where(y == 1, 81.0, 1.0)
    assert loss.resolve(y, np.zeros(82), w).margins == pytest.approx((0.9, 0.9))
    assert loss.resolve(np.zeros(5), np.zeros(5)).margins == pytest.approx((0.9, 0.9))


def test_two_automatic_parameters_at_once():
    y = np.repeat([0.0, 1.0], [16, 1])
    loss = gbo.LDAMLoss(class_weight="balanced")
    assert not loss.resolved
    resolved = loss.resolve(y, np.zeros(17))
    assert resolved == gbo.LDAMLoss(margins=(0.25, 0.5), class_weight=(17 / 32, 17 / 2))
    balanced = gbo.BalancedLogLoss(alpha="balanced", class_weight="balanced")
    assert balanced.resolve(y, np.zeros(17)).alpha == pytest.approx(16 / 17)


def test_the_first_parameters_of_focal_loss_are_gamma_and_alpha():
    assert gbo.FocalLoss(1.5, 0.25) == gbo.FocalLoss(gamma=1.5, alpha=0.25)


@pytest.mark.parametrize(
    ("name", "parameters", "wrong"),
    [
        ("hinge_embedding", {"margin": 0.0}, "margin"),
        ("hinge", {"pos_weight": -1.0}, "pos_weight"),
        ("balanced_log", {"alpha": 1.0}, "alpha"),
        ("balanced_log", {"alpha": "auto"}, "alpha"),
        ("asymmetric", {"gamma_negative": -1.0}, "gamma_negative"),
        ("asymmetric", {"margin": 1.0}, "margin"),
        ("asymmetric_cross_entropy", {"margin": -0.1}, "margin"),
        ("poly", {"epsilon": -1.5}, "epsilon"),
        ("generalized_cross_entropy", {"q": 0.0}, "q"),
        ("symmetric_cross_entropy", {"log_zero": 1.0}, "log_zero"),
        ("symmetric_cross_entropy", {"alpha": 0.0}, "alpha"),
        ("ldam", {"max_margin": -1.0}, "max_margin"),
        ("ldam", {"margins": "balanced"}, "margins"),
        ("ldam", {"margins": (1.0,)}, "margins"),
    ],
    ids=str,
)
def test_parameters_out_of_range_are_refused(name, parameters, wrong):
    with pytest.raises(ValueError, match=rf"^\w+Loss: {wrong} must"):
        gbo.get_loss(name, **parameters)
