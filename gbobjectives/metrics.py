"""`Metric`: a named number of labels and raw predictions, with a direction.

A library hands raw predictions (scores before the link) to the metric of a custom objective,
and responses to that of a built-in one. A metric here says which it was given, never guesses.
"""

import inspect
import re
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, Literal, Self

import numpy as np

from gbobjectives.links import Link
from gbobjectives.losses import get_loss
from gbobjectives.losses.base import Loss
from gbobjectives.metric_functions import *
from gbobjectives.metric_functions import NAMED
from gbobjectives.objective import Objective, label_fingerprint


@dataclass(frozen=True)
class Metric:
    """Metric of a loss, or of a scikit-learn style function of labels and responses.

    Parameters
    ----------
    of : Loss, Objective, str or callable
        A loss or its name (its own metric is taken: the exact ``mae`` of `AbsoluteErrorLoss`,
        ...); ``"rmse"``, ``"rmsle"``, ``"rmspe"``, ``"accuracy"`` or ``"zero_one"``; or a function
        ``(y_true, y_pred, sample_weight=...)`` such as
        ``sklearn.metrics.average_precision_score``, which is given responses.
    greater_is_better : bool, optional
        Direction; required for a function, and False for a loss.
    name : str, optional
        Name in the log; that of the loss or function by default.
    link : Link, optional
        Link of the model whose raw predictions are given; that of the loss by default. `train`
        and the adapters fill it in from the loss that is trained.
    multiplier : float
        The value is multiplied by it: XGBoost keeps six decimals, which a metric of 1e-9 needs.
    labels_of : Loss, optional
        For a function: the loss that is trained, where its labels are row numbers of bound
        targets, or some of its rows are ignored. `train` and the adapters fill it in.

    Raises
    ------
    ValueError, TypeError
        If a function comes without a direction, or with weights that it cannot take.

    Examples
    --------
    >>> import gbobjectives as gbo
    >>> gbo.Metric(gbo.AbsoluteErrorLoss())([1.0, 2.0], [1.0, 4.0], sample_weight=[3.0, 1.0])
    0.5
    """

    of: Any
    greater_is_better: bool | None = None
    name: str = ""
    link: Link | None = None
    multiplier: float = 1.0
    labels_of: Loss | None = None
    _label_cache: dict[Any, Any] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )

    def __post_init__(self) -> None:
        of = self.of.loss if isinstance(self.of, Objective) else self.of
        if isinstance(of, str) and of in NAMED:
            of, better = NAMED[of]
            if self.greater_is_better not in (None, better):
                raise ValueError(f"Metric: {of.__name__} has greater_is_better={better}")
            object.__setattr__(self, "greater_is_better", better)
        elif isinstance(of, str):
            of = get_loss(of)
        object.__setattr__(self, "of", of)
        if isinstance(of, Loss):
            if self.greater_is_better:
                raise ValueError(f"Metric: a loss is minimised; got greater_is_better for {of!r}")
            object.__setattr__(self, "greater_is_better", False)
            name = of.metric_name
        elif callable(of):
            name = getattr(of, "__name__", type(of).__name__)
            if not isinstance(self.greater_is_better, bool):
                raise ValueError(
                    f"Metric: {name} says nothing of its direction; "
                    "give greater_is_better=True or False"
                )
        else:
            raise TypeError(f"Metric: a loss, a name or a function is wanted; got {of!r}")
        # XGBoost splits its log at blanks, tabs and colons.
        object.__setattr__(self, "name", re.sub(r"[\s:]+", "_", self.name or name))

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_label_cache": {}}

    def __call__(
        self,
        y_true: Any,
        prediction: Any,
        sample_weight: Any = None,
        group: Any = None,
        *,
        given: Literal["raw", "response"] = "raw",
    ) -> float:
        """Value of the metric.

        Parameters
        ----------
        y_true : array of shape (n,) or (n, n_outputs)
            Labels.
        prediction : array of shape (n,) or (n, n_outputs)
            Raw predictions, or responses where ``given="response"``.
        sample_weight, group : array, optional
            Weights of rows; sizes of groups.
        given : {"raw", "response"}
            What `prediction` holds.

        Returns
        -------
        float
        """
        if given not in ("raw", "response"):
            raise ValueError(f'Metric: given must be "raw" or "response"; got {given!r}')
        if isinstance(self.of, Loss):
            raw = self._raw_of_loss(self.of, prediction, given)
            loss = self._resolved(self.of, y_true, sample_weight)
            value = loss.metric_value(y_true, raw, sample_weight, group)
        else:
            value = self._call_function(y_true, prediction, sample_weight, given)
        return float(value) * self.multiplier

    def with_link(self, link: Link) -> Self:
        """The same metric, for raw predictions of a model with that link unless it has one."""
        return self if self.link is not None else replace(self, link=link)

    def resolved_on(self, y_true: Any, sample_weight: Any = None, constant: Any = None) -> Self:
        """The same metric, ``"auto"`` fixed at the best constant of `y_true`, `sample_weight`.

        That `constant` need not be found again where it is known.
        """
        if not isinstance(self.of, Loss) or self.of.resolved:
            return self
        return replace(self, of=self._resolved(self.of, y_true, sample_weight, constant))

    def check(self, weighted: bool) -> None:
        """Error if the metric cannot be evaluated on `weighted` data, before it has to be."""
        if weighted and not isinstance(self.of, Loss):
            self._require_weights()

    def _raw_of_loss(self, loss: Loss, prediction: Any, given: str) -> Any:
        """Raw prediction as the loss has it, whose link need not be the model's."""
        same = self.link is None or self.link == loss.link
        if given == "raw" and same:
            return prediction
        response = np.asarray(prediction)
        if given == "raw" and self.link is not None:
            response = self.link.inverse(response)
        # A probability that float32 rounded to 0 or 1 has no finite logit.
        inside = loss.link.range
        eps = np.finfo(response.dtype).eps if response.dtype.kind == "f" else 0.0
        low = -np.inf if inside.low == -np.inf else inside.low + np.finfo(np.float32).tiny
        high = np.inf if inside.high == np.inf else inside.high * (1 - eps / 2)
        return loss.link.link(np.clip(response, low, high))

    def _resolved(self, loss: Loss, y_true: Any, sample_weight: Any, constant: Any = None) -> Loss:
        """The loss at the intercept of these labels: one fixed function per data set."""
        if loss.resolved:
            return loss
        n = np.shape(y_true)[0] if np.ndim(y_true) else 0
        zeros = np.zeros(n if loss.n_outputs == 1 else (n, loss.n_outputs))
        batch = loss._batch(y_true, zeros, sample_weight, None)
        key = label_fingerprint(batch)
        if key not in self._label_cache:
            if constant is None:
                constant = loss.intercept(y_true, sample_weight)
            self._label_cache[key] = loss.resolve(y_true, zeros + constant, sample_weight)
        resolved: Loss = self._label_cache[key]
        return resolved

    def _call_function(self, y_true: Any, prediction: Any, sample_weight: Any, given: str) -> float:
        function: Callable[..., Any] = self.of
        y_pred = np.asarray(prediction)
        if self.labels_of is not None:
            y_true, kept = self.labels_of.labels(y_true)
            y_true, y_pred = y_true[kept], y_pred[kept]
            sample_weight = None if sample_weight is None else np.asarray(sample_weight)[kept]
        if given == "raw":
            if self.link is None:
                raise ValueError(
                    f"Metric: {self.name} is given raw predictions and knows no link; "
                    "give loss= or link="
                )
            y_pred = self.link.inverse(y_pred)
        if sample_weight is None:
            return float(function(y_true, y_pred))
        self._require_weights()
        return float(function(y_true, y_pred, sample_weight=sample_weight))

    def _require_weights(self) -> None:
        if "sample_weight" not in inspect.signature(self.of).parameters:
            raise TypeError(f"Metric: the data has weights, and {self.name} takes no sample_weight")


def as_metric(metric: Any, loss: Loss | None = None, **options: Any) -> Metric:
    """A `Metric` of a Metric, a loss, a name or a function; the link is taken from `loss`."""
    made = metric if isinstance(metric, Metric) else Metric(metric, **options)
    if loss is None:
        return made
    if isinstance(made.of, Loss) and made.of.n_outputs != loss.n_outputs:
        raise ValueError(
            f"Metric: {made.of!r} has {made.of.n_outputs} output(s), and the model of {loss!r} has "
            f"{loss.n_outputs}"
        )
    shared: dict[str, Any] = {"targets": loss.targets, "ignore_index": loss.ignore_index}
    if isinstance(made.of, Loss):
        missing = {k: v for k, v in shared.items() if v is not None and getattr(made.of, k) is None}
        made = replace(made, of=replace(made.of, **missing)) if missing else made
    elif any(value is not None for value in shared.values()):
        made = replace(made, labels_of=loss)
    return made.with_link(loss.link)
