"""Noise-contrastive estimation: what is drawn, what it tends to, and that it trains."""

from dataclasses import replace

import lightgbm
import numpy as np
import pytest
import xgboost

import gbobjectives as gbo

K = 12


def normalised_scores(n, seed=3):
    f = 1.5 * np.random.default_rng(seed).normal(size=(n, K))
    return f - np.log(np.exp(f).sum(axis=1, keepdims=True))


# ---- the noise -----------------------------------------------------------------------------


def test_rows_of_a_class_share_their_noise_and_classes_do_not():
    loss = gbo.NoiseContrastiveLoss(n_classes=200, draw=1)
    noise = loss.noise_classes(np.array([3.0, 7.0, 3.0]))
    assert noise.shape == (3, 8)
    np.testing.assert_array_equal(noise[0], noise[2])
    assert (noise[0] != noise[1]).any()
    assert (noise != replace(loss, draw=2).noise_classes(np.array([3.0, 7.0, 3.0]))).any()


def test_every_round_draws_anew_and_every_run_alike():
    loss, y = gbo.NoiseContrastiveLoss(n_classes=K), np.arange(K)
    f = normalised_scores(K)
    first = loss.resolve(y, f)
    assert first.resolved
    assert not loss.resolved
    assert loss.resolve(y, f) == first
    assert loss.resolve(y, f + 0.25).draw != first.draw
    assert loss.resolve(y[::-1], f).draw == first.draw  # a function of sums
    assert replace(loss, seed=1).resolve(y, f).draw != first.draw
    np.testing.assert_array_equal(loss.gradient(y, f), first.gradient(y, f))


@pytest.mark.parametrize("noise", ["uniform", "unigram", [3.0, 1.0, 1.0, 2.0, 0.1]])
def test_classes_are_drawn_with_their_shares(noise):
    y = np.repeat(np.arange(5), [16, 81, 1, 256, 0])
    want = {
        "uniform": np.ones(5),
        # The 3/4 power of the counts; a class without rows counts as the rarest one.
        "unigram": np.array([8.0, 27.0, 1.0, 64.0, 1.0]),
    }.get(str(noise), np.array(noise if isinstance(noise, list) else [0.0]))
    loss = gbo.NoiseContrastiveLoss(5, 40, noise).resolve(y, np.zeros((len(y), 5)))
    drawn = np.concatenate(
        [replace(loss, draw=draw).noise_classes(np.arange(5.0)).ravel() for draw in range(100)]
    )
    share = np.bincount(drawn, minlength=5) / len(drawn)
    q = want / want.sum()
    assert (np.abs(share - q) < 5 * np.sqrt(q * (1 - q) / len(drawn))).all()


def test_weights_count_for_the_shares_of_unigram():
    y, f = np.array([0, 1, 1]), np.zeros((3, 2))
    loss = gbo.NoiseContrastiveLoss(2, noise="unigram")
    assert loss.resolve(y, f, [2.0, 1.0, 1.0]).noise == pytest.approx((2**0.75, 2**0.75))


# ---- derivatives ---------------------------------------------------------------------------


def test_only_the_true_and_the_sampled_columns_have_a_gradient():
    loss = gbo.NoiseContrastiveLoss(n_classes=50, n_noise=3, draw=5)
    y, f = np.arange(50), np.random.default_rng(0).normal(size=(50, 50))
    noise = loss.noise_classes(y)
    touched = np.eye(50, dtype=bool)
    np.put_along_axis(touched, noise, True, axis=1)
    for derivative in (loss.gradient(y, f), loss.hessian(y, f)):
        np.testing.assert_array_equal(derivative != 0, touched)


def test_a_class_that_is_drawn_twice_counts_twice():
    loss = gbo.NoiseContrastiveLoss(n_classes=2, n_noise=6, draw=0)
    noise = loss.noise_classes(np.array([0]))[0]
    f = np.array([[0.3, -0.4]])
    u = f[0] - np.log(3.0)
    times = np.bincount(noise, minlength=2)
    s = 1 / (1 + np.exp(-u))
    np.testing.assert_allclose(loss.gradient([0], f)[0], times * s - [1 - s[0], 0], rtol=1e-12)
    np.testing.assert_allclose(loss.curvature([0], f)[0], times * s + [1 - s[0], 0], rtol=1e-12)


