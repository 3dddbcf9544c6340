"""The catalogue: one file per family, one registry."""

import inspect
from collections.abc import Callable, Mapping
from dataclasses import MISSING, fields
from typing import Any

from gbobjectives._validation import nearest_name
from gbobjectives.losses import (
    amount,
    asymmetric,
    binary,
    binary_variants,
    composition,
    count,
    coupled,
    coupled_sum,
    decision,
    density,
    embedding,
    hinge,
    listwise,
    logarithmic,
    multiclass,
    multiclass_variants,
    pairwise,
    power,
    quantile,
    ranking,
    redescending,
    relative,
    residual,
    robust,
    sampled,
    sequence,
    several,
    survival,
    wrapping,
)
from gbobjectives.losses._declaration import snake_case
from gbobjectives.losses.base import Loss

FAMILIES = (
    residual,
    robust,
    power,
    redescending,
    quantile,
    asymmetric,
    relative,
    logarithmic,
    count,
    amount,
    binary,
    hinge,
    binary_variants,
    multiclass,
    multiclass_variants,
    sampled,
    several,
    coupled,
    density,
    ranking,
    pairwise,
    listwise,
    embedding,
    sequence,
    survival,
    composition,
    coupled_sum,
    wrapping,
)

#: Every loss of the catalogue by its name. A class enters by its family's ``__all__``.
LOSSES: dict[str, type[Loss]] = {
    cls.name: cls
    for family in FAMILIES
    for cls in (getattr(family, public) for public in family.__all__)
    if isinstance(cls, type) and issubclass(cls, Loss) and not cls.__abstractmethods__
}

# `0.7 * a + 0.3 * b`, which the base writes and a class that builds on it makes.
Loss._compose = staticmethod(coupled_sum.compose)

#: What has a value and no derivative: names that `get_loss` knows and no objective can take.
METRICS_ONLY: dict[str, type[Loss]] = {cls.name: cls for cls in (decision.ZeroOneLoss,)}

#: What makes a loss of another: names that `get_loss` knows, with ``loss=`` and parameters.
WRAPPERS: dict[str, Callable[..., Loss]] = {
    snake_case(wrapper.__name__): wrapper
    for wrapper in (getattr(wrapping, public) for public in wrapping.__all__)
}

#: Losses of one's own that a spec brings back: `gbobjectives.expressions` fills it in.
OWN: dict[str, type[Loss]] = {}

_BY_ALIAS = {
    alias: cls
    for cls in (*LOSSES.values(), *METRICS_ONLY.values())
    for alias in (cls.name, *cls.aliases)
}


def list_losses() -> list[str]:
    """Names of all losses, in the order of the catalogue.

    Examples
    --------
    >>> import gbobjectives as gbo
    >>> "huber" in gbo.list_losses()
    True
    """
    return list(LOSSES)


def named(name: str) -> type[Loss] | Callable[..., Loss]:
    """Class or wrapper of that name or alias; the error offers the nearest known one."""
    key = name if name in _BY_ALIAS else snake_case(name).removesuffix("_loss")
    if key in WRAPPERS:
        return WRAPPERS[key]
    known = _BY_ALIAS | OWN
    if key in known:
        return known[key]
    raise nearest_name("get_loss", "loss", name, [*known, *WRAPPERS])


def get_loss(name: str | Mapping[str, Any] | Loss, /, **parameters: Any) -> Loss:
    """Loss by its name or alias, or by the dictionary that `Loss.spec` gave.

    Parameters
    ----------
    name : str, mapping or Loss
        The class name in snake case less "Loss", an alias, a spec; a loss is handed through.
        The name of a wrapper, such as ``"class_balanced"``, takes ``loss=`` and its parameters.
    **parameters
        Passed to the class.

    Raises
    ------
    ValueError
        If the name or a parameter is unknown; the nearest known one is offered.

    Examples
    --------
    >>> import gbobjectives as gbo
    >>> gbo.get_loss("focal", gamma=1.0)
    FocalLoss(gamma=1.0, alpha=None)
    >>> gbo.get_loss("masked", loss="log", ignore=-1.0) == gbo.Masked(gbo.LogLoss(), -1.0)
    True
    >>> gbo.get_loss(gbo.HuberLoss(delta=2.0).spec())
    HuberLoss(delta=2.0)
    """
    if isinstance(name, Loss):
        if parameters:
            raise ValueError(f"get_loss: {name!r} is a loss already; it takes no parameters")
        return name
    if isinstance(name, Mapping):
        spec = dict(name)
        if "loss" not in spec:
            raise ValueError(f'get_loss: a spec names its loss under "loss"; got {dict(name)!r}')
        return get_loss(spec.pop("loss"), **spec, **parameters)
    if not isinstance(name, str):
        raise TypeError(f"get_loss: a name, a spec or a Loss is wanted; got {name!r}")
    cls = named(name)
    if not isinstance(cls, type):
        return _wrapped(cls, parameters)
    # The facts of a class are fields of no instance.
    known = [field.name for field in fields(cls)]
    for parameter in parameters:
        if parameter not in known:
            raise nearest_name(cls.__name__, "parameter", parameter, known)
    for field in fields(cls):
        if field.default is MISSING and field.name not in parameters:
            raise ValueError(f"{cls.__name__}: the parameter {field.name} is required")
    targets = parameters.pop("targets", None)
    made: Loss = cls(**{name: _loss_of_spec(value) for name, value in parameters.items()})
    return made if targets is None else made.bind(targets)


Loss._get = staticmethod(get_loss)


def _wrapped(wrapper: Callable[..., Loss], parameters: dict[str, Any]) -> Loss:
    """The loss that a wrapper makes of the one under ``loss=``."""
    known = inspect.signature(wrapper).parameters
    for parameter in parameters:
        if parameter not in known:
            raise nearest_name(wrapper.__name__, "parameter", parameter, known)
    for needed, how in known.items():
        if how.default is how.empty and needed not in parameters:
            raise ValueError(f"{wrapper.__name__}: the parameter {needed} is required")
    return wrapper(**{**parameters, "loss": get_loss(parameters["loss"])})


def _loss_of_spec(value: Any) -> Any:
    """Losses inside the spec of a loss."""
    if isinstance(value, Mapping) and "loss" in value:
        return get_loss(value)
    return [_loss_of_spec(x) for x in value] if isinstance(value, list) else value
