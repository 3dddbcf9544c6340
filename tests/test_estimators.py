"""The scikit-learn estimators: what they train, what they predict, their parameters."""

import subprocess
import sys

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.inspection import permutation_importance
from sklearn.model_selection import GridSearchCV, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import gbobjectives as gbo
from gbobjectives.adapters._estimators import fit_calling, probabilities
from tests.boosting import CLASS, COUNT, LABELS, LOSS_OF_LINK, REAL, WEIGHT, N, X
from tests.estimators import NAMES, THREE, TWO, both

SPECS = {
    "binary": [
        *(None, "log", "focal", gbo.FocalLoss(gamma=1.0), "hinge", "dice", "gradient_harmonized"),
        gbo.Objective(gbo.FocalLoss(), curvature="safe"),
        gbo.LogLoss() + gbo.RawPenalty(l2=0.1),
        *("cross_entropy", gbo.CrossEntropyLoss, gbo.SoftmaxFocalLoss(2)),
    ],
    "class": [
        *(None, "cross_entropy", gbo.CrossEntropyLoss, gbo.CrossEntropyLoss(3)),
        *("softmax_focal", "noise_contrastive", "categorical_hinge"),
        {"loss": "cross_entropy", "label_smoothing": 0.1},
        {"loss": "one_vs_rest", "binary": "focal"},
        gbo.OneVsRestLoss("hinge", 3),
    ],
}
CASES = [(kind, loss) for kind, losses in SPECS.items() for loss in losses]


# ---- what is trained and predicted ---------------------------------------------------------


@pytest.mark.parametrize("weight", [None, WEIGHT], ids=["plain", "weighted"])
@pytest.mark.parametrize("link", LOSS_OF_LINK)
@both
def test_regressor_is_train(library, link, weight):
    loss, kind = LOSS_OF_LINK[link]
    model = library.regressor(loss).fit(X, LABELS[kind], sample_weight=weight)
    raw = library.raw(model)
    np.testing.assert_allclose(raw, library.trained(loss, LABELS[kind], weight), rtol=1e-6)
    np.testing.assert_allclose(model.predict(X), loss.predict(raw), rtol=1e-6)
    assert model.loss_ == loss
    assert gbo.loss_of(model) == loss


@pytest.mark.parametrize(
    ("loss", "y"),
    [
        (gbo.Log1pSquaredErrorLoss(), COUNT),
        (gbo.QuantileLoss([0.1, 0.9], ordered=True), REAL),
    ],
    ids=["log1p", "sorted"],
)
@both
def test_regressor_predicts_responses_where_the_library_lacks_the_link(library, loss, y):
    # No warning either: warnings are errors here.
    model = library.regressor(loss).fit(X, y)
    np.testing.assert_allclose(model.predict(X), loss.predict(library.raw(model)), rtol=1e-6)
    assert np.corrcoef(model.predict(X).reshape(N, -1)[:, 0], y)[0, 1] > 0.3


@pytest.mark.parametrize(("kind", "loss"), CASES, ids=str)
@both
def test_classifier_knows_labels_and_probabilities(library, kind, loss):
    y = TWO if kind == "binary" else THREE
    model = library.classifier(loss).fit(X, y)
    p = model.predict_proba(X)
    assert model.classes_.tolist() == sorted(set(y))
    assert p.shape == (N, len(model.classes_))
    np.testing.assert_allclose(p.sum(axis=1), 1, rtol=1e-6)
    predicted = model.predict(X)
    assert predicted.dtype == y.dtype
    assert (predicted == model.classes_[p.argmax(axis=1)]).all()
    assert model.score(X, y) > 0.7


@both
def test_classifier_is_train(library):
    model = library.classifier("softmax_focal").fit(X, THREE, sample_weight=WEIGHT)
    assert model.loss_ == gbo.SoftmaxFocalLoss(n_classes=3)
    raw = library.trained(gbo.SoftmaxFocalLoss(n_classes=3), CLASS, WEIGHT)
    np.testing.assert_allclose(library.raw(model), raw, rtol=1e-5)
    np.testing.assert_allclose(model.predict_proba(X), model.loss_.predict(raw), rtol=1e-5)


@both
def test_two_classes_keep_probabilities_that_the_complement_would_lose(library):
    model = library.classifier("log", n_estimators=60).fit(X, TWO)
    p = model.predict_proba(X)
    raw = library.raw(model).astype(np.float64)
    assert raw.max() > 4
    np.testing.assert_allclose(p[:, 0], 1 / (1 + np.exp(raw)), rtol=1e-5)


def test_probabilities_of_one_against_the_rest_where_all_round_to_0():
    p = probabilities(gbo.OneVsRestLoss("log", 3), np.array([[-800.0, -801.0, -900.0]]))
    np.testing.assert_allclose(p, [[1 / (1 + np.exp(-1)), 1 / (1 + np.exp(1)), 0]], atol=1e-12)


