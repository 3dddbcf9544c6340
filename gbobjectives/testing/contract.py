"""What every loss owes, continued: weights, order, intercept, round trips, input, blocks."""

import copy
import json
import pickle
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from typing import Any, Literal

import numpy as np

from gbobjectives._numerics import Array
from gbobjectives.autodiff import ValueLoss
from gbobjectives.expressions import ExpressionLoss
from gbobjectives.losses import LOSSES, get_loss
from gbobjectives.losses.classes import EffectiveNumber
from gbobjectives.objective import Objective
from gbobjectives.parallel import MIN_PARALLEL_ENTRIES
from gbobjectives.testing.checks import Problems
from gbobjectives.testing.samples import Case, Generator, has_classes

SCALES: tuple[Literal["auto"] | None, ...] = (None, "auto")


def _differ(what: str, got: Any, want: Any, rtol: float, atol: float = 0.0) -> Problems:
    got, want = np.asarray(got, dtype=np.float64), np.asarray(want, dtype=np.float64)
    if got.shape != want.shape:
        yield f"{what}: shape {got.shape} where {want.shape} is expected"
        return
    bad = ~(np.abs(got - want) <= rtol * np.maximum(np.abs(got), np.abs(want)) + atol)
    if bad.any():
        at = tuple(int(i) for i in np.argwhere(bad)[0])
        yield (
            f"{what}: {got[at]:.9g} where {want[at]:.9g} is expected, at row {at or 0}; "
            f"{int(bad.sum())} of {bad.size} entries"
        )


def _rounding(case: Case, y: Array, f: Array, group: Any) -> float:
    """Absolute size of what rounding may do to a gradient."""
    g = case.loss.gradient(y, f, group=group)
    return 1e-11 * float(np.abs(g).max())


# ---- weights -------------------------------------------------------------------------------


def _repeated(case: Case, rng: Generator) -> tuple[Any, Any, Any, Any, Array, Any]:
    """Rows, small integer weights, groups; and the rows that the weights stand for."""
    n = 60
    y, f = case.rows(rng, n)
    group = case.groups(rng, n)
    w = rng.integers(0, 4, n)
    if case.repeats_groups and group is not None:
        # Rows have places in a group: whole groups are repeated, or left out.
        times = rng.integers(0, 3, len(group))
        times[0] = 2
        parts = np.split(np.arange(n), np.cumsum(group)[:-1])
        kept = np.concatenate(
            [part for part, k in zip(parts, times, strict=True) for _ in range(k)]
        )
        return y, f, np.repeat(times, group), group, kept, np.repeat(group, times)
    if group is not None:
        # Every group keeps a row.
        w[np.concatenate([[0], np.cumsum(group)[:-1]])] = 2
    kept = np.repeat(np.arange(n), w)
    ids = None if group is None else np.repeat(np.arange(len(group)), group)[kept]
    sizes = None if ids is None else np.bincount(ids)
    return y, f, w, group, kept, sizes


def weighted_mean(case: Case) -> Problems:
    """Weight k is the row k times, weight 0 is no row: for the loss and for its metric."""
    y, f, w, group, kept, sizes = _repeated(case, case.rng())
    for what, mean in (("loss", case.loss), ("metric_value", case.loss.metric_value)):
        got, want = mean(y, f, w, group), mean(y[kept], f[kept], None, sizes)
        yield from _differ(
            f"{what} of weighted rows against repeated ones", got, want, 1e-11, 1e-14
        )
        per_entry = case.loss.value(y, f, np.ones(len(f)), group)
        if what == "loss" and case.by_rows:
            average = np.average(per_entry, weights=w)
            yield from _differ(
                "loss against the weighted mean of value", got, average, 1e-11, 1e-14
            )


