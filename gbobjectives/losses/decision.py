"""The error of a decision: a metric, which has no derivative to train on."""

from dataclasses import dataclass
from typing import Any, ClassVar, NoReturn

from gbobjectives._numerics import Array
from gbobjectives.curvature import Rule
from gbobjectives.links import LOGIT, Interval, Link
from gbobjectives.losses.kinds import RowLoss

__all__ = ["ZeroOneLoss"]


@dataclass(frozen=True)
class ZeroOneLoss(RowLoss):
    r"""Zero-one loss, 1 where the sign of f contradicts the label, else 0: a metric only.

    Estimates nothing: it has no derivative, and asking for one, for a curvature or for an
    objective is an error that says so. Domain: [0, 1]; labels above 1/2 are positive. Link:
    logit. Units: a share of rows. A score of 0 decides for the negative class.
    ``Metric("accuracy")`` is 1 less its mean, and knows several classes too.

    References
    ----------
    .. [1] Friedman, On bias, variance, 0/1-loss, and the curse of dimensionality, Data Mining
       and Knowledge Discovery 1997, doi:10.1023/A:1009778005914.

    Examples
    --------
    >>> import gbobjectives as gbo
    >>> gbo.ZeroOneLoss()([1.0, 0.0, 1.0, 1.0], [2.0, -1.0, -3.0, 0.5])
    0.25
    """

    aliases: ClassVar[tuple[str, ...]] = ("accuracy",)
    task: ClassVar[str] = "binary"
    estimates: ClassVar[str] = "nothing: metric only"
    formula: ClassVar[str] = "1 if s f < 0, else 0"
    source: ClassVar[str] = "doi:10.1023/A:1009778005914"
    y_domain: ClassVar[Interval] = Interval(0.0, 1.0)
    link: ClassVar[Link] = LOGIT
    convex: ClassVar[bool] = False
    redescending: ClassVar[bool] = True

    def _value(self, y: Array, f: Array) -> Array:
        wrong: Array = ((y > 0.5) != (f > 0)).astype(f.dtype)
        return wrong

    def _gradient(self, y: Array, f: Array) -> Array:
        self._refuse()

    def _hessian(self, y: Array, f: Array) -> Array:
        self._refuse()

    def rule(self, curvature: str | float = "safe") -> Rule:
        """No curvature: an error."""
        self._refuse()

    def _refuse(self) -> NoReturn:
        raise ValueError(
            "ZeroOneLoss: it has no derivative, so that it is a metric and no objective; train on "
            'LogLoss or HingeLoss, say, with metric="zero_one" or "accuracy"'
        )

    def _intercept(self, batch: Any, has_offset: bool) -> Any:
        self._refuse()
