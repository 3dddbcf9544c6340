"""Losses of one's own in models: saved, as estimators, in sums, and where they must say no."""

from dataclasses import replace

import lightgbm
import numpy as np
import pytest
import xgboost
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV

import gbobjectives as gbo
from tests.own_losses import own_loss

rng = np.random.default_rng(0)
X = rng.normal(size=(300, 3))
Y = X[:, 0] + np.abs(X[:, 1]) + rng.standard_t(2, size=300)
POSITIVE = (X[:, 0] + rng.normal(size=300) > 0).astype(float)


@pytest.fixture(scope="module")
def formula():
    return gbo.from_expression(
        "delta**2 * (sqrt(1 + ((f - y) / delta)**2) - 1)", parameters={"delta": 2.0}, convex=True
    )


def trained(library, loss, y=Y):
    if library == "xgb":
        return gbo.xgb.train({"nthread": 1}, xgboost.DMatrix(X, y), 5, loss=loss)
    params = {"verbosity": -1, "num_threads": 1}
    return gbo.lgb.train(params, lightgbm.Dataset(X, y), 5, loss=loss)


def loaded(library, model, path):
    model.save_model(path)
    if library == "xgb":
        return xgboost.Booster(model_file=path)
    return lightgbm.Booster(model_file=path)


@pytest.mark.parametrize("library", ["xgb", "lgb"])
def test_a_saved_model_brings_a_formula_back(library, formula, tmp_path):
    objective = gbo.Objective(formula, curvature="safe", scale=None)
    back = loaded(library, trained(library, objective), tmp_path / "model.json")
    assert gbo.loss_of(back) == formula
    assert gbo.objective_of(back) == objective


@pytest.mark.parametrize("library", ["xgb", "lgb"])
def test_a_saved_model_holds_no_code(library, tmp_path):
    loss = own_loss("jax", "poisson").loss
    y = np.abs(Y)
    back = loaded(library, trained(library, loss, y), tmp_path / "model.json")
    with pytest.raises(ValueError, match=r"trained on ValueLoss.*make that loss anew, and give it"):
        gbo.loss_of(back)
    data = xgboost.DMatrix(X) if library == "xgb" else X
    np.testing.assert_allclose(gbo.predict(back, data, loss=loss), back.predict(data), rtol=1e-5)
    assert back.predict(data).min() > 0


def test_a_spec_of_code_is_not_run():
    spec = own_loss("jax", "log_cosh").loss.spec()
    assert "def log_cosh" in spec["function"]
    with pytest.raises(ValueError, match="unknown loss 'value'"):
        gbo.get_loss(spec)


@pytest.mark.parametrize("estimator", ["XGBLossRegressor", "LGBMLossRegressor"])
def test_regressors(estimator, formula):
    library = gbo.xgb if estimator.startswith("XGB") else gbo.lgb
    quiet = {"verbosity": -1} if library is gbo.lgb else {}
    model = getattr(library, estimator)(loss=formula, n_estimators=5, n_jobs=1, **quiet)
    grid = {"loss__parameters": [{"delta": 0.5}, {"delta": 5.0}]}
    search = GridSearchCV(model, grid, cv=2).fit(X, Y)
    best = search.best_estimator_
    assert best.loss == replace(formula, parameters=search.best_params_["loss__parameters"])
    closed = clone(best).set_params(loss=gbo.PseudoHuberLoss(delta=best.loss.parameters["delta"]))
    np.testing.assert_allclose(best.predict(X), closed.fit(X, Y).predict(X), atol=1e-3)


@pytest.mark.parametrize("kind", ["value", "formula"])
@pytest.mark.parametrize("estimator", ["XGBLossClassifier", "LGBMLossClassifier"])
def test_classifiers(estimator, kind):
    loss = own_loss("jax", "logistic").loss
    if kind == "formula":
        loss = gbo.from_expression("log(1 + exp(f)) - y * f", link="logit", y_domain=(0, 1))
    library = gbo.xgb if estimator.startswith("XGB") else gbo.lgb
    quiet = {"verbosity": -1} if library is gbo.lgb else {}
    model = getattr(library, estimator)(loss=loss, n_estimators=10, n_jobs=1, **quiet)
    model.fit(X, np.where(POSITIVE, "yes", "no"))
    assert model.score(X, np.where(POSITIVE, "yes", "no")) > 0.75
    assert ((model.predict_proba(X) > 0) & (model.predict_proba(X) < 1)).all()


@pytest.mark.parametrize("library", ["xgb", "lgb"])
def test_a_classic_of_two_outputs_trains(library):
    # Mean and log scale of a normal distribution.
    loss = gbo.from_expression(
        "((y - f0) * exp(-f1))**2 / 2 + f1", n_outputs=2, max_step=(10.0, 1.0)
    )
    y = X[:, 0] + rng.normal(size=300) * np.exp(X[:, 1])
    start = loss(y, np.tile(loss.intercept(y), (300, 1)))
    model = trained(library, loss, y)
    raw = model.predict(xgboost.DMatrix(X) if library == "xgb" else X)
    assert loss(y, raw.astype(np.float64)) < start - 0.2


def test_sums_weights_and_masks(formula):
    total = 0.7 * formula + 0.3 * gbo.HuberLoss(delta=1.0)
    assert total.guarantee("safe") == "majorizer"
    assert len(gbo.testing.check_loss(total).passed) == 20
    masked = gbo.Masked(formula, -1)
    np.testing.assert_array_equal(masked.gradient([-1.0, 0.0], [3.0, 0.0]), [0.0, 0.0])
    assert gbo.get_loss(total.spec()) == total


@pytest.mark.parametrize("scale", [1e-3, 1.0, 1e6])
def test_the_heuristic_trains_at_any_unit(scale):
    loss = gbo.from_expression("abs(f - y)", convex=True)
    data = xgboost.DMatrix(X, Y * scale)
    model = gbo.xgb.train({"nthread": 1, "max_depth": 3}, data, 30, loss=loss)
    left = np.abs(model.predict(data) - Y * scale).mean()
    assert left < 0.8 * np.abs(Y * scale - np.median(Y * scale)).mean()
