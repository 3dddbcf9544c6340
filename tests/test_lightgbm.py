"""`gbobjectives.lgb.train`: the numbers of the built-in objectives, with all LightGBM offers."""

import copy
import pickle

import lightgbm
import numpy as np
import pandas as pd
import pytest

import gbobjectives as gbo
from tests.boosting import (
    BINARY,
    CLASS,
    COUNT,
    LABELS,
    LGB,
    REAL,
    TRAIN,
    VALID,
    WEIGHT,
    N,
    X,
    dataset,
    distance,
    lgb_log,
    raw,
    response,
    train_lgb,
)
from tests.versions import frames_and_subsets, quantized_gradients

CROSS_ENTROPY = gbo.CrossEntropyLoss(3)
EXACT_LOG = gbo.Objective(gbo.LogLoss(), curvature="exact")
OFFSET = 2.0 * X[:, 1].astype(np.float64)


def builtin(objective, y, w=None, rounds=50, params=(), **fields):
    settings = LGB | {"objective": objective} | dict(params)
    return lightgbm.train(settings, dataset(y, w, **fields), rounds)


# ---- parity with the built-in objectives -----------------------------------------------


@pytest.mark.parametrize("w", [None, WEIGHT], ids=["plain", "weighted"])
@pytest.mark.parametrize(
    ("name", "kind", "loss", "params"),
    [
        ("regression", "real", gbo.SquaredErrorLoss(), {}),
        ("binary", "binary", EXACT_LOG, {}),
        ("poisson", "count", gbo.Objective(gbo.PoissonLoss(), curvature="damped"), {}),
        (
            "multiclass",
            "class",
            gbo.Objective(CROSS_ENTROPY, curvature="friedman"),
            {"num_class": 3},
        ),
        (
            "multiclassova",
            "class",
            gbo.Objective(gbo.OneVsRestLoss(gbo.LogLoss(), 3), curvature="exact"),
            {"num_class": 3},
        ),
    ],
    ids=["regression", "binary", "poisson", "multiclass", "multiclassova"],
)
def test_parity_after_50_rounds(name, kind, loss, params, w):
    y = LABELS[kind]
    ours, reference = train_lgb(loss, y, w, 50, params), builtin(name, y, w, 50, params)
    assert distance(response(ours), response(reference)) < 1e-5
    one, two = raw(ours), raw(reference)
    if name == "multiclass":
        # Softmax knows scores up to a constant only: ours start centred, LightGBM's do not.
        one, two = (f - f.mean(axis=1, keepdims=True) for f in (one, two))
    assert distance(one, two) < 1e-5


@pytest.mark.parametrize(
    "params",
    [
        {"bagging_fraction": 0.5, "bagging_freq": 1},
        {"boosting": "goss"},
        {"monotone_constraints": [1, 0, 0, 0, 0]},
        {"interaction_constraints": [[0, 2], [1, 3, 4]]},
        {"max_bin": 15, "min_gain_to_split": 1.0},
        pytest.param({"use_quantized_grad": True}, marks=quantized_gradients),
        # Drops every tree, so that no random number decides which.
        {"boosting": "dart", "drop_rate": 1.0, "uniform_drop": True, "skip_drop": 0.0,
         "max_drop": -1},
    ],
    ids=str,
)  # fmt: skip
def test_parity_under_options_of_the_booster(params):
    # Centred, because LightGBM's own dart drops the intercept together with the first tree.
    y = REAL - REAL.mean(dtype=np.float64)
    ours = train_lgb("squared_error", y, None, 20, params)
    reference = builtin("regression", y, None, 20, params)
    assert distance(raw(ours), raw(reference)) < 1e-5
    assert distance(raw(builtin("regression", y, None, 20)), raw(reference)) > 1e-3


def test_dart_of_random_trees_predicts_what_it_logged():
    model, log = lgb_log("mae", REAL + 5, {"boosting": "dart", "drop_rate": 0.3}, rounds=20)
    wanted = np.abs(response(model, VALID) - REAL[VALID] - 5).mean()
    assert log["mae"][-1] == pytest.approx(wanted, rel=1e-6)


