"""`gbobjectives.hgb.loss`: the numbers of scikit-learn's own losses, in its own estimators."""

import copy
import pickle
import sys

import numpy as np
import pytest
import sklearn
from sklearn.base import clone
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
from sklearn.model_selection import GridSearchCV

import gbobjectives as gbo
from gbobjectives.adapters import sklearn as adapter
from tests.boosting import BINARY, CLASS, COUNT, LABELS, LOSS_OF_LINK, REAL, WEIGHT, N, X, distance

SETTINGS = {"max_leaf_nodes": 7, "learning_rate": 0.2, "random_state": 1}
Y = LABELS | {"amount": COUNT + np.exp(0.1 * REAL)}
BUILTINS = [
    ("squared_error", "real", gbo.SquaredErrorLoss()),
    ("poisson", "count", gbo.PoissonLoss()),
    ("gamma", "amount", gbo.GammaLoss()),
    ("log_loss", "binary", gbo.LogLoss()),
    ("log_loss", "class", gbo.CrossEntropyLoss(3)),
]
builtins = pytest.mark.parametrize(
    ("name", "kind", "loss"), BUILTINS, ids=[f"{name}-{kind}" for name, kind, _ in BUILTINS]
)
weights = pytest.mark.parametrize("w", [None, WEIGHT], ids=["plain", "weighted"])


def fit(loss, y, w=None, rounds=50, kind="real", **settings):
    """A fitted estimator; `loss` is a built-in's name or a loss of ours."""
    classify = kind in ("binary", "class")
    estimator = HistGradientBoostingClassifier if classify else HistGradientBoostingRegressor
    made = loss if isinstance(loss, str) else gbo.hgb.loss(loss)
    settings = SETTINGS | {"max_iter": rounds, "early_stopping": False} | settings
    return estimator(loss=made, **settings).fit(X, y, sample_weight=w)


def predicted(model):
    return model.predict_proba(X) if hasattr(model, "classes_") else model.predict(X)


def exact(loss):
    """As scikit-learn does: the second derivative, no unit."""
    return gbo.Objective(loss, curvature="exact", scale=None)


# ---- parity with the built-in losses ---------------------------------------------------


@builtins
@weights
def test_parity_after_50_rounds(name, kind, loss, w):
    ours, theirs = (fit(x, Y[kind], w, kind=kind) for x in (exact(loss), name))
    assert distance(predicted(ours), predicted(theirs)) < 1e-12
    if kind in ("binary", "class"):
        np.testing.assert_array_equal(ours.predict(X), theirs.predict(X))


@builtins
def test_parity_of_early_stopping(name, kind, loss):
    settings = {"early_stopping": True, "validation_fraction": 0.3, "n_iter_no_change": 3}
    ours, theirs = (
        fit(x, Y[kind], WEIGHT, rounds=100, kind=kind, **settings) for x in (exact(loss), name)
    )
    assert ours.n_iter_ == theirs.n_iter_ < 100
    # The built-ins log half the mean squared error, and drop constants of the labels.
    one, two = np.diff(ours.validation_score_), np.diff(theirs.validation_score_)
    np.testing.assert_allclose(one / one[0], two / two[0], rtol=1e-6, atol=1e-9)


def test_log_loss_is_logged_as_itself():
    settings = {"early_stopping": True, "kind": "binary"}
    ours, theirs = (fit(x, BINARY, WEIGHT, **settings) for x in (exact(gbo.LogLoss()), "log_loss"))
    np.testing.assert_allclose(ours.validation_score_, theirs.validation_score_, rtol=1e-12)


@pytest.mark.parametrize("settings", [
    {"monotonic_cst": [1, 0, 0, 0, 0]},
    {"interaction_cst": "no_interactions"},
    {"max_bins": 15, "l2_regularization": 2.0},
    {"categorical_features": [4]},
], ids=str)  # fmt: skip
def test_parity_under_options_of_the_estimator(settings):
    x = X.copy()
    x[:, 4] = np.digitize(x[:, 4], [-1, 0, 1])
    ours, theirs = (
        HistGradientBoostingRegressor(loss=loss, max_iter=20, **settings).fit(x, REAL).predict(x)
        for loss in (gbo.hgb.loss("squared_error"), "squared_error")
    )
    assert distance(ours, theirs) < 1e-12


