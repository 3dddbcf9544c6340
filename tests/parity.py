"""Every built-in objective that looks at single rows, and the loss and curvature that are it.

`CASES` is read by the tests and by `benchmarks/parity.py`; `DIFFERENT` says of the others why a
custom objective cannot be them. No test of its own.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import lightgbm
import numpy as np
import xgboost

import gbobjectives as gbo
from tests.boosting import LABELS, LGB, X, dataset, dmatrix, raw
from tests.versions import XGBOOST_HAS_INTERCEPTS

RNG = np.random.default_rng(3)
KINDS = LABELS | {
    "amount": (LABELS["count"] + RNG.gamma(2.0, 0.5, len(X))).astype(np.float32),
    "share": (1 / (1 + np.exp(-LABELS["real"]))).astype(np.float32),
}
XGB = {"max_depth": 3, "eta": 0.2, "nthread": 1, "seed": 1}


@dataclass(frozen=True)
class Parity:
    """A built-in, the loss that is it under a rule, parameters of the built-in."""

    library: str
    name: str
    kind: str
    loss: gbo.Loss
    curvature: str | float
    theirs: dict[str, Any] = field(default_factory=dict)
    both: dict[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        return f"{self.library}-{self.name}"

    @property
    def objective(self) -> gbo.Objective:
        return gbo.Objective(self.loss, curvature=self.curvature, scale=None)

    def raw_predictions(self, rounds: int, w: Any = None) -> tuple[Any, Any]:
        """Of ours and of the built-in, both from the same start."""
        y = KINDS[self.kind]
        make = _xgboost if self.library == "xgboost" else _lightgbm
        ours, theirs = make(self, y, w, rounds)
        if self.loss.link.name == "softmax":
            # Scores of several classes are determined up to a constant of the row.
            ours, theirs = (f - f.mean(axis=1, keepdims=True) for f in (ours, theirs))
        return ours, theirs


def _xgboost(case: Parity, y: Any, w: Any, rounds: int) -> tuple[Any, Any]:
    params = XGB | case.both
    if case.loss.link.name != "softmax" or not XGBOOST_HAS_INTERCEPTS:
        params = {"base_score": 0.5} | params
    reference = xgboost.train(
        params | {"objective": case.name} | case.theirs, dmatrix(y, w), rounds
    )
    ours = gbo.xgb.train(params, dmatrix(y, w), rounds, loss=case.objective)
    return raw(ours), raw(reference)


def _lightgbm(case: Parity, y: Any, w: Any, rounds: int) -> tuple[Any, Any]:
    # Both start at 0: what LightGBM starts from differs from objective to objective.
    params = LGB | case.both | {"boost_from_average": False}
    reference = lightgbm.train(
        params | {"objective": case.name} | case.theirs, dataset(y, w), rounds
    )
    classes = {"num_class": case.loss.n_outputs} if case.loss.n_outputs > 1 else {}
    ours = lightgbm.train(
        params | classes | {"objective": gbo.lgb.objective(case.objective)}, dataset(y, w), rounds
    )
    return raw(ours), raw(reference)


def _cases() -> Iterator[Parity]:
    softmax = gbo.CrossEntropyLoss(3)
    yield Parity("xgboost", "reg:squarederror", "real", gbo.SquaredErrorLoss(), "exact")
    yield Parity("xgboost", "reg:squaredlogerror", "amount", gbo.SquaredLogErrorLoss(), 1e-6)
    pseudo = gbo.PseudoHuberLoss(delta=1.0)
    yield Parity("xgboost", "reg:pseudohubererror", "real", pseudo, "exact")
    yield Parity("xgboost", "binary:logistic", "binary", gbo.LogLoss(), "exact")
    # The built-in's base_score is a margin, ours a probability.
    margin = {"base_score": 0.0}
    yield Parity("xgboost", "binary:hinge", "binary", gbo.HingeLoss(), "active", margin)
    yield Parity("xgboost", "multi:softprob", "class", softmax, "gershgorin", {"num_class": 3})
    capped = {"max_delta_step": 0.7}
    yield Parity("xgboost", "count:poisson", "count", gbo.PoissonLoss(), "damped", {}, capped)
    yield Parity("xgboost", "reg:gamma", "amount", gbo.GammaLoss(), "exact")
    power = {"tweedie_variance_power": 1.3}
    yield Parity("xgboost", "reg:tweedie", "count", gbo.TweedieLoss(power=1.3), "exact", power)

    yield Parity("lightgbm", "regression", "real", gbo.SquaredErrorLoss(), "exact")
    huber = gbo.HuberLoss(delta=0.5)
    yield Parity("lightgbm", "huber", "real", huber, "unit", {"alpha": 0.5})
    yield Parity("lightgbm", "fair", "real", gbo.FairLoss(delta=0.5), "exact", {"fair_c": 0.5})
    yield Parity("lightgbm", "binary", "binary", gbo.LogLoss(), "exact")
    yield Parity("lightgbm", "cross_entropy", "share", gbo.LogLoss(), "exact")
    yield Parity("lightgbm", "multiclass", "class", softmax, "friedman", {"num_class": 3})
    each = gbo.OneVsRestLoss(gbo.LogLoss(), 3)
    yield Parity("lightgbm", "multiclassova", "class", each, "exact", {"num_class": 3})
    yield Parity("lightgbm", "poisson", "count", gbo.PoissonLoss(), "damped")
    yield Parity("lightgbm", "gamma", "amount", gbo.GammaLoss(), "exact")
    yield Parity("lightgbm", "tweedie", "count", gbo.TweedieLoss(power=1.3), "exact", power)


CASES = list(_cases())

#: Built-ins that have a loss of ours with the same formula, and are not reproduced.
DIFFERENT = {
    "reg:absoluteerror, reg:quantileerror (XGBoost before 3.4)": "leaves are renewed to the exact "
    "median or quantile of their residuals, which a custom objective cannot ask for",
    "reg:quantileerror (XGBoost from 3.4)": "its smoothing is 0.04 (E sqrt|r|)^2 wide where ours "
    "is 0.2; with that width they agree to 1e-6 (tests/test_quantiles.py)",
    "reg:expectileerror (XGBoost from 3.4)": "exact, but for ties of min_child_weight (likewise)",
    "regression_l1, quantile, mape (LightGBM)": "leaves are renewed",
    "cross_entropy_lambda (LightGBM)": "another meaning of weights: log(1 + e^f) is an intensity",
    "any objective of LightGBM through its own train": "feature_fraction and DART draw once more "
    "in the first round under a custom objective; gbobjectives.lgb.train mends the first",
    "any objective of LightGBM or XGBoost with its default start": "the built-in starts from its "
    "own estimate (a mean for huber and fair), ours from the best constant of the loss",
}
