"""LightGBM: leaf values of a model on new data, which its own `refit` refuses of custom losses."""

import re
from dataclasses import dataclass
from typing import Any

import numpy as np

from gbobjectives import _validation as check
from gbobjectives._numerics import Array
from gbobjectives.adapters import _common as common
from gbobjectives.adapters._lightgbm_callables import for_kernels
from gbobjectives.adapters.saved import (
    booster_of,
    is_xgboost,
    objective_of,
    record_in_text,
    record_of,
    with_record,
)
from gbobjectives.losses.base import Loss
from gbobjectives.objective import as_objective

__all__ = ["refit"]

WHERE = "lgb.refit"


@dataclass(frozen=True)
class Tree:
    """What a model text says of a tree."""

    rate: float
    outputs: Array


@dataclass(frozen=True)
class Regularisation:
    """What a model was trained with, as far as it makes the value of a leaf."""

    l1: float
    l2: float
    max_delta_step: float

    def leaf_values(self, g: Array, h: Array) -> Array:
        """-G / (H + l2), with G drawn to 0 by l1, and limited."""
        value: Array = -np.sign(g) * np.maximum(np.abs(g) - self.l1, 0) / (h + self.l2)
        limit = self.max_delta_step
        return np.clip(value, -limit, limit) if limit > 0 else value


def refit(
    model: Any,
    data: Any,
    label: Any,
    *,
    loss: Any = None,
    weight: Any = None,
    group: Any = None,
    init_score: Any = None,
    decay_rate: float = 0.9,
    **options: Any,
) -> Any:
    """Leaf values of a LightGBM model on new data; the structure of its trees is kept.

    What `lightgbm.Booster.refit` does for built-in objectives: tree by tree, a leaf moves from
    its value to decay_rate * value + (1 - decay_rate) * rate * -G / (H + lambda), with the
    derivatives at the scores of the refitted trees before it.

    Parameters
    ----------
    model : lightgbm.Booster or a fitted estimator
        It is not changed.
    data : what `lightgbm.Booster.predict` takes
        New rows.
    label, weight, group, init_score : array
        Of the new rows; all but the labels may be missing.
    loss : Loss, Objective, str or mapping, optional
        By default what the model was trained on: see `gbobjectives.objective_of`. Needed where
        labels are bound to a loss, and for a loss or a model of another origin.
    decay_rate : float
        Share of the old in the new values, from 0 to 1.
    **options
        For ``booster.predict``.

    Returns
    -------
    lightgbm.Booster
        A new model, with the loss in it.

    Raises
    ------
    ValueError, TypeError
        If the loss cannot take the data, or is not that of the model; if the model has linear
        trees, an average of trees, smoothed paths or monotone constraints.

    Notes
    -----
    The learning rate of each tree, ``lambda_l1``, ``lambda_l2`` and ``max_delta_step`` are those
    of the model. Its intercept, which `gbobjectives.lgb.train` has put into the first trees, is
    refitted as a tree before all others, whose new value is the best constant of the new labels.
    In a model of other origin it is a part of the first leaves, as in LightGBM.

    A leaf that no new row reaches, and a tree without a split, keep their values; LightGBM
    draws such leaves to 0. With the training data and decay_rate 0 the model is what it was,
    unless rows or trees were sampled.

    Examples
    --------
    >>> import numpy as np, lightgbm, gbobjectives as gbo
    >>> X = np.arange(100.0).reshape(-1, 1)
    >>> y = 2.0 ** (X[:, 0] > 49)
    >>> params = {"num_leaves": 2, "verbosity": -1}
    >>> model = gbo.lgb.train(params, lightgbm.Dataset(X, y), 50, loss=gbo.PoissonLoss())
    >>> new = gbo.lgb.refit(model, X, 3 * y, decay_rate=0.0)
    >>> new.predict(X[[0, -1]]).round(1)
    array([3., 6.])
    """
    decay = check.real_parameter(WHERE, "decay_rate", decay_rate, check.UNIT_INTERVAL)
    booster = booster_of(model)
    if is_xgboost(booster):
        raise TypeError(
            f"{WHERE}: a model of LightGBM is wanted; XGBoost has process_type='update'"
        )
    made = objective_of(booster) if loss is None else as_objective(loss, WHERE)
    own = made.loss
    text = booster.model_to_string(num_iteration=-1)
    rule = _regularisation(text)
    trees = _trees(text)
    leaves = np.asarray(booster.predict(data, pred_leaf=True, num_iteration=-1, **options))
    n, n_outputs = leaves.shape[0], own.n_outputs
    leaves = leaves.reshape(n, -1)
    y, w, group = (
        None if x is None else np.asarray(common.host_array(x)) for x in (label, weight, group)
    )
    _check_model(booster, data, text, own, options)
    common.check_data(own, WHERE, y, w, group, n)
    offset = None if init_score is None else np.asarray(init_score, dtype=np.float64)

    old = (record_in_text(text) or {}).get("intercept")
    before, start = np.zeros(n_outputs), np.zeros(n_outputs)
    if old is not None:
        before = np.asarray(old)
        best = common.finite_intercept(WHERE, own, y, w, offset, "init_score")
        start = decay * before + (1 - decay) * best
    scores = np.zeros((n, n_outputs), order="F") + start
    if offset is not None:
        scores += offset.reshape(n, n_outputs)

    new = type(booster)(model_str=text)
    for first in range(0, len(trees), n_outputs):
        raw = for_kernels(scores if n_outputs > 1 else scores[:, 0])
        g, h = (x.reshape(n, n_outputs) for x in made.gradient_hessian(y, raw, w, group))
        for k in range(n_outputs):
            tree, leaf = trees[first + k], leaves[:, first + k]
            kept = tree.outputs - before[k] if first == 0 else tree.outputs
            size = len(kept)
            # A row that is ignored, or of weight 0, has neither.
            counts = (g[:, k] != 0) | (h[:, k] != 0)
            rows, total_g, total_h = (
                np.bincount(leaf, x, minlength=size) for x in (counts, g[:, k], h[:, k])
            )
            moves = (rows > 0) & (total_h + rule.l2 > 0) & (size > 1)
            step = tree.rate * rule.leaf_values(total_g, np.where(moves, total_h, 1.0))
            step = np.where(moves, decay * kept + (1 - decay) * step, kept)
            scores[:, k] += step[leaf]
            for i, value in enumerate(step + start[k] if first == 0 else step):
                new.set_leaf_output(first + k, i, value)
    record = record_of(made, intercept=None if old is None else start.tolist())
    new.model_from_string(with_record(new.model_to_string(num_iteration=-1), record))
    new.best_iteration = booster.best_iteration
    return new