def weighted_objective(case: Case) -> Problems:
    """An objective gives a row of weight k the derivatives of k rows, of weight 0 none."""
    y, f, w, group, kept, sizes = _repeated(case, case.rng())
    for name in ("safe", "auto", "exact"):
        # The exact diagonal of rows that see each other does not add up: copies of a row have
        # second derivatives with respect to each other.
        if name not in case.loss.rules or (name == "exact" and not case.by_rows):
            continue
        for scale in SCALES:
            objective = Objective(case.loss, name, scale)
            once = objective.gradient_hessian(y[kept], f[kept], None, sizes)
            both = objective.gradient_hessian(y, f, w, group)
            for what, got, single in zip(("g", "h"), both, once, strict=True):
                total = np.zeros(got.shape)
                np.add.at(total, kept, single)
                atol = 1e-6 * float(np.abs(total).max())
                label = f"{what} of an objective (curvature {name!r}, scale {scale!r}), weighted"
                yield from _differ(label, got, total, 1e-5, atol)
                if np.any(got[w == 0] != 0):
                    yield f"{label}: a row of weight 0 has {what} other than 0"


def permutation(case: Case) -> Problems:
    """Rows in another order give the same results in that order; groups likewise."""
    loss, rng = case.loss, case.rng()
    n = 80
    y, f = case.rows(rng, n)
    w, group = rng.uniform(0.5, 2, n), case.groups(rng, n)
    if group is None:
        order, sizes, group_order = rng.permutation(n), None, None
    else:
        group_order, starts = rng.permutation(len(group)), np.cumsum(group) - group
        within = np.arange if case.positional else rng.permutation
        order = np.concatenate([starts[i] + within(group[i]) for i in group_order])
        w = case.of_groups(w, group)
        sizes = group[group_order]
    atol = _rounding(case, y, f, group)
    functions: dict[str, Callable[..., Array]] = {
        "gradient": loss.gradient,
        "hessian": loss.hessian,
    }
    if "safe" in loss.rules:
        functions["curvature"] = lambda y, f, w, group: loss.curvature(y, f, "safe", w, group)
    for what, function in functions.items():
        got = function(y[order], f[order], w[order], sizes)
        want = function(y, f, w, group)[order]
        yield from _differ(f"{what} of permuted rows", got, want, 1e-11, atol)
    values = loss.value(y, f, w, group)
    moved = loss.value(y[order], f[order], w[order], sizes)
    values = values[order if group_order is None else group_order]
    yield from _differ("value of permuted rows", moved, values, 1e-11, 1e-14)
    means = loss(y[order], f[order], w[order], sizes), loss(y, f, w, group)
    yield from _differ("mean of permuted rows", *means, 1e-11, 1e-14)


# ---- intercept and link --------------------------------------------------------------------


def intercept(case: Case) -> Problems:
    """No constant does better by the loss's own metric; weights count."""
    loss, rng = case.loss, case.rng()
    k = loss.n_outputs
    y, f = case.rows(rng, 81)
    # An intercept knows no groups, of which repeated rows are none.
    w = np.ones(len(y), dtype=int) if case.positional else rng.integers(0, 4, len(y))
    kept = np.repeat(np.arange(len(y)), w)
    for given in (case.given, loss):
        found = given.intercept(y, w)
        if found.shape != (k,) or found.dtype != np.float64 or not np.isfinite(found).all():
            yield f"intercept must be {k} finite float64 number(s); got {found!r}"
            return
    # Compared by what they score: several constants may be equally good.
    once, twice = (
        loss.metric_value(y, f * 0 + (c if k > 1 else c[0]), w)
        for c in (loss.intercept(y, w), loss.intercept(y[kept]))
    )
    yield from _differ("score of the intercept of weighted rows", once, twice, 1e-7, 1e-13)
    # Where badly wrong rows lose their gradient the best constant may lie at infinity.
    if loss.redescending:
        return
    for offset in (None, f):
        base = np.zeros_like(f) if offset is None else offset
        best = loss.intercept(y, w, offset)
        score = loss.metric_value(y, base + (best if k > 1 else best[0]), w)
        for other in _other_constants(case, best, y, rng):
            moved = loss.metric_value(y, base + (other if k > 1 else other[0]), w)
            if moved < score - 1e-7 * abs(score) - 1e-13:
                yield (
                    f"intercept {best} scores {score:.9g}, and the constant {other} is better: "
                    f"{moved:.9g}{'' if offset is None else ' (with an offset)'}"
                )
                break


