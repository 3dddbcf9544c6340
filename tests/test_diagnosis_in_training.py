"""What `diagnose` says of a library, seen in models that the library trained."""

import json
import warnings

import lightgbm
import numpy as np
import pytest
import xgboost

import gbobjectives as gbo
from gbobjectives.adapters._parameters import LIMITS, VOID
from gbobjectives.adapters.lightgbm import IGNORED as LGB_IGNORED
from gbobjectives.adapters.xgboost import IGNORED as XGB_IGNORED

RNG = np.random.default_rng(3)
N = 400
X = RNG.normal(size=(N, 3))
REAL = X[:, 0] + 0.1 * RNG.normal(size=N)
# Every row of a class lies apart from the others: what keeps trees from splitting is no noise.
BINARY = (X[:, 0] > 0.5).astype(float)
LABELS = {
    "squared_error": REAL,
    "huber": 100 * REAL,
    "quantile": REAL,
    "log": BINARY,
    "focal": BINARY,
    "poisson": np.floor(np.exp(REAL)),
    "gamma": np.exp(REAL),
    "dice": BINARY,
}
LIBRARIES = ("xgboost", "lightgbm")
QUIET = {
    "xgboost": {"verbosity": 0, "nthread": 1},
    "lightgbm": {"verbosity": -1, "num_threads": 1, "min_data_in_leaf": 1},
}


VALUES = {
    "lambdarank_pair_method": "mean",
    "aft_loss_distribution": "logistic",
    "tweedie_variance_power": 1.2,
    "boost_from_average": False,
}
SWITCHES = {
    *("is_unbalance", "unbalance", "unbalanced_sets", "reg_sqrt", "lambdarank_norm"),
    *("lambdarank_unbiased", "lambdarank_normalization", "lambdarank_score_normalization"),
}


def train(library, loss, y, params, rounds=3, w=None):
    params = QUIET[library] | params
    if library == "xgboost":
        return gbo.xgb.train(
            params, xgboost.DMatrix(X[: len(y)], y, weight=w), rounds, loss=loss, verbose_eval=False
        )
    with warnings.catch_warnings():
        return gbo.lgb.train(params, lightgbm.Dataset(X[: len(y)], y, weight=w), rounds, loss=loss)


def leaves(model):
    """Leaves of each tree."""
    if isinstance(model, xgboost.Booster):
        return [tree.count("leaf") for tree in model.get_dump()]
    return [tree["num_leaves"] for tree in model.dump_model()["tree_info"]]


def errors(library, loss, y, params, w=None):
    found = gbo.diagnose(loss, y, sample_weight=w, params=QUIET[library] | params, library=library)
    return {x.name for x in found if x.severity == "error"}


def limit_of(library, what):
    return LIMITS[library][what][0][0]


def curvature_of(loss, y, w=None):
    """Sum at the intercept, from the message that names it."""
    found = gbo.diagnose(loss, y, sample_weight=w, params={"min_child_weight": 1e30})
    return next(x.numbers["sum"] for x in found if x.name == "no split possible")


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("name", LABELS)
@pytest.mark.parametrize("library", LIBRARIES)
def test_no_tree_splits_where_none_can(library, name, weighted):
    y, w = LABELS[name], RNG.uniform(0.1, 3.0, N) if weighted else None
    limit, total = limit_of(library, "min_hessian"), curvature_of(name, y, w)
    above = {limit: 0.501 * total}
    assert errors(library, name, y, above, w) == {"no split possible"}
    # Without a step the curvature of the first round is that of all.
    assert set(leaves(train(library, name, y, above, 1, w))) == {1}
    below = {limit: 0.05 * total}
    assert not errors(library, name, y, below, w)
    assert leaves(train(library, name, y, below, 1, w))[0] > 1


@pytest.mark.parametrize("library", LIBRARIES)
def test_the_change_that_is_named_lets_trees_split(library):
    limit = limit_of(library, "min_hessian")
    found = gbo.diagnose("log", BINARY, params={limit: 1e3}, library=library)
    (change,) = (x.change for x in found if x.name == "no split possible")
    name, _, value = change.removeprefix("set ").partition(" to ")
    assert name == limit
    assert leaves(train(library, "log", BINARY, {name: float(value)}))[0] > 1


