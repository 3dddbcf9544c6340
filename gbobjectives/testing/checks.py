"""What every loss owes, one function a promise: derivatives, precision, finiteness, curvature.

A check yields a line for each way in which the loss breaks the promise.
"""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np

from gbobjectives._numerics import Array
from gbobjectives.curvature import TINY
from gbobjectives.testing.samples import EXTREMES, MAGNITUDES, Case, around, is_residual

Problems = Iterator[str]
Function = Callable[..., Array]

EPS, EPS32 = float(np.finfo(np.float64).eps), float(np.finfo(np.float32).eps)

# Steps of the differences, in units of the loss: a coarse one, and one for a loss that bends
# sharply. A loss is right if it agrees with either.
STEPS = (2.0**-10, 2.0**-15)

# No score of the far points leads an honest value here and its gradient not.
HUGE = 1e150

# A row whose value and gradient are both beyond this may have saturated in float32.
LARGE = 1e24

# Above this share of the largest number a kernel may have saturated.
HEAD_ROOM = 2.0**-24


def worst(
    what: str, error: Array, allowed: Array, y: Array, f: Array, got: Array, want: Array
) -> Problems:
    """One line on the entry that is furthest beyond what is allowed, if any is."""
    bad = ~(error <= allowed)
    if not bad.any():
        return
    with np.errstate(divide="ignore", invalid="ignore"):
        excess = np.where(bad, error / np.maximum(allowed, TINY), -1)
    at = np.unravel_index(int(np.argmax(np.where(np.isnan(excess), np.inf, excess))), bad.shape)
    row = at[0]
    yield (
        f"{what}: {got[at]:.9g} where {want[at]:.9g} is expected, off by {error[at]:.3g}, "
        f"allowed {allowed[at]:.3g}, at row {row} (y_true {y[row]}, raw_prediction {f[row]}); "
        f"{int(bad.sum())} of {bad.size} entries"
    )


def facts(case: Case) -> Problems:
    """The class says what it is."""
    loss, cls = case.given, type(case.given)
    if not (cls.__doc__ or "").strip() or (cls.__doc__ or "").startswith(f"{cls.__name__}("):
        yield "the class has no docstring"
    for fact in ("name", "metric_name"):
        if not isinstance(getattr(loss, fact), str) or not getattr(loss, fact):
            yield f"{fact} must be a name; got {getattr(loss, fact)!r}"
    if not isinstance(loss.n_outputs, int) or loss.n_outputs < 1:
        yield f"n_outputs must be a positive integer; got {loss.n_outputs!r}"
    if not case.loss.resolved:
        yield "resolve left a parameter that is no number"
    if not isinstance(case.loss.convex, bool) or not isinstance(case.loss.redescending, bool):
        yield "convex and redescending must be True or False"


# ---- derivatives ---------------------------------------------------------------------------


def quotient_of(samples: Any, h: Any) -> Array:
    """Derivative in the middle of samples at -2h, -h, h and 2h, exact to fourth order."""
    a, b, c, d = samples
    result: Array = (8 * (c - b) - (d - a)) / (12 * h)
    return result


def _differences(
    case: Case, function: Function, y: Array, f: Array, output: int, h: Array
) -> tuple[Array, Array]:
    """Fourth-order difference quotient along one output, and the rounding in it."""
    column = (slice(None), output) if f.ndim == 2 else (slice(None),)
    sampled = []
    for k in (-2, -1, 1, 2):
        moved = f.copy()
        moved[column] += k * h
        sampled.append(function(y, moved))
    quotient = quotient_of(sampled, h)
    size = np.max(np.abs(sampled), axis=0)
    rounding = 32 * EPS * size / h + 16 * EPS * np.abs(f[column]) / h * np.abs(quotient)
    if not is_residual(case.loss):
        # A value may be a difference of terms as large as the score: log(1 + e^f) - y f.
        rounding = rounding + 8 * EPS * np.abs(f).reshape(len(f), -1).max(axis=1) / h
    return quotient, rounding


