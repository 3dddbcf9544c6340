"""What the parameters of a library mean for a loss, found without training anything."""

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from gbobjectives.adapters import lightgbm, xgboost
from gbobjectives.adapters._xgboost_links import OBJECTIVE_OF_LINK
from gbobjectives.losses.base import Loss

Library = Literal["xgboost", "lightgbm"]

#: Names, the library's own first, and default of the parameters that limit splits and steps.
LIMITS: dict[Library, dict[str, tuple[tuple[str, ...], float]]] = {
    "xgboost": {
        "min_hessian": (("min_child_weight",), 1.0),
        "min_gain": (("gamma", "min_split_loss"), 0.0),
        "l1": (("alpha", "reg_alpha"), 0.0),
        "l2": (("lambda", "reg_lambda"), 1.0),
        "max_step": (("max_delta_step",), 0.0),
        "rate": (("eta", "learning_rate"), 0.3),
    },
    "lightgbm": {
        "min_hessian": (
            (
                *("min_sum_hessian_in_leaf", "min_sum_hessian_per_leaf", "min_sum_hessian"),
                *("min_hessian", "min_child_weight"),
            ),
            1e-3,
        ),
        "min_rows": (
            (
                *("min_data_in_leaf", "min_data_per_leaf", "min_data", "min_child_samples"),
                "min_samples_leaf",
            ),
            20.0,
        ),
        "min_gain": (("min_gain_to_split", "min_split_gain"), 0.0),
        "l1": (("lambda_l1", "reg_alpha", "l1_regularization"), 0.0),
        "l2": (("lambda_l2", "reg_lambda", "lambda", "l2_regularization"), 0.0),
        "max_step": (("max_delta_step", "max_tree_output", "max_leaf_output"), 0.0),
        "rate": (("learning_rate", "shrinkage_rate", "eta"), 0.1),
    },
}

#: Parameters of built-in objectives that are void under a custom one, though `train` lets them be.
VOID: dict[Library, tuple[str, ...]] = {
    "xgboost": (
        *("aft_loss_distribution", "aft_loss_distribution_scale"),
        *("lambdarank_pair_method", "lambdarank_num_pair_per_sample", "lambdarank_unbiased"),
        *("lambdarank_normalization", "lambdarank_score_normalization", "lambdarank_bias_norm"),
    ),
    "lightgbm": ("lambdarank_truncation_level", "lambdarank_norm", "objective_seed"),
}


@dataclass(frozen=True)
class Limit:
    """A parameter that limits splits or steps, under the name that the user gave it."""

    name: str
    value: float

    def __str__(self) -> str:
        return f"{self.name}={self.value:g}"


@dataclass(frozen=True)
class Refusal:
    """What `train` would say of a parameter: an error, or a warning."""

    parameter: str
    message: str
    fatal: bool


def as_mapping(params: Mapping[str, Any] | Sequence[tuple[str, Any]] | None) -> dict[str, Any]:
    """Parameters as a dictionary; XGBoost takes a list of pairs as well."""
    return dict(params.items() if isinstance(params, Mapping) else params or ())


def limit(library: Library, params: Mapping[str, Any], what: str) -> Limit:
    """The limit of that kind: as given, or the library's default."""
    names, default = LIMITS[library][what]
    for name in names:
        if params.get(name) is not None:
            return Limit(name, float(params[name]))
    return Limit(names[0], default)


def refusals(library: Library, params: Mapping[str, Any], loss: Loss) -> list[Refusal]:
    """What `train` would say of each parameter alone, and of the link of the loss."""
    found = []
    for name, given in [("", {}), *((name, {name: params[name]}) for name in params)]:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            try:
                _settings(library, given, loss)
            except (ValueError, TypeError) as error:
                found.append(Refusal(name, str(error), fatal=True))
        # The link is the same for each parameter: it is spoken of once, where there is none.
        found += [Refusal(name, str(x.message), fatal=False) for x in caught if not name]
    return found


def raw_of_base_score(loss: Loss, base_score: Any) -> Any:
    """Raw prediction at which XGBoost starts with that ``base_score``, which is a response."""
    score = np.asarray(base_score, dtype=np.float64)
    if loss.link.name in OBJECTIVE_OF_LINK and loss.link.name != "softmax":
        with np.errstate(divide="ignore", invalid="ignore"):
            score = loss.link.link(score)
    return np.broadcast_to(score, (loss.n_outputs,))


def _settings(library: Library, params: Mapping[str, Any], loss: Loss) -> None:
    if library == "lightgbm":
        lightgbm._settings(params, loss)
        return
    # The only link that needs to ask the library itself for what it has.
    module = xgboost._import() if loss.link.name == "sorted" else None
    xgboost._settings(module, params, loss)
