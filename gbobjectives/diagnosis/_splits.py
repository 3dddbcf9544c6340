"""Parameters of the library that the sums of the derivatives never reach."""

from collections.abc import Iterator

import numpy as np

from gbobjectives.adapters._parameters import limit
from gbobjectives.diagnosis._finding import Finding, Subject, percent, rounded

# A leaf that needs more of the rows than this can tell few of them apart.
LARGE_LEAF = 0.05

# Rows that a leaf is to hold at least where a limit is set anew: LightGBM's own default.
LEAF_ROWS = 20

# Rounds after which a model is expected to have come most of its way.
MANY_ROUNDS = 100

# XGBoost takes no split of a smaller gain, whatever its parameters; LightGBM takes any above 0.
SMALLEST_GAIN = {"xgboost": 1e-6, "lightgbm": 0.0}

# Gains of all splits together, over the smallest of one, below which much is left undone.
NEGLIGIBLE = 1e4

# Weights far from a mean of 1 change what every limit on sums means.
MEAN_WEIGHT = (1e-2, 1e2)


def splits(s: Subject) -> Iterator[Finding]:
    """Where no tree could split, or no leaf step."""
    yield from _too_few_rows(s)
    yield from _curvature(s)
    yield from _gain(s)
    yield from _l1(s)
    yield from _l2(s)
    yield from _max_step(s)
    yield from _weights(s)


def _too_few_rows(s: Subject) -> Iterator[Finding]:
    if s.library != "lightgbm":
        return
    least, n = limit(s.library, s.params, "min_rows"), len(s.live)
    if n < 2 * least.value:
        yield Finding(
            "error",
            "too few rows to split",
            f"{n:,} rows, and a split needs {2 * least.value:g}: {least} in each of two leaves; "
            "no tree can split",
            f"set {least.name} to at most {max(1, n // 10)}",
            {"rows": n, "needed": 2 * least.value},
        )


