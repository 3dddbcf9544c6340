"""The three ways in which a loss may see its rows: one by one, with sums, or by groups."""

from abc import abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from gbobjectives._batch import Batch, Groups, Piece
from gbobjectives._numerics import Array
from gbobjectives.curvature import Rule, absolute_kernel
from gbobjectives.losses.base import Loss
from gbobjectives.parallel import map_blocks, total

__all__ = ["CoupledLoss", "GroupLoss", "RowLoss"]


@dataclass(frozen=True)
class RowLoss(Loss):
    """A loss of one row at a time.

    A subclass supplies ``_value(y, f)``, ``_gradient(y, f)`` and ``_hessian(y, f)``, unweighted
    and element-wise, and its ``rules``; without them ``auto`` is abs(h), of which nothing is
    known: ``heuristic``.

    Examples
    --------
    >>> from dataclasses import dataclass
    >>> import numpy as np
    >>> import gbobjectives as gbo
    >>> @dataclass(frozen=True)
    ... class QuarticLoss(gbo.RowLoss):
    ...     def _value(self, y, f): return (f - y) ** 4 / 4
    ...     def _gradient(self, y, f): return (f - y) ** 3
    ...     def _hessian(self, y, f): return 3 * (f - y) ** 2
    >>> QuarticLoss().gradient([1.0], [3.0]), QuarticLoss().curvature([1.0], [3.0], "auto")
    (array([8.]), array([12.]))
    """

    rules = {"auto": Rule(absolute_kernel, "heuristic", "abs(h)")}

    @abstractmethod
    def _value(self, y: Array, f: Array) -> Array: ...

    @abstractmethod
    def _gradient(self, y: Array, f: Array) -> Array: ...

    @abstractmethod
    def _hessian(self, y: Array, f: Array) -> Array: ...

    def _pieces(self, batch: Batch) -> list[Piece]:
        return batch.row_pieces()

    def _arguments(self, batch: Batch, piece: Piece, context: Any) -> tuple[Any, ...]:
        return batch.rows(piece.rows)

    def _own_weights(self, batch: Batch, piece: Piece) -> Array | None:
        if batch.ignored is None:
            return None
        live = (~batch.ignored[piece.rows]).astype(batch.f.dtype)
        return live if self.n_outputs == 1 else live[:, None]

    def _total_weights(
        self, batch: Batch, piece: Piece, arguments: tuple[Any, ...]
    ) -> Array | None:
        if batch.w is None:
            return None
        w = batch.weights(piece.rows)
        return w if self.n_outputs == 1 else w[:, None]

    def _value_weights(self, batch: Batch, piece: Piece) -> Array:
        return batch.weights(piece.rows)


@dataclass(frozen=True)
class GroupLoss(Loss):
    """A loss of whole groups of rows; without groups the batch is one group.

    A subclass supplies ``_value(y, f, w, groups)``, one number per group, and
    ``_gradient(y, f, w, groups)`` and ``_hessian``, its derivatives per unit of the row's own
    weight. Kernels see a run of whole groups, so that a loss can be vectorised across them.
    An objective minimises the sum of each group's value times its weight (the sum of its rows'
    weights), so that gradients are of order 1 per row.

    `positional` says whether results depend on the order of rows within a group, `takes_places`
    whether a row takes one place in it, whatever its weight.

    Examples
    --------
    >>> from dataclasses import dataclass
    >>> import gbobjectives as gbo
    >>> @dataclass(frozen=True)
    ... class GroupTotalLoss(gbo.GroupLoss):
    ...     def _miss(self, y, f, w, groups): return groups.sum(w * (f - y))
    ...     def _value(self, *block): return self._miss(*block) ** 2 / 2
    ...     def _gradient(self, *block): return block[-1].spread(self._miss(*block))
    ...     def _hessian(self, y, f, w, groups): return w
    >>> GroupTotalLoss().gradient([1.0, 2.0, 5.0], [0.0, 0.0, 0.0], group=[2, 1])
    array([-3., -3., -5.])
    """

    positional: ClassVar[bool] = False
    takes_places: ClassVar[bool] = False

    @abstractmethod
    def _value(self, y: Array, f: Array, w: Array, groups: Groups) -> Array: ...

    @abstractmethod
    def _gradient(self, y: Array, f: Array, w: Array, groups: Groups) -> Array: ...

    @abstractmethod
    def _hessian(self, y: Array, f: Array, w: Array, groups: Groups) -> Array: ...

    def _pieces(self, batch: Batch) -> list[Piece]:
        return batch.group_pieces()

    def _arguments(self, batch: Batch, piece: Piece, context: Any) -> tuple[Any, ...]:
        groups = Groups(batch.grouped().sizes[piece.groups])
        return *batch.rows(piece.rows), batch.weights(piece.rows), groups

    def _own_weights(self, batch: Batch, piece: Piece) -> Array | None:
        if batch.w is None:
            return None
        w = batch.weights(piece.rows)
        return w if self.n_outputs == 1 else w[:, None]

    def _total_weights(
        self, batch: Batch, piece: Piece, arguments: tuple[Any, ...]
    ) -> Array | None:
        _, _, w, groups = arguments
        spread: Array = groups.spread(groups.sum(w))
        result: Array = w * spread
        return result if self.n_outputs == 1 else result[:, None]

    def _value_weights(self, batch: Batch, piece: Piece) -> Array:
        groups = Groups(batch.grouped().sizes[piece.groups])
        return groups.sum(batch.weights(piece.rows).astype(np.float64))


