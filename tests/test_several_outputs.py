"""Losses of several outputs, several labels or ordered classes: what they are."""

import pickle
from typing import Any

import numpy as np
import pytest

import gbobjectives as gbo
from tests.boosting import BINARY, COUNT, REAL, N

RNG = np.random.default_rng(4)
SCORES = 3 * RNG.normal(size=(200, 3))
CLASSES = RNG.integers(0, 3, 200)
SOFT = RNG.dirichlet(np.ones(3), 200)
SIGNS = RNG.choice([-1.0, 1.0], (200, 3))
KERNELS = ("value", "gradient", "hessian", "curvature")


def auto(loss: gbo.Loss, y: Any, f: Any) -> Any:
    return loss.curvature(y, f, "auto")


# ---- softmax focal loss ----------------------------------------------------------------


@pytest.mark.parametrize("y", [CLASSES, SOFT], ids=["hard", "soft"])
def test_focal_of_gamma_0_is_cross_entropy(y):
    focal, plain = gbo.SoftmaxFocalLoss(3, gamma=0.0), gbo.CrossEntropyLoss(3)
    for kernel in KERNELS:
        got, want = (getattr(loss, kernel)(y, SCORES) for loss in (focal, plain))
        np.testing.assert_allclose(got, want, rtol=1e-11, atol=1e-14)
    np.testing.assert_allclose(auto(focal, y, SCORES), auto(plain, y, SCORES), rtol=1e-11)


@pytest.mark.parametrize("gamma", [0.5, 1.0, 2.0, 5.0])
@pytest.mark.parametrize("y", [CLASSES % 2, SOFT[:, 0]], ids=["hard", "soft"])
def test_focal_of_two_classes_is_the_binary_focal_loss(gamma, y):
    two, binary = gbo.SoftmaxFocalLoss(2, gamma=gamma), gbo.FocalLoss(gamma=gamma)
    f, margin = SCORES[:, :2], SCORES[:, 1] - SCORES[:, 0]
    labels = y if y is not SOFT[:, 0] and y.dtype.kind == "i" else np.stack([1 - y, y], axis=1)
    for kernel in KERNELS:
        got = getattr(two, kernel)(labels, f)
        want = getattr(binary, kernel)(y.astype(float), margin)
        np.testing.assert_allclose(got if got.ndim == 1 else got[:, 1], want, rtol=1e-9, atol=1e-15)


def test_the_margin_of_two_classes_takes_the_steps_of_log_loss():
    # Both scores step, one up and one down.
    two, y = gbo.CrossEntropyLoss(2), CLASSES % 2
    f, margin = SCORES[:, :2], SCORES[:, 1] - SCORES[:, 0]
    steps = two.gradient(y, f) / two.curvature(y, f, "gershgorin_safe")
    want = gbo.LogLoss().gradient(1.0 * y, margin) / auto(gbo.LogLoss(), 1.0 * y, margin)
    np.testing.assert_allclose(np.diff(steps)[:, 0], want, rtol=1e-9)


def test_alpha_weighs_every_class_or_each():
    plain = gbo.SoftmaxFocalLoss(3)
    half = gbo.SoftmaxFocalLoss(3, alpha=0.5)
    np.testing.assert_allclose(half.value(CLASSES, SCORES), plain.value(CLASSES, SCORES) / 2)
    each = np.array([1.0, 2.0, 0.5])
    listed = gbo.SoftmaxFocalLoss(3, alpha=each)
    want = plain.value(CLASSES, SCORES) * each[CLASSES]
    np.testing.assert_allclose(listed.value(CLASSES, SCORES), want)
    assert listed == gbo.SoftmaxFocalLoss(3, alpha={1: 2.0, 2: 0.5})


def test_balanced_alpha_is_taken_from_the_labels_as_balanced_class_weights_are():
    y = np.array([0, 0, 0, 1, 1, 2])
    f = SCORES[:6]
    found = gbo.SoftmaxFocalLoss(3, alpha="balanced").resolve(y, f)
    assert found.alpha == pytest.approx((6 / 9, 1.0, 2.0))
    weights = gbo.SoftmaxFocalLoss(3, class_weight="balanced").resolve(y, f)
    np.testing.assert_allclose(found.value(y, f), weights.value(y, f))


