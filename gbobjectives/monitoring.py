"""Trouble of a training, found as it happens, with the parameter to change.

All of it is seen where the library asks for derivatives: scores, labels and weights come by once
a round. So one monitor serves every library, and needs no callback of any.
"""

import copy
import logging
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Self

import numpy as np
import numpy.typing as npt

from gbobjectives._numerics import Array
from gbobjectives._row_statistics import row_statistics
from gbobjectives.adapters._parameters import as_mapping, limit
from gbobjectives.curvature import DESCENDING
from gbobjectives.diagnosis import Finding, diagnose
from gbobjectives.diagnosis._finding import percent
from gbobjectives.losses.base import Loss
from gbobjectives.objective import Objective, as_objective, label_fingerprint

__all__ = ["Monitor", "TrainingWarning"]

# Trees without a split in as many rounds: no draw of rows or features is that unlucky.
FIRST_ROUNDS = 3

# The loss may rise by this share of what it has fallen, as it does under sampling of rows.
ALLOWED_RISE = 0.1

# Looks in a row at a loss that is above its lowest.
RISEN_LOOKS = 2

# Outliers, which a floor is there for, are fewer than this.
MANY_ROWS = 0.25

# Scores that leave the range of float32 are none of the model's business in so many rows.
SATURATED_ROWS = 0.01

# What float32 may lose of a score, in mean distances of the labels from their mean.
LOST = 1e-2

FLOAT32 = np.finfo(np.float32)


class TrainingWarning(UserWarning):
    """What a `Monitor` warns with; made an error, it stops the training.

    Examples
    --------
    >>> import warnings, gbobjectives as gbo
    >>> with warnings.catch_warnings():
    ...     warnings.simplefilter("error", gbo.monitoring.TrainingWarning)
    """


@dataclass(frozen=True)
class WatchedObjective(Objective):
    """An objective that shows its monitor what it is asked."""

    monitor: Any = field(default=None, repr=False, compare=False)

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        # LightGBM copies its parameters; what it trains on is to tell the same monitor.
        return copy.copy(self)

    def gradient_hessian(
        self, y_true: Any, raw_prediction: Any, sample_weight: Any = None, group: Any = None
    ) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
        """As of an `Objective`."""
        result = super().gradient_hessian(y_true, raw_prediction, sample_weight, group)
        if self.monitor is not None:
            plain = Objective(self.loss, self.curvature, self.scale, self.n_threads)
            self.monitor._look(plain, _Rows(y_true, raw_prediction, sample_weight, group))
        return result

    def resolve(self, y_true: Any, raw_prediction: Any, sample_weight: Any = None) -> Self:
        """As of an `Objective`."""
        made = super().resolve(y_true, raw_prediction, sample_weight)
        object.__setattr__(made, "monitor", self.monitor)
        return made


@dataclass
class _Rows:
    """What the library gives for one round; `raw` is its buffer."""

    y: Any
    raw: Any
    w: Any
    group: Any


@dataclass
class _Course:
    """What was seen so far of the training on one data set."""

    loss: Loss
    start: Array
    rounds: int = 0
    first: float = np.inf
    lowest: float = np.inf
    lowest_round: int = 0
    risen: int = 0
    found: set[str] = field(default_factory=set)


