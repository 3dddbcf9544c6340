"""Models that are saved and loaded: the response, the loss inside, and what goes on from a file.

Identity, logit, log and softmax are saved, loaded and taken apart in `test_traps`, trap 7; here
are the other links, what joblib writes, and what a model knows of its loss.
"""

import copy
import json
import pickle
import subprocess
import sys
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import joblib
import lightgbm
import numpy as np
import pytest
import xgboost
from numpy.testing import assert_allclose, assert_array_equal

import gbobjectives as gbo
from gbobjectives.adapters import saved
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
    dmatrix,
    raw,
    response,
    train_lgb,
    train_xgb,
)
from tests.instances import INSTANCES

pytestmark = pytest.mark.filterwarnings("ignore:.*has no objective with the link")

ROWS = np.arange(N, dtype=np.float32)
LEVELS = (0.45, 0.5, 0.55)
XGBOOST_SORTS = tuple(map(int, xgboost.__version__.split(".")[:2])) >= (3, 4)


@dataclass(frozen=True)
class Case:
    """A link: a loss, labels, targets where the loss needs them, and who has the link."""

    loss: gbo.Loss
    labels: Any
    in_xgboost: bool
    in_lightgbm: bool
    targets: Any = None

    @property
    def bound(self):
        return self.loss if self.targets is None else self.loss.bind(self.targets)

    def expressed_by(self, adapters):
        return self.in_xgboost if adapters is gbo.xgb else self.in_lightgbm


CASES = {name: Case(loss, LABELS[kind], True, True) for name, (loss, kind) in LOSS_OF_LINK.items()}
OTHERS = {
    "one-vs-rest": Case(gbo.OneVsRestLoss(gbo.LogLoss(), 3), CLASS, True, True),
    "several": Case(gbo.QuantileLoss((0.1, 0.5, 0.9)), REAL, True, True),
    "log1p": Case(gbo.Log1pSquaredErrorLoss(), COUNT, False, False),
    "sorted": Case(gbo.QuantileLoss(LEVELS, ordered=True), REAL, XGBOOST_SORTS, False),
    "several log": Case(
        gbo.MultiOutputLoss(["poisson", "poisson"]),
        ROWS, True, False, np.column_stack([COUNT, COUNT[::-1]]),
    ),
    "mixed": Case(
        gbo.MultiOutputLoss(["huber", "log"]), ROWS, False, False, np.column_stack([REAL, BINARY])
    ),
}  # fmt: skip
CASES |= OTHERS
every_link = pytest.mark.parametrize("case", CASES.values(), ids=CASES)
other_link = pytest.mark.parametrize("case", OTHERS.values(), ids=OTHERS)


# ---- the response ------------------------------------------------------------------------

ALONE = """
import sys
sys.modules["gbobjectives"] = None  # as if it were not installed
import glob, joblib, pickle
import numpy as np
folder, library = sys.argv[1:]
data = np.load(f"{folder}/X.npy")
if library == "xgboost":
    import xgboost
    data = xgboost.DMatrix(data)
else:
    import lightgbm
out = {}
for path in sorted(glob.glob(f"{folder}/*.*")):
    end = path.rsplit(".")[-1]
    if end in ("json", "ubj"):
        model = xgboost.Booster(model_file=path)
    elif end == "txt":
        model = lightgbm.Booster(model_file=path)
    elif end == "joblib":
        model = joblib.load(path)
    elif end == "pickle":
        with open(path, "rb") as f:
            model = pickle.load(f)
    else:
        continue
    out[path.removeprefix(f"{folder}/")] = model.predict(data)
np.savez(f"{folder}/out.npz", **out)
"""


