"""What `train` refuses before a tree is grown, with the reason and the way out."""

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
    TRAIN,
    VALID,
    WEIGHT,
    XGB,
    N,
    X,
    both_libraries,
    dataset,
    dmatrix,
    train_lgb,
    train_xgb,
)


@pytest.fixture
def no_tree(monkeypatch):
    """Fails the test if the library is asked to train, or an objective is called."""

    def forbidden(*_, **__):
        pytest.fail("training has begun")

    monkeypatch.setattr(xgboost, "train", forbidden)
    monkeypatch.setattr(lightgbm, "train", forbidden)
    monkeypatch.setattr(gbo.Objective, "gradient_hessian", forbidden)


pytestmark = pytest.mark.usefixtures("no_tree")


def bad(y, value, row=17):
    changed = y.copy()
    changed[row] = value
    return changed


# ---- labels and weights ----------------------------------------------------------------


@pytest.mark.parametrize(
    ("loss", "y", "message"),
    [
        ("poisson", bad(COUNT, -0.5), r"y_true must lie in \[0, inf\); got -0.5"),
        ("log", bad(BINARY, 2), r"y_true must lie in \[0, 1\]; got 2"),
        (gbo.CrossEntropyLoss(3), bad(CLASS, 3), r"must lie in \[0, 2\]; got 3"),
        (gbo.CrossEntropyLoss(3), bad(CLASS, 0.5), "must hold integers 0 to 2; got 0.5"),
    ],
    ids=["count", "binary", "class", "fraction"],
)
@both_libraries
def test_labels_outside_the_domain_name_the_data_set(train, data, adapters, loss, y, message):
    first = "dtrain" if adapters is gbo.xgb else "train_set"
    with pytest.raises(ValueError, match=rf"{first}: \w+: .*{message} at row 17"):
        train(loss, y)
    good = bad(y, 1.0)
    if adapters is gbo.xgb:
        options, where = {"evals": [(data(good), "fine"), (data(y), "valid")]}, "evals 'valid'"
    else:
        options, where = {"valid_sets": [data(good), data(y)]}, r"valid_sets\[1\]"
    with pytest.raises(ValueError, match=rf"{where}: .*at row 17"):
        train(loss, good, **options)


def test_missing_labels_name_the_data_set():
    none = xgboost.DMatrix(X)
    with pytest.raises(ValueError, match="dtrain: the DMatrix has no labels"):
        gbo.xgb.train(XGB, none, loss="huber")
    with pytest.raises(ValueError, match="evals 'valid': the DMatrix has no labels"):
        gbo.xgb.train(XGB, dmatrix(REAL), loss="huber", evals=[(none, "valid")])
    with pytest.raises(ValueError, match="train_set: the Dataset has no labels"):
        gbo.lgb.train(LGB, lightgbm.Dataset(X), loss="huber")
    with pytest.raises(ValueError, match=r"valid_sets\[0\]: the Dataset has no labels"):
        gbo.lgb.train(LGB, dataset(REAL), loss="huber", valid_sets=[lightgbm.Dataset(X)])


def test_missing_values_and_negative_weights_name_their_row():
    with pytest.raises(ValueError, match=r"train_set: HuberLoss: y_true .*got nan at row 17"):
        train_lgb("huber", bad(REAL, np.nan))
    with pytest.raises(ValueError, match=r"train_set: HuberLoss: sample_weight .*got -1 at row 17"):
        train_lgb("huber", REAL, bad(WEIGHT, -1))


def test_arrays_in_place_of_data_sets():
    with pytest.raises(TypeError, match=r"dtrain must be an xgboost.DMatrix; got ndarray"):
        gbo.xgb.train(XGB, X, loss="huber")
    with pytest.raises(TypeError, match=r"train_set must be a lightgbm.Dataset; got ndarray"):
        gbo.lgb.train(LGB, X, loss="huber")
    with pytest.raises(TypeError, match=r"valid_sets\[0\] must be a lightgbm.Dataset; got tuple"):
        gbo.lgb.train(LGB, dataset(REAL), loss="huber", valid_sets=[(X, REAL)])


# ---- losses ----------------------------------------------------------------------------


@both_libraries
def test_what_is_no_loss(train, data, adapters):
    library = "xgb" if adapters is gbo.xgb else "lgb"
    with pytest.raises(TypeError, match=rf"{library}.train: a Loss, an Objective or a name"):
        train(3, REAL)
    with pytest.raises(ValueError, match=r"unknown loss 'hubr' \(did you mean 'huber'\?\)"):
        train("hubr", REAL)
    with pytest.raises(TypeError, match=rf"{library}.objective: a Loss, an Objective or a name"):
        adapters.objective(None)


# ---- parameters ------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name",
    ["scale_pos_weight", "huber_slope", "quantile_alpha", "expectile_alpha",
     "tweedie_variance_power"],
)  # fmt: skip
def test_parameters_without_effect_in_xgboost(name):
    with pytest.raises(ValueError, match=rf"params has {name}=0.5, which has no effect under"):
        train_xgb("log", BINARY, params={name: 0.5})


@pytest.mark.parametrize(
    "name",
    ["boost_from_average", "is_unbalance", "unbalance", "unbalanced_sets", "scale_pos_weight",
     "alpha", "fair_c", "poisson_max_delta_step", "tweedie_variance_power", "sigmoid", "reg_sqrt",
     "pos_bagging_fraction", "neg_bagging_fraction", "pos_subsample"],
)  # fmt: skip
def test_parameters_without_effect_in_lightgbm(name):
    with pytest.raises(ValueError, match=rf"params has {name}=0.5, which has no effect under"):
        train_lgb("log", BINARY, params={name: 0.5})