def _other_constants(case: Case, best: Array, y: Array, rng: Generator) -> Iterator[Array]:
    for step in case.scale * 10.0 ** np.arange(-3, 1.6, 0.5):
        for sign in (1, -1):
            for output in range(len(best)):
                moved = best.copy()
                moved[output] += sign * step
                yield moved
            yield best + step * rng.normal(size=len(best))
    if len(best) == 1 and case.loss.link.name == "identity" and y.ndim == 1:
        yield from np.quantile(y, np.linspace(0, 1, 21))[:, None]


def response(case: Case) -> Problems:
    """Predictions lie in the closure of the link's range."""
    for far in (False, True):
        _, f = case.rows(case.rng(), 200, far)
        y_pred, allowed = case.loss.predict(f), case.loss.link.range
        if y_pred.shape != f.shape:
            yield f"predict of shape {f.shape} has shape {y_pred.shape}"
        if not np.all((y_pred >= allowed.low) & (y_pred <= allowed.high)):
            yield f"predict leaves {allowed}: {y_pred.min():g} to {y_pred.max():g}"


# ---- round trips ---------------------------------------------------------------------------


def round_trips(case: Case) -> Problems:
    """repr, ==, hash, pickle, copy and the JSON spec all bring the same loss back."""
    for loss in (case.given, case.loss):
        cls = type(loss)
        known: tuple[Any, ...] = (*LOSSES.values(), ValueLoss, ExpressionLoss, cls)
        names: dict[str, Any] = {c.__name__: c for c in known}
        names |= {"inf": np.inf, "nan": np.nan, "EffectiveNumber": EffectiveNumber}
        spec = json.loads(json.dumps(loss.spec()))
        brought_back = {
            "eval(repr(loss))": _evaluated(loss, names),
            "pickle": pickle.loads(pickle.dumps(loss)),
            "copy": copy.copy(loss),
            "deepcopy": copy.deepcopy(loss),
        }
        if LOSSES.get(loss.name) is cls:
            brought_back["get_loss(spec)"] = get_loss(spec)
        for way, back in brought_back.items():
            if back != loss or type(back) is not cls or hash(back) != hash(loss):
                yield f"{way} gives {back!r} for {loss!r}"


def _evaluated(loss: Any, names: dict[str, Any]) -> Any:
    """What the repr says; it names bound targets, and does not spell them out."""
    if loss.targets is None:
        return eval(repr(loss), names)
    return eval(repr(replace(loss, targets=None)), names).bind(loss.targets.values)


# ---- input ---------------------------------------------------------------------------------


def bad_input(case: Case) -> Problems:
    """What is not a label, a score or a weight is refused, in the name of the loss."""
    loss = case.loss
    y, f = case.rows(case.rng(), 5)
    owner = type(loss).__name__
    columns = f[:, None] if f.ndim == 1 else f
    floats = y.astype(float)
    flat, w = y.ndim == 1, np.ones(5)
    outside: list[float] = []
    if loss.targets is not None:
        outside = [-1.0, float(len(loss.targets)), 0.5]
    elif flat and has_classes(loss):
        outside = [-1.0, float(loss.n_classes), 0.5]  # type: ignore[attr-defined]
    elif flat:
        ends = (loss.y_domain.low - 1, loss.y_domain.high + 1)
        outside = [x for x in ends if np.isfinite(x)]
    if loss.ignore_index is not None:
        outside = [x for x in outside if x != loss.ignore_index]
    calls: dict[str, Callable[[], Any]] = {
        "labels of a wrong length": lambda: loss.value(y[:-1], f),
        "no rows": lambda: loss.value(y[:0], f[:0]),
        "a raw prediction too wide": lambda: loss.value(y, np.hstack([columns, columns])),
        "a raw prediction of NaN": lambda: loss.value(y, np.where(np.isnan(f), f, np.nan)),
        "an infinite raw prediction": lambda: loss.gradient(y, np.full_like(f, np.inf)),
        "a negative weight": lambda: loss(y, f, -w),
        "a weight of NaN": lambda: loss(y, f, w * np.nan),
        "weights that are all 0": lambda: loss(y, f, 0 * w),
        "weights of a wrong length": lambda: loss(y, f, w[:-1]),
        "groups that do not add up": lambda: loss.value(y, f, group=[2, 2]),
        "an unknown curvature": lambda: loss.curvature(y, f, "no such rule"),
        "text as labels": lambda: loss.value(["a"] * 5, f),
        "a label of NaN": lambda: loss.value(np.full_like(floats, np.nan), f),
    }
    if flat:
        calls["labels of shape (n, 1)"] = lambda: loss.value(y[:, None], f)
    for label in outside:
        calls[f"the label {label:g}"] = partial(loss.value, np.full(5, label), f)
    for what, call in calls.items():
        try:
            call()
        except (ValueError, TypeError) as error:
            if not str(error).startswith(owner):
                yield f"{what}: the error does not begin with {owner}: {error}"
        else:
            yield f"{what} was accepted"


