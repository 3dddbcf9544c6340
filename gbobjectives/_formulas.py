"""NumPy kernels, written out from the formula of a loss."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from numbers import Real
from typing import Any

import numpy as np
import sympy as sp
from scipy.special import erf

from gbobjectives import _numerics
from gbobjectives import _symbols as symbols
from gbobjectives._numerics import Array
from gbobjectives._reading import FUNCTIONS, read
from gbobjectives._stable_functions import Score
from gbobjectives.links import Interval

#: What a generated kernel may call.
NAMES: dict[str, Any] = {
    **{name: getattr(np, name) for name in ("abs", "heaviside", "maximum", "sign", "where")},
    **{name: getattr(np, name) for name in ("cos", "cosh", "log", "log1p", "pi", "sin", "sinh")},
    **{name: getattr(np, name) for name in ("sqrt", "tanh")},
    **{name: getattr(_numerics, name) for name in ("expit", "log1pexp", "log_cosh", "sech2")},
    "root_one_plus_square": _numerics.root_one_plus_square,
    "exp": _numerics.exp_saturating,
    "expm1": _numerics.expm1_saturating,
    "asinh": np.arcsinh,
    "atan": np.arctan,
    "erf": erf,
    "E": float(np.e),
    "__builtins__": {},
}

#: Names that no parameter may have.
TAKEN = {"y", "f", "r", "g", "h", "k", *NAMES, *FUNCTIONS}


@dataclass(frozen=True)
class Source:
    """Python source of the kernels."""

    text: str
    has_safe: bool
    #: Of each kink the output that meets it.
    kinks: tuple[int, ...]


class FormulaKernels:
    """Kernels of a source and of numbers for its parameters."""

    def __init__(self, source: Source, parameters: Mapping[str, float]) -> None:
        self.code = source.text
        self._kinks = source.kinks
        self._parameters = dict(parameters)
        self._run: dict[str, Any] = dict(NAMES)
        # Written by `source_of`, of nothing but the names above.
        exec(compile(source.text, "<expression>", "exec"), self._run)

    def _call(self, name: str, y: Array, f: Array) -> tuple[Array, ...]:
        labels = (y,) if y.ndim == 1 else tuple(y.T)
        scores = (f,) if f.ndim == 1 else tuple(f.T)
        # Cases of a `where` are all computed, and some of them are not meant for the row.
        with np.errstate(all="ignore"):
            found = self._run[name](*labels, *scores, **self._parameters)
        found = found if isinstance(found, tuple) else (found,)
        full = [np.empty(len(f), dtype=f.dtype) for _ in found]
        for out, x in zip(full, found, strict=True):
            out[:] = x
        return tuple(full)

    def value(self, y: Array, f: Array) -> Array:
        """Value of each row."""
        return self._call("value", y, f)[0]

    def derivatives(self, y: Array, f: Array) -> tuple[Array, Array]:
        """First and second derivative of each row."""
        found = self._call("derivatives", y, f)
        half = len(found) // 2
        return _joined(found[:half], f), _joined(found[half:], f)

    def safe(self, y: Array, f: Array) -> Array:
        """The user's own curvature."""
        found = self._call("safe", y, f)
        return _joined(found * (f.shape[1] if f.ndim == 2 else 1), f)

    def kinks(self, y: Array, f: Array) -> tuple[Array, ...]:
        """Raw predictions at which something bends; of other outputs infinitely far off."""
        if not self._kinks:
            return ()
        found = self._call("kinks", np.asarray(y, dtype=f.dtype), f)
        if f.ndim == 1:
            return found
        result = []
        for k, x in zip(self._kinks, found, strict=True):
            full = np.full_like(f, np.inf)
            full[:, k] = x
            result.append(full)
        return tuple(result)


def _joined(columns: tuple[Array, ...], f: Array) -> Array:
    return columns[0] if f.ndim == 1 else np.stack(columns, axis=1)


@lru_cache(maxsize=128)
def kernels_of(
    expression: str,
    safe: str | None,
    kinks_at: tuple[str, ...] | None,
    parameters: Mapping[str, Any],
    n_outputs: int,
    n_labels: int,
    y_domain: Interval,
) -> FormulaKernels:
    """Kernels of a formula, which are written once for each sign of its parameters."""
    for name, value in parameters.items():
        if not isinstance(value, Real) or isinstance(value, bool):
            raise ValueError(f"the parameter {name} must be a number; got {value!r}")
        if name in TAKEN:
            raise ValueError(f"the name {name!r} is taken; call the parameter something else")
    signs = tuple((name, bool(value > 0)) for name, value in parameters.items())
    source = source_of(expression, safe, kinks_at, signs, n_outputs, n_labels, y_domain)
    return FormulaKernels(source, {name: float(x) for name, x in parameters.items()})


