"""Sums of losses, and penalties: a composition is a loss."""

from abc import abstractmethod
from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import reduce
from typing import Any, ClassVar, Self, TypeAlias

import numpy as np

from gbobjectives import _validation as check
from gbobjectives._batch import Batch
from gbobjectives._numerics import Array
from gbobjectives.curvature import Guarantee, Rule, absolute_kernel
from gbobjectives.links import Interval
from gbobjectives.losses._intercept import solve_intercept
from gbobjectives.losses.base import Loss
from gbobjectives.losses.binary import MarginLoss
from gbobjectives.losses.kinds import RowLoss

__all__ = ["RawPenalty", "SumLoss"]

Terms: TypeAlias = tuple[tuple[float, Loss], ...]

# Score over which the l1 penalty bends at 0, where abs(f) has no derivative.
L1_WIDTH = 1e-3


@dataclass(frozen=True)
class RawPenalty(RowLoss):
    r"""Penalty on the raw prediction, :math:`\lambda_2 f^2/2 + \lambda_1(\sqrt{f^2+w^2}-w)`.

    To be added to a loss; alone it draws every score to 0. Estimates 0, whatever the label.
    Domain: all reals. Link: that of the loss that it is added to. Convex. Units: those of that
    loss. Unlike ``reg_lambda``, which shrinks the steps of the trees, it shrinks their sum. With w
    = 0.001, s = 1/sqrt(f^2 + w^2), gradient l2 f + l1 f s, Hessian l2 + l1 w^2 s^3. The safe
    curvature l2 + l1 s is a majorizer: of the smoothed l1 that of a pseudo-Huber loss.

    Parameters
    ----------
    l2, l1 : float
        Strengths, at least 0 and not both 0.

    Raises
    ------
    ValueError
        If a strength is negative, or both are 0.

    References
    ----------
    .. [1] Hunter and Li, Variable selection using MM algorithms, Annals of Statistics 2005,
       doi:10.1214/009053605000000200.

    Examples
    --------
    >>> import gbobjectives as gbo
    >>> loss = gbo.LogLoss() + gbo.RawPenalty(l2=0.5)
    >>> loss.gradient([1.0], [2.0]) - gbo.LogLoss().gradient([1.0], [2.0])
    array([1.])
    """

    l2: float = 0.0
    l1: float = 0.0

    task: ClassVar[str] = "composition"
    estimates: ClassVar[str] = "0"
    formula: ClassVar[str] = "l2 f^2 / 2 + l1 |f|"
    source: ClassVar[str] = "doi:10.1214/009053605000000200"

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("l2", "l1"):
            strength = check.real_parameter(
                "RawPenalty", name, getattr(self, name), check.NON_NEGATIVE
            )
            object.__setattr__(self, name, strength)
        if self.l2 == self.l1 == 0:
            raise ValueError("RawPenalty: l2 or l1 must be positive; got 0 for both")

    def _value(self, y: Array, f: Array) -> Array:
        size = np.hypot(f, L1_WIDTH) - L1_WIDTH
        each = self.l2 * f * f / 2 + self.l1 * np.maximum(size, 0)
        return each if f.ndim == 1 else each.sum(axis=1)

    def _gradient(self, y: Array, f: Array) -> Array:
        gradient: Array = self.l2 * f + self.l1 * (f / np.hypot(f, L1_WIDTH))
        return gradient

    def _hessian(self, y: Array, f: Array) -> Array:
        size = np.hypot(f, L1_WIDTH)
        return self.l2 + self.l1 * (L1_WIDTH / size) ** 2 / size

    def _safe(self, y: Array, f: Array) -> Array:
        return self.l2 + self.l1 / np.hypot(f, L1_WIDTH)

    rules = {
        name: Rule(lambda loss, y, f: loss._safe(y, f), "majorizer", "l2 + l1 / |f|")
        for name in ("safe", "auto")
    }


