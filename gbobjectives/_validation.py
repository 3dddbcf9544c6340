"""The only raiser of shape, dtype and domain errors.

Every message says what was wrong, what was given, what is allowed, and where. The good path
takes a minimum and a maximum and makes no array; masks are built only to word an error.
"""

import difflib
from collections.abc import Iterable
from math import isfinite
from numbers import Real
from typing import Any

import numpy as np

from gbobjectives._numerics import Array
from gbobjectives.links import Interval

POSITIVE = Interval(0.0, np.inf, False, False)
NON_NEGATIVE = Interval(0.0, np.inf, True, False)
UNIT_INTERVAL = Interval(0.0, 1.0)
HALF_OPEN_UNIT_INTERVAL = Interval(0.0, 1.0, True, False)
OPEN_UNIT_INTERVAL = Interval(0.0, 1.0, False, False)


# Labels are float32 in XGBoost and LightGBM, which tells integers apart up to here.
MAX_ROW_NUMBER = 2**24


def real_parameter(owner: str, name: str, value: Any, allowed: Interval | None) -> float:
    """The parameter as a float, or an error that names the range; None allows NaN as well."""
    if isinstance(value, Real | np.number) and not isinstance(value, bool):
        number = float(value)
        if allowed is None or allowed.includes(number):
            return number
    where = "" if allowed is None else f" in {allowed}"
    raise ValueError(f"{owner}: {name} must be a number{where}; got {value!r}")


def real_parameters(
    owner: str, name: str, values: Any, n: int | None, allowed: Interval
) -> tuple[float, ...]:
    """A sequence of n numbers as a tuple; n is free where it is None."""
    if isinstance(values, str | bytes) or np.ndim(values) != 1 or len(values) == 0:
        raise ValueError(f"{owner}: {name} must be a sequence of numbers; got {values!r}")
    if n is not None and len(values) != n:
        raise ValueError(f"{owner}: {name} must hold {n} numbers; got {len(values)}: {values!r}")
    return tuple(real_parameter(owner, f"{name}[{i}]", x, allowed) for i, x in enumerate(values))


def count_parameter(owner: str, name: str, value: Any, low: int) -> int:
    """The parameter as an int no smaller than `low`."""
    if isinstance(value, int | np.integer) and not isinstance(value, bool) and value >= low:
        return int(value)
    raise ValueError(f"{owner}: {name} must be an integer of at least {low}; got {value!r}")


def nearest_name(owner: str, what: str, name: str, known: Iterable[str]) -> ValueError:
    """Error for an unknown name, with the nearest known one."""
    names = sorted(known)
    near = difflib.get_close_matches(name, names, n=1, cutoff=0.4)
    hint = f" (did you mean {near[0]!r}?)" if near else ""
    return ValueError(f"{owner}: unknown {what} {name!r}{hint}; known: {', '.join(names)}")


def _row(index: Any) -> str:
    at = tuple(int(i) for i in np.atleast_1d(index))
    return f"row {at[0]}" if len(at) == 1 else f"row {at[0]}, output {at[1]}"


def _first_bad(values: Array, bad: Array) -> str:
    index = np.argwhere(bad)[0]
    unit = "rows" if values.ndim == 1 else "values"
    return f"got {values[tuple(index)]:g} at {_row(index)} ({int(bad.sum())} of {bad.size} {unit})"


def _real_array(owner: str, what: str, values: Any) -> Array:
    array = np.asarray(values)
    if array.dtype.kind not in "biuf":
        raise TypeError(
            f"{owner}: {what} must be an array of real numbers; got dtype {array.dtype}"
        )
    return array


def require_finite(owner: str, what: str, array: Array) -> None:
    """Error that names the first entry that is NaN or infinite."""
    if array.dtype.kind == "f" and not (isfinite(array.min()) and isfinite(array.max())):
        bad = ~np.isfinite(array)
        raise ValueError(f"{owner}: {what} must be finite; {_first_bad(array, bad)}")