def _unsaturated(case: Case, y: Array, f: Array, limit: float) -> tuple[Array, Array]:
    """Rows whose value and gradient are not both beyond the limit; the first row if all are."""
    if not case.by_rows:
        return y, f
    g = np.abs(case.loss.gradient(y, f)).reshape(len(f), -1).max(axis=1)
    keep = np.minimum(np.abs(case.loss.value(y, f)), g) < limit
    keep[0] |= not keep.any()
    return y[keep], f[keep]


def _compare(
    case: Case, what: str, function: Function, derivative: Function, natural_of: Function, far: bool
) -> Problems:
    """Differences of one kernel against another, over random rows."""
    rng = case.rng()
    for n in (200, 7):
        y, f = _unsaturated(case, *case.rows(rng, n, far), HUGE)
        n = len(f)
        claimed, natural = derivative(y, f), natural_of(y, f)
        near = np.abs(f - around(y, case.loss)) if is_residual(case.loss) else np.zeros_like(f)
        for output in range(1 if f.ndim == 1 else min(f.shape[1], 4)):
            column = (slice(None), output) if f.ndim == 2 else (slice(None),)
            reach = np.maximum(case.scale, near[column])
            error = np.full(n, np.inf)
            allowed, seen = np.zeros(n), np.zeros(n)
            for step in STEPS:
                # A power of 2, so that f + h loses no bits of h.
                h = 2.0 ** np.floor(np.log2(step * reach + np.zeros(n)))
                quotient, rounding = _differences(case, function, y, f, output, h)
                # A value that overflowed next to an ordinary gradient is no rounding.
                rounding[(rounding > HUGE) & (np.abs(claimed[column]) < HUGE)] = 0
                now = np.abs(quotient - claimed[column])
                limit = 1e-7 * np.abs(claimed[column]) + 1e-9 * natural[column] + rounding
                better = now * np.maximum(allowed, TINY) < error * np.maximum(limit, TINY)
                better |= np.isinf(error)
                error = np.where(better, now, error)
                allowed, seen = np.where(better, limit, allowed), np.where(better, quotient, seen)
            smooth = np.ones(n, dtype=bool)
            for kink in case.loss.kinks(y, f):
                # A step of -2h to 2h, h of a power of 2 below the reach.
                smooth &= np.abs((f - kink)[column]) > 4 * STEPS[0] * reach
            error = np.where(smooth, error, 0.0)
            yield from worst(what, error, allowed, y, f, claimed[column], seen)


def row_derivatives(case: Case, far: bool = False) -> Problems:
    """Gradient is the derivative of value, hessian that of gradient, row by row."""
    loss, scale = case.loss, case.scale
    yield from _compare(
        case,
        "gradient against differences of value",
        loss.value,
        loss.gradient,
        lambda y, f: case.natural(y, f) * scale,
        far,
    )
    for output in range(1 if loss.n_outputs == 1 else min(loss.n_outputs, 4)):
        yield from _compare_hessian(case, output, far)


def _compare_hessian(case: Case, output: int, far: bool) -> Problems:
    loss = case.loss
    if loss.n_outputs == 1:
        yield from _compare(
            case,
            "hessian against differences of gradient",
            loss.gradient,
            loss.hessian,
            case.natural,
            far,
        )
        return
    rng = case.rng()
    y, f = case.rows(rng, 200, far)
    claimed = loss.hessian(y, f)[:, output].copy()
    natural = case.natural(y, f)[:, output]
    error, allowed, seen = np.full(len(f), np.inf), np.zeros(len(f)), claimed
    for step in STEPS:
        h = np.full(len(f), step * case.scale)
        quotient, rounding = _differences(
            case, lambda y, f: loss.gradient(y, f)[:, output], y, f, output, h
        )
        now = np.abs(quotient - claimed)
        for kink in loss.kinks(y, f):
            now[np.abs((f - kink)[:, output]) <= 4 * STEPS[0] * case.scale] = 0
        limit = 1e-7 * np.abs(claimed) + 1e-9 * natural + rounding
        better = now * np.maximum(allowed, TINY) < error * np.maximum(limit, TINY)
        better |= np.isinf(error)
        error, allowed = np.where(better, now, error), np.where(better, limit, allowed)
        seen = np.where(better, quotient, seen)
    what = "hessian against differences of gradient"
    yield from worst(what, error, allowed, y, f, claimed, seen)