# ---- intercept, weights, metric --------------------------------------------------------


@pytest.mark.parametrize("link", LOSS_OF_LINK)
@weights
def test_model_starts_at_the_intercept_of_the_loss(link, w):
    loss, kind = LOSS_OF_LINK[link]
    y = LABELS[kind]
    model = fit(loss, y, w, 1, kind, learning_rate=1e-12)
    wanted = loss.predict(np.tile(loss.intercept(y, w), (N, 1)).squeeze())
    if kind == "binary":
        wanted = np.column_stack([1 - wanted, wanted])
    np.testing.assert_allclose(predicted(model), wanted, rtol=1e-9)


@pytest.mark.parametrize("loss", [gbo.HuberLoss(), gbo.QuantileLoss(0.9)], ids=str)
def test_weight_is_repetition(loss):
    """Also for what is estimated from the batch, which the estimator hands over as a whole."""
    times = np.random.default_rng(1).integers(0, 4, N)
    coarse = X.round(1)
    settings = SETTINGS | {"max_iter": 20, "min_samples_leaf": 1, "early_stopping": False}
    weighted, repeated = (
        HistGradientBoostingRegressor(loss=gbo.hgb.loss(loss), **settings).fit(*data)
        for data in (
            (coarse[times > 0], REAL[times > 0], times[times > 0]),
            (np.repeat(coarse, times, axis=0), np.repeat(REAL, times)),
        )
    )
    assert distance(weighted.predict(coarse), repeated.predict(coarse)) < 1e-5


@pytest.mark.parametrize("link", LOSS_OF_LINK)
@weights
def test_gradients_are_those_of_the_objective_in_place(link, w):
    loss, kind = LOSS_OF_LINK[link]
    y, k = LABELS[kind].astype(np.float64), loss.n_outputs
    raw = np.asfortranarray(np.random.default_rng(2).normal(size=(N, k)))
    made, objective = gbo.hgb.loss(loss), gbo.Objective(loss)
    g, h = made.init_gradient_and_hessian(N, dtype=np.float32, order="F")
    assert g.shape == ((N,) if k == 1 else (N, k))
    made.gradient_hessian(y, raw, w, gradient_out=g, hessian_out=h)
    wanted = objective.gradient_hessian(y, raw.squeeze(), w)
    np.testing.assert_array_equal(g, wanted[0])
    np.testing.assert_array_equal(h, wanted[1])
    np.testing.assert_array_equal(made.gradient(y, raw, w), wanted[0])
    np.testing.assert_array_equal(made.loss(y, raw, w), loss(y, raw.squeeze(), w, reduction="none"))


def test_early_stopping_watches_the_metric_of_the_loss():
    settings = {"early_stopping": True, "validation_fraction": None}
    model = fit("absolute_error", REAL, WEIGHT, 5, **settings)
    ours = fit(gbo.AbsoluteErrorLoss(), REAL, WEIGHT, 5, **settings)
    error = np.average(np.abs(ours.predict(X) - REAL), weights=WEIGHT)
    assert -ours.train_score_[-1] == pytest.approx(error, rel=1e-9)
    assert ours.train_score_[0] == pytest.approx(model.train_score_[0], rel=1e-9)


@pytest.mark.parametrize("loss", ["huber", "absolute_error", "log_cosh"])
def test_scale_auto_makes_a_model_follow_the_unit_of_the_labels(loss):
    """l2 and the smallest Hessian of a split mean the same at any unit."""
    own = gbo.get_loss(loss)
    one, two = (fit(own, u * REAL, l2_regularization=1.0).predict(X) / u for u in (1.0, 1e4))
    assert distance(one, two) < 1e-5


# ---- classes ---------------------------------------------------------------------------


