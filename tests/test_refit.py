"""`gbo.lgb.refit`: new leaf values on new data, by any loss; LightGBM's own where it has one."""

import lightgbm
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import gbobjectives as gbo
from tests.boosting import (
    BINARY,
    CLASS,
    COUNT,
    LABELS,
    LGB,
    LOSS_OF_LINK,
    REAL,
    WEIGHT,
    N,
    X,
    dataset,
    raw,
    response,
    train_lgb,
    train_xgb,
)
from tests.versions import frames_and_subsets

every_link = pytest.mark.parametrize("link", LOSS_OF_LINK)
weighted = pytest.mark.parametrize("weight", [None, WEIGHT], ids=["plain", "weighted"])

# Labels of new data: a part of the rows has those of others, so that every leaf moves.
NEW = {
    name: np.where(X[:, 1] > 0, y, np.roll(y, 3)).astype(np.float32) for name, y in LABELS.items()
}

# ---- the rule of LightGBM ------------------------------------------------------------------

BUILT_IN = {
    "regression": (gbo.SquaredErrorLoss(), "real"),
    "binary": (gbo.Objective(gbo.LogLoss(), curvature="exact"), "binary"),
    "poisson": (gbo.Objective(gbo.PoissonLoss(), curvature="damped"), "count"),
    "multiclass": (gbo.Objective(gbo.CrossEntropyLoss(3), curvature="friedman"), "class"),
}


@weighted
@pytest.mark.parametrize("boost_from_average", [True, False], ids=["average", "zero"])
@pytest.mark.parametrize(
    "extra",
    [{}, {"lambda_l1": 1.0, "lambda_l2": 3.0}, {"max_delta_step": 0.1}],
    ids=["", "regularised", "limited"],
)
@pytest.mark.parametrize("name", BUILT_IN)
def test_a_built_in_model_is_refitted_as_lightgbm_does(name, extra, boost_from_average, weight):
    loss, kind = BUILT_IN[name]
    params = LGB | extra | {"objective": name, "boost_from_average": boost_from_average}
    params |= {"num_class": 3} if name == "multiclass" else {}
    model = lightgbm.train(params, dataset(LABELS[kind], weight), 15)
    for decay in (0.0, 0.5, 0.9, 1.0):
        theirs = model.refit(X, NEW[kind], decay_rate=decay, weight=weight)
        ours = gbo.lgb.refit(model, X, NEW[kind], loss=loss, weight=weight, decay_rate=decay)
        assert_allclose(raw(ours), raw(theirs), rtol=1e-6, atol=1e-6)
        assert_allclose(response(ours), response(theirs), rtol=1e-6, atol=1e-6)


def test_a_leaf_without_rows_and_a_tree_without_a_split_keep_their_values():
    model = lightgbm.train(LGB | {"objective": "regression"}, dataset(REAL), 5)
    few = X[:, 0] > 1
    new = gbo.lgb.refit(model, X[few], REAL[few], loss="squared_error", decay_rate=0.0)
    reached = model.predict(X[few], pred_leaf=True)
    for tree in range(5):
        for leaf in range(LGB["num_leaves"]):
            same = new.get_leaf_output(tree, leaf) == model.get_leaf_output(tree, leaf)
            assert same == (leaf not in reached[:, tree])
    stump = lightgbm.train(LGB | {"objective": "regression", "min_data_in_leaf": N}, dataset(REAL))
    new = gbo.lgb.refit(stump, X, 2 * REAL, loss="squared_error", decay_rate=0.0)
    assert_array_equal(raw(new), raw(stump))


# ---- models of ours ------------------------------------------------------------------------


@weighted
@pytest.mark.parametrize("curvature", ["auto", "safe"])
@every_link
def test_the_training_data_give_the_model_back(link, curvature, weight):
    """Also automatic widths, resolved anew in every round, and a scale, which follows them."""
    loss, kind = LOSS_OF_LINK[link]
    for own in (loss, gbo.HuberLoss()) if link == "identity" else (loss,):
        objective = gbo.Objective(own, curvature=curvature)
        model = train_lgb(objective, LABELS[kind], weight, rounds=15, params={"lambda_l2": 2.0})
        new = gbo.lgb.refit(model, X, LABELS[kind], weight=weight, decay_rate=0.0)
        assert_allclose(raw(new), raw(model), rtol=1e-9, atol=1e-9)


