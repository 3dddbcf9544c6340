"""The scikit-learn estimators with the data that people have, validation sets, offsets, files."""

import io
import pickle

import joblib
import lightgbm
import numpy as np
import pandas as pd
import polars
import pytest
import scipy.sparse
import xgboost
from sklearn.base import clone
from sklearn.metrics import log_loss, mean_absolute_error

import gbobjectives as gbo
from tests.boosting import COUNT, REAL, TRAIN, VALID, WEIGHT, N, X
from tests.estimators import (
    LGB_PARAMS,
    LIBRARIES,
    N_ROUNDS,
    THREE,
    TWO,
    XGB_PARAMS,
    both,
    both_on_frames,
    eval_data,
)
from tests.versions import XGBOOST_HAS_INTERCEPTS

XGBOOST, LIGHTGBM = LIBRARIES.values()
COLUMNS = ["a", "b", "c", "d", "e"]
FRAME = pd.DataFrame(X, columns=COLUMNS)


# ---- kinds of data -------------------------------------------------------------------------


@both_on_frames
def test_frames_keep_their_names(library):
    model = library.classifier().fit(FRAME, pd.Series(TWO))
    names = model.feature_names_in_ if library.is_xgboost else model.feature_name_
    assert list(names) == COLUMNS
    assert (model.predict(FRAME) == library.classifier().fit(X, TWO).predict(X)).all()
    error = ValueError if library.is_xgboost else lightgbm.basic.LightGBMError
    with pytest.raises(error, match=r"feature_names mismatch|Expected 'a' at position 0"):
        model.predict(FRAME[COLUMNS[::-1]], validate_features=True)


@pytest.mark.parametrize("kind", ["category", "string", "object"])
@both_on_frames
def test_labels_of_pandas(library, kind):
    y = pd.Series(THREE).astype(kind)
    model = library.classifier().fit(FRAME, y)
    assert model.classes_.tolist() == ["high", "low", "middle"]
    assert model.score(FRAME, y) > 0.7


@both
def test_polars(library):
    frame = polars.DataFrame(X, schema=COLUMNS)
    model = library.classifier().fit(frame, polars.Series(THREE))
    expected = library.classifier().fit(X, THREE).predict_proba(X)
    np.testing.assert_allclose(model.predict_proba(frame), expected, rtol=1e-6)
    model = library.regressor("huber").fit(frame, polars.Series(REAL))
    expected = library.regressor("huber").fit(X, REAL).predict(X)
    np.testing.assert_allclose(model.predict(frame), expected, rtol=1e-5)


@both
def test_sparse_and_missing(library):
    holes = np.where(np.abs(X) < 0.3, 0, X)
    dense = library.regressor("huber").fit(holes, REAL).predict(holes)
    rows = scipy.sparse.csr_matrix(holes)
    if library.is_xgboost:
        # What is not stored in a sparse matrix is missing there.
        dense = library.regressor("huber").fit(np.where(holes == 0, np.nan, holes), REAL)
        dense = dense.predict(np.where(holes == 0, np.nan, holes))
    np.testing.assert_allclose(
        library.regressor("huber").fit(rows, REAL).predict(rows), dense, rtol=1e-5
    )
    missing = np.where(np.abs(X) < 0.3, np.nan, X)
    assert np.isfinite(library.regressor("huber").fit(missing, REAL).predict(missing)).all()


@both_on_frames
def test_categorical_columns(library):
    letters = np.array(list("pqrs"))[np.random.default_rng(0).integers(0, 4, N)]
    y = REAL + 5 * np.isin(letters, ["p", "r"])
    frame = FRAME.assign(letter=pd.Categorical(letters))
    params = {"enable_categorical": True} if library.is_xgboost else {}
    model = library.regressor("huber", n_estimators=30, **params).fit(frame, y)
    assert np.abs(model.predict(frame) - y).mean() < 0.6
    if library.is_xgboost and not hasattr(xgboost.DMatrix, "get_categories"):
        return
    # Other rows have fewer categories, in another order.
    few = frame[letters != "p"].copy()
    few["letter"] = pd.Categorical(few["letter"].astype(str), categories=["s", "r", "q"])
    np.testing.assert_allclose(model.predict(few), model.predict(frame)[letters != "p"], rtol=1e-6)


