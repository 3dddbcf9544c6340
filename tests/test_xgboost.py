"""`gbobjectives.xgb.train`: the numbers of the built-in objectives, with all XGBoost offers."""

import copy

import numpy as np
import pandas as pd
import pytest
import sklearn.metrics
import xgboost
from xgboost.callback import EarlyStopping

import gbobjectives as gbo
from tests.boosting import (
    BINARY,
    CLASS,
    COUNT,
    LABELS,
    REAL,
    TRAIN,
    VALID,
    WEIGHT,
    XGB,
    N,
    X,
    distance,
    dmatrix,
    expit,
    raw,
    response,
    train_xgb,
    xgb_log,
)
from tests.versions import XGBOOST_HAS_INTERCEPTS, gradient_sampling, several_intercepts

CROSS_ENTROPY = gbo.CrossEntropyLoss(3)
MARGIN = 2 * X[:, 1]
quiet_dart = pytest.mark.filterwarnings(r"ignore:[\s\S]*booster=dart")


def builtin(objective, y, w=None, rounds=50, params=()):
    settings = XGB | {"objective": objective} | dict(params)
    return xgboost.train(settings, dmatrix(y, w), rounds)


# ---- parity with the built-in objectives -----------------------------------------------


@pytest.mark.parametrize("w", [None, WEIGHT], ids=["plain", "weighted"])
@pytest.mark.parametrize(
    ("name", "kind", "loss", "rules", "both", "theirs"),
    [
        ("reg:squarederror", "real", gbo.SquaredErrorLoss(), ["auto"], {}, {}),
        ("binary:logistic", "binary", gbo.LogLoss(), ["exact"], {}, {}),
        # Which curvature the built-in takes depends on the version of XGBoost.
        (
            "reg:pseudohubererror",
            "real",
            gbo.PseudoHuberLoss(delta=1.0),
            ["exact", "safe"],
            {"base_score": 0.25},
            {},
        ),
        ("count:poisson", "count", gbo.PoissonLoss(), ["damped"], {"max_delta_step": 0.7}, {}),
        ("multi:softprob", "class", CROSS_ENTROPY, ["gershgorin", "safe"], {}, {"num_class": 3}),
    ],
    ids=lambda v: v if isinstance(v, str) and ":" in v else "",
)
def test_parity_after_50_rounds(name, kind, loss, rules, both, theirs, w):
    y = LABELS[kind]
    if not XGBOOST_HAS_INTERCEPTS and kind in ("count", "class"):
        # Before 3.1 these built-ins start from 0.5 and not from the best constant.
        both = both | {"base_score": 0.5}
    reference = builtin(name, y, w, params=both | theirs)
    ours = [
        train_xgb(gbo.Objective(loss, curvature=rule, scale=None), y, w, 50, both) for rule in rules
    ]
    assert min(distance(raw(model), raw(reference)) for model in ours) < 1e-5
    assert min(distance(response(model), response(reference)) for model in ours) < 1e-5


@quiet_dart
@pytest.mark.parametrize(
    "params",
    [
        {"booster": "dart", "rate_drop": 0.5},
        {"subsample": 0.6, "colsample_bytree": 0.6},
        pytest.param(
            {"subsample": 0.5, "sampling_method": "gradient_based"}, marks=gradient_sampling
        ),
        {"num_parallel_tree": 3, "subsample": 0.5},
        {"grow_policy": "lossguide", "max_leaves": 6, "max_bin": 32},
        {"monotone_constraints": (1, 0, 0, 0, 0)},
        {"interaction_constraints": "[[0, 2], [1, 3, 4]]"},
    ],
    ids=str,
)
def test_parity_under_options_of_the_booster(params):
    params = params | {"base_score": 0.25}
    ours = train_xgb("squared_error", REAL, WEIGHT, 20, params)
    reference = builtin("reg:squarederror", REAL, WEIGHT, 20, params)
    assert distance(raw(ours), raw(reference)) < 1e-5
    if "monotone_constraints" not in params:
        plain = builtin("reg:squarederror", REAL, WEIGHT, 20, {"base_score": 0.25})
        assert distance(raw(reference), raw(plain)) > 1e-3, "the option does nothing here"