@dataclass(frozen=True)
class CoupledLoss(Loss):
    """A loss of a row and of sums over the batch, or over each group where groups are given.

    A subclass supplies ``_terms(y, f, w)``, what a row adds to its sums, as a tuple of arrays;
    ``_value(*sums)``; and ``_gradient(y, f, w, sums)`` and ``_hessian`` per unit of the row's
    own weight. The first sum is always that of the weights. Sums over blocks are sums over
    threads are sums over machines. The objective minimises the value times the sum of weights,
    as for `GroupLoss`.

    Examples
    --------
    >>> from dataclasses import dataclass
    >>> import numpy as np
    >>> import gbobjectives as gbo
    >>> @dataclass(frozen=True)
    ... class MeanBiasLoss(gbo.CoupledLoss):
    ...     def _terms(self, y, f, w): return (w * (f - y),)
    ...     def _value(self, weight, miss): return (miss / weight) ** 2 / 2
    ...     def _gradient(self, y, f, w, sums): return sums[1] / sums[0] ** 2 + 0 * f
    ...     def _hessian(self, y, f, w, sums): return w / sums[0] ** 2
    >>> MeanBiasLoss().gradient([1.0, 2.0, 6.0], [0.0, 0.0, 0.0])
    array([-1., -1., -1.])
    """

    def _terms(self, y: Array, f: Array, w: Array) -> tuple[Array, ...]:
        """What a row adds; not needed where a subclass has a `_summary` of its own."""
        raise NotImplementedError(f"{type(self).__name__}: _terms says what a row adds to its sums")

    @abstractmethod
    def _value(self, *sums: Array) -> Array: ...

    @abstractmethod
    def _gradient(self, y: Array, f: Array, w: Array, sums: tuple[Array, ...]) -> Array: ...

    @abstractmethod
    def _hessian(self, y: Array, f: Array, w: Array, sums: tuple[Array, ...]) -> Array: ...

    def _pieces(self, batch: Batch) -> list[Piece]:
        return batch.row_pieces() if batch.groups is None else batch.group_pieces()

    def _summary(self, y: Array, f: Array, w: Array, groups: Groups) -> Array:
        """Sums of a block's rows within each group, shape (n_sums, n_groups), in float64."""
        terms = np.stack([w, *self._terms(y, f, w)]).astype(np.float64)
        # Pairwise sums along the rows of one group are more exact than running ones.
        return terms.sum(axis=1, keepdims=True) if len(groups.sizes) == 1 else groups.sum(terms.T).T

    def _context(self, batch: Batch, n_threads: int | None) -> Array:
        """The sums, shape (n_sums, n_groups), in float64."""

        def block(piece: Piece) -> Array:
            y, f = batch.rows(piece.rows)
            w = batch.weights(piece.rows)
            whole = Groups(np.array([len(f)]))
            groups = whole if batch.groups is None else Groups(batch.groups.sizes[piece.groups])
            with np.errstate(over="ignore", under="ignore"):
                return self._summary(y, f, w, groups)

        parts = map_blocks(block, self._pieces(batch), batch.f.size, n_threads)
        # A group lies on one machine; a whole batch may lie on several.
        return total(parts) if batch.groups is None else np.hstack(parts)

    def _arguments(self, batch: Batch, piece: Piece, context: Any) -> tuple[Any, ...]:
        sums = context.astype(batch.f.dtype)
        if batch.groups is not None:
            ids = Groups(batch.groups.sizes[piece.groups]).ids
            sums = sums[:, piece.groups][:, ids]
        return *batch.rows(piece.rows), batch.weights(piece.rows), tuple(sums)

    def _own_weights(self, batch: Batch, piece: Piece) -> Array | None:
        return None if batch.w is None else batch.weights(piece.rows)

    def _total_weights(
        self, batch: Batch, piece: Piece, arguments: tuple[Any, ...]
    ) -> Array | None:
        _, _, w, sums = arguments
        total: Array = w * sums[0]
        return total

    def _value_weights(self, batch: Batch, piece: Piece) -> Array:
        raise AssertionError("a coupled loss weighs its values by their first sum")

    def _entry_weights(self, batch: Batch) -> Array:
        return np.asarray(self._context(batch, None)[0])

    def _values(self, batch: Batch) -> Array:
        return self._value(*self._context(batch, None)).astype(batch.f.dtype)

    def _mean(self, batch: Batch, kernel: Callable[..., Array]) -> float:
        sums = self._context(batch, None)
        here = np.array([(kernel(*sums) * sums[0]).sum(), sums[0].sum()])
        weighted, weight = here if batch.groups is None else total([here])
        return float(weighted / weight)