@pytest.mark.parametrize(
    "y",
    [REAL > 0, np.where(REAL > 0, 7, -3), np.where(REAL > 0, 2.0, 1.0), list(TWO)],
    ids=["bool", "int", "float", "list"],
)
@both
def test_labels_come_back_in_their_kind(library, y):
    model = library.classifier().fit(X, y)
    assert model.predict(X).dtype == np.asarray(y).dtype
    assert set(model.predict(X)) == set(y)


@both
def test_ordered_classes(library):
    y = np.array([10, 20, 40])[CLASS.astype(int)]
    model = library.classifier("ordinal_logit", n_estimators=40).fit(X, y, sample_weight=WEIGHT)
    p = model.predict_proba(X)
    np.testing.assert_allclose(p.sum(axis=1), 1, rtol=1e-5)
    share = [WEIGHT[y == label].sum() / WEIGHT.sum() for label in (10, 20)]
    np.testing.assert_allclose(
        model.loss_.thresholds, np.log(np.cumsum(share) / (1 - np.cumsum(share))), rtol=1e-5
    )
    assert model.score(X, y) > 0.7


# ---- the loss as a parameter ---------------------------------------------------------------


@both
def test_parameters_of_the_loss_are_parameters(library):
    model = library.classifier("focal")
    params = model.get_params()
    assert params["loss"] == "focal"
    assert params["loss__gamma"] == 2.0
    assert "loss__gamma" not in model.get_params(deep=False)
    model.set_params(loss__gamma=1.0, learning_rate=0.5)
    assert model.loss == gbo.FocalLoss(gamma=1.0)
    assert model.get_params()["loss__gamma"] == 1.0
    assert model.get_params()["learning_rate"] == 0.5
    model.set_params(loss__alpha=0.25, loss="focal")
    assert model.loss == gbo.FocalLoss(alpha=0.25)


@pytest.mark.parametrize(
    ("loss", "changes", "expected"),
    [
        (gbo.HuberLoss(), {"delta": 2.0}, gbo.HuberLoss(delta=2.0)),
        (gbo.HuberLoss, {"delta": 2.0}, gbo.HuberLoss(delta=2.0)),
        ({"loss": "huber", "delta": 3.0}, {"delta": 2.0}, gbo.HuberLoss(delta=2.0)),
        (
            gbo.Objective(gbo.FocalLoss(), scale=None),
            {"curvature": "safe", "loss__gamma": 1.0},
            gbo.Objective(gbo.FocalLoss(gamma=1.0), curvature="safe", scale=None),
        ),
        (
            gbo.OneVsRestLoss("focal", 3),
            {"binary__gamma": 1.0},
            gbo.OneVsRestLoss(gbo.FocalLoss(gamma=1.0), 3),
        ),
        (
            "softmax_focal",
            {"gamma": 1.0},
            {"loss": "softmax_focal", "gamma": 1.0},
        ),
        (
            gbo.SoftmaxFocalLoss,
            {"n_classes": 3, "gamma": 1.0},
            gbo.SoftmaxFocalLoss(3, gamma=1.0),
        ),
    ],
    ids=["loss", "class", "spec", "objective", "inner loss", "incomplete name", "completed class"],
)
@both
def test_a_parameter_puts_another_loss_in_the_place(library, loss, changes, expected):
    model = library.classifier(loss)
    before = repr(loss)
    model.set_params(**{f"loss__{name}": value for name, value in changes.items()})
    assert model.loss == expected
    assert repr(loss) == before
    for name, value in changes.items():
        assert model.get_params()[f"loss__{name}"] == value


@both
def test_a_spec_that_search_has_made_trains(library):
    model = library.classifier("softmax_focal").set_params(loss__gamma=1.0).fit(X, THREE)
    assert model.loss_ == gbo.SoftmaxFocalLoss(3, gamma=1.0)


@both
def test_parameters_that_are_refused(library):
    model = library.classifier("focal")
    with pytest.raises(ValueError, match=r"FocalLoss: unknown parameter 'gama' .*mean 'gamma'"):
        model.set_params(loss__gama=1.0)
    with pytest.raises(ValueError, match=r"gamma must be .*; got -1"):
        model.set_params(loss__gamma=-1.0)
    assert model.loss == "focal"
    with pytest.raises(TypeError, match=r"loss=None has no parameters; give a loss first"):
        library.classifier().set_params(loss__gamma=1.0)


@both
def test_clone_and_repr(library):
    model = library.regressor(gbo.HuberLoss(delta=2.0), learning_rate=0.25)
    twin = clone(model)
    assert twin.get_params() == model.get_params()
    assert twin is not model
    assert not hasattr(twin, "loss_")
    text = repr(library.regressor_class(loss="huber", learning_rate=0.25))
    assert text == f"{library.regressor_class.__name__}(learning_rate=0.25, loss='huber')"


@both
def test_a_subclass_of_the_users_own(library):
    class Mine(library.regressor_class):
        pass

    model = Mine(loss="poisson", **library.params).set_params(loss__ignore_index=5.0).fit(X, COUNT)
    assert model.loss_ == gbo.PoissonLoss(ignore_index=5.0)
    assert model.predict(X).min() > 0


