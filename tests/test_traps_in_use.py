"""The fifteen traps, continued: metrics, copies, estimators, reproducibility, devices."""

import copy
import pickle
from dataclasses import dataclass
from types import SimpleNamespace

import cloudpickle
import lightgbm
import numpy as np
import pytest
import sklearn.base
import sklearn.metrics
import xgboost

import gbobjectives as gbo
from tests.boosting import (
    BINARY,
    CLASS,
    COUNT,
    LABELS,
    LGB,
    LOSS_OF_LINK,
    REAL,
    VALID,
    WEIGHT,
    XGB,
    N,
    X,
    both_libraries,
    dataset,
    distance,
    dmatrix,
    expit,
    lgb_log,
    raw,
    response,
    train_lgb,
    train_xgb,
    xgb_log,
)
from tests.versions import frames_and_subsets

EXACT_LOG = gbo.Objective(gbo.LogLoss(), curvature="exact")


# ---- 10 --------------------------------------------------------------------------------


@pytest.mark.parametrize("link", LOSS_OF_LINK)
def test_trap_10_metrics_of_the_loss_are_fed_raw_predictions(link):
    loss, kind = LOSS_OF_LINK[link]
    y = LABELS[kind]
    for log_of, tolerance in ((xgb_log, 2e-6), (lgb_log, 1e-9)):
        model, log = log_of(loss, y, w=WEIGHT)
        wanted = loss.metric_value(y[VALID], raw(model, VALID), WEIGHT[VALID])
        assert list(log) == [loss.metric_name]
        assert log[loss.metric_name][-1] == pytest.approx(wanted, abs=tolerance)


@pytest.mark.parametrize("log_of", [xgb_log, lgb_log], ids=["xgboost", "lightgbm"])
def test_trap_10_functions_are_fed_responses(log_of):
    metric = gbo.Metric(sklearn.metrics.brier_score_loss, greater_is_better=False)
    model, log = log_of(EXACT_LOG, BINARY, w=WEIGHT, metric=metric)
    p = expit(raw(model, VALID))
    wanted = np.average((p - BINARY[VALID]) ** 2, weights=WEIGHT[VALID])
    assert log["brier_score_loss"][-1] == pytest.approx(wanted, abs=2e-6)


@pytest.mark.parametrize(
    ("loss", "kind", "objective", "builtin"),
    [
        (gbo.LogLoss(), "binary", "binary:logistic", "logloss"),
        (gbo.CrossEntropyLoss(3), "class", "multi:softprob", "mlogloss"),
        (gbo.AbsoluteErrorLoss(), "real", "reg:squarederror", "mae"),
    ],
)
def test_trap_10_under_a_builtin_objective_of_xgboost_responses_are_given(
    loss, kind, objective, builtin
):
    params = XGB | {"objective": objective, "eval_metric": builtin}
    params |= {"num_class": 3} if kind == "class" else {}
    log, d = {}, dmatrix(LABELS[kind], WEIGHT)
    ours = gbo.xgb.metric(gbo.Metric(loss, name="ours"), given="response")
    xgboost.train(
        params, d, 5, evals=[(d, "d")], evals_result=log, custom_metric=ours, verbose_eval=False
    )
    np.testing.assert_allclose(log["d"]["ours"], log["d"][builtin], atol=2e-6)


@pytest.mark.parametrize(
    ("loss", "kind", "objective", "builtin"),
    [
        (gbo.LogLoss(), "binary", "binary", "binary_logloss"),
        (gbo.CrossEntropyLoss(3), "class", "multiclass", "multi_logloss"),
        (gbo.AbsoluteErrorLoss(), "real", "regression", "l1"),
    ],
)
def test_trap_10_under_a_builtin_objective_of_lightgbm_responses_are_given(
    loss, kind, objective, builtin
):
    params = LGB | {"objective": objective, "metric": builtin}
    params |= {"num_class": 3} if kind == "class" else {}
    log, d = {}, dataset(LABELS[kind], WEIGHT)
    ours = gbo.lgb.metric(loss, given="response")
    record = lightgbm.record_evaluation(log)
    lightgbm.train(params, d, 5, [d], ["d"], feval=ours, callbacks=[record])
    np.testing.assert_allclose(log["d"][loss.metric_name], log["d"][builtin], rtol=1e-6)


