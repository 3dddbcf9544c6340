"""What gradient and curvature cost a row: ours, naive NumPy, a C kernel, other packages.

All take turns in one run. Labels and weights are float32, as the libraries store them; raw
predictions are float32 (XGBoost's; several outputs side by side) or float64 (LightGBM's; output
by output). "C" is ``kernels.c``, compiled here with -O3 -march=native -ffast-math -fopenmp and
left out where there is no gcc; it computes what ours computes, with parameters given and
``curvature="auto"``, into new arrays as ours does, "C, reused" into arrays that stay. "naive"
computes the same with NumPy expressions over all rows in float64 (``_naive.py``), on one thread.
A loss of one residual is also measured without its division by the mean curvature
(``curvature="safe", scale=None``): "one_pass". Other packages compute the exact second
derivative where ours computes a safe one. A time is the least of the repeats, which others on
the machine disturb least; "extra MB" is the peak of what a call allocates less its results.

Run from the root of a checkout: ``python benchmarks/kernels.py [--n N ...] [--dtypes D ...]
[--losses NAME ...] [--weights on|off ...] [--threads N] [--repeats N] [--no-peers] [--write]``.
"""

import argparse
import ctypes
import itertools
import shutil
import subprocess
import sys
import tempfile
import tracemalloc
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import _naive as naive
import numpy as np
from _measuring import in_turn, processor, table
from _peers import peers_of
from results import versions, write_section

import gbobjectives as gbo

SOURCE = Path(__file__).resolve().parent / "kernels.c"
ONE_PASS = {"curvature": "safe", "scale": None}
DTYPES = {"float32": "float", "float64": "double"}
Rows = tuple[Any, Any, Any]


@dataclass(frozen=True)
class Case:
    """A loss as every contender has it."""

    loss: Any
    kernel: str
    formula: Callable[[Any, Any], naive.Pair]
    parameters: tuple[float, float] = (1.0, 0.0)
    labels: str = "real"
    normalised: bool = False

    def objective(self, threads: int) -> Any:
        """Ours, of default curvature and scale unless one pass is asked for."""
        given = ONE_PASS if self.labels == "real" and not self.normalised else {}
        return gbo.Objective(self.loss, n_threads=threads, **given)

    def naive(self, y: Any, f: Any, w: Any) -> naive.Pair:
        """The same in full-length expressions."""
        pair = self.formula(y, f)
        return naive.weighed(naive.normalised(pair, w) if self.normalised else pair, w)


RESIDUAL = {
    "huber": (gbo.HuberLoss(delta=1.0), naive.huber, 0.0),
    "log_cosh": (gbo.LogCoshLoss(delta=1.0), naive.log_cosh, 0.0),
    "pseudo_huber": (gbo.PseudoHuberLoss(delta=1.0), naive.pseudo_huber, 0.0),
    "quantile": (gbo.QuantileLoss(naive.QUANTILE, delta=1.0), naive.quantile, -0.8),
}
FOCAL = gbo.FocalLoss(gamma=naive.GAMMA, alpha=naive.ALPHA)
TWEEDIE = gbo.TweedieLoss(power=naive.POWER)

CASES = {
    **{
        name: Case(loss, f"{name}_normalised", formula, (1.0, tilt), normalised=True)
        for name, (loss, formula, tilt) in RESIDUAL.items()
    },
    "log_loss": Case(gbo.LogLoss(), "log_loss", naive.log_loss, labels="binary"),
    "focal": Case(FOCAL, "focal", naive.focal, (naive.ALPHA, 0.0), labels="binary"),
    "poisson": Case(gbo.PoissonLoss(), "poisson", naive.poisson, labels="count"),
    "tweedie": Case(TWEEDIE, "tweedie", naive.tweedie, (naive.POWER, 0.0), labels="count"),
    **{
        f"softmax{k}": Case(gbo.CrossEntropyLoss(k), f"softmax{k}", naive.softmax, labels="class")
        for k in (3, 10)
    },
    **{
        f"{name}_one_pass": Case(loss, name, formula, (1.0, tilt))
        for name, (loss, formula, tilt) in RESIDUAL.items()
    },
}

# Rows for which the aims are stated.
AIMED_AT = 1_000_000
TARGETS = [name for name in CASES if not name.endswith("_one_pass")]


