"""`Objective`: loss x curvature x scale -> the gradient and Hessian that trees are grown on."""

from collections.abc import Mapping
from copy import copy
from dataclasses import dataclass, field
from typing import Any, Literal, Self

import numpy as np
import numpy.typing as npt

from gbobjectives import _validation as check
from gbobjectives._batch import Batch, Piece
from gbobjectives._numerics import Array, weighted_sum
from gbobjectives.curvature import TINY, Rule
from gbobjectives.losses import get_loss
from gbobjectives.losses.base import Loss
from gbobjectives.parallel import total

#: Both libraries store derivatives as float32; sums of what saturates here stay finite.
FLOAT32_LIMIT = float(np.finfo(np.float32).max) / 2**24


@dataclass(frozen=True)
class Objective:
    """What a boosting library minimises: a loss, how far a leaf may step, what one unit means.

    Parameters
    ----------
    loss : Loss, str or mapping
        The loss, its name, or its spec.
    curvature : str or float
        A rule of the loss: ``"auto"`` (recommended), ``"safe"`` (proved), ``"exact"`` (the
        second derivative) and others that ``loss.rules`` names; a number c is max(h, c).
    scale : "auto", None or float
        ``"auto"`` divides g and h of a residual loss by the weighted mean of h, so that
        ``reg_lambda``, ``min_child_weight`` and ``min_sum_hessian_in_leaf`` mean what they do
        for squared error at any scale of the target; other losses are left alone. None never
        divides; a number is divided by.
    n_threads : int, optional
        Threads of the kernels; by default all available ones, but no more than 4 where Python has
        its lock, which more of them queue for. Results do not depend on it.

    Raises
    ------
    ValueError
        If the loss lacks the curvature, or a parameter is out of range.

    Examples
    --------
    >>> import gbobjectives as gbo
    >>> objective = gbo.Objective(gbo.HuberLoss(delta=1.0), curvature="safe", scale=None)
    >>> g, h = objective.gradient_hessian([0.0, 0.0], [0.5, 4.0])
    >>> g, h
    (array([0.5, 1. ], dtype=float32), array([1.  , 0.25], dtype=float32))
    """

    loss: Loss
    curvature: str | float = "auto"
    scale: float | Literal["auto"] | None = "auto"
    n_threads: int | None = None
    _label_cache: dict[Any, Any] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )

    #: What the loss needs of the labels alone, where they are more than those it is shown.
    _statistics: tuple[Any, ...] = field(default=(), init=False, repr=False, compare=False)

    #: For each data set what a loss that `remembers` knows of the rounds before.
    _memory: dict[Any, dict[str, Any]] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )

    def __post_init__(self) -> None:
        object.__setattr__(self, "loss", get_loss(self.loss))
        self.loss.rule(self.curvature)
        if isinstance(self.scale, str):
            if self.scale != "auto":
                raise ValueError(
                    f'Objective: scale must be "auto", None or a positive number; '
                    f"got {self.scale!r}"
                )
        elif self.scale is not None:
            scale = check.real_parameter("Objective", "scale", self.scale, check.POSITIVE)
            object.__setattr__(self, "scale", scale)
        if self.n_threads is not None:
            check.count_parameter("Objective", "n_threads", self.n_threads, 1)

    def __getstate__(self) -> dict[str, Any]:
        # Cache and memory are no part of the objective: copies start with empty ones.
        return {**self.__dict__, "_label_cache": {}, "_memory": {}}

    def gradient_hessian(
        self, y_true: Any, raw_prediction: Any, sample_weight: Any = None, group: Any = None
    ) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
        """Weighted gradient and curvature of every row, as float32.

        Parameters
        ----------
        y_true : array of shape (n,) or (n, n_outputs)
            Labels.
        raw_prediction : array of shape (n,) or (n, n_outputs)
            Scores before the inverse link; kernels run in their dtype, float32 or float64.
        sample_weight : array of shape (n,), optional
            Non-negative; a row of weight 0 gets g = h = 0.
        group : array, optional
            Sizes of consecutive groups.

        Returns
        -------
        tuple of two float32 arrays
            Of the shape and memory order of `raw_prediction`.

        Raises
        ------
        ValueError, TypeError
            If an argument is not what the loss takes.
        FloatingPointError
            If a derivative is NaN or infinite; the row is named.
        """
        batch = self.loss._batch(y_true, raw_prediction, sample_weight, group)
        loss = self._resolved(batch)
        if loss.remembers:
            loss = loss._recalled(batch, self._memory.setdefault(label_fingerprint(batch), {}))
        rule = loss.rule(self.curvature)
        normalise = self.scale == "auto" and loss.normalised
        g = np.empty_like(batch.f, dtype=np.float32)
        h = np.empty_like(batch.f, dtype=np.float32)
        if normalise or rule.relative_floor > 0:
            sums = total(self._fill(loss, rule, batch, g, h, weigh=False))
            mean = sums[:-1] / sums[-1]
            # Exact Hessians may all be 0, or negative on the whole: there is no unit in them.
            unit = np.where(mean > 0, mean, 1.0)
            scale = unit if normalise else self._number()
            self._finish(loss, rule, batch, g, h, mean, scale)
        else:
            self._fill(loss, rule, batch, g, h, weigh=True)
        return g, h

    def resolve(self, y_true: Any, raw_prediction: Any, sample_weight: Any = None) -> Self:
        """The same objective with numbers in place of the loss's ``"auto"``.

        They are those of `y_true`, `raw_prediction` and `sample_weight`.
        """
        loss = self.loss.resolve(y_true, raw_prediction, sample_weight)
        return type(self)(loss, self.curvature, self.scale, self.n_threads)

    def for_shards(self, y_true: Any, sample_weight: Any = None) -> Self:
        """The same objective for calls on these rows, or on parts of them in other processes.

        What the loss takes from the labels alone, such as the floor of ``delta="auto"`` and
        balanced class weights, is taken from all of them here, `y_true` and `sample_weight`; what
        it adds up in each round is for `gbobjectives.parallel.totals` to add up over the parts.
        """
        made = copy(self)
        n = np.shape(y_true)[0]
        zeros = np.zeros(n if self.loss.n_outputs == 1 else (n, self.loss.n_outputs), np.float32)
        batch = self.loss._batch(y_true, zeros, sample_weight, None)
        object.__setattr__(made, "_statistics", (self.loss._label_statistics(batch),))
        return made

    def _number(self) -> float:
        return self.scale if isinstance(self.scale, float) else 1.0

    def _resolved(self, batch: Batch) -> Loss:
        if self.loss.resolved:
            return self.loss
        if self._statistics:
            return self.loss._resolve(batch, self._statistics[0])
        key = label_fingerprint(batch)
        if key not in self._label_cache:
            self._label_cache.clear()
            self._label_cache[key] = self.loss._label_statistics(batch)
        return self.loss._resolve(batch, self._label_cache[key])

    def _fill(
        self, loss: Loss, rule: Rule, batch: Batch, g: Array, h: Array, weigh: bool
    ) -> list[Array]:
        """One pass of the kernels into g and h, which are final if weighed.

        Else each block gives its weighted sum of the curvatures of every output, and of 1.
        """
        positive = rule.guarantee != "none"
        floored_later = rule.relative_floor > 0 and not weigh
        by = _inverse(self._number()) if weigh else None

        def block(piece: Piece, arguments: tuple[Any, ...]) -> Array:
            first, second = loss._gradient_curvature(rule, *arguments)
            if positive and not floored_later and second.min() < TINY:
                second = np.maximum(second, TINY)
            factor = _factor(loss, batch, piece, arguments, by) if weigh else None
            g_rows, h_rows = g[piece.rows], h[piece.rows]
            if not weigh and first.dtype == np.float32:
                # What is wrong with them shows when they are finished.
                g_rows[...], h_rows[...] = first, second
            elif not _store(g_rows, h_rows, first, second, factor, positive):
                _refuse_nonfinite(loss, piece, arguments, first, second)
            sums = np.zeros(loss.n_outputs + 1)
            if weigh:
                return sums
            if batch.w is None:
                sums[:-1], sums[-1] = second.sum(axis=0, dtype=np.float64), len(second)
                return sums
            w = batch.weights(piece.rows)
            sums[:-1] = (w * second.T).sum(axis=-1, dtype=np.float64)
            sums[-1] = w.sum(dtype=np.float64)
            return sums

        return loss._map(batch, block, self.n_threads)

    def _finish(
        self, loss: Loss, rule: Rule, batch: Batch, g: Array, h: Array, mean: Any, scale: Any
    ) -> None:
        """Raise to the rule's share of the mean curvature, then weight and scale, in place."""
        # As float32: a float64 number would turn the whole pass into float64.
        floor = (rule.relative_floor * mean).clip(TINY, FLOAT32_LIMIT).astype(np.float32)
        by = _inverse(np.asarray(scale).clip(0, FLOAT32_LIMIT).astype(np.float32))
        positive = rule.guarantee != "none"

        def block(piece: Piece, arguments: tuple[Any, ...]) -> None:
            factor = _factor(loss, batch, piece, arguments, by)
            first, second = g[piece.rows], h[piece.rows]
            # The exact second derivative may be negative, and stays so.
            floored = second.clip(floor, np.inf) if rule.relative_floor > 0 else second
            if not _store(first, second, first, floored, factor, positive):
                _refuse_nonfinite(
                    loss, piece, arguments, *loss._gradient_curvature(rule, *arguments)
                )

        loss._map(batch, block, self.n_threads)