def _trees(text: str) -> list[Tree]:
    """The trees of a model text."""
    found = []
    for block in text.split("\nTree=")[1:]:
        fields = dict(x.split("=", 1) for x in block.split("\n\n")[0].split("\n")[1:] if "=" in x)
        if fields.get("is_linear", "0") != "0":
            raise ValueError(f"{WHERE}: linear trees are not possible: their leaves have no values")
        outputs = np.array([float(x) for x in fields["leaf_value"].split()])
        found.append(Tree(float(fields["shrinkage"]), outputs))
    return found


def _regularisation(text: str) -> Regularisation:
    """Parameters of the model, which must be such that a leaf's value depends on its rows alone."""
    lines = text.split("\nparameters:\n")[-1].split("\nend of parameters")[0].split("\n")
    given = dict(x[1:-1].split(": ", 1) for x in lines if x.startswith("[") and ": " in x)
    if "\naverage_output\n" in text:
        raise ValueError(f"{WHERE}: the model is an average of trees, which no loss of ours trains")
    for name, none in (("path_smooth", ("", "0")), ("monotone_constraints", ("",))):
        if given.get(name, "") not in none:
            raise ValueError(
                f"{WHERE}: the model was trained with {name}={given[name]}, which refitted leaves "
                "would not keep; train a new model"
            )
    numbers = (float(given.get(x, 0)) for x in ("lambda_l1", "lambda_l2", "max_delta_step"))
    return Regularisation(*numbers)


def _check_model(booster: Any, data: Any, text: str, loss: Loss, options: Any) -> None:
    """The loss must be of the outputs and of the link of the model."""
    found = re.search(r"^num_tree_per_iteration=(\d+)$", text, re.MULTILINE)
    n_outputs = int(found[1]) if found else 1
    if n_outputs != loss.n_outputs:
        raise ValueError(
            f"{WHERE}: the model has {n_outputs} output(s), but {loss!r} has {loss.n_outputs}"
        )
    once = {"num_iteration": 1, **options}
    raw = booster.predict(data, raw_score=True, **once)
    shown = booster.predict(data, **once)
    if not any(np.allclose(shown, x, rtol=1e-5, atol=1e-8) for x in (raw, loss.predict(raw))):
        raise ValueError(
            f"{WHERE}: the model does not predict through {loss.link!r}, the link of {loss!r}"
        )