@pytest.mark.parametrize("alias", ["objective", "objective_type", "app", "application", "loss"])
def test_another_objective_in_lightgbm_under_every_alias(alias):
    with pytest.raises(ValueError, match=r"objective='poisson', which conflicts with loss=LogLoss"):
        train_lgb("log", BINARY, params={alias: "poisson"})


def test_another_objective_in_xgboost():
    message = r"objective='reg:logistic', .*loss=LogLoss.*'binary:logistic' is set"
    with pytest.raises(ValueError, match=message):
        train_xgb("log", BINARY, params={"objective": "reg:logistic"})


@pytest.mark.parametrize("name", ["num_class", "num_target"])
def test_another_number_of_outputs_in_xgboost(name):
    with pytest.raises(ValueError, match=rf"{name}=4, but CrossEntropyLoss.* has 3 output"):
        train_xgb(gbo.CrossEntropyLoss(3), CLASS, params={name: 4})
    with pytest.raises(ValueError, match=rf"{name}=2, but LogLoss.* has 1 output"):
        train_xgb("log", BINARY, params={name: 2})


@pytest.mark.parametrize("name", ["num_class", "num_classes"])
def test_another_number_of_outputs_in_lightgbm(name):
    with pytest.raises(ValueError, match=r"num_class=4, but CrossEntropyLoss.* has 3 output"):
        train_lgb(gbo.CrossEntropyLoss(3), CLASS, params={name: 4})


@pytest.mark.parametrize("boosting", ["boosting", "boosting_type", "boost"])
def test_random_forests_and_linear_trees_in_lightgbm(boosting):
    with pytest.raises(ValueError, match=r"LightGBM refuses custom objectives with boosting='rf'"):
        train_lgb("huber", REAL, params={boosting: "rf"})
    for linear in ("linear_tree", "linear_trees"):
        with pytest.raises(ValueError, match="linear_tree is not possible"):
            train_lgb("huber", REAL, params={linear: True})


def test_a_live_booster_in_lightgbm():
    with pytest.raises(ValueError, match=r"keep_training_booster=True.*continue .*init_model="):
        train_lgb("huber", REAL, keep_training_booster=True)


# ---- stopping --------------------------------------------------------------------------


def test_early_stopping_without_evals_or_in_the_wrong_direction():
    with pytest.raises(ValueError, match="early_stopping_rounds needs evals to stop on"):
        train_xgb("huber", REAL, early_stopping_rounds=3)
    message = r"maximize=True contradicts the metric 'huber', whose greater_is_better is False"
    with pytest.raises(ValueError, match=message):
        train_xgb("huber", REAL, maximize=True)


@both_libraries
def test_a_function_that_says_nothing_of_its_direction(train, data, adapters):
    with pytest.raises(ValueError, match=r"says nothing of its direction; give greater_is_better"):
        train("log", BINARY, metric=np.mean)


# ---- models and offsets to go on from --------------------------------------------------


@pytest.fixture(scope="module")
def models():
    """Trained before `no_tree`, which is of one test only."""
    return train_xgb("huber", REAL), train_lgb("huber", REAL)


def test_a_model_with_another_link_is_not_continued(models):
    xgb_model, lgb_model = models
    message = r"not trained with 'binary:logistic', .*predictions would change scale"
    with pytest.raises(ValueError, match=message):
        train_xgb("log", BINARY, xgb_model=xgb_model)
    message = r"trained with 'objective=regression'; LogLoss.* needs 'binary sigmoid:1'"
    with pytest.raises(ValueError, match=message):
        train_lgb("log", BINARY, init_model=lgb_model)
    d = dataset(REAL, init_score=X[:, 0].astype(np.float64))
    with pytest.raises(ValueError, match="init_model would override the init_score of train_set"):
        gbo.lgb.train(LGB, d, 2, loss="huber", init_model=lgb_model)


def test_offsets_on_one_side_only():
    d = dmatrix(REAL, None, TRAIN)
    valid = dmatrix(REAL, None, VALID, base_margin=X[:, 0])
    with pytest.raises(ValueError, match=r"dtrain and evals 'v' must both have a base_margin or"):
        gbo.xgb.train(XGB, d, 2, loss="huber", evals=[(valid, "v")])
    d = dataset(REAL, None, TRAIN)
    valid = dataset(REAL, None, VALID, init_score=np.zeros(N), reference=d)
    with pytest.raises(ValueError, match=r"train_set and valid_sets\[0\] must both have an init"):
        gbo.lgb.train(LGB, d, 2, loss="huber", valid_sets=valid)


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"base_score": 0.3}, "has base_score=0.3, which XGBoost ignores where dtrain has a base_"),
        ({"booster": "dart"}, "dropping trees is not possible with a base_margin"),
        ({"rate_drop": 0.1}, "dropping trees is not possible with a base_margin"),
    ],
    ids=["base_score", "dart", "rate_drop"],
)
def test_what_cannot_go_with_a_base_margin_in_xgboost(params, message):
    data = dmatrix(COUNT, base_margin=np.ones(N, dtype=np.float32))
    with pytest.raises(ValueError, match=message):
        gbo.xgb.train(XGB | params, data, 3, loss="poisson")
