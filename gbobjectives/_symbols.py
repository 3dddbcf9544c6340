"""Expressions as SymPy sees them: made stable, simplified, printed as Python.

A formula is first put together from the stable functions, then differentiated, and its derivatives
are only simplified after that. What is left over, sums and roots that cancel or overflow, is taken
care of at the end, since further algebra would take it apart again.
"""

from functools import reduce
from typing import Any

import sympy as sp
from sympy.core.relational import Relational
from sympy.core.traversal import bottom_up
from sympy.printing.str import StrPrinter

from gbobjectives._stable_functions import (
    expit,
    expm1,
    is_constant,
    larger,
    log1p,
    log1pexp,
    log_cosh,
    magnitude,
    root_one_plus_square,
    sech2,
    side,
    step,
    tanh,
)

# ---- stable forms ----------------------------------------------------------------------------


def stable(expression: Any) -> Any:
    """The same function, of the stable functions above where it can be."""
    return bottom_up(expression, _stable)


def _stable(e: Any) -> Any:
    if isinstance(e, sp.Abs):
        return magnitude(e.args[0])
    if isinstance(e, sp.log):
        return _log(e.args[0])
    if isinstance(e, sp.tanh):
        return tanh(e.args[0])
    if isinstance(e, sp.Pow):
        return _power(*e.args)
    if isinstance(e, sp.Add):
        return _one_less_expit(e)
    if isinstance(e, sp.Mul):
        return _exp_times_expit(e)
    return e


def _log(x: Any) -> Any:
    """Logarithm of a sum of exponentials, of a product, of cosh, of expit."""
    if isinstance(x, sp.cosh):
        return log_cosh(x.args[0])
    if isinstance(x, expit):
        return -log1pexp(-x.args[0])
    if isinstance(x, sp.Pow) and x.args[0].is_positive:
        return x.args[1] * _log(x.args[0])
    if isinstance(x, sp.Mul):
        parts = [a for a in x.args if a.is_positive or isinstance(a, expit | sp.cosh)]
        rest = sp.Mul(*(a for a in x.args if a not in parts))
        if parts and rest != x:
            return sum(map(_log, parts), sp.Integer(0) if rest == 1 else _log(rest))
    exponents: list[Any] = list(map(_log_of_term, x.args)) if isinstance(x, sp.Add) else [None]
    if any(a is None for a in exponents):
        return sp.log(x)
    # The constant first, for log1pexp of the score itself.
    exponents.sort(key=lambda a: len(a.free_symbols))
    return reduce(_log_add_exp, exponents)


def _log_of_term(term: Any) -> Any:
    """Logarithm of a positive constant times an exponential; None if it is anything else."""
    factors = sp.Mul.make_args(term)
    exponential = [a for a in factors if isinstance(a, sp.exp)]
    rest = sp.Mul(*(a for a in factors if a not in exponential))
    if not rest.is_positive or not is_constant(rest):
        return None
    return sp.log(rest) + sum(a.args[0] for a in exponential)


def _log_add_exp(a: Any, b: Any) -> Any:
    middle = (a + b) / 2
    if is_constant(middle):
        return middle + sp.log(2) + log_cosh((b - a) / 2)
    return a + log1pexp(b - a)


def _power(base: Any, exponent: Any) -> Any:
    """1 / (1 + exp(u)), and powers of it; 1 / cosh(u)^2."""
    if isinstance(base, sp.cosh) and exponent.is_even and exponent.is_negative:
        return sech2(base.args[0]) ** (-exponent / 2)
    if isinstance(base, sp.Add) and len(base.args) == 2 and exponent.is_negative:
        logs: list[Any] = [_log_of_term(term) for term in base.args]
        if None not in logs and any(x.has(sp.exp) for x in base.args):
            constant, other = sorted(logs, key=lambda a: len(a.free_symbols))
            return (expit(constant - other) * sp.exp(-constant)) ** (-exponent)
    return sp.Pow(base, exponent)


def _one_less_expit(e: Any) -> Any:
    """Form c expit(-u) of c - c expit(u)."""
    for term in e.args:
        factors = sp.Mul.make_args(term)
        for one in (a for a in factors if isinstance(a, expit)):
            c = sp.Mul(*(a for a in factors if a != one))
            if -c in e.args:
                return _stable_sum(e, (term, -c), -c * expit(-one.args[0]))
    return e


def _stable_sum(e: Any, gone: tuple[Any, ...], made: Any) -> Any:
    return sp.Add(*(a for a in e.args if a not in gone), made)


def _exp_times_expit(e: Any) -> Any:
    """exp(u) expit(-u) is expit(u)."""
    for a in e.args:
        for b in e.args:
            if isinstance(a, sp.exp) and isinstance(b, expit) and b.args[0] == -a.args[0]:
                return sp.Mul(*(x for x in e.args if x not in (a, b)), expit(a.args[0]))
    return e


def simplest(expression: Any) -> Any:
    """The shortest of the expression, what SymPy simplifies it to, and factors of that."""
    if expression.has(sp.Piecewise):
        return expression
    short = sp.simplify(expression)
    return min(expression, short, sp.factor(short), key=sp.count_ops)