def test_trap_10_builtin_metrics_of_xgboost_are_right_by_the_named_objective():
    model, log = xgb_log(EXACT_LOG, BINARY, {"eval_metric": ["auc", "logloss"]})
    y, p = BINARY[VALID], expit(raw(model, VALID))
    assert log["auc"][-1] == pytest.approx(sklearn.metrics.roc_auc_score(y, p), abs=2e-6)
    assert log["logloss"][-1] == pytest.approx(sklearn.metrics.log_loss(y, p), abs=2e-6)


@pytest.mark.parametrize("name", ["binary_logloss", "l2", "rmse", "mape", "auc,l1", "binary_error"])
@pytest.mark.parametrize("alias", ["metric", "metrics", "metric_types"])
def test_trap_10_builtin_metrics_of_lightgbm_that_read_responses_are_refused(name, alias):
    with pytest.raises(ValueError, match=r"built-in metric '\w+' would read raw scores"):
        train_lgb(EXACT_LOG, BINARY, params={alias: name})


def test_trap_10_builtin_metrics_of_lightgbm_that_read_ranks_are_allowed_and_right():
    model, log = lgb_log(EXACT_LOG, BINARY, {"metric": "auc,average_precision"}, w=WEIGHT)
    y, p, w = BINARY[VALID], response(model, VALID), WEIGHT[VALID]
    auc = sklearn.metrics.roc_auc_score(y, p, sample_weight=w)
    assert log["auc"][-1] == pytest.approx(auc, rel=1e-9)
    precision = sklearn.metrics.average_precision_score(y, p, sample_weight=w)
    assert log["average_precision"][-1] == pytest.approx(precision, rel=1e-6)


# ---- 11 --------------------------------------------------------------------------------


def test_trap_11_a_tiny_metric_keeps_its_digits_in_xgboost():
    """XGBoost writes %f: a mean square of 1e-8 would be a constant, and stop at once."""
    y = REAL * np.float32(1e-3)
    model, log = xgb_log("squared_error", y, rounds=40, early_stopping_rounds=3)
    (name,) = log
    power = int(name.removeprefix("mse_x1e"))
    for i in (0, model.best_iteration):
        f = model.predict(dmatrix(y, None, VALID), iteration_range=(0, i + 1))
        mse = np.mean((f.astype(np.float64) - y[VALID]) ** 2)
        assert log[name][i] == pytest.approx(mse * 10**power, rel=1e-4)
    assert model.best_iteration == np.argmin(log[name]) > 5


def test_trap_11_names_have_no_blanks_and_no_default_metric_is_logged_in_xgboost():
    metric = gbo.Metric(gbo.SquaredErrorLoss(), name="my metric:\tof squares")
    _, log = xgb_log("huber", REAL, metric=metric)
    assert list(log) == ["my_metric_of_squares"]


@dataclass(frozen=True)
class AucSurrogateLoss(gbo.RowLoss):
    """A loss that XGBoost would maximise, for the name of its metric."""

    metric_name = "auc_surrogate"

    def _value(self, y, f):
        return (f - y) ** 2

    def _gradient(self, y, f):
        return 2 * (f - y)

    def _hessian(self, y, f):
        return np.full_like(f, 2.0)


def test_trap_11_a_loss_with_the_name_of_a_score_is_minimised_in_xgboost():
    loss = gbo.Objective(AucSurrogateLoss(), curvature="exact")
    model, log = xgb_log(loss, REAL, rounds=60, early_stopping_rounds=3)
    assert list(log) == ["loss_auc_surrogate"]
    assert model.best_iteration == np.argmin(log["loss_auc_surrogate"]) > 5


@pytest.mark.parametrize("log_of", [xgb_log, lgb_log], ids=["xgboost", "lightgbm"])
def test_trap_11_a_score_is_maximised(log_of):
    metric = gbo.Metric(sklearn.metrics.average_precision_score, greater_is_better=True)
    stop = (
        {"early_stopping_rounds": 10}
        if log_of is xgb_log
        else {"callbacks": [lightgbm.early_stopping(10, verbose=False)]}
    )
    model, log = log_of(EXACT_LOG, BINARY, rounds=100, metric=metric, **stop)
    values = log["average_precision_score"]
    best = model.best_iteration - (log_of is lgb_log)
    assert best == np.argmax(values) > np.argmin(values)
    assert len(values) == best + 11