@both_libraries
def test_a_loaded_model_responds_alike_without_gbobjectives(train, data, adapters, tmp_path):
    np.save(tmp_path / "X.npy", X)
    wanted = {}
    ends = ("json", "ubj") if adapters is gbo.xgb else ("txt",)
    for name, case in CASES.items():
        model = train(case.bound, case.labels, WEIGHT)
        wanted[name] = response(model)
        joblib.dump(model, tmp_path / f"{name}.joblib")
        if name in OTHERS:
            for end in ends:
                model.save_model(tmp_path / f"{name}.{end}")
            (tmp_path / f"{name}.pickle").write_bytes(pickle.dumps(model))
    library = "xgboost" if adapters is gbo.xgb else "lightgbm"
    command = [sys.executable, "-c", ALONE, str(tmp_path), library]
    done = subprocess.run(command, capture_output=True, text=True, timeout=100)
    assert done.returncode == 0, done.stderr
    found = np.load(tmp_path / "out.npz")
    assert len(found.files) == len(CASES) + len(OTHERS) * (1 + len(ends))
    for name in found.files:
        assert_allclose(found[name], wanted[name.rsplit(".")[0]], rtol=1e-6, atol=1e-7)


@every_link
@both_libraries
def test_predict_gives_the_response_of_every_link(train, data, adapters, case):
    model = train(case.bound, case.labels, rounds=20)
    rows = xgboost.DMatrix(X) if adapters is gbo.xgb else X
    got = gbo.predict(model, rows)
    assert_array_equal(got, case.loss.predict(raw(model)))
    if case.expressed_by(adapters):
        assert_allclose(response(model), got, rtol=2e-6, atol=1e-7)
    else:
        assert_array_equal(response(model), raw(model))
        assert np.abs(got - raw(model)).max() > 1e-3


@every_link
@both_libraries
def test_a_link_that_is_missing_is_told_and_one_that_is_there_is_not(
    train, data, adapters, case, recwarn
):
    train(case.bound, case.labels, rounds=1)
    told = [str(w.message) for w in recwarn if "no objective with the link" in str(w.message)]
    assert len(told) == (0 if case.expressed_by(adapters) else 1)
    for message in told:
        assert (
            "predicts raw scores; gbobjectives.predict(model, data) predicts responses" in message
        )


@other_link
@both_libraries
def test_shap_values_sum_to_the_raw_prediction(train, data, adapters, case):
    model = train(case.bound, case.labels)
    if adapters is gbo.xgb:
        shap = model.predict(xgboost.DMatrix(X), pred_contribs=True)
    else:
        shap = model.predict(X, pred_contrib=True)
    sums = shap.reshape(N, case.loss.n_outputs, -1).sum(axis=2)
    assert_allclose(sums.squeeze(), raw(model), rtol=1e-4, atol=1e-5)


@every_link
@both_libraries
def test_training_goes_on_from_the_file_as_if_it_had_not_stopped(
    train, data, adapters, case, tmp_path
):
    path = str(tmp_path / ("model.ubj" if adapters is gbo.xgb else "model.txt"))
    train(case.bound, case.labels, WEIGHT, rounds=4).save_model(path)
    loss = gbo.loss_of(loaded(adapters, path))
    loss = loss if case.targets is None else loss.bind(case.targets)
    more = {"xgb_model": path} if adapters is gbo.xgb else {"init_model": path}
    model = train(loss, case.labels, WEIGHT, rounds=4, **more)
    whole = train(case.bound, case.labels, WEIGHT, rounds=8)
    assert_allclose(raw(model), raw(whole), rtol=1e-4, atol=1e-5)
    assert gbo.loss_of(model) == case.loss


@pytest.mark.skipif(not XGBOOST_SORTS, reason="XGBoost before 3.4 does not sort")
@pytest.mark.parametrize("more", [{}, {"num_target": 3}], ids=str)
def test_an_ordered_model_of_xgboost_sorts_by_itself(more):
    case = CASES["sorted"]
    penalised = case.loss + gbo.RawPenalty(l2=1e-3)
    for loss in (case.loss, penalised):
        model = xgboost.Booster(model_file=train_xgb(loss, REAL, rounds=20, params=more).save_raw())
        assert (np.diff(raw(model)) < 0).any()
        assert_array_equal(response(model), np.sort(raw(model)))