def finished(expression: Any) -> Any:
    """Stable forms of sums and roots, which further algebra would take apart again."""
    return bottom_up(expression, _finished)


def _finished(e: Any) -> Any:
    if isinstance(e, sp.Abs):
        return magnitude(e.args[0])
    if isinstance(e, sp.log) and isinstance(e.args[0], sp.Add) and 1 in e.args[0].args:
        return log1p(e.args[0] - 1)
    if isinstance(e, sp.Mul):
        return _side_times_magnitude(e)
    if isinstance(e, sp.Add):
        return _less_one(_split_expit(e))
    if isinstance(e, sp.Pow) and isinstance(e.args[0], sp.Add) and e.args[1].is_Rational:
        return _root(*e.args)
    return e


def _side_times_magnitude(e: Any) -> Any:
    for a in e.args:
        if isinstance(a, side) and magnitude(a.args[0]) in e.args:
            rest = (x for x in e.args if x not in (a, magnitude(a.args[0])))
            return sp.Mul(*rest, a.args[0])
    return e


def _less_one(e: Any) -> Any:
    """Form c expm1(u) of c exp(u) - c."""
    for term in e.args:
        factors = sp.Mul.make_args(term)
        for one in (a for a in factors if isinstance(a, sp.exp)):
            c = sp.Mul(*(a for a in factors if a != one))
            if -c in e.args:
                return _stable_sum(e, (term, -c), c * expm1(one.args[0]))
    return e


def _split_expit(e: Any) -> Any:
    """Form (1 - y) p - y (1 - p) of p - y, which does not cancel for y of 0 or 1."""
    terms = [a for a in e.args if a.has(expit)]
    rest = sp.Add(*(a for a in e.args if a not in terms))
    if len(terms) != 1 or not is_constant(rest) or rest == 0:
        return e
    ones = [a for a in sp.Mul.make_args(terms[0]) if isinstance(a, expit)]
    c = terms[0] / ones[0] if ones else terms[0]
    if len(ones) != 1 or c.has(expit):
        return e
    u = ones[0].args[0]
    return (c + rest) * expit(u) + rest * expit(-u)


def _root(base: Any, exponent: Any) -> Any:
    """(c + u^2)^(k / 2), whose naive form overflows."""
    if exponent.q != 2 or len(base.args) != 2:
        return sp.Pow(base, exponent)
    constant, square = sorted(base.args, key=lambda a: len(a.free_symbols))
    u = sp.sqrt(square).replace(sp.Abs, lambda x: x)
    if not constant.is_positive or u**2 != square or u.has(sp.sqrt):
        return sp.Pow(base, exponent)
    width = sp.sqrt(constant)
    return (width * root_one_plus_square(u / width)) ** (2 * exponent)


# ---- kinks -----------------------------------------------------------------------------------


def kinks(expression: Any, score: Any) -> list[Any]:
    """Scores at which an absolute value, a maximum or a case changes over."""
    edges = [a.args[0] for a in expression.atoms(magnitude, side, step)]
    edges += [a.args[0] - a.args[1] for a in expression.atoms(larger)]
    for case in expression.atoms(sp.Piecewise):
        edges += [x.lhs - x.rhs for _, c in case.args for x in c.atoms(Relational)]
    found: set[Any] = set()
    for edge in edges:
        if not edge.has(score):
            continue
        plain = edge.replace(magnitude, sp.Abs).replace(larger, sp.Max).replace(side, sp.sign)
        try:
            found |= set(sp.solve(plain, score))
        except NotImplementedError as error:
            raise ValueError(
                f"the expression has a kink where {edge} = 0, which SymPy cannot solve for "
                f"{score}; say where it is by kinks_at="
            ) from error
    return sorted(found, key=str)


# ---- printing --------------------------------------------------------------------------------


class _Printer(StrPrinter):  # type: ignore[misc]
    """Expressions as Python on arrays."""

    def _print_Piecewise(self, e: Any) -> str:
        *cases, (last, _) = e.args
        text: str = self._print(last)
        for value, condition in reversed(cases):
            text = f"where({self._print(condition)}, {self._print(value)}, {text})"
        return text

    def _print_Rational(self, e: Any) -> str:
        short: str = f"{e.p}/{e.q}"
        return short if len(short) < 8 else str(float(e))

    def _print_Pow(self, e: Any, rational: bool = False) -> str:
        base, n = e.args
        # NumPy's power of whole arrays is ten times slower than products, but for squares.
        if isinstance(base, sp.Symbol) and n in (-4, -3, -2, 3, 4):
            product = "*".join([base.name] * abs(int(n)))
            return f"({product})" if n > 0 else f"(1/({product}))"
        text: str = super()._print_Pow(e, rational)
        return text

    def _print_magnitude(self, e: Any) -> str:
        return f"abs({self._print(e.args[0])})"

    def _print_side(self, e: Any) -> str:
        return f"sign({self._print(e.args[0])})"

    def _print_larger(self, e: Any) -> str:
        return f"maximum({', '.join(map(self._print, e.args))})"

    def _print_step(self, e: Any) -> str:
        return f"heaviside({self._print(e.args[0])}, 0.5)"


def code(expression: Any) -> str:
    """The expression as Python."""
    text: str = _Printer().doprint(expression)
    return text
