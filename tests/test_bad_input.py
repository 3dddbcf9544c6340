"""What is refused, and in which words: what was wrong, what was given, what is allowed, where."""

import re
from dataclasses import dataclass

import numpy as np
import pytest

import gbobjectives as gbo

HUBER = gbo.HuberLoss(delta=1.0)
POISSON = gbo.PoissonLoss()
LOG = gbo.LogLoss()
SOFTMAX = gbo.CrossEntropyLoss(n_classes=3)
RANKING = gbo.MarginRankingLoss()

Y, F, W = np.array([0.0, 1.0, 1.0, 0.0]), np.zeros(4), np.ones(4)
F3 = np.zeros((4, 3))


def counts():
    y = np.ones(1000)
    y[[17, 40, 41, 999]] = -0.3, -1, -2, -3
    return y


def with_at(x, row, value):
    x = np.array(x, dtype=float)
    x[row] = value
    return x


CASES = [
    (
        lambda: HUBER.value(Y[:, None], F),
        ValueError,
        "HuberLoss: y_true must have shape (n,); got (4, 1); use y_true.ravel()",
    ),
    (
        lambda: HUBER.value(np.zeros((4, 3)), F),
        ValueError,
        "HuberLoss: y_true must have shape (n,); got (4, 3)",
    ),
    (
        lambda: HUBER.value(1.0, 2.0),
        ValueError,
        "HuberLoss: raw_prediction must have shape (n,); got ()",
    ),
    (
        lambda: HUBER.value(Y, F3),
        ValueError,
        "HuberLoss: raw_prediction must have shape (n,); got (4, 3)",
    ),
    (
        lambda: SOFTMAX.value(Y, np.zeros((4, 4))),
        ValueError,
        "CrossEntropyLoss: raw_prediction must have shape (n, 3); got (4, 4)",
    ),
    (
        lambda: SOFTMAX.value(Y, np.zeros(12)),
        ValueError,
        "CrossEntropyLoss: raw_prediction must have shape (n, 3); got (12,); "
        "a flat array is ambiguous, reshape it",
    ),
    (
        lambda: SOFTMAX.value(np.zeros((4, 2)), F3),
        ValueError,
        "CrossEntropyLoss: y_true must have shape (n,) or (n, 3); got (4, 2)",
    ),
    (
        lambda: SOFTMAX.value([0, 1, 2, 3], F3),
        ValueError,
        "CrossEntropyLoss: y_true must lie in [0, 2]; got 3 at row 3 (1 of 4 rows)",
    ),
    (
        lambda: SOFTMAX.value([0, 0.5, 1, 2], F3),
        ValueError,
        "CrossEntropyLoss: y_true of shape (n,) must hold integers 0 to 2; got 0.5 at row 1",
    ),
    (
        lambda: SOFTMAX.value(np.full((4, 3), 0.5), F3),
        ValueError,
        "CrossEntropyLoss: every row of an (n, K) y_true must sum to 1; got 1.5 at row 0",
    ),
    (
        lambda: HUBER.value([], []),
        ValueError,
        "HuberLoss: raw_prediction must not be empty; got shape (0,)",
    ),
    (
        lambda: HUBER.value(Y[:3], F),
        ValueError,
        "HuberLoss: y_true has 3 rows; raw_prediction has 4",
    ),
    (
        lambda: HUBER.intercept([]),
        ValueError,
        "HuberLoss: raw_prediction must not be empty",
    ),
    (
        lambda: HUBER.value(with_at(Y, 2, np.nan), F),
        ValueError,
        "HuberLoss: y_true must lie in (-inf, inf); got nan at row 2 (1 of 4 rows)",
    ),
    (
        lambda: POISSON.value(with_at(Y, 1, np.inf), F),
        ValueError,
        "PoissonLoss: y_true must lie in [0, inf); got inf at row 1 (1 of 4 rows)",
    ),
    (
        lambda: POISSON.gradient(counts(), np.zeros(1000)),
        ValueError,
        "PoissonLoss: y_true must lie in [0, inf); got -0.3 at row 17 (4 of 1000 rows)",
    ),
    (
        lambda: LOG.value([0, 1, 2, -1], F),
        ValueError,
        "LogLoss: y_true must lie in [0, 1]; got 2 at row 2 (2 of 4 rows)",
    ),
    (
        lambda: LOG.value(["a", "b", "c", "d"], F),
        TypeError,
        "LogLoss: y_true must be an array of real numbers; got dtype <U1",
    ),
    (
        lambda: LOG.value(Y, np.array([1j, 0, 0, 0])),
        TypeError,
        "LogLoss: raw_prediction must be an array of real numbers; got dtype complex128",
    ),
    (
        lambda: HUBER(Y, F, with_at(W, 3, -1)),
        ValueError,
        "HuberLoss: sample_weight must lie in [0, inf); got -1 at row 3 (1 of 4 rows)",
    ),
    (
        lambda: HUBER(Y, F, with_at(W, 0, np.nan)),
        ValueError,
        "HuberLoss: sample_weight must lie in [0, inf); got nan at row 0 (1 of 4 rows)",
    ),
    (
        lambda: HUBER(Y, F, 0 * W),
        ValueError,
        "HuberLoss: sample_weight must not be zero in every row",
    ),
    (
        lambda: HUBER(Y, F, W[:2]),
        ValueError,
        "HuberLoss: sample_weight must have shape (4,); got (2,)",
    ),
    (
        lambda: HUBER.gradient(Y, with_at(F, 1, np.nan)),
        ValueError,
        "HuberLoss: raw_prediction must be finite; got nan at row 1 (1 of 4 rows)",
    ),
    (
        lambda: SOFTMAX.gradient(Y, with_at(F3, (2, 1), -np.inf)),
        ValueError,
        "CrossEntropyLoss: raw_prediction must be finite; got -inf at row 2, output 1 "
        "(1 of 12 values)",
    ),
    (
        lambda: RANKING.value(Y, F, group=[2, 3]),
        ValueError,
        "MarginRankingLoss: group must hold positive sizes that sum to the number of rows, 4; "
        "got 2 sizes that sum to 5, the smallest 2",
    ),
    (
        lambda: RANKING.value(Y, F, group=[4, 0]),
        ValueError,
        "MarginRankingLoss: group must hold positive sizes",
    ),
    (
        lambda: RANKING.value(Y, F, group=[[4]]),
        ValueError,
        "MarginRankingLoss: group must be a 1-D array of group sizes; got [[4]]",
    ),
    (
        lambda: RANKING.value(Y, F, group=[2.5, 1.5]),
        ValueError,
        "MarginRankingLoss: group must be a 1-D array of group sizes",
    ),
    (
        lambda: HUBER.curvature(Y, F, "fisher"),
        ValueError,
        "HuberLoss: no curvature 'fisher'; it has absolute, auto, exact, safe, unit, "
        "or a floor in numbers (a positive float c gives max(h, c))",
    ),
    (lambda: HUBER.curvature(Y, F, 0.0), ValueError, "HuberLoss: no curvature 0.0; it has"),
    (lambda: gbo.Objective(HUBER, "sfae"), ValueError, "HuberLoss: no curvature 'sfae'; it has"),
    (
        lambda: gbo.get_loss("hubber"),
        ValueError,
        "get_loss: unknown loss 'hubber' (did you mean 'huber'?); known: absolute_error,",
    ),
    (
        lambda: gbo.get_loss("focal", gama=1),
        ValueError,
        "FocalLoss: unknown parameter 'gama' (did you mean 'gamma'?); known: alpha, class_weight",
    ),
    (lambda: gbo.get_loss(3), TypeError, "get_loss: a name, a spec or a Loss is wanted; got 3"),
    (
        lambda: gbo.get_loss(HUBER, delta=2.0),
        ValueError,
        "get_loss: HuberLoss(delta=1.0) is a loss already; it takes no parameters",
    ),
    (
        lambda: gbo.QuantileLoss(quantile=0.0),
        ValueError,
        "QuantileLoss: quantile must be a number in (0, 1); got 0.0",
    ),
    (
        lambda: gbo.QuantileLoss(quantile=95),
        ValueError,
        "QuantileLoss: quantile must be a number in (0, 1); got 95",
    ),
    (
        lambda: gbo.HuberLoss(delta=0.0),
        ValueError,
        "HuberLoss: delta must be a number in [1e-30, 1e+30]; got 0.0",
    ),
    (
        lambda: gbo.LogCoshLoss(delta=-1),
        ValueError,
        "LogCoshLoss: delta must be a number in [1e-30, 1e+30]; got -1",
    ),
    (
        lambda: gbo.LogCoshLoss(delta=np.inf),
        ValueError,
        "LogCoshLoss: delta must be a number in [1e-30, 1e+30]; got inf",
    ),
    (
        lambda: gbo.LogCoshLoss(delta="atuo"),
        ValueError,
        "LogCoshLoss: delta must be \"auto\" or a positive number; got 'atuo'",
    ),
    (
        lambda: gbo.FocalLoss(gamma=-0.5),
        ValueError,
        "FocalLoss: gamma must be a number in [0, inf); got -0.5",
    ),
    (
        lambda: gbo.FocalLoss(alpha=1.0),
        ValueError,
        "FocalLoss: alpha must be a number in (0, 1); got 1.0",
    ),
    (
        lambda: gbo.LogLoss(pos_weight=0.0),
        ValueError,
        "LogLoss: pos_weight must be a number in (0, inf); got 0.0",
    ),
    (
        lambda: gbo.LogLoss(label_smoothing=1.0),
        ValueError,
        "LogLoss: label_smoothing must be a number in [0, 1); got 1.0",
    ),
    (
        lambda: gbo.CrossEntropyLoss(n_classes=1),
        ValueError,
        "CrossEntropyLoss: n_classes must be an integer of at least 2; got 1",
    ),
    (
        lambda: gbo.CrossEntropyLoss(n_classes=2.5),
        ValueError,
        "CrossEntropyLoss: n_classes must be an integer of at least 2; got 2.5",
    ),
    (lambda: gbo.DiceLoss(smooth=0), ValueError, "DiceLoss: smooth must be a number in (0, inf)"),
    (
        lambda: gbo.MarginRankingLoss(margin=0),
        ValueError,
        "MarginRankingLoss: margin must be a number in (0, inf); got 0",
    ),
    (
        lambda: gbo.Objective(HUBER, scale=0.0),
        ValueError,
        "Objective: scale must be a number in (0, inf); got 0.0",
    ),
    (
        lambda: gbo.Objective(HUBER, scale=-2),
        ValueError,
        "Objective: scale must be a number in (0, inf); got -2",
    ),
    (
        lambda: gbo.Objective(HUBER, scale="mean"),
        ValueError,
        "Objective: scale must be \"auto\", None or a positive number; got 'mean'",
    ),
    (
        lambda: gbo.Objective(HUBER, n_threads=0),
        ValueError,
        "Objective: n_threads must be an integer of at least 1; got 0",
    ),
    (
        lambda: gbo.Metric(max),
        ValueError,
        "Metric: max says nothing of its direction; give greater_is_better=True or False",
    ),
    (lambda: gbo.Metric(3), TypeError, "Metric: a loss, a name or a function is wanted; got 3"),
    (
        lambda: gbo.Metric(HUBER, greater_is_better=True),
        ValueError,
        "Metric: a loss is minimised; got greater_is_better for HuberLoss(delta=1.0)",
    ),
    (
        lambda: gbo.Metric(np.dot, greater_is_better=True)(Y, F),
        ValueError,
        "Metric: dot is given raw predictions and knows no link; give loss= or link=",
    ),
]


