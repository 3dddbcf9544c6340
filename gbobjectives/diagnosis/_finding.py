"""One finding, and what the findings are made from."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from gbobjectives._numerics import Array
from gbobjectives._row_statistics import RowStatistics
from gbobjectives.adapters._parameters import Library
from gbobjectives.losses.base import Loss
from gbobjectives.objective import Objective

Severity = Literal["error", "warning", "info"]


@dataclass(frozen=True)
class Finding:
    """One thing that was seen, with its numbers, and what to change.

    Parameters
    ----------
    severity : {"error", "warning", "info"}
        ``"error"``: training fails or learns nothing; ``"warning"``: it is likely not what is
        wanted; ``"info"``: good to know.
    name : str
        What kind of finding it is, in a word or two.
    seen : str
        What was seen.
    change : str
        What to change; empty where nothing need be.
    numbers : dict of str to float
        The numbers of the text.

    Examples
    --------
    >>> import gbobjectives as gbo
    >>> finding = next(iter(gbo.diagnose("poisson", [1.0, -2.0])))
    >>> finding.severity, finding.name
    ('error', 'labels outside the domain')
    """

    severity: Severity
    name: str
    seen: str
    change: str = ""
    numbers: Mapping[str, float] = field(default_factory=dict)

    def __str__(self) -> str:
        change = f"\n  change: {self.change}" if self.change else ""
        return f"{self.severity}, {self.name}: {self.seen}{change}"


@dataclass(frozen=True)
class Subject:
    """A loss on its data, as every finding looks at it.

    `loss` has numbers in place of ``"auto"``; `labels` are those that its kernels see, and `raw`
    is the best constant where the user gave no raw prediction.
    """

    objective: Objective
    loss: Loss
    library: Library
    params: Mapping[str, Any]
    y_true: Any
    labels: Array
    live: Array
    raw: Array
    raw_is_given: bool
    sample_weight: Array | None
    group: Any
    intercept: Array
    statistics: RowStatistics

    @property
    def weights(self) -> Array:
        """Weights of all rows, 0 for those that do not count."""
        ones = np.ones(len(self.live)) if self.sample_weight is None else self.sample_weight
        weights: Array = np.where(self.live, ones, 0.0)
        return weights

    @property
    def residuals(self) -> Array | None:
        """Raw - y of rows that count, where the loss compares the two; else None."""
        compares = self.loss.task == "regression" and self.loss.link.name in ("identity", "sorted")
        if not compares or self.labels.ndim != 1:
            return None
        f = self.raw if self.raw.ndim == 2 else self.raw[:, None]
        residuals: Array = (f - self.labels[:, None])[self.weights > 0]
        return residuals

    def mean_loss(self, raw: Array) -> float:
        """Weighted mean of the loss for other raw predictions, one constant an output or all."""
        f = np.broadcast_to(raw if self.raw.ndim == 2 else np.squeeze(raw), self.raw.shape)
        return float(self.loss(self.y_true, np.array(f), self.sample_weight, self.group))


def percent(share: float) -> str:
    """A share in words: never 0 % of what there is, never 100 % of what there is not all of."""
    text = f"{100 * share:.3g} %"
    if 0 < share < 5e-4:
        return "under 0.1 %"
    return "nearly all" if text == "100 %" and share < 1 else text


def rounded(value: float) -> str:
    """One digit, for a value to be set by hand."""
    return f"{float(f'{value:.0e}'):g}"
