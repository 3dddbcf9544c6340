"""What the adapters of all libraries share."""

from collections.abc import Callable, Mapping, Sequence
from functools import wraps
from typing import Any, TypeVar, cast

import numpy as np

from gbobjectives._numerics import Array
from gbobjectives.losses.base import Loss
from gbobjectives.metrics import Metric, as_metric
from gbobjectives.objective import Objective, as_objective
from gbobjectives.parallel import beside_library

#: Parameters for the number of threads, of both libraries; below 1 is all there are.
THREADS = ("nthread", "n_jobs", "num_threads", "num_thread", "nthreads")

#: Parameters for where the library works.
DEVICES = ("device", "device_type")

Train = TypeVar("Train", bound=Callable[..., Any])


def on_threads_of_params(train: Train) -> Train:
    """`train`, its kernels on no more threads than its params give the library."""

    @wraps(train)
    def limited(params: Any, *arguments: Any, **named: Any) -> Any:
        pairs = dict(params)
        given = [n for n in map(pairs.get, THREADS) if isinstance(n, int | np.integer)]
        on_device = any(str(pairs.get(name, "cpu")) != "cpu" for name in DEVICES)
        with beside_library(int(given[0]) if given else 0, spinning=not on_device):
            return train(params, *arguments, **named)

    return cast(Train, limited)


def foreign(callbacks: Sequence[Any] | None) -> bool:
    """Whether code of the user's runs between rounds, which might change the data."""
    known = ("xgboost", "lightgbm", "gbobjectives")
    return any(type(x).__module__.split(".")[0] not in known for x in callbacks or ())


def knowing(objective: Objective, y: Any, w: Any, stay: bool) -> Objective:
    """The objective; it looks at labels and weights once where they stay as they are."""
    return objective.for_shards(y, w) if stay and not objective.loss.resolved else objective


def host_array(array: Any) -> Any:
    """Arrays on a device (cupy) as NumPy; everything else as it is."""
    return array.get() if type(array).__module__.startswith("cupy") else array


def check_data(
    loss: Loss, where: str, y: Any, w: Any, group: Any, n_rows: int | None = None
) -> None:
    """Labels, weights and groups of one data set, checked before any tree is grown."""
    try:
        n = int(np.shape(y)[0]) if n_rows is None else n_rows
        zeros = np.zeros(n if loss.n_outputs == 1 else (n, loss.n_outputs), dtype=np.float32)
        loss._batch(y, zeros, w, group)
    except (ValueError, TypeError) as error:
        raise type(error)(f"{where}: {error}") from error


def metric_of(
    where: str, metric: Any, loss: Any, greater_is_better: bool | None, name: str
) -> Metric:
    """A `Metric` of what the user gave; a function gets the link of the loss."""
    link_of = None if loss is None else as_objective(loss, where).loss
    if isinstance(metric, Metric):
        return as_metric(metric, link_of)
    return as_metric(metric, link_of, greater_is_better=greater_is_better, name=name)


def train_metric(metric: Any, loss: Loss) -> Metric:
    """Metric to train with: the loss's own by default; functions get the loss's link."""
    return as_metric(loss if metric is None else metric, loss)


def refuse_ignored(where: str, params: Mapping[str, Any], ignored: Mapping[str, str]) -> None:
    """Error for a parameter that a custom objective silently makes void."""
    for name, advice in ignored.items():
        if name in params:
            raise ValueError(
                f"{where}: params has {name}={params[name]!r}, which has no effect under a custom "
                f"objective; {advice}"
            )


def outputs_parameter(where: str, loss: Loss, given: Any, name: str) -> None:
    """Error if the number of classes in params is not that of the loss."""
    if given is not None and int(given) != loss.n_outputs:
        raise ValueError(
            f"{where}: params has {name}={given!r}, but {loss!r} has {loss.n_outputs} output(s)"
        )


def check_metric(metric: Metric | None, where: str, y: Any, w: Any, group: Any) -> None:
    """What the metric will be given later, checked before any tree is grown."""
    if metric is None:
        return
    metric.check(w is not None)
    if isinstance(metric.of, Loss):
        check_data(metric.of, f"{where}, metric", y, w, group)


def fixed_metric(metric: Any, loss: Loss, y: Any, w: Any, offset: Any, start: Any) -> Any:
    """The metric, if any, with numbers for ``"auto"``: those at the intercept of the labels."""
    if metric is None:
        return None
    known = start if offset is None and metric.of == loss else None
    return metric.resolved_on(y, w, known)


def finite_intercept(where: str, loss: Loss, y: Any, w: Any, offset: Any, name: str) -> Array:
    """The best constant raw prediction, which must be a number; `name` is the library's offset."""
    if offset is not None:
        shape = np.shape(y)[:1] + ((loss.n_outputs,) if loss.n_outputs > 1 else ())
        if offset.shape != shape or not np.isfinite(offset).all():
            raise ValueError(
                f"{where}: {name} must hold finite numbers of shape {shape}; got {offset.shape}, "
                f"{int((~np.isfinite(offset)).sum())} of them not finite"
            )
    c = loss.intercept(y, w, offset)
    if not np.isfinite(c).all():
        raise ValueError(f"{where}: the intercept of {loss!r} is {c}; check the labels")
    return c