@pytest.mark.parametrize(("call", "error", "message"), CASES, ids=[c[2] for c in CASES])
def test_refused(call, error, message):
    with pytest.raises(error, match="^" + re.escape(message)):
        call()


def test_objective_refuses_what_its_loss_refuses():
    with pytest.raises(ValueError, match=r"^PoissonLoss: y_true must lie in \[0, inf\); got -0\.3"):
        gbo.Objective("poisson").gradient_hessian(counts(), np.zeros(1000))


@dataclass(frozen=True)
class BrokenLoss(gbo.RowLoss):
    """NaN in the gradient, or in the Hessian, of one row."""

    broken: str = "gradient"

    def _value(self, y, f):
        return (f - y) ** 2

    def _gradient(self, y, f):
        return np.where((f == 7) & (self.broken == "gradient"), np.nan, f - y)

    def _hessian(self, y, f):
        return np.where((f == 7) & (self.broken == "curvature"), np.inf, np.ones_like(f))


@pytest.mark.parametrize("broken", ["gradient", "curvature"])
@pytest.mark.parametrize("n", [100, 100_000])
def test_a_kernel_that_is_not_finite_names_its_row(broken, n):
    f = np.zeros(n)
    f[n - 3] = 7
    objective = gbo.Objective(BrokenLoss(broken), curvature="exact")
    value = "nan" if broken == "gradient" else "inf"
    message = (
        rf"^BrokenLoss: {broken} is not finite: got {value} at row {n - 3} "
        r"\(y_true 1\.0, raw_prediction 7\.0\)"
    )
    with pytest.raises(FloatingPointError, match=message):
        objective.gradient_hessian(np.ones(n), f)


def test_an_infinite_derivative_is_named_whatever_its_weight():
    f, weight = np.zeros(10), np.ones(10)
    f[4], weight[4] = 7, 0
    objective = gbo.Objective(BrokenLoss("curvature"), curvature="exact")
    with pytest.raises(FloatingPointError, match="curvature is not finite: got inf at row 4"):
        objective.gradient_hessian(np.ones(10), f, weight)


def test_abstract_losses_are_not_made():
    with pytest.raises(TypeError, match="abstract"):
        gbo.ResidualLoss(delta=1.0)


def test_losses_are_frozen():
    with pytest.raises(AttributeError, match="cannot assign to field 'delta'"):
        HUBER.delta = 2.0
