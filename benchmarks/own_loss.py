"""What gradient and curvature of a loss of one's own cost a row, beside the closed form.

The same loss four ways: of the catalogue, by `from_expression`, and by `from_value` with JAX and
with PyTorch where they are installed. All take turns in one run, on the same rows, with the same
curvature, and every ratio is the median of the ratios within a round. "first call" is what making
the loss and calling it once takes: SymPy's algebra, JAX's compilation.

Run from the root of a checkout: ``python benchmarks/own_loss.py [--rows N] [--repeats N]
[--threads N] [--dtypes D ...]``.
"""

import argparse
import importlib
import importlib.util
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from _measuring import in_turn, median_ratio, processor, table

import gbobjectives as gbo

DTYPES = {"float32": np.float32, "float64": np.float64}
BINARY = {"link": "logit", "y_domain": (0, 1)}
COUNT = {"link": "log", "y_domain": (0, np.inf, True, False)}

# Closed form, formula, curvature, options. The exact curvature where safe ones are of two kinds.
LOSSES: dict[str, tuple[gbo.Loss, str, str, dict[str, Any]]] = {
    "log_cosh": (gbo.LogCoshLoss(delta=1.0), "log(cosh(f - y))", "safe", {}),
    "pseudo_huber": (gbo.PseudoHuberLoss(delta=1.0), "sqrt(1 + (f - y)**2) - 1", "safe", {}),
    "logistic": (gbo.LogLoss(), "log(1 + exp(f)) - y * f", "exact", BINARY),
    "poisson": (gbo.PoissonLoss(), "exp(f) - y * f", "exact", COUNT),
}


def value_of(name: str, backend: str) -> Callable[..., Any]:
    """The value of a loss as a function of a backend."""
    xp: Any = importlib.import_module({"jax": "jax.numpy", "torch": "torch"}[backend])

    def softplus(x: Any) -> Any:
        return xp.logaddexp(x, xp.zeros_like(x))

    return {
        "log_cosh": lambda y, f: f - y + softplus(2 * (y - f)) - np.log(2),
        "pseudo_huber": lambda y, f: xp.sqrt(1 + (f - y) ** 2) - 1,
        "logistic": lambda y, f: softplus(f) - y * f,
        "poisson": lambda y, f: xp.exp(f) - y * f,
    }[name]


def contenders(name: str) -> dict[str, Callable[[], gbo.Loss]]:
    """What makes the loss, by the name of the way."""
    closed, formula, _, options = LOSSES[name]
    ways: dict[str, Callable[[], gbo.Loss]] = {
        "closed form": lambda: closed,
        "from_expression": partial(gbo.from_expression, formula, **options),
    }
    for backend in ("jax", "torch"):
        if importlib.util.find_spec(backend) is not None:
            # Imported here, so that no first call has to.
            value = value_of(name, backend)
            ways[f"from_value, {backend}"] = partial(
                gbo.from_value, value, backend=backend, **options
            )
    return ways


def rows_of(name: str, n: int, dtype: Any) -> tuple[np.ndarray, np.ndarray]:
    """Labels as the libraries store them, and raw predictions."""
    rng = np.random.default_rng(0)
    f = rng.normal(size=n).astype(dtype)
    drawn = {"logistic": lambda: rng.integers(0, 2, n), "poisson": lambda: rng.poisson(1.0, n)}
    y = drawn.get(name, lambda: f + 2 * rng.normal(size=n))()
    return y.astype(np.float32), f


def measure(name: str, n: int, dtype: str, repeats: int, threads: int) -> list[list[Any]]:
    """A row of the table for each way."""
    y, f = rows_of(name, n, DTYPES[dtype])
    calls, first = {}, {}
    for way, make in contenders(name).items():
        start = time.perf_counter()
        objective = gbo.Objective(make(), LOSSES[name][2], None, threads)
        calls[way] = partial(objective.gradient_hessian, y, f)
        calls[way]()
        first[way] = time.perf_counter() - start
    wall = {way: [x.wall for x in taken] for way, taken in in_turn(calls, repeats).items()}
    return [
        [
            name, dtype, way, f"{1e9 * min(seconds) / n:.1f}",
            f"{median_ratio(seconds, wall['closed form']):.2f}", f"{first[way]:.2f}",
        ]
        for way, seconds in wall.items()
    ]  # fmt: skip


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--repeats", type=int, default=15)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--dtypes", nargs="+", choices=list(DTYPES), default=list(DTYPES))
    options = parser.parse_args(argv)
    columns = ("loss", "dtype", "made by", "ns a row", "times closed form", "first call, s")
    rows: list[list[Any]] = []
    for name in LOSSES:
        for dtype in options.dtypes:
            rows += measure(name, options.rows, dtype, options.repeats, options.threads)
    print(f"{options.rows:,} rows, {options.threads} thread(s), {processor()}\n")
    print(table(columns, rows))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
