"""`gbobjectives.cat`: the numbers of CatBoost's own objectives, from the loss's own intercept."""

import copy
import pickle
import sys

import catboost
import catboost.utils
import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.metrics import average_precision_score
from sklearn.model_selection import GridSearchCV

import gbobjectives as gbo
from gbobjectives.adapters.saved import KEY
from tests.boosting import (
    BINARY,
    COUNT,
    LABELS,
    LOSS_OF_LINK,
    REAL,
    TRAIN,
    VALID,
    WEIGHT,
    N,
    X,
    distance,
)

SETTINGS = {"depth": 4, "learning_rate": 0.2, "thread_count": 1, "random_seed": 1, "verbose": False}
ONE_STEP = {"leaf_estimation_method": "Newton", "leaf_estimation_iterations": 1}
BUILTINS = [
    ("RMSE", "real", gbo.SquaredErrorLoss()),
    ("Logloss", "binary", gbo.LogLoss()),
    ("CrossEntropy", "binary", gbo.LogLoss()),
    ("Poisson", "count", gbo.PoissonLoss()),
    ("Tweedie:variance_power=1.3", "count", gbo.TweedieLoss(power=1.3)),
    ("Huber:delta=0.5", "real", gbo.HuberLoss(delta=0.5)),
    ("LogCosh", "real", gbo.LogCoshLoss(delta=1.0)),
    ("Expectile:alpha=0.7", "real", gbo.ExpectileLoss(0.7)),
]
VALUES = [
    ("Focal:focal_alpha=0.25;focal_gamma=2", BINARY, gbo.FocalLoss(gamma=2.0, alpha=0.25), 1e-6),
    # CatBoost's logarithm of cosh is an approximation.
    ("LogCosh", REAL, gbo.LogCoshLoss(delta=1.0), 1e-3),
    ("Expectile:alpha=0.3", REAL, gbo.ExpectileLoss(0.3), 1e-6),
    ("Lq:q=1.5", REAL, gbo.LqLoss(q=1.5), 1e-6),
    ("Quantile:alpha=0.8", REAL, gbo.QuantileLoss(0.8), 1e-5),
    ("Huber:delta=0.7", REAL, gbo.HuberLoss(delta=0.7), 1e-6),
]
weights = pytest.mark.parametrize("w", [None, WEIGHT], ids=["plain", "weighted"])
one_output = pytest.mark.parametrize("link", [x for x in LOSS_OF_LINK if x != "softmax"])


def pool(y, w=None, rows=slice(None), baseline=None):
    cut = [None if x is None else x[rows] for x in (w, baseline)]
    return catboost.Pool(X[rows], y[rows], weight=cut[0], baseline=cut[1])


def builtin(name, data, rounds=50, **params):
    settings = SETTINGS | {"loss_function": name, "iterations": rounds} | params
    return catboost.CatBoost(settings | {"allow_writing_files": False}).fit(data)


@pytest.mark.parametrize(("name", "y", "loss", "rtol"), VALUES, ids=[x[0] for x in VALUES])
def test_values_are_those_of_its_metrics(name, y, loss, rtol):
    f = X[:, 0].astype(np.float64)
    (wanted,) = catboost.utils.eval_metric(y, f, name)
    assert gbo.Metric(loss)(y, f) == pytest.approx(wanted, rel=rtol)


def train(loss, data, rounds=50, params=(), **options):
    return gbo.cat.train(SETTINGS | dict(params), data, rounds, loss=loss, **options)


def exact(loss):
    return gbo.Objective(loss, curvature="exact", scale=None)


# ---- parity with the built-in objectives -----------------------------------------------


@pytest.mark.parametrize(("name", "kind", "loss"), BUILTINS, ids=[x[0] for x in BUILTINS])
@weights
@pytest.mark.parametrize("method", ["Newton", "Gradient"])
def test_parity_after_50_rounds(name, kind, loss, w, method):
    """Of the plain objective: both start at 0. A wrong sign would be off by a few percent."""
    data = pool(LABELS[kind], w)
    params = ONE_STEP | {"leaf_estimation_method": method}
    theirs = builtin(name, data, boost_from_average=False, **params)
    ours = builtin(gbo.cat.objective(exact(loss)), data, eval_metric=gbo.cat.metric(loss), **params)
    assert distance(ours.predict(X), theirs.predict(X)) < 1e-6


