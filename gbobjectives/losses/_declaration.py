"""What a loss declares: its parameters, and the facts of its class."""

import re
from abc import ABC
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, ClassVar

import numpy as np

from gbobjectives import _validation as check
from gbobjectives._batch import Targets
from gbobjectives._numerics import Array
from gbobjectives.curvature import ABSOLUTE, EXACT, Guarantee, Rule, find_rule
from gbobjectives.links import IDENTITY, Interval, Link


def snake_case(class_name: str) -> str:
    """`LogCoshLoss` -> `log_cosh`."""
    start_of_word = r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])"
    return re.sub(start_of_word, "_", class_name.removesuffix("Loss")).lower()


class _EqualNaN(float):
    """NaN that is equal to NaN: a loss that ignores it is equal to its copy."""

    def __eq__(self, other: object) -> bool:
        return isinstance(other, float) and bool(np.isnan(other))

    def __ne__(self, other: object) -> bool:
        return not self == other

    def __hash__(self) -> int:
        return hash("nan")


NAN = _EqualNaN("nan")


def _rebuild(cls: type["Declaration"], parameters: dict[str, Any]) -> "Declaration":
    return cls(**parameters)


def _plain(value: Any) -> Any:
    """A parameter as JSON types."""
    if hasattr(value, "spec"):
        return value.spec()
    if isinstance(value, Targets):
        return value.values.tolist()
    return [_plain(x) for x in value] if isinstance(value, tuple | list) else value


@dataclass(frozen=True)
class Declaration(ABC):
    """Parameters and facts of a loss; `Loss` documents them."""

    ignore_index: float | None = field(default=None, kw_only=True)
    targets: Targets | None = field(default=None, kw_only=True)

    name: ClassVar[str]
    aliases: ClassVar[tuple[str, ...]] = ()
    task: ClassVar[str] = ""
    estimates: ClassVar[str] = ""
    formula: ClassVar[str] = ""
    parity: ClassVar[str] = ""
    source: ClassVar[str] = ""
    y_domain: ClassVar[Interval] = Interval()
    label_units: ClassVar[tuple[str, ...]] = ()
    link: ClassVar[Link] = IDENTITY
    convex: ClassVar[bool] = True
    redescending: ClassVar[bool] = False
    rules: ClassVar[Mapping[str, Rule]] = {"exact": EXACT, "absolute": ABSOLUTE}
    normalised: ClassVar[bool] = False
    metric_name: ClassVar[str] = ""

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        if "name" not in cls.__dict__:
            cls.name = snake_case(cls.__name__)
        if "__repr__" not in cls.__dict__:
            # A dataclass would write one of its own.
            cls.__repr__ = super(cls, cls).__repr__  # type: ignore[method-assign]
        inherited: dict[str, Rule] = {}
        for base in reversed(cls.__mro__[1:]):
            inherited |= base.__dict__.get("rules", {})
        cls.rules = inherited | cls.__dict__.get("rules", {})
        if "metric_name" not in cls.__dict__:
            cls.metric_name = cls.name

    def __post_init__(self) -> None:
        owner = type(self).__name__
        if self.ignore_index is not None:
            number = check.real_parameter(owner, "ignore_index", self.ignore_index, None)
            object.__setattr__(self, "ignore_index", NAN if np.isnan(number) else number)
        if self.targets is not None and not isinstance(self.targets, Targets):
            raise TypeError(f"{owner}: targets are given by bind(targets); got {self.targets!r}")

    def __repr__(self) -> str:
        """Parameters by name; those that are keywords only, where they are not the default."""
        shown = [
            f"{f.name}={getattr(self, f.name)!r}"
            for f in sorted(fields(self), key=lambda f: bool(f.kw_only))
            if not (f.kw_only and getattr(self, f.name) == f.default)
        ]
        return f"{type(self).__name__}({', '.join(shown)})"

    def __reduce__(self) -> tuple[Any, ...]:
        # Facts of an instance (a sum's rules hold closures) are made anew, not pickled.
        return _rebuild, (type(self), {f.name: getattr(self, f.name) for f in fields(self)})

    @property
    def n_outputs(self) -> int:
        """Number of raw predictions of a row."""
        return 1

    @property
    def n_labels(self) -> int:
        """Number of labels of a row; more than 1 is an array of shape (n, n_labels)."""
        return 1

    @property
    def resolved(self) -> bool:
        """Whether every parameter is a number: no ``"auto"`` is left."""
        return True

    @property
    def remembers(self) -> bool:
        """Whether a round of training depends on those before it: see `Objective`."""
        return False

    def rule(self, curvature: str | float = "safe") -> Rule:
        """The curvature rule of that name; a positive float c is ``max(h, c)``."""
        return find_rule(type(self).__name__, self.rules, curvature)

    def guarantee(self, curvature: str | float = "safe") -> Guarantee:
        """What is proved of that curvature: see `gbobjectives.curvature`."""
        return self.rule(curvature).guarantee

    def kinks(self, y_true: Array, raw_prediction: Array) -> tuple[Array, ...]:
        """Raw predictions at which value or gradient has no derivative.

        One array of the shape of `raw_prediction` for each kink; of several outputs, where each
        would meet it if it moved alone.
        """
        return ()

    def spec(self) -> dict[str, Any]:
        """The loss as plain JSON types; ``get_loss(spec)`` brings it back."""
        return {"loss": self.name} | {f.name: _plain(getattr(self, f.name)) for f in fields(self)}
