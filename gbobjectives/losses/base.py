"""The contract of a loss.

A concrete loss is a frozen dataclass of parameters and a few kernels; all that surrounds a
kernel (validation, blocks, threads, weights, reduction) is written here, once.
"""

from abc import abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Literal, Self

import numpy as np

from gbobjectives import _validation as check
from gbobjectives._batch import Batch, Groups, Piece, Targets
from gbobjectives._numerics import Array
from gbobjectives.curvature import TINY, Rule
from gbobjectives.losses._declaration import Declaration
from gbobjectives.losses._intercept import solve_intercept
from gbobjectives.parallel import map_blocks, total


@dataclass(frozen=True)
class Loss(Declaration):
    """What every loss is: value, exact derivatives, safe curvature, link, intercept, metric.

    Methods take labels ``y_true`` of shape (n,), or (n, n_outputs) where the loss says so, and
    scores before the inverse link, ``raw_prediction``, of shape (n,) for one output and
    (n, n_outputs) for several; where they take it, ``sample_weight`` of shape (n,), which is
    not negative, ``group``, the sizes of consecutive groups, and ``curvature``, the name of one
    of the rules, or a floor. Results have the dtype of the raw prediction, float32 or float64.
    The facts below are class attributes. Losses add up, ``0.7 * a + 0.3 * b``.

    Parameters
    ----------
    ignore_index : float, optional
        A label whose rows are left out, as if their weight were 0; NaN is possible.
    targets : Targets, optional
        Set by `bind`; never by hand.

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
    label_units : tuple of str
        Parameters in units of the label, besides delta.
    normalised : bool
        Whether ``scale="auto"`` divides by the mean curvature.

    Examples
    --------
    >>> import gbobjectives as gbo
    >>> loss = gbo.get_loss("huber", delta=1.0)
    >>> loss([0.0, 0.0], [0.5, 4.0], sample_weight=[1.0, 3.0]), loss.intercept([1.0, 2.0, 9.0])
    (2.65625, array([2.]))
    >>> loss.task, loss.estimates, loss.guarantee("safe")
    ('regression', 'Huber location', 'majorizer')
    """

    #: Sum of losses with their coefficients: `SumLoss`, which `gbobjectives.losses` fills in.
    _compose: ClassVar[Callable[[tuple[tuple[float, "Loss"], ...]], "Loss"]]

    #: A loss of a loss, a name or a spec: `get_loss`, which `gbobjectives.losses` fills in.
    _get: ClassVar[Callable[[Any], "Loss"]]

    def __add__(self, other: "Loss") -> "Loss":
        if not isinstance(other, Loss):
            return NotImplemented
        return Loss._compose(((1.0, self), (1.0, other)))

    def __radd__(self, other: Any) -> "Loss":
        # sum([a, b]) begins with 0
        return self if other == 0 else NotImplemented

    def __mul__(self, coefficient: float) -> "Loss":
        return Loss._compose(((coefficient, self),))

    __rmul__ = __mul__

    def __truediv__(self, divisor: float) -> "Loss":
        return self * (1 / divisor)

    def bind(self, targets: Any) -> Self:
        """The same loss for labels that are row numbers of `targets`.

        XGBoost and LightGBM carry one float32 label a row in most places. Where a row has more,
        such as soft labels of shape (n, K), they stay with the loss, and the label of a row says
        which one it is: ``label=np.arange(len(targets))``. Row numbers survive slicing,
        shuffling, cross-validation and pickling.

        Parameters
        ----------
        targets : array of shape (m,) or (m, n_labels)
            Labels of all rows, of training and of validation alike.

        Examples
        --------
        >>> import gbobjectives as gbo
        >>> soft = [[0.7, 0.3, 0.0], [0.1, 0.1, 0.8]]
        >>> loss = gbo.CrossEntropyLoss(n_classes=3).bind(soft)
        >>> loss.gradient([1, 0], [[0.0, 0.0, 0.0]] * 2).round(2)
        array([[ 0.23,  0.23, -0.47],
               [-0.37,  0.03,  0.33]])
        """
        free = replace(self, targets=None)
        return replace(self, targets=Targets(free._labels(targets, None)))

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
        self,
        y_true: Any,
        raw_prediction: Any,
        sample_weight: Any = None,
        group: Any = None,
        reduction: Literal["mean", "sum", "none"] = "mean",
    ) -> Any:
        """Weighted mean of `value`; its weighted sum, or each weighted value."""
        if reduction not in ("mean", "sum", "none"):
            raise ValueError(
                f'{type(self).__name__}: reduction must be "mean", "sum" or "none"; '
                f"got {reduction!r}"
            )
        batch = self._batch(y_true, raw_prediction, sample_weight, group)
        loss = self._resolved_on(batch)
        if reduction == "mean":
            return loss._mean(batch, loss._value)
        weighted = np.minimum(loss._values(batch), np.finfo(batch.f.dtype).max)
        weighted = weighted * loss._entry_weights(batch)
        return weighted if reduction == "none" else float(weighted.sum(dtype=np.float64))

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

    def labels(self, y_true: Any) -> tuple[Array, Array]:
        """Labels as kernels see them (bound targets in place of row numbers); which rows count."""
        n = np.shape(y_true)[0] if np.ndim(y_true) else 0
        zeros = np.zeros(n if self.n_outputs == 1 else (n, self.n_outputs))
        batch = self._batch(y_true, zeros, None, None)
        return batch.y, np.ones(n, dtype=bool) if batch.ignored is None else ~batch.ignored

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

    def _recalled(self, batch: Batch, memory: dict[str, Any]) -> Self:
        """The loss of this round where it `remembers`, and what the next is to know."""
        return self

    # ---- shared machinery --------------------------------------------------------------

    def _entry_weights(self, batch: Batch) -> Array:
        """Weights of the entries of `value`, all together."""
        weights = self._map(batch, lambda piece, _: self._value_weights(batch, piece))
        return np.concatenate(weights)

    def _raw(self, raw_prediction: Any) -> Array:
        return check.raw_array(type(self).__name__, raw_prediction, self.n_outputs)

    def _batch(self, y_true: Any, raw_prediction: Any, sample_weight: Any, group: Any) -> Batch:
        owner = type(self).__name__
        raw = self._raw(raw_prediction)
        n = raw.shape[0]
        if self.targets is not None:
            y_true = self.targets.rows(check.row_numbers(owner, y_true, n, len(self.targets)))
        ignored = None
        if self.ignore_index is not None:
            y_true, ignored = check.without_ignored(owner, y_true, self.ignore_index)
        y = self._labels(y_true, n)
        w = check.weight_array(owner, sample_weight, n)
        if ignored is not None:
            w = check.weight_array(owner, np.where(ignored, 0.0, 1.0 if w is None else w), n)
        groups = None if group is None else Groups(check.group_sizes(owner, group, n))
        return Batch(y, raw, w, groups, ignored)

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
        values = np.concatenate(self._map(batch, lambda piece, arguments: self._value(*arguments)))
        if batch.ignored is not None and len(values) == batch.n_rows:
            values[batch.ignored] = 0
        return values

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
        def block(piece: Piece, arguments: tuple[Any, ...]) -> Array:
            w = self._value_weights(batch, piece)
            values = kernel(*arguments).astype(np.float64, copy=False)
            # A row of weight 0 is absent, whatever its value.
            weighted = np.where(w > 0, values, 0.0) * w
            return np.array([weighted.sum(), w.sum(dtype=np.float64)])

        weighted, weight = total(self._map(batch, block))
        return float(min(weighted / weight, np.finfo(np.float64).max))