class Additive(Loss):
    """Base of sums: of each part its coefficient, the loss, and what its kernels are called with.

    No dataclass itself: the parts are the subclass's parameters, or made of them.
    """

    @abstractmethod
    def _parts(self) -> Terms:
        """Coefficients and losses."""

    @abstractmethod
    def _each(self, *arguments: Any) -> Iterable[tuple[Any, Loss, tuple[Any, ...]]]:
        """Coefficient of a part's derivatives, the part, and the arguments of its kernels."""

    @property
    def _first(self) -> Loss:
        """A part that knows the labels."""
        return besides_penalties(self._parts())[0]

    @property
    def resolved(self) -> bool:
        """Whether every parameter of every part is a number."""
        return all(loss.resolved for _, loss in self._parts())

    def _label_statistics(self, batch: Batch) -> tuple[Any, ...]:
        return tuple(loss._label_statistics(batch) for _, loss in self._parts())

    def _resolved_parts(self, batch: Batch, statistics: Any) -> Terms:
        parts = zip(self._parts(), statistics, strict=True)
        return tuple(
            (a, loss if loss.resolved else loss._resolve(batch, found))
            for (a, loss), found in parts
        )

    def _gradient(self, *arguments: Any) -> Array:
        return total(a * loss._gradient(*block) for a, loss, block in self._each(*arguments))

    def _hessian(self, *arguments: Any) -> Array:
        return total(a * loss._hessian(*block) for a, loss, block in self._each(*arguments))

    def _intercept(self, batch: Batch, has_offset: bool) -> Any:
        # "auto" is taken where the first part's model begins.
        start = self._first._intercept(batch, has_offset)
        loss = self._resolved_on(replace(batch, f=batch.f + start))
        if self.n_outputs > 1 or self.link.name != "identity":
            return solve_intercept(loss, batch)
        x = batch.y.astype(np.float64) - batch.f
        return solve_intercept(loss, batch, low=min(float(x.min()), 0), high=max(x.max(), 0))


