"""What a loss of one's own is, wherever its derivatives are from: its options, and its rules.

`autodiff` and `expressions` supply the kernels.
"""

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any, ClassVar, Self

import numpy as np

from gbobjectives import _validation as check
from gbobjectives._batch import Batch
from gbobjectives._code import Function
from gbobjectives._numerics import Array
from gbobjectives._own_curvature import (
    Kernels,
    Known,
    Ratio,
    capped_kernel,
    careful,
    own_kernel,
    quotient_kernel,
    shape_of,
)
from gbobjectives.curvature import ORDER, Guarantee, Rule
from gbobjectives.links import IDENTITY, Interval, Link, get_link
from gbobjectives.losses._intercept import solve_intercept, weighted_quantile, weighted_quantiles
from gbobjectives.losses.kinds import RowLoss

# Score by which a row may move at most under the heuristic, in units of the spread of scores.
STEP = 2.0


class Parameters(dict[str, Any]):
    """Numbers and words by name, which a loss can be hashed with; not to be changed."""

    def __hash__(self) -> int:  # type: ignore[override]
        return hash(tuple(sorted(self.items())))


@dataclass(frozen=True)
class OwnLoss(RowLoss):
    """Base of the losses that `from_value` and `from_expression` make; they list the options."""

    parameters: Mapping[str, Any] = field(default=Parameters(), kw_only=True)
    n_outputs: int = field(default=1, kw_only=True)
    n_labels: int = field(default=1, kw_only=True)
    link: Link = field(default=IDENTITY, kw_only=True)  # type: ignore[misc]
    y_domain: Interval = field(default=Interval(), kw_only=True)  # type: ignore[misc]
    name: str = field(default="", kw_only=True)  # type: ignore[misc]
    convex: bool = field(default=False, kw_only=True)  # type: ignore[misc]
    redescending: bool = field(default=False, kw_only=True)  # type: ignore[misc]
    kinks_at: Any = field(default=None, kw_only=True)
    safe: Any = field(default=None, kw_only=True)
    guarantee_of_safe: Guarantee = field(default="heuristic", kw_only=True)
    max_step: Any = field(default="auto", kw_only=True)

    task: ClassVar[str] = "own"
    estimates: ClassVar[str] = "what minimises it"
    metric_name: ClassVar[str] = "own"

    #: What a spec calls the class.
    kind: ClassVar[str]

    def __post_init__(self) -> None:
        super().__post_init__()
        owner = type(self).__name__
        facts: dict[str, Any] = {
            "parameters": _parameters(owner, self.parameters),
            "n_outputs": check.count_parameter(owner, "n_outputs", self.n_outputs, 1),
            "n_labels": check.count_parameter(owner, "n_labels", self.n_labels, 1),
            "link": get_link(self.link) if isinstance(self.link, str) else self.link,
            "y_domain": _interval(owner, self.y_domain),
            "name": self.name or self._default_name(),
            "max_step": self._checked_step(),
        }
        for name in ("convex", "redescending"):
            facts[name] = bool(getattr(self, name))
        if self.guarantee_of_safe not in ORDER[:-1]:
            raise ValueError(
                f"{owner}: guarantee_of_safe must be one of {', '.join(ORDER[:-1])}; "
                f"got {self.guarantee_of_safe!r}"
            )
        if self.safe is None and self.guarantee_of_safe != "heuristic":
            raise ValueError(f"{owner}: guarantee_of_safe is of a curvature given by safe=")
        for fact, value in facts.items():
            object.__setattr__(self, fact, value)
        object.__setattr__(self, "metric_name", self.name)
        object.__setattr__(self, "_kernels", self._made())
        scalar = self.n_outputs == self.n_labels == 1
        residual, ratio = shape_of(self._kernels, self.y_domain) if scalar else (False, None)
        object.__setattr__(self, "normalised", residual)
        object.__setattr__(self, "_ratio", None if self.safe is not None else ratio)
        object.__setattr__(self, "rules", type(self).rules | self._own_rules())

    _kernels: ClassVar[Kernels]
    _ratio: ClassVar[Ratio | None]

    @abstractmethod
    def _made(self) -> Kernels:
        """Kernels, made once for each function and its parameters."""

    @abstractmethod
    def _default_name(self) -> str:
        """What it is called where no name is given."""

    def _checked_step(self) -> Any:
        owner, given = type(self).__name__, self.max_step
        if isinstance(given, str):
            if given != "auto":
                raise ValueError(
                    f'{owner}: max_step must be "auto" or a positive number, or one an output; '
                    f"got {given!r}"
                )
            return given
        if np.ndim(given) == 0:
            return check.real_parameter(owner, "max_step", given, check.POSITIVE)
        return check.real_parameters(owner, "max_step", given, self.n_outputs, check.POSITIVE)

    def _own_rules(self) -> dict[str, Rule]:
        if self.safe is not None:
            rule = Rule(own_kernel, self.guarantee_of_safe, "as given")
            return {"safe": rule, "auto": rule}
        if self._ratio is not None:
            quotient = "psi(r) / r" if self._ratio.tilt == 0 else "(psi(r) - psi(0)) / r"
            return {
                "safe": Rule(quotient_kernel, "majorizer", quotient),
                "auto": Rule(quotient_kernel, "majorizer", quotient, 0.05),
            }
        rule = Rule(capped_kernel, "heuristic", "max(h, |g| / max_step)")
        return {"safe": rule, "auto": rule}

    # ---- kernels -----------------------------------------------------------------------

    def _value(self, y: Array, f: Array) -> Array:
        (value,) = careful(lambda *block: (self._kernels.value(*block),), y, f)
        return value

    def _derivatives(self, y: Array, f: Array) -> tuple[Array, Array]:
        g, h = careful(self._kernels.derivatives, y, f)
        return g, h

    def _gradient(self, y: Array, f: Array) -> Array:
        return self._derivatives(y, f)[0]

    def _hessian(self, y: Array, f: Array) -> Array:
        return self._derivatives(y, f)[1]

    def _gradient_curvature(self, rule: Rule, *arguments: Any) -> tuple[Array, Array]:
        g, h = self._derivatives(*arguments)
        return g, rule.kernel(Known(self, g, h), *arguments)

    # ---- labels, "auto", intercept -----------------------------------------------------

    def _labels(self, y_true: Any, n: int | None) -> Array:
        if self.n_labels == 1:
            return super()._labels(y_true, n)
        owner = type(self).__name__
        return check.label_matrix(owner, y_true, n, self.n_labels, self.y_domain)

    @property
    def resolved(self) -> bool:
        """Whether the largest step is a number, where the curvature needs one."""
        needed = self.rules["safe"].kernel is capped_kernel and self.link.name == "identity"
        return not needed or self.max_step != "auto"

    @property
    def _cap(self) -> Any:
        """The largest step; a score behind a link has no unit, and a spread of about 1."""
        return STEP if self.max_step == "auto" else self.max_step

    def _label_statistics(self, batch: Batch) -> float:
        """Weighted mean distance of the labels from their median; of several the largest."""
        if self.resolved:
            return 1.0
        columns = batch.y.astype(np.float64).reshape(batch.n_rows, -1).T
        spreads = []
        for y in columns:
            middle = weighted_quantile(Batch(y, np.zeros_like(y), batch.w), 0.5)
            spreads.append(np.average(np.abs(y - middle), weights=batch.w))
        spread = float(max(spreads))
        return spread if check.POSITIVE.includes(spread) and np.isfinite(spread) else 1.0

    def _resolve(self, batch: Batch, statistics: Any) -> Self:
        return self if self.resolved else replace(self, max_step=STEP * statistics)

    def _intercept(self, batch: Batch, has_offset: bool) -> Any:
        if not self.normalised:
            return solve_intercept(self, batch)
        x = batch.y.astype(np.float64) - batch.f
        places = () if self.convex else weighted_quantiles(batch, np.linspace(0, 1, 65))
        return solve_intercept(self, batch, float(x.min()), float(x.max()), places)

    # ---- how it is written ---------------------------------------------------------------

    def _written(self) -> dict[str, Any]:
        """Arguments that make it, but those left at their defaults."""
        found = {}
        for f in sorted(fields(self), key=lambda f: bool(f.kw_only)):
            value = getattr(self, f.name)
            automatic = f.name == "name" and value == self._default_name()
            if not automatic and not (f.kw_only and value == f.default):
                found[f.name] = value
        return found

    def spec(self) -> dict[str, Any]:
        """The loss as plain JSON types; code of functions is in it as text."""
        return {"loss": type(self).kind} | {k: _plain(x) for k, x in self._written().items()}

    def __repr__(self) -> str:
        """The call that makes it; a default is left out."""
        shown = [
            f"{name}={value if isinstance(value, Function) else _plain(value)!r}"
            for name, value in self._written().items()
        ]
        return f"{type(self).__name__}({', '.join(shown)})"