@several_intercepts
def test_parity_of_trees_with_vector_leaves():
    params = {"multi_strategy": "multi_output_tree", "base_score": [0.1, 0.2, 0.3]}
    reference = builtin("multi:softprob", CLASS, None, 20, params | {"num_class": 3})
    objectives = [gbo.Objective(CROSS_ENTROPY, curvature=rule) for rule in ("gershgorin", "safe")]
    ours = [train_xgb(objective, CLASS, None, 20, params) for objective in objectives]
    assert min(distance(raw(model), raw(reference)) for model in ours) < 1e-5
    assert len(ours[0].get_dump()) == 20, "one tree a round, not one for each class"


def test_parity_with_categorical_features_and_a_quantile_dmatrix():
    frame = pd.DataFrame(X).assign(
        kind=pd.Categorical(np.array(list("abcd"))[(np.abs(X[:, 3]) * 10).astype(int) % 4])
    )
    reference, ours = (
        train(xgboost.QuantileDMatrix(frame, label=BINARY, enable_categorical=True))
        for train in (
            lambda d: xgboost.train(XGB | {"objective": "binary:logistic"}, d, 20),
            lambda d: gbo.xgb.train(
                XGB, d, 20, loss=gbo.Objective(gbo.LogLoss(), curvature="exact")
            ),
        )
    )
    d = xgboost.DMatrix(frame, enable_categorical=True)
    assert distance(ours.predict(d), reference.predict(d)) < 1e-5
    assert "kind" in ours.get_score()


@pytest.mark.parametrize("loss", ["mae", gbo.QuantileLoss(0.8)], ids=str)
def test_monotone_constraints_hold(loss):
    """The built-in absolute error renews its leaves, and breaks them."""
    model = train_xgb(loss, -REAL, None, 30, {"monotone_constraints": (1, -1, 0, 0, 0)})
    for feature, sign in ((0, 1), (1, -1)):
        grid = np.repeat(X[:20, None], 30, axis=1)
        grid[:, :, feature] = np.linspace(-3, 3, 30)
        f = model.predict(xgboost.DMatrix(grid.reshape(-1, 5))).reshape(20, 30)
        assert (sign * np.diff(f, axis=1)).min() >= -1e-6
    assert np.ptp(raw(model)) > 0.1


# ---- where the model starts ------------------------------------------------------------


def test_base_score_of_the_user_is_respected():
    for value in (0.25, 3.0):
        model = train_xgb("huber", REAL, None, 1, {"base_score": value, "eta": 1e-30})
        np.testing.assert_allclose(raw(model), value, rtol=1e-6)


