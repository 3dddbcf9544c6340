"""The contract of a loss.

A concrete loss is a frozen dataclass of parameters and a few kernels; all that surrounds a
kernel (validation, blocks, threads, weights, reduction) is written here, once.
"""

import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from typing import Any, ClassVar, Self

import numpy as np

from gbobjectives import _validation as check
from gbobjectives._batch import Batch, Groups, Piece
from gbobjectives._numerics import Array
from gbobjectives.curvature import ABSOLUTE, EXACT, TINY, Guarantee, Rule, find_rule
from gbobjectives.links import IDENTITY, Interval, Link
from gbobjectives.losses._intercept import solve_intercept
from gbobjectives.parallel import map_blocks


def snake_case(class_name: str) -> str:
    """`LogCoshLoss` -> `log_cosh`."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", class_name.removesuffix("Loss")).lower()


@dataclass(frozen=True)
class Loss(ABC):
    """What every loss is: value, exact derivatives, safe curvature, link, intercept, metric.

    All methods take labels of shape (n,), or (n, n_outputs) where the loss says so, and raw
    predictions (scores before the inverse link) of shape (n,) for one output and
    (n, n_outputs) for several. Results have the dtype of the raw prediction, float32 or
    float64. The facts below are class attributes.

    Attributes
    ----------
    name, aliases : str, tuple of str
        What `get_loss` knows the loss by.
    task, estimates, formula : str
        What it is for, which functional of the label it estimates, and its value in one line.
    parity, source : str
        Built-in objectives that a curvature of it reproduces; where it comes from.
    y_domain : Interval
        Where labels may lie.
    link : Link
        Raw prediction to response.
    convex : bool
        Whether the value is convex in the raw prediction.
    redescending : bool
        Whether badly wrong rows lose their gradient.
    rules : mapping of str to Rule
        The curvatures it offers.
    normalised : bool
        Whether ``scale="auto"`` divides by the mean curvature.
    """

    name: ClassVar[str]
    aliases: ClassVar[tuple[str, ...]] = ()
    task: ClassVar[str] = ""
    estimates: ClassVar[str] = ""
    formula: ClassVar[str] = ""
    parity: ClassVar[str] = ""
    source: ClassVar[str] = ""
    y_domain: ClassVar[Interval] = Interval()
    link: ClassVar[Link] = IDENTITY
    convex: ClassVar[bool] = True
    redescending: ClassVar[bool] = False
    rules: ClassVar[Mapping[str, Rule]] = {"exact": EXACT, "absolute": ABSOLUTE}
    normalised: ClassVar[bool] = False
    metric_name: ClassVar[str] = ""

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        cls.name = snake_case(cls.__name__)
        inherited: dict[str, Rule] = {}
        for base in reversed(cls.__mro__[1:]):
            inherited |= base.__dict__.get("rules", {})
        cls.rules = inherited | cls.__dict__.get("rules", {})
        if "metric_name" not in cls.__dict__:
            cls.metric_name = cls.name

    # ---- facts -------------------------------------------------------------------------

    @property
    def n_outputs(self) -> int:
        """Number of raw predictions of a row."""
        return 1

    @property
    def resolved(self) -> bool:
        """Whether every parameter is a number: no ``"auto"`` is left."""
        return True

    def rule(self, curvature: str | float = "safe") -> Rule:
        """The curvature rule of that name; a positive float c is ``max(h, c)``."""
        return find_rule(type(self).__name__, self.rules, curvature)

    def guarantee(self, curvature: str | float = "safe") -> Guarantee:
        """What is proved of that curvature: see `gbobjectives.curvature`."""
        return self.rule(curvature).guarantee

    def kinks(self, y_true: Array) -> tuple[Array, ...]:
        """Raw predictions, one array for each, at which the gradient has no derivative."""
        return ()

    def spec(self) -> dict[str, Any]:
        """The loss as plain JSON types; ``get_loss(spec)`` brings it back."""
        return {"loss": self.name} | {f.name: getattr(self, f.name) for f in fields(self)}

    # ---- the public surface ------------------------------------------------------------

    def value(
        self, y_true: Any, raw_prediction: Any, sample_weight: Any = None, group: Any = None
    ) -> Array:
        """Value per row, unweighted; for coupled and group losses per group.

        Weights matter only to what is estimated from the batch (``delta="auto"``, sums).
        A value beyond the dtype saturates at its largest finite number.
        """
        batch = self._batch(y_true, raw_prediction, sample_weight, group)
        loss = self._resolved_on(batch)
        values = loss._values(batch)
        result: Array = np.minimum(values, np.finfo(values.dtype).max)
        return result

    def gradient(
        self, y_true: Any, raw_prediction: Any, sample_weight: Any = None, group: Any = None
    ) -> Array:
        """Exact derivative of `value` with respect to the raw prediction."""
        return self._second_order(
            y_true, raw_prediction, sample_weight, group, lambda loss, a: loss._gradient(*a)
        )

    def hessian(
        self, y_true: Any, raw_prediction: Any, sample_weight: Any = None, group: Any = None
    ) -> Array:
        """Exact second derivative of `value`, whatever its sign; its diagonal if several."""
        return self._second_order(
            y_true, raw_prediction, sample_weight, group, lambda loss, a: loss._hessian(*a)
        )

    def curvature(
        self,
        y_true: Any,
        raw_prediction: Any,
        curvature: str | float = "safe",
        sample_weight: Any = None,
        group: Any = None,
    ) -> Array:
        """Second-order number for the trees, positive for every rule with a guarantee."""
        rule = self.rule(curvature)

        def kernel(loss: Loss, arguments: tuple[Any, ...]) -> Array:
            h = rule.kernel(loss, *arguments)
            return h if rule.guarantee == "none" else np.maximum(h, TINY)

        return self._second_order(y_true, raw_prediction, sample_weight, group, kernel)

    def __call__(
        self, y_true: Any, raw_prediction: Any, sample_weight: Any = None, group: Any = None
    ) -> float:
        """Weighted mean of `value`."""
        batch = self._batch(y_true, raw_prediction, sample_weight, group)
        loss = self._resolved_on(batch)
        return loss._mean(batch, loss._value)

    def metric_value(
        self, y_true: Any, raw_prediction: Any, sample_weight: Any = None, group: Any = None
    ) -> float:
        """Weighted mean of the loss's metric: its own value unless the class says otherwise."""
        batch = self._batch(y_true, raw_prediction, sample_weight, group)
        loss = self._resolved_on(batch)
        return loss._mean(batch, loss._score)

    def predict(self, raw_prediction: Any) -> Array:
        """Response: the inverse link of the raw prediction."""
        return self.link.inverse(self._raw(raw_prediction))

    def intercept(
        self, y_true: Any, sample_weight: Any = None, raw_prediction: Any = None
    ) -> Array:
        """Best constant raw prediction, shape (n_outputs,), in float64.

        Where `raw_prediction` is given it is an offset, and the best constant to add to it is
        returned. Best is by the loss's metric.
        """
        n = np.shape(y_true)[0] if np.ndim(y_true) else 0
        offset = np.zeros(n if self.n_outputs == 1 else (n, self.n_outputs))
        if raw_prediction is not None:
            offset = offset + self._raw(raw_prediction)
        batch = self._batch(y_true, offset, sample_weight, None)
        with np.errstate(over="ignore", under="ignore"):
            found = self._intercept(batch, raw_prediction is not None)
        return np.atleast_1d(np.asarray(found, dtype=np.float64))

    def resolve(self, y_true: Any, raw_prediction: Any, sample_weight: Any = None) -> Self:
        """The same loss with numbers in place of ``"auto"``."""
        return self._resolved_on(self._batch(y_true, raw_prediction, sample_weight, None))

    # ---- what a kind of loss supplies --------------------------------------------------

    @abstractmethod
    def _value(self, *arguments: Any) -> Array:
        """Value of a block."""

    @abstractmethod
    def _gradient(self, *arguments: Any) -> Array:
        """Derivative per unit of the row's own weight."""

    @abstractmethod
    def _hessian(self, *arguments: Any) -> Array:
        """Second derivative per unit of the row's own weight."""

    def _score(self, *arguments: Any) -> Array:
        return self._value(*arguments)

    def _gradient_curvature(self, rule: Rule, *arguments: Any) -> tuple[Array, Array]:
        """Both at once; a family overrides it to share work between the two."""
        return self._gradient(*arguments), rule.kernel(self, *arguments)

    def _intercept(self, batch: Batch, has_offset: bool) -> Any:
        return solve_intercept(self, batch)

    def _label_statistics(self, batch: Batch) -> Any:
        """What "auto" parameters need of the labels alone; computed once per data set."""
        return None

    def _resolve(self, batch: Batch, statistics: Any) -> Self:
        return self

    def _labels(self, y_true: Any, n: int | None) -> Array:
        return check.label_array(type(self).__name__, y_true, n, self.y_domain)

    @abstractmethod
    def _pieces(self, batch: Batch) -> list[Piece]:
        """How the batch is cut into blocks."""

    def _context(self, batch: Batch, n_threads: int | None) -> Any:
        """What every block needs of the whole batch."""
        return None

    @abstractmethod
    def _arguments(self, batch: Batch, piece: Piece, context: Any) -> tuple[Any, ...]:
        """What the kernels are called with for a block."""

    @abstractmethod
    def _own_weights(self, batch: Batch, piece: Piece) -> Array | None:
        """From unit derivatives to derivatives of `value`; None for 1."""

    @abstractmethod
    def _total_weights(
        self, batch: Batch, piece: Piece, arguments: tuple[Any, ...]
    ) -> Array | None:
        """From unit derivatives to those of the total, n times the weighted mean; None for 1."""

    @abstractmethod
    def _value_weights(self, batch: Batch, piece: Piece) -> Array:
        """Weights of the entries of `value` in their mean."""

    # ---- shared machinery --------------------------------------------------------------

    def _raw(self, raw_prediction: Any) -> Array:
        return check.raw_array(type(self).__name__, raw_prediction, self.n_outputs)

    def _batch(self, y_true: Any, raw_prediction: Any, sample_weight: Any, group: Any) -> Batch:
        owner = type(self).__name__
        raw = self._raw(raw_prediction)
        n = raw.shape[0]
        y = self._labels(y_true, n)
        w = check.weight_array(owner, sample_weight, n)
        groups = None if group is None else Groups(check.group_sizes(owner, group, n))
        return Batch(y, raw, w, groups)

    def _resolved_on(self, batch: Batch) -> Self:
        if self.resolved:
            return self
        return self._resolve(batch, self._label_statistics(batch))

    def _map(
        self,
        batch: Batch,
        function: Callable[[Piece, tuple[Any, ...]], Any],
        n_threads: int | None = None,
    ) -> list[Any]:
        """Call `function(piece, kernel arguments)` on every block, in parallel."""
        context = self._context(batch, n_threads)

        def run(piece: Piece) -> Any:
            # Overflow is a documented saturation; every thread has an error state of its own.
            with np.errstate(over="ignore", under="ignore"):
                return function(piece, self._arguments(batch, piece, context))

        return map_blocks(run, self._pieces(batch), batch.f.size, n_threads)

    def _values(self, batch: Batch) -> Array:
        return np.concatenate(self._map(batch, lambda piece, arguments: self._value(*arguments)))

    def _second_order(
        self,
        y_true: Any,
        raw_prediction: Any,
        sample_weight: Any,
        group: Any,
        kernel: Callable[[Any, tuple[Any, ...]], Array],
    ) -> Array:
        batch = self._batch(y_true, raw_prediction, sample_weight, group)
        loss = self._resolved_on(batch)

        def block(piece: Piece, arguments: tuple[Any, ...]) -> Array:
            rows = kernel(loss, arguments)
            own = loss._own_weights(batch, piece)
            return rows if own is None else rows * own

        return np.concatenate(loss._map(batch, block))

    def _mean(self, batch: Batch, kernel: Callable[..., Array]) -> float:
        def block(piece: Piece, arguments: tuple[Any, ...]) -> tuple[float, float]:
            w = self._value_weights(batch, piece)
            values = kernel(*arguments).astype(np.float64, copy=False)
            # A row of weight 0 is absent, whatever its value.
            weighted = np.where(w > 0, values, 0.0) * w
            return float(weighted.sum()), float(w.sum(dtype=np.float64))

        total, weight = np.sum(self._map(batch, block), axis=0)
        return float(min(total / weight, np.finfo(np.float64).max))
