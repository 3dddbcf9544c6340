"""The promises of a loss, as a test: `check_loss` and `check_objective`.

What the project's own suite runs over its catalogue, for use on losses of one's own. Nothing
beyond NumPy and SciPy is needed.
"""

import copy
import pickle
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from gbobjectives._own import OwnLoss
from gbobjectives.losses.base import Loss
from gbobjectives.losses.composition import SumLoss
from gbobjectives.objective import Objective, as_objective
from gbobjectives.parallel import MIN_PARALLEL_ENTRIES
from gbobjectives.testing import checks, contract, curvature_checks, group_checks
from gbobjectives.testing.checks import Problems
from gbobjectives.testing.leaves import leaf_steps
from gbobjectives.testing.samples import Case

__all__ = ["ConformanceError", "Failure", "Report", "check_loss", "check_objective", "leaf_steps"]

# An automatic delta is taken from bins that scale with the labels; a residual on the edge of a bin
# may be rounded to either side of it.
SCALE_FREE = 1e-3

Check = tuple[str, Callable[[Any], Problems]]

#: What a loss owes, in the order in which it is checked.
LOSS_CHECKS: tuple[Check, ...] = (
    ("facts are declared", checks.facts),
    ("derivatives are exact", group_checks.derivatives),
    ("derivatives are exact far off", group_checks.far_derivatives),
    ("finite up to 1e30", checks.finite),
    ("slopes of a convex value match its gradient", checks.slopes),
    ("a badly wrong row keeps its gradient", checks.wrong_rows),
    ("float32 agrees with float64", checks.single_precision),
    ("a convex loss has hessian >= 0", curvature_checks.convexity),
    ("guaranteed curvature is positive", curvature_checks.positive_curvature),
    ("guaranteed curvature descends", curvature_checks.descent),
    ("a majorizer lies above the loss", curvature_checks.majorizers),
    ("the mean is weighted", contract.weighted_mean),
    ("an objective is weighted", contract.weighted_objective),
    ("order does not matter", contract.permutation),
    ("no constant beats the intercept", contract.intercept),
    ("predictions lie in the link's range", contract.response),
    ("round trips", contract.round_trips),
    ("bad input is refused", contract.bad_input),
    ("blocks and threads do not matter", contract.blocks),
    ("inputs are only read", contract.inputs_untouched),
)


@dataclass(frozen=True)
class Failure:
    """A promise that was not kept.

    Parameters
    ----------
    check : str
        Name of the check.
    details : tuple of str
        What was seen, where, and what is allowed.

    Examples
    --------
    >>> from gbobjectives.testing import Failure
    >>> print(Failure("finite up to 1e30", ("value is inf at f = 1e30",)))
      finite up to 1e30
        value is inf at f = 1e30
    """

    check: str
    details: tuple[str, ...]

    def __str__(self) -> str:
        shown = [f"    {line}" for line in self.details[:3]]
        more = len(self.details) - len(shown)
        return "\n".join([f"  {self.check}", *shown, *([f"    and {more} more"] if more else [])])


@dataclass(frozen=True)
class Report:
    """What was checked.

    Parameters
    ----------
    subject : str
        The loss or objective.
    passed : tuple of str
        Names of the checks that passed.
    failures : tuple of Failure
        Those that did not.

    Examples
    --------
    >>> from gbobjectives.testing import Report
    >>> print(Report("MyLoss()", ("the mean is weighted",), ()))
    MyLoss(): 1 of 1 checks passed
    """

    subject: str
    passed: tuple[str, ...]
    failures: tuple[Failure, ...]

    def __str__(self) -> str:
        total = len(self.passed) + len(self.failures)
        head = f"{self.subject}: {len(self.passed)} of {total} checks passed"
        if not self.failures:
            return head
        return "\n".join([f"{head}; failed:", *(str(x) for x in self.failures)])


