"""Labels, raw predictions, weights and groups on which a loss is put to the test."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from gbobjectives._numerics import Array
from gbobjectives.losses.base import Loss
from gbobjectives.losses.kinds import GroupLoss, RowLoss

# Magnitudes of raw predictions from far below to far above anything that training meets.
MAGNITUDES = 10.0 ** np.array([-30, -10, -3, 0, 1, 1.5, 2, 2.5, 3, 5, 10, 15, 19, 20, 30])
EXTREMES = np.concatenate([-MAGNITUDES[::-1], [0.0], MAGNITUDES])

# Rows of a small group: few enough to differentiate by each.
SMALL = 6

Generator = np.random.Generator


def score_scale(loss: Loss) -> float:
    """Raw prediction over which the loss bends: its delta, what else it says, or 1."""
    delta = getattr(loss, "delta", getattr(loss, "_scale", 1.0))
    return 1.0 if isinstance(delta, str) else float(np.mean(delta))


def is_residual(loss: Loss) -> bool:
    """Whether a row's raw prediction is compared with its label."""
    on_scale = loss.link.name in ("identity", "sorted")
    return isinstance(loss, RowLoss) and on_scale and not has_classes(loss)


def has_classes(loss: Loss) -> bool:
    """Whether labels are integers 0 to K-1."""
    return getattr(loss, "n_classes", None) is not None


def around(labels: Array, loss: Loss) -> Array:
    """Labels in the shape in which scores are compared with them."""
    several = labels.ndim == 1 and loss.n_outputs > 1
    return np.repeat(labels[:, None], loss.n_outputs, axis=1) if several else labels