@pytest.mark.parametrize("parallel", [1, 3])
@pytest.mark.parametrize(
    ("loss", "y"), [("squared_error", REAL), ("poisson", COUNT), ("mae", REAL), ("log", BINARY)]
)
def test_base_margin_of_the_user_is_kept_and_the_best_constant_added(loss, y, parallel):
    loss = gbo.get_loss(loss)
    d = dmatrix(y, WEIGHT, base_margin=MARGIN)
    model = gbo.xgb.train(XGB | {"num_parallel_tree": parallel}, d, 5, loss=loss)
    assert model.num_boosted_rounds() == 6
    constant = loss.intercept(y, WEIGHT, MARGIN)
    first = model.predict(d, output_margin=True, iteration_range=(0, 1))
    np.testing.assert_allclose(first, MARGIN + constant, rtol=1e-5, atol=1e-6)
    f = model.predict(d, output_margin=True)
    zero = model.predict(xgboost.DMatrix(X, base_margin=np.zeros(N)), output_margin=True)
    np.testing.assert_allclose(f, MARGIN + zero, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(model.predict(d), loss.predict(f), rtol=1e-5)
    assert loss(y, f, WEIGHT) < loss(y, first, WEIGHT)


def test_base_margin_of_several_classes():
    margin = np.stack([MARGIN, 0 * MARGIN, -MARGIN], axis=1)
    d = dmatrix(CLASS, base_margin=margin)
    model = gbo.xgb.train(XGB, d, 5, loss=CROSS_ENTROPY)
    first = model.predict(d, output_margin=True, iteration_range=(0, 1))
    constant = CROSS_ENTROPY.intercept(CLASS, None, margin)
    np.testing.assert_allclose(first, margin + constant, rtol=1e-5, atol=1e-5)
    assert CROSS_ENTROPY(CLASS, model.predict(d, output_margin=True)) < CROSS_ENTROPY(CLASS, first)


def test_base_margin_parity_with_labels_that_are_shifted_instead():
    ours = gbo.xgb.train(XGB, dmatrix(REAL, base_margin=MARGIN), 20, loss="squared_error")
    f = ours.predict(dmatrix(REAL, base_margin=MARGIN)) - MARGIN
    shifted = builtin("reg:squarederror", REAL - MARGIN, None, 20)
    assert distance(f, raw(shifted)) < 1e-5


def test_base_margin_of_validation_rows_is_used_and_must_be_there():
    d, valid = (dmatrix(REAL, WEIGHT, rows, base_margin=MARGIN) for rows in (TRAIN, VALID))
    log = {}
    options = {"evals": [(valid, "valid")], "evals_result": log, "verbose_eval": False}
    model = gbo.xgb.train(XGB, d, 5, loss="squared_error", **options)
    residual = model.predict(valid) - REAL[VALID]
    wanted = np.average(residual**2, weights=WEIGHT[VALID])
    assert log["valid"]["mse"][-1] == pytest.approx(wanted, rel=1e-5)
    without = [(dmatrix(REAL, None, VALID), "valid")]
    with pytest.raises(ValueError, match=r"dtrain and evals 'valid' must both have a base_margin"):
        gbo.xgb.train(XGB, d, 5, loss="squared_error", evals=without)


@pytest.mark.parametrize("margin", [None, MARGIN], ids=["plain", "base_margin"])
def test_a_model_that_is_continued_is_the_longer_model(margin, tmp_path):
    d = dmatrix(REAL, WEIGHT, **({} if margin is None else {"base_margin": margin}))
    longer, begun = (gbo.xgb.train(XGB, d, rounds, loss="huber") for rounds in (12, 7))
    begun.save_model(tmp_path / "begun.json")
    for start in (begun, str(tmp_path / "begun.json")):
        # A base_score would overwrite that of the model, and shift it.
        params = XGB | {"base_score": 5.0}
        continued = gbo.xgb.train(params, d, 5, loss="huber", xgb_model=start)
        assert continued.num_boosted_rounds() == longer.num_boosted_rounds()
        assert distance(continued.predict(d), longer.predict(d)) < 1e-6


# ---- what is logged, and when training stops -------------------------------------------


def test_early_stopping_watches_the_weighted_metric_of_the_last_evals():
    model, log = xgb_log("mae", REAL, rounds=200, w=WEIGHT, early_stopping_rounds=5)
    values = log["mae"]
    best = model.best_iteration
    assert best == np.argmin(values) == len(values) - 6
    f = model.predict(dmatrix(REAL, None, VALID), iteration_range=(0, best + 1))
    wanted = np.average(np.abs(f - REAL[VALID]), weights=WEIGHT[VALID])
    assert model.best_score == pytest.approx(wanted, abs=2e-6)


@pytest.mark.parametrize("metric_name", [None, "average_precision_score"])
def test_early_stopping_of_the_user_is_told_the_direction(metric_name):
    stop = EarlyStopping(rounds=8, metric_name=metric_name, save_best=True)
    model, log = xgb_log(
        "log",
        BINARY,
        rounds=100,
        metric=gbo.Metric(sklearn.metrics.average_precision_score, greater_is_better=True),
        callbacks=[stop],
    )
    values = log["average_precision_score"]
    assert model.num_boosted_rounds() == np.argmax(values) + 1 == len(values) - 8
    assert stop.maximize is None, "the user's own object is left as it is"
    assert stop.metric_name == metric_name


def test_custom_metric_alone_is_stopped_on_in_the_users_direction():
    values = iter([1.0, 5.0, 4.0, 3.0, 2.0, 1.0])
    model, log = xgb_log(
        "huber",
        REAL,
        rounds=6,
        custom_metric=lambda margins, d: ("theirs", next(values)),
        early_stopping_rounds=2,
        maximize=True,
    )
    assert list(log) == ["theirs"]
    assert model.best_iteration == 1
    assert len(log["theirs"]) == 4


def test_custom_metric_sees_margins_and_stands_beside_ours():
    seen = []

    def custom(margins, d):
        seen.append(margins)
        return "mean_margin", float(margins.mean())

    model, log = xgb_log("log", BINARY, custom_metric=custom, metric="focal")
    assert list(log) == ["mean_margin", "focal"]
    np.testing.assert_allclose(seen[-1], raw(model, VALID), rtol=1e-5, atol=1e-6)
    wanted = gbo.FocalLoss()(BINARY[VALID], raw(model, VALID))
    assert log["focal"][-1] == pytest.approx(wanted, abs=2e-6)


@pytest.mark.parametrize("own_code", [False, True])
def test_labels_are_read_once_unless_code_of_the_user_might_change_them(monkeypatch, own_code):
    class Watcher(xgboost.callback.TrainingCallback):
        def after_iteration(self, *_):
            return False

    data, read = xgboost.DMatrix(X, REAL), []
    get_label = data.get_label
    monkeypatch.setattr(data, "get_label", lambda: read.append(1) or get_label())
    callbacks = [Watcher()] if own_code else [EarlyStopping(rounds=5, data_name="d")]
    gbo.xgb.train(
        XGB, data, 5, loss="huber", evals=[(data, "d")], callbacks=callbacks, verbose_eval=False
    )
    # For the metric once a round; before training for itself and as one of the evals.
    assert len(read) == 2 + 5 + (5 if own_code else 0)


def test_callbacks_of_the_user_run():
    class Count(xgboost.callback.TrainingCallback):
        rounds = 0

        def after_iteration(self, model, epoch, evals_log):
            self.rounds += 1
            return epoch == 3

    count = Count()
    assert train_xgb("huber", REAL, rounds=10, callbacks=[count]).num_boosted_rounds() == 4
    assert count.rounds == 4


def test_cv_of_xgboost_takes_the_adapters():
    params = XGB | {"objective": "binary:logistic", "base_score": 0.5}
    objective = gbo.xgb.objective(gbo.Objective(gbo.LogLoss(), curvature="exact"))
    table = xgboost.cv(
        params, dmatrix(BINARY, WEIGHT), 10, nfold=3,
        obj=objective, custom_metric=gbo.xgb.metric("log"), seed=1,
    )  # fmt: skip
    reference = xgboost.cv(params, dmatrix(BINARY, WEIGHT), 10, nfold=3, metrics="logloss", seed=1)
    for column in ("train", "test"):
        ours = table[f"{column}-log_loss-mean"]
        np.testing.assert_allclose(ours, reference[f"{column}-logloss-mean"], atol=2e-6)


# ---- the user's objects ----------------------------------------------------------------


def test_parameters_may_be_pairs_and_keep_every_metric():
    pairs = [*XGB.items(), ("eval_metric", "mae"), ("eval_metric", "rmse")]
    kept = copy.deepcopy(pairs)
    log, d = {}, dmatrix(REAL)
    model = gbo.xgb.train(
        pairs, d, 5, loss="huber", evals=[(d, "d")], evals_result=log, verbose_eval=False
    )
    assert list(log["d"]) == ["mae", "rmse", "huber"]
    assert pairs == kept
    assert np.array_equal(raw(model), raw(train_xgb("huber", REAL)))


@pytest.mark.parametrize("margin", [None, MARGIN], ids=["plain", "base_margin"])
def test_nothing_of_the_user_is_changed(margin):
    arrays = {"X": X.copy(), "y": REAL.copy(), "w": WEIGHT.copy()}
    fields = {} if margin is None else {"base_margin": margin.copy()}
    d = xgboost.DMatrix(arrays["X"], label=arrays["y"], weight=arrays["w"], **fields)
    params = XGB | {"eval_metric": ["mae"], "monotone_constraints": (1, 0, 0, 0, 0)}
    params_before, evals = copy.deepcopy(params), [(d, "d")]
    before = {name: a.tobytes() for name, a in (arrays | fields).items()}
    gbo.xgb.train(
        params, d, 5, loss="mae", evals=evals, early_stopping_rounds=3, verbose_eval=False
    )
    assert params == params_before
    assert evals == [(d, "d")]
    assert {name: a.tobytes() for name, a in (arrays | fields).items()} == before
    assert np.array_equal(d.get_label(), REAL)
    assert np.array_equal(d.get_weight(), WEIGHT)
    assert np.array_equal(d.get_base_margin(), [] if margin is None else margin)


def test_the_loss_may_be_a_name_a_spec_or_an_objective():
    models = [
        train_xgb(loss, BINARY)
        for loss in ("focal", {"loss": "focal"}, gbo.FocalLoss(), gbo.Objective("focal"))
    ]
    for model in models[1:]:
        assert np.array_equal(raw(model), raw(models[0]))
    np.testing.assert_allclose(response(models[0]), expit(raw(models[0])), rtol=1e-6)