# ---- precision and finiteness --------------------------------------------------------------


def single_precision(case: Case) -> Problems:
    """Float32 keeps its dtype and agrees with float64."""
    loss, rng = case.loss, case.rng()
    for far in (False, True):
        y, f = _unsaturated(case, *case.rows(rng, 120, far), LARGE)
        group = case.groups(rng, len(f))
        f32 = f.astype(np.float32)
        # The same numbers in both, so that rounding of the input is no error of the kernel.
        y = y.astype(np.float32) if y.dtype.kind == "f" else y
        wide, f = f32.astype(np.float64), f32
        natural = case.natural(y, wide, group)
        g = loss.gradient(y, wide, group=group)
        pull = np.maximum(np.abs(g), natural * case.scale)
        if not case.by_rows:
            pull = np.maximum(pull, np.abs(g).max())
            natural = np.maximum(natural, np.abs(g).max() / case.scale)
        values = loss.value(y, wide, group=group)
        natural_value = np.abs(values) + min(1.0, case.scale**2)
        if is_residual(loss):
            # A value may be a difference, as that of a quantile is.
            squares = natural * (wide - around(y, loss)) ** 2
            natural_value += squares.reshape(len(values), -1).sum(axis=1)
        kernels: list[tuple[str, Function, Array]] = [
            ("value", loss.value, natural_value),
            ("gradient", loss.gradient, pull),
            ("hessian", loss.hessian, natural),
        ]
        kernels += [
            (f"curvature {rule!r}", partial(loss.curvature, curvature=rule), natural)
            for rule in loss.rules
        ]
        for what, function, size in kernels:
            exact, got = function(y, wide, group=group), function(y, f, group=group)
            if got.dtype != np.float32 or exact.dtype != np.float64:
                yield f"{what} of float32 is {got.dtype}, of float64 {exact.dtype}"
            allowed = 1e-5 * np.maximum(np.abs(exact), size) + TINY
            if is_residual(loss):
                # What rounding of the residual does to a kernel of whatever precision.
                d = 2 * EPS32 * (wide - around(y, loss))
                sides = function(y, wide + d, group=group), function(y, wide - d, group=group)
                allowed += np.abs(sides[0] - sides[1])
            error = np.abs(got - exact)
            # Values of groups have no row of their own.
            ids = np.arange(len(got))
            labels, scores = (y, f) if len(got) == len(f) else (ids, ids)
            yield from worst(f"{what} in float32", error, allowed, labels, scores, got, exact)


def _extreme_rows(case: Case, dtype: Any) -> Iterator[tuple[Array, Array, Array | None]]:
    """Every label of the edges at every extreme raw prediction."""
    k = case.loss.n_outputs
    limit = float(np.finfo(dtype).tiny)
    grid = np.where(np.abs(EXTREMES) < limit, 0, EXTREMES).astype(dtype)
    edges = case.edge_labels()
    y = np.repeat(edges, len(grid), axis=0)
    f = np.tile(grid, len(edges))
    scores = [f]
    if k > 1:
        one, alternating = np.zeros((2, len(f), k), dtype=dtype)
        one[:, 0] = f
        alternating[:] = f[:, None] * (-1.0) ** np.arange(k)
        wide = (one, one[:, ::-1], alternating, np.repeat(f[:, None], k, axis=1))
        scores = [np.ascontiguousarray(x) for x in wide]
    order = case.rng().permutation(len(f))
    sizes = case.groups(case.rng(), len(f))
    for x in scores:
        yield y, x, None
        if not case.by_rows and not case.labels_of_groups:
            yield y[order], x[order], None
            yield y, x, sizes
            yield y[order], x[order], sizes


