"""LightGBM on Dask: an objective in which nothing is left to be summed over the workers.

LightGBM sums gradients over its workers, and gives a Python objective no way to sum anything. So
what an objective measures of all rows is measured on the client, once, and sent as numbers.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from gbobjectives._numerics import Array
from gbobjectives.adapters import _common as common
from gbobjectives.adapters._lightgbm_callables import for_kernels, shifted
from gbobjectives.losses.kinds import CoupledLoss, GroupLoss
from gbobjectives.objective import Objective, as_objective
from gbobjectives.parallel import totals

__all__ = ["dask_objective"]

WHERE = "lgb.dask_objective"


@dataclass(frozen=True)
class LGBDaskObjective:
    """``objective`` of `DaskLGBMRegressor`, `DaskLGBMClassifier` and `DaskLGBMRanker`.

    `intercept` is the best constant raw prediction: training starts from it, and the trees, which
    do not have it, are added to it.
    """

    objective: Objective
    intercept: tuple[float, ...]
    #: Sums over all rows at the intercept, which stand for those of every round.
    sums: tuple[float, ...] = ()

    def __call__(
        self, y_true: Any, y_pred: Any, sample_weight: Any = None, group: Any = None
    ) -> tuple[Any, Any]:
        """Hand over what the library asks for."""
        if group is None and isinstance(self.objective.loss, GroupLoss):
            raise ValueError(
                f"{WHERE}: {self.objective.loss!r} needs groups, and the rows of a worker are "
                "none; train a DaskLGBMRanker, with group="
            )
        with totals(lambda here: np.array(self.sums)):
            raw = for_kernels(shifted(y_pred, self.intercept))
            return self.objective.gradient_hessian(y_true, raw, sample_weight, group)

    def predict(self, scores: Any) -> Array:
        """Responses, from what ``predict`` of the trained estimator gives."""
        return self.objective.loss.predict(shifted(np.asarray(scores), self.intercept))


def dask_objective(loss: Any, y: Any, sample_weight: Any = None) -> LGBDaskObjective:
    """Objective for LightGBM's Dask estimators: the same on each worker, whatever its rows.

    What is measured of all rows is measured here, at the intercept, and stays: ``delta="auto"``,
    balanced class weights, the mean curvature that ``scale="auto"`` divides by and that the floor
    of ``curvature="auto"`` refers to.

    Parameters
    ----------
    loss : Loss, Objective, str or mapping
        What to minimise: a loss of rows, or of groups, which LightGBM keeps on one worker.
    y, sample_weight : Dask collection or array
        Labels and weights of all rows; a collection comes to the client.

    Returns
    -------
    LGBDaskObjective
        A picklable callable ``(y_true, y_pred, sample_weight, group) -> (gradient, hessian)``.

    Raises
    ------
    ValueError
        If the loss is coupled, or draws anew in each round; if labels or weights are not what it
        takes.

    Notes
    -----
    One machine with the same objective gives the same model where ``min_child_weight`` limits
    the leaves, and ``min_child_samples=1`` does not: on several workers LightGBM estimates the
    rows of a leaf from its Hessian. Its bins are made from the rows of one worker each.

    The estimators predict scores that lack intercept and link: `predict` of the objective makes
    responses of them. LightGBM evaluates a Python metric on the rows of each worker alone.

    Examples
    --------
    >>> import gbobjectives as gbo
    >>> objective = gbo.lgb.dask_objective(gbo.HuberLoss(), [1.0, 2.0, 3.0, 10.0])
    >>> objective.objective.loss
    HuberLoss(delta=1.3242070205519758)
    >>> from lightgbm import DaskLGBMRegressor
    >>> model = DaskLGBMRegressor(objective=objective).fit(X, y)  # doctest: +SKIP
    >>> model.predict(X).map_blocks(objective.predict)  # doctest: +SKIP
    """
    made = as_objective(loss, WHERE)
    own = made.loss
    if isinstance(own, CoupledLoss):
        raise ValueError(
            f"{WHERE}: {own!r} needs sums over all rows in every round, and LightGBM gives a "
            "Python objective none; use gbobjectives.xgb.dask_train"
        )
    if getattr(own, "draw", 0) is None:
        raise ValueError(
            f"{WHERE}: {own!r} draws anew in each round, from all rows; use "
            "gbobjectives.xgb.dask_train"
        )
    labels, w = _on_client(y), _on_client(sample_weight)
    common.check_data(own, WHERE, labels, w, None)
    start = common.finite_intercept(WHERE, own, labels, w, None, "init_score")
    n = len(labels)
    constant = np.zeros(n if own.n_outputs == 1 else (n, own.n_outputs)) + start
    fixed = made.resolve(labels, constant, w)
    sums: list[Array] = []

    def noted(here: Array) -> Array:
        sums.append(here)
        return here

    with totals(noted):
        fixed.gradient_hessian(labels, constant, w)
    assert len(sums) <= 1, "one sum at most: that of the curvature"
    return LGBDaskObjective(fixed, tuple(start.tolist()), tuple(sums[0].tolist()) if sums else ())


def _on_client(values: Any) -> Any:
    """A Dask collection as an array of numbers, as LightGBM keeps labels and weights."""
    if values is None:
        return None
    values = values.compute() if hasattr(values, "compute") else values
    return np.asarray(common.host_array(values), dtype=np.float32)