def test_trap_11_stopping_watches_our_metric_whatever_else_is_logged_in_xgboost():
    worse = iter(range(1000))

    def custom(_, __):
        return [("theirs", float(next(worse)))]

    model, log = xgb_log(
        "squared_error",
        REAL,
        {"eval_metric": "mae"},
        rounds=60,
        custom_metric=custom,
        metric="squared_error",
        early_stopping_rounds=3,
    )
    assert list(log) == ["mae", "theirs", "mse"]
    assert model.best_iteration == np.argmin(log["mse"]) > 5


# ---- 12 --------------------------------------------------------------------------------

ADAPTERS = [
    make(gbo.FocalLoss(gamma=1.5))
    for library in (gbo.xgb, gbo.lgb)
    for make in (
        library.objective,
        library.metric,
        library.sklearn_objective,
        library.sklearn_metric,
    )
]


@pytest.mark.parametrize("adapter", ADAPTERS, ids=lambda a: type(a).__name__)
def test_trap_12_and_15_adapters_survive_copies_and_pickles(adapter):
    for twin in (
        copy.copy(adapter),
        copy.deepcopy(adapter),
        pickle.loads(pickle.dumps(adapter)),
        cloudpickle.loads(cloudpickle.dumps(adapter)),
        sklearn.base.clone(adapter, safe=False),
    ):
        assert twin == adapter
        assert type(adapter).__name__ in repr(twin)
        assert repr(twin) == repr(adapter)


def test_trap_12_xgboost_finds_the_name_of_an_estimators_metric():
    assert gbo.xgb.sklearn_metric("mae").__name__ == "mae"
    score = gbo.xgb.sklearn_metric(
        sklearn.metrics.average_precision_score, loss="log", greater_is_better=True
    )
    assert score.__name__ == "neg_average_precision_score"
    f = np.array([0.3, 1.0, -2.0])
    wanted = sklearn.metrics.average_precision_score([1, 0, 1], expit(f))
    assert score(np.array([1.0, 0.0, 1.0]), f) == pytest.approx(-wanted)


def fingerprint(model):
    return model.save_raw() if isinstance(model, xgboost.Booster) else model.model_to_string()


@both_libraries
def test_trap_12_an_objective_used_before_trains_bitwise_the_same_model(train, data, adapters):
    """What an objective remembers of one data set must not leak into another."""
    used = gbo.Objective(gbo.HuberLoss())
    first = fingerprint(train(used, REAL))
    assert fingerprint(train(used, REAL)) == first
    other = REAL[::-1] * np.float32(3)
    assert fingerprint(train(used, other, WEIGHT)) == fingerprint(train("huber", other, WEIGHT))


# ---- 13 --------------------------------------------------------------------------------

ESTIMATOR = {"n_estimators": 10, "max_depth": 3, "learning_rate": 0.2, "n_jobs": 1}
QUIET = {"verbosity": -1, "min_child_samples": 5}
weighted = pytest.mark.parametrize("w", [None, WEIGHT], ids=["plain", "weighted"])


@weighted
def test_trap_13_xgbregressor_and_xgbclassifier_equal_the_builtin(w):
    ours = gbo.xgb.sklearn_objective(gbo.SquaredErrorLoss())
    one, two = (
        xgboost.XGBRegressor(**ESTIMATOR, objective=objective, base_score=0.5)
        .fit(X, REAL, sample_weight=w)
        .predict(X)
        for objective in (ours, "reg:squarederror")
    )
    assert distance(one, two) < 1e-6
    one, two = (
        xgboost.XGBClassifier(**ESTIMATOR, objective=objective, base_score=0.5)
        .fit(X, BINARY, sample_weight=w)
        .predict_proba(X)
        for objective in (gbo.xgb.sklearn_objective(EXACT_LOG), "binary:logistic")
    )
    assert distance(one, two) < 1e-6


@weighted
def test_trap_13_lgbmregressor_and_lgbmclassifier_equal_the_builtin(w):
    ours = gbo.lgb.sklearn_objective(gbo.SquaredErrorLoss())
    settings = ESTIMATOR | QUIET | {"boost_from_average": False}
    one, two = (
        lightgbm.LGBMRegressor(**settings, objective=objective)
        .fit(X, REAL, sample_weight=w)
        .predict(X)
        for objective in (ours, "regression")
    )
    assert distance(one, two) < 1e-6
    ours, builtin = (
        lightgbm.LGBMClassifier(**settings, objective=objective).fit(X, BINARY, sample_weight=w)
        for objective in (gbo.lgb.sklearn_objective(EXACT_LOG), "binary")
    )
    scores = ours.predict(X, raw_score=True)
    assert distance(expit(scores), builtin.predict_proba(X)[:, 1]) < 1e-6


