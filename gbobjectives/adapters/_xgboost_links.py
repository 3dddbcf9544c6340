"""Which built-in objective of XGBoost makes a saved model predict through a link."""

from functools import cache
from typing import Any

import numpy as np

from gbobjectives.losses.base import Loss

# The built-in objective that gives the saved model each link, and does nothing else: count:poisson
# would limit every step (max_delta_step 0.7), reg:absoluteerror renews leaves before 3.4.
OBJECTIVE_OF_LINK = {
    "identity": "reg:squarederror",
    "logit": "binary:logistic",
    "log": "reg:gamma",
    "softmax": "multi:softprob",
}

# The one that leaves raw scores as they are, and from 3.4 on the one that sorts them.
RAW = "reg:squarederror"
SORTING = "reg:quantileerror"


def objective_of_link(xgboost: Any, loss: Loss) -> str | None:
    """Name of the objective; None where this version of XGBoost has none."""
    if loss.link.name == "sorted":
        return SORTING if takes_intercepts(xgboost) and _sorts_quantiles(xgboost) else None
    return OBJECTIVE_OF_LINK.get(loss.link.name)


def outputs_of(wanted: str, loss: Loss) -> dict[str, Any]:
    """The parameter that gives a model the outputs of the loss."""
    if loss.link.name == "softmax":
        return {"num_class": loss.n_outputs}
    if wanted == SORTING:
        # Levels are what this objective counts its outputs by; a sum of losses has none.
        evenly = (np.arange(loss.n_outputs) + 0.5) / loss.n_outputs
        return {"quantile_alpha": [float(q) for q in getattr(loss, "quantile", evenly)]}
    return {"num_target": loss.n_outputs} if loss.n_outputs > 1 else {}


@cache
def takes_intercepts(xgboost: Any) -> bool:
    """Whether base_score may be one number an output (it is one for all before 3.1)."""
    params = {"objective": "multi:softprob", "num_class": 2, "base_score": [0.25, -0.25]}
    params |= {"nthread": 1, "verbosity": 0}
    data = xgboost.DMatrix(np.zeros((2, 1)), label=[0.0, 1.0])
    try:
        scores = xgboost.train(params, data, 0).predict(data, output_margin=True)
    except (xgboost.core.XGBoostError, ValueError):
        return False
    return bool(np.allclose(scores, [[0.25, -0.25]] * 2))


@cache
def _sorts_quantiles(xgboost: Any) -> bool:
    """Whether the quantile objective sorts what it predicts, and does not renew leaves (3.4)."""
    data = xgboost.DMatrix(np.zeros((1, 1)), label=[0.0])
    params: dict[str, Any] = {"objective": SORTING, "quantile_alpha": [0.25, 0.75]}
    params |= {"base_score": [0.0, 0.0], "eta": 1, "lambda": 0, "min_child_weight": 0, "nthread": 1}
    params |= {"disable_default_eval_metric": 1}
    crossing = np.array([[-2.0, 1.0]], dtype=np.float32)
    model = xgboost.train(params, data, 1, obj=lambda *_: (crossing, np.ones_like(crossing)))
    scores = model.predict(data, output_margin=True)
    return bool((scores == -crossing).all() and (model.predict(data) == [[-1.0, 2.0]]).all())