# ---- weights -------------------------------------------------------------------------------


@both
def test_weights_of_rows_and_of_classes(library):
    plain = library.classifier().fit(X, TWO)
    weight = np.where(TWO == "yes", 5.0, 1.0)
    heavy = library.classifier().fit(X, TWO, sample_weight=weight)
    assert heavy.predict_proba(X)[:, 1].mean() > plain.predict_proba(X)[:, 1].mean() + 0.05
    if not library.is_xgboost:
        twice = library.classifier(class_weight={"yes": 5.0, "no": 1.0}).fit(X, TWO)
        np.testing.assert_allclose(twice.predict_proba(X), heavy.predict_proba(X))
    # Of a loss: by the numbers of the classes.
    loss = gbo.LogLoss(class_weight={1: 5.0})
    inside = library.classifier(loss).fit(X, TWO)
    difference = (inside.predict_proba(X) - heavy.predict_proba(X))[:, 1]
    assert abs(difference.mean()) < 0.02


# ---- validation sets -----------------------------------------------------------------------

PARTS = (X[TRAIN], TWO[TRAIN], X[VALID], TWO[VALID])


@both
def test_early_stopping_on_the_metric_of_the_loss(library):
    model = library.classifier("focal", n_estimators=200)
    library.fit_stopping(model, *PARTS, sample_weight=WEIGHT[TRAIN], eval_weight=WEIGHT[VALID])
    values = library.evaluated(model)["focal"]
    best = library.best(model)
    assert best == int(np.argmin(values)) < len(values) - 1 < 199
    # All that it predicts, it predicts of the best round.
    y, raw = (TWO[VALID] == "yes").astype(float), library.raw(model, X[VALID])
    value = gbo.FocalLoss().metric_value(y, raw, WEIGHT[VALID])
    assert value == pytest.approx(values[best], abs=1e-6)
    np.testing.assert_allclose(
        model.predict_proba(X[VALID])[:, 1], gbo.FocalLoss().predict(raw), rtol=1e-6
    )


def negative_accuracy(y_true, y_pred):
    return -float(np.mean((y_pred > 0.5) == y_true))


@pytest.mark.parametrize(
    ("metric", "name"),
    [
        (gbo.Metric("accuracy"), "accuracy"),
        (gbo.FocalLoss(), "focal"),
        (gbo.Metric(log_loss, greater_is_better=False), "log_loss"),
        ("auc", "auc"),
    ],
    ids=["Metric", "loss", "function", "built-in"],
)
@both
def test_metrics_of_the_user_are_the_only_ones(library, metric, name):
    model = library.classifier("log", n_estimators=100)
    library.fit_stopping(model, *PARTS, eval_metric=metric)
    assert list(library.evaluated(model)) == [name]
    values = np.array(library.evaluated(model)[name])
    best = values.argmax() if name in ("accuracy", "auc") else values.argmin()
    assert library.best(model) == best


def test_a_function_of_xgboost_sees_responses():
    model = XGBOOST.regressor("poisson", eval_metric=mean_absolute_error)
    model.fit(X, COUNT, eval_set=[(X, COUNT)], verbose=False)
    expected = mean_absolute_error(COUNT, model.predict(X))
    assert XGBOOST.evaluated(model)["mean_absolute_error"][-1] == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("weighted", [False, True])
