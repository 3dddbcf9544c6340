"""What the scikit-learn estimators of both libraries share: a loss as a parameter, and classes."""

import inspect
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import MISSING, fields, replace
from types import FunctionType
from typing import Any

import numpy as np

from gbobjectives._numerics import Array, log1pexp, softmax
from gbobjectives._validation import nearest_name
from gbobjectives.losses import LOSSES, get_loss
from gbobjectives.losses.base import Loss
from gbobjectives.losses.kinds import GroupLoss
from gbobjectives.objective import Objective, as_objective

# What is no parameter to search over: `bind` sets it.
BOUND = "targets"


# ---- a loss, and its parameters, as parameters of an estimator -------------------------------


def signature_with_loss(parent: Callable[..., Any], default: Any) -> inspect.Signature:
    """Signature of the constructor of a library's base model, and `loss`.

    scikit-learn reads the parameters of an estimator off its constructor, which takes those of
    the parent as keywords here, whatever the version of the library has.
    """
    found = inspect.signature(parent)
    own, *theirs = found.parameters.values()
    keyword, anything = inspect.Parameter.KEYWORD_ONLY, inspect.Parameter.VAR_KEYWORD
    theirs = [x if x.kind == anything else x.replace(kind=keyword) for x in theirs]
    loss = inspect.Parameter("loss", keyword, default=default)
    return found.replace(parameters=[own, loss, *theirs])


def with_loss_parameters(params: dict[str, Any], deep: bool) -> dict[str, Any]:
    """Parameters of an estimator, with those of its loss: ``loss__gamma``."""
    if not deep:
        return params
    inner = parameters_of(params["loss"])
    return params | {f"loss__{name}": value for name, value in inner.items()}


def set_loss(estimator: Any, params: Mapping[str, Any]) -> dict[str, Any]:
    """Set ``loss`` and ``loss__...``; the parameters that are left."""
    loss = params.get("loss", getattr(estimator, "loss", None))
    prefix = "loss__"
    changes = {k.removeprefix(prefix): v for k, v in params.items() if k.startswith(prefix)}
    if changes:
        loss = changed(type(estimator).__name__, loss, changes)
    estimator.loss = loss
    return {k: v for k, v in params.items() if k != "loss" and not k.startswith(prefix)}


def without_loss(params: Mapping[str, Any]) -> dict[str, Any]:
    """Parameters of an estimator that its library knows."""
    return {k: v for k, v in params.items() if k.partition("__")[0] != "loss"}


def parameters_of(loss: Any) -> dict[str, Any]:
    """Parameters of a loss, of a name or of a spec, and of losses inside it."""
    try:
        known = _fields(loss)
    except (TypeError, ValueError):
        # It is refused where it is used.
        return {}
    given = _given(loss)
    found = {name: given.get(name, default) for name, default in known.items()}
    found = {name: value for name, value in found.items() if value is not MISSING}
    for name, value in list(found.items()):
        if isinstance(value, Loss):
            found |= {f"{name}__{k}": v for k, v in parameters_of(value).items()}
    return found


def changed(owner: str, loss: Any, changes: Mapping[str, Any]) -> Any:
    """The loss with other parameters; a spec where one that has no default is still missing."""
    if not isinstance(loss, Loss | Objective | str | Mapping | type):
        raise TypeError(f"{owner}: loss={loss!r} has no parameters; give a loss first")
    known, given = _fields(loss), _given(loss)
    own = {k: v for k, v in changes.items() if "__" not in k}
    inner: dict[str, dict[str, Any]] = {}
    for name, value in changes.items():
        first, _, rest = name.partition("__")
        if first not in known:
            raise nearest_name(_class_of(loss).__name__, "parameter", first, known)
        if rest:
            inner.setdefault(first, {})[rest] = value
    for name, rest_of in inner.items():
        value = own.get(name, given.get(name, known[name]))
        own[name] = changed(f"{owner}, {name}", value, rest_of)
    if isinstance(loss, Loss | Objective):
        return replace(loss, **own)
    spec = {"loss": loss["loss"] if isinstance(loss, Mapping) else loss, **given, **own}
    missing = [name for name, value in known.items() if value is MISSING and name not in spec]
    return spec if missing else _made(spec)


def _class_of(loss: Any) -> type:
    """The class of a loss, of a name, of a spec; a class is its own."""
    if isinstance(loss, Mapping):
        return _class_of(loss.get("loss"))
    if isinstance(loss, type):
        return loss
    if isinstance(loss, str):
        named = (x for x in LOSSES.values() if loss in (x.name, *x.aliases, x.__name__))
        return next(named, None) or type(get_loss(loss))
    return type(loss)


def _fields(loss: Any) -> dict[str, Any]:
    """Parameters that a loss can be given, with their defaults."""
    return {f.name: f.default for f in fields(_class_of(loss)) if f.init and f.name != BOUND}


def _given(loss: Any) -> dict[str, Any]:
    if isinstance(loss, Mapping):
        return {k: v for k, v in loss.items() if k != "loss"}
    if isinstance(loss, str | type):
        return {}
    return {name: getattr(loss, name) for name in _fields(loss)}


def _made(spec: Mapping[str, Any]) -> Any:
    """The loss of a spec, whose "loss" may be a class."""
    given = dict(spec)
    cls = given.pop("loss")
    return cls(**given) if isinstance(cls, type) else get_loss(cls, **given)


