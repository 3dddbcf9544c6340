"""Losses by formula: what is read, what is written, and that it is right."""

import pickle
import re
import subprocess
import sys
from dataclasses import replace

import mpmath
import numpy as np
import pytest

import gbobjectives as gbo
from gbobjectives.testing.samples import draw_labels, draw_scores

BINARY = {"link": "logit", "y_domain": (0, 1)}
POSITIVE = {"link": "log", "y_domain": (0, np.inf, False, False)}

# Formula, options, and the guarantee that it should be given.
EXAMPLES = {
    "log_cosh": ("log(cosh(f - y))", {"convex": True}, "majorizer"),
    "log_cosh of exponentials": (
        "log((exp(f - y) + exp(y - f)) / 2)", {"convex": True}, "majorizer"
    ),
    "pseudo-Huber": (
        "delta**2 * (sqrt(1 + ((f - y) / delta)**2) - 1)",
        {"convex": True, "parameters": {"delta": 2.0}}, "majorizer",
    ),
    "Cauchy": ("log(1 + (f - y)**2) / 2", {"redescending": True}, "majorizer"),
    "Fair": ("abs(f - y) - log(1 + abs(f - y))", {"convex": True}, "majorizer"),
    "Huber": (
        "where(abs(f - y) <= delta, (f - y)**2 / 2, delta * (abs(f - y) - delta / 2))",
        {"convex": True, "parameters": {"delta": 1.5}}, "majorizer",
    ),
    "smooth quantile": (
        "(sqrt(1 + (f - y)**2) + (1 - 2 * q) * (f - y)) / 2",
        {"convex": True, "parameters": {"q": 0.9}}, "majorizer",
    ),
    "pinball": (
        "max(q * (y - f), (q - 1) * (y - f))",
        {"convex": True, "parameters": {"q": 0.8}}, "heuristic",
    ),
    "dead zone": (
        "max(0, abs(f - y) - width)**2 / 2",
        {"convex": True, "parameters": {"width": 0.5}}, "heuristic",
    ),
    "LINEX": (
        "exp(a * (f - y)) - a * (f - y) - 1",
        {"convex": True, "parameters": {"a": 0.5}}, "heuristic",
    ),
    "logistic": ("log(1 + exp(f)) - y * f", {"convex": True, **BINARY}, "heuristic"),
    "cross-entropy of probabilities": (
        "-y * log(1 / (1 + exp(-f))) - (1 - y) * log(1 - 1 / (1 + exp(-f)))",
        {"convex": True, **BINARY}, "heuristic",
    ),
    "Brier": ("(1 / (1 + exp(-f)) - y)**2 / 2", {"redescending": True, **BINARY}, "heuristic"),
    "Poisson": (
        "exp(f) - y * f",
        {"convex": True, "link": "log", "y_domain": (0, np.inf, True, False)}, "heuristic",
    ),
    "gamma": ("f + y * exp(-f)", {"convex": True, **POSITIVE}, "heuristic"),
    "deviance": ("y * log(y / exp(f)) + exp(f) - y", {"convex": True, **POSITIVE}, "heuristic"),
    "two classes": (
        "logaddexp(f0, f1) - y * f1 - (1 - y) * f0",
        {"convex": True, "n_outputs": 2, "y_domain": (0, 1), "link": "softmax"}, "heuristic",
    ),
    "two labels": (
        "(f0 - y0)**2 / 2 + (f1 - y1)**2 / 2 + log(cosh(f0 - f1))",
        {"convex": True, "n_outputs": 2, "n_labels": 2}, "heuristic",
    ),
}  # fmt: skip

every_example = pytest.mark.parametrize("name", EXAMPLES)


def made(name):
    formula, options, _ = EXAMPLES[name]
    return gbo.from_expression(formula, **options)


