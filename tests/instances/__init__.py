"""The one list of losses under test, each with its formula written naively for mpmath.

`value(loss, y, f)` is the value of a row; of a whole batch for losses whose rows see each
other, where y and f are lists. Precision makes up for stability: 200 digits hold e^-100
next to 1, twice differentiated.
"""

from collections.abc import Callable
from typing import Any

import mpmath
import numpy as np
from mpmath import mp, mpf

import gbobjectives as gbo
from gbobjectives.testing.samples import draw_labels
from tests.instances import (
    amounts,
    asymmetric,
    binary,
    binary_variants,
    composed,
    coupled,
    hinge,
    multiclass,
    multiclass_variants,
    quantile,
    ranking,
    regression,
    relative,
    robust,
    sequences,
    several,
)
from tests.instances.instance import Instance as Instance
from tests.instances.instance import labels as labels

DIGITS = 200

INSTANCES = [
    instance
    for family in (
        regression,
        robust,
        quantile,
        asymmetric,
        relative,
        amounts,
        binary,
        hinge,
        binary_variants,
        multiclass,
        multiclass_variants,
        several,
        sequences,
        coupled,
        ranking,
        composed,
    )
    for instance in family.INSTANCES
]


def _both_signs(*sizes: float) -> list[float]:
    return [0.0, *(s * x for x in sizes for s in (1, -1))]


def marked_points(instance: Instance) -> list[tuple[Any, Any]]:
    """Labels and raw predictions at which derivatives are compared, off the kinks.

    Of a loss whose rows see each other, whole batches.
    """
    loss, rng = instance.loss, np.random.default_rng(3)
    if instance.points is not None:
        return instance.points(instance.resolved())
    if not instance.by_rows:
        batches = [
            (draw_labels(loss, rng, 7), s * rng.normal(size=7)) for s in (0.1, 1.0, 4.0, 9.0)
        ]
        return [(y, f) for y, f in batches if len(set(y)) > 1]
    if loss.link.name == "identity":
        delta = getattr(instance.resolved(), "delta", 1.0)
        far = _both_signs(1e-8, 1e-3, 0.3, 0.97, 1.03, 3.0, 12.0, 60.0, 1e4, 1e6)
        return [(y, y + u * delta) for y in (0.0, 0.3, -40.0 * delta) for u in far]
    if loss.link.name == "log":
        scores = [-300.0, -30.0, -1.0, 0.0, 0.6, 5.0, 30.0, 60.0]
        return [(y, f) for y in (0.0, 1.0, 7.5) for f in scores]
    if loss.link.name == "softmax":
        k = loss.n_outputs
        spreads = [0.0, 0.1, 1.0, 5.0, 20.0]
        return [(int(rng.integers(k)), s * rng.normal(size=k)) for s in spreads for _ in range(2)]
    scores = _both_signs(1e-6, 0.5, 1.0, 2.5, 5.0, 17.0, 37.0, 50.0, 100.0)
    return [(y, f) for y in (0.0, 1.0, 0.3) for f in scores]


def true_derivatives(instance: Instance, loss: gbo.Loss, y: Any, f: Any) -> tuple[Any, Any]:
    """Gradient and diagonal of the Hessian by mpmath, each a list of one mpf a coordinate.

    Of many classes the first few and the label's; the rest is None.
    """
    n = np.size(f)
    wanted = set(range(n)) if n < 10 else {0, 1, n - 1, n // 2 if np.ndim(y) else int(y)}
    width = np.shape(f)[-1] if np.ndim(f) else 1
    with mp.workdps(DIGITS):
        y_mp = [mpf(float(x)) for x in y] if np.ndim(y) else mpf(float(y))
        f_mp = [mpf(float(x)) for x in np.ravel(f)]

        def along(i: int) -> Callable[[Any], Any]:
            def value(t: Any) -> Any:
                moved = [*f_mp[:i], t, *f_mp[i + 1 :]]
                if np.ndim(f) == 2:
                    moved = [moved[j : j + width] for j in range(0, n, width)]
                return instance.value(loss, y_mp, moved if np.ndim(f) else moved[0])

            return value

        first, second = (
            [mpmath.diff(along(i), f_mp[i], order) if i in wanted else None for i in range(n)]
            for order in (1, 2)
        )
    return first, second


def relative_error(got: Any, true: Any, dtype: Any, natural: Any = 0.0) -> float:
    """Largest error relative to the true number, or to a natural scale where that is given.

    What underflows in the dtype, before it is weighted, or drowns in the rounding of mpmath counts
    as 0.
    """
    errors = [0.0]
    tiny = max(100 * float(np.finfo(dtype).tiny), 1e-150)
    scales = np.broadcast_to(natural, np.shape(np.atleast_1d(got)))
    with mp.workdps(30):
        for a, b, s in zip(np.atleast_1d(got), true, scales, strict=True):
            error = abs(mpf(float(a)) - b) if b is not None else 0
            if error > tiny:
                errors.append(float(error / max(abs(b), mpf(float(s)), mpf(tiny))))
    return max(errors)


def derivative_errors(instance: Instance, dtype: Any) -> tuple[float, float]:
    """Largest relative error of gradient and Hessian over the marked points."""
    loss = instance.resolved()
    worst = [0.0, 0.0]
    for y, f in marked_points(instance):
        # What the dtype can hold of the inputs is the true input.
        f = np.asarray(f, dtype=dtype)
        y = np.asarray(y, dtype=dtype if np.asarray(y).dtype.kind == "f" else None)
        batch = (y, f) if not instance.by_rows else (y[None], f[None])
        truth = true_derivatives(instance, loss, y, f)
        # Signs change only in nonconvex Hessians, and where pulls cancel in a gradient.
        with np.errstate(under="ignore"):
            pull = loss.curvature(*batch, "safe").ravel()
        for i, kernel in enumerate((loss.gradient, loss.hessian)):
            got = kernel(*batch).ravel()
            natural = pull if i == 1 and not loss.convex else 0.0
            worst[i] = max(worst[i], relative_error(got, truth[i], dtype, natural))
    return worst[0], worst[1]