@pytest.mark.parametrize("gamma", [0.0, 0.5, 1.0, 2.0, 5.0])
def test_focal_pulls_fade_and_grow_no_faster_than_the_proof_says(gamma):
    loss = gbo.SoftmaxFocalLoss(3, gamma=gamma)
    f = np.random.default_rng(1).uniform(-12, 12, (50_000, 3))
    step = np.array([1e-5, 0.0, 0.0])
    for y in (0, 1):
        labels = np.full(len(f), y)
        ends = [np.abs(loss.gradient(labels, f + s * step)[:, 0]) for s in (-1, 1)]
        slope = np.log(ends[1] / ends[0]) / 2e-5
        assert np.abs(slope).max() <= 1 + gamma + 1e-6


def test_focal_keeps_its_precision_where_a_class_is_nearly_certain():
    loss = gbo.SoftmaxFocalLoss(3, gamma=2.0)
    # q = 2 e^-40, and the gradient of the label is -q^2 (q + 2 q).
    got = loss.gradient([0], [[40.0, 0.0, 0.0]])[0, 0]
    assert got == pytest.approx(-3 * (2 * np.exp(-40)) ** 3, rel=1e-12)


@pytest.mark.parametrize("alpha", [0.0, -1.0, [1.0, 2.0], "equal", [0.0, 0.0, 0.0]])
def test_focal_refuses_an_alpha_that_is_no_weight(alpha):
    with pytest.raises(ValueError, match="SoftmaxFocalLoss: alpha must"):
        gbo.SoftmaxFocalLoss(3, alpha=alpha)


# ---- Kullback-Leibler divergence -------------------------------------------------------


def test_divergence_is_cross_entropy_less_the_entropy_of_the_label():
    kld, plain = gbo.KLDivergenceLoss(3), gbo.CrossEntropyLoss(3)
    np.testing.assert_allclose(kld.value(CLASSES, SCORES), plain.value(CLASSES, SCORES))
    entropy = -(SOFT * np.log(SOFT)).sum(axis=1)
    np.testing.assert_allclose(kld.value(SOFT, SCORES), plain.value(SOFT, SCORES) - entropy)
    for kernel in ("gradient", "hessian", "curvature"):
        a, b = (getattr(loss, kernel)(SOFT, SCORES) for loss in (kld, plain))
        np.testing.assert_array_equal(a, b)
    np.testing.assert_array_equal(kld.intercept(SOFT), plain.intercept(SOFT))


def test_divergence_of_a_perfect_prediction_is_0():
    np.testing.assert_allclose(gbo.KLDivergenceLoss(3).value(SOFT, np.log(SOFT)), 0, atol=1e-14)


def test_a_label_that_is_nearly_certain_keeps_the_pull_of_its_small_shares():
    y = np.array([[1 - 2e-12, 1e-12, 1e-12]])
    f = np.array([[100.0, 0.0, 0.0]])
    # p_0 is 1, and the other classes pull it down by 2e-12.
    assert gbo.KLDivergenceLoss(3).gradient(y, f)[0, 0] == pytest.approx(2e-12, rel=1e-9)


# ---- categorical hinge -----------------------------------------------------------------


def test_categorical_hinge_on_the_worked_example():
    loss = gbo.CategoricalHingeLoss(3)
    # The first row of it has the labels 1 and 2; a hinge has one, here 1.
    np.testing.assert_array_equal(loss.value([1, 2], [[1, 1, 0], [1, 0, 1]]), [1, 1])


def test_categorical_hinge_of_two_classes_is_the_hinge_of_the_margin():
    f = SCORES[:, :2]
    y = CLASSES % 2
    z = (2 * y - 1) * (f[:, 1] - f[:, 0])
    loss = gbo.CategoricalHingeLoss(2)
    np.testing.assert_allclose(loss.value(y, f), np.maximum(0, 1 - z))
    np.testing.assert_allclose(loss.curvature(y, f)[:, 0], 1 / np.maximum(abs(1 - z), 0.1))


def test_only_the_label_and_its_rival_are_pulled_and_equal_rivals_share():
    loss = gbo.CategoricalHingeLoss(4)
    f = [[0.5, 0.0, -3.0, 0.2], [5.0, 0.0, 0.0, 0.0], [0.0, 1.0, 1.0, 0.0]]
    want = [[1, 0, 0, -1], [0, 0, 0, 0], [-1, 0.5, 0.5, 0]]
    np.testing.assert_array_equal(loss.gradient([3, 0, 0], f), want)


