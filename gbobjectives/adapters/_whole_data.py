"""On one of several workers: its own rows are not all, and must not be taken for all."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from gbobjectives._numerics import Array
from gbobjectives.losses.kinds import GroupLoss
from gbobjectives.objective import Objective
from gbobjectives.parallel import totals

# The function in which LightGBM trains on a worker; Dask's name of the task begins with it.
LIGHTGBM_TASK = "_train_part"


@contextmanager
def whole_data(objective: Objective, group: Any, on_worker: bool, advice: str) -> Iterator[None]:
    """Within it, on a worker, an error for what needs more than the rows of the worker."""
    if not on_worker:
        yield
        return
    name = type(objective.loss).__name__
    error = ValueError(
        f"{name}: {objective!r} needs sums over the rows of all workers, and is given those of "
        f"one; {advice}"
    )
    if not objective.loss.resolved or (group is None and isinstance(objective.loss, GroupLoss)):
        raise error

    def refuse(here: Array) -> Array:
        raise error

    with totals(refuse):
        yield


def on_lightgbm_worker() -> bool:
    """Whether this is a task of LightGBM's training on Dask."""
    distributed = sys.modules.get("distributed")
    if distributed is None:
        return False
    try:
        key = distributed.get_worker().get_current_task()
    except (ValueError, AttributeError):  # no worker, or none of its tasks
        return False
    return str(key).startswith(LIGHTGBM_TASK)


def on_xgboost_worker() -> bool:
    """Whether XGBoost trains here together with other workers."""
    xgboost = sys.modules.get("xgboost")
    return xgboost is not None and xgboost.collective.get_world_size() > 1