def _curvature(s: Subject) -> Iterator[Finding]:
    """Two leaves share the sum: one of them has no more than half."""
    least = limit(s.library, s.params, "min_hessian")
    sums, n = s.statistics.curvature, s.statistics.n_rows
    # XGBoost 3.2 looks at the node that is split where a tree has all outputs, not at its leaves.
    vector = s.library == "xgboost" and s.params.get("multi_strategy") == "multi_output_tree"
    leaves, where = (1, "for each output") if vector else (2, "in each of two leaves")
    barred = (sums < leaves * least.value) | (sums == 0)
    # What lets a leaf hold this many rows of mean curvature.
    per_row = min(LEAF_ROWS, max(1, n // 10)) / n
    if barred.all() or (barred.any() and not vector):
        largest = float(sums[barred].max())
        some = not barred.all()
        outputs = ", ".join(map(str, np.flatnonzero(barred)[:5]))
        yield Finding(
            "warning" if some else "error",
            "no split possible for some outputs" if some else "no split possible",
            f"the curvature{f' of output {outputs}' if some else ''} sums to {largest:.3g} over "
            f"all rows, and a split needs {leaves * least.value:.3g}: {least} {where}; "
            + ("their trees cannot split" if some else "no tree can split"),
            _remedy(s, least.name, largest * per_row),
            {"sum": largest, "needed": leaves * least.value},
        )
    elif not barred.any() and (needed := least.value * n / float(sums.min())) > _many(n):
        yield Finding(
            "warning",
            "large leaves only",
            f"{least} asks for {needed:,.0f} rows of mean curvature in each leaf, "
            f"{percent(needed / n)} of all",
            _remedy(s, least.name, float(sums.min()) * per_row),
            {"rows": needed, "share": needed / n},
        )


def _many(n: int) -> float:
    return max(LARGE_LEAF * n, LEAF_ROWS)


def _remedy(s: Subject, name: str, value: float) -> str:
    """The limit that lets leaves be small; or the unit, where that is the cause."""
    if value <= 0:
        return 'use Objective(loss, curvature="auto"): no curvature is positive'
    causes = []
    if s.weights.sum() < MEAN_WEIGHT[0] * s.statistics.n_rows:
        causes.append("divide the weights by their mean")
    if s.loss.normalised and s.objective.scale != "auto":
        causes.append('use Objective(loss, scale="auto")')
    return ", or ".join([*causes, f"set {name} to {rounded(value)}"])


def _gain(s: Subject) -> Iterator[Finding]:
    least, most = limit(s.library, s.params, "min_gain"), float(s.statistics.gain.max())
    smallest = SMALLEST_GAIN[s.library]
    if most < least.value:
        yield Finding(
            "error",
            "no split worth its price",
            f"all splits together can gain no more than {most:.3g}, and {least}: each is refused",
            f"set {least.name} to 0, or to a small share of {most:.2g}: it is in units of the "
            "objective, for a residual loss the square of those of y",
            {"most": most, "needed": least.value},
        )
    elif 0 < most < NEGLIGIBLE * smallest:
        certain = most <= smallest
        yield Finding(
            "error" if certain else "warning",
            "gains too small",
            f"{s.library} makes no split that gains less than {smallest:g}, and all splits "
            f"together can gain no more than {most:.3g}"
            + (": each is refused" if certain else ": training stops short"),
            _larger(s, most),
            {"most": most, "needed": smallest},
        )


def _larger(s: Subject, most: float) -> str:
    """What brings the gain to about 1 a row."""
    if s.weights.sum() < MEAN_WEIGHT[0] * s.statistics.n_rows:
        return "divide the weights by their mean"
    factor = s.statistics.n_rows / most
    if s.residuals is None:
        return f"use Objective(loss, scale={10.0 ** -round(np.log10(factor)):g})"
    return f"multiply the labels by {10.0 ** round(np.log10(factor) / 2):g}"


def _l1(s: Subject) -> Iterator[Finding]:
    penalty = limit(s.library, s.params, "l1")
    most = float(max(s.statistics.pull_up.max(), s.statistics.pull_down.max()))
    if 0 < penalty.value >= most:
        yield Finding(
            "error",
            "every step cut to 0",
            f"no leaf can have gradients that sum to more than {most:.3g}, and {penalty}: every "
            "leaf is 0",
            f"set {penalty.name} to 0, or well below {most:.2g}: it is in units of the gradient",
            {"most": most, "penalty": penalty.value},
        )


def _l2(s: Subject) -> Iterator[Finding]:
    penalty = limit(s.library, s.params, "l2")
    most = float(s.statistics.curvature.max())
    if 0 < most <= penalty.value:
        yield Finding(
            "warning",
            "steps shortened by half or more",
            f"the curvature sums to {most:.3g} over all rows, and {penalty}: even a leaf of all "
            f"of them goes only {percent(most / (most + penalty.value))} of its way",
            _remedy(s, penalty.name, most / s.statistics.n_rows),
            {"sum": most, "penalty": penalty.value},
        )


def _max_step(s: Subject) -> Iterator[Finding]:
    longest, rate = limit(s.library, s.params, "max_step"), limit(s.library, s.params, "rate")
    if longest.value <= 0 or rate.value <= 0:
        return
    rounds = s.statistics.reach / (longest.value * rate.value)
    if np.isfinite(rounds) and rounds > MANY_ROUNDS:
        yield Finding(
            "warning",
            "short steps",
            f"one row in ten is {s.statistics.reach:.3g} or more from where it would go, and "
            f"{longest} with {rate} takes {rounds:,.0f} rounds for that",
            f"set {longest.name} to 0: it is in units of the raw prediction, and the curvature "
            "bounds the steps already",
            {"distance": s.statistics.reach, "rounds": rounds},
        )


def _weights(s: Subject) -> Iterator[Finding]:
    mean = float(s.weights.sum()) / s.statistics.n_rows
    if not MEAN_WEIGHT[0] <= mean <= MEAN_WEIGHT[1]:
        names = [limit(s.library, s.params, what).name for what in ("min_hessian", "l2")]
        yield Finding(
            "warning",
            "weights far from 1",
            f"the weights average {mean:.3g}; {names[0]} and {names[1]} are compared with sums of "
            "weighted curvatures",
            "divide the weights by their mean",
            {"mean": mean},
        )
