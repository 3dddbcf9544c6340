"""Metrics as functions: the worked example, weights, names that `Metric` knows."""

import numpy as np
import pytest
import sklearn.metrics

import gbobjectives as gbo
from gbobjectives import metrics

Y_TRUE, Y_PRED = [[0, 1, 1], [0, 0, 1]], [[1, 1, 0], [1, 0, 1]]

WORKED = {
    "mse": [0.6666667, 0.33333334],
    "rmse": [0.8164966, 0.57735026],
    "mae": [0.6666667, 0.33333334],
    "mape": [3.3333338e08, 3.3333331e08],
    "smape": [1.3333334, 0.6666667],
    "msle": [0.32030192, 0.16015096],
    "logcosh": [0.2891872, 0.1445936],
    "hinge": [0.6666667, 0.6666667],
    "squared_hinge": [0.6666667, 0.6666667],
    "categorical_hinge": [1.0, 1.0],
    "zero_one": [0.6666667, 0.33333334],
    "accuracy": [0.33333334, 0.6666667],
}


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", WORKED)
def test_worked_example(name, dtype):
    y, p = np.asarray(Y_TRUE, dtype=dtype), np.asarray(Y_PRED, dtype=dtype)
    np.testing.assert_allclose(getattr(metrics, name)(y, p), WORKED[name], rtol=1e-6)


@pytest.mark.parametrize("name", sorted(set(metrics.NAMED) | (set(WORKED) - {"categorical_hinge"})))
def test_weights_and_one_data_set(name):
    rng = np.random.default_rng(0)
    y, p = rng.integers(0, 2, 60), rng.uniform(size=60)
    w = rng.integers(0, 3, 60)
    function = getattr(metrics, name)
    assert np.ndim(function(y, p)) == 0
    weighted, repeated = function(y, p, sample_weight=w), function(np.repeat(y, w), np.repeat(p, w))
    assert weighted == pytest.approx(repeated, rel=1e-12)


def test_those_of_scikit_learn():
    rng = np.random.default_rng(1)
    y, p = rng.gamma(1.0, size=50), rng.gamma(1.0, size=50)
    assert metrics.rmse(y, p) == pytest.approx(sklearn.metrics.root_mean_squared_error(y, p))
    assert metrics.msle(y, p) == pytest.approx(sklearn.metrics.mean_squared_log_error(y, p))
    assert metrics.mape(y, p) == pytest.approx(
        100 * sklearn.metrics.mean_absolute_percentage_error(y, p)
    )
    labels, shares = rng.integers(0, 3, 50), rng.uniform(size=(50, 3))
    assert metrics.accuracy(labels, shares) == sklearn.metrics.accuracy_score(
        labels, shares.argmax(axis=1)
    )
    signs, margins = 2 * rng.integers(0, 2, 50) - 1, rng.normal(size=50)
    assert metrics.hinge(signs, margins) == pytest.approx(
        sklearn.metrics.hinge_loss(signs, margins)
    )


@pytest.mark.parametrize(("name", "better"), [(k, v[1]) for k, v in metrics.NAMED.items()])
def test_metric_knows_them_by_name(name, better):
    metric = gbo.Metric(name, link=gbo.LogLoss.link)
    assert metric.greater_is_better is better
    assert metric.name == name
    y, f = np.array([0.0, 1.0, 1.0]), np.array([-1.0, 2.0, -0.5])
    assert metric(y, f) == pytest.approx(getattr(metrics, name)(y, gbo.LogLoss().predict(f)))
    with pytest.raises(ValueError, match=f"Metric: {name} has greater_is_better={better}"):
        gbo.Metric(name, greater_is_better=not better)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: metrics.mse([1, 2], [1]), r"mse: y_true and y_pred must have the same shape"),
        (lambda: metrics.mae([], []), "mae: y_true and y_pred must have the same shape, not empty"),
        (lambda: metrics.mae([np.nan], [1.0]), "mae: y_true must be finite; got nan at row 0"),
        (lambda: metrics.msle([0.0], [-1.0]), "msle: y_pred must exceed -1; got -1"),
        (lambda: metrics.categorical_hinge([1], [1]), r"y_true must be one-hot, \(n, K\)"),
    ],
)
def test_bad_input(call, message):
    with pytest.raises(ValueError, match=message):
        call()


# ---- zero-one --------------------------------------------------------------------------


def test_zero_one_is_a_metric_and_no_objective():
    loss = gbo.get_loss("zero_one")
    assert loss == gbo.get_loss("accuracy") == gbo.ZeroOneLoss()
    assert "zero_one" not in gbo.list_losses(), "what is listed can be trained"
    for call in (
        lambda: gbo.Objective("zero_one"),
        lambda: loss.gradient([1.0], [0.0]),
        lambda: loss.hessian([1.0], [0.0]),
        lambda: loss.curvature([1.0], [0.0]),
        lambda: loss.intercept([1.0]),
        lambda: gbo.xgb.objective("accuracy"),
        lambda: gbo.lgb.sklearn_objective(loss),
    ):
        with pytest.raises(ValueError, match="ZeroOneLoss: it has no derivative, so that it is a"):
            call()


def test_zero_one_counts_wrong_signs():
    y, f, w = [1.0, 0.0, 1.0, 0.0], [0.5, 0.5, -0.5, -0.5], [1.0, 2.0, 3.0, 4.0]
    assert gbo.Metric(gbo.ZeroOneLoss())(y, f, w) == pytest.approx(0.5)
    assert gbo.Metric("accuracy", link=gbo.LogLoss.link)(y, f, w) == pytest.approx(0.5)


# ---- labels that are not what they seem ------------------------------------------------


def test_functions_see_bound_targets_and_no_ignored_rows():
    targets = np.array([0.0, 1.0, 1.0, 0.0])
    rows, f = np.array([3, 1, 2, 0]), np.array([1.0, 2.0, -3.0, -4.0])
    bound = gbo.xgb.metric("accuracy", loss=gbo.LogLoss().bind(targets)).metric
    assert bound(rows, f) == metrics.accuracy(targets[rows], f > 0)
    masked = gbo.lgb.metric("accuracy", loss=gbo.LogLoss(ignore_index=-1)).metric
    y = np.array([1.0, -1.0, 1.0, 0.0])
    w = np.array([1.0, 7.0, 2.0, 1.0])
    assert masked(y, f, w) == pytest.approx(0.5)


def test_metrics_of_losses_see_bound_targets():
    targets = np.array([0.0, 1.0, 1.0, 0.0])
    metric = gbo.xgb.metric(gbo.FocalLoss(), loss=gbo.LogLoss().bind(targets)).metric
    f = np.array([1.0, 2.0, -3.0, -4.0])
    assert metric([3, 1, 2, 0], f) == pytest.approx(gbo.FocalLoss()(targets[[3, 1, 2, 0]], f))