# ---- the objective of a fit ------------------------------------------------------------------


def objective_of_fit(owner: str, loss: Any, n_classes: int | None = None) -> Objective:
    """The objective of an estimator's `loss`, with the number of classes where it is missing."""
    if isinstance(loss, str | Mapping | type):
        spec = dict(loss) if isinstance(loss, Mapping) else {"loss": loss}
        if n_classes is not None and _fields(loss).get("n_classes") is MISSING:
            spec.setdefault("n_classes", n_classes)
        # Once more by `get_loss`, which knows the losses inside a spec.
        loss = _made(spec) if isinstance(spec.get("loss"), type) else get_loss(spec)
    made = as_objective(loss, owner)
    if isinstance(made.loss, GroupLoss):
        raise ValueError(
            f"{owner}: {type(made.loss).__name__} needs groups of rows, which a fit(X, y) has not; "
            "use `train` with data that has groups"
        )
    return made


def objective_of_classes(owner: str, loss: Any, n_classes: int) -> Objective:
    """The same for labels of that many classes; log loss or cross-entropy if `loss` is None."""
    if n_classes < 2:
        raise ValueError(f"{owner}: y must have labels of two classes or more; got one class only")
    if loss is None:
        loss = "log" if n_classes == 2 else "cross_entropy"
    made = objective_of_fit(owner, loss, n_classes)
    own = made.loss
    if own.ignore_index is not None or own.targets is not None:
        raise ValueError(
            f"{owner}: {own!r} has {'bound targets' if own.targets else 'an ignore_index'}, and y "
            "holds labels of classes here; leave such rows out, or use `train`"
        )
    if own.link.name not in ("logit", "softmax") and not hasattr(own, "class_probabilities"):
        raise ValueError(f"{owner}: {own!r} predicts no class; use the regressor")
    # A sum of binary losses has None.
    known = getattr(own, "n_classes", None) or max(own.n_outputs, 2)
    if known != n_classes:
        raise ValueError(
            f"{owner}: {own!r} is a loss of {known} classes, and y has {n_classes}"
            + ('; loss="cross_entropy" takes any number' if own.n_outputs == 1 else "")
        )
    return made


def check_order(owner: str, loss: Any, y: Any) -> None:
    """Error for names of classes where the order of the classes counts."""
    try:
        cls = _class_of(loss.loss if isinstance(loss, Objective) else loss)
    except (TypeError, ValueError):
        return
    if hasattr(cls, "class_probabilities") and np.asarray(y).dtype.kind not in "biuf":
        raise ValueError(
            f"{owner}: the order of the classes counts for {loss!r}, and that of their names is "
            "the alphabet's; give the labels as numbers"
        )


def resolved_on(made: Objective, y: Any, w: Any) -> Objective:
    """Thresholds of ordered classes as numbers, which class probabilities need."""
    if not hasattr(made.loss, "class_probabilities"):
        return made
    return made.resolve(y, np.zeros(len(y)), w)


def probabilities(loss: Loss, raw: Any) -> Array:
    """Probability of each class, shape (n, K); of a loss that estimates none, its score."""
    if hasattr(loss, "class_probabilities"):
        known: Array = loss.class_probabilities(raw)
        return known
    if raw.ndim == 1:
        # 1 - p of the link would round to 0 where p is near 1.
        return np.column_stack([loss.predict(-raw), loss.predict(raw)])
    # One against the rest: naive p / sum(p) is 0/0 where every p rounds to 0.
    return softmax(-log1pexp(-raw)) if loss.link.name == "logit" else loss.predict(raw)


def decisions(loss: Loss, raw: Any) -> Any:
    """Scores as scikit-learn wants them: (n,) for two classes, (n, K) for K."""
    two = getattr(loss, "n_classes", None) in (None, 2)
    if raw.ndim == 2:
        return raw[:, 1] - raw[:, 0] if two else raw
    if two:
        return np.asarray(raw)
    with np.errstate(divide="ignore"):
        return np.log(probabilities(loss, raw))


# ---- the fit of a library, with `train` of ours ----------------------------------------------


def fit_calling(train: Callable[..., Any], fit: Callable[..., Any]) -> Callable[..., Any]:
    """A library's `fit` that calls `train` in place of the library's own.

    ``fit`` of `xgboost.XGBModel` and of `lightgbm.LGBMModel` checks what it is given, makes the
    data sets, calls the public `train` of its library, and keeps what that returns. All of it is
    what an estimator of ours wants but that one call; so the name `train`, which both look up in
    their module, is bound to another function here. Nothing is changed in the library itself.
    """
    plain: Any = inspect.unwrap(fit)
    if "train" not in plain.__code__.co_names:
        raise NotImplementedError(
            f"{plain.__module__}.{plain.__qualname__} calls no `train`: this version of the "
            "library is newer than gbobjectives; use the `train` of gbobjectives"
        )
    names = plain.__globals__ | {"train": train}
    made = FunctionType(
        plain.__code__, names, plain.__name__, plain.__defaults__, plain.__closure__
    )
    made.__kwdefaults__ = plain.__kwdefaults__
    return made


@contextmanager
def silent_about_link(missing: bool) -> Iterator[None]:
    """`train` warns of a link that the library has not; the estimator applies it by itself."""
    if not missing:
        yield
        return
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*has no objective with the link")
        yield
