"""Losses of overlap between predictions and labels: sums over the batch come first."""

from abc import abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from gbobjectives import _validation as check
from gbobjectives._batch import Batch
from gbobjectives._numerics import Array, expit, expit_both
from gbobjectives.curvature import Rule
from gbobjectives.links import LOGIT, Interval, Link
from gbobjectives.losses._intercept import log_odds, weighted_mean
from gbobjectives.losses.kinds import CoupledLoss

__all__ = ["DiceLoss", "SelfAdjustingDiceLoss", "TverskyLoss"]

DENOMINATORS = ("sum", "squares")

# The solution of x log x = 1, so that e^(1/x) = x: see `SelfAdjustingDiceLoss`.
ROOT = 1.7632228343518968


class OverlapLoss(CoupledLoss):
    r"""Base of losses that are 1 less an overlap: a sum of misses B over a sum of sizes M.

    A subclass, which has a parameter ``smooth`` (added to M), supplies ``_misses(y, u, v)``, what
    a row adds to B and to M, of its share u in [0, 1] and v = 1 - u; and ``_slopes(y, u, v,
    lack)``, with lack = B/M now: the derivative by u of the row's B - lack M, that of its M, and
    the second derivative of B - lack M. The loss B/M does not rise if B - lack M does not
    (Dinkelbach): a row loss, whose curvature is ``_bound``. No dataclass itself: the place of
    smooth among the parameters is the subclass's.
    """

    smooth: float

    task: ClassVar[str] = "binary"
    estimates: ClassVar[str] = "high-F1 labelling"
    y_domain: ClassVar[Interval] = Interval(0.0, 1.0)
    link: ClassVar[Link] = LOGIT
    convex: ClassVar[bool] = False
    redescending: ClassVar[bool] = True

    def __post_init__(self) -> None:
        super().__post_init__()
        smooth = check.real_parameter(type(self).__name__, "smooth", self.smooth, check.POSITIVE)
        object.__setattr__(self, "smooth", smooth)

    @abstractmethod
    def _misses(self, y: Array, u: Array, v: Array) -> tuple[Array, Array]: ...

    @abstractmethod
    def _slopes(self, y: Array, u: Array, v: Array, lack: Array) -> tuple[Array, Any, Any]: ...

    def _share(self, f: Array) -> tuple[Array, Array, Array, Array]:
        """Share u of a row in the sums, 1 - u, and the derivatives of u by f."""
        p, q = expit_both(f)
        return p, q, p * q, p * q * (q - p)

    def _bound(self, y: Array, u: Array, du: Array, slope: Array, lack: Array) -> Array:
        """Curvature of the row loss; the pull itself if it keeps its sign."""
        pull: Array = np.abs(slope * du)
        return pull

    def _terms(self, y: Array, f: Array, w: Array) -> tuple[Array, ...]:
        u, v, _, _ = self._share(f)
        miss, size = self._misses(y, u, v)
        return w * miss, w * size

    def _ratio(self, sums: tuple[Array, ...]) -> tuple[Array, Array]:
        """B/M, and M. The ratio is no difference from 1: that cancels for a good model."""
        _, miss, size = sums
        whole = size + self.smooth
        return miss / whole, whole

    def _value(self, *sums: Array) -> Array:
        return self._ratio(sums)[0]

    def _both(self, y: Array, f: Array, sums: tuple[Array, ...]) -> tuple[Array, Array]:
        """Gradient and curvature."""
        lack, whole = self._ratio(sums)
        u, v, du, _ = self._share(f)
        slope = self._slopes(y, u, v, lack)[0]
        return slope * du / whole, self._bound(y, u, du, slope, lack) / whole

    def _gradient(self, y: Array, f: Array, w: Array, sums: tuple[Array, ...]) -> Array:
        return self._both(y, f, sums)[0]

    def _safe(self, y: Array, f: Array, w: Array, sums: tuple[Array, ...]) -> Array:
        return self._both(y, f, sums)[1]

    def _hessian(self, y: Array, f: Array, w: Array, sums: tuple[Array, ...]) -> Array:
        lack, whole = self._ratio(sums)
        u, v, du, ddu = self._share(f)
        slope, size_slope, bend = self._slopes(y, u, v, lack)
        moved = bend - 2 * w * slope * size_slope / whole
        hessian: Array = (slope * ddu + moved * du * du) / whole
        return hessian

    def _gradient_curvature(self, rule: Rule, *arguments: Any) -> tuple[Array, Array]:
        if rule.guarantee != "descent":
            return self._gradient(*arguments), rule.kernel(self, *arguments)
        y, f, _, sums = arguments
        return self._both(y, f, sums)

    rules = {
        name: Rule(lambda loss, *block: loss._safe(*block), "descent", "kappa |g|")
        for name in ("safe", "auto")
    }

    def _intercept(self, batch: Batch, has_offset: bool) -> Any:
        share = weighted_mean(batch, batch.y)
        level = weighted_mean(batch, expit(batch.f))
        return log_odds(share, 1 - share) - (log_odds(level, 1 - level) if has_offset else 0.0)


