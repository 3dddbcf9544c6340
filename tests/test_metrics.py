"""`Metric`: the number itself, its weights, its link, its direction and its copies."""

import copy
import pickle

import numpy as np
import pytest
import sklearn.metrics

import gbobjectives as gbo
from tests.boosting import (
    BINARY,
    CLASS,
    COUNT,
    REAL,
    WEIGHT,
    N,
    X,
    dmatrix,
    expit,
    lgb_log,
    xgb_log,
)

F = (X[:, 0] + 0.25 * X[:, 3]).astype(np.float64)
SCORES = np.stack([F, X[:, 1], -F], axis=1)
P = expit(F)
SOFTMAX = np.exp(SCORES) / np.exp(SCORES).sum(axis=1, keepdims=True)
R = F - REAL

weighted = pytest.mark.parametrize("w", [None, WEIGHT], ids=["plain", "weighted"])


# ---- of a loss -------------------------------------------------------------------------


@weighted
@pytest.mark.parametrize(
    ("loss", "name", "y", "f", "rows"),
    [
        (gbo.AbsoluteErrorLoss(), "mae", REAL, F, np.abs(R)),
        (gbo.QuantileLoss(0.8), "pinball", REAL, F, np.maximum(-0.8 * R, 0.2 * R)),
        (gbo.SquaredErrorLoss(), "mse", REAL, F, R**2),
        (
            gbo.HuberLoss(delta=0.5),
            "huber",
            REAL,
            F,
            np.where(np.abs(R) < 0.5, R**2 / 2, 0.5 * np.abs(R) - 0.125),
        ),
        (gbo.PoissonLoss(), "poisson", COUNT, F, np.exp(F) - COUNT * F),
        (
            gbo.LogLoss(),
            "log_loss",
            BINARY,
            F,
            -BINARY * np.log(P) - (1 - BINARY) * np.log(1 - P),
        ),
        (
            gbo.CrossEntropyLoss(3),
            "cross_entropy",
            CLASS,
            SCORES,
            -np.log(SOFTMAX[np.arange(N), CLASS.astype(int)]),
        ),
    ],
    ids=lambda v: v if isinstance(v, str) else "",
)
def test_the_metric_of_a_loss_is_its_formula(loss, name, y, f, rows, w):
    metric = gbo.Metric(loss)
    assert metric.name == name
    assert metric.greater_is_better is False
    value = metric(y, f, w)
    assert isinstance(value, float)
    assert value == pytest.approx(np.average(rows, weights=w), rel=1e-6)


@weighted
def test_log_loss_and_cross_entropy_are_those_of_scikit_learn(w):
    wanted = sklearn.metrics.log_loss(BINARY, P, sample_weight=w)
    assert gbo.Metric("log")(BINARY, F, w) == pytest.approx(wanted, rel=1e-9)
    wanted = sklearn.metrics.log_loss(CLASS, SOFTMAX, sample_weight=w)
    assert gbo.Metric(gbo.CrossEntropyLoss(3))(CLASS, SCORES, w) == pytest.approx(wanted, rel=1e-9)


@pytest.mark.parametrize(
    ("loss", "y", "f", "response"),
    [
        (gbo.AbsoluteErrorLoss(), REAL, F, F),
        (gbo.LogLoss(), BINARY, F, P),
        (gbo.PoissonLoss(), COUNT, F, np.exp(F)),
        (gbo.CrossEntropyLoss(3), CLASS, SCORES, SOFTMAX),
    ],
    ids=["identity", "logit", "log", "softmax"],
)
def test_responses_give_the_number_that_raw_predictions_give(loss, y, f, response):
    metric = gbo.Metric(loss)
    wanted = metric(y, f, WEIGHT)
    assert metric(y, response, WEIGHT, given="response") == pytest.approx(wanted, rel=1e-9)


def test_groups_are_handed_to_a_loss_of_groups():
    loss, sizes = gbo.MarginRankingLoss(), np.array([100, 200, 300])
    parts = np.split(np.arange(N), np.cumsum(sizes)[:-1])
    alone = [loss(REAL[rows], F[rows], WEIGHT[rows]) for rows in parts]
    total = [WEIGHT[rows].sum() for rows in parts]
    value = gbo.Metric(loss)(REAL, F, WEIGHT, sizes)
    assert value == pytest.approx(np.average(alone, weights=total), rel=1e-6)


def test_a_loss_may_come_as_a_name_or_an_objective_and_is_minimised():
    assert gbo.Metric("mae") == gbo.Metric(gbo.AbsoluteErrorLoss())
    assert gbo.Metric(gbo.Objective("mae")) == gbo.Metric("mae")
    with pytest.raises(ValueError, match=r"a loss is minimised; got greater_is_better for Absol"):
        gbo.Metric("mae", greater_is_better=True)
    with pytest.raises(TypeError, match=r"a loss, a name or a function is wanted; got 3"):
        gbo.Metric(3)


# ---- of a loss whose parameter is "auto" -----------------------------------------------


def test_an_auto_metric_is_one_function_of_the_predictions_per_data_set():
    """delta would shrink with the residuals otherwise, and every model would look better."""
    metric = gbo.Metric(gbo.HuberLoss())
    constant = np.full(N, gbo.HuberLoss().intercept(REAL)[0])
    delta = gbo.HuberLoss().resolve(REAL, constant).delta
    for f in (F, 0.1 * F, REAL.astype(np.float64) + 0.01):
        assert metric(REAL, f) == pytest.approx(gbo.HuberLoss(delta=delta)(REAL, f), rel=1e-9)
    wide = metric(3 * REAL, 3 * F)
    assert wide == pytest.approx(9 * metric(REAL, F), rel=1e-3), "another data set, another delta"


