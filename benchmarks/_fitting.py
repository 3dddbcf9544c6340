"""One fit of `accuracy.py`: a method trained in one library, stopped by a score, tested once."""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import lightgbm
import numpy as np
import xgboost
from _datasets import Data

import gbobjectives as gbo

PATIENCE = 30

#: From rows and responses to a number, less is better.
Score = Callable[[Data, np.ndarray], float]


@dataclass(frozen=True)
class Method:
    """What is compared: a loss of ours, a built-in by its parameters, or another's objective.

    Parameters
    ----------
    name : str
        As in the tables.
    loss : Loss or Objective, optional
        Trained by `gbobjectives.xgb.train` or `gbobjectives.lgb.train`.
    params : dict
        Parameters on top of the defaults; those of a built-in name its objective.
    peer : callable, optional
        ``(raw, data) -> (gradient, hessian)`` of another package, handed to the library as its
        README does: from raw predictions of 0.
    link : Link, optional
        From a peer's raw predictions to responses.
    members : tuple of Method, optional
        Models that answer together, such as one for each quantile; this is the first of them.
    """

    name: str
    loss: Any = None
    params: dict[str, Any] = field(default_factory=dict)
    peer: Callable[..., Any] | None = None
    link: Any = None
    members: tuple["Method", ...] = ()

    @property
    def built_in(self) -> bool:
        return self.loss is None and self.peer is None

    @property
    def of_times(self) -> bool:
        """Whether it predicts times to an event, and not how near it is."""
        return self.params.get("objective") == "survival:aft"

    def objective(self) -> gbo.Objective:
        if isinstance(self.loss, gbo.Objective):
            return gbo.Objective(self.loss.loss, self.loss.curvature, self.loss.scale, n_threads=1)
        return gbo.Objective(self.loss, n_threads=1)

    def response(self, prediction: np.ndarray) -> np.ndarray:
        """Of what a library hands to a metric: raw predictions, unless the objective is its own."""
        if self.built_in:
            return 1 / prediction if self.of_times else prediction
        link = self.link if self.peer is not None else self.objective().loss.link
        return np.asarray(link.inverse(np.asarray(prediction, dtype=np.float64)))


@dataclass(frozen=True)
class Fit:
    """Scores of the validation part by round, and what predicts from the best of the rounds."""

    history: list[float]
    raw: Callable[[Data], np.ndarray]
    response: Callable[[Data], np.ndarray]


class Watch:
    """Scores the validation part after each round; alike in both libraries."""

    def __init__(self, method: Method, valid: Data, score: Score) -> None:
        self.method, self.valid, self.score = method, valid, score
        self.history: list[float] = []

    def __call__(self, prediction: Any) -> None:
        response = self.method.response(prediction)
        # Some scores take no such predictions.
        value = self.score(self.valid, response) if np.isfinite(response).all() else np.inf
        # What is no number is as bad as can be.
        self.history.append(float(value) if np.isfinite(value) else np.inf)

    @property
    def best(self) -> int:
        """Rounds of the best model."""
        return int(np.argmin(self.history)) + 1

    @property
    def done(self) -> bool:
        """Whether the best is `PATIENCE` rounds ago."""
        return len(self.history) - self.best >= PATIENCE


def fit_xgboost(
    method: Method, train: Data, valid: Data, score: Score, eta: float, rounds: int
) -> Fit:
    watch = Watch(method, valid, score)

    def matrix(data: Data) -> Any:
        made = xgboost.DMatrix(data.x, data.y, weight=data.weight)
        if data.unit is not None:
            made.set_group(data.sizes)
        if method.of_times:
            made.set_info(
                label_lower_bound=np.abs(data.y),
                label_upper_bound=np.where(data.y > 0, data.y, np.inf),
            )
        return made

    def metric(prediction: Any, _: Any) -> tuple[str, float]:
        watch(prediction)
        return "seen", 0.0

    class Stop(xgboost.callback.TrainingCallback):
        def after_iteration(self, *_: Any) -> bool:
            return watch.done

    params = {"learning_rate": eta, "nthread": 1, "disable_default_eval_metric": 1}
    if method.built_in:
        training = xgboost.train
    elif method.peer is not None:
        params["base_score"] = 0.0
        training = partial(xgboost.train, obj=method.peer)
    else:
        training = partial(gbo.xgb.train, loss=method.objective())
    model = training(
        params | method.params,
        matrix(train),
        rounds,
        evals=[(matrix(valid), "valid")],
        custom_metric=metric,
        callbacks=[Stop()],
        verbose_eval=False,
    )
    # An intercept that had to be a tree is a round more.
    best = (0, watch.best + model.num_boosted_rounds() - len(watch.history))

    def predict(data: Data, raw: bool) -> np.ndarray:
        return model.predict(matrix(data), output_margin=raw, iteration_range=best)

    return _made(watch, predict)


def fit_lightgbm(
    method: Method, train: Data, valid: Data, score: Score, eta: float, rounds: int
) -> Fit:
    watch = Watch(method, valid, score)

    def metric(prediction: Any, _: Any) -> tuple[str, float, bool]:
        watch(prediction)
        return "seen", 0.0, False

    def stop(environment: Any) -> None:
        if watch.done:
            raise lightgbm.callback.EarlyStopException(watch.best - 1, [])

    params = {"learning_rate": eta, "num_threads": 1, "verbosity": -1, "metric": "None"}
    training = lightgbm.train
    if method.peer is not None:
        params["objective"] = method.peer
    elif not method.built_in:
        training = partial(gbo.lgb.train, loss=method.objective())
    data = lightgbm.Dataset(train.x, train.y, weight=train.weight, group=train.sizes)
    held = data.create_valid(valid.x, valid.y, weight=valid.weight, group=valid.sizes)
    model = training(
        params | method.params, data, rounds, valid_sets=[held], feval=metric, callbacks=[stop]
    )

    def predict(data: Data, raw: bool) -> np.ndarray:
        return model.predict(data.x, raw_score=raw, num_iteration=watch.best)

    return _made(watch, predict)


def _made(watch: Watch, predict: Callable[[Data, bool], np.ndarray]) -> Fit:
    method = watch.method

    def response(data: Data) -> np.ndarray:
        if method.peer is not None:
            return method.response(predict(data, True))
        response = np.asarray(predict(data, False), dtype=np.float64)
        return method.response(response) if method.built_in else response

    return Fit(watch.history, lambda data: predict(data, True), response)


FITTERS: dict[str, Callable[..., Fit]] = {"XGBoost": fit_xgboost, "LightGBM": fit_lightgbm}
