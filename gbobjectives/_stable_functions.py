"""Functions that neither overflow nor cancel, as SymPy knows them: each with its derivative.

What does so in the obvious form is a function of its own here, whose derivative is such a function
too: ``log(cosh(x))`` has ``tanh(x)``, which has ``sech2(x)``. So derivatives come out stable. The
names are those of `gbobjectives._numerics`, and what is printed.
"""

from typing import Any

import sympy as sp


class Score(sp.Symbol):  # type: ignore[misc]
    """A raw prediction, or a residual: what expressions are functions of."""


def is_constant(x: Any) -> bool:
    return not x.atoms(Score)


class log_cosh(sp.Function):  # type: ignore[misc]
    """``log(cosh(x))``."""

    def fdiff(self, argindex: int = 1) -> Any:
        """Derivative."""
        return tanh(self.args[0])


class tanh(sp.Function):  # type: ignore[misc]
    """``tanh(x)``; SymPy's own has the derivative ``1 - tanh(x)^2``, which cancels."""

    def fdiff(self, argindex: int = 1) -> Any:
        """Derivative."""
        return sech2(self.args[0])


class sech2(sp.Function):  # type: ignore[misc]
    """``1 / cosh(x)^2``."""

    def fdiff(self, argindex: int = 1) -> Any:
        """Derivative."""
        return -2 * tanh(self.args[0]) * sech2(self.args[0])


class log1pexp(sp.Function):  # type: ignore[misc]
    """``log(1 + exp(x))``."""

    def fdiff(self, argindex: int = 1) -> Any:
        """Derivative."""
        return expit(self.args[0])


class expit(sp.Function):  # type: ignore[misc]
    """``1 / (1 + exp(-x))``; 1 less it is ``expit(-x)``."""

    def fdiff(self, argindex: int = 1) -> Any:
        """Derivative."""
        return expit(self.args[0]) * expit(-self.args[0])


class magnitude(sp.Function):  # type: ignore[misc]
    """``abs(x)`` of a real x, which SymPy does not take apart."""

    is_real, is_nonnegative = True, True

    @classmethod
    def eval(cls, x: Any) -> Any:
        """What it is at once."""
        if x.is_nonnegative:
            return x
        return cls(-x) if x.could_extract_minus_sign() else None

    def _eval_power(self, exponent: Any) -> Any:
        return self.args[0] ** exponent if exponent.is_even else None

    def fdiff(self, argindex: int = 1) -> Any:
        """Derivative."""
        return side(self.args[0])


class side(sp.Function):  # type: ignore[misc]
    """The sign of x, whose square is 1 and whose derivative is 0: so they are off the kink."""

    is_real = True

    @classmethod
    def eval(cls, x: Any) -> Any:
        """What it is at once."""
        if x.is_positive:
            return sp.Integer(1)
        return -cls(-x) if x.could_extract_minus_sign() else None

    def _eval_power(self, exponent: Any) -> Any:
        if exponent.is_even:
            return sp.Integer(1)
        return self if exponent.is_odd else None

    def fdiff(self, argindex: int = 1) -> Any:
        """Derivative."""
        return sp.Integer(0)


class larger(sp.Function):  # type: ignore[misc]
    """The larger of two."""

    is_real = True

    def fdiff(self, argindex: int = 1) -> Any:
        """Derivative."""
        a, b = self.args
        return step(a - b) if argindex == 1 else step(b - a)


class step(sp.Function):  # type: ignore[misc]
    """1 where x > 0, 0 where x < 0, a half at 0; its square is itself off the kink."""

    is_real, is_nonnegative = True, True

    def _eval_power(self, exponent: Any) -> Any:
        return self if exponent.is_integer and exponent.is_positive else None

    def fdiff(self, argindex: int = 1) -> Any:
        """Derivative."""
        return sp.Integer(0)


class log1p(sp.Function):  # type: ignore[misc]
    """``log(1 + x)``, for printing."""


class expm1(sp.Function):  # type: ignore[misc]
    """``exp(x) - 1``, for printing."""


class root_one_plus_square(sp.Function):  # type: ignore[misc]
    """``sqrt(1 + x^2)``, for printing."""


#: What has a kink where its argument is 0, or its two are equal.
KINKED = (magnitude, side, larger, step)
