"""Models in treelite and in ONNX: which links survive, and where a converter is wrong.

What works is compared with the model; what fails is held down as well, so that a converter that
has learnt it is noticed.
"""

import lightgbm
import numpy as np
import onnxruntime
import pytest
import treelite
import xgboost
from numpy.testing import assert_allclose
from onnxmltools import convert_lightgbm, convert_xgboost
from onnxmltools.convert.common.data_types import FloatTensorType

import gbobjectives as gbo
from tests.boosting import (
    BINARY,
    CLASS,
    COUNT,
    LABELS,
    LOSS_OF_LINK,
    REAL,
    N,
    X,
    both_libraries,
    raw,
    response,
    train_lgb,
    train_xgb,
)
from tests.versions import several_intercepts

pytestmark = pytest.mark.filterwarnings(
    "ignore:.*has no objective with the link", "ignore::DeprecationWarning"
)

MODELS = {link: (loss, LABELS[kind]) for link, (loss, kind) in LOSS_OF_LINK.items()}
MODELS |= {"log1p": (gbo.Log1pSquaredErrorLoss(), COUNT)}
OVR = {"one-vs-rest": (gbo.OneVsRestLoss(gbo.LogLoss(), 3), CLASS)}
QUANTILES = (gbo.QuantileLoss((0.1, 0.5, 0.9)), REAL)
COUNTS = (
    gbo.MultiOutputLoss(["poisson", "poisson"]).bind(np.column_stack([COUNT, COUNT[::-1]])),
    np.arange(N, dtype=np.float32),
)
SEVERAL = {"several": QUANTILES, "several log": COUNTS}


def cases(models):
    return pytest.mark.parametrize(("loss", "y"), models.values(), ids=models)


def by_treelite(model):
    if isinstance(model, xgboost.Booster):
        found, rows = treelite.frontend.from_xgboost(model), X
    else:
        found, rows = treelite.frontend.from_lightgbm(model), X.astype(np.float64)
    return treelite.gtil.predict(found, rows)


def by_onnx(model):
    """What the converted model puts out last: values, or probabilities beside classes."""
    types = [("X", FloatTensorType([None, X.shape[1]]))]
    if isinstance(model, xgboost.Booster):
        made = convert_xgboost(model, initial_types=types)
    else:
        made = convert_lightgbm(model, initial_types=types, zipmap=False)
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(
        made.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    return session.run(None, {"X": X})[-1]


def named(model):
    """A model that lets the converter read the objective in its text, not in its parameters."""
    twin = lightgbm.Booster(model_str=model.model_to_string())
    twin.params.pop("objective", None)  # LightGBM 4.4 reads none
    return twin


# ---- treelite ------------------------------------------------------------------------------


@cases(MODELS | OVR)
@both_libraries
def test_treelite_predicts_what_the_model_does(train, data, adapters, loss, y):
    model = train(loss, y, rounds=12)
    wanted = response(model)
    assert_allclose(by_treelite(model).reshape(wanted.shape), wanted, rtol=2e-6, atol=1e-6)


@cases(SEVERAL)
def test_treelite_takes_several_outputs_of_xgboost_and_refuses_those_of_lightgbm(loss, y):
    model = train_xgb(loss, y, rounds=12)
    wanted = response(model)
    assert_allclose(by_treelite(model).reshape(wanted.shape), wanted, rtol=2e-6, atol=1e-6)
    with pytest.raises(treelite.core.TreeliteError, match="Objective must be 'multiclass'"):
        by_treelite(train_lgb(loss, y, rounds=2))


def test_treelite_does_not_sort_ordered_outputs():
    loss = gbo.QuantileLoss((0.45, 0.5, 0.55), ordered=True)
    model = train_xgb(loss, REAL, rounds=20)
    got = by_treelite(model).reshape(N, 3)
    assert (np.diff(got) < 0).any()
    assert_allclose(got, raw(model), rtol=2e-6, atol=1e-6)
    sorted_by_us = gbo.predict(model, xgboost.DMatrix(X))
    assert_allclose(loss.predict(got), sorted_by_us, rtol=2e-6, atol=1e-6)


# ---- ONNX ----------------------------------------------------------------------------------


@cases(MODELS)
def test_onnx_predicts_what_the_model_does(loss, y):
    for model in (train_xgb(loss, y, rounds=12), named(train_lgb(loss, y, rounds=12))):
        wanted = response(model)
        got = by_onnx(model)
        if y is BINARY:
            assert_allclose(got.sum(axis=1), 1, rtol=1e-6)
            got = got[:, 1]
        assert_allclose(got.reshape(wanted.shape), wanted, rtol=1e-5, atol=1e-6)


def test_onnx_asks_the_parameters_of_lightgbm_which_say_that_the_objective_was_custom():
    with pytest.raises(NotImplementedError, match="Unsupported LightGbm objective"):
        by_onnx(train_lgb("huber", REAL, rounds=2))


@several_intercepts
@cases(SEVERAL | OVR)
def test_onnx_is_wrong_on_several_outputs_of_xgboost(loss, y):
    """num_target is not read: two classes are made of any number of outputs."""
    model = train_xgb(loss, y, rounds=12)
    with np.errstate(invalid="ignore"):  # it takes the logit of an intercept
        assert by_onnx(model).shape == (N, 2)


@cases(SEVERAL)
def test_onnx_is_wrong_on_several_outputs_of_lightgbm(loss, y):
    """All trees are added up: one output."""
    model = train_lgb(loss, y, rounds=12)
    assert by_onnx(named(model)).shape == (N, 1)


def test_onnx_makes_the_probabilities_of_one_against_the_rest_sum_to_one():
    loss, y = OVR["one-vs-rest"]
    model = train_lgb(loss, y, rounds=12)
    got = by_onnx(named(model))
    assert np.abs(got - response(model)).max() > 0.1
    assert_allclose(got.sum(axis=1), 1, rtol=1e-5)
