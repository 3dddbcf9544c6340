"""Losses of embeddings: the raw predictions of a row are its place in space."""

from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, NamedTuple, Self

import numpy as np

from gbobjectives import _validation as check
from gbobjectives._batch import Batch, Groups
from gbobjectives._numerics import Array
from gbobjectives.curvature import Rule
from gbobjectives.losses._draws import draw_of, uniform
from gbobjectives.losses.kinds import GroupLoss

__all__ = ["TripletMarginLoss"]

DISTANCES = ("euclidean", "squared")


class Triplets(NamedTuple):
    """Rows of the anchors, positives and negatives, and what is between them."""

    rows: Array  # (3, m)
    to_positive: Array  # (m, d), anchor less positive
    to_negative: Array
    d_positive: Array  # (m,)
    d_negative: Array
    lead: Array  # d(a, p) - d(a, n) + margin: active if positive


@dataclass(frozen=True)
class TripletMarginLoss(GroupLoss):
    r"""Triplet loss, the mean of :math:`\max(0, d(a, p) - d(a, n) + m)` over triplets of rows.

    An anchor a should be nearer to a positive p, a row of its class, than to a negative n, a row
    of another one, by the margin. Estimates an embedding in which neighbours are of one class.
    Domain: all reals, of which only equality matters: class numbers. Link: identity; n_outputs is
    the dimension. Not convex. Units: those of the distance, which the margin sets. Triplets are
    drawn within each group, or the whole batch, a few for each anchor, and weigh the product of
    their rows' weights; a group without any has value 0. An active triplet adds the derivatives of
    d(a, p) less those of d(a, n): of d(x, y) gradient e = (x - y)/d, Hessian's diagonal (1 -
    e_k^2)/d; of its square gradient 2(x - y), Hessian's diagonal 2.

    Parameters
    ----------
    margin : float
        m, positive.
    n_outputs : int
        Dimension d, at least 2.
    distance : "euclidean" or "squared"
        d(x, y) is the length of x - y, or its square.
    n_triplets : int
        Triplets of each anchor, at least 1.
    triplets : sequence of triples of int, optional
        Rows (a, p, n) of the batch, which must be one group, in place of drawn ones. Labels
        do not matter then.
    seed : int
        At least 0; another seed gives other triplets.
    draw : int, optional
        The triplets of one round. By default a number made of the seed, the labels and the raw
        predictions: each round draws anew, and two runs give the same model.

    Raises
    ------
    ValueError
        If a parameter is out of range, or a triplet names a row that the batch has not.

    Notes
    -----
    A model starts at a constant, where all rows coincide. There the squared distance has the
    gradient 0: a saddle, on which nothing grows; give an ``init_score`` or ``base_margin``, which
    the model itself will not contain. The Euclidean distance has a kink instead, any vector of
    length up to 1 being one of its generalised gradients: rows of one class take 0, rows of two
    classes the unit vector between two random points that the seed gives these classes. So the
    first round pulls the classes apart, and needs no start. For rows that coincide the Hessian
    counts as 0.

    Rows are drawn by their place in the group: the order of rows matters, that of groups does not.

    ``safe`` and ``auto`` are ``heuristic``: a hinge has a kink, and -d(a, n) is concave. Each
    triplet that is active, or may become so within a margin, counts the square of its slope over
    m, as if the hinge bent within a margin, and for a and p the curvature of d(a, p), that of
    the Euclidean distance no larger than at the distance m. Of full steps of random trees 3 in
    10,000 raise the loss of squared distances, and one in eight that of Euclidean ones, whose
    kinks are at each pair of rows that nearly coincide. Intercept 0: only differences matter.

    References
    ----------
    .. [1] Schroff, Kalenichenko and Philbin, FaceNet, 2015, arXiv:1503.03832.
    .. [2] Weinberger and Saul, Distance metric learning for large margin nearest neighbor
       classification, Journal of Machine Learning Research 2009, 10:207-244.

    Examples
    --------
    >>> import gbobjectives as gbo
    >>> loss = gbo.TripletMarginLoss(triplets=[(0, 1, 2)])
    >>> loss.value([5, 5, 7], [[0.0, 0.0], [0.0, 2.0], [2.5, 0.0]])
    array([0.5])
    """

    margin: float = 1.0
    n_outputs: int = 2
    distance: str = "euclidean"
    n_triplets: int = 8
    triplets: Any = None
    seed: int = 0
    draw: int | None = field(default=None, kw_only=True)

    aliases: ClassVar[tuple[str, ...]] = ("triplet",)
    task: ClassVar[str] = "embedding"
    estimates: ClassVar[str] = "embedding"
    formula: ClassVar[str] = "mean over triplets of max(0, d(a, p) - d(a, n) + m)"
    source: ClassVar[str] = "arXiv:1503.03832"
    convex: ClassVar[bool] = False
    redescending: ClassVar[bool] = True
    positional: ClassVar[bool] = True

    def __post_init__(self) -> None:
        super().__post_init__()
        owner = "TripletMarginLoss"
        m = check.real_parameter(owner, "margin", self.margin, check.POSITIVE)
        object.__setattr__(self, "margin", m)
        lowest = {"n_outputs": 2, "n_triplets": 1, "seed": 0}
        if self.draw is not None:
            lowest["draw"] = 0
        for name, low in lowest.items():
            value = check.count_parameter(owner, name, getattr(self, name), low)
            object.__setattr__(self, name, value)
        if self.distance not in DISTANCES:
            raise ValueError(
                f'{owner}: distance must be "euclidean" or "squared"; got {self.distance!r}'
            )
        if self.triplets is not None:
            given = np.asarray(self.triplets)
            if given.ndim != 2 or given.shape[1:] != (3,) or given.dtype.kind not in "iu":
                raise ValueError(
                    f"{owner}: triplets must be triples of row numbers; got {self.triplets!r}"
                )
            object.__setattr__(self, "triplets", tuple(map(tuple, given.tolist())))

    @property
    def resolved(self) -> bool:
        """Whether the triplets are known."""
        return self.draw is not None or self.triplets is not None

    def _resolve(self, batch: Batch, statistics: Any) -> Self:
        return replace(self, draw=draw_of(batch, self.seed))

    def _batch(self, y_true: Any, raw_prediction: Any, sample_weight: Any, group: Any) -> Batch:
        batch = super()._batch(y_true, raw_prediction, sample_weight, group)
        if self.triplets is not None:
            rows = np.asarray(self.triplets)
            if len(batch.grouped().sizes) > 1 or rows.min() < 0 or rows.max() >= batch.n_rows:
                raise ValueError(
                    f"TripletMarginLoss: triplets must name rows 0 to {batch.n_rows - 1} of one "
                    f"group; got {rows.min()} to {rows.max()}, {len(batch.grouped().sizes)} groups"
                )
        return batch

    def triplet_rows(self, y: Array, groups: Groups) -> Array:
        """Rows of anchors, positives and negatives of labels `y` in `groups`, shape (3, m)."""
        if self.triplets is not None:
            return np.asarray(self.triplets).T
        if self.draw is None:
            raise ValueError("TripletMarginLoss: the triplets of a recipe are not drawn yet")
        return _drawn(y, groups, self.n_triplets, self.draw)

    def _found(self, y: Array, f: Array, groups: Groups) -> Triplets:
        wide = f.astype(np.float64)
        rows = self.triplet_rows(y, groups)
        a, p, n = rows
        to_positive, to_negative = wide[a] - wide[p], wide[a] - wide[n]
        d_positive, d_negative = ((x * x).sum(axis=1) for x in (to_positive, to_negative))
        if self.distance == "euclidean":
            d_positive, d_negative = np.sqrt(d_positive), np.sqrt(d_negative)
        lead = d_positive - d_negative + self.margin
        return Triplets(rows, to_positive, to_negative, d_positive, d_negative, lead)

    def _value(self, y: Array, f: Array, w: Array, groups: Groups) -> Array:
        found = self._found(y, f, groups)
        relative, _ = _relative(w, groups)
        weight = relative[found.rows].prod(axis=0)
        of = groups.ids[found.rows[0]]
        hinge, total = (
            np.bincount(of, weight * x, len(groups.sizes))
            for x in (np.maximum(found.lead, 0), np.ones(len(of)))
        )
        value = hinge / np.where(total > 0, total, 1)
        return np.asarray(np.minimum(value, np.finfo(f.dtype).max), dtype=f.dtype)

    def _directions(self, y: Array, found: Triplets) -> tuple[Array, Array]:
        """Gradients of both distances with respect to the anchor."""
        if self.distance == "squared":
            return 2 * found.to_positive, 2 * found.to_negative
        toward = [
            x / np.where(d > 0, d, 1)[:, None]
            for x, d in (
                (found.to_positive, found.d_positive),
                (found.to_negative, found.d_negative),
            )
        ]
        together = np.flatnonzero(found.d_negative == 0)
        if together.size:
            a, _, n = found.rows[:, together]
            apart = self._class_point(y[a]) - self._class_point(y[n])
            length = np.sqrt((apart * apart).sum(axis=1, keepdims=True))
            toward[1][together] = apart / np.where(length > 0, length, 1)
        return toward[0], toward[1]

    def _class_point(self, y: Array) -> Array:
        """A random point for each class."""
        # -0 and 0 are one class.
        bits = (y.astype(np.float64) + 0.0).view(np.uint64)
        return uniform(self.seed, bits[:, None], np.arange(self.n_outputs)) - 0.5

    def _gradient(self, y: Array, f: Array, w: Array, groups: Groups) -> Array:
        found = self._found(y, f, groups)
        to_positive, to_negative = self._directions(y, found)
        on = (found.lead > 0)[:, None]
        due = (on * (to_positive - to_negative), on * -to_positive, on * to_negative)
        return _scattered(found, due, f, w, groups)

    def _bends(self, found: Triplets) -> tuple[Array, Array]:
        """Diagonals of the second derivatives of both distances."""
        if self.distance == "squared":
            return np.full_like(found.to_positive, 2.0), np.full_like(found.to_positive, 2.0)
        bends = []
        for x, d in ((found.to_positive, found.d_positive), (found.to_negative, found.d_negative)):
            inverse = np.where(d > 0, 1 / np.where(d > 0, d, 1), 0)[:, None]
            bends.append(inverse * (1 - (x * inverse) ** 2))
        return bends[0], bends[1]

    def _hessian(self, y: Array, f: Array, w: Array, groups: Groups) -> Array:
        found = self._found(y, f, groups)
        positive, negative = self._bends(found)
        on = (found.lead > 0)[:, None]
        due = (on * (positive - negative), on * positive, on * -negative)
        return _scattered(found, due, f, w, groups)

    def _safe(self, y: Array, f: Array, w: Array, groups: Groups) -> Array:
        found = self._found(y, f, groups)
        near = (found.lead > -self.margin)[:, None]
        to_positive, to_negative = self._directions(y, found)
        bend: Any = 2.0
        if self.distance == "euclidean":
            # Nearer than the margin it would stop rows that are about to leave each other.
            bend = (1 - to_positive**2) / np.maximum(found.d_positive, self.margin)[:, None]
        slopes = (to_positive - to_negative, to_positive, to_negative)
        due = [s**2 / self.margin + own for s, own in zip(slopes, (bend, bend, 0), strict=True)]
        return _scattered(found, (near * due[0], near * due[1], near * due[2]), f, w, groups)

    rules = {
        name: Rule(lambda loss, *block: loss._safe(*block), "heuristic", "slope^2 / m + d''(a, p)")
        for name in ("safe", "auto")
    }

    def _intercept(self, batch: Batch, has_offset: bool) -> Any:
        return np.zeros(self.n_outputs)