@frames_and_subsets
def test_parity_with_categorical_features():
    codes = (np.abs(X[:, 3]) * 10).astype(int) % 4
    frame = pd.DataFrame(X, columns=list("abcde"))
    frame = frame.assign(kind=pd.Categorical(np.array(list("pqrs"))[codes]))
    y = (REAL + codes % 2).astype(np.float32)
    reference, ours = (
        train(lightgbm.Dataset(frame, label=pd.Series(y, index=frame.index[::-1])))
        for train in (
            lambda d: lightgbm.train(LGB | {"objective": "regression"}, d, 20),
            lambda d: gbo.lgb.train(LGB, d, 20, loss="squared_error"),
        )
    )
    assert distance(ours.predict(frame), reference.predict(frame)) < 1e-5
    assert ours.feature_importance()[-1] > 0
    again = pickle.loads(pickle.dumps(ours))
    assert np.array_equal(again.predict(frame), ours.predict(frame)), "the categories are kept"


@pytest.mark.parametrize("loss", ["mae", gbo.QuantileLoss(0.8)], ids=str)
def test_monotone_constraints_hold(loss):
    model = train_lgb(loss, -REAL, None, 30, {"monotone_constraints": [1, -1, 0, 0, 0]})
    for feature, sign in ((0, 1), (1, -1)):
        grid = np.repeat(X[:20, None], 30, axis=1)
        grid[:, :, feature] = np.linspace(-3, 3, 30)
        f = model.predict(grid.reshape(-1, 5)).reshape(20, 30)
        assert (sign * np.diff(f, axis=1)).min() >= -1e-9
    assert np.ptp(raw(model)) > 0.1


# ---- where the model starts ------------------------------------------------------------


def test_init_score_of_the_user_is_kept_and_is_no_part_of_the_prediction():
    ours = train_lgb_offset("squared_error", REAL, OFFSET)
    shifted = builtin("regression", REAL - OFFSET, WEIGHT, 20)
    assert distance(raw(ours), raw(shifted)) < 1e-5


def train_lgb_offset(loss, y, offset, rounds=20, params=()):
    d = dataset(y, WEIGHT, init_score=offset)
    kept = offset.copy()
    model = gbo.lgb.train(LGB | dict(params), d, rounds, loss=loss)
    assert np.array_equal(offset, kept)
    assert np.array_equal(np.ravel(d.get_init_score(), "F"), np.ravel(kept, "F"))
    return model


@pytest.mark.parametrize(
    ("loss", "y"), [("poisson", COUNT), ("mae", REAL), ("log", BINARY), (CROSS_ENTROPY, CLASS)]
)
def test_the_best_constant_beside_an_init_score_is_folded_into_the_model(loss, y):
    loss = gbo.get_loss(loss)
    several = loss.n_outputs > 1
    offset = np.stack([OFFSET, 0 * OFFSET, -OFFSET], axis=1) if several else OFFSET
    wanted = loss.intercept(y, WEIGHT, offset)
    for given in (offset, offset.ravel(order="F")):
        model = train_lgb_offset(loss, y, given, 1, {"min_data_in_leaf": N})
        constant = np.broadcast_to(wanted, (N, 3)) if several else np.full(N, wanted[0])
        np.testing.assert_allclose(raw(model), constant, rtol=1e-9, atol=1e-12)
    trained = train_lgb_offset(loss, y, offset, 5)
    assert loss(y, raw(trained) + offset, WEIGHT) < 0.99 * loss(y, wanted + offset, WEIGHT)


def test_init_score_of_validation_rows_is_used_and_must_be_there():
    train = dataset(REAL, WEIGHT, TRAIN, init_score=OFFSET)
    valid = dataset(REAL, WEIGHT, VALID, init_score=OFFSET, reference=train)
    log = {}
    model = gbo.lgb.train(
        LGB, train, 5, loss="squared_error", valid_sets=valid, valid_names="valid",
        callbacks=[lightgbm.record_evaluation(log)],
    )  # fmt: skip
    residual = raw(model, VALID) + OFFSET[VALID] - REAL[VALID]
    wanted = np.average(residual**2, weights=WEIGHT[VALID])
    assert log["valid"]["mse"][-1] == pytest.approx(wanted, rel=1e-6)
    without = dataset(REAL, None, VALID, reference=train)
    with pytest.raises(ValueError, match=r"train_set and valid_sets\[0\] must both have an init"):
        gbo.lgb.train(LGB, train, 5, loss="squared_error", valid_sets=[without])


