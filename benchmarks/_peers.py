"""The same losses in other packages, where they are installed.

Each is called as a library calls it, with an object that has labels and weights. They have no
safe curvature: theirs is the second derivative, or what they take for it.
"""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import numpy as np


class Data(NamedTuple):
    """What an objective sees of a DMatrix or a Dataset."""

    label: Any
    weight: Any

    def get_label(self) -> Any:
        return self.label

    def get_weight(self) -> Any:
        return np.empty(0, np.float32) if self.weight is None else self.weight


def _jaxboost(name: str) -> Callable[[Any, Data], Any] | None:
    try:
        from jaxboost import objective
    except ImportError:
        return None
    if name.startswith("softmax"):
        return objective.softmax_cross_entropy(int(name.removeprefix("softmax"))).xgb_objective
    found = {"log_loss": "binary_crossentropy", "focal": "focal_loss"}.get(name, name)
    parameters = {"quantile": {"q": 0.9}, "tweedie": {"p": 1.5}}.get(name, {})
    return getattr(objective, found).get_xgb_objective(**parameters)


def _bokbokbok(name: str) -> Callable[[Any, Data], Any] | None:
    try:
        from bokbokbok.loss_functions import classification as binary
        from bokbokbok.loss_functions import regression
    except ImportError:
        return None
    make = {
        "log_cosh": lambda: regression.LogCoshLoss(),
        "log_loss": lambda: binary.WeightedCrossEntropyLoss(alpha=1.0),
        "focal": lambda: binary.WeightedFocalLoss(alpha=1.0, gamma=2.0),
    }.get(name)
    return make and make()


def _gbdtcbl(name: str) -> Callable[[Any, Data], Any] | None:
    try:
        from gbdtCBL import binary
    except ImportError:
        return None
    found = {"log_loss": lambda: binary.WCELoss(1.0), "focal": lambda: binary.FLLoss(2.0)}.get(name)
    if found is None:
        return None
    loss = found()
    return lambda f, data: loss(data.label, f)


PACKAGES = {"jaxboost": _jaxboost, "bokbokbok": _bokbokbok, "gbdtCBL": _gbdtcbl}


def peers_of(name: str, y: Any, f: Any, w: Any) -> dict[str, Callable[[], Any]]:
    """A call of each package that has the loss; two of them ignore weights."""
    found = {}
    for package, find in PACKAGES.items():
        objective = find(name)
        if objective is not None:
            found[package] = partial(objective, f, Data(y, w))
    return found