@dataclass(frozen=True)
class Composition(Additive):
    """Base of sums whose terms are given: facts that they share, and rules that all of them have.

    Parameters
    ----------
    terms : sequence of (coefficient, loss)
        Coefficients are positive.
    """

    terms: Terms

    #: What may be added up, in words and in classes.
    addable: ClassVar[tuple[str, tuple[type[Loss], ...]]]
    task: ClassVar[str] = "composition"
    estimates: ClassVar[str] = "a compromise"
    formula: ClassVar[str] = "sum of a_i L_i"
    source: ClassVar[str] = "doi:10.1080/10618600.2000.10474858"
    # Those of an instance are made from its terms, below.
    rules = dict.fromkeys(("safe", "auto"), Rule(absolute_kernel, "heuristic", "sum of h"))

    def __post_init__(self) -> None:
        super().__post_init__()
        owner = type(self).__name__
        terms = self._flat()
        own = besides_penalties(terms)
        for fact in ("n_outputs", "n_labels", "link"):
            found = [getattr(loss, fact) for loss in own]
            if any(x != found[0] for x in found):
                given = ", ".join(
                    f"{x!r} of {type(loss).__name__}" for x, loss in zip(found, own, strict=True)
                )
                raise ValueError(f"{owner}: all terms must have the same {fact}; got {given}")
        for parameter in ("ignore_index", "targets"):
            self._lift(parameter, own)
        bare = [replace(loss, ignore_index=None, targets=None) for _, loss in terms]
        terms = tuple((a, loss) for (a, _), loss in zip(terms, bare, strict=True))
        domains = (loss.y_domain for loss in own)
        facts = {
            "terms": terms,
            "link": own[0].link,
            "convex": all(loss.convex for loss in own),
            "redescending": any(loss.redescending for loss in own),
            "normalised": all(loss.normalised for loss in own),
            "metric_name": "+".join(loss.name for _, loss in terms),
            "y_domain": reduce(lambda x, other: _intersection(owner, x, other), domains),
            "n_classes": getattr(own[0], "n_classes", None),
            "rules": type(self).rules | _rules_of_sum(terms),
        }
        for fact, value in facts.items():
            object.__setattr__(self, fact, value)

    def _flat(self) -> Terms:
        """Checked terms; a sum within a sum is its terms."""
        owner = type(self).__name__
        if not isinstance(self.terms, tuple | list) or not self.terms:
            raise ValueError(
                f"{owner}: terms must be pairs (coefficient, loss); got {self.terms!r}"
            )
        flat: list[tuple[float, Loss]] = []
        for term in self.terms:
            if not isinstance(term, tuple | list) or len(term) != 2:
                raise ValueError(f"{owner}: terms must be pairs (coefficient, loss); got {term!r}")
            a = check.real_parameter(owner, "a coefficient", term[0], check.POSITIVE)
            loss = Loss._get(term[1])
            if not isinstance(loss, self.addable[1]):
                raise TypeError(
                    f"{owner}: losses of {self.addable[0]} can be added; got {loss!r}"
                    + (", which looks at several rows" if isinstance(loss, Loss) else "")
                )
            if isinstance(loss, Composition):
                flat += [
                    (a * b, replace(x, ignore_index=loss.ignore_index, targets=loss.targets))
                    for b, x in loss.terms
                ]
            else:
                flat.append((a, loss))
        return tuple(flat)

    def _lift(self, parameter: str, own: list[Loss]) -> None:
        """What says which label a row has is the same for every term: it becomes the sum's."""
        given = [x for x in (getattr(loss, parameter) for loss in (self, *own)) if x is not None]
        if any(x is not given[0] and x != given[0] for x in given):
            owner = type(self).__name__
            raise ValueError(f"{owner}: terms must have the same {parameter}; got {given!r}")
        if given:
            object.__setattr__(self, parameter, given[0])

    def __repr__(self) -> str:
        """As it is written: ``0.7 * HuberLoss() + 0.3 * LogCoshLoss()``."""
        if self.ignore_index is not None or self.targets is not None:
            return super().__repr__()
        return " + ".join(f"{a!r} * {loss!r}" for a, loss in self.terms)

    @property
    def n_outputs(self) -> int:
        """Number of raw predictions of a row."""
        return self._first.n_outputs

    @property
    def n_labels(self) -> int:
        """Number of labels of a row."""
        return self._first.n_labels

    def _parts(self) -> Terms:
        return self.terms

    def _labels(self, y_true: Any, n: int | None) -> Array:
        try:
            labels = [loss._labels(y_true, n) for loss in besides_penalties(self.terms)]
        except (ValueError, TypeError) as error:
            raise type(error)(f"{type(self).__name__}: {error}") from error
        return labels[0]

    def _resolve(self, batch: Batch, statistics: Any) -> Self:
        return replace(self, terms=self._resolved_parts(batch, statistics))

    @property
    def remembers(self) -> bool:
        """Whether a term does."""
        return any(loss.remembers for _, loss in self.terms)

    def _recalled(self, batch: Batch, memory: dict[str, Any]) -> Self:
        terms = [
            (a, loss._recalled(batch, memory.setdefault(str(i), {})))
            for i, (a, loss) in enumerate(self.terms)
        ]
        return replace(self, terms=tuple(terms))