def raw_array(owner: str, raw_prediction: Any, n_outputs: int) -> Array:
    """Raw prediction as float32 or float64 of shape (n,) or (n, n_outputs), finite."""
    raw = _real_array(owner, "raw_prediction", raw_prediction)
    expected = "(n,)" if n_outputs == 1 else f"(n, {n_outputs})"
    columns = raw.shape[1:]
    if raw.ndim == 0 or columns != (() if n_outputs == 1 else (n_outputs,)):
        flat = "; a flat array is ambiguous, reshape it" if raw.ndim == 1 else ""
        raise ValueError(
            f"{owner}: raw_prediction must have shape {expected}; got {raw.shape}{flat}"
        )
    if raw.shape[0] == 0:
        raise ValueError(f"{owner}: raw_prediction must not be empty; got shape {raw.shape}")
    if raw.dtype not in (np.float32, np.float64) or not raw.dtype.isnative:
        raw = raw.astype(np.float64)
    require_finite(owner, "raw_prediction", raw)
    return raw


def label_array(owner: str, y_true: Any, n: int | None, domain: Interval) -> Array:
    """Labels of shape (n,), inside the domain; the dtype is left as it is."""
    y = _real_array(owner, "y_true", y_true)
    if y.ndim != 1:
        hint = "; use y_true.ravel()" if y.ndim == 2 and y.shape[1] == 1 else ""
        raise ValueError(f"{owner}: y_true must have shape (n,); got {y.shape}{hint}")
    _require_rows(owner, "y_true", y, n)
    require_in_domain(owner, y, domain)
    return y


def class_label_array(owner: str, y_true: Any, n: int | None, n_classes: int) -> Array:
    """Class labels 0 to K-1 of shape (n,), or an (n, K) matrix of rows that sum to 1."""
    y = _real_array(owner, "y_true", y_true)
    if y.ndim == 2 and y.shape[1] == n_classes:
        _require_rows(owner, "y_true", y, n)
        require_in_domain(owner, y, UNIT_INTERVAL)
        bad = np.abs(y.sum(axis=1) - 1) > 1e-4
        if bad.any():
            where = _first_bad(y.sum(axis=1), bad)
            raise ValueError(f"{owner}: every row of an (n, K) y_true must sum to 1; {where}")
        return y
    if y.ndim != 1:
        raise ValueError(f"{owner}: y_true must have shape (n,) or (n, {n_classes}); got {y.shape}")
    _require_rows(owner, "y_true", y, n)
    require_in_domain(owner, y, Interval(0, n_classes - 1))
    bad = y != np.floor(y)
    if bad.any():
        raise ValueError(
            f"{owner}: y_true of shape (n,) must hold integers 0 to {n_classes - 1}; "
            f"{_first_bad(y, bad)}"
        )
    return y


def label_matrix(owner: str, y_true: Any, n: int | None, columns: int, domain: Interval) -> Array:
    """Labels of shape (n, columns), inside the domain."""
    y = _real_array(owner, "y_true", y_true)
    if y.ndim != 2 or y.shape[1] != columns:
        raise ValueError(f"{owner}: y_true must have shape (n, {columns}); got {y.shape}")
    _require_rows(owner, "y_true", y, n)
    require_in_domain(owner, y, domain)
    return y


def row_numbers(owner: str, y_true: Any, n: int, n_targets: int) -> Array:
    """Row numbers of bound targets, as integers."""
    if n_targets > MAX_ROW_NUMBER:
        raise ValueError(
            f"{owner}: bound targets must have at most {MAX_ROW_NUMBER} rows, beyond which a "
            f"float32 label is no exact row number; got {n_targets}"
        )
    y = label_array(owner, y_true, n, Interval(0, n_targets - 1))
    if (y != np.floor(y)).any():
        raise ValueError(
            f"{owner}: y_true must hold row numbers of the bound targets, 0 to {n_targets - 1}; "
            f"{_first_bad(y, y != np.floor(y))}"
        )
    return y.astype(np.intp)