def test_trees_of_all_outputs():
    y = np.digitize(REAL, [-0.5, 0.5]).astype(float)
    loss = gbo.CrossEntropyLoss(3)
    params = {"multi_strategy": "multi_output_tree", "tree_method": "hist"}
    total = curvature_of(loss, y)

    def nodes(limit):
        model = train("xgboost", loss, y, params | {"min_child_weight": limit}, 1)
        trees = json.loads(model.save_raw("json"))["learner"]["gradient_booster"]["model"]["trees"]
        return {len(tree["left_children"]) for tree in trees}

    assert errors("xgboost", loss, y, params | {"min_child_weight": 1.01 * total})
    assert nodes(1.01 * total) == {1}
    assert not errors("xgboost", loss, y, params | {"min_child_weight": 1.0})
    assert nodes(1.0) != {1}


def test_some_outputs_only():
    y = np.repeat([0.0, 1.0, 2.0], [250, 147, 3])
    loss, params = gbo.CrossEntropyLoss(3), {"min_child_weight": 4}
    found = gbo.diagnose(loss, y, params=params)
    assert "no split possible for some outputs" in [x.name for x in found]
    model = gbo.xgb.train(
        QUIET["xgboost"] | params,
        xgboost.DMatrix(np.arange(N).reshape(-1, 1), y), 1, loss=loss, verbose_eval=False,
    )  # fmt: skip
    # Before 3.1 the intercepts are a first tree of each class.
    first, second, third = leaves(model)[-3:]
    assert first > 1
    assert second > 1
    assert third == 1


def test_too_few_rows_for_lightgbm():
    for n, splits in ((39, False), (41, True)):
        params = {"min_data_in_leaf": 20}
        named = errors("lightgbm", "squared_error", REAL[:n], params)
        assert ("too few rows to split" in named) != splits
        model = train("lightgbm", "squared_error", REAL[:n], params)
        assert (max(leaves(model)) > 1) == splits


@pytest.mark.parametrize("name", LABELS)
@pytest.mark.parametrize("library", LIBRARIES)
def test_no_split_is_worth_more_than_the_bound(library, name):
    y = LABELS[name]
    price = limit_of(library, "min_gain")
    found = gbo.diagnose(name, y, params={price: 1e30}, library=library)
    most = next(x.numbers["most"] for x in found if x.name == "no split worth its price")
    assert set(leaves(train(library, name, y, {price: 1.01 * most}, 1))) == {1}
    assert leaves(train(library, name, y, {price: 1e-3 * most}, 1))[0] > 1


@pytest.mark.parametrize("factor", [1e-5, 1e-4, 1e-3, 1e-1])
def test_gains_that_xgboost_takes_for_none(factor):
    y = factor * REAL
    found = {x.name: x for x in gbo.diagnose("squared_error", y)}
    grown = sum(leaves(train("xgboost", "squared_error", y, {}, 20)))
    full = sum(leaves(train("xgboost", "squared_error", REAL, {}, 20)))
    if factor <= 1e-5:
        assert found["gains too small"].severity == "error"
        assert grown == 20
    elif factor <= 1e-3:
        assert found["gains too small"].severity == "warning"
        assert grown < full / 2
    else:
        assert "gains too small" not in found
        assert grown > full / 2
    assert sum(leaves(train("lightgbm", "squared_error", y, {}, 5))) > 50


@pytest.mark.parametrize("library", LIBRARIES)
def test_a_penalty_that_cuts_every_step(library):
    limit = limit_of(library, "l1")
    most = float(np.maximum(REAL - REAL.mean(), 0).sum())
    for factor, moves in ((1.01, False), (0.3, True)):
        params = {limit: factor * most}
        named = errors(library, "squared_error", REAL, params)
        assert ("every step cut to 0" in named) != moves
        model = train(library, "squared_error", REAL, params)
        data = xgboost.DMatrix(X) if library == "xgboost" else X
        assert (np.ptp(model.predict(data)) > 0) == moves


def test_steps_are_shortened_as_said():
    # A tree of one leaf, which has all rows, from a start that is 1 off.
    params = {"lambda": 3.0 * N, "gamma": 1e30, "eta": 1.0, "base_score": REAL.mean() - 1}
    found = gbo.diagnose("squared_error", REAL, params=params)
    (said,) = (x for x in found if x.name == "steps shortened by half or more")
    model = train("xgboost", "squared_error", REAL, params, 1)
    moved = float(model.predict(xgboost.DMatrix(X))[0]) - (REAL.mean() - 1)
    assert moved == pytest.approx(0.25, rel=1e-4)
    assert "goes only 25 % of its way" in said.seen