def test_a_soft_label_is_the_mixture_of_its_classes():
    loss = gbo.CategoricalHingeLoss(3)
    parts = [loss.value(np.full(200, k), SCORES) * SOFT[:, k] for k in range(3)]
    np.testing.assert_allclose(loss.value(SOFT, SCORES), sum(parts))
    curves = [loss.curvature(np.full(200, k), SCORES) * SOFT[:, [k]] for k in range(3)]
    np.testing.assert_allclose(loss.curvature(SOFT, SCORES), sum(curves))


@pytest.mark.parametrize(
    ("y", "want"),
    [([0, 1, 1, 1, 2], [0, 1, 0]), ([0, 0, 1, 1, 2], [0, 0, 0])],
    ids=["a majority", "none"],
)
def test_the_best_constant_decision_needs_a_majority(y, want):
    np.testing.assert_array_equal(gbo.CategoricalHingeLoss(3).intercept(y), want)


# ---- one against the rest --------------------------------------------------------------


@pytest.mark.parametrize("binary", [gbo.LogLoss(), gbo.FocalLoss(gamma=1.0)], ids=str)
def test_one_vs_rest_is_the_binary_loss_of_every_column(binary):
    loss = gbo.OneVsRestLoss(binary, 3)
    hot = np.eye(3)[CLASSES]
    for kernel in KERNELS:
        got = getattr(loss, kernel)(CLASSES, SCORES)
        columns = [getattr(binary, kernel)(hot[:, k], SCORES[:, k]) for k in range(3)]
        want = sum(columns) if kernel == "value" else np.stack(columns, axis=1)
        np.testing.assert_allclose(got, want, rtol=1e-13)
        np.testing.assert_array_equal(got, getattr(loss, kernel)(hot, SCORES))
    np.testing.assert_array_equal(
        loss.predict(SCORES), binary.predict(SCORES.ravel()).reshape(-1, 3)
    )
    constants = [binary.intercept(hot[:, k])[0] for k in range(3)]
    np.testing.assert_allclose(loss.intercept(CLASSES), constants)
    assert loss.guarantee("safe") == binary.guarantee("safe")
    assert loss.guarantee("auto") == binary.guarantee("auto")


def test_rows_may_have_any_number_of_labels():
    loss = gbo.OneVsRestLoss(gbo.LogLoss(), 3)
    np.testing.assert_allclose(
        loss.gradient([[1, 1, 1], [0, 0, 0]], np.zeros((2, 3)))[:, 0], [-0.5, 0.5]
    )
    with pytest.raises(ValueError, match=r"OneVsRestLoss: y_true must lie in \[0, 1\]; got 2"):
        loss.value([[2, 0, 0]], np.zeros((1, 3)))


def test_ignored_rows_count_for_nothing():
    loss = gbo.OneVsRestLoss(gbo.LogLoss(), 3, ignore_index=-1)
    g = loss.gradient([0, -1], np.zeros((2, 3)))
    np.testing.assert_array_equal(g, [[-0.5, 0.5, 0.5], [0, 0, 0]])


@pytest.mark.parametrize(
    ("binary", "error", "message"),
    [
        (gbo.HuberLoss(), TypeError, "must be a loss of two classes; got HuberLoss"),
        (gbo.CrossEntropyLoss(2), TypeError, "must be a loss of two classes; got CrossEntropy"),
        ("huber", TypeError, "must be a loss of two classes; got HuberLoss"),
        (gbo.LogLoss(class_weight="balanced"), ValueError, "numbers in place of"),
        (gbo.FocalLoss(alpha="balanced"), ValueError, "numbers in place of"),
        (gbo.LogLoss(ignore_index=2), ValueError, "ignore_index and targets are its own"),
    ],
    ids=["residual", "softmax", "name", "weights", "alpha", "ignored"],
)
def test_one_vs_rest_refuses_what_is_no_binary_loss(binary, error, message):
    with pytest.raises(error, match=f"OneVsRestLoss: .*{message}"):
        gbo.OneVsRestLoss(binary, 3)


# ---- several labels --------------------------------------------------------------------

THREE = gbo.MultiOutputLoss([gbo.HuberLoss(), gbo.LogLoss(), gbo.PoissonLoss()])
LABELS_3 = np.stack([REAL, BINARY, COUNT], axis=1).astype(np.float64)
SCORES_3 = RNG.normal(size=(N, 3))