def _drawn(y: Array, groups: Groups, n_triplets: int, draw: int) -> Array:
    """Triplets of every row that has others of its class and of another one in its group."""
    # Sorted by class within groups, the positives of a row are a run, and the negatives are what
    # is left and right of it.
    order = np.lexsort((y, groups.ids))
    change = (np.diff(groups.ids[order]) != 0) | (np.diff(y[order]) != 0)
    first = np.concatenate([[0], np.flatnonzero(change) + 1])
    run = np.searchsorted(first, np.arange(len(y)), side="right") - 1
    start, size = first[run], np.diff(np.append(first, len(y)))[run]
    group_start, group_size = (groups.spread(x)[order] for x in (groups.starts, groups.sizes))
    anchor = np.flatnonzero((size > 1) & (size < group_size))[:, None]
    start, size, group_start, group_size = (
        x[anchor] for x in (start, size, group_start, group_size)
    )
    place, which = order[anchor] - group_start, np.arange(n_triplets)
    other = start + (uniform(draw, place, which, 0) * (size - 1)).astype(np.intp)
    positive = other + (other >= anchor)
    other = group_start + (uniform(draw, place, which, 1) * (group_size - size)).astype(np.intp)
    negative = other + size * (other >= start)
    anchor = np.broadcast_to(anchor, positive.shape)
    rows: Array = order[np.stack([anchor.ravel(), positive.ravel(), negative.ravel()])]
    return rows