class ConformanceError(AssertionError):
    """A loss or objective breaks its promises.

    Parameters
    ----------
    report : Report
        Which of them, kept as an attribute.

    Examples
    --------
    >>> from gbobjectives.testing import ConformanceError, Failure, Report
    >>> failure = Failure("the mean is weighted", ("got 1, allowed 2",))
    >>> print(ConformanceError(Report("MyLoss()", (), (failure,))))
    MyLoss(): 0 of 1 checks passed; failed:
      the mean is weighted
        got 1, allowed 2
    """

    def __init__(self, report: Report) -> None:
        super().__init__(str(report))
        self.report = report


def check_loss(loss: Loss, *, y_true: Any = None, random_state: int = 0) -> Report:
    """Hold a loss to everything that a loss owes.

    Derivatives against finite differences, near and far; finiteness up to 1e30; float32 against
    float64; every guarantee that its curvature rules name, over random leaves; weights, order,
    intercept, link, round trips, errors, blocks and threads.

    Parameters
    ----------
    loss : Loss
        The loss.
    y_true : array, optional
        Labels to draw from. By default they are drawn from the loss's domain.
    random_state : int
        Seed: the same seed checks the same rows.

    Returns
    -------
    Report
        The names of the checks.

    Raises
    ------
    ConformanceError
        If any check fails, after all have run; the message lists each with its evidence.

    Examples
    --------
    >>> import gbobjectives as gbo
    >>> print(gbo.testing.check_loss(gbo.LogCoshLoss(delta=1.0)))
    LogCoshLoss(delta=1.0): 20 of 20 checks passed
    """
    if not isinstance(loss, Loss):
        raise TypeError(f"check_loss: a Loss is wanted; got {loss!r}")
    return _run(repr(loss), LOSS_CHECKS, Case.of(loss, y_true, random_state))


def check_objective(objective: Any, *, y_true: Any = None, random_state: int = 0) -> Report:
    """Hold an objective to what it owes to a boosting library.

    Finite float32 derivatives of the right shape and sign, the same from copies and for any
    number of threads, zero where the weight is zero, and, for losses of residuals with
    ``delta="auto"``, the same curvature at any scale of the labels.

    Parameters
    ----------
    objective : Objective, Loss or str
        The objective; a loss stands for its default one.
    y_true : array, optional
        Labels to draw from.
    random_state : int
        Seed.

    Returns
    -------
    Report
        The names of the checks.

    Raises
    ------
    ConformanceError
        If any check fails.

    Examples
    --------
    >>> import gbobjectives as gbo
    >>> print(gbo.testing.check_objective(gbo.Objective("focal", curvature="safe")).failures)
    ()
    """
    made = as_objective(objective, "check_objective")
    subject = _ObjectiveCase(made, Case.of(made.loss, y_true, random_state))
    return _run(repr(made), OBJECTIVE_CHECKS, subject)


def _run(subject: str, owed: tuple[Check, ...], case: Any) -> Report:
    passed, failures = [], []
    for name, check in owed:
        # A loss that raises breaks its promise as well; the remaining checks still run.
        try:
            details = tuple(check(case))
        except Exception as error:
            details = (f"raised {type(error).__name__}: {error}",)
        if details:
            failures.append(Failure(name, details))
        else:
            passed.append(name)
    report = Report(subject, tuple(passed), tuple(failures))
    if failures:
        raise ConformanceError(report)
    return report


# ---- objectives ----------------------------------------------------------------------------


@dataclass(frozen=True)
class _ObjectiveCase:
    objective: Objective
    case: Case

    def batch(self, n: int = 300, far: bool = False) -> tuple[Any, ...]:
        rng = self.case.rng()
        y, f = self.case.rows(rng, n, far)
        w, group = rng.integers(0, 3, n).astype(float), self.case.groups(rng, n)
        return y, f, self.case.of_groups(w, group), group


