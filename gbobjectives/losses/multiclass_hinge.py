"""The hinge of several classes."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from scipy.optimize import linprog

from gbobjectives._batch import Batch
from gbobjectives._numerics import Array, weighted_sum
from gbobjectives.curvature import Rule
from gbobjectives.losses._intercept import weights_of
from gbobjectives.losses.kinds import RowLoss
from gbobjectives.losses.multiclass import SoftmaxLoss

__all__ = ["CategoricalHingeLoss"]

# Scores over which the bound of a hinge, 1/(2 |f - kink|), is rounded off at the kink: a tenth
# of the margin of 1.
KINK_WIDTH = 0.1

# Evaluations of the mean loss in the search for its minimum, where it has kinks.
MAX_CUTS = 400


@dataclass(frozen=True)
class CategoricalHingeLoss(SoftmaxLoss):
    r"""Hinge of K classes, :math:`\max(0, 1 + \max_{j \ne y} f_j - f_y)`, of the raw scores.

    Estimates a decision: which class has the largest score; it is no probability, whatever the
    link. Domain: integer labels 0 to K-1 of shape (n,), or soft labels of shape (n, K) whose rows
    sum to 1: the mixture of a row of each class. Link: softmax, which keeps the order of the
    scores; n_outputs = K. Convex, with kinks. Units: the margin, 1. Gradient -1 for the label and
    1 for its largest rival where the value is above 0, Hessian 0.

    Parameters
    ----------
    n_classes : int
        K, at least 2.
    class_weight : mapping, sequence of K numbers, "balanced" or None
        Weight of each class; ``"balanced"`` is n / (K n_class), from the training labels.
    label_smoothing : float
        In [0, 1): t becomes t (1 - s) + s/K.
    ignore_index : float, optional
        A label whose rows are left out.

    Raises
    ------
    ValueError
        If a parameter or a label is out of range, or the raw prediction has not K columns.

    Notes
    -----
    Equal rivals share the gradient, a subgradient. If one score moves alone, a row is a plain
    hinge of slope 1 with its kink where `kinks` says, and 1/(2 d), d the distance to the kink, is
    the smallest majorizer of a hinge. ``safe`` and ``auto`` are twice that, as the scores of the
    label and of its rival move against each other in one round, with d no smaller than 0.1: within
    this width of a kink, where a hinge has no quadratic bound, a step may raise the loss, and
    hence they are ``heuristic``: up to 8 % of random leaves rise, by up to 4 % of their loss,
    nearly all of scores that lie closer together than that.

    Closed-form intercept: the commonest class at 1 if it has more than half of the weight, else
    0 for all.

    References
    ----------
    .. [1] Crammer and Singer, On the learnability and design of output codes for multiclass
       problems, Machine Learning 2002, doi:10.1023/A:1013637720281.

    Examples
    --------
    >>> import gbobjectives as gbo
    >>> gbo.CategoricalHingeLoss(n_classes=3).value([0, 1], [[2.0, 0.5, 0.0]] * 2)
    array([0. , 2.5])
    """

    estimates: ClassVar[str] = "a decision"
    formula: ClassVar[str] = "max(0, 1 + max_wrong f - f_y)"
    source: ClassVar[str] = "doi:10.1023/A:1013637720281"

    def _hinges(self, y: Array, f: Array) -> Iterator[tuple[Array, Array, Array, Array]]:
        """Hinges whose mixture a row is: class, weight, scores less that of the class, rival.

        The class's own score and rival are of no meaning and -inf; hard labels have one hinge.
        """
        rows, target = np.arange(len(f)), self._target(y, f.dtype)
        if y.ndim == 1 and self.label_smoothing == 0:
            classes = [y.astype(np.intp)]
        else:
            classes = [np.full(len(f), k) for k in range(self.n_classes)]
        for c in classes:
            # Differences first: of scores near 1e30 the margin of 1 would be lost.
            lead = f - f[rows, c][:, None]
            lead[rows, c] = -np.inf
            yield c, target[rows, c], lead, lead.max(axis=1)

    def _value(self, y: Array, f: Array) -> Array:
        value = np.zeros(len(f), dtype=f.dtype)
        for _, weight, _, rival in self._hinges(y, f):
            value += weight * np.maximum(rival + 1, 0)
        return value

    def _gradient(self, y: Array, f: Array) -> Array:
        rows, g = np.arange(len(f)), np.zeros_like(f)
        for c, weight, lead, rival in self._hinges(y, f):
            pull = weight * (rival > -1)
            g[rows, c] -= pull
            tied = (lead == rival[:, None]).astype(f.dtype)
            g += tied * (pull / tied.sum(axis=1))[:, None]
        return g

    def _hessian(self, y: Array, f: Array) -> Array:
        return np.zeros_like(f)

    def _distances(self, y: Array, f: Array) -> Iterator[tuple[Array, Array]]:
        """Of each hinge its weight, and score less kink of every output."""
        rows = np.arange(len(f))
        for c, weight, lead, rival in self._hinges(y, f):
            wrong = f.copy()
            wrong[rows, c] = -np.inf
            # The largest of the others: for the rival its own successor.
            second, first = np.partition(wrong, self.n_classes - 2, axis=1)[:, -2:].T
            others = np.where(wrong == first[:, None], second[:, None], first[:, None])
            # naive f - max(others, f_y - 1) loses the margin, or what scores near 1e2 differ by
            distance = np.minimum(f - others, lead + 1)
            distance[rows, c] = -rival - 1
            yield weight, distance

    def kinks(self, y_true: Array, raw_prediction: Array) -> tuple[Array, ...]:
        """Where a score that moves alone meets the margin, or overtakes the rival."""
        y, f = np.asarray(y_true), np.asarray(raw_prediction)
        return tuple(
            np.where(weight[:, None] > 0, f - distance, np.inf)
            for weight, distance in self._distances(y, f)
        )

    def _bound(self, y: Array, f: Array) -> Array:
        h = np.zeros_like(f)
        for weight, distance in self._distances(y, f):
            h += weight[:, None] / np.maximum(np.abs(distance), KINK_WIDTH)
        return h

    rules = dict.fromkeys(
        ("safe", "auto"),
        Rule(lambda loss, y, f: loss._bound(y, f), "heuristic", "1 / max(|f - kink|, 0.1)"),
    )

    def _intercept(self, batch: Batch, has_offset: bool) -> Any:
        if not self.resolved:
            return self._resolved_on(batch)._intercept(batch, has_offset)
        if has_offset:
            return _cutting_planes(self, batch)
        totals = weighted_sum(weights_of(batch), self._target(batch.y, np.float64))
        # Every other class pays 1 + d if one leads by d, and 1 if none does.
        score = np.zeros(self.n_classes)
        score[totals.argmax()] = float(totals.max() > totals.sum() / 2)
        return score


def _cutting_planes(loss: RowLoss, batch: Batch) -> Array:
    """Constants that minimise a convex loss with kinks, by Kelley's method.

    Every evaluation adds a plane below the mean loss; the lowest point of all planes is tried
    next, until the loss is no higher there than the planes.
    """
    f, w = batch.f.astype(np.float64), weights_of(batch)
    w = w / w.sum()
    y = batch.y.astype(np.float64)
    k = f.shape[1]
    # Further apart than all scores and a margin no constant needs to be.
    reach = float(np.ptp(f)) + 2
    bounds = [*[(-reach, reach)] * k, (None, None)]
    planes, heights = np.empty((0, k + 1)), np.empty(0)
    c, best, found = np.zeros(k), np.inf, np.zeros(k)
    for _ in range(MAX_CUTS):
        value = float(weighted_sum(w, loss._value(y, f + c)))
        slope = weighted_sum(w, loss._gradient(y, f + c))
        if value < best:
            best, found = value, c
        planes = np.vstack([planes, np.append(slope, -1.0)])
        heights = np.append(heights, slope @ c - value)
        lowest = linprog(np.append(np.zeros(k), 1.0), planes, heights, bounds=bounds)
        if lowest.x is None or lowest.fun is None or best - lowest.fun <= 1e-9 * best:
            break
        c = lowest.x[:k]
    return found
