"""XGBoost on Dask: the model of one machine, trained where the rows lie.

Labels, weights and offsets come to the client once, 4 bytes each a row: it checks them, and finds
the intercept, what the loss takes from the labels alone, and the one function that the metric is.
The workers get numbers. What is summed over rows in each round (mean curvature, the size of the
residuals, the sums of coupled losses, metrics) is summed over all workers.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from gbobjectives import metric_functions
from gbobjectives._numerics import Array
from gbobjectives.adapters import _common as common
from gbobjectives.adapters._xgboost_callables import XGBMetric
from gbobjectives.adapters._xgboost_workers import DaskMetric, DaskObjective
from gbobjectives.adapters.saved import KEY, record_of
from gbobjectives.losses.base import Loss
from gbobjectives.losses.kinds import GroupLoss, RowLoss
from gbobjectives.metrics import Metric
from gbobjectives.objective import as_objective

__all__ = ["dask_train"]

WHERE = "xgb.dask_train"

# What a part of a DaskDMatrix may hold besides its features, and in which type it is gathered.
FIELDS = {
    "label": np.float32,
    "weight": np.float32,
    "base_margin": np.float32,
    "qid": np.int64,
}


@dataclass(frozen=True)
class Rows:
    """All rows of a DaskDMatrix, without their features; those of a group one after another."""

    n: int
    y: Array
    w: Array | None
    group: Array | None
    offset: Array | None


def dask_train(
    client: Any,
    params: Mapping[str, Any],
    dtrain: Any,
    num_boost_round: int = 10,
    *,
    loss: Any,
    metric: Any = None,
    evals: Sequence[tuple[Any, str]] | None = None,
    early_stopping_rounds: int | None = None,
    xgb_model: Any = None,
    verbose_eval: bool | int = True,
    callbacks: Sequence[Any] | None = None,
    custom_metric: Callable[[Any, Any], Any] | None = None,
    coll_cfg: Any = None,
) -> dict[str, Any]:
    """Train an XGBoost model on the workers of a Dask cluster; it is that of one machine.

    Takes what `xgboost.dask.train` takes but ``obj``, and sets what `train` sets: intercept,
    link, metric with its direction. However the rows are spread over the workers, the objective
    and the metric are those of all rows.

    Parameters
    ----------
    client, params, dtrain, num_boost_round : as of `xgboost.dask.train`
        The params are not changed.
    loss : Loss, Objective, str or mapping
        What to minimise.
    metric : Metric, Loss, str, optional
        What is logged and stopped on; the loss's own metric by default. A function must be one
        of `gbobjectives.metrics`: others are no means over rows.
    early_stopping_rounds : int, optional
        Stops on our metric on the last of `evals`; on `custom_metric` if only that is given.
    custom_metric : callable, optional
        As for `xgboost.dask.train`, which averages what the workers give, whatever they weigh.
    evals, xgb_model, verbose_eval, callbacks, coll_cfg : as of `xgboost.dask.train`
        Handed on.

    Returns
    -------
    dict
        ``"booster"`` and ``"history"``, as `xgboost.dask.train` returns them.

    Raises
    ------
    ValueError, TypeError
        Before training starts: what `train` refuses, groups that lie on more than one worker,
        metrics that are no means over rows.

    Notes
    -----
    Labels, weights and offsets of training and of `evals` are gathered to the client once, 4
    bytes each a row; features never are. Sums over workers differ from those of one machine in
    their last digits. The bins of features are made from the quantiles of all workers, which
    XGBoost approximates for features of more than ``max_bin`` values: they may differ from those of
    one machine. Losses that draw random numbers draw on each worker for its own rows.

    Where features have names XGBoost wants rows of every data set on every worker; where they have
    none, ``DaskDMatrix(client, frame.values, ...)``, it does not.

    An error on one worker is raised on all of them, and by this function. Where a worker dies
    XGBoost raises; train again on a new `xgboost.dask.DaskDMatrix`.

    Examples
    --------
    >>> import xgboost, gbobjectives as gbo
    >>> from distributed import Client
    >>> from xgboost.dask import DaskDMatrix
    >>> client = Client("tcp://scheduler:8786")  # doctest: +SKIP
    >>> data = DaskDMatrix(client, X, y, weight=w)  # doctest: +SKIP
    >>> out = gbo.xgb.dask_train(client, {}, data, 100, loss="huber")  # doctest: +SKIP
    >>> out["booster"].save_model("model.json")  # doctest: +SKIP
    """
    # Not above: it imports this module.
    from gbobjectives.adapters import xgboost as local

    xgboost, distributed = _import()
    client = distributed.get_client() if client is None else client
    if client.asynchronous:
        raise TypeError(f"{WHERE}: an asynchronous client is not possible; give a synchronous one")
    made = as_objective(loss, WHERE)
    own = made.loss
    settings = local._settings(xgboost, params, own, WHERE)
    pairs = [(data, name) for data, name in evals or ()]
    ours = common.train_metric(metric, own) if custom_metric is None or metric is not None else None
    _check_mean(ours)
    rows = _checked(xgboost, client, dtrain, "dtrain", own, ours)
    for data, name in pairs:
        if data is dtrain:
            continue
        found = _checked(xgboost, client, data, f"evals {name!r}", own, ours)
        if (found.offset is None) != (rows.offset is None):
            raise ValueError(
                f"{WHERE}: dtrain and evals {name!r} must both have a base_margin or both have none"
            )

    start = common.finite_intercept(WHERE, own, rows.y, rows.w, rows.offset, "base_margin")
    if ours is not None:
        ours = local._enlarged(ours.resolved_on(rows.y, rows.w), rows.y, start, rows.w)
    stopping = local._callbacks(xgboost, callbacks, ours, early_stopping_rounds, pairs, WHERE)
    if xgb_model is not None:
        local._check_continued(xgboost, xgb_model, settings["objective"], own, WHERE)
        # The model has its own; another would shift all that it predicts.
        settings.pop("base_score", None)
    elif rows.offset is not None or local._needs_tree(xgboost, settings, own):
        local._check_offset(settings, rows.offset, WHERE)
        xgb_model = _intercept_model(xgboost, local, settings, dtrain, own, start)
    elif "base_score" not in settings:
        settings["base_score"] = local._base_score(own, start)

    trained: dict[str, Any] = xgboost.dask.train(
        client,
        settings,
        dtrain,
        num_boost_round,
        evals=pairs or None,
        obj=DaskObjective(_for_workers(client, dtrain, made, rows)),
        early_stopping_rounds=early_stopping_rounds if ours is None else None,
        xgb_model=xgb_model,
        verbose_eval=verbose_eval,
        callbacks=stopping,
        custom_metric=_both(custom_metric, ours),
        # Before 3.0 XGBoost has no such parameter.
        **({} if coll_cfg is None else {"coll_cfg": coll_cfg}),
    )
    trained["booster"].set_attr(**{KEY: record_of(made)})
    return trained


def _import() -> tuple[Any, Any]:
    try:
        import distributed
        import xgboost
        import xgboost.dask
    except ImportError as error:
        raise ImportError(
            'gbobjectives.xgb.dask_train needs XGBoost and Dask: pip install "gbobjectives[dask]"'
        ) from error
    return xgboost, distributed


def _check_mean(metric: Metric | None) -> None:
    """A metric that is made of sums over rows, which can be summed over workers."""
    if metric is None or isinstance(metric.of, Loss):
        return
    if metric.of not in [getattr(metric_functions, name) for name in metric_functions.__all__]:
        raise ValueError(
            f"{WHERE}: metric {metric.name!r} may be no mean over rows, and is not summed over "
            "workers; give a loss or a function of gbobjectives.metrics, or custom_metric=, which "
            "XGBoost averages over the workers"
        )


def _checked(
    xgboost: Any, client: Any, data: Any, where: str, loss: Loss, metric: Metric | None
) -> Rows:
    """The rows of a data set, once the loss and the metric can take them."""
    if not isinstance(data, xgboost.dask.DaskDMatrix):
        raise TypeError(
            f"{WHERE}: {where} must be an xgboost.dask.DaskDMatrix; got {type(data).__name__}"
        )
    rows = _gathered(client, data, where, loss)
    if rows.y.ndim == 2 and loss.link.name == "softmax":
        raise ValueError(
            f"{WHERE}: XGBoost takes no softmax labels of shape {rows.y.shape}; give one label a "
            "row: its class, or its row number in loss.bind(targets)"
        )
    common.check_data(loss, where, rows.y, rows.w, rows.group, rows.n)
    common.check_metric(metric, where, rows.y, rows.w, rows.group)
    return rows


def _gathered(client: Any, data: Any, where: str, loss: Loss) -> Rows:
    """Rows in the order of the partitions, or group by group."""
    held = [(part, address) for address, parts in data.worker_map.items() for part in parts]
    held.sort(key=lambda pair: data.partition_order[pair[0].key])
    parts = client.gather([client.submit(fields_of_part, part, pure=False) for part, _ in held])
    if "label" not in parts[0]:
        raise ValueError(f"{where}: the DaskDMatrix has no labels")
    found = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    y, w, offset = (found.get(name) for name in ("label", "weight", "base_margin"))
    assert y is not None
    if offset is not None and loss.n_outputs > 1 and offset.size == len(y) * loss.n_outputs:
        offset = offset.reshape(-1, loss.n_outputs)
    if "qid" not in found:
        if isinstance(loss, GroupLoss) and len(data.worker_map) > 1:
            raise ValueError(
                f"{where}: without qid all rows are one group of {loss!r}, and that lies on more "
                "than one worker; give the DaskDMatrix a qid, or one partition"
            )
        return Rows(len(y), y, w, None, offset)
    if not isinstance(loss, RowLoss):
        homes = [address for _, address in held]
        _check_whole_groups(where, [part["qid"] for part in parts], homes)
    order = found["qid"].argsort(kind="stable")
    _, group = np.unique(found["qid"], return_counts=True)
    return Rows(len(y), y[order], w, group, None if offset is None else offset[order])


def fields_of_part(part: Mapping[str, Any]) -> dict[str, Array]:
    """What a partition holds besides its features; runs on the worker that has it."""
    fields = {}
    for name, dtype in FIELDS.items():
        if part.get(name) is not None:
            array = np.asarray(common.host_array(part[name]), dtype=dtype)
            fields[name] = array[:, 0] if array.ndim == 2 and array.shape[1] == 1 else array
    return fields


def _check_whole_groups(where: str, parts: Sequence[Array], homes: Sequence[str]) -> None:
    """Error if rows of one group lie on two workers, where they would be two groups."""
    home_of: dict[int, str] = {}
    for qid, home in zip(parts, homes, strict=True):
        for group in np.unique(qid).tolist():
            if home_of.setdefault(group, home) != home:
                raise ValueError(
                    f"{where}: rows of the group qid={group} lie on more than one worker; "
                    "repartition the data so that each group lies in one partition"
                )


def _for_workers(client: Any, dtrain: Any, objective: Any, rows: Rows) -> Any:
    """The objective with what it takes from all labels, and the threads of a worker."""
    if objective.n_threads is None:
        # Dask limits OMP_NUM_THREADS to 1, whatever threads a worker has.
        threads = client.nthreads()
        fewest = min(threads.get(address, 1) for address in dtrain.worker_map)
        objective = replace(objective, n_threads=max(fewest, 1))
    return objective.for_shards(rows.y, rows.w)


def _intercept_model(
    xgboost: Any, local: Any, settings: dict[str, Any], dtrain: Any, loss: Loss, start: Array
) -> Any:
    """A model of one leaf, the constant, where it cannot be base_score; it needs no data."""
    no_offset = np.zeros((1, loss.n_outputs) if loss.n_outputs > 1 else 1, dtype=np.float32)
    row = xgboost.DMatrix(np.zeros((1, dtrain.num_col())), label=[0.0], base_margin=no_offset)
    base = {"base_score": local._base_score(loss, np.zeros(loss.n_outputs), one_for_all=True)}
    return xgboost.Booster(model_file=local._intercept_tree(xgboost, settings | base, row, start))


def _both(custom_metric: Callable[[Any, Any], Any] | None, ours: Metric | None) -> Any:
    """The user's metric, ours, or a list of both, ours last."""
    if ours is None:
        return custom_metric
    mine = DaskMetric(XGBMetric(ours))
    if custom_metric is None:
        return mine

    def together(prediction: Any, dmatrix: Any) -> list[tuple[str, float]]:
        theirs = custom_metric(prediction, dmatrix)
        return [*(theirs if isinstance(theirs, list) else [theirs]), mine(prediction, dmatrix)]

    return together