def _derivatives_for_trees(subject: _ObjectiveCase) -> Problems:
    rule = subject.objective.loss.rule(subject.objective.curvature)
    for far in (False, True):
        for dtype in (np.float32, np.float64):
            y, f, w, group = subject.batch(far=far)
            f = f.astype(dtype)
            for weight in (None, w):
                g, h = subject.objective.gradient_hessian(y, f, weight, group)
                for name, x in (("g", g), ("h", h)):
                    if x.dtype != np.float32 or x.shape != f.shape:
                        yield f"{name} is {x.dtype} of shape {x.shape}; raw has {f.shape}"
                    if not np.isfinite(x).all():
                        yield f"{name} is not finite"
                    if weight is not None and np.any(x[w == 0] != 0):
                        yield f"{name} of a row of weight 0 is not 0"
                if rule.guarantee != "none" and (h < 0).any():
                    yield f"h is {h.min()} under a rule that is {rule.guarantee}"


def _inputs_unchanged(subject: _ObjectiveCase) -> Problems:
    arrays = subject.batch()
    before = copy.deepcopy(arrays)
    subject.objective.gradient_hessian(*arrays)
    for name, a, b in zip(("y_true", "raw_prediction", "weight", "group"), arrays, before,
                          strict=True):  # fmt: skip
        if not np.array_equal(a, b) and a is not None:
            yield f"{name} was changed"


def _same_again(subject: _ObjectiveCase) -> Problems:
    # A copy, as that of a loss that remembers its rounds begins anew.
    objective, arrays = copy.copy(subject.objective), subject.batch()
    want = objective.gradient_hessian(*arrays)
    others = {
        "a second call": objective,
        "a deep copy": copy.deepcopy(objective),
        "a pickled copy": pickle.loads(pickle.dumps(objective)),
        "a fresh objective": Objective(objective.loss, objective.curvature, objective.scale),
    }
    for what, other in others.items():
        if other != objective and what != "a fresh objective":
            yield f"{what} is not equal to the objective"
        got = other.gradient_hessian(*arrays)
        if not all(np.array_equal(a, b) for a, b in zip(got, want, strict=True)):
            yield f"{what} gives other derivatives"


def _threads(subject: _ObjectiveCase) -> Problems:
    made = subject.objective
    y, f, w, group = subject.batch(MIN_PARALLEL_ENTRIES // made.loss.n_outputs + 1)
    a, b = (
        Objective(made.loss, made.curvature, made.scale, threads).gradient_hessian(y, f, w, group)
        for threads in (1, 2)
    )
    if not all(np.array_equal(x, z) for x, z in zip(a, b, strict=True)):
        yield "one thread and two give different derivatives"


def _in_units(loss: Loss, factor: float) -> Loss:
    """The loss for labels in other units: those of its parameters that have them are scaled."""
    if isinstance(loss, SumLoss):
        return replace(loss, terms=tuple((a, _in_units(x, factor)) for a, x in loss.terms))
    return replace(loss, **{name: factor * getattr(loss, name) for name in loss.label_units})


def _scale_free(subject: _ObjectiveCase) -> Problems:
    made, loss = subject.objective, subject.objective.loss
    if loss.resolved or not loss.normalised or made.scale != "auto":
        return
    if isinstance(made.curvature, float | int):
        return
    # The numbers of a formula of one's own are in units of the labels, wherever they stand.
    if isinstance(loss, OwnLoss):
        return
    y, f, w, _ = subject.batch()
    g, h = made.gradient_hessian(y, f, w)
    for factor in (1e-6, 1e6):
        other = _in_units(loss, factor)
        scaled = Objective(other, made.curvature, made.scale, made.n_threads)
        scaled_g, scaled_h = scaled.gradient_hessian(y * factor, f * factor, w)
        for name, got, want in (("g", scaled_g / factor, g), ("h", scaled_h, h)):
            if not np.allclose(got, want, rtol=SCALE_FREE, atol=SCALE_FREE * np.abs(want).max()):
                off = float(np.abs(got - want).max() / np.abs(want).max())
                yield f"labels times {factor:g} change {name} by {off:.3g} of its largest"


#: What an objective owes.
OBJECTIVE_CHECKS: tuple[Check, ...] = (
    ("derivatives for trees", _derivatives_for_trees),
    ("inputs are only read", _inputs_unchanged),
    ("the same again", _same_again),
    ("threads do not matter", _threads),
    ("scale does not matter", _scale_free),
)