@weighted
def test_trap_13_metrics_of_estimators_weigh_their_rows(w):
    sets = {"eval_set": [(X, REAL)], "sample_weight": w}
    sets |= {} if w is None else {"sample_weight_eval_set": [w]}
    model = xgboost.XGBRegressor(
        **ESTIMATOR, objective=gbo.xgb.sklearn_objective("mae"), base_score=0.5,
        eval_metric=gbo.xgb.sklearn_metric("mae"),
    ).fit(X, REAL, verbose=False, **sets)  # fmt: skip
    wanted = np.average(np.abs(model.predict(X) - REAL), weights=w)
    assert model.evals_result()["validation_0"]["mae"][-1] == pytest.approx(wanted, abs=2e-6)


@frames_and_subsets
def test_trap_13_rankers():
    group, loss = [100, 200, 300], gbo.MarginRankingLoss()
    model = lightgbm.LGBMRanker(**ESTIMATOR | QUIET, objective=gbo.lgb.sklearn_objective(loss))
    model.fit(X, CLASS, group=group, sample_weight=WEIGHT)
    scores = model.predict(X)
    assert loss(CLASS, scores, WEIGHT, group) < 0.5 * loss(CLASS, np.zeros(N), WEIGHT, group)
    with pytest.raises(ValueError, match="MarginRankingLoss needs groups, and XGBRanker refuses"):
        gbo.xgb.sklearn_objective(loss)


# ---- 14, 15 ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "params",
    [
        {"feature_fraction": 0.4},
        {"feature_fraction_bynode": 0.4},
        {"bagging_fraction": 0.5, "bagging_freq": 2},
        {"data_sample_strategy": "goss"},
        {"extra_trees": True},
        {"min_sum_hessian_in_leaf": 20.0, "lambda_l2": 5.0, "path_smooth": 2.0},
    ],
    ids=str,
)
def test_trap_14_lightgbm_draws_and_regularises_as_the_builtin(params):
    builtin = lightgbm.train(LGB | params | {"objective": "regression"}, dataset(REAL), 30)
    ours = train_lgb(gbo.SquaredErrorLoss(), REAL, rounds=30, params=params)
    assert distance(raw(ours), raw(builtin)) < 1e-5


@pytest.mark.parametrize(
    "params",
    [
        {"subsample": 0.5, "colsample_bynode": 0.5},
        {"tree_method": "exact", "colsample_bytree": 0.4},
        {"tree_method": "approx"},
        {"min_child_weight": 20.0, "reg_lambda": 5.0, "gamma": 1.0},
    ],
    ids=str,
)
def test_trap_14_xgboost_draws_and_regularises_as_the_builtin(params):
    params = XGB | params | {"base_score": 0.25}
    builtin = xgboost.train(params | {"objective": "reg:squarederror"}, dmatrix(REAL), 30)
    ours = train_xgb(gbo.SquaredErrorLoss(), REAL, rounds=30, params=params)
    assert distance(raw(ours), raw(builtin)) < 1e-5


class DeviceArray:
    """What cupy hands out, as far as it matters: NumPy cannot read it, ``get`` copies it."""

    def __init__(self, values):
        self.values = values
        self.size = values.size

    def get(self):
        return self.values

    def __array__(self, *_, **__):
        raise TypeError("Implicit conversion to a NumPy array is not allowed")


DeviceArray.__module__ = "cupy._core.core"


def test_trap_15_labels_on_a_device_are_brought_to_the_host():
    real = dmatrix(COUNT, WEIGHT)
    fake = SimpleNamespace(
        num_row=lambda: N,
        get_label=lambda: DeviceArray(COUNT),
        get_weight=lambda: DeviceArray(WEIGHT),
        get_uint_info=lambda _: DeviceArray(np.empty(0, dtype=np.uint32)),
    )
    margins = X[:, 0]
    objective, metric = gbo.xgb.objective("poisson"), gbo.xgb.metric("poisson")
    np.testing.assert_array_equal(objective(margins, fake), objective(margins, real))
    assert metric(margins, fake) == metric(margins, real)
