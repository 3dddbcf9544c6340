"""The fifteen traps of custom objectives, sprung on purpose, in XGBoost and in LightGBM.

Each test is named after its trap; numbers are compared with NumPy, or with the built-in
objective under the same settings.
"""

import copy
import json
import pickle
import subprocess
import sys
from dataclasses import dataclass

import lightgbm
import numpy as np
import pytest
import xgboost

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
    XGB,
    N,
    X,
    both_libraries,
    dataset,
    distance,
    dmatrix,
    raw,
    response,
    train_lgb,
    train_xgb,
)


@dataclass(frozen=True)
class BrokenLoss(gbo.RowLoss):
    """Squared error whose second derivative is 0/0 in row 17."""

    y_17: float = float(REAL[17])

    def _value(self, y, f):
        return (f - y) ** 2 / 2

    def _gradient(self, y, f):
        return f - y

    def _hessian(self, y, f):
        return np.where(y == self.y_17, np.nan, 1.0).astype(f.dtype)


# ---- 1 ---------------------------------------------------------------------------------


@both_libraries
def test_trap_01_nonfinite_hessian_is_an_error_that_names_the_row(train, data, adapters):
    with pytest.raises(FloatingPointError, match=r"BrokenLoss.*row 17"):
        train(gbo.Objective(BrokenLoss(), curvature="exact"), REAL)


@pytest.mark.parametrize("rule", ["safe", "auto"])
@pytest.mark.parametrize("link", LOSS_OF_LINK)
@both_libraries
def test_trap_01_zero_curvature_never_reaches_the_library(train, data, adapters, link, rule):
    loss, kind = LOSS_OF_LINK[link]
    objective = adapters.objective(gbo.Objective(loss, curvature=rule))
    margins = np.resize([-80.0, 0.0, 80.0], N if link != "softmax" else (N, 3))
    _, h = objective(margins.astype(np.float32), data(LABELS[kind]))
    assert h.min() > 0
    assert np.isfinite(h).all()


@pytest.mark.parametrize("scale", [2.0**-8, 2.0**20])
@both_libraries
def test_trap_01_every_scale_of_the_target_trains_alike(train, data, adapters, scale):
    """Neither min_child_weight nor reg_lambda means something else for a target in millions."""
    loss = gbo.HuberLoss()
    at_one, scaled = raw(train(loss, REAL)), raw(train(loss, REAL * np.float32(scale)))
    assert distance(scaled / scale, at_one) < 1e-5


# ---- 2, 3, 4 ---------------------------------------------------------------------------


@pytest.mark.parametrize("weight", [None, WEIGHT], ids=["plain", "weighted"])
@pytest.mark.parametrize("link", LOSS_OF_LINK)
@both_libraries
def test_trap_02_and_03_arrays_are_native_float32_in_the_librarys_layout(
    train, data, adapters, link, weight
):
    loss, kind = LOSS_OF_LINK[link]
    seen = []

    def spy(raw_prediction, d):
        seen.append((raw_prediction.shape, *adapters.objective(loss)(raw_prediction, d)))
        return seen[-1][1:]

    classes = {"num_class": 3} if loss.n_outputs > 1 else {}
    if adapters is gbo.xgb:
        named = {"objective": "multi:softprob"} if classes else {}
        xgboost.train(XGB | classes | named, data(LABELS[kind], weight), 2, obj=spy)
    else:
        lightgbm.train(LGB | classes | {"objective": spy}, data(LABELS[kind], weight), 2)
    assert len(seen) == 2
    for shape, *derivatives in seen:
        for array in derivatives:
            assert array.dtype == np.float32
            assert array.dtype.isnative
            assert array.shape == shape == ((N, 3) if classes else (N,))
            wanted = "F_CONTIGUOUS" if adapters is gbo.lgb else "C_CONTIGUOUS"
            assert array.flags[wanted]


@pytest.mark.parametrize("order", ["C", "F"])
@both_libraries
def test_trap_04_the_librarys_buffer_is_neither_changed_nor_kept(train, data, adapters, order):
    loss = gbo.CrossEntropyLoss(3)
    margins = np.asarray(np.random.default_rng(0).normal(size=(N, 3)), order=order)
    before = margins.copy()
    margins.setflags(write=False)
    d = data(CLASS)
    g, h = adapters.objective(loss)(margins, d)
    assert np.array_equal(margins, before)
    assert not np.shares_memory(g, margins)
    assert not np.shares_memory(h, margins)
    np.testing.assert_allclose(g, loss.gradient(CLASS, before), rtol=1e-6, atol=1e-7)
    assert adapters.metric(loss)(margins, d)[1] == pytest.approx(loss(CLASS, before))
    assert np.array_equal(margins, before)


def test_trap_04_lightgbm_uses_its_buffer_again_and_earlier_results_stand():
    kept, copies = [], []

    def spy(raw_prediction, d):
        result = gbo.lgb.objective("squared_error")(raw_prediction, d)
        kept.append(result)
        copies.append(copy.deepcopy(result))
        return result

    lightgbm.train(LGB | {"objective": spy}, dataset(REAL), 4)
    assert len(kept) == 4
    assert np.array_equal(np.array(kept), np.array(copies))
    assert not np.array_equal(kept[0][0], kept[3][0])