def _relative(w: Array, groups: Groups) -> tuple[Array, Array]:
    """Weights relative to the largest of the group, and that largest, in each row."""
    top = np.maximum.reduceat(w, groups.starts).astype(np.float64)
    heaviest = groups.spread(np.where(top > 0, top, 1))
    return w / heaviest, heaviest


def _scattered(
    found: Triplets, entries: tuple[Array, Array, Array], f: Array, w: Array, groups: Groups
) -> Array:
    """Sum over triplets of what is due to each of their rows, per unit of the row's weight."""
    relative, heaviest = _relative(w, groups)
    of_roles = relative[found.rows]
    total = np.bincount(
        groups.ids[found.rows[0]], of_roles.prod(axis=0), minlength=len(groups.sizes)
    )
    scale = groups.spread(np.where(total > 0, total, 1)) * heaviest
    rows, out = found.rows.ravel(), np.empty(f.shape)
    # The other two weights of the triplet: a row's own is no divisor where it is 0.
    others = np.stack([of_roles[[1, 2]], of_roles[[0, 2]], of_roles[[0, 1]]]).prod(axis=1)
    for k in range(f.shape[1]):
        due = np.stack([x[:, k] for x in entries]) * others
        out[:, k] = np.bincount(rows, due.ravel(), len(f)) / scale
    limit = float(np.finfo(f.dtype).max)
    return np.asarray(np.clip(out, -limit, limit), dtype=f.dtype)