@pytest.mark.parametrize(("name", "kind"), [("RMSE", "real"), ("Logloss", "binary")])
@weights
def test_parity_from_the_intercept(name, kind, w):
    loss = dict(RMSE=gbo.SquaredErrorLoss(), Logloss=gbo.LogLoss())[name]
    y = LABELS[kind] if kind == "binary" else LABELS[kind] + 10
    theirs = builtin(name, pool(y, w), boost_from_average=True, **ONE_STEP)
    ours = train(exact(loss), pool(y, w), params=ONE_STEP)
    assert ours.get_scale_and_bias() == pytest.approx(theirs.get_scale_and_bias(), rel=1e-4)
    assert distance(ours.predict(X), theirs.predict(X)) < 1e-6


@pytest.mark.parametrize("params", [
    {"boosting_type": "Ordered"},
    {"grow_policy": "Lossguide", "max_leaves": 7},
    {"grow_policy": "Depthwise"},
    {"bootstrap_type": "Bernoulli", "subsample": 0.5},
    {"bootstrap_type": "Bayesian"},
    {"leaf_estimation_iterations": 5},
    {"rsm": 0.5, "l2_leaf_reg": 0.1, "score_function": "L2"},
], ids=str)  # fmt: skip
def test_parity_under_options_of_the_booster(params):
    data = pool(REAL + 3)
    theirs, ours = builtin("RMSE", data, 20, **params), train("squared_error", data, 20, params)
    assert distance(ours.predict(X), theirs.predict(X)) < 1e-6


def test_parity_with_categorical_features():
    frame = pd.DataFrame(X, columns=list("abcde"))
    frame["kind"] = np.array(list("pqrs"))[(np.abs(X[:, 3]) * 10).astype(int) % 4]
    data = catboost.Pool(frame, REAL + (frame.kind == "p"), cat_features=["kind"])
    theirs, ours = builtin("RMSE", data, 20), train("squared_error", data, 20)
    assert distance(ours.predict(data), theirs.predict(data)) < 1e-6


# ---- intercept, weights, metric --------------------------------------------------------


@one_output
@weights
def test_model_starts_at_the_intercept_of_the_loss(link, w):
    loss, kind = LOSS_OF_LINK[link]
    model = train(loss, pool(LABELS[kind], w), 1, {"l2_leaf_reg": 1e15})
    np.testing.assert_allclose(model.predict(X), loss.intercept(LABELS[kind], w)[0], rtol=1e-9)


def test_weight_is_repetition():
    times = np.random.default_rng(1).integers(0, 4, N)
    coarse = X.round(1)
    # The penalty is times the mean weight, and the noise of scores depends on the rows.
    params = {"bootstrap_type": "No", "random_strength": 0, "l2_leaf_reg": 1e-9}
    loss = gbo.HuberLoss(delta=0.5)
    weighted, repeated = (
        train(loss, data, 20, params)
        for data in (
            catboost.Pool(coarse, REAL, weight=times),
            catboost.Pool(np.repeat(coarse, times, axis=0), np.repeat(REAL, times)),
        )
    )
    assert distance(weighted.predict(coarse), repeated.predict(coarse)) < 1e-5


def test_block_of_rows_without_weight():
    """CatBoost hands over 500 rows at a time; these are all left out."""
    w = np.where(np.arange(N) < 500, 0, 1).astype(np.float32)
    theirs, ours = (builtin("RMSE", pool(REAL, w), 20), train("squared_error", pool(REAL, w), 20))
    assert distance(ours.predict(X), theirs.predict(X)) < 1e-6


@one_output
@weights
def test_early_stopping_on_the_metric_of_the_loss(link, w):
    loss, kind = LOSS_OF_LINK[link]
    y = LABELS[kind]
    data, valid = pool(y, w, TRAIN), pool(y, w, VALID)
    model = train(loss, data, 300, eval_set=valid, early_stopping_rounds=5)
    log = model.evals_result_["validation"][loss.metric_name]
    assert model.best_iteration_ == np.argmin(log) == len(log) - 6
    assert model.tree_count_ == model.best_iteration_ + 1
    weight = None if w is None else w[VALID]
    value = loss.metric_value(y[VALID], model.predict(X[VALID]), weight)
    assert model.best_score_["validation"][loss.metric_name] == pytest.approx(value, rel=1e-6)


def test_metric_that_is_maximised_and_sees_responses_and_weights():
    ours = gbo.Metric(average_precision_score, greater_is_better=True)
    data, valid = pool(BINARY, WEIGHT, TRAIN), pool(BINARY, WEIGHT, VALID)
    options = {"metric": ours, "eval_set": [valid, data], "early_stopping_rounds": 5}
    model = train(gbo.FocalLoss(), data, 100, **options)
    p = gbo.FocalLoss().predict(model.predict(X[TRAIN]))
    wanted = average_precision_score(BINARY[TRAIN], p, sample_weight=WEIGHT[TRAIN])
    last = model.evals_result_["validation_1"]["average_precision_score"]
    assert model.best_iteration_ == np.argmax(last)
    assert max(last) == pytest.approx(wanted, rel=1e-6)


