"""Advice before training: what loss, labels and parameters make of each other, in words."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from textwrap import TextWrapper
from typing import Any, Literal, get_args

import numpy as np

from gbobjectives import _validation as check
from gbobjectives._row_statistics import row_statistics
from gbobjectives.adapters._parameters import Library, as_mapping
from gbobjectives.diagnosis import _labels, _splits, _start
from gbobjectives.diagnosis._finding import Finding, Severity, Subject
from gbobjectives.objective import Objective, as_objective

__all__ = ["Diagnosis", "Finding", "diagnose"]

WIDTH = 88  # of a line of the report, as wide as most terminals


@dataclass(frozen=True)
class Diagnosis:
    """Findings, the worst first; it prints as words.

    Parameters
    ----------
    subject : str
        The loss.
    library : str
        The library it was looked at for.
    n_rows : int
        Number of labels.
    findings : tuple of Finding
        What was seen.

    Examples
    --------
    >>> import gbobjectives as gbo
    >>> diagnosis = gbo.diagnose("huber", [1.0, 2.0, 3.0, 500.0], params={"min_child_weight": 9})
    >>> [finding.name for finding in diagnosis if finding.severity == "error"]
    ['no split possible']
    >>> diagnosis.as_dict()["n_rows"]
    4
    """

    subject: str
    library: str
    n_rows: int
    findings: tuple[Finding, ...]

    def __iter__(self) -> Iterator[Finding]:
        return iter(self.findings)

    def __len__(self) -> int:
        return len(self.findings)

    def as_dict(self) -> dict[str, Any]:
        """The diagnosis as plain JSON types."""
        found = asdict(self)
        found["findings"] = list(found["findings"])
        return found

    def __str__(self) -> str:
        counts = [
            f"{n} {name}{'s' if n > 1 and name != 'info' else ''}"
            for name in get_args(Severity)
            if (n := sum(x.severity == name for x in self))
        ]
        head = f"{self.subject} on {self.n_rows:,} labels, for {self.library}: "
        lines = [head + (", ".join(counts) or "nothing to say")]
        wrapped = TextWrapper(WIDTH, initial_indent=" " * 4, subsequent_indent=" " * 4)
        for finding in self:
            lines += ["", f"{finding.severity}: {finding.name}", *wrapped.wrap(finding.seen)]
            if finding.change:
                lines += wrapped.wrap(f"-> {finding.change}")
        return "\n".join(lines)


def diagnose(
    loss: Any,
    y_true: Any,
    raw_prediction: Any = None,
    sample_weight: Any = None,
    params: Mapping[str, Any] | Sequence[tuple[str, Any]] | None = None,
    library: Literal["xgboost", "lightgbm"] = "xgboost",
    *,
    group: Any = None,
) -> Diagnosis:
    """What the loss, these labels and these parameters make of each other, before training.

    It looks at the share of exact Hessians that are 0 or negative; whether the limits of the
    library (``min_child_weight``, ``min_sum_hessian_in_leaf``, minimal gain, L1 and L2 penalties,
    ``max_delta_step``) forbid any split or step; labels outside the domain, their unit, their
    outliers and ``delta``; the classes; the intercept; and the parameters that a custom objective
    leaves void, or that conflict with the loss.

    Parameters
    ----------
    loss : Loss, Objective, str or mapping
        What is to be minimised.
    y_true : array of shape (n,) or (n, n_outputs)
        Labels of the training rows.
    raw_prediction : array of shape (n,) or (n, n_outputs), optional
        Scores at which to look; by default the best constant, at which ``train`` starts.
    sample_weight : array of shape (n,), optional
        Weights of the rows.
    params : mapping or sequence of pairs, optional
        Parameters of the library; what is not given has the library's default.
    library : {"xgboost", "lightgbm"}
        The library.
    group : array, optional
        Sizes of consecutive groups, for losses that see groups.

    Returns
    -------
    Diagnosis
        An iterable of findings, which prints as words.

    Raises
    ------
    ValueError, TypeError
        If an argument other than the labels and the parameters is not what the loss takes.

    Notes
    -----
    Errors are certain at these scores: the bounds are those of the largest sums that any leaf
    could have, unless rows are sampled by their gradients, which changes the sums. What is no
    error may still go wrong, in later rounds too, since most losses lose curvature as the model
    fits. A million rows take about a second.

    Examples
    --------
    >>> import gbobjectives as gbo
    >>> params = {"min_child_weight": 30, "num_class": 2}
    >>> print(gbo.diagnose("squared_error", [1.0, 2.0, 3.0, 4.0] * 10, params=params))
    SquaredErrorLoss() on 40 labels, for xgboost: 2 errors, 1 info
    <BLANKLINE>
    error: conflicting parameter
        xgb.train: params has num_class=2, but SquaredErrorLoss() has 1 output(s)
        -> leave it out
    <BLANKLINE>
    error: no split possible
        the curvature sums to 40 over all rows, and a split needs 60: min_child_weight=30 in
        each of two leaves; no tree can split
        -> set min_child_weight to 4
    <BLANKLINE>
    info: intercept
        train starts at the best constant, raw 2.5, response 2.5, where the mean loss is
        0.625; xgboost by itself would start at raw 0.5, where it is 2.625
    """
    made = as_objective(loss, "diagnose")
    if library not in get_args(Library):
        raise ValueError(f'diagnose: library must be "xgboost" or "lightgbm"; got {library!r}')
    settings = as_mapping(params)
    findings = list(_start.parameters(library, settings, made.loss))
    n = int(np.shape(y_true)[0]) if np.ndim(y_true) else 0
    try:
        labels, live = made.loss.labels(y_true)
    except ValueError as error:
        findings.append(_labels.outside(made.loss, y_true, str(error)))
    else:
        s = _subject(made, labels, live, y_true, raw_prediction, sample_weight, group, library,
                     settings)  # fmt: skip
        for look in (_splits.splits, _start.curvature, _labels.labels, _start.intercept):
            findings += look(s)
    ranks = get_args(Severity)
    findings.sort(key=lambda x: ranks.index(x.severity))
    return Diagnosis(repr(made.loss), library, n, tuple(findings))


def _subject(
    made: Objective,
    labels: Any,
    live: Any,
    y_true: Any,
    raw_prediction: Any,
    sample_weight: Any,
    group: Any,
    library: Library,
    settings: dict[str, Any],
) -> Subject:
    loss, owner, n = made.loss, type(made.loss).__name__, len(live)
    weights = check.weight_array(owner, sample_weight, n)
    best = loss.intercept(y_true, weights)
    if raw_prediction is None:
        at = best if np.isfinite(best).all() else np.zeros_like(best)
        raw = np.tile(at, (n, 1)) if loss.n_outputs > 1 else np.full(n, at[0])
    else:
        raw = np.asarray(check.raw_array(owner, raw_prediction, loss.n_outputs), dtype=np.float64)
    return Subject(
        objective=made,
        loss=loss.resolve(y_true, raw, weights),
        library=library,
        params=settings,
        y_true=y_true,
        labels=labels,
        live=live,
        raw=raw,
        raw_is_given=raw_prediction is not None,
        sample_weight=weights,
        group=group,
        intercept=best,
        statistics=row_statistics(made, y_true, raw, weights, group),
    )
