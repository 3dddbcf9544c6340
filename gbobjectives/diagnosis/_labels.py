"""What the labels and residuals are like: domain, unit, outliers, classes."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np

from gbobjectives._numerics import Array
from gbobjectives.diagnosis._finding import Finding, Subject, percent, rounded
from gbobjectives.losses.base import Loss

# Standard deviation of a normal variable over the median of its absolute value.
SIGMA_OVER_MEDIAN = 1.4826022185056018

# Residuals beyond this many robust standard deviations are outliers under any usual noise.
FAR = 10.0

# More of the sum of all gradients than this, and a few outliers decide where a leaf goes.
DECISIVE = 0.25

# A class of less than this is called rare.
RARE = 0.05

# Between these neither library was seen to lose anything: XGBoost keeps gains in float32, whose
# range the squares of larger labels leave; smaller gradients are 0 in it.
SIZES = {"xgboost": (1e-30, 1e16), "lightgbm": (1e-30, 1e30)}

# Both libraries keep labels in float32: an error of more than this share of their spread is seen.
LOST = 1e-2


def outside(loss: Loss, y_true: Any, message: str) -> Finding:
    """Labels that the loss does not take; the message is that of its own check."""
    y = np.asarray(y_true)
    change = "drop or repair these rows, or take a loss whose domain holds them"
    if y.ndim == 1 and y.dtype.kind in "biuf" and y.size:
        finite, whole = bool(np.isfinite(y).all()), bool((y == np.floor(y)).all())
        classes = np.unique(y[:100_000])
        if np.isnan(y).any():
            change = "drop the rows without a label, or leave them out by Masked(loss, ignore=nan)"
        elif loss.task == "binary" and set(classes) == {-1.0, 1.0}:
            change = "labels are 0 and 1 here: give (y + 1) / 2"
        elif loss.task == "binary" and finite and whole and y.min() >= 0:
            change = (
                f"of {int(y.max()) + 1} classes: CrossEntropyLoss(n_classes={int(y.max()) + 1})"
            )
        elif hasattr(loss, "n_classes") and finite and whole and y.min() == 1:
            change = "classes begin at 0: give y - 1"
        elif hasattr(loss, "n_classes") and finite and whole and y.min() >= 0:
            change = f"set n_classes={int(y.max()) + 1}"
        elif finite and y.min() == 0 and not loss.y_domain.includes(0.0):
            change = "for amounts that may be 0 take TweedieLoss, for counts PoissonLoss"
        elif finite and y.min() < 0 <= loss.y_domain.low:
            change = "for labels of both signs take a regression loss, such as HuberLoss"
    return Finding("error", "labels outside the domain", message, change)


def labels(s: Subject) -> Iterator[Finding]:
    """Constant labels, their unit, outliers, classes."""
    live = s.labels[s.weights > 0]
    constant = (live == live[0]).all()
    if constant and s.loss.task != "composition":
        value = np.array2string(live[0], threshold=5)
        yield Finding(
            "error",
            "constant labels",
            f"all {len(live):,} rows that count have the label {value}: there is nothing to learn",
            "look at how the labels were made",
        )
    if live.ndim == 1 and s.loss.task in ("regression", "amount", "count"):
        yield from _unit(live.astype(np.float64), SIZES[s.library])
    residuals = s.residuals
    if residuals is not None:
        yield from _outliers(s, residuals)
        yield from _width(s, residuals)
    shares = _class_shares(s)
    if shares is not None:
        yield from _classes(s, shares)


def _unit(y: Array, sizes: tuple[float, float]) -> Iterator[Finding]:
    """What float32 does to the labels."""
    spread = float(y.std())
    lost = float(np.abs(y.astype(np.float32) - y).max())
    if spread > 0 and lost > LOST * spread:
        yield Finding(
            "warning",
            "labels lose digits",
            f"both libraries keep labels in float32, which moves them by up to {lost:.3g}; their "
            f"standard deviation is {spread:.3g}",
            f"subtract a constant, such as {float(np.median(y)):.9g}, and add it to predictions",
            {"lost": lost, "spread": spread},
        )
    size = float(np.abs(y - np.median(y)).max())
    if spread > 0 and not sizes[0] <= size <= sizes[1]:
        yield Finding(
            "warning",
            "unit of the labels",
            f"labels lie up to {size:.3g} from their median: derivatives or gains of that size "
            "leave the range of float32, in which they are kept",
            f"divide the labels by {rounded(size)}",
            {"size": size},
        )


def _outliers(s: Subject, residuals: Array) -> Iterator[Finding]:
    """Few rows that decide: far beyond the robust size of the residuals, with large gradients."""
    sigma = SIGMA_OVER_MEDIAN * float(np.median(np.abs(residuals - np.median(residuals))))
    far = np.abs(residuals - np.median(residuals)) > FAR * sigma
    if sigma == 0 or not far.any():
        return
    g = np.abs(s.loss.gradient(s.y_true, s.raw, s.sample_weight).reshape(len(s.live), -1))
    pull = (g * s.weights[:, None])[s.weights > 0]
    share = float(pull[far].sum() / pull.sum()) if pull.any() else 0.0
    count = int(far.any(axis=1).sum())
    decisive = share > DECISIVE
    robust = "HuberLoss" if type(s.loss).__name__ != "HuberLoss" else "CauchyLoss"
    yield Finding(
        "warning" if decisive else "info",
        "outliers",
        f"{count:,} rows ({percent(count / len(residuals))}) lie more than {FAR:g} robust "
        f"standard deviations ({FAR * sigma:.3g}) off, and have {percent(share)} of all gradient",
        f"look at these rows; {robust}() bounds what each can pull" if decisive else "",
        {"rows": count, "share": count / len(residuals), "pull": share, "sigma": sigma},
    )


def _width(s: Subject, residuals: Array) -> Iterator[Finding]:
    """Residuals against delta, the width of the loss's core."""
    size = getattr(getattr(s.loss, "auto_delta", None), "size", None)
    delta = getattr(s.loss, "delta", None)
    if size is None or delta is None or "label_units" in s.loss.__dict__:
        return
    if s.loss.name == "absolute_percentage_error":
        # Its delta is a relative residual.
        return
    width = np.asarray(delta, dtype=np.float64)
    beyond = float((np.abs(residuals) > width).mean())
    by_hand = s.objective.loss.delta != "auto"  # type: ignore[attr-defined]
    largest = float(np.abs(residuals).max())
    numbers = {"delta": float(width.max()), "beyond": beyond, "largest": largest}
    shown = ", ".join(f"{x:.3g}" for x in np.atleast_1d(width))
    seen = f"{percent(beyond)} of the residuals lie beyond delta={shown}"
    how = "" if by_hand else ' (that "auto" gives here)'
    if size in ("root", "sides"):
        # The smoothed corner of an absolute error: its width ought to be small.
        if by_hand and beyond < 0.5:
            yield Finding(
                "warning",
                "delta wide",
                f"only {seen}, within which the loss is a squared error: what is estimated is "
                f"no longer the {s.loss.estimates}",
                f'use delta="auto" ({_automatic(s)} here)',
                numbers,
            )
        return
    if by_hand and beyond == 0 and largest > 0:
        yield Finding(
            "warning",
            "delta wide",
            f"no residual lies beyond delta={shown}, the largest is {largest:.3g}: the loss "
            "differs little from squared error",
            f'use delta="auto" ({_automatic(s)} here), or SquaredErrorLoss',
            numbers,
        )
    elif by_hand and beyond > 0.5:
        lost = "have little pull" if s.loss.redescending else "all pull alike"
        yield Finding(
            "warning",
            "delta narrow",
            f"{seen}, where they {lost}",
            f'use delta="auto" ({_automatic(s)} here)'
            + ("" if s.loss.redescending else ", or AbsoluteErrorLoss if that is wanted"),
            numbers,
        )
    else:
        yield Finding("info", "delta", seen + how, "", numbers)