@pytest.mark.parametrize(
    ("loss", "y"), [("huber", REAL), (CROSS_ENTROPY, CLASS)], ids=["huber", "class"]
)
def test_a_model_that_is_continued_is_the_longer_model(loss, y, tmp_path):
    longer, begun = (train_lgb(loss, y, WEIGHT, rounds) for rounds in (12, 7))
    begun.save_model(tmp_path / "begun.txt")
    for start in (begun, str(tmp_path / "begun.txt"), tmp_path / "begun.txt"):
        continued = train_lgb(loss, y, WEIGHT, 5, init_model=start)
        assert continued.num_trees() == longer.num_trees()
        assert distance(raw(continued), raw(longer)) < 1e-6
        assert distance(response(continued), response(longer)) < 1e-6


# ---- what is logged, and when training stops -------------------------------------------


@pytest.mark.parametrize("way", ["callback", "early_stopping_round", "n_iter_no_change"])
def test_early_stopping_watches_the_weighted_metric(way):
    callback = {"callbacks": [lightgbm.early_stopping(5, verbose=False)]}
    model, log = lgb_log(
        "mae", REAL, {} if way == "callback" else {way: 5}, rounds=300, w=WEIGHT,
        **(callback if way == "callback" else {}),
    )  # fmt: skip
    values = log["mae"]
    assert model.best_iteration == np.argmin(values) + 1 == len(values) - 5
    wanted = np.average(np.abs(response(model, VALID) - REAL[VALID]), weights=WEIGHT[VALID])
    assert model.best_score["valid"]["mae"] == pytest.approx(wanted, rel=1e-6)


def test_the_training_set_may_be_watched():
    log, d = {}, dataset(COUNT, WEIGHT)
    record = lightgbm.record_evaluation(log)
    model = gbo.lgb.train(LGB, d, 5, loss="poisson", valid_sets=[d], callbacks=[record])
    wanted = gbo.PoissonLoss()(COUNT, raw(model), WEIGHT)
    assert log["training"]["poisson"][-1] == pytest.approx(wanted, rel=1e-6)
    assert model.best_score["training"]["poisson"] == log["training"]["poisson"][-1]


def test_feval_of_the_user_stands_before_ours_or_alone():
    seen = []

    def theirs(scores, d):
        seen.append(scores.copy())
        return "first_score", float(scores[0]), False

    model, log = lgb_log("huber", REAL, feval=theirs, metric="mae")
    assert list(log) == ["first_score", "mae"]
    np.testing.assert_allclose(seen[-1], raw(model, VALID), rtol=1e-9)
    _, log = lgb_log("huber", REAL, feval=[theirs])
    assert list(log) == ["first_score"]


def test_callbacks_of_the_user_run_in_their_order():
    calls = []

    def callback(name, order, before):
        def call(env):
            calls.append((env.iteration, name))

        call.order, call.before_iteration = order, before
        return call

    chosen = [callback("b", 2, False), callback("a", 1, False), callback("before", 0, True)]
    train_lgb("huber", REAL, rounds=2, callbacks=chosen)
    assert calls == [(i, name) for i in range(2) for name in ("before", "a", "b")]


def test_learning_rates_that_change_are_those_of_the_builtin():
    schedule = [lightgbm.reset_parameter(learning_rate=lambda i: 0.3 * 0.9**i)]
    ours = train_lgb("squared_error", REAL, None, 15, callbacks=schedule)
    d = dataset(REAL)
    reference = lightgbm.train(LGB | {"objective": "regression"}, d, 15, callbacks=schedule)
    assert distance(raw(ours), raw(reference)) < 1e-5


def test_kernels_see_the_scores_as_float32_and_metrics_as_float64():
    data = lightgbm.Dataset(X, REAL).construct()
    scores = np.random.default_rng(0).normal(size=len(X))
    loss = gbo.LogCoshLoss(delta=1.0)
    wanted = gbo.Objective(loss).gradient_hessian(data.get_label(), scores.astype(np.float32))
    for got, want in zip(gbo.lgb.objective(loss)(scores, data), wanted, strict=True):
        np.testing.assert_array_equal(got, want)
    exact = gbo.Metric(loss)(data.get_label(), scores)
    assert gbo.lgb.metric(loss)(scores, data)[1] == exact


@frames_and_subsets
def test_cv_of_lightgbm_takes_the_adapters():
    params = LGB | {"boost_from_average": False}
    table, reference = (
        lightgbm.cv(params | extra, dataset(BINARY, WEIGHT), 10, nfold=3, seed=1, feval=feval)
        for extra, feval in (
            ({"objective": gbo.lgb.objective(EXACT_LOG)}, gbo.lgb.metric("log")),
            ({"objective": "binary", "metric": "binary_logloss"}, None),
        )
    )
    for number in ("mean", "stdv"):
        theirs = reference[f"valid binary_logloss-{number}"]
        np.testing.assert_allclose(table[f"valid log_loss-{number}"], theirs, rtol=1e-6)


