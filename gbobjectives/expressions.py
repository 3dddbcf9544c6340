"""A loss from a formula: SymPy differentiates it, and NumPy kernels are written from that."""

from dataclasses import dataclass
from typing import Any, ClassVar

from gbobjectives._numerics import Array
from gbobjectives._own import OwnLoss
from gbobjectives._own_curvature import Kernels
from gbobjectives.losses import OWN

__all__ = ["ExpressionLoss", "from_expression"]


def from_expression(expression: str, **options: Any) -> "ExpressionLoss":
    r"""A loss from the formula of its value, such as ``"log(cosh(f - y))"``.

    SymPy differentiates it; the kernels that are written from that can be read as
    ``loss.code``. Logarithms of sums of exponentials, ``log(cosh(x))``, logistic functions,
    ``sqrt(1 + x^2)`` and the like are taken in forms that neither overflow nor cancel.

    Parameters
    ----------
    expression : str
        A formula of the label ``y``, the raw prediction ``f`` and parameters, with numbers,
        ``+ - * / **``, comparisons, and the functions abs, arctan, asinh, atan, cos, cosh, erf,
        exp, expit, expm1, log, log1p, log1pexp, log_cosh, logaddexp, max, min, sigmoid, sign,
        sin, sinh, softplus, sqrt, tanh and ``where(condition, a, b)``. Of several outputs or
        labels the names are f0, f1, ... and y0, y1, ...
    parameters : mapping, optional
        Numbers by name, part of ==, repr, pickle and spec; of a positive one SymPy knows that it
        is positive. ``dataclasses.replace(loss, parameters=...)`` changes them.
    n_outputs, n_labels : int, optional
        Scores and labels of a row.
    link : str or Link, optional
        From raw prediction to response: identity, logit, log, softmax and others.
    y_domain : Interval or tuple, optional
        Where labels may lie: (low, high, low_inclusive, high_inclusive); SymPy knows it too.
    name : str, optional
        What its metric is called; ``"expression"`` by default.
    convex, redescending : bool, optional
        Whether the value is convex in f, and whether badly wrong rows lose their gradient; both
        False by default.
    kinks_at : sequence of str, optional
        Scores at which value or gradient has no derivative, as formulas of y. By default SymPy
        looks for them in abs, max, min, sign and where.
    safe : str, optional
        A formula of a curvature of your own, in place of that which `from_value` describes.
    guarantee_of_safe : str, optional
        What is known of it: see `gbobjectives.curvature`. ``"heuristic"`` by default.
    max_step : float, optional
        What the heuristic curvature is bounded by: see `from_value`.

    Returns
    -------
    ExpressionLoss
        A `Loss` as any other. Its spec travels inside a model, and `loss_of` brings it back.

    Raises
    ------
    ImportError
        If SymPy is not installed.
    ValueError
        If the formula is none, or says something that is not listed above.

    Notes
    -----
    The text is taken apart by Python's parser and rebuilt piece by piece, of the names above and
    nothing else: no part of it is run, so that a formula of a model file is safe to read. What is
    run is the source that is written from the result.

    The curvature is found as `from_value` describes. In float32 rows whose label or score is
    beyond 1.7e7, or whose result is not finite, are computed in float64.

    Examples
    --------
    >>> import gbobjectives as gbo
    >>> loss = gbo.from_expression("log(cosh(f - y))", convex=True)
    >>> loss.guarantee("safe")
    'majorizer'
    >>> print(loss.code)
    def value(y, f):
        r = f - y
        return log_cosh(r)
    <BLANKLINE>
    def derivatives(y, f):
        r = f - y
        g = tanh(r)
        h = sech2(r)
        return g, h
    """
    return ExpressionLoss(expression, **options)


@dataclass(frozen=True, repr=False)
class ExpressionLoss(OwnLoss):
    """What `from_expression` makes; parameters are those of `from_expression`.

    Examples
    --------
    >>> import dataclasses, gbobjectives as gbo
    >>> loss = gbo.from_expression("a * (f - y)**2", parameters={"a": 1.0}, convex=True)
    >>> dataclasses.replace(loss, parameters={"a": 2.0}).gradient([1.0], [3.0])
    array([8.])
    """

    expression: str = ""

    kind: ClassVar[str] = "expression"

    def __post_init__(self) -> None:
        if self.kinks_at is not None:
            given = (self.kinks_at,) if isinstance(self.kinks_at, str) else self.kinks_at
            object.__setattr__(self, "kinks_at", tuple(given))
        super().__post_init__()
        object.__setattr__(self, "formula", self.expression)

    def _default_name(self) -> str:
        return "expression"

    def _made(self) -> Kernels:
        try:
            from gbobjectives._formulas import kernels_of
        except ImportError as error:
            raise ImportError(
                'from_expression needs SymPy: pip install "gbobjectives[sympy]"'
            ) from error
        shape = (self.n_outputs, self.n_labels, self.y_domain)
        try:
            return kernels_of(self.expression, self.safe, self.kinks_at, self.parameters, *shape)
        except ValueError as error:
            raise ValueError(f"ExpressionLoss: {error}") from error

    @property
    def code(self) -> str:
        """The NumPy kernels as Python source, for review."""
        return self._kernels.code  # type: ignore[attr-defined, no-any-return]

    def kinks(self, y_true: Array, raw_prediction: Array) -> tuple[Array, ...]:
        """Raw predictions at which value or gradient has no derivative."""
        found: tuple[Array, ...] = self._kernels.kinks(y_true, raw_prediction)  # type: ignore[attr-defined]
        return found


OWN["expression"] = ExpressionLoss