@pytest.mark.parametrize("library", LIBRARIES)
def test_short_steps_take_as_many_rounds_as_said(library):
    params = {"max_delta_step": 0.01}
    found = gbo.diagnose("squared_error", REAL, params=params, library=library)
    (said,) = (x for x in found if x.name == "short steps")
    rounds = int(0.9 * said.numbers["rounds"])
    model = train(library, "squared_error", REAL, params, rounds)
    data = xgboost.DMatrix(X) if library == "xgboost" else X
    assert np.abs(model.predict(data) - REAL.mean()).max() < said.numbers["distance"]


def test_the_start_that_a_base_score_gives():
    for loss, y, score in (("squared_error", REAL, 7.0), ("log", BINARY, 0.9), ("gamma",
                            np.exp(REAL), 50.0)):  # fmt: skip
        found = gbo.diagnose(loss, y, params={"base_score": score})
        said = next(x for x in found if x.name == "base_score")
        model = train("xgboost", loss, y, {"base_score": score}, 0)
        margin = model.predict(xgboost.DMatrix(X), output_margin=True)
        assert gbo.get_loss(loss)(y, margin) == pytest.approx(said.numbers["loss"], rel=1e-5)


@pytest.mark.parametrize("library", LIBRARIES)
def test_the_start_of_a_library_by_itself(library):
    seen = []

    def objective(raw, data):
        seen.append(float(raw[0]))
        return raw - REAL, np.ones_like(raw)

    if library == "xgboost":
        xgboost.train(QUIET[library], xgboost.DMatrix(X, REAL), 1, obj=objective)
    else:
        lightgbm.train(QUIET[library] | {"objective": objective}, lightgbm.Dataset(X, REAL), 1)
    found = gbo.diagnose("squared_error", REAL, library=library)
    said = next(x.seen for x in found if x.name == "intercept")
    assert f"by itself would start at raw {seen[0]:g}, " in said


@pytest.mark.parametrize(
    ("library", "name"), [("xgboost", name) for name in (*XGB_IGNORED, *VOID["xgboost"])]
    + [
        # Bagging by sign needs more parameters than one, and fails for want of an objective.
        ("lightgbm", name)
        for name in (*LGB_IGNORED, *VOID["lightgbm"])
        if not name.startswith(("pos_", "neg_"))
    ],
)  # fmt: skip
def test_void_parameters_change_nothing_under_a_custom_objective(library, name):
    value = VALUES.get(name, name in SWITCHES or 2)
    found = gbo.diagnose("log", BINARY, params={name: value}, library=library)
    assert "void parameter" in [x.name for x in found]

    def scores(params):
        params = QUIET[library] | params
        if library == "xgboost":
            data = xgboost.DMatrix(X, BINARY)
            model = xgboost.train(params, data, 3, obj=gbo.xgb.objective("log"))
            return model.predict(data)
        params |= {"objective": gbo.lgb.objective("log")}
        return lightgbm.train(params, lightgbm.Dataset(X, BINARY), 3).predict(X)

    assert np.array_equal(scores({name: value}), scores({}))


def test_labels_that_lose_digits():
    y = 1.7e9 + 20 * REAL
    found = {x.name: x for x in gbo.diagnose("squared_error", y)}
    kept = xgboost.DMatrix(X, y).get_label().astype(np.float64)
    assert np.abs(kept - y).max() == found["labels lose digits"].numbers["lost"]


def test_labels_whose_squares_leave_float32():
    errors = {}
    for size in (1.0, 1e15, 1e19):
        model = train("xgboost", "squared_error", size * REAL, {}, 20)
        predicted = model.predict(xgboost.DMatrix(X)).astype(np.float64)
        errors[size] = np.abs(predicted / size - REAL).mean()
        named = [x.name for x in gbo.diagnose("squared_error", size * REAL)]
        assert ("unit of the labels" in named) == (size == 1e19)
    assert errors[1e15] < 1.2 * errors[1.0]
    assert errors[1e19] > 3 * errors[1.0]