@every_link
def test_new_labels_are_fitted_better_and_the_old_model_stays(link):
    loss, kind = LOSS_OF_LINK[link]
    model = train_lgb(loss, LABELS[kind], rounds=15)
    before = model.model_to_string()
    values = [
        loss(NEW[kind], raw(gbo.lgb.refit(model, X, NEW[kind], decay_rate=decay)))
        for decay in (1.0, 0.9, 0.5, 0.0)
    ]
    assert values[0] == pytest.approx(loss(NEW[kind], raw(model)), rel=1e-12)
    assert values == sorted(values, reverse=True)
    assert values[-1] < values[0]
    assert model.model_to_string() == before


def test_one_leaf_by_hand():
    """Two leaves, one round: value = intercept + rate * -G / (H + lambda), halfway from the old."""
    loss = gbo.Objective(gbo.HuberLoss(delta=1.0), curvature="exact", scale=None)
    params = {"num_leaves": 2, "lambda_l2": 5.0, "learning_rate": 0.5}
    model = train_lgb(loss, REAL, rounds=1, params=params)
    y = REAL + 10
    new = gbo.lgb.refit(model, X, y, weight=WEIGHT, decay_rate=0.5)
    old_c, new_c = loss.loss.intercept(REAL)[0], loss.loss.intercept(y, WEIGHT)[0]
    c = (old_c + new_c) / 2
    g, h = (a.astype(np.float64) for a in loss.gradient_hessian(y, np.full(N, c), WEIGHT))
    leaf = model.predict(X, pred_leaf=True).ravel()
    for i in range(2):
        step = -0.5 * g[leaf == i].sum() / (h[leaf == i].sum() + 5)
        wanted = c + (model.get_leaf_output(0, i) - old_c + step) / 2
        assert new.get_leaf_output(0, i) == pytest.approx(wanted, rel=1e-9)


def test_the_intercept_follows_the_labels():
    """On a scale of thousands a Newton step from 0 would not arrive, or overflow."""
    model = train_lgb(gbo.PoissonLoss(), COUNT, rounds=15)
    new = gbo.lgb.refit(model, X, 1000 * COUNT, decay_rate=0.0)
    assert_allclose(response(new), 1000 * response(model), rtol=0.2)
    again = gbo.lgb.refit(new, X, COUNT, decay_rate=0.0)
    assert_allclose(raw(again), raw(model), rtol=1e-9, atol=1e-9)


def test_the_loss_the_link_and_the_best_round_are_in_the_new_model(tmp_path):
    train = dataset(BINARY, None, slice(0, 400))
    objective = gbo.Objective(gbo.FocalLoss(), curvature="safe")
    model = gbo.lgb.train(
        LGB | {"early_stopping_round": 3},
        train,
        200,
        loss=objective,
        valid_sets=dataset(BINARY, None, slice(400, N), reference=train),
    )
    new = gbo.lgb.refit(model, X, NEW["binary"])
    assert gbo.objective_of(new) == objective
    assert 0 < new.best_iteration == model.best_iteration < 200
    assert_allclose(response(new), objective.loss.predict(raw(new)), rtol=1e-12)
    new.save_model(tmp_path / "new.txt")
    loaded = lightgbm.Booster(model_file=tmp_path / "new.txt")
    assert_allclose(response(loaded), response(new), rtol=1e-12)
    shap = new.predict(X, pred_contrib=True).sum(axis=1)
    assert_allclose(shap, raw(new), rtol=1e-9, atol=1e-9)
    other = gbo.lgb.refit(loaded, X, NEW["binary"], loss=gbo.LogLoss())
    assert gbo.loss_of(other) == gbo.LogLoss()


def test_a_model_that_was_continued_keeps_its_intercept():
    model = train_lgb("huber", REAL + 100, rounds=5)
    longer = train_lgb("huber", REAL + 100, rounds=5, init_model=model)
    new = gbo.lgb.refit(longer, X, REAL + 100, decay_rate=0.0)
    assert_allclose(raw(new), raw(longer), rtol=1e-9)


