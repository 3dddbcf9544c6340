"""`check_loss` finds the mistakes that custom objectives are known for, and names the promise."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pytest

import gbobjectives as gbo
from gbobjectives._numerics import expit, log1pexp
from gbobjectives.curvature import Rule
from gbobjectives.testing import ConformanceError, check_loss, check_objective


def failures(loss, check=check_loss):
    """Names of the checks that a loss fails, each with its evidence."""
    with pytest.raises(ConformanceError) as caught:
        check(loss)
    report = caught.value.report
    assert all(f.check in str(caught.value) for f in report.failures)
    return {f.check: " ".join(f.details) for f in report.failures}


@dataclass(frozen=True)
class FairLoss(gbo.ResidualLoss):
    """Right: |u| - log(1 + |u|)."""

    def _rho(self, u):
        # naive |u| - log1p(|u|) cancels for small u
        a = np.abs(u)
        series = a * a * (1 / 2 - a * (1 / 3 - a * (1 / 4 - a / 5)))
        return np.where(a < 1e-3, series, a - np.log1p(a))

    def _psi(self, u):
        return u / (1 + np.abs(u))

    def _psi_derivative(self, u):
        return 1 / (1 + np.abs(u)) ** 2


@pytest.mark.parametrize("loss", [FairLoss(delta=1.0), FairLoss(delta=50.0), FairLoss()], ids=repr)
def test_a_correct_loss_passes(loss):
    assert len(check_loss(loss).passed) == 20
    assert not check_objective(loss).failures


def test_labels_may_be_given():
    assert not check_loss(FairLoss(), y_true=np.array([1e5, 2e5, 3e5])).failures


@dataclass(frozen=True)
class WrongSignLoss(gbo.ResidualLoss):
    """Gradient with respect to y instead of f."""

    def _rho(self, u):
        return u * u / 2

    def _psi(self, u):
        return -u

    def _psi_derivative(self, u):
        return np.ones_like(u)

    def _weight(self, u):
        return np.ones_like(u)


def test_wrong_sign():
    found = failures(WrongSignLoss(delta=1.0))
    assert "gradient against differences of value" in found["derivatives are exact"]
    assert "guaranteed curvature descends" in found


@dataclass(frozen=True)
class HalfGradientLoss(gbo.RowLoss):
    """Squared error, whose gradient forgets the 2 of its own value."""

    def _value(self, y, f):
        return (f - y) ** 2

    def _gradient(self, y, f):
        return f - y

    def _hessian(self, y, f):
        return np.ones_like(f)


def test_half_of_the_gradient():
    found = failures(HalfGradientLoss())
    assert "gradient against differences of value" in found["derivatives are exact"]
    assert "hessian" not in found["derivatives are exact"]


@dataclass(frozen=True)
class FocalSlipLoss(gbo.MarginLoss):
    """Focal loss whose Hessian has (1 - y)^gamma for (1 - p)^gamma: 0 for every positive."""

    convex: ClassVar[bool] = False

    def _phi(self, z):
        return expit(-z) ** 2 * log1pexp(-z)

    def _phi_derivatives(self, z):
        p, q, log_p = expit(z), expit(-z), -log1pexp(-z)
        return -(q**2) * (q - 2 * p * log_p), q**2 * p * (5 * q + 2 * (q - 2 * p) * log_p)

    def _slope_bound(self):
        return 3.0

    def _hessian(self, y, f):
        p = expit(f)
        return np.where(y == 1, (1 - y) ** 2 * p, super()._hessian(y, f))


def test_focal_hessian_with_a_label_for_a_probability():
    found = failures(FocalSlipLoss())
    assert "hessian against differences of gradient" in found["derivatives are exact"]
    assert "gradient against" not in found["derivatives are exact"]


@dataclass(frozen=True)
class NaiveLogCoshLoss(gbo.ResidualLoss):
    """log(cosh(u)) as it is written down: cosh overflows at 710."""

    def _rho(self, u):
        return np.log(np.cosh(u))

    def _psi(self, u):
        return np.tanh(u)

    def _psi_derivative(self, u):
        return 1 - np.tanh(u) ** 2


def test_overflow_of_cosh():
    found = failures(NaiveLogCoshLoss(delta=1.0))
    assert "derivatives are exact far off" in found
    assert "slopes of a convex value match its gradient" in found
    assert "derivatives are exact" not in found


@dataclass(frozen=True)
class ClippedLogLoss(gbo.RowLoss):
    """Log loss of a probability that is kept away from 0 and 1."""

    y_domain: ClassVar[gbo.Interval] = gbo.Interval(0.0, 1.0)
    link: ClassVar[gbo.Link] = gbo.LogLoss.link

    def _p(self, f):
        return np.clip(expit(f), 1e-6, 1 - 1e-6)

    def _value(self, y, f):
        p = self._p(f)
        return -y * np.log(p) - (1 - y) * np.log(1 - p)

    def _gradient(self, y, f):
        p = self._p(f)
        inside = np.abs(f) < np.log(1e6)
        return (p - y) * inside

    def _hessian(self, y, f):
        p = self._p(f)
        return p * (1 - p) * (np.abs(f) < np.log(1e6))


def test_clipped_probability():
    found = failures(ClippedLogLoss())
    assert "clipped" in found["a badly wrong row keeps its gradient"]


@dataclass(frozen=True)
class UnweightedLoss(gbo.RowLoss):
    """A mean that forgets the weights."""

    def _value(self, y, f):
        return (f - y) ** 2 / 2

    def _gradient(self, y, f):
        return f - y

    def _hessian(self, y, f):
        return np.ones_like(f)

    def __call__(self, y_true, raw_prediction, sample_weight=None, group=None):
        return float(np.mean(self.value(y_true, raw_prediction)))


def test_unweighted_mean():
    found = failures(UnweightedLoss())
    assert "loss of weighted rows" in found["the mean is weighted"]
    assert "metric_value" not in found["the mean is weighted"]


@dataclass(frozen=True)
class BoldLoss(FairLoss):
    """Claims that half of a majorizer is one."""

    rules = {
        "safe": Rule(lambda loss, y, f: loss._weight(loss._u(y, f)) / 2, "majorizer", "psi(u) / 2u")
    }


def test_no_majorizer():
    found = failures(BoldLoss(delta=1.0))
    assert "'safe'" in found["a majorizer lies above the loss"]
    assert "derivatives are exact" not in found


@dataclass(frozen=True)
class BoldMarginLoss(gbo.MarginLoss):
    """Log loss that claims a step four times as long as is safe."""

    def _phi(self, z):
        return log1pexp(-z)

    def _phi_derivatives(self, z):
        return -expit(-z), expit(z) * expit(-z)

    def _slope_bound(self):
        return 0.25


def test_a_step_too_long():
    found = failures(BoldMarginLoss())
    assert list(found) == ["guaranteed curvature descends"]
    assert "no_overshoot" in found["guaranteed curvature descends"]


@dataclass(frozen=True)
class OffCentreLoss(FairLoss):
    """Starts a fifth of its scale off the best constant."""

    def _intercept(self, batch, has_offset):
        return super()._intercept(batch, has_offset) + 0.2


def test_wrong_intercept():
    found = failures(OffCentreLoss(delta=1.0))
    assert list(found) == ["no constant beats the intercept"]


@dataclass(frozen=True)
class DeafInterceptLoss(UnweightedLoss):
    """Mean of the labels, weights or not."""

    def _intercept(self, batch, has_offset):
        return float(np.mean(batch.y - batch.f))


def test_intercept_without_weights():
    assert "no constant beats the intercept" in failures(DeafInterceptLoss())


@dataclass(frozen=True)
class HoleLoss(FairLoss):
    """NaN in the far tail of the gradient."""

    def _psi(self, u):
        return np.where(np.abs(u) > 1e4, np.nan, u / (1 + np.abs(u)))


def test_nan():
    found = failures(HoleLoss(delta=1.0))
    assert "gradient in float32 is nan" in found["finite up to 1e30"]


@dataclass(frozen=True)
class WideLoss(FairLoss):
    """Computes in float64 whatever it is given."""

    def _psi(self, u):
        return super()._psi(u).astype(np.float64)


def test_dtype_is_not_kept():
    assert "float64" in failures(WideLoss(delta=1.0))["float32 agrees with float64"]


@dataclass(frozen=True)
class ListLoss(FairLoss):
    """A parameter that JSON and hash cannot keep."""

    knots: tuple = ()

    def __post_init__(self):
        super().__post_init__()
        object.__setattr__(self, "knots", list(self.knots))


def test_parameter_that_does_not_hash():
    assert "unhashable" in failures(ListLoss(delta=1.0))["round trips"]


@dataclass(frozen=True)
class VandalLoss(FairLoss):
    """Writes into its input."""

    def _value(self, y, f):
        f -= y
        return self._rho(f / self.delta) * self.delta**2


def test_input_that_is_written_to():
    assert "inputs are only read" in failures(VandalLoss(delta=1.0))


def test_all_failures_come_in_one_report():
    found = failures(WrongSignLoss(delta=1.0))
    assert len(found) > 2


def test_a_loss_is_wanted():
    with pytest.raises(TypeError, match="check_loss: a Loss is wanted; got 'huber'"):
        check_loss("huber")


def test_an_objective_is_held_to_its_own():
    found = failures(gbo.Objective(HoleLoss(delta=1.0)), check_objective)
    assert "gradient is not finite" in found["derivatives for trees"]