def test_every_output_is_trained_by_its_own_loss():
    loss = THREE.resolve(LABELS_3, SCORES_3)
    for k, own in enumerate(THREE.losses):
        own = own.resolve(LABELS_3[:, k], SCORES_3[:, k])
        assert loss.losses[k] == own
        for kernel in ("gradient", "hessian", "curvature"):
            got = getattr(loss, kernel)(LABELS_3, SCORES_3)[:, k]
            want = getattr(own, kernel)(LABELS_3[:, k], SCORES_3[:, k])
            np.testing.assert_array_equal(got, want)
        np.testing.assert_allclose(
            THREE.intercept(LABELS_3)[k], THREE.losses[k].intercept(LABELS_3[:, k])[0], rtol=1e-12
        )


def test_each_output_has_its_own_link():
    y_pred = THREE.predict(SCORES_3)
    for k, own in enumerate(THREE.losses):
        np.testing.assert_array_equal(y_pred[:, k], own.predict(SCORES_3[:, k]))
    np.testing.assert_allclose(THREE.link.link(y_pred), SCORES_3)
    assert THREE.link.name == "identity+logit+log"
    again = pickle.loads(pickle.dumps(THREE.link))
    assert again == THREE.link
    assert hash(again) == hash(THREE.link)
    assert gbo.MultiOutputLoss([gbo.LogLoss(), gbo.FocalLoss()]).link == gbo.LogLoss().link


def test_rules_are_those_that_all_have_and_promise_the_weakest():
    assert THREE.guarantee("safe") == "no_overshoot"
    assert THREE.guarantee("auto") == "heuristic"
    assert "damped" not in THREE.rules
    twice = gbo.MultiOutputLoss([gbo.HuberLoss(), gbo.LogCoshLoss()])
    assert twice.guarantee("safe") == "majorizer"
    assert twice.normalised
    assert not THREE.normalised


def test_a_label_outside_the_domain_names_its_column():
    y = LABELS_3.copy()
    y[17, 2] = -1
    with pytest.raises(ValueError, match=r"MultiOutputLoss: column 2: PoissonLoss: .* at row 17"):
        THREE.value(y, SCORES_3)


@pytest.mark.parametrize(
    ("losses", "error", "message"),
    [
        ([gbo.LogLoss()], ValueError, "a sequence of at least 2"),
        ("huber", ValueError, "a sequence of at least 2"),
        (["log", "dice"], TypeError, "of single rows with one output; got DiceLoss"),
        ([gbo.LogLoss(), gbo.CrossEntropyLoss(3)], TypeError, "of single rows with one output"),
        ([gbo.LogLoss(), gbo.DiceLoss()], TypeError, "of single rows with one output"),
        ([gbo.LogLoss(), gbo.LogLoss(ignore_index=2)], ValueError, "has no rows to itself"),
    ],
    ids=["one", "text", "name", "several outputs", "coupled", "ignored"],
)
def test_multi_output_refuses_what_is_no_loss_of_one_output(losses, error, message):
    with pytest.raises(error, match=f"MultiOutputLoss: .*{message}"):
        gbo.MultiOutputLoss(losses)


def test_ignored_labels_are_refused_where_a_row_has_several():
    with pytest.raises(ValueError, match="ignore_index is of rows with one label"):
        gbo.MultiOutputLoss([gbo.LogLoss(), gbo.LogLoss()], ignore_index=np.nan)


# ---- ordered classes -------------------------------------------------------------------


def test_two_ordered_classes_are_log_loss_shifted_by_the_threshold():
    loss, plain = gbo.OrdinalLogitLoss(2, thresholds=[0.7]), gbo.LogLoss()
    y, f = CLASSES % 2, SCORES[:, 0]
    for kernel in KERNELS:
        want = getattr(plain, kernel)(y, f - 0.7)
        np.testing.assert_allclose(getattr(loss, kernel)(y, f), want, rtol=1e-12)


def test_value_is_the_log_of_the_class_probability_and_these_sum_to_1():
    loss = gbo.OrdinalLogitLoss(3, thresholds=[-1.0, 2.5])
    f = np.linspace(-30, 30, 200)
    p = loss.class_probabilities(f)
    np.testing.assert_allclose(p.sum(axis=1), 1, rtol=1e-14)
    np.testing.assert_allclose(
        -np.log(p[np.arange(200), CLASSES]), loss.value(CLASSES, f), rtol=1e-9, atol=1e-14
    )