@lru_cache(maxsize=128)
def source_of(
    expression: str,
    safe: str | None,
    kinks_at: tuple[str, ...] | None,
    signs: tuple[tuple[str, bool], ...],
    n_outputs: int,
    n_labels: int,
    y_domain: Interval,
) -> Source:
    """Source of the kernels of a formula."""
    labels = [_label(name, y_domain) for name in _numbered("y", n_labels)]
    scores = [Score(name, real=True) for name in _numbered("f", n_outputs)]
    # What SymPy knows to be positive it can take roots and logarithms of.
    known = [sp.Symbol(name, real=True, positive=True if up else None) for name, up in signs]
    names = {symbol.name: symbol for symbol in (*labels, *scores, *known)}
    value = symbols.stable(read(expression, names))
    own = None if safe is None else symbols.stable(read(safe, names))
    if not value.atoms(Score):
        raise ValueError(f"{expression!r} does not depend on the raw prediction {scores[0]}")
    head = f"({', '.join([*names])}):"
    # In terms of r, where the label is in it by r alone, nothing of f and y cancels.
    residual = Score("r", real=True)
    lines: list[str] = []
    if n_outputs == n_labels == 1:
        moved = value.subs(scores[0], residual + labels[0])
        if moved.has(labels[0]):
            moved = symbols.stable(sp.expand(moved))
        if not moved.has(labels[0]):
            value, lines = moved, ["r = f - y"]
            own = None if own is None else own.subs(scores[0], residual + labels[0])
    variables = [residual] if lines else scores
    first = [symbols.simplest(symbols.stable(sp.diff(value, x))) for x in variables]
    second = [
        symbols.simplest(symbols.stable(sp.diff(g, x)))
        for g, x in zip(first, variables, strict=True)
    ]
    functions = [
        _function("value", head, lines, [""], [value]),
        _function("derivatives", head, lines, _derivative_names(n_outputs), [*first, *second]),
    ]
    if own is not None:
        functions.append(_function("safe", head, lines, [""], [own]))
    places, kinks = _kinks(value, variables, kinks_at, names)
    if kinks:
        shift = labels[0] if lines and kinks_at is None else 0
        functions.append(
            _function("kinks", head, [], [f"k{i}" for i in range(len(kinks))],
                      [x + shift for x in kinks])
        )  # fmt: skip
    return Source("\n\n".join(functions), own is not None, places)


def _numbered(name: str, n: int) -> list[str]:
    return [name] if n == 1 else [f"{name}{i}" for i in range(n)]


def _label(name: str, domain: Interval) -> Any:
    positive = domain.low > 0 or (domain.low == 0 and not domain.low_inclusive)
    return sp.Symbol(
        name, real=True, positive=positive or None, nonnegative=domain.low >= 0 or None
    )


def _derivative_names(n_outputs: int) -> list[str]:
    return [*_numbered("g", n_outputs), *_numbered("h", n_outputs)]


def _kinks(
    value: Any, variables: Sequence[Any], given: tuple[str, ...] | None, names: Mapping[str, Any]
) -> tuple[tuple[int, ...], list[Any]]:
    """Of each kink the output that meets it, and where it does."""
    if given is not None:
        kinks = [read(text, names) for text in given]
        places = [(k, x) for k in range(len(variables)) for x in kinks]
    else:
        places = [(k, x) for k, s in enumerate(variables) for x in symbols.kinks(value, s)]
    return tuple(k for k, _ in places), [x for _, x in places]


def _function(
    name: str, head: str, lines: Sequence[str], results: Sequence[str], values: Sequence[Any]
) -> str:
    """Source of a function that gives these values under these names, or the one at once."""
    finished = [symbols.finished(x) for x in values]
    shared, short = sp.cse(finished, symbols=sp.numbered_symbols("t"), order="canonical")
    body = [*lines, *(f"{symbol} = {symbols.code(x)}" for symbol, x in shared)]
    if results == [""]:
        body.append(f"return {symbols.code(short[0])}")
    else:
        body += [f"{n} = {symbols.code(x)}" for n, x in zip(results, short, strict=True)]
        body.append(f"return {', '.join(results)}")
    return "\n".join([f"def {name}{head}", *(f"    {line}" for line in body)])