def _automatic(s: Subject) -> str:
    automatic: Any = {"delta": "auto"}
    loss = replace(s.loss, **automatic).resolve(s.y_true, s.raw, s.sample_weight)
    return f"{float(np.max(loss.delta)):.3g}"  # type: ignore[attr-defined]


def _class_shares(s: Subject) -> Array | None:
    """Weighted share of each class; None where the labels are no classes."""
    y, w = s.labels, s.weights
    if s.loss.task == "binary" and y.ndim == 1:
        positive = float(np.average(y, weights=w))
        return np.array([1 - positive, positive])
    n_classes = getattr(s.loss, "n_classes", None)
    if s.loss.task not in ("multiclass", "ordinal") or n_classes is None:
        return None
    if y.ndim == 2:
        totals = np.average(y, axis=0, weights=w)
    else:
        totals = np.bincount(y.astype(int), weights=w, minlength=n_classes)
    shares: Array = totals / totals.sum()
    return shares


def _classes(s: Subject, shares: Array) -> Iterator[Finding]:
    absent = np.flatnonzero(shares == 0)
    rarest = int(np.argmin(np.where(shares > 0, shares, np.inf)))
    numbers = {"rarest": float(shares[rarest]), "absent": float(len(absent))}
    if len(absent):
        few = ", ".join(map(str, absent[:5])) + (", ..." if len(absent) > 5 else "")
        yield Finding(
            "warning",
            "absent classes",
            f"no row has the class {few}, of {len(shares)}",
            "nothing can be learnt of it: look at how the rows were chosen",
            numbers,
        )
    if shares[rarest] >= RARE or shares[rarest] == 1:
        return
    weighed = [
        name
        for name, usual in (("class_weight", None), ("pos_weight", 1.0), ("alpha", None))
        if getattr(s.loss, name, usual) not in (usual, None)
    ]
    has_weights = hasattr(s.loss, "class_weight")
    weigh = 'class_weight="balanced"' if has_weights else "sample weights"
    yield Finding(
        "info" if weighed else "warning",
        "imbalance",
        f"class {rarest} has {percent(float(shares[rarest]))} of the rows"
        + (f"; the loss weighs classes by {weighed[0]}" if weighed else ""),
        ""
        if weighed
        else f"for probabilities nothing; for the rare class give the loss {weigh}, stop on "
        "metric=gbo.Metric(average_precision_score, greater_is_better=True), and see that "
        "leaves may be small enough for it",
        numbers,
    )