def sample_rows(loss: OwnLoss, n: int) -> tuple[Array, Array]:
    """Labels of the domain and ordinary scores, on which a function is tried."""
    rng = np.random.default_rng(0)
    low, high = loss.y_domain.low, loss.y_domain.high
    shape = (n,) if loss.n_labels == 1 else (n, loss.n_labels)
    if np.isfinite(low) and np.isfinite(high):
        y = low + (high - low) * rng.uniform(0.05, 0.95, shape)
    elif np.isfinite(low):
        y = low + rng.gamma(2.0, size=shape)
    else:
        y = (high - rng.gamma(2.0, size=shape)) if np.isfinite(high) else rng.normal(size=shape)
    return y, rng.normal(size=(n,) if loss.n_outputs == 1 else (n, loss.n_outputs))


# ---- options -------------------------------------------------------------------------------


def _parameters(owner: str, given: Any) -> Parameters:
    if not isinstance(given, Mapping):
        raise TypeError(f"{owner}: parameters must be a mapping of names to values; got {given!r}")
    for name, value in given.items():
        if not isinstance(name, str) or not name.isidentifier():
            raise ValueError(f"{owner}: a parameter must have a name of Python; got {name!r}")
        if not _is_plain(value):
            raise TypeError(
                f"{owner}: the parameter {name} must be a number, a word, or a tuple of these; "
                f"got {value!r}"
            )
    return Parameters({name: _frozen(value) for name, value in given.items()})


def _is_plain(value: Any) -> bool:
    if isinstance(value, tuple | list):
        return all(_is_plain(x) for x in value)
    return value is None or isinstance(value, bool | int | float | str | np.number)


def _frozen(value: Any) -> Any:
    if isinstance(value, tuple | list):
        return tuple(_frozen(x) for x in value)
    return value.item() if isinstance(value, np.number) else value


def _interval(owner: str, given: Any) -> Interval:
    if isinstance(given, tuple | list) and 2 <= len(given) <= 4:
        given = Interval(float(given[0]), float(given[1]), *(bool(x) for x in given[2:]))
    if not isinstance(given, Interval):
        raise TypeError(
            f"{owner}: y_domain must be an Interval or a tuple (low, high); got {given!r}"
        )
    return given


def _plain(value: Any) -> Any:
    """An option as it is written: plain types that the constructor takes as well."""
    if isinstance(value, Link):
        return value.name
    if isinstance(value, Interval):
        return (value.low, value.high, value.low_inclusive, value.high_inclusive)
    if isinstance(value, Parameters):
        return dict(value)
    if isinstance(value, Function):
        return repr(value) if value.text is None else value.text
    return value