def _inverse(scale: Any) -> Any:
    """What a division by the scale multiplies by; None for 1."""
    return None if np.asarray(scale == 1).all() else 1 / scale


def _factor(loss: Loss, batch: Batch, piece: Piece, arguments: tuple[Any, ...], by: Any) -> Any:
    """What derivatives of a block are multiplied by; None for 1."""
    w = loss._total_weights(batch, piece, arguments)
    return by if w is None else w if by is None else w * by


def _store(g: Array, h: Array, first: Array, second: Array, factor: Any, positive: bool) -> bool:
    """Put both, times the factor, into g and h; False where some had to be held within bounds."""
    # An infinite derivative times a weight of 0 is NaN, and no silent 0.
    with np.errstate(invalid="ignore"):
        for out, values in ((g, first), (h, second)):
            if factor is None:
                out[...] = values
            elif out.ndim == 1:
                np.multiply(values, factor, out=out, casting="same_kind")
            else:
                # Where outputs lie in another order a product takes longer than one and a copy.
                out[...] = values * factor
    low, high = -FLOAT32_LIMIT, FLOAT32_LIMIT
    if g.max() <= high and g.min() >= low and h.max() <= high and (positive or h.min() >= low):
        return True
    for out in (g, h):
        np.clip(out, low, high, out=out)
    return False