# ---- blocks --------------------------------------------------------------------------------


def blocks(case: Case) -> Problems:
    """Results do not depend on how rows are cut into blocks, nor on the number of threads."""
    loss, rng = case.loss, case.rng()
    n = int(1.5 * MIN_PARALLEL_ENTRIES) // loss.n_outputs
    if case.labels_of_groups:
        # Whole copies of the groups below.
        n = 500 * (n // 500)
    y, f = (np.tile(x, (n // 500 + 1, *(1,) * (x.ndim - 1)))[:n] for x in case.rows(rng, 500))
    w = rng.uniform(0.5, 2, n)
    group = (
        None if case.by_rows else np.concatenate([np.full(n // 50, 50), [n % 50] * (n % 50 > 0)])
    )
    if case.labels_of_groups:
        group = np.tile(np.asarray(case.groups(rng, 500)), n // 500)
        w = case.of_groups(w, group)
    one, two = (
        Objective(case.loss, "auto" if "auto" in loss.rules else "exact", n_threads=threads)
        for threads in (1, 2)
    )
    results = [x.gradient_hessian(y, f, w, group) for x in (one, two)]
    for what, a, b in zip(("g", "h"), *results, strict=True):
        if not np.array_equal(a, b):
            yield f"{what} of an objective differs between one thread and two"
    if not case.by_rows:
        return
    cut = n // 2 + 13
    for what in ("value", "gradient", "hessian"):
        function: Callable[..., Array] = getattr(loss, what)
        halves = np.concatenate([function(y[:cut], f[:cut]), function(y[cut:], f[cut:])])
        if not np.array_equal(halves, function(y, f)):
            yield f"{what} of two halves is not that of the whole, bit for bit"


def inputs_untouched(case: Case) -> Problems:
    """Inputs are only read, whatever their memory layout and dtype."""
    loss, rng = case.loss, case.rng()
    y, f = case.rows(rng, 40)
    w, group = np.ones(40), case.groups(rng, 40)
    want = {x: getattr(loss, x)(y, f, w, group) for x in ("value", "gradient", "hessian")}
    for array in (y, f, w):
        array.setflags(write=False)
    strided = np.repeat(f, 2, axis=0)[::2], np.repeat(y, 2, axis=0)[::2]
    layouts = {
        "read-only": (y, f),
        "strided": (strided[1], strided[0]),
        "Fortran-ordered": (y, np.asfortranarray(f)),
        "big-endian": (y, f.astype(">f8")),
        "list": (y.tolist(), f.tolist()),
    }
    for layout, (labels, scores) in layouts.items():
        for what, expected in want.items():
            got = getattr(loss, what)(labels, scores, w, group)
            yield from _differ(f"{what} of {layout} input", got, expected, 1e-11, 1e-14)
        loss(labels, scores, w, group)
        loss.intercept(labels, w)
        if "safe" in loss.rules:
            loss.curvature(labels, scores, "safe", w, group)
