"""What XGBoost's workers call in each round: every sum is that of the rows of all of them.

XGBoost gives each worker its own rows. `in_step` runs a piece of code on all of them at once; in
it a `total` is all-reduced, in float64. Before each sum the workers tell each other whether they
are well, and how many numbers they have: an error on one is raised on all, none of which waits
for a sum that does not come, and a worker without rows adds zeros.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from gbobjectives._numerics import Array
from gbobjectives.adapters import _common as common
from gbobjectives.adapters._xgboost_callables import XGBMetric, fields_of
from gbobjectives.objective import Objective
from gbobjectives.parallel import totals

# Errors that are made anew with the number of the worker in their text.
OWN_ERRORS = (ValueError, TypeError, FloatingPointError)


class _OnSomeWorker(Exception):
    """An error that all workers know of."""

    def __init__(self, error: Exception) -> None:
        super().__init__(str(error))
        self.error = error


@dataclass(frozen=True)
class DaskObjective:
    """``obj`` of `xgboost.dask.train`, on each worker."""

    objective: Objective

    def __call__(self, raw_prediction: Any, dtrain: Any) -> tuple[Any, Any]:
        """Hand over what the library asks for."""

        def here() -> tuple[Any, Any]:
            y, w, group = fields_of(dtrain, self.objective.loss)
            return self.objective.gradient_hessian(y, raw_prediction, w, group)

        # From 3.4 on XGBoost checks the number of outputs where there are no rows, too.
        nothing = np.zeros((dtrain.num_row(), self.objective.loss.n_outputs), np.float32)
        result: tuple[Any, Any] | None = in_step(here if rows_count(dtrain) else None)
        return (nothing, nothing) if result is None else result


@dataclass(frozen=True)
class DaskMetric:
    """``custom_metric`` of `xgboost.dask.train`: the same number on each worker.

    XGBoost averages what the workers give, whatever they weigh.
    """

    here: XGBMetric

    def __call__(self, prediction: Any, dmatrix: Any) -> tuple[str, float]:
        """Hand over what the library asks for."""
        from xgboost import collective

        def here() -> float:
            return self.here(prediction, dmatrix)[1]

        value = in_step(here if rows_count(dmatrix) else None)
        # A worker whose rows do not count does not know it.
        known = np.array([-np.inf if value is None else value])
        (value,) = collective.allreduce(known, collective.Op.MAX)
        return self.here.metric.name, float(value)


def rows_count(dmatrix: Any) -> bool:
    """Whether there are rows, and one of them has a weight."""
    w = common.host_array(dmatrix.get_weight())
    return bool(dmatrix.num_row() > 0 and (w.size == 0 or w.any()))


def in_step(function: Callable[[], Any] | None) -> Any:
    """What the function gives, its totals those of all workers; every worker calls this at once.

    Without a function the worker only adds zeros to what the others sum up.
    """
    try:
        try:
            result = None
            if function is not None:
                with totals(_total_of_all):
                    result = function()
            while _exchanged(None) is not None:
                pass
            return result
        except _OnSomeWorker:
            raise
        except Exception as error:
            _exchanged(None, error)
    except _OnSomeWorker as known:
        error_of_all = known.error
    # Here it has no context: one that leads back to the error itself could not be sent.
    raise error_of_all


def _total_of_all(here: Array) -> Array:
    everywhere = _exchanged(here)
    assert everywhere is not None
    return everywhere


def _exchanged(here: Array | None, error: Exception | None = None) -> Array | None:
    """The sum over workers of what they have; None once no one has anything left."""
    from xgboost import collective

    rank = collective.get_rank()
    state = np.array([-1 if error is None else rank, -1 if here is None else here.size])
    failed, size = collective.allreduce(state, collective.Op.MAX)
    if failed >= 0:
        told = None if error is None else _with_rank(error, rank)
        raise _OnSomeWorker(collective.broadcast(told, int(failed)))
    if size < 0:
        return None
    numbers = np.zeros(size) if here is None else np.asarray(here, dtype=np.float64)
    added: Array = collective.allreduce(numbers, collective.Op.SUM)
    # Before 3.4 the shape is lost.
    return added.reshape(numbers.shape)


def _with_rank(error: Exception, rank: int) -> Exception:
    """The error as it can be sent, and where it is from: rows are numbered on each worker."""
    if type(error) in OWN_ERRORS:
        return type(error)(f"worker of rank {rank}: {error}")
    return RuntimeError(f"worker of rank {rank}: {error!r}")