@weighted
def test_resolved_on_fixes_delta_at_the_best_constant(w):
    metric = gbo.Metric(gbo.HuberLoss())
    fixed = metric.resolved_on(REAL, w)
    constant = np.full(N, gbo.HuberLoss().intercept(REAL, w)[0])
    assert fixed.of == gbo.HuberLoss().resolve(REAL, constant, w)
    assert fixed.of.resolved
    assert fixed(REAL[:50], F[:50]) == pytest.approx(fixed.of(REAL[:50], F[:50]))
    assert not metric.of.resolved, "the metric itself is unchanged"
    for other in (gbo.Metric("mse"), gbo.Metric(np.mean, greater_is_better=True)):
        assert other.resolved_on(REAL, w) is other


@pytest.mark.parametrize("log_of", [xgb_log, lgb_log], ids=["xgboost", "lightgbm"])
def test_train_watches_the_function_fixed_at_the_training_labels(log_of):
    """The training rows decide on delta, not the validation rows."""
    loss = gbo.HuberLoss()
    y = np.where(np.arange(N) < 400, REAL, 10 * REAL).astype(np.float32)
    start = loss.intercept(y[:400], WEIGHT[:400])
    fixed = loss.resolve(y[:400], np.full(400, start[0]), WEIGHT[:400])
    model, log = log_of(loss, y, w=WEIGHT)
    f = model.predict(X[400:]) if log_of is lgb_log else model.inplace_predict(X[400:])
    wanted = fixed(y[400:], f, WEIGHT[400:])
    assert log["huber"][-1] == pytest.approx(wanted, rel=1e-5)


# ---- of a function ---------------------------------------------------------------------


@weighted
@pytest.mark.parametrize(
    ("function", "better"),
    [
        (sklearn.metrics.average_precision_score, True),
        (sklearn.metrics.roc_auc_score, True),
        (sklearn.metrics.brier_score_loss, False),
    ],
    ids=lambda v: getattr(v, "__name__", ""),
)
def test_functions_are_given_responses_and_weights(function, better, w):
    metric = gbo.Metric(function, greater_is_better=better).with_link(gbo.LogLoss.link)
    wanted = pytest.approx(function(BINARY, P, sample_weight=w), rel=1e-12)
    assert metric(BINARY, F, w) == wanted
    assert metric(BINARY, P, w, given="response") == wanted
    assert metric.name == function.__name__
    assert metric.greater_is_better is better


def test_the_link_of_a_function_is_that_of_the_loss_or_its_own():
    bare = gbo.Metric(sklearn.metrics.mean_absolute_error, greater_is_better=False)
    with pytest.raises(ValueError, match="is given raw predictions and knows no link; give loss="):
        bare(COUNT, F)
    wanted = pytest.approx(np.abs(COUNT - np.exp(F)).mean())
    assert bare(COUNT, np.exp(F), given="response") == wanted
    for library in (gbo.xgb, gbo.lgb):
        adapter = library.metric(
            sklearn.metrics.mean_absolute_error, loss="poisson", greater_is_better=False
        )
        assert adapter.metric(COUNT, F) == wanted
    linked = bare.with_link(gbo.PoissonLoss.link)
    assert linked.with_link(gbo.LogLoss.link) is linked, "a link that is there stays"


def unweighted(y_true, y_pred):
    return float(np.mean(y_pred))


def test_a_function_without_weights_is_refused_where_there_are_weights():
    metric = gbo.Metric(unweighted, greater_is_better=True).with_link(gbo.LogLoss.link)
    assert metric(BINARY, F) == pytest.approx(P.mean())
    with pytest.raises(TypeError, match="the data has weights, and unweighted takes no sample_w"):
        metric(BINARY, F, WEIGHT)


@pytest.mark.parametrize("direction", [None, 1, "max"])
def test_a_function_needs_a_direction(direction):
    with pytest.raises(ValueError, match="unweighted says nothing of its direction"):
        gbo.Metric(unweighted, greater_is_better=direction)


# ---- names and copies ------------------------------------------------------------------


def test_names_and_multiplier():
    assert gbo.Metric("mae", name="one two:\tthree").name == "one_two_three"
    metric = gbo.Metric("mae", multiplier=1e6)
    assert metric(REAL, F) == pytest.approx(1e6 * np.abs(R).mean(), rel=1e-6)


@pytest.mark.parametrize(
    "metric",
    [
        gbo.Metric("huber"),
        gbo.Metric(sklearn.metrics.brier_score_loss, greater_is_better=False, name="brier"),
    ],
    ids=["loss", "function"],
)
def test_metrics_survive_copies_and_pickles(metric):
    metric = metric.with_link(gbo.LogLoss.link)
    value = metric(BINARY, F, WEIGHT)
    for twin in (
        copy.copy(metric),
        copy.deepcopy(metric),
        pickle.loads(pickle.dumps(metric)),
    ):
        assert twin == metric
        assert repr(twin) == repr(metric)
        assert twin(BINARY, F, WEIGHT) == value
    assert f"name={metric.name!r}" in repr(metric)
    assert "_cache" not in repr(metric)


def test_trap_11_a_metric_that_xgboost_cannot_print_warns():
    metric, d = gbo.xgb.metric(gbo.SquaredErrorLoss()), dmatrix(REAL)
    with pytest.warns(
        UserWarning, match="XGBoost keeps six decimals of a metric, and mse is 1e-06"
    ):
        metric(REAL + np.float32(0.001), d)
