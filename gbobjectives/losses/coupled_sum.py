"""Sums of losses of which some see the whole batch: ``FocalLoss() + DiceLoss()``."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Self

import numpy as np

from gbobjectives import _validation as check
from gbobjectives._batch import Batch, Groups
from gbobjectives._numerics import Array
from gbobjectives.curvature import Rule
from gbobjectives.links import LOGIT, Interval, Link
from gbobjectives.losses.base import Loss
from gbobjectives.losses.binary import FocalLoss
from gbobjectives.losses.composition import Additive, Composition, SumLoss, Terms, total
from gbobjectives.losses.coupled import DiceLoss
from gbobjectives.losses.kinds import CoupledLoss, RowLoss

__all__ = ["CoupledSumLoss", "FocalDiceLoss"]


class CoupledSum(Additive, CoupledLoss):
    """Base of sums of losses of rows and of coupled ones: a coupled loss.

    The mean of a loss of rows is a sum over rows over that of the weights: one sum more. The sums
    are the weights, those of the losses of rows, and those of each coupled loss, in the order of
    the parts.
    """

    def _terms(self, y: Array, f: Array, w: Array) -> tuple[Array, ...]:
        rows = [loss for _, loss in self._parts() if isinstance(loss, RowLoss)]
        # A row of weight 0 is absent, whatever its value.
        return tuple(w * np.where(w > 0, loss._value(y, f), 0) for loss in rows)

    def _summary(self, y: Array, f: Array, w: Array, groups: Groups) -> Array:
        coupled = [loss for _, loss in self._parts() if isinstance(loss, CoupledLoss)]
        of_rows = super()._summary(y, f, w, groups)
        return np.concatenate([of_rows, *(x._summary(y, f, w, groups)[1:] for x in coupled)])

    def _split(self, sums: Any) -> Iterable[tuple[float, Loss, Any]]:
        """Coefficient, loss and sums of each part; the sum of weights comes first in each."""
        losses = [loss for _, loss in self._parts()]
        row_at, at = 1, 1 + sum(isinstance(loss, RowLoss) for loss in losses)
        for a, loss in self._parts():
            if isinstance(loss, CoupledLoss):
                begin, at = at, at + _n_sums(loss)
                yield a, loss, (sums[0], *sums[begin:at])
            else:
                yield a, loss, (sums[0], sums[row_at])
                row_at += 1

    def _value(self, *sums: Array) -> Array:
        return total(
            a * (loss._value(*own) if isinstance(loss, CoupledLoss) else own[1] / _weight(own[0]))
            for a, loss, own in self._split(sums)
        )

    def _each(
        self, y: Array, f: Array, w: Array, sums: tuple[Array, ...]
    ) -> Iterable[tuple[Any, Loss, tuple[Any, ...]]]:
        for a, loss, own in self._split(sums):
            if isinstance(loss, CoupledLoss):
                yield a, loss, (y, f, w, own)
            else:
                yield a / _weight(sums[0]), loss, (y, f)

    def _curvature(self, name: str, *block: Any) -> Array:
        return total(a * loss.rule(name).kernel(loss, *x) for a, loss, x in self._each(*block))


def _weight(total_weight: Array) -> Array:
    """Sum of weights; 1 for a group without any."""
    weight: Array = np.where(total_weight > 0, total_weight, 1)
    return weight


def _n_sums(loss: CoupledLoss) -> int:
    """Number of sums besides that of the weights."""
    one = np.ones(1)
    with np.errstate(all="ignore"):
        return len(loss._summary(0 * one, 0 * one, one, Groups(np.array([1])))) - 1


@dataclass(frozen=True)
class CoupledSumLoss(Composition, CoupledSum):
    r"""Weighted sum of losses, some of whole batches, :math:`\sum_i a_i L_i`.

    Written ``FocalLoss() + 0.5 * DiceLoss()``; of losses of single rows alone it would be
    `SumLoss`. The value of a loss of rows is its weighted mean over the batch, or over each group
    where groups are given. Estimates a compromise of what its terms estimate. Domain: the
    intersection of theirs. Link: theirs, which must be the same. Convex if all are. Units: those
    of the terms times their coefficients. Gradient sum of a_i L_i', Hessian sum of a_i L_i'', and
    so for every curvature; ``"auto"`` parameters are resolved term by term; the metric is the
    value.

    Parameters
    ----------
    terms : sequence of (coefficient, loss)
        Coefficients are positive, losses are of single rows or of sums over the batch.

    Raises
    ------
    ValueError
        If a coefficient is not positive, links, outputs or ignored labels differ, or no label
        lies in the domain of every term.
    TypeError
        If a term is a loss of groups that has no sums over rows, such as one of ranking.

    Notes
    -----
    The sum of majorizers is a majorizer. Otherwise the rules are ``heuristic``: what is proved of
    an overlap, ``descent``, is proved by way of a sum that falls whenever the overlap alone
    rises, which says nothing of what it weighs beside other terms. One term alone keeps its
    guarantee. The intercept is the best constant between -15 and 15.

    References
    ----------
    .. [1] Lange, Hunter and Yang, Optimization transfer using surrogate objective functions,
       Journal of Computational and Graphical Statistics 2000,
       doi:10.1080/10618600.2000.10474858.

    Examples
    --------
    >>> import gbobjectives as gbo
    >>> loss = gbo.LogLoss() + 0.5 * gbo.DiceLoss()
    >>> y, f = [1.0, 0.0], [0.5, 0.5]
    >>> abs(loss(y, f) - gbo.LogLoss()(y, f) - 0.5 * gbo.DiceLoss()(y, f)) < 1e-12
    True
    >>> gbo.get_loss(loss.spec()) == loss
    True
    """

    addable = ("single rows, and of sums over the batch,", (RowLoss, CoupledLoss))


@dataclass(frozen=True)
class FocalDiceLoss(CoupledSum):
    r"""Focal loss plus a Dice loss, of the same predictions.

    The weighted mean of `FocalLoss` plus dice_weight times `DiceLoss`, over the whole batch, or
    over each group where groups are given. Estimates a compromise of a probability, drawn to 1/2,
    and a labelling of high F1: the first keeps the gradient of badly wrong rows, the second
    balances the classes. Domain: [0, 1]. Link: logit. Not convex. Units: nats; f in log-odds. With
    F the focal and D the Dice loss, gradient F' + dice_weight D', Hessian F'' + dice_weight D''.

    Parameters
    ----------
    gamma, alpha : float
        Of `FocalLoss`.
    smooth : float
        Of `DiceLoss`.
    dice_weight : float
        Positive.

    Raises
    ------
    ValueError
        If a parameter or a label is out of range.

    Notes
    -----
    The same as ``FocalLoss(gamma, alpha) + dice_weight * DiceLoss(smooth)``. ``safe`` and
    ``auto`` are the sums of theirs, and ``heuristic``: see `CoupledSumLoss`.

    References
    ----------
    .. [1] Zhu et al., AnatomyNet: Deep learning for fast and fully automated whole-volume
       segmentation of head and neck anatomy, Medical Physics 2019, doi:10.1002/mp.13300.

    Examples
    --------
    >>> import gbobjectives as gbo
    >>> y, f = [1.0, 0.0, 1.0], [0.3, -0.2, 1.0]
    >>> abs(gbo.FocalDiceLoss()(y, f) - (gbo.FocalLoss() + gbo.DiceLoss())(y, f)) < 1e-12
    True
    """

    gamma: float = 2.0
    alpha: Any = None
    smooth: float = 1.0
    dice_weight: float = 1.0

    task: ClassVar[str] = "binary"
    estimates: ClassVar[str] = "a compromise"
    formula: ClassVar[str] = "focal + dice_weight dice"
    source: ClassVar[str] = "doi:10.1002/mp.13300"
    y_domain: ClassVar[Interval] = Interval(0.0, 1.0)
    link: ClassVar[Link] = LOGIT
    convex: ClassVar[bool] = False
    redescending: ClassVar[bool] = True

    rules = {
        "safe": Rule(lambda loss, *x: loss._curvature("safe", *x), "heuristic", "sum of safe"),
        "auto": Rule(lambda loss, *x: loss._curvature("auto", *x), "heuristic", "sum of auto"),
    }

    def __post_init__(self) -> None:
        super().__post_init__()
        owner = type(self).__name__
        for name, allowed in (
            ("gamma", check.NON_NEGATIVE),
            ("smooth", check.POSITIVE),
            ("dice_weight", check.POSITIVE),
        ):
            number = check.real_parameter(owner, name, getattr(self, name), allowed)
            object.__setattr__(self, name, number)
        object.__setattr__(self, "alpha", FocalLoss(alpha=self.alpha).alpha)

    def _parts(self) -> Terms:
        focal, dice = FocalLoss(self.gamma, self.alpha), DiceLoss(self.smooth)
        return (1.0, focal), (self.dice_weight, dice)

    def _resolve(self, batch: Batch, statistics: Any) -> Self:
        (_, focal), _ = self._resolved_parts(batch, statistics)
        alpha: Any = {"alpha": focal.alpha}  # type: ignore[attr-defined]
        return replace(self, **alpha)


def compose(terms: Terms) -> Loss:
    """What ``+`` and ``*`` make."""
    coupled = any(isinstance(loss, CoupledLoss) for _, loss in terms)
    return CoupledSumLoss(terms) if coupled else SumLoss(terms)
