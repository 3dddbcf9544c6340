"""Losses of overlap between predictions and labels: sums over the batch come first."""

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from gbobjectives import _validation as check
from gbobjectives._batch import Batch
from gbobjectives._numerics import Array, expit
from gbobjectives.curvature import Rule
from gbobjectives.links import LOGIT, Interval, Link
from gbobjectives.losses._intercept import log_odds, weighted_mean
from gbobjectives.losses.kinds import CoupledLoss

__all__ = ["DiceLoss"]


@dataclass(frozen=True)
class DiceLoss(CoupledLoss):
    r"""Dice loss, :math:`1 - (2\sum y p + s) / (\sum p + \sum y + s)`: 1 less a soft F1.

    Over the whole batch, or over each group where groups are given; p = 1/(1+e^-f). Estimates a
    labelling of high F1. Domain: [0, 1]. Link: logit. Not convex. Units: value in [0, 1], f in
    log-odds. Badly wrong rows lose their gradient, as p(1-p) does.

    Parameters
    ----------
    smooth : float
        s, positive: keeps the ratio defined where there are no positives.

    Raises
    ------
    ValueError
        If smooth is not positive, or a label is out of range.

    Notes
    -----
    With N the numerator, M the denominator and rho = N/M now, the loss does not rise if
    rho M - N does not (Dinkelbach); that is the sum over rows of (rho - 2y) p, a row loss whose
    gradient keeps its sign and has a log-slope 1 - 2p in [-1, 1]. So ``safe`` and ``auto``,
    h = abs(g), are ``descent``: every leaf, and all leaves of a tree at once, stop short of the
    minimum of that sum. Over several groups whose rows share leaves it is tested, not proved. The
    exact diagonal is negative for half of the rows.

    The best constant is infinite (call every row positive), where there is no gradient; the
    intercept is the logit of the weighted mean label instead.

    References
    ----------
    .. [1] Milletari, Navab and Ahmadi, V-Net, 2016, arXiv:1606.04797.
    .. [2] Dinkelbach, On nonlinear fractional programming, Management Science 1967,
       doi:10.1287/mnsc.13.7.492.

    Examples
    --------
    >>> import gbobjectives as gbo
    >>> gbo.DiceLoss()([1.0, 0.0, 1.0], [9.0, -9.0, 9.0]) < 0.001
    True
    """

    smooth: float = 1.0

    aliases: ClassVar[tuple[str, ...]] = ("f1",)
    task: ClassVar[str] = "binary"
    estimates: ClassVar[str] = "high-F1 labelling"
    formula: ClassVar[str] = "1 - (2 sum y p + s) / (sum p + sum y + s)"
    source: ClassVar[str] = "arXiv:1606.04797"
    y_domain: ClassVar[Interval] = Interval(0.0, 1.0)
    link: ClassVar[Link] = LOGIT
    convex: ClassVar[bool] = False
    redescending: ClassVar[bool] = True

    def __post_init__(self) -> None:
        smooth = check.real_parameter("DiceLoss", "smooth", self.smooth, check.POSITIVE)
        object.__setattr__(self, "smooth", smooth)

    def _terms(self, y: Array, f: Array, w: Array) -> tuple[Array, ...]:
        p = expit(f)
        return w * y * p, w * p, w * y

    def _ratio(self, sums: tuple[Array, ...]) -> tuple[Array, Array]:
        """The ratio rho = N/M and its denominator."""
        _, both, predicted, true = sums
        denominator = predicted + true + self.smooth
        return (2 * both + self.smooth) / denominator, denominator

    def _value(self, *sums: Array) -> Array:
        return 1 - self._ratio(sums)[0]

    def _gradient(self, y: Array, f: Array, w: Array, sums: tuple[Array, ...]) -> Array:
        rho, denominator = self._ratio(sums)
        gradient: Array = (rho - 2 * y) / denominator * (expit(f) * expit(-f))
        return gradient

    def _hessian(self, y: Array, f: Array, w: Array, sums: tuple[Array, ...]) -> Array:
        rho, denominator = self._ratio(sums)
        p, q = expit(f), expit(-f)
        slope = (rho - 2 * y) / denominator
        hessian: Array = slope * p * q * (q - p) - 2 * w * slope / denominator * (p * q) ** 2
        return hessian

    def _safe(self, *arguments: Any) -> Array:
        return np.abs(self._gradient(*arguments))

    def _gradient_curvature(self, rule: Rule, *arguments: Any) -> tuple[Array, Array]:
        g = self._gradient(*arguments)
        return g, np.abs(g) if rule.guarantee == "descent" else rule.kernel(self, *arguments)

    rules = {
        name: Rule(lambda loss, *block: loss._safe(*block), "descent", "|g|")
        for name in ("safe", "auto")
    }

    def _intercept(self, batch: Batch, has_offset: bool) -> Any:
        share = weighted_mean(batch, batch.y)
        level = weighted_mean(batch, expit(batch.f))
        return log_odds(share, 1 - share) - (log_odds(level, 1 - level) if has_offset else 0.0)
