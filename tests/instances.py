"""The one list of losses under test, each with its formula written naively for mpmath.

`value(loss, y, f)` is the value of a row; of a whole batch for losses whose rows see each
other, where y and f are lists. Precision makes up for stability: 200 digits hold e^-100
next to 1, twice differentiated.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import mpmath
import numpy as np
from mpmath import mp, mpf

import gbobjectives as gbo
from gbobjectives.testing.samples import draw_labels

DIGITS = 200


@dataclass(frozen=True)
class Instance:
    loss: gbo.Loss
    value: Callable[..., Any]

    @property
    def id(self) -> str:
        return repr(self.loss).replace("Loss(", "(")

    @property
    def by_rows(self) -> bool:
        return isinstance(self.loss, gbo.RowLoss)

    def resolved(self) -> gbo.Loss:
        """The loss with numbers: for "auto", those of a fixed sample."""
        y = labels(self, np.random.default_rng(7), 200)
        f = np.zeros(200 if self.loss.n_outputs == 1 else (200, self.loss.n_outputs))
        return self.loss.resolve(y, f)


def squared(loss, y, f):
    return (f - y) ** 2 / 2


def huber(loss, y, f):
    r, delta = abs(f - y), mpf(loss.delta)
    return r**2 / 2 if r <= delta else delta * r - delta**2 / 2


def log_cosh(loss, y, f):
    delta = mpf(loss.delta)
    return delta**2 * mp.log(mp.cosh((f - y) / delta))


def root(loss, y, f):
    delta = mpf(loss.delta)
    return delta**2 * (mp.sqrt(1 + ((f - y) / delta) ** 2) - 1)


def quantile(loss, y, f):
    delta, q = mpf(loss.delta), mpf(loss.quantile)
    u = (f - y) / delta
    return delta**2 * (mp.log(mp.cosh(u)) + (1 - 2 * q) * u)


def poisson(loss, y, f):
    return mp.exp(f) - y * f


def log_loss(loss, y, f):
    s, p = mpf(loss.label_smoothing), 1 / (1 + mp.exp(-f))
    y = y * (1 - s) + s / 2
    return -mpf(loss.pos_weight) * y * mp.log(p) - (1 - y) * mp.log(1 - p)


def focal(loss, y, f):
    p, gamma = 1 / (1 + mp.exp(-f)), mpf(loss.gamma)
    a, b = (1, 1) if loss.alpha is None else (mpf(loss.alpha), 1 - mpf(loss.alpha))
    return -a * y * (1 - p) ** gamma * mp.log(p) - b * (1 - y) * p**gamma * mp.log(1 - p)


def cross_entropy(loss, y, f):
    k, s = loss.n_classes, mpf(loss.label_smoothing)
    total = sum(mp.exp(x) for x in f)
    target = [(1 - s) * (i == int(y)) + s / k for i in range(k)]
    return -sum(t * mp.log(mp.exp(x) / total) for t, x in zip(target, f, strict=True))


def dice(loss, y, f):
    p, s = [1 / (1 + mp.exp(-x)) for x in f], mpf(loss.smooth)
    both = sum(a * b for a, b in zip(y, p, strict=True))
    return 1 - (2 * both + s) / (sum(p) + sum(y) + s)


def ranking(loss, y, f):
    rows = list(zip(y, f, strict=True))
    pairs = [(a, b) for a in rows for b in rows if a[0] > b[0]]
    return sum(max(mpf(0), mpf(loss.margin) - (a[1] - b[1])) for a, b in pairs) / len(pairs)


INSTANCES = [
    Instance(gbo.SquaredErrorLoss(), squared),
    Instance(gbo.HuberLoss(delta=1.35), huber),
    Instance(gbo.HuberLoss(), huber),
    Instance(gbo.LogCoshLoss(delta=1.0), log_cosh),
    Instance(gbo.LogCoshLoss(delta=0.01), log_cosh),
    Instance(gbo.LogCoshLoss(), log_cosh),
    Instance(gbo.PseudoHuberLoss(delta=2.0), root),
    Instance(gbo.PseudoHuberLoss(), root),
    Instance(gbo.AbsoluteErrorLoss(delta=0.1), root),
    Instance(gbo.AbsoluteErrorLoss(), root),
    Instance(gbo.QuantileLoss(quantile=0.05, delta=0.2), quantile),
    Instance(gbo.QuantileLoss(quantile=0.9, delta=1.0), quantile),
    Instance(gbo.QuantileLoss(quantile=0.5), quantile),
    Instance(gbo.QuantileLoss(quantile=0.95), quantile),
    Instance(gbo.PoissonLoss(), poisson),
    Instance(gbo.LogLoss(), log_loss),
    Instance(gbo.LogLoss(pos_weight=3.0, label_smoothing=0.1), log_loss),
    Instance(gbo.FocalLoss(gamma=2.0), focal),
    Instance(gbo.FocalLoss(gamma=0.0), focal),
    Instance(gbo.FocalLoss(gamma=0.5), focal),
    Instance(gbo.FocalLoss(gamma=5.0, alpha=0.25), focal),
    Instance(gbo.FocalLoss(gamma=2.0, alpha=0.75), focal),
    Instance(gbo.CrossEntropyLoss(n_classes=2), cross_entropy),
    Instance(gbo.CrossEntropyLoss(n_classes=3), cross_entropy),
    Instance(gbo.CrossEntropyLoss(n_classes=10), cross_entropy),
    Instance(gbo.CrossEntropyLoss(n_classes=4, label_smoothing=0.1), cross_entropy),
    Instance(gbo.DiceLoss(), dice),
    Instance(gbo.DiceLoss(smooth=1e-3), dice),
    Instance(gbo.MarginRankingLoss(margin=1.0), ranking),
    Instance(gbo.MarginRankingLoss(margin=0.3), ranking),
]


def labels(instance: Instance, rng: np.random.Generator, n: int) -> np.ndarray:
    """Labels from the domain of the loss."""
    return draw_labels(instance.loss, rng, n)


def _both_signs(*sizes: float) -> list[float]:
    return [0.0, *(s * x for x in sizes for s in (1, -1))]


def marked_points(instance: Instance) -> list[tuple[Any, Any]]:
    """Labels and raw predictions at which derivatives are compared, off the kinks.

    Of a loss whose rows see each other, whole batches.
    """
    loss, rng = instance.loss, np.random.default_rng(3)
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
    wanted = set(range(n)) if n < 10 else {0, 1, n - 1, int(y)}
    with mp.workdps(DIGITS):
        y_mp = [mpf(float(x)) for x in y] if np.ndim(y) else mpf(float(y))
        f_mp = [mpf(float(x)) for x in np.atleast_1d(f)]

        def along(i: int) -> Callable[[Any], Any]:
            def value(t: Any) -> Any:
                moved = [*f_mp[:i], t, *f_mp[i + 1 :]]
                return instance.value(loss, y_mp, moved if np.ndim(f) else moved[0])

            return value

        first, second = (
            [mpmath.diff(along(i), f_mp[i], order) if i in wanted else None for i in range(n)]
            for order in (1, 2)
        )
    return first, second


def relative_error(got: Any, true: Any, dtype: Any, natural: Any = 0.0) -> float:
    """Largest error relative to the true number, or to a natural scale where that is given.

    What underflows in the dtype, or drowns in the rounding of mpmath, counts as 0.
    """
    errors = [0.0]
    tiny = max(float(np.finfo(dtype).tiny), 1e-150)
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