def sample(case: Case, n: int, dtype: str, weights: bool) -> Rows:
    """Labels, raw predictions as the library of that dtype lays them out, and weights."""
    rng = np.random.default_rng(0)
    k = case.loss.n_outputs
    f = rng.normal(size=n if k == 1 else (n, k)).astype(dtype)
    y = {
        "real": lambda: rng.standard_t(3, n),
        "binary": lambda: rng.integers(0, 2, n),
        "count": lambda: rng.poisson(1.0, n),
        "class": lambda: rng.integers(0, k, n),
    }[case.labels]()
    w = rng.uniform(0.5, 1.5, n).astype(np.float32) if weights else None
    return y.astype(np.float32), f if dtype == "float32" else np.asfortranarray(f), w


# ---- the C reference ---------------------------------------------------------------------------


def compiled(folder: Path) -> dict[str, ctypes.CDLL]:
    """The library of each dtype; none where there is no compiler."""
    if shutil.which("gcc") is None:
        print("gcc is not found: the C kernels are left out")
        return {}
    made = {}
    for dtype, real in DTYPES.items():
        objects, library = folder / f"{real}.o", folder / f"{real}.so"
        flags = ["-std=gnu11", "-O3", "-march=native", "-ffast-math", "-fopenmp", "-fPIC"]
        compile_it = ["gcc", *flags, f"-DREAL={real}", "-c", str(SOURCE), "-o", str(objects)]
        # Linked without -ffast-math, which would switch off subnormal numbers in all of Python.
        link_it = ["gcc", "-shared", "-fopenmp", str(objects), "-o", str(library), "-lm"]
        for command in (compile_it, link_it):
            done = subprocess.run(command, capture_output=True, text=True)
            if done.returncode:
                print(f"gcc fails, the C kernels are left out: {done.stderr.strip()}")
                return {}
        made[dtype] = ctypes.CDLL(str(library))
    return made


def reference(library: ctypes.CDLL, case: Case, rows: Rows, threads: int) -> Callable[..., Any]:
    """Call of the C kernel on these rows, into new arrays or into those that are given."""
    y, f, w = rows
    first, second = case.parameters
    if case.labels == "class":
        first = float(f.flags.c_contiguous)
    kernel = library[case.kernel]
    kernel.argtypes = [ctypes.c_ssize_t, *[ctypes.c_void_p] * 5, *[ctypes.c_double] * 2]
    kernel.argtypes = [*kernel.argtypes, ctypes.c_int]
    kernel.restype = None

    def call(out: tuple[Any, Any] | None = None) -> tuple[Any, Any]:
        g, h = out or (np.empty_like(f, dtype=np.float32), np.empty_like(f, dtype=np.float32))
        given = [x if x is None else x.ctypes.data for x in (y, f, w, g, h)]
        kernel(len(y), *given, first, second, threads)
        return g, h

    return call


# ---- measuring ---------------------------------------------------------------------------------


def same(name: str, pair: Any, ours: Any) -> None:
    """Refuse to time what computes something else."""
    for what, a, b in zip(("gradient", "curvature"), pair, ours, strict=True):
        # Relative where a number counts; near a zero of the gradient by the size of the others.
        allowed = 1e-4 * np.abs(b) + 1e-6 * np.abs(b).max()
        worst = int(np.argmax(np.abs(a - b) - allowed))
        if np.abs(a - b).ravel()[worst] > allowed.ravel()[worst]:
            there = f"{a.ravel()[worst]:.6g}, ours {b.ravel()[worst]:.6g}"
            raise AssertionError(f"{name}: another {what} at entry {worst}: {there}")


def extra_megabytes(function: Callable[[], Any]) -> float:
    """Peak of what a call allocates, less what it returns."""
    function()
    tracemalloc.start()
    try:
        results = function()
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    return max(0.0, (peak - sum(x.nbytes for x in results)) / 2**20)


@dataclass(frozen=True)
class Line:
    """One line of the table: least seconds of each contender, and peak extra memory."""

    name: str
    dtype: str
    n: int
    weights: bool
    seconds: dict[str, float]
    extra: float

    def nanoseconds(self, contender: str) -> float:
        """Least time a row, NaN for what was not there."""
        return self.seconds.get(contender, float("nan")) * 1e9 / self.n

    def ratio(self, above: str, below: str) -> float:
        """How often one time holds the other, NaN for what was not there."""
        return self.nanoseconds(above) / self.nanoseconds(below)