@dataclass(frozen=True)
class SumLoss(Composition, RowLoss):
    r"""Weighted sum of losses, :math:`\sum_i a_i L_i`; written ``0.7 * first + 0.3 * second``.

    Estimates a compromise of what its terms estimate. Domain: the intersection of theirs. Link:
    theirs, which must be the same. Convex if all are. Units: those of the terms times their
    coefficients; the value of a residual loss is in squared units of y. Gradient sum of a_i L_i',
    Hessian sum of a_i L_i'', and so for every curvature; ``"auto"`` parameters are resolved term
    by term; the metric is the value.

    Parameters
    ----------
    terms : sequence of (coefficient, loss)
        Coefficients are positive, losses are of single rows with the same number of outputs.

    Raises
    ------
    ValueError
        If a coefficient is not positive, links, outputs or ignored labels differ, or no label
        lies in the domain of every term.
    TypeError
        If a term is not a loss of single rows.

    Notes
    -----
    The sum of majorizers is a majorizer. The sum of bounds that rest on the log-slope of a pull
    is ``no_overshoot`` once all pulls are multiplied by the largest slope bound among the terms,
    as they are for binary losses. Of any other mixture, a penalty beside such a loss included,
    nothing is proved: a pull that hardly fades can carry the step past where another grows, and
    the rule is called ``heuristic``. One term alone keeps its guarantee.

    References
    ----------
    .. [1] Lange, Hunter and Yang, Optimization transfer using surrogate objective functions,
       Journal of Computational and Graphical Statistics 2000,
       doi:10.1080/10618600.2000.10474858.

    Examples
    --------
    >>> import gbobjectives as gbo
    >>> loss = 0.7 * gbo.HuberLoss() + 0.3 * gbo.QuantileLoss(0.9)
    >>> loss.guarantee("safe")
    'majorizer'
    >>> gbo.get_loss(loss.spec()) == loss
    True
    """

    addable = ("single rows", (RowLoss,))

    def _each(self, y: Array, f: Array) -> Iterable[tuple[Any, Loss, tuple[Any, ...]]]:
        return ((a, loss, (y, f)) for a, loss in self.terms)

    def _value(self, y: Array, f: Array) -> Array:
        return total(a * loss._value(y, f) for a, loss in self.terms)


def besides_penalties(terms: Terms) -> list[Loss]:
    """The losses that know links and labels; penalties where there is nothing else."""
    losses = [loss for _, loss in terms]
    return [loss for loss in losses if not isinstance(loss, RawPenalty)] or losses


def total(parts: Iterable[Array]) -> Array:
    return reduce(np.add, parts)


def _intersection(owner: str, one: Interval, other: Interval) -> Interval:
    """Where both contain the label; an error if that is nowhere."""
    low, high = max(one.low, other.low), min(one.high, other.high)
    both = [all(x.includes(end) for x in (one, other)) for end in (low, high)]
    if low > high or (low == high and not all(both)):
        raise ValueError(f"{owner}: no label lies in the domains of all terms: {one} and {other}")
    # The end of an unbounded interval is no label, and inclusive by convention.
    return Interval(low, high, both[0] or low == -np.inf, both[1] or high == np.inf)


def _rules_of_sum(terms: Terms) -> dict[str, Rule]:
    """Rules that every term has; a penalty has one that goes with each."""
    named = [set(loss.rules) for loss in besides_penalties(terms)]
    # The absolute value of a sum is no sum of absolute values.
    names = set.intersection(*named) - {"exact", "absolute"}
    return {name: _rule_of_sum(name, terms) for name in sorted(names)}


def _rule_of_sum(name: str, terms: Terms) -> Rule:
    # A penalty has no rule of every name.
    rules = [loss.rules[name if name in loss.rules else "safe"] for _, loss in terms]
    factors, guarantee = _combined([loss for _, loss in terms], rules)
    coefficients = [a * factor for (a, _), factor in zip(terms, factors, strict=True)]

    def kernel(loss: Any, *block: Any) -> Array:
        parts = zip(factors, rules, loss._each(*block), strict=True)
        return total(c * a * rule.kernel(term, *rows) for c, rule, (a, term, rows) in parts)

    formula = " + ".join(f"{c:g} ({r.formula})" for c, r in zip(coefficients, rules, strict=True))
    return Rule(kernel, guarantee, formula, max(rule.relative_floor for rule in rules))


def _combined(losses: list[Loss], rules: list[Rule]) -> tuple[list[float], Guarantee]:
    """Factor of each term's curvature in that of the sum, and what is proved of the sum."""
    ones, found = [1.0] * len(rules), {rule.guarantee for rule in rules}
    if len(rules) == 1 or found == {"majorizer"}:
        return ones, rules[0].guarantee
    if found == {"no_overshoot"} and all(isinstance(loss, MarginLoss) for loss in losses):
        slopes = [loss._slope_bound() for loss in losses if isinstance(loss, MarginLoss)]
        return [max(slopes) / slope for slope in slopes], "no_overshoot"
    return ones, "none" if "none" in found else "heuristic"