class Monitor:
    """Says what goes wrong while a model is trained, as soon as it is seen, and what to change.

    It warns of trees that do not split, of a training loss that rises, of curvatures that are a
    floor or nothing at all in many rows, and of scores beyond what float32 can tell apart.

    Parameters
    ----------
    params : mapping or sequence of pairs, optional
        Parameters of the training, by which the advice goes; the library's defaults if none.
    library : {"xgboost", "lightgbm"}
        Whose parameters to speak of.
    period : int
        After the first rounds it looks once in so many; a look takes about as long as five
        evaluations of the objective.
    logger : logging.Logger, optional
        Where findings go, as warnings; `TrainingWarning` is issued if none.

    Attributes
    ----------
    findings : list of Finding
        What was seen, each kind once for each data set; ``numbers["round"]`` says when.

    Notes
    -----
    The training loss is that of the first round's parameters, where some are ``"auto"``: a loss
    that follows the residuals falls with them. XGBoost and LightGBM hide the trees that they drop
    (``booster="dart"``): the loss goes up and down, and `rising` is not looked for.

    Examples
    --------
    >>> import numpy as np, warnings, xgboost, gbobjectives as gbo
    >>> X = np.arange(20.0).reshape(-1, 1)
    >>> data = xgboost.DMatrix(X, label=X[:, 0] > 9)
    >>> params = {"min_child_weight": 10}
    >>> monitor = gbo.Monitor(params)
    >>> with warnings.catch_warnings():
    ...     warnings.simplefilter("ignore", gbo.TrainingWarning)
    ...     model = gbo.xgb.train(params, data, 5, loss=monitor.watch(gbo.LogLoss()))
    >>> [finding.name for finding in monitor.findings]
    ['no split']
    >>> print(monitor.findings[0].change)
    set min_child_weight to 0.5
    """

    def __init__(
        self,
        params: Mapping[str, Any] | Sequence[tuple[str, Any]] | None = None,
        library: Literal["xgboost", "lightgbm"] = "xgboost",
        *,
        period: int = 10,
        logger: logging.Logger | None = None,
    ) -> None:
        if library not in ("xgboost", "lightgbm"):
            raise ValueError(f'Monitor: library must be "xgboost" or "lightgbm"; got {library!r}')
        if period < 1:
            raise ValueError(f"Monitor: period must be at least 1; got {period}")
        self.params = as_mapping(params)
        self.library, self.period, self.logger = library, period, logger
        self.findings: list[Finding] = []
        self._courses: dict[tuple[float, ...], _Course] = {}

    def watch(self, loss: Any) -> Objective:
        """The objective of that loss, which shows what it is asked; for one training.

        Parameters
        ----------
        loss : Loss, Objective, str or mapping
            What is to be minimised.

        Returns
        -------
        Objective
            Takes the place of the loss in ``train``, in the estimators and in the adapters. What
            was found of another training is forgotten.
        """
        made = as_objective(loss, "Monitor")
        self.findings.clear()
        self._courses.clear()
        return WatchedObjective(made.loss, made.curvature, made.scale, made.n_threads, self)

    def _look(self, objective: Objective, rows: _Rows) -> None:
        batch = objective.loss._batch(rows.y, rows.raw, rows.w, rows.group)
        key = label_fingerprint(batch)
        if key not in self._courses:
            resolved = objective.loss.resolve(rows.y, rows.raw, rows.w)
            self._courses[key] = _Course(resolved, np.array(batch.f))
        course = self._courses[key]
        course.rounds += 1
        if course.rounds == FIRST_ROUNDS + 1:
            self._look_for_splits(course, objective, rows, batch.f)
        if course.rounds <= FIRST_ROUNDS + 1 or course.rounds % self.period == 0:
            self._look_at_loss(course, objective, rows)
            self._look_at_curvature(course, objective, rows)
            self._look_at_scores(course, rows, batch.f)

    def _found(self, course: _Course, name: str, seen: str, change: str, **numbers: float) -> None:
        numbers["round"] = course.rounds
        finding = Finding("warning", name, seen, change, numbers)
        course.found.add(name)
        self.findings.append(finding)
        said = f"round {course.rounds}, {name}: {seen}; {change}"
        if self.logger is None:
            warnings.warn(said, TrainingWarning, stacklevel=2)
        else:
            self.logger.warning("%s", said)

    def _look_for_splits(
        self, course: _Course, objective: Objective, rows: _Rows, raw: Array
    ) -> None:
        """Trees of one leaf move all rows alike."""
        start, course.start = course.start, np.empty(0)
        moved = raw.astype(np.float64) - start
        rounding = 8 * FLOAT32.eps * np.abs(raw).max(axis=0)
        if (np.ptp(moved, axis=0) > rounding).any():
            return
        found = diagnose(
            objective, rows.y, start, rows.w, self.params, self.library, group=rows.group
        )
        causes = [x for x in found if x.severity == "error"]
        least = limit(self.library, self.params, "min_hessian")
        self._found(
            course,
            "no split",
            ": ".join([f"no tree of the first {FIRST_ROUNDS} rounds has a split",
                       "; ".join(x.seen for x in causes)][: 1 + bool(causes)]),
            "; ".join(x.change for x in causes if x.change)
            or f"see that a feature varies and tells labels apart, and set {least} lower",
        )  # fmt: skip

    def _look_at_loss(self, course: _Course, objective: Objective, rows: _Rows) -> None:
        name = "rising loss"
        if name in course.found or self._drops_trees():
            return
        value = course.loss(rows.y, rows.raw, rows.w, rows.group)
        if course.rounds == 1:
            course.first = value
        if value < course.lowest:
            course.lowest, course.lowest_round, course.risen = value, course.rounds, 0
            return
        # Labels that are fitted from the start leave nothing but rounding: of scores, and of
        # values, which is the same in all rows that are alike.
        rounding = FLOAT32.eps * (abs(value) + float(np.mean(np.abs(course.loss.gradient(
            rows.y, rows.raw, rows.w, rows.group) * rows.raw))))  # fmt: skip
        allowed = ALLOWED_RISE * (course.first - course.lowest) + rounding
        course.risen = course.risen + 1 if value > course.lowest + allowed else 0
        if course.risen < RISEN_LOOKS:
            return
        rule = objective.loss.rule(objective.curvature)
        changes = [f"set {limit(self.library, self.params, 'rate')} lower"]
        better = [x for x in ("auto", "safe") if objective.loss.guarantee(x) in DESCENDING]
        if rule.guarantee not in DESCENDING and better:
            guarantee = objective.loss.guarantee(better[0])
            use = f'use curvature="{better[0]}" ({guarantee})'
            changes.insert(0, f"{use} in place of {objective.curvature!r}")
        self._found(
            course,
            name,
            f"the training loss is {value:.4g}, and was {course.lowest:.4g} in round "
            f"{course.lowest_round}",
            ", or ".join(changes),
            loss=value,
            lowest=course.lowest,
        )

    def _drops_trees(self) -> bool:
        return "dart" in (self.params.get(x) for x in ("booster", "boosting", "boosting_type"))

    def _look_at_curvature(self, course: _Course, objective: Objective, rows: _Rows) -> None:
        name = "floored curvature"
        if name in course.found:
            return
        s = row_statistics(objective, rows.y, rows.raw, rows.w, rows.group)
        loss, used = objective.loss, objective.curvature
        rule = loss.rule(used)
        if rule.guarantee == "none" and s.zero + s.negative > MANY_ROWS:
            held = "held at" if isinstance(used, float) else "handed over by"
            self._found(
                course,
                name,
                f"{percent(s.zero + s.negative)} of the curvatures are as good as 0, or negative, "
                f"and {held} curvature={used!r}",
                'use curvature="auto"',
                share=s.zero + s.negative,
            )
        elif s.floored > MANY_ROWS:
            now = getattr(loss, "delta", None)
            self._found(
                course,
                name,
                f"{percent(s.floored)} of the curvatures are raised to the floor, "
                f"{percent(rule.relative_floor)} of their mean: most residuals are large beside "
                "what the loss takes for noise",
                'use curvature="safe"' if now is None
                else f'set delta larger than {now}, or to "auto"',
                share=s.floored,
            )  # fmt: skip

    def _look_at_scores(self, course: _Course, rows: _Rows, raw: Array) -> None:
        name = "saturated scores"
        if name in course.found:
            return
        share = float(saturated(course.loss, rows.y, raw).mean())
        if share <= SATURATED_ROWS:
            return
        ends = course.loss.link.range
        farthest = f"{percent(share)} of the raw predictions, up to {np.abs(raw).max():.4g}, "
        rate = limit(self.library, self.params, "rate")
        if np.isfinite(ends.low) and np.isfinite(ends.high):
            l2 = limit(self.library, self.params, "l2")
            seen = f"have a response that float32 rounds to an end of {ends}"
            change = f"stop earlier, or set {l2} higher"
            if getattr(course.loss, "label_smoothing", None) == 0:
                change += ", or give the loss label_smoothing=0.01"
        elif np.isfinite(ends.low):
            seen = "have a response beyond the range of float32"
            change = f"set {limit(self.library, self.params, 'max_step')} to 1, or {rate} lower"
        else:
            lost = float(np.spacing(np.float32(np.abs(raw).max())))
            seen = f"are so large beside the spread of the labels that float32 loses {lost:.3g}"
            change = "subtract a constant from the labels, and add it to predictions"
        self._found(course, name, farthest + seen, change, share=share)


def saturated(loss: Loss, y_true: Any, raw_prediction: Array) -> Array:
    """Raw predictions that float32, or their own response in it, no longer tells apart."""
    raw = raw_prediction.astype(np.float64)
    ends = loss.link.range
    if not np.isfinite(ends.low):
        labels = loss.labels(y_true)[0].astype(np.float64)
        spread = float(np.abs(labels - labels.mean(axis=0)).mean())
        lost: Array = np.spacing(np.minimum(np.abs(raw), FLOAT32.max).astype(np.float32))
        far: Array = lost > LOST * spread
        return far if spread > 0 else np.zeros(raw.shape, dtype=bool)
    response = loss.link.inverse(raw) - ends.low
    if not np.isfinite(ends.high):
        return (response < FLOAT32.tiny) | (response > FLOAT32.max)
    share = response / (ends.high - ends.low)
    if loss.link.name == "softmax":
        # Of many classes most are as good as impossible; a row is certain where one is all.
        certain: Array = 1 - share.max(axis=-1) < FLOAT32.eps / 2
        return certain
    return np.minimum(share, 1 - share) < FLOAT32.eps / 2