# ---- 5 ---------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["reg:squarederror", "binary:logistic"])
def test_trap_05_weights_unset_and_set_are_those_of_the_builtin_in_xgboost(name):
    assert dmatrix(REAL).get_weight().size == 0, "XGBoost's unset weight is an empty array"
    loss, y = {
        "reg:squarederror": (gbo.SquaredErrorLoss(), REAL),
        "binary:logistic": (gbo.Objective(gbo.LogLoss(), curvature="exact"), BINARY),
    }[name]
    for w in (None, WEIGHT):
        builtin = xgboost.train(XGB | {"objective": name}, dmatrix(y, w), 20)
        assert distance(raw(train_xgb(loss, y, w, 20)), raw(builtin)) < 1e-6
    assert distance(raw(train_xgb(loss, y, None, 20)), raw(train_xgb(loss, y, WEIGHT, 20))) > 1e-2


@pytest.mark.parametrize("name", ["regression", "binary"])
def test_trap_05_weights_unset_and_set_are_those_of_the_builtin_in_lightgbm(name):
    loss, y = {
        "regression": (gbo.SquaredErrorLoss(), REAL),
        "binary": (gbo.Objective(gbo.LogLoss(), curvature="exact"), BINARY),
    }[name]
    for w in (None, WEIGHT):
        builtin = lightgbm.train(LGB | {"objective": name}, dataset(y, w), 20)
        assert distance(raw(train_lgb(loss, y, w, 20)), raw(builtin)) < 1e-6
    assert distance(raw(train_lgb(loss, y, None, 20)), raw(train_lgb(loss, y, WEIGHT, 20))) > 1e-2


def test_trap_05_weights_of_groups_are_spread_over_rows_for_a_group_loss():
    sizes = np.array([100, 200, 300])
    d = dmatrix(REAL)
    d.set_group(sizes)
    d.set_weight([1.0, 2.0, 0.5])
    margins = X[:, 0].copy()
    loss = gbo.MarginRankingLoss()
    got = gbo.xgb.objective(loss)(margins, d)
    w = np.repeat([1.0, 2.0, 0.5], sizes)
    wanted = gbo.Objective(loss).gradient_hessian(REAL, margins, w, sizes)
    np.testing.assert_array_equal(got, wanted)
    assert gbo.xgb.metric(loss)(margins, d)[1] == pytest.approx(loss(REAL, margins, w, sizes))


def test_trap_05_weights_of_groups_are_refused_by_a_loss_of_rows():
    d = dmatrix(REAL)
    d.set_group([300, 300])
    d.set_weight([1.0, 2.0])
    with pytest.raises(ValueError, match=r"HuberLoss looks at one row.*leave out qid"):
        gbo.xgb.train(XGB, d, 2, loss="huber")


def test_trap_05_weights_of_rows_with_query_groups_are_refused():
    d = dmatrix(REAL, WEIGHT)
    d.set_group([300, 300])
    with pytest.raises(ValueError, match=r"one weight for each of the 2 groups; got 600"):
        gbo.xgb.train(XGB, d, 2, loss=gbo.MarginRankingLoss())


# ---- 6 ---------------------------------------------------------------------------------


@pytest.mark.parametrize("link", LOSS_OF_LINK)
@both_libraries
def test_trap_06_a_model_without_splits_predicts_the_best_constant(train, data, adapters, link):
    loss, kind = LOSS_OF_LINK[link]
    y = LABELS[kind]
    none = {"gamma": 1e9} if adapters is gbo.xgb else {"min_data_in_leaf": N}
    model = train(loss, y, WEIGHT, 1, none | {"eta": 1e-30})
    intercept = loss.intercept(y, WEIGHT)
    wanted = np.broadcast_to(intercept, raw(model).shape if link == "softmax" else N)
    np.testing.assert_allclose(raw(model), wanted, rtol=1e-5, atol=1e-6)
    if link != "identity" and link != "logit":
        shares = np.average(y[:, None] == [0, 1, 2] if link == "softmax" else y, 0, WEIGHT)
        np.testing.assert_allclose(response(model)[0], shares, rtol=1e-5)


def test_trap_06_intercept_of_xgboost_is_the_base_score_of_the_file():
    for loss, y in ((gbo.LogLoss(), BINARY), (gbo.PoissonLoss(), COUNT), ("mae", REAL)):
        config = train_xgb(loss, y).save_config()
        # A list of numbers from 3.1 on, before that one.
        base = float(json.loads(config)["learner"]["learner_model_param"]["base_score"].strip("[]"))
        median = np.quantile(y, 0.5, method="inverted_cdf")
        assert base == pytest.approx(median if loss == "mae" else y.mean(), rel=1e-6)