def loaded(adapters, path):
    library = xgboost if adapters is gbo.xgb else lightgbm
    return library.Booster(model_file=path)


# ---- the loss in the model ---------------------------------------------------------------

COPIES = {
    "xgboost": lambda m: [
        copy.copy(m),
        copy.deepcopy(m),
        m[:1],
        pickle.loads(pickle.dumps(m)),
        *(xgboost.Booster(model_file=m.save_raw(raw_format=end)) for end in ("json", "ubj")),
    ],
    "lightgbm": lambda m: [
        copy.deepcopy(m),
        pickle.loads(pickle.dumps(m)),
        lightgbm.Booster(model_str=m.model_to_string(num_iteration=1)),
        lightgbm.Booster(model_str=pickle.loads(pickle.dumps(m)).model_to_string()),
    ],
}
BASE = {
    "xgboost": train_xgb("squared_error", REAL, rounds=1),
    "lightgbm": train_lgb("squared_error", REAL, rounds=1),
}


@pytest.mark.parametrize("library", COPIES)
def test_copies_files_and_slices_know_the_objective(library):
    train = train_xgb if library == "xgboost" else train_lgb
    for objective in (
        gbo.Objective(gbo.HuberLoss()),
        gbo.Objective(gbo.HuberLoss(delta=0.1), curvature="safe", scale=None),
        gbo.Objective(gbo.Masked(gbo.HuberLoss()), curvature=1e-3, scale=2.5),
    ):
        model = train(objective, REAL)
        for twin in [model, *COPIES[library](model)]:
            assert gbo.objective_of(twin) == objective
            assert gbo.loss_of(twin) == objective.loss


@pytest.mark.parametrize("instance", INSTANCES, ids=lambda x: x.id)
def test_every_loss_comes_back_from_either_library(instance):
    """Through the model's own file format, as JSON that any other reader takes."""
    record = saved.record_of(gbo.Objective(instance.loss))
    objective = gbo.Objective(replace(instance.loss, targets=None))
    json.loads(record, parse_constant=pytest.fail)
    model = xgboost.Booster(model_file=BASE["xgboost"].save_raw())
    model.set_attr(gbobjectives=record)
    assert gbo.objective_of(xgboost.Booster(model_file=model.save_raw())) == objective
    text = saved.with_record(BASE["lightgbm"].model_to_string(), record)
    assert gbo.objective_of(lightgbm.Booster(model_str=text)) == objective


@both_libraries
def test_bound_targets_are_data_and_stay_out_of_the_model(train, data, adapters):
    case = CASES["several log"]
    few, many = (
        train(case.loss.bind(np.tile(case.targets, (k, 1))), ROWS, rounds=1) for k in (1, 5)
    )
    assert gbo.loss_of(few) == case.loss
    assert len(pickle.dumps(many)) == pytest.approx(len(pickle.dumps(few)), rel=0.01)


@both_libraries
def test_an_estimator_is_asked_like_its_booster(train, data, adapters):
    if adapters is gbo.xgb:
        model = xgboost.XGBRegressor(n_estimators=3, objective=gbo.xgb.sklearn_objective("log"))
        rows = xgboost.DMatrix(X)
    else:
        objective = gbo.lgb.sklearn_objective("log")
        model, rows = lightgbm.LGBMRegressor(n_estimators=3, objective=objective, verbosity=-1), X
    model.fit(X, BINARY)
    with pytest.raises(ValueError, match="the model holds no loss"):
        gbo.loss_of(model)
    assert_allclose(
        gbo.predict(model, rows, loss="log"), gbo.LogLoss().predict(model.predict(X)), rtol=1e-6
    )