def test_metric_is_one_call_of_all_rows_and_derivatives_are_blocks():
    """What the refusals below rest on."""
    n, seen, rows = 5000, [], []

    class Spy:
        no_jit = True

        def calc_ders_range(self, approxes, targets, weights):
            rows.append(len(targets))
            return np.column_stack([targets - approxes, -np.ones(len(targets))])

        def is_max_optimal(self):
            return False

        def evaluate(self, approxes, target, weight):
            seen.append(len(target))
            return float(((approxes[0] - target) ** 2).sum()), float(len(target))

        def get_final_error(self, error, weight):
            return error / weight

    x = np.random.default_rng(3).normal(size=(n, 2))
    builtin(Spy(), catboost.Pool(x, x[:, 0]), 2, eval_metric=Spy())
    assert set(seen) == {n}
    assert max(rows) == 1000


def test_baseline_is_kept():
    offset = 2.0 * X[:, 1].astype(np.float64)
    loss = gbo.HuberLoss(delta=1.0)
    data, valid = (pool(REAL, None, rows, offset) for rows in (TRAIN, VALID))
    model = train(loss, data, 20, eval_set=valid)
    bias = loss.intercept(REAL[TRAIN], None, offset[TRAIN])[0]
    assert model.get_scale_and_bias() == (1.0, pytest.approx(bias))
    wanted = loss(REAL[VALID], model.predict(X[VALID]) + offset[VALID])
    assert min(model.evals_result_["validation"]["huber"]) == pytest.approx(wanted, rel=1e-6)
    with pytest.raises(ValueError, match="both have a baseline"):
        train(loss, data, eval_set=pool(REAL, None, VALID))


# ---- the model afterwards --------------------------------------------------------------


@one_output
def test_response_after_saving(link, tmp_path):
    loss, kind = LOSS_OF_LINK[link]
    model = train(loss, pool(LABELS[kind]), 20)
    wanted = loss.predict(model.predict(X))
    for kind in ("cbm", "json"):
        model.save_model(tmp_path / kind, format=kind)
        loaded = catboost.CatBoost().load_model(tmp_path / kind, format=kind)
        np.testing.assert_allclose(loss.predict(loaded.predict(X)), wanted, rtol=1e-12)
        assert loss.name in loaded.get_metadata()[KEY]
        assert gbo.loss_of(loaded) == gbo.loss_of(model)
        np.testing.assert_allclose(gbo.predict(loaded, X), wanted, rtol=1e-12)
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(model)).predict(X), model.predict(X))
    theirs = {"identity": "RawFormulaVal", "log": "Exponent", "logit": "Probability"}[link]
    by_itself = model.predict(X, prediction_type=theirs)
    by_itself = by_itself[:, 1] if link == "logit" else by_itself
    np.testing.assert_allclose(by_itself, wanted, rtol=1e-12)
    shap = model.get_feature_importance(pool(LABELS[kind_of(link)]), type="ShapValues")
    np.testing.assert_allclose(shap.sum(axis=1), model.predict(X), atol=1e-9)


def kind_of(link):
    return LOSS_OF_LINK[link][1]


def test_training_goes_on_from_the_bias():
    # A model that has just been fitted keeps its random state, a copy does not.
    params = {"bootstrap_type": "No", "random_strength": 0}
    data = pool(COUNT + 20)
    half, whole = (train("poisson", data, rounds, params) for rounds in (10, 20))
    longer = train("poisson", data, 10, params, init_model=half)
    assert longer.tree_count_ == 20
    assert longer.get_scale_and_bias() == half.get_scale_and_bias()
    assert distance(longer.predict(X), whole.predict(X)) < 1e-6


def test_bound_targets():
    """Labels are row numbers, which blocks of rows and a split of the data keep."""
    bound = gbo.HuberLoss(delta=1.0).bind(REAL)
    ours = train(bound, pool(np.arange(N)), 20)
    theirs = train(gbo.HuberLoss(delta=1.0), pool(REAL), 20)
    assert distance(ours.predict(X), theirs.predict(X)) < 1e-6


def test_nothing_of_the_user_is_changed():
    params, data = dict(SETTINGS), pool(REAL, WEIGHT)
    train("squared_error", data, 3)
    assert params == SETTINGS
    assert data.get_baseline().size == 0


# ---- the estimators --------------------------------------------------------------------


def estimator(cls, loss, metric, **params):
    made = {"loss_function": gbo.cat.objective(loss), "eval_metric": gbo.cat.metric(metric)}
    return cls(**SETTINGS, iterations=10, allow_writing_files=False, **made, **params)


