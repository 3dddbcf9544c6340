"""What travels inside a model, and what brings it back: the loss with its parameters.

XGBoost keeps attributes with a model, LightGBM the parameters it was trained with, CatBoost
metadata, and all hand on what they do not know. The record is one line of JSON in each.
"""

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from gbobjectives._numerics import Array
from gbobjectives.losses import get_loss
from gbobjectives.losses.base import Loss
from gbobjectives.objective import Objective, as_objective

__all__ = ["loss_of", "objective_of", "predict"]

# Name of the attribute in XGBoost, and of the parameter in LightGBM.
KEY = "gbobjectives"

# LightGBM 4.0 and 4.1 refuse to load a parameter that they do not know, unless it has no value:
# what follows the second colon is read by none of them.
LIGHTGBM_LINE = f"[{KEY}: ]: "

# What gives a prediction that is no score: no link applies.
NO_SCORE = ("pred_contribs", "pred_interactions", "pred_contrib", "pred_leaf")


def record_of(objective: Objective, **more: Any) -> str:
    """The objective as one line of JSON, of ASCII characters; bound targets are left out."""
    loss = objective.loss
    if loss.targets is not None:
        loss = replace(loss, targets=None)
    found = {"loss": loss.spec()} if _in_catalogue(loss) else _stranger(loss)
    found |= {"curvature": objective.curvature, "scale": objective.scale} | more
    return json.dumps(_finite(found), allow_nan=False)


def loss_of(model: Any) -> Loss:
    """The loss that a saved or a fresh model was trained on.

    Parameters
    ----------
    model : xgboost.Booster, lightgbm.Booster, a fitted estimator of either, or catboost.CatBoost
        A model that ``train`` of ``gbobjectives.xgb``, ``lgb`` or ``cat`` made, or one that was
        loaded from its file.

    Returns
    -------
    Loss
        As it was given: ``"auto"`` parameters are ``"auto"``. Targets that were bound to it are
        data, and not in the model.

    Raises
    ------
    ValueError
        If the model holds no loss, or one that is not of the catalogue.
    TypeError
        If it is no model.

    Examples
    --------
    >>> import numpy as np, xgboost, gbobjectives as gbo
    >>> data = xgboost.DMatrix(np.eye(4), label=[0, 1, 1, 0])
    >>> model = gbo.xgb.train({}, data, 2, loss=gbo.FocalLoss(gamma=1.5))
    >>> gbo.loss_of(xgboost.Booster(model_file=model.save_raw()))
    FocalLoss(gamma=1.5, alpha=None)
    """
    return objective_of(model).loss


def objective_of(model: Any) -> Objective:
    """The loss of a model with the curvature and the scale of its training: see `loss_of`.

    It goes on with the training of a model as it began.

    Parameters
    ----------
    model : as of `loss_of`
        A model.

    Returns
    -------
    Objective
        What it was trained on.

    Examples
    --------
    >>> import numpy as np, xgboost, gbobjectives as gbo
    >>> data = xgboost.DMatrix(np.eye(4), label=[0, 1, 1, 0])
    >>> objective = gbo.Objective(gbo.LogLoss(), curvature="exact")
    >>> model = gbo.xgb.train({}, data, 2, loss=objective)
    >>> gbo.objective_of(model) == objective
    True
    """
    record = record_in(model if is_catboost(model) else booster_of(model))
    if record is None:
        raise ValueError(
            "loss_of: the model holds no loss; the train of gbobjectives.xgb, lgb and cat writes "
            "it, the libraries' own train does not"
        )
    if "loss" not in record:
        raise ValueError(
            f"loss_of: the model was trained on {record['repr']}, of the class {record['class']}, "
            "which is not of the catalogue; make that loss anew, and give it as loss="
        )
    try:
        return Objective(get_loss(record["loss"]), record["curvature"], record["scale"])
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(
            f"loss_of: this version of gbobjectives cannot read the loss of the model: {error}"
        ) from error