def without_ignored(owner: str, y_true: Any, ignored_label: float) -> tuple[Array, Array | None]:
    """Labels with a valid one in place of each ignored one, and which were ignored (or None)."""
    y = _real_array(owner, "y_true", y_true)
    ignored = np.isnan(y) if np.isnan(ignored_label) else y == ignored_label
    if y.ndim != 1 or not ignored.any():
        return y, None
    if ignored.all():
        raise ValueError(f"{owner}: every label is the ignored one, {ignored_label:g}")
    return np.where(ignored, y[~ignored][0], y), ignored


def label_response_pair(owner: str, y_true: Any, y_pred: Any) -> tuple[Array, Array]:
    """Labels and responses of one shape, finite; labels in the dtype of floating responses."""
    y, p = _real_array(owner, "y_true", y_true), _real_array(owner, "y_pred", y_pred)
    if y.shape != p.shape or y.size == 0:
        raise ValueError(
            f"{owner}: y_true and y_pred must have the same shape, not empty; got {y.shape} and "
            f"{p.shape}"
        )
    for what, array in (("y_true", y), ("y_pred", p)):
        require_finite(owner, what, array)
    dtype = p.dtype if p.dtype.kind == "f" else np.float64
    return y.astype(dtype, copy=False), p.astype(dtype, copy=False)


def _require_rows(owner: str, what: str, array: Array, n: int | None) -> None:
    if array.shape[0] == 0:
        raise ValueError(f"{owner}: {what} must not be empty; got shape {array.shape}")
    if n is not None and array.shape[0] != n:
        raise ValueError(f"{owner}: {what} has {array.shape[0]} rows; raw_prediction has {n}")


def require_in_domain(owner: str, y: Array, domain: Interval) -> None:
    """Error with index and count for labels outside the domain, NaN included."""
    # A NaN makes both ends NaN, which no interval spans.
    low, high = y.min(), y.max()
    if not (domain.spans(low, high) and isfinite(low) and isfinite(high)):
        bad = ~domain.includes(y) | ~np.isfinite(y)
        raise ValueError(f"{owner}: y_true must lie in {domain}; {_first_bad(y, bad)}")


def weight_array(owner: str, sample_weight: Any, n: int) -> Array | None:
    """Weights of shape (n,), non-negative, finite, not all zero; None stays None."""
    if sample_weight is None:
        return None
    w = _real_array(owner, "sample_weight", sample_weight)
    if w.shape != (n,):
        raise ValueError(f"{owner}: sample_weight must have shape ({n},); got {w.shape}")
    low, high = w.min(), w.max()
    if not NON_NEGATIVE.spans(low, high):
        bad = ~NON_NEGATIVE.includes(w)
        raise ValueError(f"{owner}: sample_weight must lie in {NON_NEGATIVE}; {_first_bad(w, bad)}")
    if high == 0:
        raise ValueError(f"{owner}: sample_weight must not be zero in every row that counts")
    return w


def group_sizes(owner: str, group: Any, n: int) -> Array:
    """Group sizes: positive integers that sum to n."""
    sizes = _real_array(owner, "group", group)
    if sizes.ndim != 1 or sizes.shape[0] == 0 or (sizes != np.floor(sizes)).any():
        raise ValueError(f"{owner}: group must be a 1-D array of group sizes; got {group!r}")
    sizes = sizes.astype(np.int64)
    if sizes.min() < 1 or int(sizes.sum()) != n:
        raise ValueError(
            f"{owner}: group must hold positive sizes that sum to the number of rows, {n}; "
            f"got {len(sizes)} sizes that sum to {int(sizes.sum())}, the smallest {sizes.min()}"
        )
    return sizes


def nonfinite_derivative(owner: str, what: str, block: Array, y: Array, raw: Array, at: int) -> Any:
    """Error for a gradient or curvature that is NaN or infinite, naming the row."""
    index = np.argwhere(~np.isfinite(block))[0]
    row = int(index[0])
    return FloatingPointError(
        f"{owner}: {what} is not finite: got {block[tuple(index)]} at row {at + row} "
        f"(y_true {y[row]}, raw_prediction {raw[row]})"
    )