def test_regressor_clones_pickles_and_is_searched():
    model = estimator(catboost.CatBoostRegressor, gbo.HuberLoss(delta=1.0), "mae").fit(X, REAL)
    assert list(model.best_score_["learn"]) == ["mae"]
    for twin in (pickle.loads(pickle.dumps(model)), copy.deepcopy(model)):
        np.testing.assert_array_equal(twin.predict(X), model.predict(X))
    assert clone(model).get_params() == model.get_params()
    grid = {"loss_function": [gbo.cat.objective(gbo.HuberLoss(delta=d)) for d in (1e-3, 1.0)]}
    search = GridSearchCV(model, grid, cv=2).fit(X, REAL)
    assert search.best_params_["loss_function"] in grid["loss_function"]
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()


def test_classifier_has_probabilities():
    model = estimator(catboost.CatBoostClassifier, "focal", "log").fit(X, BINARY)
    p = model.predict_proba(X)
    raw = model.predict(X, prediction_type="RawFormulaVal")
    np.testing.assert_allclose(p[:, 1], gbo.FocalLoss().predict(raw), rtol=1e-9)


@pytest.mark.parametrize("made", [gbo.cat.objective("log"), gbo.cat.metric("mae")], ids=str)
def test_callables_pickle_and_compare(made):
    assert pickle.loads(pickle.dumps(made)) == made
    assert hash(copy.deepcopy(made)) == hash(made)


# ---- refusals --------------------------------------------------------------------------


@pytest.mark.parametrize(("loss", "words"), [
    ("huber", "a parameter that follows the whole batch"),
    (gbo.Objective(gbo.HuberLoss(delta=1.0), "safe"), "scale=None or a number"),
    (gbo.Objective(gbo.HuberLoss(delta=1.0), scale=None), 'Give curvature="safe"'),
    (gbo.DiceLoss(), "needs all rows at once"),
    (gbo.LambdaNDCGLoss(), "needs all rows at once"),
    (gbo.CrossEntropyLoss(3), "row by row"),
    (gbo.LogLoss(ignore_index=-1), "weight of 0"),
], ids=lambda x: x if isinstance(x, str) else repr(x))  # fmt: skip
def test_what_blocks_of_rows_cannot_do(loss, words):
    with pytest.raises(ValueError, match=words):
        gbo.cat.objective(loss)


def test_the_advice_of_the_refusals_works():
    loss = gbo.HuberLoss()
    fixed = loss.resolve(REAL, np.full(len(REAL), loss.intercept(REAL)))
    model = train(gbo.Objective(fixed, "safe", scale=0.5), pool(REAL), 20)
    assert loss.metric_value(REAL, model.predict(X)) < 0.5 * loss.metric_value(REAL, 0 * REAL)


@pytest.mark.parametrize(("params", "words"), [
    ({"loss_function": "RMSE"}, "conflicts with loss="),
    ({"custom_metric": "RMSE"}, "without the intercept"),
    ({"n_estimators": 7}, "give iterations="),
    ({"class_weights": [1, 2]}, "no effect under a custom objective"),
    ({"boost_from_average": True}, "no effect under a custom objective"),
    ({"task_type": "GPU"}, "compiled kernels only"),
], ids=lambda x: str(x) if isinstance(x, dict) else "")  # fmt: skip
def test_parameters_that_would_do_nothing(params, words):
    with pytest.raises(ValueError, match=words):
        train("squared_error", pool(REAL), params=params)


def test_bad_data_is_named_before_training():
    with pytest.raises(ValueError, match=r"pool: PoissonLoss: .* at row \d+ \(\d+ of 600 rows\)"):
        train("poisson", pool(REAL))
    with pytest.raises(ValueError, match=r"eval_set\[0\]: PoissonLoss"):
        train("poisson", pool(COUNT), eval_set=pool(REAL))
    with pytest.raises(ValueError, match="pool has no labels"):
        train("poisson", catboost.Pool(X))
    with pytest.raises(ValueError, match=r"labels of shape \(600, 2\).*loss.bind"):
        train("squared_error", catboost.Pool(X, np.column_stack([REAL, REAL])))
    with pytest.raises(TypeError, match="Pool; got ndarray"):
        train("poisson", X)


def test_error_inside_catboost_says_that_rows_are_of_a_block():
    model = estimator(catboost.CatBoostRegressor, "poisson", "poisson")
    with pytest.raises(catboost.CatBoostError, match=r"(?s)PoissonLoss.*blocks of rows"):
        model.fit(X, REAL)


def test_missing_library_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "catboost", None)
    with pytest.raises(ImportError, match="gbobjectives\\[catboost\\]"):
        gbo.cat.train({}, None, 1, loss="squared_error")