# ---- what is refused -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("loss", "y", "message"),
    [
        (
            "focal",
            THREE,
            r"FocalLoss.* is a loss of 2 classes, and y has 3; loss=\"cross_entropy\"",
        ),
        (gbo.CrossEntropyLoss(4), THREE, r"n_classes=4\) is a loss of 4 classes, and y has 3"),
        (None, np.full(N, "a"), r"two classes or more; got one class"),
        ("huber", TWO, r"HuberLoss\(\) predicts no class; use the regressor"),
        ("ordinal_logit", THREE, r"order of the classes counts .*give the labels as numbers"),
        (gbo.Masked(gbo.LogLoss(), -1), TWO, r"has an ignore_index"),
        (gbo.LogLoss().bind([0, 1]), TWO, r"has bound targets"),
        ("margin_ranking", TWO, r"MarginRankingLoss needs groups of rows"),
        ("focl", TWO, r"unknown loss 'focl' \(did you mean 'focal'\?\)"),
    ],
    ids=lambda x: x if isinstance(x, str) else "",
)
@both
def test_classifier_refuses(library, loss, y, message):
    with pytest.raises(ValueError, match=message):
        library.classifier(loss).fit(X, y)


@both
def test_what_is_no_loss_is_refused(library):
    with pytest.raises(TypeError, match=r"LossRegressor: a Loss, .* is wanted; got 3"):
        library.regressor(3).fit(X, REAL)
    with pytest.raises(ValueError, match=r"LossRegressor: MarginRankingLoss needs groups"):
        library.regressor("margin_ranking").fit(X, REAL)
    with pytest.raises(ValueError, match=r"give `loss` in its place"):
        library.regressor(objective=lambda y, f: (f - y, f)).fit(X, REAL)
    with pytest.raises(ValueError, match=r"params has objective='poisson', which conflicts"):
        library.regressor(objective="poisson").fit(X, REAL)


# ---- in scikit-learn's hands ---------------------------------------------------------------


@both
def test_search_over_a_pipeline(library):
    model = make_pipeline(StandardScaler(), library.classifier("softmax_focal"))
    step = model.steps[-1][0]
    grid = {f"{step}__loss__gamma": [0.0, 5.0], f"{step}__learning_rate": [0.01, 0.3]}
    search = GridSearchCV(model, grid, cv=2, scoring="neg_log_loss").fit(X, THREE)
    assert search.best_params_ == {f"{step}__loss__gamma": 0.0, f"{step}__learning_rate": 0.3}
    assert search.best_estimator_[-1].loss_ == gbo.SoftmaxFocalLoss(3, gamma=0.0)


@both
def test_cross_validated_predictions(library):
    p = cross_val_predict(library.classifier(), X, THREE, cv=3, method="predict_proba")
    assert p.shape == (N, 3)
    assert (NAMES[p.argmax(axis=1)] == THREE).mean() > 0.7


@pytest.mark.parametrize("y", [TWO, THREE], ids=["two", "three"])
@both
def test_calibration_of_scores_that_are_no_probabilities(library, y):
    loss = "hinge" if y is TWO else "categorical_hinge"
    model = CalibratedClassifierCV(library.classifier(loss), cv=2).fit(X, y)
    assert model.score(X, y) > 0.7


@both
def test_importances(library):
    model = library.classifier().fit(X, THREE)
    found = permutation_importance(model, X, THREE, n_repeats=2, random_state=0).importances_mean
    assert found.argmax() == model.feature_importances_.argmax() == 0


LAZY = """
import sys
import gbobjectives as gbo
assert not {"xgboost", "lightgbm", "sklearn"} & set(sys.modules)
assert gbo.xgb.XGBLossRegressor.__module__ == "gbobjectives.adapters.xgboost_estimators"
assert gbo.lgb.LGBMLossClassifier.__module__ == "gbobjectives.adapters.lightgbm_estimators"
assert not hasattr(gbo.xgb, "LossRegressor")
assert not hasattr(gbo.lgb, "LossRegressor")
"""
WITHOUT_SKLEARN = """
import sys
sys.modules["sklearn"] = None
import gbobjectives as gbo
for module, name in ((gbo.xgb, "XGBLossRegressor"), (gbo.lgb, "LGBMLossRegressor")):
    try:
        getattr(module, name)
    except ImportError as error:
        extra = module.__name__.rpartition(".")[2]
        assert f'pip install "gbobjectives[{extra},sklearn]"' in str(error), error
    else:
        raise AssertionError(name)
"""


@pytest.mark.parametrize("code", [LAZY, WITHOUT_SKLEARN], ids=["lazy", "without scikit-learn"])
def test_they_are_loaded_when_asked_for(code):
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_a_library_that_trains_in_another_way_is_refused():
    def fit(self, X, y):
        return self

    with pytest.raises(NotImplementedError, match=r"fit calls no `train`.*newer than gbobjectives"):
        fit_calling(None, fit)
