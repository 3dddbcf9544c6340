"""Labels are read once where nothing can change them, and anew where a user's code might."""

from dataclasses import dataclass, field
from typing import Any

import lightgbm
import numpy as np
import pytest
import xgboost

import gbobjectives as gbo
from gbobjectives import objective as module

ROUNDS = 3
N = 200


@dataclass(frozen=True)
class Seen(gbo.Objective):
    """An objective that keeps what it was given and what it gave."""

    calls: list[tuple[Any, Any]] = field(default_factory=list, compare=False)

    def gradient_hessian(self, y_true, raw_prediction, *rest):
        """As the objective, kept."""
        pair = super().gradient_hessian(y_true, raw_prediction, *rest)
        raw = np.array(raw_prediction)
        self.calls.append(((np.array(y_true), raw), pair))
        return pair

    def __deepcopy__(self, memo):
        # LightGBM trains with a copy of its parameters.
        return self


def rows() -> tuple[Any, Any]:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(N, 3))
    return x, (x[:, 0] + rng.standard_t(2, N)).astype(np.float32)


class XGBoostDoubles(xgboost.callback.TrainingCallback):
    """After the first round the labels are twice what they were."""

    def __init__(self, data: Any) -> None:
        self.data = data

    def after_iteration(self, model, epoch, evals_log):
        """Double them."""
        if epoch == 0:
            self.data.set_label(2 * self.data.get_label())
        return False


def train_xgboost(objective: Any, doubling: bool) -> None:
    x, y = rows()
    data = xgboost.DMatrix(x, y)
    callbacks = [XGBoostDoubles(data)] if doubling else None
    gbo.xgb.train({}, data, ROUNDS, loss=objective, callbacks=callbacks)


def train_lightgbm(objective: Any, doubling: bool) -> None:
    x, y = rows()
    data = lightgbm.Dataset(x, y)

    def double(env: Any) -> None:
        if env.iteration == 0:
            data.set_label(2 * data.get_label())

    params = {"verbosity": -1, "num_leaves": 4}
    gbo.lgb.train(params, data, ROUNDS, loss=objective, callbacks=[double] if doubling else None)


TRAININGS = pytest.mark.parametrize("train", [train_xgboost, train_lightgbm])


@TRAININGS
@pytest.mark.parametrize("doubling", [False, True])
def test_each_round_has_the_derivatives_of_the_labels_that_are_there(train, doubling):
    loss = gbo.HuberLoss()
    objective = Seen(loss)
    train(objective, doubling)
    _, y = rows()
    assert len(objective.calls) == ROUNDS
    for i, ((labels, raw), pair) in enumerate(objective.calls):
        np.testing.assert_array_equal(labels, 2 * y if doubling and i > 0 else y)
        fresh = gbo.Objective(loss).gradient_hessian(labels, raw.astype(np.float32))
        for got, want in zip(pair, fresh, strict=True):
            np.testing.assert_array_equal(got, want)


@TRAININGS
def test_labels_that_stay_are_not_told_apart_each_round(train, monkeypatch):
    asked: list[Any] = []
    monkeypatch.setattr(module, "label_fingerprint", lambda batch: asked.append(batch) or (0.0,))
    train(gbo.Objective(gbo.HuberLoss()), False)
    assert not asked
    train(gbo.Objective(gbo.HuberLoss()), True)
    assert len(asked) == ROUNDS