def test_thresholds_are_the_logits_of_cumulative_shares():
    y = np.repeat([0, 1, 2], [2, 3, 5])
    loss = gbo.OrdinalLogitLoss(3).resolve(y, np.zeros(10))
    np.testing.assert_allclose(loss.thresholds, [np.log(2 / 8), 0.0], atol=1e-15)
    np.testing.assert_allclose(loss.class_probabilities([0.0]), [[0.2, 0.3, 0.5]])
    np.testing.assert_allclose(gbo.OrdinalLogitLoss(3).intercept(y), 0, atol=1e-9)


def test_classes_without_rows_keep_thresholds_apart():
    loss = gbo.OrdinalLogitLoss(5).resolve([1, 1, 3], np.zeros(3))
    assert np.diff(loss.thresholds).min() >= 1e-3 * (1 - 1e-9)
    assert np.isfinite(loss.value([0, 2, 4], np.zeros(3))).all()


def test_probabilities_need_numbers():
    with pytest.raises(ValueError, match='thresholds="auto" says nothing'):
        gbo.OrdinalLogitLoss(3).class_probabilities([0.0])


@pytest.mark.parametrize(
    ("thresholds", "message"),
    [([0.0], "must hold 2 numbers"), ([1.0, 1.0], "must ascend"), ([0.0, np.inf], "must be a num")],
    ids=["one", "equal", "infinite"],
)
def test_thresholds_must_ascend_and_be_finite(thresholds, message):
    with pytest.raises(ValueError, match=rf"OrdinalLogitLoss: thresholds.* {message}"):
        gbo.OrdinalLogitLoss(3, thresholds)


def test_ordered_classes_are_integers():
    loss = gbo.OrdinalLogitLoss(3, [-1.0, 1.0])
    with pytest.raises(ValueError, match=r"must hold integers 0 to 2; got 0\.5"):
        loss.value([0.5], [0.0])
    with pytest.raises(ValueError, match=r"y_true must have shape \(n,\)"):
        loss.value(np.eye(3), np.zeros(3))


# ---- cosine similarity -----------------------------------------------------------------


def test_cosine_knows_directions_only():
    loss = gbo.CosineSimilarityLoss(3)
    value = loss.value(SIGNS, SCORES)
    np.testing.assert_allclose(loss.value(5 * SIGNS, 7 * SCORES), value, rtol=1e-9)
    np.testing.assert_allclose(loss.value(SCORES, SCORES), -1, rtol=1e-9)
    np.testing.assert_allclose(loss.value(-SCORES, SCORES), 1, rtol=1e-9)
    assert loss.value([[1, 2, 3]], [[0.0, 0.0, 0.0]]) == 0
    np.testing.assert_allclose(loss.value(1e300 * SIGNS, SCORES), value, rtol=1e-12)


def test_a_row_of_zeros_has_no_direction():
    loss = gbo.CosineSimilarityLoss(3)
    zero = np.zeros((1, 3))
    assert loss.value(zero, SCORES[:1]) == 0
    np.testing.assert_array_equal(loss.gradient(zero, SCORES[:1]), zero)


def test_the_best_constant_direction_is_the_mean_direction():
    y = np.array([[2.0, 0.0], [0.0, 9.0]])
    found = gbo.CosineSimilarityLoss(2).intercept(y)
    np.testing.assert_allclose(found, [np.sqrt(0.5)] * 2)
    opposite = gbo.CosineSimilarityLoss(2).intercept([[1.0, 0.0], [-1.0, 0.0]])
    assert np.linalg.norm(opposite) == pytest.approx(1)


@pytest.mark.parametrize("outputs", [2, 3, 10])
def test_all_trees_at_once_do_not_lose_the_direction(outputs):
    loss, rng = gbo.CosineSimilarityLoss(outputs), np.random.default_rng(outputs)
    rises = 0
    for _ in range(300):
        n = int(rng.integers(2, 40))
        y, f = rng.normal(size=(2, n, outputs))
        g, h = loss.gradient(y, f), loss.curvature(y, f, "safe")
        moved = f.copy()
        for k in range(outputs):
            leaf = rng.integers(0, rng.integers(1, 6), n)
            pull, weight = (np.bincount(leaf, x[:, k]) for x in (g, h))
            moved[:, k] -= 0.3 * (pull / np.maximum(weight, 1e-300))[leaf]
        rises += loss(y, moved) > loss(y, f) + 1e-12
    assert rises == 0