@pytest.mark.parametrize("noise", ["uniform", list(range(1, K + 1))])
def test_the_expected_gradient_tends_to_that_of_cross_entropy(noise):
    y, f = np.arange(K), normalised_scores(K)
    want = gbo.CrossEntropyLoss(n_classes=K).gradient(y, f)
    errors, angles = [], []
    for n_noise in (1, 8, 64, 512):
        loss = gbo.NoiseContrastiveLoss(K, n_noise, noise)
        draws = range(4000 // n_noise + 40)
        mean = np.mean([replace(loss, draw=i).gradient(y, f) for i in draws], axis=0)
        errors.append(np.linalg.norm(mean - want) / np.linalg.norm(want))
        angles.append((mean * want).sum() / np.linalg.norm(mean) / np.linalg.norm(want))
    assert errors == sorted(errors, reverse=True)
    assert errors[-1] < 0.04
    assert angles[0] < 0.99
    assert angles[-1] > 0.999


@pytest.mark.parametrize("noise", ["uniform", list(range(1, K + 1))])
def test_log_probabilities_are_the_optimum_for_any_noise(noise):
    # Rows of every class with its probability; noise that may be the true class.
    f = normalised_scores(1)
    y, p = np.arange(K), np.exp(f[0])
    scores, draws = np.repeat(f, K, axis=0), 4000
    loss = gbo.NoiseContrastiveLoss(K, 4, noise)
    pulls = np.stack([p @ replace(loss, draw=i).gradient(y, scores) for i in range(draws)])
    error = pulls.std(axis=0) / np.sqrt(draws)
    assert (np.abs(pulls.mean(axis=0)) < 5 * error).all()


def test_the_metric_is_the_mean_over_all_noise():
    loss, y, f = gbo.NoiseContrastiveLoss(K, 4), np.arange(K), normalised_scores(K)
    values = [replace(loss, draw=i)(y, f) for i in range(4000)]
    error = np.std(values) / np.sqrt(len(values))
    assert loss.metric_value(y, f) == pytest.approx(np.mean(values), abs=5 * error)
    assert gbo.Metric(loss).name == "nce"


# ---- intercept and errors ------------------------------------------------------------------


def test_the_intercept_is_the_log_of_the_class_shares():
    loss = gbo.NoiseContrastiveLoss(4, noise="unigram")
    found = loss.intercept([0, 0, 1, 2], [1.0, 1.0, 2.0, 4.0])
    np.testing.assert_allclose(found, [*np.log([0.25, 0.25, 0.5]), -20])


def test_an_offset_that_is_right_needs_no_intercept():
    f = np.log(np.array([[0.5, 0.3, 0.2]]))
    y, w = np.arange(3), np.array([0.5, 0.3, 0.2])
    for noise in ("uniform", "unigram", [1.0, 2.0, 3.0]):
        found = gbo.NoiseContrastiveLoss(3, 2, noise).intercept(y, w, np.repeat(f, 3, axis=0))
        np.testing.assert_allclose(found, 0, atol=1e-12)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"n_classes": 1}, "n_classes must be an integer of at least 2; got 1"),
        ({"n_noise": 0}, "n_noise must be an integer of at least 1; got 0"),
        ({"noise": "zipf"}, "noise must be .*got 'zipf'"),
        ({"noise": [1.0, 2.0]}, "noise must hold 3 numbers; got 2"),
        ({"noise": [1.0, 0.0, 1.0]}, r"noise\[1\] must be a number in \(0, inf\)"),
        ({"seed": -1}, "seed must be an integer of at least 0; got -1"),
    ],
)
def test_bad_parameters(parameters, message):
    with pytest.raises(ValueError, match=f"NoiseContrastiveLoss: {message}"):
        gbo.NoiseContrastiveLoss(**{"n_classes": 3, **parameters})


def test_soft_labels_are_refused():
    loss = gbo.NoiseContrastiveLoss(3)
    with pytest.raises(ValueError, match=r"y_true must have shape \(n,\)"):
        loss.value(np.eye(3), np.zeros((3, 3)))


# ---- training ------------------------------------------------------------------------------


def sixteen_classes(n=1500):
    rng = np.random.default_rng(1)
    X = rng.uniform(-1, 1, size=(n, 4))
    y = (rng.normal(scale=0.15, size=X.shape) < X) @ [1, 2, 4, 8]
    return X, y


def train_lightgbm(X, y, loss):
    params = {"verbosity": -1, "num_leaves": 8, "learning_rate": 0.3, "num_threads": 1}
    return gbo.lgb.train(params, lightgbm.Dataset(X, y), 40, loss=loss).predict(X)


def train_xgboost(X, y, loss):
    params = {"max_depth": 3, "learning_rate": 0.3, "min_child_weight": 0.01, "nthread": 1}
    data = xgboost.DMatrix(X, y)
    return gbo.xgb.train(params, data, 40, loss=loss, verbose_eval=False).predict(data)


@pytest.mark.parametrize("train", [train_lightgbm, train_xgboost])
def test_it_trains_and_two_runs_give_the_same_model(train):
    X, y = sixteen_classes()
    loss = gbo.NoiseContrastiveLoss(n_classes=16, noise="unigram")
    p = train(X, y, loss)
    np.testing.assert_allclose(p.sum(axis=1), 1, rtol=1e-5)
    assert (p.argmax(axis=1) == y).mean() > 0.7
    np.testing.assert_array_equal(train(X, y, loss), p)
    assert (train(X, y, replace(loss, seed=1)) != p).any()