@every_example
def test_it_keeps_the_promises_of_a_loss(name):
    loss = made(name)
    assert len(gbo.testing.check_loss(loss).passed) == 20
    assert not gbo.testing.check_objective(loss).failures
    assert loss.guarantee("safe") == loss.guarantee("auto") == EXAMPLES[name][2]


NAIVE = {
    name: getattr(mpmath, name) for name in ("cosh", "exp", "log", "sqrt", "expm1", "log1p")
} | {
    "abs": abs,
    "max": max,
    "where": lambda condition, a, b: a if condition else b,
    "logaddexp": lambda a, b: mpmath.log(mpmath.exp(a) + mpmath.exp(b)),
}


@every_example
def test_derivatives_are_those_of_the_naive_formula(name):
    loss, formula = made(name), EXAMPLES[name][0]
    rng = np.random.default_rng(2)
    y = draw_labels(loss, rng, 30)
    f = draw_scores(loss, rng, y)
    got = loss.value(y, f), loss.gradient(y, f), loss.hessian(y, f)
    errors = np.zeros(3)
    with mpmath.workdps(80):
        for i in range(len(f)):
            names = NAIVE | {k: mpmath.mpf(v) for k, v in loss.parameters.items()}
            for letter, row in (("y", y[i]), ("f", f[i])):
                columns = {letter: row} if np.ndim(row) == 0 else {
                    f"{letter}{k}": x for k, x in enumerate(row)
                }  # fmt: skip
                names |= {k: mpmath.mpf(float(v)) for k, v in columns.items()}
            for k, score in enumerate(x for x in names if re.fullmatch(r"f\d*", x)):

                def value(t, score=score, names=names):
                    return eval(formula, names | {score: t})

                want = [mpmath.diff(value, names[score], n) for n in range(3)]
                for n, x in enumerate(want):
                    found = got[n][i] if n == 0 or f.ndim == 1 else got[n][i, k]
                    # Of a gradient that vanishes what it is a difference of counts.
                    size = max(abs(x), abs(want[2]) if n == 1 else 0, 1e-3 if n == 0 else 1e-12)
                    errors[n] = max(errors[n], float(abs(found - x) / size))
    assert errors.max() < 1e-12, errors


def test_the_code_is_for_reading():
    assert (
        made("pseudo-Huber").code
        == """\
def value(y, f, delta):
    r = f - y
    return delta**2*(root_one_plus_square(r/delta) - 1)

def derivatives(y, f, delta):
    r = f - y
    t0 = root_one_plus_square(r/delta)
    g = r/t0
    h = (1/(t0*t0*t0))
    return g, h"""
    )
    assert "g = -t0*y + t1*(1 - y)" in made("logistic").code
    assert made("log_cosh of exponentials").code == made("log_cosh").code


