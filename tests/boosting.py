"""Small data and settings for the tests that train models; no test of its own."""

from typing import Any

import lightgbm
import numpy as np
import pytest
import xgboost

import gbobjectives as gbo

N = 600
N_CLASSES = 3

_rng = np.random.default_rng(7)
X = _rng.normal(size=(N, 5)).astype(np.float32)
_signal = X[:, 0] + 0.5 * X[:, 1] * X[:, 2]
WEIGHT = _rng.uniform(0.25, 2.0, N).astype(np.float32)
LABELS = {
    "real": (_signal + 0.3 * _rng.normal(size=N)).astype(np.float32),
    "binary": (_rng.random(N) < 1 / (1 + np.exp(-2 * _signal))).astype(np.float32),
    "count": _rng.poisson(np.exp(0.5 * _signal)).astype(np.float32),
    "class": np.digitize(_signal, [-0.5, 0.5]).astype(np.float32),
}
REAL, BINARY, COUNT, CLASS = LABELS.values()
TRAIN, VALID = slice(0, 400), slice(400, N)

XGB = {"max_depth": 3, "eta": 0.2, "nthread": 1, "seed": 1}
LGB = {
    "num_leaves": 7,
    "learning_rate": 0.2,
    "min_data_in_leaf": 5,
    "num_threads": 1,
    "verbosity": -1,
    "deterministic": True,
    "force_row_wise": True,
    "seed": 1,
}


def dmatrix(y: Any, w: Any = None, rows: slice = slice(None), **fields: Any) -> xgboost.DMatrix:
    cut = {name: values[rows] for name, values in fields.items()}
    return xgboost.DMatrix(X[rows], label=y[rows], weight=None if w is None else w[rows], **cut)


def dataset(y: Any, w: Any = None, rows: slice = slice(None), **fields: Any) -> lightgbm.Dataset:
    cut = {name: v[rows] if isinstance(v, np.ndarray) else v for name, v in fields.items()}
    weight = None if w is None else w[rows]
    return lightgbm.Dataset(X[rows], label=y[rows], weight=weight, free_raw_data=False, **cut)


def raw(model: Any, rows: slice = slice(None)) -> Any:
    """Raw predictions of a model of either library."""
    if isinstance(model, xgboost.Booster):
        return model.predict(xgboost.DMatrix(X[rows]), output_margin=True)
    return model.predict(X[rows], raw_score=True)


def response(model: Any, rows: slice = slice(None)) -> Any:
    """What the model predicts by itself."""
    if isinstance(model, xgboost.Booster):
        return model.predict(xgboost.DMatrix(X[rows]))
    return model.predict(X[rows])


def distance(a: Any, b: Any) -> float:
    """Largest difference, relative to the spread of b."""
    return float(np.abs(a - b).max() / np.ptp(b))


def expit(f: Any) -> Any:
    return 1 / (1 + np.exp(-np.asarray(f, dtype=np.float64)))


LOSS_OF_LINK = {
    "identity": (gbo.HuberLoss(delta=1.0), "real"),
    "logit": (gbo.FocalLoss(), "binary"),
    "log": (gbo.PoissonLoss(), "count"),
    "softmax": (gbo.CrossEntropyLoss(3), "class"),
}


def train_xgb(loss, y, w=None, rounds=5, params=(), **options):
    return gbo.xgb.train(XGB | dict(params), dmatrix(y, w), rounds, loss=loss, **options)


def train_lgb(loss, y, w=None, rounds=5, params=(), **options):
    return gbo.lgb.train(LGB | dict(params), dataset(y, w), rounds, loss=loss, **options)


both_libraries = pytest.mark.parametrize(
    ("train", "data", "adapters"),
    [(train_xgb, dmatrix, gbo.xgb), (train_lgb, dataset, gbo.lgb)],
    ids=["xgboost", "lightgbm"],
)


def xgb_log(loss, y, params=(), rounds=5, w=None, **options):
    """Model, and what XGBoost logged of the validation rows."""
    log = {}
    model = gbo.xgb.train(
        XGB | dict(params),
        dmatrix(y, w, TRAIN),
        rounds,
        loss=loss,
        evals=[(dmatrix(y, w, VALID), "valid")],
        evals_result=log,
        verbose_eval=False,
        **options,
    )
    return model, log["valid"]


def lgb_log(loss, y, params=(), rounds=5, w=None, **options):
    """Model, and what LightGBM logged of the validation rows."""
    log = {}
    train = dataset(y, w, TRAIN)
    model = gbo.lgb.train(
        LGB | dict(params),
        train,
        rounds,
        loss=loss,
        valid_sets=dataset(y, w, VALID, reference=train),
        valid_names="valid",
        callbacks=[lightgbm.record_evaluation(log), *options.pop("callbacks", ())],
        **options,
    )
    return model, log["valid"]
