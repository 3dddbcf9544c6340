"""Losses of sequences: rows are frames, groups are sequences."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, NamedTuple, Self

import numpy as np
from scipy.optimize import minimize

from gbobjectives import _validation as check
from gbobjectives._batch import Batch, Groups, Piece, Targets
from gbobjectives._numerics import Array, logsumexp, weighted_sum
from gbobjectives.curvature import Rule
from gbobjectives.links import SOFTMAX, Interval, Link
from gbobjectives.losses._intercept import MAX_SCORE
from gbobjectives.losses.kinds import GroupLoss
from gbobjectives.losses.multiclass import softmax_and_complement, sum_of_others

__all__ = ["CTCLoss"]

# What fills a row of targets after its last symbol.
PADDING = -1


@dataclass(frozen=True)
class CTCLoss(GroupLoss):
    r"""Connectionist temporal classification, :math:`-\log p(\text{target} \mid \text{frames})`.

    Labels of sequences whose symbols are known, and not when each is spoken: p(target) is the sum,
    over all paths of one symbol a frame that give the target once repeats are merged and blanks
    dropped, of the products of their probabilities. Estimates the probability of each symbol in
    each frame. Domain: numbers of sequences, 0 to the number of bound targets less 1, the same in
    all frames of a sequence (see `bind`). Link: softmax; n_outputs = n_symbols. Not convex. Units:
    nats a sequence; f in log-odds up to a common constant. With p = softmax(f) and the occupancy g,
    the probability of a symbol in a frame given the target, gradient p - g, Hessian's diagonal
    p(1-p) - g(1-g).

    Rows are frames, in their order; groups are sequences. Without groups, a run of frames of one
    label is a sequence. A weight is that of a sequence, the same in all its frames; the objective
    minimises the weighted sum over sequences.

    Parameters
    ----------
    n_symbols : int
        Number of symbols, at least 2, the blank included.
    blank : int
        The symbol that stands for none.

    Raises
    ------
    ValueError
        If a parameter is out of range, no targets are bound, frames of one sequence have different
        labels or weights, or a sequence has fewer frames than its target needs: one a symbol, and
        one between equal neighbours.

    Notes
    -----
    ``safe`` and ``auto``, p (1-g) + g (1-p), are ``descent`` for the tree of each symbol by itself.
    The value is a sum over frames of logsumexp(f) less the logsumexp of the valid paths' scores,
    which is convex and so lies above its tangent, of slope g. Hence cross-entropy with g as soft
    labels, held fixed, lies above the value and touches it now (this is the bound of the EM
    algorithm): what does not raise the one does not raise the other, and these are its pulls,
    under which no leaf oversteps its minimum. For the trees of all symbols at once it is tested,
    not proved. ``fisher`` is p(1-p).

    A frame whose symbol moves elsewhere loses its gradient: the loss is redescending. Forward and
    backward sums run in float64 on a logarithmic scale, in time (frames) x (length of the target).
    The intercept is found numerically, as good as any constant nearby.

    References
    ----------
    .. [1] Graves, Fernandez, Gomez and Schmidhuber, Connectionist temporal classification, ICML
       2006, doi:10.1145/1143844.1143891.

    Examples
    --------
    >>> import gbobjectives as gbo
    >>> loss = gbo.CTCLoss(n_symbols=3).bind([[1, 2], [2]])
    >>> frames = [[0.0, 0.0, 0.0]] * 5
    >>> loss.value([0, 0, 0, 1, 1], frames, group=[3, 2]).round(4)  # log(27 / 5), log(9 / 3)
    array([1.6864, 1.0986])
    """

    n_symbols: int
    blank: int = 0

    task: ClassVar[str] = "sequences"
    estimates: ClassVar[str] = "symbol probabilities of a frame"
    formula: ClassVar[str] = "-log p(target | frames)"
    source: ClassVar[str] = "doi:10.1145/1143844.1143891"
    y_domain: ClassVar[Interval] = Interval(0.0, np.inf, True, False)
    link: ClassVar[Link] = SOFTMAX
    convex: ClassVar[bool] = False
    redescending: ClassVar[bool] = True
    positional: ClassVar[bool] = True

    def __post_init__(self) -> None:
        super().__post_init__()
        owner = "CTCLoss"
        k = check.count_parameter(owner, "n_symbols", self.n_symbols, 2)
        blank = check.count_parameter(owner, "blank", self.blank, 0)
        if blank >= k:
            raise ValueError(f"{owner}: blank must be a symbol, 0 to {k - 1}; got {blank}")
        if self.ignore_index is not None:
            raise ValueError(
                f"{owner}: no label can be ignored; leave out sequences by the weight 0"
            )
        object.__setattr__(self, "n_symbols", k)
        object.__setattr__(self, "blank", blank)

    @property
    def n_outputs(self) -> int:
        """Number of symbols."""
        return self.n_symbols

    def bind(self, targets: Any) -> Self:
        """The same loss with the symbols of each sequence; labels of frames are their numbers.

        Parameters
        ----------
        targets : sequence of sequences of int, or array of shape (n_sequences, max_length)
            Symbols of every sequence, of training and of validation alike, without blanks; an
            array is filled with -1 after the last symbol.

        Examples
        --------
        >>> import gbobjectives as gbo
        >>> gbo.CTCLoss(n_symbols=3).bind([[1, 2, 1], [2], []]).targets.values
        array([[ 1,  2,  1],
               [ 2, -1, -1],
               [-1, -1, -1]])
        """
        padded = _padded(targets)
        _require_symbols(padded, self.n_symbols, self.blank)
        return replace(self, targets=Targets(padded))

    def _batch(self, y_true: Any, raw_prediction: Any, sample_weight: Any, group: Any) -> Batch:
        """Checked: frames of a sequence belong together, and are enough for the target."""
        owner = "CTCLoss"
        if self.targets is None:
            raise ValueError(f"{owner}: the symbols of the sequences are given by bind(targets)")
        raw = self._raw(raw_prediction)
        n = raw.shape[0]
        y = check.row_numbers(owner, y_true, n, len(self.targets))
        w = check.weight_array(owner, sample_weight, n)
        if group is None:
            group = np.diff(np.flatnonzero(np.diff(y, prepend=-1, append=-1)))
        groups = Groups(check.group_sizes(owner, group, n))
        for what, x in (("label", y), ("weight", w)):
            if x is not None and (other := x != groups.spread(x[groups.starts])).any():
                raise ValueError(
                    f"{owner}: all frames of a sequence must have the same {what}; row "
                    f"{int(np.flatnonzero(other)[0])} has another than the first of its group"
                )
        _require_frames(y[groups.starts], groups.sizes, self.targets.values)
        return Batch(y, raw, w, groups)

    def _own_weights(self, batch: Batch, piece: Piece) -> Array | None:
        return None

    def _total_weights(
        self, batch: Batch, piece: Piece, arguments: tuple[Any, ...]
    ) -> Array | None:
        return None if batch.w is None else batch.weights(piece.rows)[:, None]

    def _value_weights(self, batch: Batch, piece: Piece) -> Array:
        groups = Groups(batch.grouped().sizes[piece.groups])
        return batch.weights(piece.rows)[groups.starts].astype(np.float64)

    def _log_sums(self, y: Array, f: Array, groups: Groups) -> tuple[Array, Array, Array]:
        """Logs of all paths through each state and of all valid ones; symbols of the states."""
        assert self.targets is not None
        paths = _Paths.of(self.targets.values[y[groups.starts].astype(np.intp)], self.blank)
        return *_forward_backward(f, paths, groups), paths.symbols[groups.ids]

    def _value(self, y: Array, f: Array, w: Array, groups: Groups) -> Array:
        wide = f.astype(np.float64)
        wide = wide - wide.max(axis=1, keepdims=True)
        _, valid, _ = self._log_sums(y, wide, groups)
        value = groups.sum(logsumexp(wide)) - valid
        # Rounding may leave the sum of some paths above that of all.
        value = np.minimum(np.maximum(value, 0), np.finfo(f.dtype).max)
        return np.asarray(value, dtype=f.dtype)

    def _probabilities(self, y: Array, f: Array, groups: Groups) -> tuple[Array, ...]:
        """P, 1 - p, the occupancies g, and 1 - g."""
        wide = f.astype(np.float64)
        wide = wide - wide.max(axis=1, keepdims=True)
        p, q = softmax_and_complement(wide)
        log, _, symbols = self._log_sums(y, wide, groups)
        share = np.exp(log - log.max(axis=1, keepdims=True))
        share /= share.sum(axis=1, keepdims=True)
        entry = np.arange(len(f))[:, None] * self.n_symbols + symbols
        g = np.bincount(entry.ravel(), share.ravel(), f.size).reshape(f.shape)
        return p, q, g, sum_of_others(g)

    def _gradient(self, y: Array, f: Array, w: Array, groups: Groups) -> Array:
        p, q, g, rest = self._probabilities(y, f, groups)
        # Near 1 the numbers themselves cancel, and their complements do not.
        return np.where(p + g > 1, rest - q, p - g).astype(f.dtype)

    def _hessian(self, y: Array, f: Array, w: Array, groups: Groups) -> Array:
        p, q, g, rest = self._probabilities(y, f, groups)
        return np.asarray(p * q - g * rest, dtype=f.dtype)

    def _pulls(self, y: Array, f: Array, w: Array, groups: Groups) -> Array:
        p, q, g, rest = self._probabilities(y, f, groups)
        return np.asarray(p * rest + g * q, dtype=f.dtype)

    def _fisher(self, y: Array, f: Array, w: Array, groups: Groups) -> Array:
        p, q = softmax_and_complement(f)
        return p * q

    def _gradient_curvature(self, rule: Rule, *arguments: Any) -> tuple[Array, Array]:
        if rule.guarantee != "descent":
            return super()._gradient_curvature(rule, *arguments)
        y, f, _, groups = arguments
        p, q, g, rest = self._probabilities(y, f, groups)
        gradient = np.where(p + g > 1, rest - q, p - g)
        return gradient.astype(f.dtype), (p * rest + g * q).astype(f.dtype)

    rules = {
        "safe": Rule(lambda loss, *block: loss._pulls(*block), "descent", "p (1-g) + g (1-p)"),
        "auto": Rule(lambda loss, *block: loss._pulls(*block), "descent", "p (1-g) + g (1-p)"),
        "fisher": Rule(lambda loss, *block: loss._fisher(*block), "none", "p (1 - p)"),
    }

    def _intercept(self, batch: Batch, has_offset: bool) -> Any:
        def value_gradient(c: Array) -> tuple[float, Array]:
            shifted = replace(batch, f=batch.f + c)

            def block(piece: Piece, arguments: tuple[Any, ...]) -> tuple[float, Array]:
                value = weighted_sum(self._value_weights(batch, piece), self._value(*arguments))
                w = batch.weights(piece.rows)
                return float(value), weighted_sum(w, self._gradient(*arguments))

            parts = self._map(shifted, block)
            return sum(v for v, _ in parts) / n, sum(g for _, g in parts) / n

        n = float(batch.weights(slice(0, batch.n_rows)).sum())
        start, bounds = np.zeros(self.n_symbols), [(-MAX_SCORE, MAX_SCORE)] * self.n_symbols
        found = minimize(value_gradient, start, jac=True, method="L-BFGS-B", bounds=bounds)
        return np.asarray(found.x)


class _Paths(NamedTuple):
    """States of each sequence: its symbols, with blanks before, between and after."""

    symbols: Array
    skip: Array  # whether the state may be entered from two before, past a blank
    last: Array  # the last state, a blank

    @classmethod
    def of(cls, target: Array, blank: int) -> "_Paths":
        length = (target != PADDING).sum(axis=1)
        target = target[:, : length.max()]
        symbols = np.full((len(target), 2 * target.shape[1] + 1), blank)
        symbols[:, 1::2] = np.where(target == PADDING, blank, target)
        skip = np.zeros(symbols.shape, dtype=bool)
        skip[:, 2:] = (symbols[:, 2:] != blank) & (symbols[:, 2:] != symbols[:, :-2])
        return cls(symbols, skip, 2 * length)


def _forward_backward(f: Array, paths: _Paths, groups: Groups) -> tuple[Array, Array]:
    """Log of all paths through a frame's state, up to a constant of the frame; of all paths.

    Every step is relative to the largest of its frame, so that no sum over frames, of which the
    largest would leave few digits to the rest, is ever exponentiated.
    """
    scores = np.take_along_axis(f, paths.symbols[groups.ids], axis=1)
    sizes, starts = groups.sizes, groups.starts
    longest = np.argsort(-sizes, kind="stable")
    # The sequences that are still running come first.
    alive = np.searchsorted(-sizes[longest], -np.arange(sizes.max()), side="left")
    before, after = np.full((2, *scores.shape), -np.inf)

    first = scores[starts]
    first[:, 2:] = -np.inf
    total = first.max(axis=1)
    before[starts] = first - total[:, None]
    for t in range(1, len(alive)):
        g = longest[: alive[t]]
        row = starts[g] + t
        log = _onwards(before[row - 1], paths.skip[g]) + scores[row]
        top = log.max(axis=1)
        total[g] += top
        before[row] = log - top[:, None]

    stop, state = starts + sizes - 1, np.arange(scores.shape[1])
    final = (state == paths.last[:, None]) | (state == paths.last[:, None] - 1)
    total += logsumexp(np.where(final, before[stop], -np.inf))
    after[stop] = np.where(final, 0.0, -np.inf)
    # The same step with time and states the other way round.
    mirrored = np.zeros_like(paths.skip)
    mirrored[:, 2:] = paths.skip[:, :1:-1]
    for t in range(len(alive) - 2, -1, -1):
        g = longest[: alive[t + 1]]
        row = starts[g] + t
        ahead = after[row + 1] + scores[row + 1]
        log = _onwards(ahead[:, ::-1], mirrored[g])[:, ::-1]
        after[row] = log - log.max(axis=1, keepdims=True)
    return before + after, total


def _onwards(log: Array, skip: Array) -> Array:
    """Log of what arrives in each state from itself, its neighbour, and the one before that."""
    arrived = log.copy()
    arrived[:, 1:] = np.logaddexp(log[:, 1:], log[:, :-1])
    over = np.where(skip[:, 2:], log[:, :-2], -np.inf)
    arrived[:, 2:] = np.logaddexp(arrived[:, 2:], over)
    return arrived


def _padded(targets: Any) -> Array:
    """Ragged sequences of symbols as an array of integers, `PADDING` after the last of each."""
    if isinstance(targets, Sequence) and len({np.size(row) for row in targets}) > 1:
        width = max(np.size(row) for row in targets)
        full = np.full((len(targets), width), PADDING, dtype=np.float64)
        for line, row in zip(full, targets, strict=True):
            line[: np.size(row)] = row
        targets = full
    array = np.asarray(targets)
    if array.size == 0 and array.ndim == 2:
        array = array.astype(np.int64)
    if array.ndim != 2 or array.dtype.kind not in "iuf" or (array != np.floor(array)).any():
        raise ValueError(
            f"CTCLoss: targets must be sequences of integers, or an array of shape "
            f"(n_sequences, max_length); got {targets!r}"
        )
    return array.astype(np.int64)


def _require_symbols(targets: Array, n_symbols: int, blank: int) -> None:
    """Error that names the first entry that is no symbol of a target."""
    past = np.maximum.accumulate(targets == PADDING, axis=1)
    bad = (targets < 0) | (targets >= n_symbols) | (targets == blank) | past
    bad &= targets != PADDING
    if bad.any():
        i, j = np.argwhere(bad)[0]
        raise ValueError(
            f"CTCLoss: targets must hold symbols 0 to {n_symbols - 1} other than the blank, "
            f"{blank}, and {PADDING} after the last one; got {targets[i, j]} at sequence {i}, "
            f"position {j}"
        )


def _require_frames(sequences: Array, frames: Array, targets: Array) -> None:
    """Error for a sequence with fewer frames than its target needs."""
    target = targets[sequences]
    length = (target != PADDING).sum(axis=1)
    again = ((target[:, 1:] == target[:, :-1]) & (target[:, 1:] != PADDING)).sum(axis=1)
    short = frames < length + again
    if short.any():
        g = int(np.flatnonzero(short)[0])
        raise ValueError(
            f"CTCLoss: sequence {sequences[g]} (group {g}) has {frames[g]} frames; its target of "
            f"{length[g]} symbols needs at least {length[g] + again[g]}"
        )