# ---- Datasets of all kinds, and what becomes of them -----------------------------------


def of_lists():
    return lightgbm.Dataset(X, label=REAL.tolist(), weight=WEIGHT.tolist())


def of_series():
    weight = pd.Series(WEIGHT, index=range(N, 2 * N))
    return lightgbm.Dataset(pd.DataFrame(X), label=pd.Series(REAL)[:], weight=weight)


def of_frame():
    return lightgbm.Dataset(X, label=pd.DataFrame({"y": REAL}), weight=WEIGHT)


def built():
    return lightgbm.Dataset(X, label=REAL, weight=WEIGHT, params=LGB).construct()


@frames_and_subsets
@pytest.mark.parametrize("make", [of_lists, of_series, of_frame, built], ids=lambda f: f.__name__)
def test_every_dataset_gives_the_same_model(make):
    reference = train_lgb("huber", REAL, WEIGHT)
    model = gbo.lgb.train(LGB, make(), 5, loss="huber")
    assert np.array_equal(raw(model), raw(reference))


@pytest.mark.parametrize("params", [{}, {"max_bin": 15}], ids=str)
def test_labels_in_a_file_are_read_before_training(params, tmp_path):
    for name, rows in (("train", TRAIN), ("valid", VALID)):
        table = np.column_stack([REAL[rows], X[rows]])
        np.savetxt(tmp_path / f"{name}.csv", table, delimiter=",", fmt="%.9g")
    logs, models = [], []
    for train_in_file, valid_in_file in ((True, True), (False, False), (False, True)):
        train, valid = (
            lightgbm.Dataset(tmp_path / f"{name}.csv") if in_file else dataset(REAL, None, rows)
            for name, rows, in_file in (
                ("train", TRAIN, train_in_file),
                ("valid", VALID, valid_in_file),
            )
        )
        logs.append({})
        record = [lightgbm.record_evaluation(logs[-1])]
        models.append(
            gbo.lgb.train(
                LGB | params, train, 5, loss="huber", valid_sets=[valid], callbacks=record
            )
        )
    for model, log in zip(models[1:], logs[1:], strict=True):
        assert np.array_equal(raw(model), raw(models[0]))
        np.testing.assert_allclose(log["valid_0"]["huber"], logs[0]["valid_0"]["huber"], rtol=1e-9)


@frames_and_subsets
def test_a_subset_of_a_dataset_trains_on_its_rows():
    rows = np.arange(0, N, 2)
    whole = lightgbm.Dataset(X, label=REAL, weight=WEIGHT, params=LGB, free_raw_data=False)
    alone = lightgbm.Dataset(X[rows], label=REAL[rows], weight=WEIGHT[rows], reference=whole)
    one, two = (
        gbo.lgb.train(LGB, d, 5, loss="huber") for d in (whole.subset(rows.tolist()), alone)
    )
    assert np.array_equal(raw(one), raw(two))


def test_nothing_of_the_user_is_changed():
    arrays = {"y": REAL.copy(), "w": WEIGHT.copy()}
    own = {"max_bin": 63}
    twins = [
        lightgbm.Dataset(X, label=arrays["y"], weight=arrays["w"], params=dict(own))
        for _ in range(2)
    ]
    params = LGB | {"metric": ["auc"], "monotone_constraints": [1, 0, 0, 0, 0]}
    kept, names = copy.deepcopy(params), ["one"]
    gbo.lgb.train(params, twins[0], 5, loss="mae", valid_sets=[twins[0]], valid_names=names)
    lightgbm.train(params | {"objective": "regression"}, twins[1], 5)
    assert params == kept
    assert names == ["one"]
    assert arrays["y"].tobytes() == REAL.tobytes()
    assert arrays["w"].tobytes() == WEIGHT.tobytes()
    ours, theirs = twins
    assert np.array_equal(ours.get_label(), REAL)
    assert np.array_equal(ours.get_weight(), WEIGHT)
    assert ours.get_init_score() is None
    assert ours.get_params() == theirs.get_params(), "no more than LightGBM itself writes there"
    # The Dataset can be used again, by the built-in objective too.
    again = lightgbm.train(LGB | {"objective": "regression", "max_bin": 63}, twins[0], 5)
    fresh = builtin("regression", REAL, WEIGHT, 5, own)
    assert np.array_equal(raw(again), raw(fresh))
