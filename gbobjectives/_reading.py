"""Formulas, read from text without running any of it."""

import ast
from collections.abc import Callable, Mapping
from functools import reduce
from math import isfinite
from typing import Any

import sympy as sp

from gbobjectives._stable_functions import (
    expit,
    larger,
    log1pexp,
    log_cosh,
    magnitude,
    side,
    tanh,
)

# Beyond these an expression is no loss, and SymPy would not come back.
MAX_LENGTH, MAX_EXPONENT = 5000, 100

FUNCTIONS: dict[str, Callable[..., Any]] = {
    "exp": sp.exp,
    "log": sp.log,
    "log1p": lambda x: sp.log(1 + x),
    "expm1": lambda x: sp.exp(x) - 1,
    "sqrt": sp.sqrt,
    "abs": magnitude,
    "sign": side,
    "max": lambda *x: reduce(larger, x),
    "min": lambda *x: -reduce(larger, [-a for a in x]),
    "expit": expit,
    "sigmoid": expit,
    "log1pexp": log1pexp,
    "softplus": log1pexp,
    "logaddexp": lambda a, b: sp.log(sp.exp(a) + sp.exp(b)),
    "log_cosh": log_cosh,
    "sin": sp.sin,
    "cos": sp.cos,
    "sinh": sp.sinh,
    "cosh": sp.cosh,
    "tanh": tanh,
    "asinh": sp.asinh,
    "atan": sp.atan,
    "arctan": sp.atan,
    "erf": sp.erf,
}
CONSTANTS = {"pi": sp.pi}

OPERATORS: dict[type, Callable[[Any, Any], Any]] = {
    ast.Add: lambda a, b: a + b,
    ast.Sub: lambda a, b: a - b,
    ast.Mult: lambda a, b: a * b,
    ast.Div: lambda a, b: a / b,
}
RELATIONS: dict[type, Callable[[Any, Any], Any]] = {
    ast.Lt: sp.Lt,
    ast.LtE: sp.Le,
    ast.Gt: sp.Gt,
    ast.GtE: sp.Ge,
    ast.Eq: sp.Eq,
    ast.NotEq: sp.Ne,
}


def read(text: str, names: Mapping[str, Any]) -> Any:
    """The expression that a text says, of these names and the functions above.

    The text is parsed by Python's own parser and rebuilt piece by piece; nothing of it is run,
    and attributes, subscripts, strings and unknown names are errors.
    """
    if not isinstance(text, str) or len(text) > MAX_LENGTH:
        raise ValueError(f"an expression is text of at most {MAX_LENGTH} characters; got {text!r}")
    try:
        tree = ast.parse(text.strip(), mode="eval")
        return _number(tree.body, {**CONSTANTS, **names}, text)
    except SyntaxError as error:
        raise ValueError(f"{text!r} is no expression: {error.msg}") from error
    except (RecursionError, MemoryError) as error:
        raise ValueError(f"{text[:40]!r}... is nested too deeply for an expression") from error


def _number(node: ast.AST, names: Mapping[str, Any], text: str) -> Any:
    """What is a number, not a condition."""

    def inner(x: ast.AST) -> Any:
        return _number(x, names, text)

    match node:
        case ast.Constant(value=int() | float() as number) if _is_finite(number):
            # Decimals as they are written: 0.1 is a tenth.
            return sp.Rational(repr(number))
        case ast.Name(id=name) if name in names:
            return names[name]
        case ast.UnaryOp(op=ast.USub(), operand=x):
            return -inner(x)
        case ast.UnaryOp(op=ast.UAdd(), operand=x):
            return inner(x)
        case ast.BinOp(left=a, op=ast.Pow(), right=b):
            exponent = inner(b)
            if exponent.is_number and not abs(exponent) <= MAX_EXPONENT:
                raise ValueError(f"{text!r}: exponents go up to {MAX_EXPONENT}; got {exponent}")
            return inner(a) ** exponent
        case ast.BinOp(left=a, op=op, right=b) if type(op) in OPERATORS:
            return OPERATORS[type(op)](inner(a), inner(b))
        case ast.IfExp(test=condition, body=a, orelse=b):
            return _where(_condition(condition, names, text), inner(a), inner(b))
        case ast.Call(func=ast.Name(id="where"), args=[condition, a, b], keywords=[]):
            return _where(_condition(condition, names, text), inner(a), inner(b))
        case ast.Call(func=ast.Name(id=name), args=arguments, keywords=[]) if name in FUNCTIONS:
            try:
                return FUNCTIONS[name](*map(inner, arguments))
            except TypeError as error:
                raise ValueError(f"{text!r}: {ast.unparse(node)!r}: {error}") from error
    hint = "; a power is written **" if isinstance(getattr(node, "op", None), ast.BitXor) else ""
    raise ValueError(
        f"{text!r}: {ast.unparse(node)!r} is no number{hint}; there are the names "
        f"{', '.join(names)}, numbers, + - * / **, where(condition, a, b), and the functions "
        f"{', '.join(FUNCTIONS)}"
    )


def _is_finite(number: Any) -> bool:
    return not isinstance(number, bool) and isfinite(number)


def _condition(node: ast.AST, names: Mapping[str, Any], text: str) -> Any:
    """A comparison, or several with `and` and `or` between them."""
    match node:
        case ast.Compare(left=a, ops=[op], comparators=[b]) if type(op) in RELATIONS:
            return RELATIONS[type(op)](_number(a, names, text), _number(b, names, text))
        case ast.BoolOp(op=op, values=values):
            each = [_condition(x, names, text) for x in values]
            return (sp.And if isinstance(op, ast.And) else sp.Or)(*each)
    raise ValueError(f"{text!r}: {ast.unparse(node)!r} is no comparison such as y > 0")


def _where(condition: Any, a: Any, b: Any) -> Any:
    return sp.Piecewise((a, condition), (b, True))
