"""Losses of several labels a row."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Self

import numpy as np

from gbobjectives import _validation as check
from gbobjectives._batch import Batch
from gbobjectives._numerics import Array
from gbobjectives.curvature import Rule, absolute_kernel, weakest
from gbobjectives.links import Interval, Link
from gbobjectives.losses._intercept import solve_intercept, weights_of
from gbobjectives.losses.base import Loss
from gbobjectives.losses.kinds import RowLoss
from gbobjectives.losses.multiclass import sum_of_others
from gbobjectives.losses.ordinal import OrdinalLogitLoss

__all__ = ["CosineSimilarityLoss", "MultiOutputLoss", "OrdinalLogitLoss"]

# Length of a score below which its direction is not told apart from that of 0.
SMALLEST_LENGTH = 1e-6


class ColumnLinks(Link):
    """A link for each output; equal if these are."""

    def __init__(self, links: Sequence[Link]) -> None:
        def each(function: str) -> Callable[[Array], Array]:
            def apply(x: Array) -> Array:
                columns = [getattr(a, function)(x[..., k]) for k, a in enumerate(links)]
                return np.stack(columns, axis=-1)

            return apply

        super().__init__(
            "+".join(a.name for a in links),
            each("link"),
            each("inverse"),
            each("inverse_derivative"),
            _hull([a.range for a in links]),
        )
        object.__setattr__(self, "links", tuple(links))

    links: tuple[Link, ...]

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ColumnLinks) and self.links == other.links

    def __hash__(self) -> int:
        return hash(self.links)

    def __reduce__(self) -> Any:
        return ColumnLinks, (self.links,)


def _hull(intervals: Sequence[Interval]) -> Interval:
    low, high = min(x.low for x in intervals), max(x.high for x in intervals)
    return Interval(
        low,
        high,
        any(x.low == low and x.low_inclusive for x in intervals),
        any(x.high == high and x.high_inclusive for x in intervals),
    )


def _intersection(intervals: Sequence[Interval]) -> Interval:
    """Where all contain the label; all reals where that is nowhere."""
    low, high = max(x.low for x in intervals), min(x.high for x in intervals)
    ends = [all(x.includes(end) for x in intervals) for end in (low, high)]
    both = Interval(low, high, ends[0] or low == -np.inf, ends[1] or high == np.inf)
    return both if low < high or all(ends) else Interval()


@dataclass(frozen=True)
class MultiOutputLoss(RowLoss):
    r"""A loss for each output, :math:`\sum_k L_k(y_k, f_k)`: several labels a row.

    Estimates of every label what its own loss does. Domain: labels of shape (n, K), each column in
    the domain of its loss. Link: that of the losses, each for its own output; n_outputs = K.
    Convex if all are. Units: those of the losses, whose values add up: scale the labels, or the
    losses weigh differently in the value, although no output sees another. Gradient L_k'(y_k,
    f_k), Hessian's diagonal L_k''(y_k, f_k).

    Parameters
    ----------
    losses : sequence of Loss
        Losses of single rows with one output and one label; ``"auto"`` parameters are resolved
        column by column.

    Raises
    ------
    TypeError, ValueError
        If there are no losses, one is not of single rows with one output, or one has an
        `ignore_index` of its own; if a column has a label outside the domain of its loss.

    Notes
    -----
    A curvature is offered if every loss has one of that name; its guarantee is the weakest
    among them, and it holds for the trees of all outputs at once. ``ignore_index`` is of rows with
    one label, and refused; rows are left out by the weight 0. LightGBM carries one label a row: see
    `bind`.

    References
    ----------
    .. [1] Borchani et al., A survey on multi-output regression, WIREs Data Mining and Knowledge
       Discovery 2015, doi:10.1002/widm.1157.

    Examples
    --------
    >>> import gbobjectives as gbo
    >>> loss = gbo.MultiOutputLoss(["squared_error", "log"])
    >>> loss.gradient([[3.0, 1.0]], [[1.0, 0.0]])
    array([[-2. , -0.5]])
    >>> loss.predict([[1.0, 0.0]])
    array([[1. , 0.5]])
    """

    losses: tuple[RowLoss, ...]

    task: ClassVar[str] = "several labels"
    estimates: ClassVar[str] = "what each loss does"
    formula: ClassVar[str] = "sum of L_k(y_k, f_k)"
    source: ClassVar[str] = "doi:10.1002/widm.1157"
    # Those of an instance are made from its losses, below.
    rules = dict.fromkeys(("safe", "auto"), Rule(absolute_kernel, "heuristic", "those of L_k"))

    def __post_init__(self) -> None:
        super().__post_init__()
        owner, given = "MultiOutputLoss", self.losses
        if not isinstance(given, tuple | list) or len(given) < 2:
            raise ValueError(f"{owner}: losses must be a sequence of at least 2; got {given!r}")
        losses: list[RowLoss] = []
        for loss in map(Loss._get, given):
            if not isinstance(loss, RowLoss) or loss.n_outputs != 1 or loss.n_labels != 1:
                raise TypeError(
                    f"{owner}: losses must be of single rows with one output; got {loss!r}"
                )
            if loss.ignore_index is not None or loss.targets is not None:
                raise ValueError(f"{owner}: a loss of one output has no rows to itself: {loss!r}")
            losses.append(loss)
        if self.ignore_index is not None:
            raise ValueError(
                f"{owner}: ignore_index is of rows with one label; got {self.ignore_index!r}; "
                "give rows the weight 0"
            )
        links = [loss.link for loss in losses]
        names = set.intersection(*(set(loss.rules) for loss in losses))
        facts = {
            "losses": tuple(losses),
            "link": links[0] if all(x == links[0] for x in links) else ColumnLinks(links),
            "convex": all(loss.convex for loss in losses),
            "redescending": any(loss.redescending for loss in losses),
            "normalised": all(loss.normalised for loss in losses),
            "y_domain": _intersection([loss.y_domain for loss in losses]),
            "rules": {name: _rule_of_columns(name, losses) for name in sorted(names)},
        }
        for fact, value in facts.items():
            object.__setattr__(self, fact, value)

    @property
    def n_outputs(self) -> int:
        """Number of losses."""
        return len(self.losses)

    @property
    def n_labels(self) -> int:
        """Number of losses."""
        return len(self.losses)

    @property
    def resolved(self) -> bool:
        """Whether every parameter of every loss is a number."""
        return all(loss.resolved for loss in self.losses)

    def _labels(self, y_true: Any, n: int | None) -> Array:
        owner = type(self).__name__
        y = check.label_matrix(owner, y_true, n, self.n_labels, Interval())
        for k, loss in enumerate(self.losses):
            try:
                loss._labels(y[:, k], n)
            except (ValueError, TypeError) as error:
                raise type(error)(f"{owner}: column {k}: {error}") from error
        return y

    def _columns(self, batch: Batch) -> Iterator[tuple[RowLoss, Batch]]:
        for k, loss in enumerate(self.losses):
            yield loss, Batch(batch.y[:, k], batch.f[:, k], batch.w)

    def _label_statistics(self, batch: Batch) -> tuple[Any, ...]:
        return tuple(loss._label_statistics(column) for loss, column in self._columns(batch))

    def _resolve(self, batch: Batch, statistics: Any) -> Self:
        pairs = zip(self._columns(batch), statistics, strict=True)
        losses = [
            loss if loss.resolved else loss._resolve(column, found)
            for (loss, column), found in pairs
        ]
        return replace(self, losses=tuple(losses))

    def _each(self, kernel: Callable[[int, Array, Array], Array], y: Array, f: Array) -> Array:
        """A kernel of every loss, called with its number, on its own column."""
        return np.stack([kernel(k, y[:, k], f[:, k]) for k in range(self.n_outputs)], axis=1)

    def _value(self, y: Array, f: Array) -> Array:
        value: Array = self._each(lambda k, *a: self.losses[k]._value(*a), y, f).sum(axis=1)
        return value

    def _score(self, *arguments: Any) -> Array:
        score: Array = self._each(lambda k, *a: self.losses[k]._score(*a), *arguments).sum(axis=1)
        return score

    def _gradient(self, y: Array, f: Array) -> Array:
        return self._each(lambda k, *a: self.losses[k]._gradient(*a), y, f)

    def _hessian(self, y: Array, f: Array) -> Array:
        return self._each(lambda k, *a: self.losses[k]._hessian(*a), y, f)

    def _gradient_curvature(self, rule: Rule, *arguments: Any) -> tuple[Array, Array]:
        for name, own in self.rules.items():
            if own is rule:
                y, f = arguments
                pairs = [
                    loss._gradient_curvature(loss.rules[name], y[:, k], f[:, k])
                    for k, loss in enumerate(self.losses)
                ]
                return np.stack([g for g, _ in pairs], axis=1), np.stack(
                    [h for _, h in pairs], axis=1
                )
        return super()._gradient_curvature(rule, *arguments)

    def kinks(self, y_true: Array, raw_prediction: Array) -> tuple[Array, ...]:
        """Those of each loss, in its own column."""
        y, f = np.asarray(y_true), np.asarray(raw_prediction)
        found = []
        for k, loss in enumerate(self.losses):
            for kink in loss.kinks(y[:, k], f[:, k]):
                column = np.full(f.shape, np.inf)
                column[:, k] = kink
                found.append(column)
        return tuple(found)

    def _intercept(self, batch: Batch, has_offset: bool) -> Any:
        found = [loss._intercept(column, has_offset) for loss, column in self._columns(batch)]
        return [float(np.squeeze(c)) for c in found]


def _rule_of_columns(name: str, losses: Sequence[RowLoss]) -> Rule:
    """The rule of that name of every loss, each in its own column."""

    def kernel(loss: Any, y: Array, f: Array) -> Array:
        result: Array = loss._each(
            lambda k, *a: loss.losses[k].rules[name].kernel(loss.losses[k], *a), y, f
        )
        return result

    rules = [loss.rules[name] for loss in losses]
    return Rule(
        kernel,
        weakest(rule.guarantee for rule in rules),
        ", ".join(dict.fromkeys(rule.formula for rule in rules)),
        max(rule.relative_floor for rule in rules),
    )


@dataclass(frozen=True)
class CosineSimilarityLoss(RowLoss):
    r"""Cosine similarity, negated: :math:`-\cos(y, f)` over the outputs of a row.

    Estimates a direction: that of the mean of the labels' directions; lengths count for nothing.
    Domain: labels of shape (n, K), all reals; a row of zeros has no direction, the value 0 and no
    gradient. Link: identity; n_outputs = K. Not convex. Units: none; the value is in [-1, 1]. With
    the unit vector a along y, :math:`s = a \cdot f` and :math:`n^2 = |f|^2 + \varepsilon^2`, value
    -s/n, gradient (s f/n^2 - a)/n, Hessian's diagonal (2 a_k f_k + s - 3 s f_k^2/n^2)/n^3;
    epsilon, 1e-6, gives a score of 0 a gradient.

    Parameters
    ----------
    n_outputs : int
        K, at least 2.

    Raises
    ------
    ValueError
        If K is less than 2, or labels have not K columns.

    Notes
    -----
    ``safe`` and ``auto`` are a ``majorizer`` for the tree of each output by itself. Along f_k, with
    :math:`d^2 = \varepsilon^2 + \sum_{j \ne k} f_j^2` and f_k = d tan u, the value is
    :math:`-R \cos(u - u_0)`, :math:`R^2 = a_k^2 + (\sum_{j \ne k} a_j f_j)^2 / d^2 \le 1`, and the
    size of its second derivative is at most :math:`R \cos^3 u \sqrt{1 + 3 \sin^2 u} / d^2 \le
    R / d^2`, on the whole line: this is the curvature. For all K trees at once it is tested, not
    proved. The loss cares for no length: ``reg_lambda`` and the learning rate act on scores that
    start at the length 1.

    Intercept: the mean of the labels' directions, scaled to length 1.

    References
    ----------
    .. [1] Barz and Denzler, Deep learning on small datasets without pre-training using cosine
       loss, 2019, arXiv:1901.09054.

    Examples
    --------
    >>> import gbobjectives as gbo
    >>> loss = gbo.CosineSimilarityLoss(n_outputs=2)
    >>> loss.value([[3.0, 4.0], [1.0, 0.0]], [[6.0, 8.0], [0.0, 5.0]]).round(6)
    array([-1., -0.])
    """

    n_outputs: int = 2

    aliases: ClassVar[tuple[str, ...]] = ("cosine_proximity",)
    task: ClassVar[str] = "several labels"
    estimates: ClassVar[str] = "direction"
    formula: ClassVar[str] = "-cos(y, f)"
    source: ClassVar[str] = "arXiv:1901.09054"
    convex: ClassVar[bool] = False
    redescending: ClassVar[bool] = True

    def __post_init__(self) -> None:
        super().__post_init__()
        k = check.count_parameter("CosineSimilarityLoss", "n_outputs", self.n_outputs, 2)
        object.__setattr__(self, "n_outputs", k)

    @property
    def n_labels(self) -> int:
        """Number of outputs."""
        return self.n_outputs

    def _labels(self, y_true: Any, n: int | None) -> Array:
        return check.label_matrix(type(self).__name__, y_true, n, self.n_labels, self.y_domain)

    def _parts(self, y: Array, f: Array) -> tuple[Array, Array, Array, Array]:
        """Unit labels, scores, their lengths, and unit scores.

        In float64: squares of scores up to 1e30 overflow in float32, and that of epsilon
        underflows beside them.
        """
        f = f.astype(np.float64, copy=False)
        length = np.sqrt((f * f).sum(axis=1, keepdims=True) + SMALLEST_LENGTH**2)
        return _directions(y), f, length, f / length

    def _value(self, y: Array, f: Array) -> Array:
        a, _, _, u = self._parts(y, f)
        value: Array = -(a * u).sum(axis=1)
        return value.astype(f.dtype)

    def _gradient(self, y: Array, f: Array) -> Array:
        a, _, n, u = self._parts(y, f)
        cosine = (a * u).sum(axis=1, keepdims=True)
        gradient: Array = (cosine * u - a) / n
        return gradient.astype(f.dtype)

    def _hessian(self, y: Array, f: Array) -> Array:
        a, _, n, u = self._parts(y, f)
        cosine = (a * u).sum(axis=1, keepdims=True)
        h: Array = (2 * a * u + cosine * (1 - 3 * u * u)) / n**2
        return h.astype(f.dtype)

    def _bound(self, y: Array, f: Array) -> Array:
        a, wide, _, _ = self._parts(y, f)
        # naive |f|^2 - f_k^2 cancels
        d2 = sum_of_others(wide * wide) + SMALLEST_LENGTH**2
        h: Array = np.hypot(a, sum_of_others(a * wide) / np.sqrt(d2)) / d2
        return h.astype(f.dtype)

    rules = dict.fromkeys(
        ("safe", "auto"),
        Rule(lambda loss, y, f: loss._bound(y, f), "majorizer", "R / (|f|^2 - f_k^2)"),
    )

    def _intercept(self, batch: Batch, has_offset: bool) -> Any:
        mean = np.average(_directions(batch.y), axis=0, weights=weights_of(batch))
        length = np.linalg.norm(mean)
        # Labels that cancel have no mean direction: any is as good.
        start = mean / length if length > 0 else np.eye(self.n_outputs)[0]
        if not has_offset:
            return start
        # From a constant as long as the offsets.
        start = start * max(float(np.sqrt(np.mean(batch.f.astype(np.float64) ** 2))), 1e-3)
        return start + solve_intercept(self, replace(batch, f=batch.f + start))


def _directions(y: Array) -> Array:
    """Unit vectors along the rows, in float64; zeros stay."""
    y = y.astype(np.float64, copy=False)
    # Squares of the largest labels would overflow.
    largest = np.abs(y).max(axis=1, keepdims=True)
    scaled = y / np.where(largest > 0, largest, 1)
    length = np.sqrt((scaled * scaled).sum(axis=1, keepdims=True))
    direction: Array = scaled / np.maximum(length, 1)
    return direction