def finite(case: Case) -> Problems:
    """Value, gradient, hessian and curvature are finite for raw predictions up to 1e30."""
    loss = case.loss
    for dtype in (np.float32, np.float64):
        for y, f, group in _extreme_rows(case, dtype):
            kernels: dict[str, Function] = {
                "value": loss.value,
                "gradient": loss.gradient,
                "hessian": loss.hessian,
            }
            for rule in loss.rules:
                kernels[f"curvature {rule!r}"] = lambda y, f, group, rule=rule: loss.curvature(
                    y, f, rule, group=group
                )
            for what, function in kernels.items():
                got = function(y, f, group=group)
                bad = ~np.isfinite(got)
                if bad.any():
                    i = int(np.argwhere(bad)[0][0])
                    where = f"y_true {y[i]}, raw_prediction {f[i]}" if len(got) == len(f) else ""
                    yield (
                        f"{what} in {np.dtype(dtype)} is {got[bad][0]} at row {i} ({where}); "
                        f"{int(bad.sum())} of {bad.size} entries"
                    )


def slopes(case: Case) -> Problems:
    """A convex value rises between any two points at a rate between its gradients there.

    An overflow that saturates at the largest number would pass for finite; here it does not.
    """
    if not case.loss.convex:
        return
    positive = MAGNITUDES[MAGNITUDES > 1e-4] * case.scale
    grid = np.concatenate([-positive[::-1], [0.0], positive])
    grid = grid[np.abs(grid) <= 1e30]
    for dtype in (np.float32, np.float64):
        top, eps = float(np.finfo(dtype).max), float(np.finfo(dtype).eps)
        for what, f, value, gradient, _ in case.curves(dtype, grid.astype(dtype)):
            t, v, g = (x.astype(np.float64) for x in (f, value, gradient))
            dt, dv = np.diff(t), np.diff(v)
            steep = np.maximum(np.abs(g[:-1]), np.abs(g[1:]))
            small = np.minimum(np.abs(v[:-1]), np.abs(v[1:]))
            large = np.maximum(np.abs(v[:-1]), np.abs(v[1:]))
            with np.errstate(over="ignore"):
                # There is no claim where the gradient has saturated, or a tangent leads out of
                # the dtype. A value that is the largest number although both tangents stay
                # inside has overflowed.
                claimed = (small + dt * steep < top * HEAD_ROOM) & (steep < top * HEAD_ROOM)
                claimed &= np.minimum(steep, large) < (HUGE if dtype is np.float64 else LARGE)
                low, high = dt * g[:-1], dt * g[1:]
                size = large + np.abs(t[1:] * g[1:]) + np.abs(t[:-1] * g[:-1])
                slack = 64 * eps * (size + min(1.0, case.scale**2))
                slack += (1e-6 if dtype is np.float64 else 1e-5) * dt * steep
                error = np.maximum(np.maximum(low - dv, dv - high), 0.0)
            bad = claimed & ~(error <= slack)
            if bad.any():
                i = int(np.flatnonzero(bad)[0])
                yield (
                    f"value in {np.dtype(dtype)} rises by {dv[i]:.6g} from {t[i]:g} to "
                    f"{t[i + 1]:g}, and by its gradients there {low[i]:.6g} to {high[i]:.6g} "
                    f"are possible ({what})"
                )


def wrong_rows(case: Case) -> Problems:
    """A row that moves further in the wrong direction keeps at least half of its gradient."""
    if case.loss.redescending:
        return
    grid = np.concatenate([[0.0], MAGNITUDES[MAGNITUDES > 1e-4] * case.scale])
    for direction in (1.0, -1.0):
        for dtype in (np.float32, np.float64):
            for what, f, _, gradient, smooth in case.curves(
                dtype, (direction * grid).astype(dtype)
            ):
                # On a kink the gradient is one of many.
                f, gradient = f[smooth], gradient[smooth]
                push = np.maximum(gradient.astype(np.float64) * direction, 0.0)
                lost = push < np.maximum.accumulate(push) / 2
                if lost.any():
                    i = int(np.flatnonzero(lost)[0])
                    yield (
                        f"abs(gradient) in {np.dtype(dtype)} falls to {push[i]:.6g} at "
                        f"raw_prediction {f[i]:g}, from {push[:i].max():.6g} nearer to the label; "
                        f"is a probability clipped? ({what})"
                    )
