"""Losses of several outputs, several labels or ordered classes, in training."""

import pickle
import warnings
from dataclasses import dataclass
from typing import Any, ClassVar

import lightgbm
import numpy as np
import pytest
import xgboost

import gbobjectives as gbo
from tests.boosting import (
    BINARY,
    CLASS,
    COUNT,
    LGB,
    REAL,
    XGB,
    N,
    X,
    both_libraries,
    raw,
    response,
    train_lgb,
    train_xgb,
)
from tests.versions import frames_and_subsets

RNG = np.random.default_rng(4)
THREE = gbo.MultiOutputLoss([gbo.HuberLoss(), gbo.LogLoss(), gbo.PoissonLoss()])
LABELS_3 = np.stack([REAL, BINARY, COUNT], axis=1).astype(np.float64)
HOT = (X[:, :3] + 0.5 * RNG.normal(size=(N, 3)) > 0.3).astype(np.float64)
SHARES = np.exp(X[:, :3].astype(np.float64) + 0.5 * RNG.normal(size=(N, 3)))
SHARES /= SHARES.sum(axis=1, keepdims=True)
COUNTS = np.stack([COUNT, COUNT[::-1]], axis=1).astype(np.float64)
REALS = np.stack([REAL, X[:, 1]], axis=1).astype(np.float64)

#: Loss, labels, and whether a library's model predicts the response by itself.
MODELS = {
    "softmax focal": (gbo.SoftmaxFocalLoss(3), CLASS, ("xgboost", "lightgbm")),
    "categorical hinge": (gbo.CategoricalHingeLoss(3), CLASS, ("xgboost", "lightgbm")),
    "one vs rest": (gbo.OneVsRestLoss(gbo.LogLoss(), 3), CLASS, ("xgboost", "lightgbm")),
    "several labels": (gbo.OneVsRestLoss(gbo.LogLoss(), 3), HOT, ("xgboost", "lightgbm")),
    "soft labels": (gbo.CrossEntropyLoss(3), SHARES, ("xgboost", "lightgbm")),
    "divergence": (gbo.KLDivergenceLoss(3), SHARES, ("xgboost", "lightgbm")),
    "reals": (gbo.MultiOutputLoss([gbo.HuberLoss()] * 2), REALS, ("xgboost", "lightgbm")),
    "direction": (gbo.CosineSimilarityLoss(2), REALS, ("xgboost", "lightgbm")),
    "counts": (gbo.MultiOutputLoss([gbo.PoissonLoss()] * 2), COUNTS, ("xgboost",)),
    "mixed": (THREE, LABELS_3, ()),
    "ordered": (gbo.OrdinalLogitLoss(3), CLASS, ("xgboost", "lightgbm")),
}
every_model = pytest.mark.parametrize("name", MODELS)


def trained(train: Any, name: str, rounds: int = 5, params: Any = ()) -> tuple[Any, Any]:
    """Model, and its loss; labels of several columns are bound."""
    loss, y, _ = MODELS[name]
    if y.ndim == 2:
        loss, y = loss.bind(y), np.arange(N, dtype=np.float32)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "lgb.train: LightGBM has no objective with the link")
        warnings.filterwarnings("ignore", "xgb.train: XGBoost has no objective with the link")
        return train(loss, y, rounds=rounds, params=params), loss


def saved_and_loaded(model: Any) -> Any:
    if isinstance(model, xgboost.Booster):
        return xgboost.Booster(model_file=model.save_raw("ubj"))
    return lightgbm.Booster(model_str=model.model_to_string())


@every_model
@both_libraries
def test_models_predict_the_response_also_when_loaded(train, data, adapters, name):
    model, loss = trained(train, name)
    library = "xgboost" if adapters is gbo.xgb else "lightgbm"
    scores = raw(model)
    want = loss.predict(scores) if library in MODELS[name][2] else scores
    assert scores.shape == ((N, loss.n_outputs) if loss.n_outputs > 1 else (N,))
    np.testing.assert_allclose(response(model), want, rtol=1e-5, atol=1e-6)
    again = saved_and_loaded(model)
    np.testing.assert_array_equal(response(again), response(model))


@every_model
@both_libraries
def test_trees_improve_on_the_constant(train, data, adapters, name):
    model, loss = trained(train, name, rounds=10)
    y = np.arange(N) if loss.targets is not None else MODELS[name][1]
    start = np.zeros_like(raw(model)) + loss.intercept(y)
    assert loss.metric_value(y, raw(model)) < loss.metric_value(y, start) - 1e-3


