"""What a loss made of its value owes, whatever differentiates it: a test class for each backend."""

import importlib
import pickle
from dataclasses import replace
from typing import Any

import lightgbm
import numpy as np
import pytest
import xgboost

import gbobjectives as gbo
from tests.own_losses import NAMES, own_loss

every_example = pytest.mark.parametrize("example", NAMES)
CLOSED = ("log_cosh", "pseudo_huber", "logistic", "poisson", "two_classes")


def rows(loss: Any, n: int = 200) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(3)
    hard = loss.y_domain.high == 1
    y = rng.integers(0, 2, n) if hard else np.abs(rng.normal(size=n) * 2)
    return y.astype(float), 3 * rng.normal(size=(n, loss.n_outputs)[: 1 + (loss.n_outputs > 1)])


class ValueTests:
    backend: str

    @property
    def xp(self) -> Any:
        return importlib.import_module({"jax": "jax.numpy", "torch": "torch"}[self.backend])

    def made(self, value: Any, **options: Any) -> Any:
        return gbo.from_value(value, backend=self.backend, **options)

    # ---- what every loss owes ------------------------------------------------------------

    @every_example
    def test_it_keeps_the_promises_of_a_loss(self, example):
        loss = own_loss(self.backend, example).loss
        assert len(gbo.testing.check_loss(loss).passed) == 20
        assert not gbo.testing.check_objective(loss).failures

    @every_example
    def test_a_bound_is_seen_where_there_is_one(self, example):
        own = own_loss(self.backend, example)
        assert own.loss.guarantee("safe") == own.loss.guarantee("auto") == own.guarantee

    @pytest.mark.parametrize("example", CLOSED)
    @pytest.mark.parametrize(("dtype", "tolerance"), [(np.float64, 1e-13), (np.float32, 2e-6)])
    def test_derivatives_are_those_of_the_closed_form(self, example, dtype, tolerance):
        own = own_loss(self.backend, example)
        y, f = rows(own.loss)
        f = f.astype(dtype)
        for kernel in ("value", "gradient", "hessian"):
            got, want = (getattr(x, kernel)(y, f) for x in (own.loss, own.same_as))
            assert got.dtype == dtype
            np.testing.assert_allclose(got, want, rtol=tolerance, atol=tolerance)
        if own.guarantee == "majorizer":
            got, want = (x.curvature(y, f, "safe") for x in (own.loss, own.same_as))
            np.testing.assert_allclose(got, want, rtol=10 * tolerance)

    # ---- one pass over the rows ------------------------------------------------------------

    def test_the_function_is_called_no_more_often_for_more_rows(self):
        calls = []

        def value(y, f):
            calls.append(len(f))
            return ((f - self.xp.stack([y, y, y], 1)) ** 2).sum(-1)

        loss = self.made(value, n_outputs=3)
        counts = []
        for n in (10, 1000):
            loss.gradient(np.zeros(n), np.zeros((n, 3)))
            calls.clear()
            h = loss.hessian(np.zeros(n), np.zeros((n, 3)))
            counts.append(len(calls))
        assert counts[0] == counts[1] <= 1
        np.testing.assert_array_equal(h, np.full((1000, 3), 2.0))

    def test_a_value_without_curvature_has_none(self):
        loss = self.made(lambda y, f: 3 * f - y)
        assert (loss.gradient([1.0], [2.0]), loss.hessian([1.0], [2.0])) == ([3.0], [0.0])

    # ---- parameters --------------------------------------------------------------------------

    def test_parameters_are_part_of_the_loss(self):
        loss = own_loss(self.backend, "pseudo_huber").loss
        other = replace(loss, parameters={"delta": 5.0})
        assert other != loss
        assert hash(replace(other, parameters={"delta": 2.5})) == hash(loss)
        assert other.spec()["parameters"] == {"delta": 5.0}
        assert other.gradient([0.0], [3.0]) == pytest.approx(3 / np.hypot(1, 0.6))
        assert "parameters={'delta': 5.0}" in repr(other)

    def test_a_parameter_that_the_function_has_not(self):
        with pytest.raises(TypeError, match=r"delta.*unexpected keyword argument 'delta'"):
            self.made(lambda y, f: (f - y) ** 2, parameters={"delta": 1.0})
        with pytest.raises(TypeError, match="missing a required argument: 'delta'"):
            self.made(lambda y, f, delta: (f - y) ** 2)

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            ({"backend": "numpy"}, "backend must be one of jax, torch; got 'numpy'"),
            ({"parameters": {"a": object()}}, "parameter a must be a number, a word"),
            ({"parameters": [1]}, "parameters must be a mapping"),
            ({"n_outputs": 0}, "n_outputs must be an integer of at least 1; got 0"),
            ({"link": "cube"}, "unknown link 'cube'"),
            ({"y_domain": 3}, "y_domain must be an Interval or a tuple"),
            ({"max_step": -1.0}, "max_step must be a number in"),
            ({"guarantee_of_safe": "none"}, "guarantee_of_safe must be one of"),
            ({"guarantee_of_safe": "majorizer"}, "is of a curvature given by safe="),
            ({"safe": 3}, "safe must be a function; got 3"),
        ],
    )
    def test_bad_options(self, options, message):
        with pytest.raises((ValueError, TypeError), match=message):
            gbo.from_value(lambda y, f: (f - y) ** 2, **{"backend": self.backend, **options})

    # ---- functions that are none of single rows ------------------------------------------------

    def test_the_row_that_leaked_is_named(self):
        with pytest.raises(ValueError, match=r"row 0 leaked into row 1, whose value went from"):
            self.made(lambda y, f: (f - y.mean()) ** 2)

        def after_the_last_but_one(y, f):
            return self.xp.where(f == f[5], f - y, f + y)

        with pytest.raises(ValueError, match="row 5 leaked into row "):
            self.made(after_the_last_but_one)

    def test_a_value_divided_by_the_number_of_rows(self):
        with pytest.raises(ValueError, match="may not depend on the number of rows"):
            self.made(lambda y, f: (f - y) ** 2 / len(f))

    def test_a_mean_is_no_value_of_rows(self):
        with pytest.raises(ValueError, match=r"shape \(7,\) for 7 rows; got \(\); leave out the"):
            self.made(lambda y, f: ((f - y) ** 2).mean())
        with pytest.raises(ValueError, match=r"shape \(7,\) for 7 rows; got \(7, 2\)"):
            self.made(lambda y, f: f**2, n_outputs=2)

    def test_what_the_backend_cannot_differentiate(self):
        with pytest.raises(TypeError, match=f"fails on 7 rows.*under {self.backend}.*made of"):
            self.made(lambda y, f: np.exp(np.asarray(f)) - y)

    def test_nan_is_an_error_where_it_occurs(self):
        loss = self.made(lambda y, f: self.xp.sqrt(f) - y, y_domain=(0, 1), max_step=1.0)
        with pytest.raises(FloatingPointError, match="row 2 "):
            gbo.Objective(loss).gradient_hessian([1.0, 1.0, 0.0], [4.0, 1.0, -1.0])

    # ---- curvature -----------------------------------------------------------------------------

    @pytest.mark.parametrize("domain", [(0, 1), (0, np.inf, False, False), (-np.inf, 0)])
    def test_a_bound_is_seen_whatever_the_labels(self, domain):
        loss = self.made(lambda y, f: (f - y) ** 2 / 2, y_domain=domain, convex=True)
        assert loss.normalised
        assert loss.guarantee("safe") == "majorizer"
        np.testing.assert_array_equal(
            loss.curvature([domain[1] if np.isfinite(domain[1]) else 1.0] * 2, [3.0, 1e-9]), 1.0
        )

    def test_a_residual_that_is_no_bound(self):
        steep = self.made(lambda y, f: (f - y) ** 4)
        assert steep.normalised
        assert steep.guarantee("safe") == "heuristic"
        relative = self.made(lambda y, f: (f / y - 1) ** 2, y_domain=(0, np.inf, False, False))
        assert not relative.normalised

    def test_the_heuristic_bounds_the_step_of_a_leaf(self):
        loss = own_loss(self.backend, "pinball").loss
        assert not loss.resolved
        resolved = loss.resolve([0.0, 10.0], [0.0, 0.0])
        assert resolved.max_step == 10.0
        h = resolved.curvature([0.0, 0.0], [3.0, -3.0])
        np.testing.assert_allclose(h, [0.02, 0.08])
        assert own_loss(self.backend, "logistic").loss.resolved

    def test_a_curvature_of_ones_own(self):
        loss = self.made(
            lambda y, f: self.xp.logaddexp(f, self.xp.zeros_like(f)) - y * f,
            link="logit",
            y_domain=(0, 1),
            safe=lambda y, f: 0.25 + 0 * f,
            guarantee_of_safe="majorizer",
        )
        assert loss.guarantee("auto") == "majorizer"
        np.testing.assert_array_equal(loss.curvature([1.0], [3.0]), [0.25])
        assert gbo.testing.leaf_steps(loss, "safe", eta=1.0, reg_lambda=0.0) == 0

    def test_a_claim_that_does_not_hold_is_found_out(self):
        loss = self.made(
            lambda y, f: (f - y) ** 4,
            safe=lambda y, f: 1 + 0 * f,
            guarantee_of_safe="majorizer",
        )
        with pytest.raises(gbo.testing.ConformanceError, match="a majorizer lies above the loss"):
            gbo.testing.check_loss(loss)

    # ---- training ------------------------------------------------------------------------------

    @pytest.mark.parametrize("example", ["pseudo_huber", "logistic", "poisson", "two_classes"])
    @pytest.mark.parametrize("library", ["xgb", "lgb"])
    def test_it_trains_as_the_closed_form(self, example, library):
        own = own_loss(self.backend, example)
        y, _ = rows(own.loss, 400)
        x = np.column_stack([y + np.random.default_rng(1).normal(size=400), np.arange(400)])
        losses = [own.loss, own.same_as]
        if own.guarantee == "heuristic":
            # The safe curvatures of the catalogue are of another kind; the exact one is the same.
            losses = [gbo.Objective(loss, curvature="exact") for loss in losses]
        if library == "xgb":
            data = xgboost.DMatrix(x, y)
            params = {"max_depth": 3, "nthread": 1}
            predicted = [gbo.xgb.train(params, data, 10, loss=z).predict(data) for z in losses]
        else:
            params = {"verbosity": -1, "num_threads": 1, "deterministic": True}
            predicted = [
                gbo.lgb.train(params, lightgbm.Dataset(x, y), 10, loss=z).predict(x) for z in losses
            ]
        assert np.ptp(predicted[0]) > 0.1
        np.testing.assert_allclose(*predicted, rtol=2e-3, atol=1e-3)

    # ---- pickles -------------------------------------------------------------------------------

    @every_example
    def test_a_pickle_brings_it_back(self, example):
        loss = own_loss(self.backend, example).loss
        back = pickle.loads(pickle.dumps(loss))
        assert back == loss
        y, f = (x[:5] for x in rows(loss))
        if loss.n_labels > 1:
            y = np.column_stack([y, y])
        np.testing.assert_array_equal(back.gradient(y, f), loss.gradient(y, f))

    def test_a_function_without_source_trains_and_does_not_pickle(self):
        value = eval("lambda y, f: (f - y) ** 2 / 2")
        loss = self.made(value)
        assert loss.gradient([1.0], [3.0]) == [2.0]
        with pytest.raises(pickle.PicklingError, match=r"source of .* cannot be had"):
            pickle.dumps(loss)