@pytest.mark.parametrize("loss", [
    gbo.CrossEntropyLoss(3), gbo.OneVsRestLoss(gbo.LogLoss(), 3), gbo.SoftmaxFocalLoss(3),
], ids=str)  # fmt: skip
def test_probabilities_of_several_classes(loss):
    names = np.array(["low", "middle", "top"])[CLASS.astype(int)]
    model = fit(loss, names, kind="class")
    p = model.predict_proba(X)
    assert p.shape == (N, 3)
    np.testing.assert_allclose(p.sum(axis=1), 1.0, rtol=1e-12)
    np.testing.assert_array_equal(model.predict(X), model.classes_[p.argmax(axis=1)])
    assert model.score(X, names) > 0.9


@pytest.mark.parametrize("loss", [gbo.FocalLoss(), gbo.DiceLoss(), gbo.HingeLoss()], ids=str)
def test_two_classes_with_balanced_weights(loss):
    model = fit(loss, np.array(["no", "yes"])[BINARY.astype(int)], kind="binary",
                class_weight="balanced")  # fmt: skip
    p = model.predict_proba(X)
    np.testing.assert_allclose(p[:, 1], loss.predict(model.decision_function(X)), rtol=1e-12)
    np.testing.assert_array_equal(model.predict(X) == "yes", p[:, 1] > 0.5)
    assert model.score(X, np.array(["no", "yes"])[BINARY.astype(int)]) > 0.75


# ---- in scikit-learn -------------------------------------------------------------------


def test_pickle_clone_and_equality():
    model = fit(gbo.HuberLoss(delta=0.5), REAL)
    for twin in (pickle.loads(pickle.dumps(model)), copy.deepcopy(model)):
        np.testing.assert_array_equal(twin.predict(X), model.predict(X))
    fresh = clone(model)
    assert fresh.loss == model.loss != gbo.hgb.loss("huber")
    assert hash(fresh.loss) == hash(model.loss)
    assert "HuberLoss(delta=0.5)" in repr(model)


def test_grid_search_over_losses():
    losses = [gbo.hgb.loss(gbo.HuberLoss(delta=d)) for d in (1e-3, 1.0)]
    model = HistGradientBoostingRegressor(max_iter=10, **SETTINGS)
    search = GridSearchCV(model, {"loss": losses}, cv=2).fit(X, REAL)
    assert search.best_params_["loss"] in losses
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()


def test_warm_start_goes_on():
    model = fit(gbo.PoissonLoss(), COUNT)
    warm = HistGradientBoostingRegressor(
        loss=gbo.hgb.loss("poisson"), warm_start=True, early_stopping=False, max_iter=20, **SETTINGS
    ).fit(X, COUNT)
    warm.set_params(max_iter=50).fit(X, COUNT)
    assert distance(warm.predict(X), model.predict(X)) < 1e-6


# ---- refusals --------------------------------------------------------------------------


@pytest.mark.parametrize(("loss", "words"), [
    (gbo.LambdaNDCGLoss(), "needs groups"),
    (gbo.QuantileLoss((0.1, 0.9)), "for classes only"),
    (gbo.MultiOutputLoss((gbo.LogLoss(), gbo.LogLoss())), "2 labels a row"),
], ids=["groups", "outputs", "labels"])  # fmt: skip
def test_losses_without_a_place(loss, words):
    with pytest.raises(ValueError, match=words):
        gbo.hgb.loss(loss)


def test_wrong_labels_and_wrong_number_of_classes():
    with pytest.raises(ValueError, match=r"PoissonLoss: y_true must lie in \[0, inf\)"):
        fit(gbo.PoissonLoss(), REAL)
    with pytest.raises(ValueError, match=r"has 1 output\(s\), and the estimator 3"):
        fit(gbo.PoissonLoss(), CLASS, kind="class")


@pytest.mark.parametrize("version", ["1.4.2", "1.99.0", "2.0.dev0"])
def test_versions_that_were_not_tested(monkeypatch, version):
    adapter._base_loss.cache_clear()
    monkeypatch.setattr(sklearn, "__version__", version)
    with pytest.raises(ImportError, match=rf"tested with scikit-learn 1.5 to .*{version}"):
        gbo.hgb.loss("huber")


def test_missing_library_is_named(monkeypatch):
    adapter._base_loss.cache_clear()
    monkeypatch.setitem(sys.modules, "sklearn", None)
    with pytest.raises(ImportError, match="gbobjectives\\[sklearn\\]"):
        gbo.hgb.loss("huber")