@frames_and_subsets
def test_offsets_groups_and_bound_targets():
    offset = 0.3 * X[:, 0].astype(np.float64)
    model = gbo.lgb.train(LGB, dataset(COUNT, init_score=offset), 10, loss="poisson")
    new = gbo.lgb.refit(model, X, COUNT, init_score=offset, decay_rate=0.0)
    assert_allclose(raw(new), raw(model), rtol=1e-9, atol=1e-9)
    sizes = [100, 200, 300]
    model = gbo.lgb.train(LGB, dataset(CLASS, group=sizes), 10, loss=gbo.MarginRankingLoss())
    new = gbo.lgb.refit(model, X, CLASS, group=sizes, decay_rate=0.0)
    assert_allclose(raw(new), raw(model), rtol=1e-9, atol=1e-9)
    rows = np.arange(N)
    loss = gbo.MultiOutputLoss(["squared_error", "huber"])
    loss = loss.bind(np.column_stack([REAL, -REAL]))
    model = train_lgb(loss, rows.astype(np.float32), rounds=10)
    new = gbo.lgb.refit(model, X, rows, loss=loss, decay_rate=0.0)
    assert_allclose(raw(new), raw(model), rtol=1e-9, atol=1e-9)


def test_an_estimator_is_refitted_like_its_booster():
    model = lightgbm.LGBMRegressor(n_estimators=5, verbosity=-1).fit(X, REAL)
    new = gbo.lgb.refit(model, X, NEW["real"], loss="squared_error")
    assert_allclose(raw(new), model.booster_.refit(X, NEW["real"]).predict(X), rtol=1e-6, atol=1e-6)


# ---- what is refused -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"linear_tree": True}, "linear trees are not possible"),
        ({"boosting": "rf", "bagging_fraction": 0.5, "bagging_freq": 1}, "an average of trees"),
        ({"path_smooth": 1.0}, "trained with path_smooth=1"),
        ({"monotone_constraints": [1, 0, 0, 0, 0]}, "trained with monotone_constraints=1,0,0,0,0"),
    ],
    ids=lambda x: next(iter(x)) if isinstance(x, dict) else "",
)
def test_models_whose_leaves_depend_on_more_than_their_rows_are_refused(params, message):
    model = lightgbm.train(LGB | params | {"objective": "regression"}, dataset(REAL), 3)
    with pytest.raises(ValueError, match=message):
        gbo.lgb.refit(model, X, REAL, loss="squared_error")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"loss": "log"}, r"does not predict through Link\('logit'\)"),
        ({"loss": gbo.CrossEntropyLoss(3)}, r"the model has 1 output\(s\), but .* has 3"),
        ({"label": -REAL}, r"lgb.refit: PoissonLoss: y_true must lie in"),
        ({"label": COUNT[:-1]}, "lgb.refit: PoissonLoss: .*599"),
        ({"weight": -WEIGHT}, "lgb.refit: PoissonLoss: sample_weight"),
        ({"init_score": np.full(N, np.nan)}, "init_score must hold finite numbers"),
        ({"decay_rate": 1.5}, r"decay_rate must be a number in \[0, 1\]; got 1.5"),
    ],
    ids=str,
)
def test_data_and_losses_that_do_not_fit_the_model_are_refused(arguments, message):
    model = train_lgb("poisson", COUNT)
    label = arguments.get("label", COUNT)
    rest = {name: value for name, value in arguments.items() if name != "label"}
    y = BINARY if rest.get("loss") == "log" else label
    with pytest.raises(ValueError, match=message):
        gbo.lgb.refit(model, X, y, **rest)


def test_models_of_xgboost_and_models_without_a_loss_are_refused():
    with pytest.raises(TypeError, match="a model of LightGBM is wanted"):
        gbo.lgb.refit(train_xgb("huber", REAL, rounds=1), X, REAL)
    model = lightgbm.train(LGB | {"objective": "regression"}, dataset(REAL), 2)
    with pytest.raises(ValueError, match="the model holds no loss"):
        gbo.lgb.refit(model, X, REAL)