def _refuse_nonfinite(
    loss: Loss, piece: Piece, arguments: tuple[Any, ...], first: Array, second: Array
) -> None:
    """Name the row whose derivative is NaN or infinite; one beyond float32 alone is neither."""
    y, f = arguments[:2]
    for what, values in (("gradient", first), ("curvature", second)):
        if not np.isfinite(values).all():
            raise check.nonfinite_derivative(
                type(loss).__name__, what, values, y, f, piece.rows.start
            )


def label_fingerprint(batch: Batch) -> tuple[float, ...]:
    """Sums that tell data sets apart: label statistics are symmetric functions of the rows."""
    y, w = batch.y, batch.w
    # An overflow of the products leaves the other sums to tell by.
    with np.errstate(over="ignore", invalid="ignore"):
        sums = [batch.n_rows, y.sum(dtype=np.float64), y.min(), y.max(), np.square(y).sum()]
        if y.ndim == 2:
            # Rows may all sum to 1; their columns tell them apart.
            y = weighted_sum(np.arange(1.0, y.shape[1] + 1), y.T)
            sums += [np.square(y).sum()]
        if w is not None:
            sums += [w.sum(dtype=np.float64), w.max(), weighted_sum(w, w), weighted_sum(w, y)]
    return tuple(float(x) for x in sums)


def as_objective(loss: Any, owner: str = "objective") -> Objective:
    """An `Objective` of an Objective, a Loss, a name or a spec."""
    if isinstance(loss, Objective):
        return loss
    if isinstance(loss, Loss | str | Mapping):
        return Objective(get_loss(loss))
    hint = f"; call it: {loss.__name__}()" if isinstance(loss, type) else ""
    raise TypeError(f"{owner}: a Loss, an Objective or a name is wanted; got {loss!r}{hint}")