def test_a_function_of_lightgbm_sees_responses(weighted):
    def weighted_mae(y_true, y_pred, weight):
        return "weighted_mae", np.average(np.abs(y_true - y_pred), weights=weight), False

    def mae(y_true, y_pred):
        return "mine", np.abs(y_true - y_pred).mean(), False

    model = LIGHTGBM.regressor("poisson")
    metrics = [weighted_mae if weighted else mae, "l1", gbo.Metric("rmse")]
    model.fit(
        X, COUNT, eval_metric=metrics, **eval_data(X.copy(), COUNT), eval_sample_weight=[WEIGHT]
    )
    found = LIGHTGBM.evaluated(model)
    assert set(found) == {"weighted_mae" if weighted else "mine", "l1", "rmse"}
    residual = np.abs(COUNT - model.predict(X))
    expected = np.average(residual, weights=WEIGHT)
    assert found["l1"][-1] == pytest.approx(expected)
    assert found[metrics[0].__name__ if weighted else "mine"][-1] == pytest.approx(
        expected if weighted else residual.mean()
    )


@pytest.mark.parametrize("name", ["binary_logloss", "logloss", "binary_error"])
def test_names_that_lightgbm_would_read_raw_scores_for(name):
    model = LIGHTGBM.classifier("focal").fit(X, TWO, eval_metric=name, **eval_data(X, TWO))
    (found,) = LIGHTGBM.evaluated(model).values()
    y, p = TWO == "yes", model.predict_proba(X)
    expected = 1 - model.score(X, TWO) if name == "binary_error" else log_loss(y, p[:, 1])
    assert found[-1] == pytest.approx(expected)


def test_multiclass_names_of_lightgbm():
    model = LIGHTGBM.classifier({"loss": "one_vs_rest", "binary": "log"}, metric="multi_logloss")
    model.fit(X, THREE, **eval_data(X, THREE))
    found = LIGHTGBM.evaluated(model)["multi_logloss"]
    assert found[-1] == pytest.approx(log_loss(THREE, model.predict_proba(X)))
    with pytest.raises(ValueError, match=r"built-in metric 'huber' would read raw scores"):
        LIGHTGBM.regressor().fit(X, REAL, eval_metric="huber", **eval_data(X, REAL))


@both
def test_labels_that_training_has_not_seen(library):
    parts = (X[TRAIN], TWO[TRAIN], X[VALID], np.full(len(X[VALID]), "perhaps"))
    with pytest.raises(ValueError, match="previously unseen labels"):
        library.fit_stopping(library.classifier(), *parts)


# ---- offsets, and training that goes on ----------------------------------------------------


def test_base_margin():
    offset = np.log(WEIGHT)
    model = XGBOOST.regressor("poisson").fit(X, COUNT, base_margin=offset)
    raw = model.predict(X, output_margin=True, base_margin=offset)
    np.testing.assert_allclose(model.predict(X, base_margin=offset), np.exp(raw), rtol=1e-5)
    data = xgboost.DMatrix(X, COUNT, base_margin=offset)
    params = XGB_PARAMS | {"nthread": 1}
    params.pop("n_jobs"), params.pop("random_state")
    train = gbo.xgb.train(params | {"seed": 1}, data, N_ROUNDS, loss="poisson")
    np.testing.assert_allclose(raw, train.predict(data, output_margin=True), rtol=1e-5)


def test_init_score():
    offset = np.log(WEIGHT)
    model = LIGHTGBM.regressor("poisson").fit(X, COUNT, init_score=offset)
    data = lightgbm.Dataset(X, COUNT, init_score=offset)
    params = {**LGB_PARAMS, "num_threads": 1}
    train = gbo.lgb.train(params, data, N_ROUNDS, loss="poisson")
    np.testing.assert_allclose(model.predict(X), train.predict(X))