@pytest.mark.parametrize("link", LOSS_OF_LINK)
def test_trap_06_intercept_of_lightgbm_sits_in_the_first_tree_of_each_class(link):
    loss, kind = LOSS_OF_LINK[link]
    long, short = (train_lgb(loss, LABELS[kind], rounds=r) for r in (4, 1))
    np.testing.assert_allclose(long.predict(X, num_iteration=1), short.predict(X), rtol=1e-12)
    rest = long.predict(X, start_iteration=1, raw_score=True)
    np.testing.assert_allclose(raw(short) + rest, raw(long), rtol=1e-9, atol=1e-12)


# ---- 7 ---------------------------------------------------------------------------------

ALONE = """
import pickle, sys
sys.modules["gbobjectives"] = None  # as if it were not installed
import numpy as np
X, folder, library = np.load(sys.argv[1]), sys.argv[2], sys.argv[3]
out = {}
for link in ("identity", "logit", "log", "softmax"):
    if library == "xgboost":
        import xgboost
        for end in ("json", "ubj"):
            model = xgboost.Booster(model_file=f"{folder}/{link}.{end}")
            out[f"{link}_{end}"] = model.predict(xgboost.DMatrix(X))
    else:
        import lightgbm
        out[f"{link}_txt"] = lightgbm.Booster(model_file=f"{folder}/{link}.txt").predict(X)
        with open(f"{folder}/{link}.pickle", "rb") as f:
            out[f"{link}_pickle"] = pickle.load(f).predict(X)
np.savez(f"{folder}/out.npz", **out)
"""


@both_libraries
def test_trap_07_the_link_is_in_the_saved_model_without_gbobjectives(
    train, data, adapters, tmp_path
):
    np.save(tmp_path / "X.npy", X)
    wanted = {}
    for link, (loss, kind) in LOSS_OF_LINK.items():
        model = train(loss, LABELS[kind])
        wanted[link] = loss.predict(raw(model))
        np.testing.assert_allclose(response(model), wanted[link], rtol=2e-6)
        for end in ("json", "ubj") if adapters is gbo.xgb else ("txt",):
            model.save_model(tmp_path / f"{link}.{end}")
        (tmp_path / f"{link}.pickle").write_bytes(pickle.dumps(model))
    library = "xgboost" if adapters is gbo.xgb else "lightgbm"
    command = [sys.executable, "-c", ALONE, str(tmp_path / "X.npy"), str(tmp_path), library]
    done = subprocess.run(command, capture_output=True, text=True, timeout=100)
    assert done.returncode == 0, done.stderr
    found = np.load(tmp_path / "out.npz")
    assert len(found.files) == 8
    for name in found.files:
        np.testing.assert_allclose(found[name], wanted[name.split("_")[0]], rtol=2e-6)


@pytest.mark.parametrize("link", LOSS_OF_LINK)
@both_libraries
def test_trap_07_shap_values_sum_to_the_raw_prediction(train, data, adapters, link):
    loss, kind = LOSS_OF_LINK[link]
    model = train(loss, LABELS[kind])
    if adapters is gbo.xgb:
        shap = model.predict(xgboost.DMatrix(X), pred_contribs=True)
    else:
        shap = model.predict(X, pred_contrib=True)
    sums = shap.reshape(N, loss.n_outputs, -1).sum(axis=2)
    np.testing.assert_allclose(sums.squeeze(), raw(model), rtol=1e-4, atol=1e-5)


# ---- 8, 9 ------------------------------------------------------------------------------


@both_libraries
def test_trap_08_classes_are_predicted_as_probabilities_not_as_argmax(train, data, adapters):
    """num_class alone would make XGBoost predict class numbers, and LightGBM raw scores."""
    p = response(train(gbo.CrossEntropyLoss(3), CLASS, rounds=20, params={"num_class": 3}))
    assert p.shape == (N, 3)
    np.testing.assert_allclose(p.sum(axis=1), 1, rtol=1e-6)
    assert (p.argmax(axis=1) == CLASS).mean() > 0.8


@pytest.mark.parametrize("name", ["count:poisson", "reg:absoluteerror", "reg:quantileerror"])
def test_trap_09_objectives_that_do_more_than_a_link_are_refused_in_xgboost(name):
    loss = gbo.PoissonLoss() if name == "count:poisson" else gbo.AbsoluteErrorLoss()
    with pytest.raises(ValueError, match=f"objective='{name}', which conflicts with loss="):
        train_xgb(loss, COUNT, params={"objective": name})


def test_trap_09_the_log_link_brings_no_limit_of_steps_in_xgboost():
    loss = gbo.Objective(gbo.PoissonLoss(), curvature="exact")
    y = (50 * (X[:, 0] > 1)).astype(np.float32)
    plain, explicit, limited = (
        raw(train_xgb(loss, y, params=extra))
        for extra in ({}, {"max_delta_step": 0}, {"max_delta_step": 0.7})
    )
    assert np.array_equal(plain, explicit)
    assert distance(limited, plain) > 0.1