@every_model
@both_libraries
def test_a_model_without_splits_is_the_best_constant(train, data, adapters, name):
    stump = {"gamma": 1e9} if adapters is gbo.xgb else {"min_data_in_leaf": N}
    model, loss = trained(train, name, rounds=1, params=stump)
    y = np.arange(N) if loss.targets is not None else MODELS[name][1]
    scores = raw(model)
    np.testing.assert_array_equal(scores, scores[:1] + np.zeros_like(scores))
    # A sub-gradient of a hinge need not be 0 at the best constant: its first tree moves it.
    if name != "categorical hinge":
        best = np.broadcast_to(loss.intercept(y), (N, loss.n_outputs)).reshape(scores.shape)
        np.testing.assert_allclose(scores, best, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("name", ["several labels", "reals", "counts", "mixed", "direction"])
def test_xgboost_takes_labels_of_several_columns(name):
    loss, y, _ = MODELS[name]
    bound, _ = trained(train_xgb, name)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "xgb.train: XGBoost has no objective with the link")
        model = train_xgb(loss, y.astype(np.float32))
    np.testing.assert_allclose(raw(model), raw(bound), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", ["soft labels", "several labels", "reals"])
def test_bound_labels_survive_cross_validation_in_xgboost(name):
    loss, y, _ = MODELS[name]
    bound = loss.bind(y)
    data = xgboost.DMatrix(X, label=np.arange(N))
    settings = XGB | {"disable_default_eval_metric": 1, "base_score": 0.5}
    outputs = {"num_class": 3} if name == "soft labels" else {"num_target": loss.n_outputs}
    objective = {"soft labels": "multi:softprob", "several labels": "binary:logistic"}
    table = xgboost.cv(
        settings | outputs | {"objective": objective.get(name, "reg:squarederror")},
        data,
        5,
        nfold=3,
        obj=pickle.loads(pickle.dumps(gbo.xgb.objective(bound))),
        custom_metric=gbo.xgb.metric(bound),
        as_pandas=False,
    )
    means = table[f"test-{loss.metric_name}-mean"]
    assert means[-1] < means[0]


@frames_and_subsets
@pytest.mark.parametrize("name", ["soft labels", "several labels", "reals"])
def test_bound_labels_survive_cross_validation_and_subsets_in_lightgbm(name):
    loss, y, _ = MODELS[name]
    bound = loss.bind(y)
    data = lightgbm.Dataset(X, label=np.arange(N), free_raw_data=False)
    settings = LGB | {"num_class": loss.n_outputs, "metric": "None"}
    objective = pickle.loads(pickle.dumps(gbo.lgb.objective(bound)))
    table = lightgbm.cv(
        settings | {"objective": objective},
        data,
        5,
        nfold=3,
        stratified=False,
        feval=gbo.lgb.metric(bound),
    )
    means = table[f"valid {loss.metric_name}-mean"]
    assert means[-1] < means[0]
    half = lightgbm.Dataset(X, label=np.arange(N), free_raw_data=False)
    rows = np.arange(0, N, 2)
    model = gbo.lgb.train(LGB, half.construct().subset(list(rows)), 3, loss=bound)
    plain = lightgbm.Dataset(X[rows], label=np.arange(len(rows)), reference=half)
    want = gbo.lgb.train(LGB, plain, 3, loss=loss.bind(y[rows]))
    np.testing.assert_allclose(raw(model), raw(want), rtol=1e-6, atol=1e-7)


def test_lightgbm_says_how_labels_of_several_columns_are_given():
    message = r"train_set: LightGBM carries one label a row; .*\(600, 3\); .*loss.bind\(targets\)"
    with pytest.raises(ValueError, match=message):
        train_lgb(gbo.CrossEntropyLoss(3), SHARES)


def test_xgboost_says_how_soft_labels_of_classes_are_given():
    with pytest.raises(
        ValueError, match=r"XGBoost takes no labels of shape .*loss.bind\(targets\)"
    ):
        train_xgb(gbo.CrossEntropyLoss(3), SHARES)


# ---- links that a library does not know ------------------------------------------------


@dataclass(frozen=True)
class SoftplusLoss(gbo.RowLoss):
    """Squared error of the raw score, shown as softplus."""

    link: ClassVar[gbo.Link] = gbo.links.SOFTPLUS

    def _value(self, y, f):
        return (f - y) ** 2 / 2

    def _gradient(self, y, f):
        return f - y

    def _hessian(self, y, f):
        return np.ones_like(f)


@both_libraries
def test_a_link_that_no_library_knows_leaves_raw_scores(train, data, adapters):
    library = "XGBoost" if adapters is gbo.xgb else "LightGBM"
    objective = gbo.Objective(SoftplusLoss(), curvature="exact")
    message = (
        rf"{library} has no objective with the link 'softplus': the model predicts raw scores; "
        r"gbobjectives.predict\(model, data\) predicts responses"
    )
    with pytest.warns(UserWarning, match=message):
        model = train(objective, REAL)
    np.testing.assert_array_equal(response(model), raw(model))
    squared = train(gbo.Objective(gbo.SquaredErrorLoss()), REAL)
    np.testing.assert_allclose(raw(model), raw(squared), rtol=1e-4, atol=1e-5)


def test_links_of_several_outputs_that_a_library_does_not_know():
    labels = np.arange(N, dtype=np.float32)
    for train in (train_xgb, train_lgb):
        with pytest.warns(UserWarning, match=r"no objective with the link 'identity\+logit\+log'"):
            train(THREE.bind(LABELS_3), labels)
    counts = MODELS["counts"][0].bind(COUNTS)
    with pytest.warns(UserWarning, match=r"LightGBM has no .* the link 'log' for several outputs"):
        train_lgb(counts, labels)


@both_libraries
def test_offsets_go_with_several_outputs(train, data, adapters):
    loss = gbo.OneVsRestLoss(gbo.LogLoss(), 3)
    offset = 0.3 * X[:, :3].astype(np.float64)
    field = {"base_margin": offset} if adapters is gbo.xgb else {"init_score": offset}
    settings = XGB if adapters is gbo.xgb else LGB
    model = adapters.train(settings, data(CLASS, **field), 3, loss=loss)
    if adapters is gbo.xgb:
        given = xgboost.DMatrix(X, base_margin=offset)
        scores, y_pred = model.predict(given, output_margin=True), model.predict(given)
        np.testing.assert_allclose(y_pred, loss.predict(scores), rtol=1e-5)
        scores = scores - offset
    else:
        scores = raw(model)
    best = loss(CLASS, offset + loss.intercept(CLASS, None, offset))
    assert loss(CLASS, offset + scores) < best