def predict(model: Any, data: Any, *, loss: Any = None, **options: Any) -> Array:
    """Responses of a model, whatever its link.

    A model predicts responses by itself where its library has the link: identity, logit, log,
    softmax. This does the same for every link: raw scores, and the link of the loss.

    Parameters
    ----------
    model : xgboost.Booster, lightgbm.Booster, a fitted estimator of either, or catboost.CatBoost
        A model.
    data : xgboost.DMatrix, or what ``predict`` of the other libraries takes
        Rows.
    loss : Loss, Objective, str or mapping, optional
        What it was trained on, where the model holds no loss of the catalogue; see `loss_of`.
    **options
        For the ``predict`` of the booster, such as a range of rounds.

    Returns
    -------
    array of shape (n,) or (n, n_outputs)
        What the library predicts where it has the link.

    Raises
    ------
    ValueError, TypeError
        As for `loss_of`; if an option asks for something other than scores.

    Examples
    --------
    >>> import numpy as np, lightgbm, gbobjectives as gbo
    >>> X = np.arange(100.0).reshape(-1, 1)
    >>> data = lightgbm.Dataset(X, label=2.0 ** (X[:, 0] > 49))
    >>> model = gbo.lgb.train({"verbosity": -1}, data, 50, loss=gbo.PoissonLoss())
    >>> gbo.predict(model, X[[0, -1]]).round(1)
    array([1., 2.])
    """
    for name in NO_SCORE:
        if options.get(name):
            raise ValueError(f"predict: {name} gives no responses; ask model.predict for it")
    booster = model if is_catboost(model) else booster_of(model)
    own = loss_of(booster) if loss is None else as_objective(loss, "predict").loss
    if is_catboost(booster):
        options["prediction_type"] = "RawFormulaVal"
    else:
        options["output_margin" if is_xgboost(booster) else "raw_score"] = True
    return own.predict(booster.predict(data, **options))


def record_in(booster: Any) -> dict[str, Any] | None:
    """The record of a Booster, or of a model of CatBoost."""
    if is_catboost(booster):
        line = booster.get_metadata().get(KEY)
    elif is_xgboost(booster):
        line = booster.attr(KEY)
    else:
        return record_in_text(booster.model_to_string(num_iteration=1))
    return None if line is None else _read(line)


def record_in_text(text: str) -> dict[str, Any] | None:
    """The record in the text of a LightGBM model."""
    lines = [x for x in text.split("\n") if x.startswith(LIGHTGBM_LINE)]
    return _read(lines[0].removeprefix(LIGHTGBM_LINE)) if lines else None


def with_record(text: str, record: str) -> str:
    """The text of a LightGBM model with the record, in place of one that it had."""
    lines = [x for x in text.split("\n") if not x.startswith(LIGHTGBM_LINE)]
    lines.insert(lines.index("parameters:") + 1, LIGHTGBM_LINE + record)
    return "\n".join(lines)


def booster_of(model: Any) -> Any:
    """The Booster of a model of either library."""
    if callable(getattr(model, "get_booster", None)):
        model = model.get_booster()
    elif hasattr(type(model), "booster_"):
        model = model.booster_
    if not is_xgboost(model) and not hasattr(model, "model_to_string"):
        raise TypeError(f"a model of XGBoost or LightGBM is wanted; got {model!r:.80}")
    return model


def is_xgboost(booster: Any) -> bool:
    """Whether a Booster is of XGBoost: it has attributes, and no text."""
    return hasattr(booster, "set_attr") and not hasattr(booster, "model_to_string")


def is_catboost(model: Any) -> bool:
    """Whether a model is of CatBoost: it has metadata."""
    return hasattr(model, "get_metadata")


def _in_catalogue(loss: Loss) -> bool:
    """Whether its spec brings the very loss back."""
    try:
        return get_loss(_read(json.dumps(_finite(loss.spec()), allow_nan=False))) == loss
    except (KeyError, TypeError, ValueError):
        return False


def _stranger(loss: Loss) -> dict[str, Any]:
    cls = type(loss)
    return {"class": f"{cls.__module__}.{cls.__qualname__}", "repr": repr(loss)}


def _finite(value: Any) -> Any:
    """JSON has no infinity and no NaN: they are written as {"float": "inf"}."""
    if isinstance(value, float) and not np.isfinite(value):
        return {"float": str(value)}
    if isinstance(value, Mapping):
        return {key: _finite(x) for key, x in value.items()}
    return [_finite(x) for x in value] if isinstance(value, list | tuple) else value


def _read(line: str) -> Any:
    return json.loads(line, object_hook=lambda x: float(x["float"]) if set(x) == {"float"} else x)