@dataclass(frozen=True)
class DiceLoss(OverlapLoss):
    r"""Dice loss, :math:`1 - (2\sum y p + s) / (\sum p + \sum y + s)`: 1 less a soft F1.

    Over the whole batch, or over each group where groups are given; p = 1/(1+e^-f). Estimates a
    labelling of high F1. Domain: [0, 1]. Link: logit. Not convex. Units: value in [0, 1], f in
    log-odds. With N and M numerator and denominator, rho = N/M and N', M' their derivatives by f,
    gradient g = (rho M' - N')/M, Hessian (rho M'' - N'' - 2 g M')/M. Badly wrong rows lose their
    gradient, as p(1-p) does.

    Parameters
    ----------
    smooth : float
        s, positive: keeps the ratio defined where there are no positives.
    denominator : {"sum", "squares"}
        ``"squares"`` divides by sum p^2 + sum y^2 + s, as V-Net does; the same for a model that
        says 0 or 1, and it pulls less at rows that it is unsure of.

    Raises
    ------
    ValueError
        If smooth is not positive, the denominator is neither of the two, or a label is out of
        range.

    Notes
    -----
    With B = M - N the denominator less the numerator and rho = N/M now, the loss B/M does not
    rise if rho M - N does not (Dinkelbach). That is the sum over rows of (rho - 2y) p, a row loss
    whose gradient keeps its sign and has a log-slope 1 - 2p in [-1, 1]. So ``safe`` and
    ``auto``, h = abs(g), are ``descent``: every leaf, and all leaves of a tree at once, stop short
    of the minimum of that sum.

    With squares the row loss is rho p^2 - 2 y p. For y = 0, and for y >= rho (hence for y = 1),
    its gradient keeps its sign, with a log-slope in [-2, 2]: h = 2 abs(g). A label between has a
    minimum of its own at p = y/rho; its two pulls, which have such slopes each, are added up
    instead of subtracted. Both give ``descent`` in the same way.

    Over several groups whose rows share leaves it is tested, not proved. The exact diagonal is
    negative for half of the rows. The best constant is infinite (call every row positive), where
    there is no gradient; the intercept is the logit of the weighted mean label instead.

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
    denominator: str = "sum"

    aliases: ClassVar[tuple[str, ...]] = ("f1",)
    formula: ClassVar[str] = "1 - (2 sum y p + s) / (sum p + sum y + s)"
    source: ClassVar[str] = "arXiv:1606.04797"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.denominator not in DENOMINATORS:
            raise ValueError(
                f'DiceLoss: denominator must be "sum" or "squares"; got {self.denominator!r}'
            )

    def _misses(self, y: Array, u: Array, v: Array) -> tuple[Array, Array]:
        if self.denominator == "sum":
            return u * (1 - y) + y * v, u + y
        return (u * (1 - y) - y * v) ** 2, u * u + y * y

    def _slopes(self, y: Array, u: Array, v: Array, lack: Array) -> tuple[Array, Any, Any]:
        if self.denominator == "sum":
            return 1 - 2 * y - lack, 1, 0
        # naive p - y cancels for a row that is right
        return 2 * (u * (1 - y) - y * v - lack * u), 2 * u, 2 * (1 - lack)

    def _bound(self, y: Array, u: Array, du: Array, slope: Array, lack: Array) -> Array:
        if self.denominator == "sum":
            return super()._bound(y, u, du, slope, lack)
        rho = 1 - lack
        pulls: Array = 2 * np.where(y >= rho, np.abs(slope), 2 * (y + rho * u)) * du
        return pulls


@dataclass(frozen=True)
class TverskyLoss(OverlapLoss):
    r"""Tversky loss, :math:`1 - (TP + s)/(TP + \alpha FP + \beta FN + s)`: misses at two prices.

    TP = sum y p, FP = sum (1-y) p and FN = sum y (1-p), over the whole batch, or over each group
    where groups are given; p = 1/(1+e^-f). Estimates a labelling of high F-beta. Domain: [0, 1].
    Link: logit. Not convex. Units: value in [0, 1], f in log-odds. With N and M numerator and
    denominator, rho = N/M and N', M' their derivatives by f, gradient g = (rho M' - N')/M, Hessian
    (rho M'' - N'' - 2 g M')/M. Badly wrong rows lose their gradient, as p(1-p) does.

    Parameters
    ----------
    alpha, beta : float
        Prices of false positives and of false negatives, at least 0 and not both 0: beta > alpha
        favours recall. 1/2 and 1/2 with s/2 is `DiceLoss`, 1 and 1 is 1 less a soft Jaccard
        index.
    smooth : float
        s, positive: keeps the ratio defined where there are no positives.

    Raises
    ------
    ValueError
        If a parameter or a label is out of range, or both prices are 0.

    Notes
    -----
    With rho the ratio now, the loss does not rise if rho M - TP does not, M the denominator
    (Dinkelbach). That sum is linear in each p, as that of `DiceLoss` is: the gradient of a row
    keeps its sign, with a log-slope 1 - 2p in [-1, 1], for soft labels too. So ``safe`` and
    ``auto``, h = abs(g), are ``descent``: every leaf, and all leaves of a tree at once. Over
    several groups whose rows share leaves it is tested, not proved. The intercept is the logit of
    the weighted mean label; the best constant may be infinite.

    References
    ----------
    .. [1] Salehi, Erdogmus and Gholipour, Tversky loss function for image segmentation using 3D
       fully convolutional deep networks, 2017, arXiv:1706.05721.

    Examples
    --------
    >>> import gbobjectives as gbo
    >>> y, f = [1.0, 0.0, 1.0], [0.3, -0.2, 1.0]
    >>> gbo.TverskyLoss(smooth=0.5)(y, f) - gbo.DiceLoss(smooth=1.0)(y, f) < 1e-12
    True
    """

    alpha: float = 0.5
    beta: float = 0.5
    smooth: float = 1.0

    estimates: ClassVar[str] = "high-F-beta labelling"
    formula: ClassVar[str] = "1 - (TP + s) / (TP + alpha FP + beta FN + s)"
    source: ClassVar[str] = "arXiv:1706.05721"

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("alpha", "beta"):
            price = getattr(self, name)
            number = check.real_parameter("TverskyLoss", name, price, check.NON_NEGATIVE)
            object.__setattr__(self, name, number)
        if self.alpha == self.beta == 0:
            raise ValueError("TverskyLoss: alpha or beta must be positive; got 0 for both")

    def _misses(self, y: Array, u: Array, v: Array) -> tuple[Array, Array]:
        miss = self.alpha * (1 - y) * u + self.beta * y * v
        return miss, y * u + miss

    def _slopes(self, y: Array, u: Array, v: Array, lack: Array) -> tuple[Array, Any, Any]:
        miss = self.alpha * (1 - y) - self.beta * y
        return miss * (1 - lack) - lack * y, y + miss, 0


@dataclass(frozen=True)
class SelfAdjustingDiceLoss(OverlapLoss):
    r"""Self-adjusting Dice loss: `DiceLoss` of :math:`u = (1-p)^\alpha p` in place of p.

    Value 1 - (2 sum y u + s)/(sum u + sum y + s), over the whole batch, or over each group where
    groups are given; p = 1/(1+e^-f). Rows that are easy weigh less, as in focal loss. Estimates a
    labelling of high F1. Domain: [0, 1]. Link: logit. Not convex. Units: value in [0, 1], f in
    log-odds. With rho = N/M, numerator over denominator, and D = rho - 2y, gradient g = D u'/M,
    Hessian (D u'' - 2 g u')/M, where u' = u (1-p-alpha p). Badly wrong rows lose their gradient.

    Parameters
    ----------
    alpha : float
        At least 0; 0 is `DiceLoss`.
    smooth : float
        s, positive: keeps the ratio defined where there are no positives.

    Raises
    ------
    ValueError
        If a parameter or a label is out of range.

    Notes
    -----
    u is largest at p = 1/(1+alpha) and falls beyond: positives are drawn there and no further,
    and a negative that lies beyond is drawn to 1. So a row is called positive from about half of
    that p, not from 1/2. Training must begin below: the intercept is the logit of the weighted
    mean label, and of no more than 1/(2 (1+alpha)).

    As for `DiceLoss`, the loss does not rise if the sum over rows of D u does not, D = rho - 2y.
    Its gradient D u (q - alpha p), q = 1-p, changes its sign, so that abs(g) would be no bound.
    But abs(u'') <= b u with b = max(5/4, alpha^2), and u grows no faster than exp(k t), k^2 <= b.
    ``safe`` and ``auto``, h = c abs(D) u with c = 1.7632 b, allow no step beyond k/c; as
    e^(1/x) = x for x = 1.7632, h bounds the second derivative all along such a step, and they are
    ``descent``: every leaf, and all leaves of a tree at once. Over several groups whose rows share
    leaves it is tested, not proved.

    References
    ----------
    .. [1] Li et al., Dice loss for data-imbalanced NLP tasks, 2020, arXiv:1911.02855.

    Examples
    --------
    >>> import gbobjectives as gbo
    >>> gbo.SelfAdjustingDiceLoss().gradient([1.0, 1.0], [0.0, -1.0]).round(3)
    array([-0.   , -0.038])
    """

    alpha: float = 1.0
    smooth: float = 1.0

    aliases: ClassVar[tuple[str, ...]] = ("dsc",)
    formula: ClassVar[str] = "1 - (2 sum y u + s) / (sum u + sum y + s), u = (1-p)^alpha p"
    source: ClassVar[str] = "arXiv:1911.02855"

    def __post_init__(self) -> None:
        super().__post_init__()
        alpha = check.real_parameter(
            "SelfAdjustingDiceLoss", "alpha", self.alpha, check.NON_NEGATIVE
        )
        object.__setattr__(self, "alpha", alpha)

    def _share(self, f: Array) -> tuple[Array, Array, Array, Array]:
        p, q = expit_both(f)
        u = p * q**self.alpha
        turn = q - self.alpha * p
        bend = turn * turn - (1 + self.alpha) * p * q
        return u, 1 - u, u * turn, u * bend

    def _misses(self, y: Array, u: Array, v: Array) -> tuple[Array, Array]:
        return u * (1 - y) + y * v, u + y

    def _slopes(self, y: Array, u: Array, v: Array, lack: Array) -> tuple[Array, Any, Any]:
        return 1 - 2 * y - lack, 1, 0

    def _bound(self, y: Array, u: Array, du: Array, slope: Array, lack: Array) -> Array:
        return ROOT * max(1.25, self.alpha**2) * np.abs(slope) * u

    rules = {
        name: Rule(lambda loss, *block: loss._safe(*block), "descent", "c |rho - 2y| u")
        for name in ("safe", "auto")
    }

    def _intercept(self, batch: Batch, has_offset: bool) -> Any:
        found = super()._intercept(batch, has_offset)
        return found if has_offset else min(found, -float(np.log1p(2 * self.alpha)))