@pytest.mark.parametrize("loss", ["focal", "cross_entropy"])
@both
def test_training_goes_on(library, loss):
    y = TWO if loss == "focal" else THREE
    whole = library.classifier(loss).fit(X, y)
    half = library.classifier(loss, n_estimators=N_ROUNDS // 2).fit(X, y)
    name = "xgb_model" if library.is_xgboost else "init_model"
    for start in (half, library.booster(half)):
        rest = clone(half).fit(X, y, **{name: start})
        np.testing.assert_allclose(library.raw(rest), library.raw(whole), atol=1e-5)
    with pytest.raises(ValueError, match=rf"{name} was (not )?trained with"):
        library.regressor("poisson").fit(X, COUNT, **{name: half})


# ---- files ---------------------------------------------------------------------------------


@pytest.mark.parametrize("module", [pickle, joblib], ids=["pickle", "joblib"])
@both
def test_pickles(library, module):
    model = library.classifier("softmax_focal").fit(X, THREE)
    file = io.BytesIO()
    module.dump(model, file)
    file.seek(0)
    twin = module.load(file)
    assert (twin.predict(X) == model.predict(X)).all()
    np.testing.assert_array_equal(twin.predict_proba(X), model.predict_proba(X))
    assert twin.loss_ == model.loss_
    assert str(twin.get_params()) == str(model.get_params())


@pytest.mark.parametrize(
    ("loss", "y"),
    [("focal", TWO), ({"loss": "one_vs_rest", "binary": "log"}, THREE), ("cross_entropy", TWO)],
    ids=["binary", "one against the rest", "softmax of two"],
)
def test_model_files_of_xgboost(tmp_path, loss, y):
    model = XGBOOST.classifier(loss).fit(X, y)
    model.save_model(tmp_path / "model.ubj")
    found = gbo.xgb.XGBLossClassifier()
    found.load_model(tmp_path / "model.ubj")
    assert found.loss_ == model.loss_
    np.testing.assert_allclose(found.predict_proba(X), model.predict_proba(X), rtol=1e-6)
    # Labels are not in the file.
    assert (model.classes_[found.predict(X)] == model.predict(X)).all()


def test_model_files_of_xgboost_whose_link_it_lacks(tmp_path):
    model = XGBOOST.regressor("log1p_squared_error").fit(X, COUNT)
    model.save_model(tmp_path / "model.json")
    found = gbo.xgb.XGBLossRegressor()
    found.load_model(tmp_path / "model.json")
    np.testing.assert_array_equal(found.predict(X), model.predict(X))


def test_model_files_of_xgboost_without_a_loss(tmp_path):
    theirs = xgboost.XGBClassifier(n_estimators=3).fit(X, TWO == "yes")
    theirs.save_model(tmp_path / "model.json")
    found = gbo.xgb.XGBLossClassifier()
    found.load_model(tmp_path / "model.json")
    np.testing.assert_array_equal(found.predict_proba(X), theirs.predict_proba(X))
    np.testing.assert_array_equal(found.predict(X), theirs.predict(X))


@both
def test_what_lightgbm_and_xgboost_predict_besides(library):
    model = library.classifier("softmax_focal").fit(X, THREE)
    if library.is_xgboost:
        # Before 3.1 the intercepts are a first tree of each class.
        starts = 0 if XGBOOST_HAS_INTERCEPTS else 1
        assert model.apply(X).shape == (N, 3 * (starts + N_ROUNDS))
        first = model.predict_proba(X, iteration_range=(0, starts + 2))
    else:
        assert model.predict(X, pred_leaf=True).shape == (N, 3 * N_ROUNDS)
        contributions = model.predict(X, pred_contrib=True).reshape(N, 3, -1).sum(axis=2)
        np.testing.assert_allclose(contributions, library.raw(model))
        first = model.predict_proba(X, num_iteration=2)
        assert (model.decision_function(X) == library.raw(model)).all()
        assert model.objective_ == model.loss_
    expected = library.classifier("softmax_focal", n_estimators=2).fit(X, THREE)
    np.testing.assert_allclose(first, expected.predict_proba(X), rtol=1e-5)