@dataclass(frozen=True)
class Case:
    """A loss under test: as given, and with numbers in place of "auto"."""

    given: Loss
    loss: Loss
    labels: Array | None
    seed: int

    @classmethod
    def of(cls, loss: Loss, y_true: Any, random_state: int) -> "Case":
        """The case of a loss, and of labels to draw from where the user gave any."""
        labels = None if y_true is None else np.asarray(y_true)
        draft = cls(loss, loss, labels, random_state)
        if loss.resolved:
            return draft
        y, f = draft.rows(draft.rng(), 500)
        return cls(loss, loss.resolve(y, f), labels, random_state)

    @property
    def by_rows(self) -> bool:
        """Whether rows are independent of each other."""
        return isinstance(self.loss, RowLoss)

    @property
    def scale(self) -> float:
        """Raw prediction over which the loss bends."""
        return score_scale(self.loss)

    def rng(self) -> Generator:
        """Random numbers, the same for each check."""
        return np.random.default_rng(self.seed)

    @property
    def positional(self) -> bool:
        """Whether the order of rows within a group matters."""
        return isinstance(self.loss, GroupLoss) and self.loss.positional

    @property
    def repeats_groups(self) -> bool:
        """Whether a row twice is two places, so that weights stand for copies of groups only."""
        return self.positional or (isinstance(self.loss, GroupLoss) and self.loss.takes_places)

    @property
    def labels_of_groups(self) -> bool:
        """Whether labels and weights are those of a group: it has a target of its own."""
        return self.positional and self.loss.targets is not None

    def of_groups(self, rows: Array, group: Any) -> Array:
        """Numbers of rows; where they are those of groups, that of the first row in all."""
        if not self.labels_of_groups:
            return rows
        sizes = np.array([len(rows)]) if group is None else np.asarray(group)
        return np.repeat(rows[np.cumsum(sizes) - sizes], sizes)

    def rows(self, rng: Generator, n: int, far: bool = False) -> tuple[Array, Array]:
        """Labels and raw predictions, ordinary or far off."""
        y = draw_labels(self.loss, rng, n, self.labels)
        if self.labels_of_groups:
            y = self.of_groups(y, self.groups(rng, n))
        return y, draw_scores(self.loss, rng, y, far)

    def edge_labels(self) -> Array:
        """Labels at the ends of the domain, large ones, and a few ordinary ones."""
        drawn = draw_labels(self.loss, self.rng(), 4, self.labels)
        if drawn.ndim > 1 or has_classes(self.loss) or self.loss.targets is not None:
            return drawn
        domain = self.loss.y_domain
        ends = [domain.low, domain.high, -1e3 * self.scale, 1e3 * self.scale]
        allowed = [x for x in ends if np.isfinite(x) and bool(domain.includes(x))]
        return np.concatenate([drawn, allowed])

    def groups(self, rng: Generator, n: int) -> Array | None:
        """Sizes of random groups for a loss that sees groups, else None."""
        if self.by_rows:
            return None
        if self.labels_of_groups:
            # Long enough for their targets, and the same cuts for whoever asks.
            sizes = np.full(max(1, n // SMALL), SMALL)
            sizes[-1] += n - sizes.sum()
            return sizes
        cuts = np.sort(rng.choice(np.arange(1, n), size=max(1, n // 12), replace=False))
        return np.diff(np.concatenate([[0], cuts, [n]]))

    def natural(self, y: Array, f: Array, group: Any = None) -> Array:
        """Size of the curvature that rounding errors are measured by."""
        for name in ("safe", "auto"):
            if name in self.loss.rules and self.loss.guarantee(name) != "none":
                return self.loss.curvature(y, f, name, group=group)
        h = np.abs(self.loss.hessian(y, f, group=group))
        return h + np.abs(self.loss.gradient(y, f, group=group)) / self.scale

    def curves(self, dtype: Any, grid: Array) -> Iterator[tuple[str, Array, Array, Array, Array]]:
        """Value and gradient along one raw prediction that runs over the grid.

        Yields (what was moved, points, value, gradient, whether the point is on no kink), all of
        shape (len(grid),). Rows that
        see each other move within a small group, repeated once for each point.
        """
        n = len(grid)
        for label in self.edge_labels():
            for output in range(min(self.loss.n_outputs, 3)):
                m = 1 if self.by_rows else SMALL
                y = np.repeat(np.asarray(label)[None], m, axis=0)
                if m > 1 and not self.labels_of_groups:
                    y[1:] = draw_labels(self.loss, self.rng(), m - 1, self.labels)
                shape = (n, m) if self.loss.n_outputs == 1 else (n, m, self.loss.n_outputs)
                f = np.zeros(shape, dtype=dtype)
                if m > 1:
                    f[:, 1:] = self.rng().normal(size=f.shape[1:])[1:]
                f[(slice(None), 0, output)[: f.ndim]] = grid
                flat_y = np.concatenate([y] * n)
                flat_f = f.reshape(n * m, *shape[2:])
                group = None if self.by_rows else np.full(n, m)
                value = self.loss.value(flat_y, flat_f, group=group)
                gradient = self.loss.gradient(flat_y, flat_f, group=group).reshape(shape)
                what = f"y_true {label}" + (f", output {output}" if len(shape) > 2 else "")
                moved = (slice(None), 0, output)[: f.ndim]
                smooth = np.ones(n, dtype=bool)
                for kink in self.loss.kinks(flat_y, flat_f):
                    smooth &= (flat_f != kink).reshape(shape)[moved]
                yield what, f[moved], value, gradient[moved], smooth


def draw_labels(
    loss: Loss, rng: Generator, n: int, labels: Array | None = None, soft: float = 0.25
) -> Array:
    """Labels from the loss's domain, or from the labels given."""
    if labels is not None:
        return labels[rng.integers(0, len(labels), n)]
    if loss.targets is not None:
        return rng.integers(0, len(loss.targets), n)
    if has_classes(loss):
        return rng.integers(0, loss.n_classes, n)  # type: ignore[attr-defined]
    if loss.n_labels > 1:
        return _draw_flat(loss, rng, n * loss.n_labels, soft).reshape(n, loss.n_labels)
    return _draw_flat(loss, rng, n, soft)


def _draw_flat(loss: Loss, rng: Generator, n: int, soft: float) -> Array:
    domain = loss.y_domain
    if np.isfinite(domain.low) and np.isfinite(domain.high):
        inside = domain.low + (domain.high - domain.low) * rng.uniform(0.01, 0.99, n)
        ends = np.where(rng.random(n) < 0.5, domain.low, domain.high)
        hard = domain.includes(ends) & (rng.random(n) >= soft)
        return np.where(hard, ends, inside)
    if np.isfinite(domain.low):
        amounts = rng.poisson(2.0, n) * rng.choice([1.0, 0.3, 7.0], n)
        y: Array = domain.low + np.maximum(amounts, 0 if domain.low_inclusive else 0.1)
        return y
    if np.isfinite(domain.high):
        return domain.high - rng.gamma(1.0, size=n) - 1e-3
    if not isinstance(loss, RowLoss):
        # Ties, and both signs.
        return rng.integers(-2, 5, n).astype(float)
    return 3 * score_scale(loss) * rng.normal(size=n)


def draw_scores(loss: Loss, rng: Generator, y: Array, far: bool = False) -> Array:
    """Raw predictions for the labels: near them, or badly wrong."""
    shape = (len(y),) if loss.n_outputs == 1 else (len(y), loss.n_outputs)
    if is_residual(loss):
        centre = around(y, loss)
        size = 10.0 ** rng.uniform(0, 6, shape) if far else 3.0
        f: Array = centre + score_scale(loss) * size * rng.normal(size=shape)
        return f
    return rng.uniform(-50, 50, shape) if far else 2 * rng.normal(size=shape)
