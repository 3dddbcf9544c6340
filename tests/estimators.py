"""The estimators of both libraries, small, and data for them; no test of its own."""

import inspect
from typing import Any

import lightgbm
import numpy as np
import pytest
import xgboost

import gbobjectives as gbo
from tests.boosting import CLASS, REAL, XGB, X
from tests.versions import frames_and_subsets

N_ROUNDS = 8
XGB_PARAMS = {"max_depth": 3, "learning_rate": 0.3, "n_jobs": 1, "random_state": 1}
LGB_PARAMS = {
    "num_leaves": 7,
    "learning_rate": 0.3,
    "min_child_samples": 5,
    "n_jobs": 1,
    "verbosity": -1,
}

NAMES = np.array(["high", "low", "middle"])
TWO = np.where(REAL > 0, "yes", "no")
THREE = NAMES[CLASS.astype(int)]


class Library:
    """What differs between the two libraries."""

    def __init__(self, name: str) -> None:
        self.is_xgboost = name == "xgboost"
        self.adapters = gbo.xgb if self.is_xgboost else gbo.lgb
        self.params = {**(XGB_PARAMS if self.is_xgboost else LGB_PARAMS), "n_estimators": N_ROUNDS}
        prefix = "XGB" if self.is_xgboost else "LGBM"
        self.regressor_class = getattr(self.adapters, f"{prefix}LossRegressor")
        self.classifier_class = getattr(self.adapters, f"{prefix}LossClassifier")
        module = xgboost if self.is_xgboost else lightgbm
        self.parents = [getattr(module, f"{prefix}{kind}") for kind in ("Regressor", "Classifier")]

    def regressor(self, loss: Any = "squared_error", **params: Any) -> Any:
        return self.regressor_class(loss=loss, **(self.params | params))

    def classifier(self, loss: Any = None, **params: Any) -> Any:
        return self.classifier_class(loss=loss, **(self.params | params))

    def raw(self, model: Any, data: Any = X) -> Any:
        asked = {"output_margin": True} if self.is_xgboost else {"raw_score": True}
        return model.predict(data, **asked)

    def booster(self, model: Any) -> Any:
        return model.get_booster() if self.is_xgboost else model.booster_

    def trained(self, loss: Any, y: Any, w: Any = None) -> Any:
        """Raw predictions of `train` with the same parameters, labels being numbers."""
        if self.is_xgboost:
            data = xgboost.QuantileDMatrix(X, y, weight=w, nthread=1)
            params = XGB | {"max_depth": 3, "eta": 0.3}
            model = gbo.xgb.train(params, data, N_ROUNDS, loss=loss)
            return model.predict(xgboost.DMatrix(X), output_margin=True)
        params = {**LGB_PARAMS, "num_threads": 1}
        model = gbo.lgb.train(params, lightgbm.Dataset(X, y, weight=w), N_ROUNDS, loss=loss)
        return model.predict(X, raw_score=True)

    def evaluated(self, model: Any) -> dict[str, list[float]]:
        """What was logged of the last data set."""
        log = model.evals_result() if self.is_xgboost else model.evals_result_
        return log[list(log)[-1]]

    def fit_stopping(self, model: Any, X: Any, y: Any, Xv: Any, yv: Any, **options: Any) -> Any:
        """Fit until three rounds in a row are no better on the last rows."""
        wv = options.pop("eval_weight", None)
        if self.is_xgboost:
            metric = options.pop("eval_metric", None)
            model.set_params(early_stopping_rounds=3, eval_metric=metric)
            weights = None if wv is None else [wv]
            return model.fit(
                X, y, eval_set=[(Xv, yv)], sample_weight_eval_set=weights, verbose=False, **options
            )
        weights = None if wv is None else [wv]
        stop = lightgbm.early_stopping(3, verbose=False)
        return model.fit(
            X, y, **eval_data(Xv, yv), eval_sample_weight=weights, callbacks=[stop], **options
        )

    def best(self, model: Any) -> int:
        """Best round, counted from 0."""
        return model.best_iteration if self.is_xgboost else model.best_iteration_ - 1


def eval_data(Xv: Any, yv: Any) -> dict[str, Any]:
    """LightGBM 4.7 has another name for the validation data, and warns of the old one."""
    if "eval_X" in inspect.signature(lightgbm.LGBMRegressor.fit).parameters:
        return {"eval_X": Xv, "eval_y": yv}
    return {"eval_set": [(Xv, yv)]}


LIBRARIES = {name: Library(name) for name in ("xgboost", "lightgbm")}
both = pytest.mark.parametrize("library", LIBRARIES.values(), ids=LIBRARIES)
both_on_frames = pytest.mark.parametrize(
    "library",
    [LIBRARIES["xgboost"], pytest.param(LIBRARIES["lightgbm"], marks=frames_and_subsets)],
    ids=LIBRARIES,
)