@dataclass(frozen=True)
class HuberLoss(gbo.RowLoss):
    """A loss of the user's that is called like another, shown as softplus."""

    delta: float = 1.0

    link: ClassVar[gbo.Link] = gbo.links.SOFTPLUS

    def _value(self, y, f):
        return (f - y) ** 2 / 2

    def _gradient(self, y, f):
        return f - y

    def _hessian(self, y, f):
        return np.ones_like(f)


@both_libraries
def test_a_loss_of_the_users_own_is_named_and_must_be_given(train, data, adapters):
    rows = xgboost.DMatrix(X) if adapters is gbo.xgb else X
    pair = gbo.MultiOutputLoss([HuberLoss(), HuberLoss(2.0)])
    for own, bound, y in (
        (HuberLoss(), HuberLoss(), REAL),
        (pair, pair.bind(np.column_stack([REAL, REAL])), ROWS),
    ):
        model = train(gbo.Objective(bound, curvature="exact"), y)
        with pytest.raises(ValueError, match=r"HuberLoss\(delta=1.0\).*give it as loss="):
            gbo.predict(model, rows)
        assert_array_equal(gbo.predict(model, rows, loss=own), own.predict(raw(model)))


@both_libraries
def test_models_without_a_loss_say_so(train, data, adapters):
    if adapters is gbo.xgb:
        model = xgboost.train(XGB, dmatrix(REAL), 2, obj=gbo.xgb.objective("huber"))
    else:
        model = lightgbm.train(LGB | {"objective": "regression"}, dataset(REAL), 2)
    with pytest.raises(ValueError, match=r"the model holds no loss.*train.*writes it"):
        gbo.loss_of(model)


def test_a_record_of_a_later_version_is_an_error_that_says_so():
    model = train_xgb("huber", REAL, rounds=1)
    model.set_attr(gbobjectives='{"loss": {"loss": "later"}, "curvature": "auto", "scale": null}')
    with pytest.raises(ValueError, match=r"this version of gbobjectives cannot read.*'later'"):
        gbo.loss_of(model)


@pytest.mark.parametrize("thing", [None, "model.json", gbo.HuberLoss()], ids=repr)
def test_what_is_no_model_is_refused(thing):
    with pytest.raises(TypeError, match="a model of XGBoost or LightGBM is wanted; got"):
        gbo.loss_of(thing)


# ---- gbo.predict -------------------------------------------------------------------------


def test_options_of_predict_are_those_of_the_library():
    loss = gbo.PoissonLoss()
    model = train_xgb(loss, COUNT)
    got = gbo.predict(model, xgboost.DMatrix(X), iteration_range=(0, 2))
    assert_allclose(got, model[:2].predict(xgboost.DMatrix(X)), rtol=1e-6)
    model = train_lgb(loss, COUNT)
    got = gbo.predict(model, X, num_iteration=2)
    assert_allclose(got, model.predict(X, num_iteration=2), rtol=1e-12)


@pytest.mark.parametrize("option", ["pred_contrib", "pred_contribs", "pred_leaf"])
def test_what_is_no_score_is_left_to_the_library(option):
    with pytest.raises(ValueError, match=f"{option} gives no responses"):
        gbo.predict(BASE["lightgbm"], X, **{option: True})


@both_libraries
def test_offsets_reach_predict(train, data, adapters):
    offset = 0.3 * X[:, 0].astype(np.float64)
    if adapters is gbo.xgb:
        model = gbo.xgb.train(XGB, dmatrix(COUNT, base_margin=offset), 3, loss="poisson")
        rows = xgboost.DMatrix(X, base_margin=offset)
        assert_allclose(gbo.predict(model, rows), model.predict(rows), rtol=1e-6)
    else:
        model = gbo.lgb.train(LGB, dataset(COUNT, init_score=offset), 3, loss="poisson")
        assert_allclose(gbo.predict(model, X), model.predict(X), rtol=1e-12)