@pytest.mark.parametrize("formula", ["log(cosh(f))", "log(1 + exp(f))", "sqrt(1 + f**2)"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_nothing_overflows(formula, dtype):
    loss = gbo.from_expression(formula)
    f = np.array([1e3, 1e10, 1e30], dtype=dtype)
    np.testing.assert_allclose(loss.value(0 * f, f), f, rtol=1e-3)
    np.testing.assert_allclose(loss.gradient(0 * f, f), 1, rtol=1e-6)


def test_kinks_are_found_or_given():
    y, f = np.array([0.0, 3.0]), np.zeros(2)
    found = sorted(float(x[1]) for x in made("dead zone").kinks(y, f))
    assert found == [2.5, 3.0, 3.5]
    given = gbo.from_expression("abs(f - y)**1.5", kinks_at=("y",))
    np.testing.assert_array_equal(given.kinks(y, f), [y])
    assert not made("log_cosh").kinks(y, f)
    with pytest.raises(ValueError, match=r"kink where .* cannot solve for f; .* by kinks_at="):
        gbo.from_expression("abs(cos(f) - f * y)", y_domain=(0, 1))


def test_a_kink_of_one_output_is_no_kink_of_another():
    steep = "(f0 - y)**2 + max(0, f0 - y)**2"
    loss = gbo.from_expression(f"{steep} + f1**2", n_outputs=2, convex=True)
    (kink,) = loss.kinks(np.array([3.0]), np.zeros((1, 2)))
    np.testing.assert_array_equal(kink, [[3.0, np.inf]])
    assert len(gbo.testing.check_loss(loss).passed) == 20


def test_a_curvature_of_ones_own():
    loss = gbo.from_expression(
        "log(1 + exp(f)) - y * f", safe="1 / 4", guarantee_of_safe="majorizer", **BINARY
    )
    np.testing.assert_array_equal(loss.curvature([1.0, 0.0], [3.0, 1.0]), 0.25)
    assert "return 1/4" in loss.code
    assert len(gbo.testing.check_loss(loss).passed) == 20


# ---- parameters and round trips --------------------------------------------------------------


@every_example
def test_a_spec_and_a_pickle_bring_it_back(name):
    loss = replace(made(name), name="mine", max_step=3.0)
    assert gbo.get_loss(loss.spec()) == loss
    assert pickle.loads(pickle.dumps(loss)) == loss
    assert loss.metric_name == "mine"


def test_parameters_are_part_of_the_loss():
    loss = made("Huber")
    other = replace(loss, parameters={"delta": 4.0})
    assert other != loss
    assert other.gradient([0.0], [3.0]) == [3.0]
    assert loss.gradient([0.0], [3.0]) == [1.5]
    assert loss.code == other.code


def test_the_sign_of_a_parameter_matters():
    loss = gbo.from_expression("sqrt(c**2 * (f - y)**2 + 1)", parameters={"c": 2.0})
    negative = replace(loss, parameters={"c": -2.0})
    assert loss.gradient([0.0], [1.0]) == negative.gradient([0.0], [1.0])
    assert len(gbo.testing.check_loss(negative).passed) == 20


# ---- what is refused ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("formula", "message"),
    [
        ("__import__('os').system('true')", "is no number"),
        ("f.__class__", "'f.__class__' is no number"),
        ("(lambda: f)()", "is no number"),
        ("[f for f in y]", "is no number"),
        ("foo(f)", r"'foo\(f\)' is no number; there are the names pi, y, f"),
        ("f0 - y", "'f0' is no number"),
        ("'f'", "is no number"),
        ("True * f", "'True' is no number"),
        ("f^2", "a power is written"),
        ("f**1000", "exponents go up to 100; got 1000"),
        ("9**9**9 * f", "exponents go up to 100"),
        ("f < y", "is no number"),
        ("where(f, y, f)", "'f' is no comparison such as"),
        ("exp(f, y)", r"'exp\(f, y\)'"),
        ("log(f", "is no expression"),
        ("y**2", "does not depend on the raw prediction f"),
        ("f" + " + f" * 5000, "at most 5000 characters"),
        (3, "an expression is text"),
    ],
)
def test_what_is_no_formula(formula, message):
    with pytest.raises(ValueError, match=f"ExpressionLoss: .*{message}"):
        gbo.from_expression(formula)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"parameters": {"delta": "a"}}, "parameter delta must be a number; got 'a'"),
        ({"parameters": {"exp": 1.0}}, "the name 'exp' is taken"),
        ({"safe": "foo"}, "'foo' is no number"),
        ({"kinks_at": "z"}, "'z' is no number"),
    ],
)
def test_bad_options(options, message):
    with pytest.raises(ValueError, match=f"ExpressionLoss: .*{message}"):
        gbo.from_expression("(f - y)**2", **options)


def test_without_sympy():
    code = """
import sys
sys.modules["sympy"] = None
import gbobjectives as gbo
try:
    gbo.from_expression("f - y")
except ImportError as error:
    print(error)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout == 'from_expression needs SymPy: pip install "gbobjectives[sympy]"\n'