def measured(
    name: str, dtype: str, n: int, weights: bool, options: argparse.Namespace, library: Any
) -> Line:
    """One line: all contenders in turn, after a check that they compute the same."""
    case = CASES[name]
    rows = y, f, w = sample(case, n, dtype, weights)
    ours = partial(case.objective(options.threads).gradient_hessian, y, f, w)
    wide = [None if x is None else x.astype(np.float64) for x in rows]
    contenders: dict[str, Callable[[], Any]] = {"ours": ours, "naive": partial(case.naive, *wide)}
    same(f"{name}, naive", contenders["naive"](), ours())
    if library is not None:
        call = reference(library, case, rows, options.threads)
        same(f"{name}, C", call(), ours())
        contenders |= {"C": call, "C, reused": partial(call, call())}
    if options.peers and name in TARGETS:
        contenders |= peers_of(case.kernel.removesuffix("_normalised"), y, f, w)
    extra = extra_megabytes(ours)
    # A sample of small calls lasts as long as one of 100,000 rows.
    with np.errstate(all="ignore"):  # of other packages
        taken = in_turn(contenders, options.repeats, calls=max(1, 100_000 // n))
    seconds = {contender: min(x.wall for x in times) for contender, times in taken.items()}
    return Line(name, dtype, n, weights, seconds, extra)


# ---- showing -----------------------------------------------------------------------------------


def number(x: float, digits: int = 2) -> str:
    """The number, or a dash for what was not there."""
    return "-" if np.isnan(x) else f"{x:.{digits}f}"


def shown(lines: list[Line]) -> str:
    """All lines, ns a row."""
    fixed = ("ours", "naive", "C", "C, reused")
    others = dict.fromkeys(name for line in lines for name in line.seconds if name not in fixed)
    contenders = (*fixed, *others)
    columns = ["loss", "dtype", "n", "weights", *contenders, "ours / C", "naive / ours", "extra MB"]
    cells = [
        [
            line.name,
            line.dtype,
            f"{line.n:,}",
            "on" if line.weights else "off",
            *(number(line.nanoseconds(contender)) for contender in contenders),
            number(line.ratio("ours", "C")),
            number(line.ratio("naive", "ours")),
            number(line.extra),
        ]
        for line in lines
    ]
    return table(columns, cells)


def summary(lines: list[Line]) -> str:
    """What is aimed at for float32, beside the worst of all losses, weighted or not."""
    wanted = [line for line in lines if line.name in TARGETS and line.dtype == "float32"]
    sizes = {line.n for line in wanted}
    n = AIMED_AT if AIMED_AT in sizes else max(sizes, default=0)
    rows = []

    def add(what: str, aim: str, n: int, key: Callable[[Line], float], sign: int = 1) -> None:
        of = [line for line in wanted if line.n == n and not np.isnan(key(line))]
        if of:
            worst = max(of, key=lambda line: sign * key(line))
            where = f"{worst.name}{', weights' if worst.weights else ''}"
            rows.append([f"{what}, {n:,} rows", aim, f"{key(worst):.2f}", where])

    def over_c(line: Line) -> float:
        return line.ratio("ours", "C")

    add("ours / C", "at most 3", n, over_c)
    if rows:
        median = np.median([over_c(line) for line in wanted if line.n == n])
        rows.append([f"ours / C, {n:,} rows", "at most 1.5", f"{median:.2f}", "the median"])
    add("naive / ours", "at least 5", n, lambda line: line.ratio("naive", "ours"), -1)
    add("extra MB", "at most 16", n, lambda line: line.extra)
    add("us a call", "under 100", 1000, lambda line: line.nanoseconds("ours"))
    return table(["float32", "aim", "worst", "where"], rows) if rows else ""


def parsed(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--n", nargs="+", type=int, default=[1000, 10**4, 10**5, 10**6, 4 * 10**6])
    parser.add_argument("--dtypes", nargs="+", choices=DTYPES, default=list(DTYPES))
    parser.add_argument("--losses", nargs="+", choices=list(CASES), default=list(CASES))
    parser.add_argument("--weights", nargs="+", choices=("off", "on"), default=["off", "on"])
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=9)
    parser.add_argument("--no-peers", dest="peers", action="store_false")
    parser.add_argument("--write", action="store_true", help="into RESULTS.md")
    return parser.parse_args(arguments)


def main(arguments: list[str] | None = None) -> int:
    options = parsed(arguments)
    with tempfile.TemporaryDirectory() as folder:
        libraries = compiled(Path(folder))
        lines = []
        for n, dtype, name, weights in itertools.product(
            options.n, options.dtypes, options.losses, options.weights
        ):
            given = (name, dtype, n, weights == "on")
            lines.append(measured(*given, options, libraries.get(dtype)))
            if sys.stderr.isatty():
                print(f"{len(lines)}: {name}, {dtype}, {n}", file=sys.stderr)
    text = f"""## Kernels

{versions("jaxboost", "bokbokbok", "gbdtCBL")} {processor()}, {options.threads} threads.

{summary(lines)}

Nanoseconds a row:

{shown(lines)}"""
    print(text)
    if options.write:
        write_section("kernels", text)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
