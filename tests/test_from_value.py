"""Losses by value with JAX, and what JAX alone has: compilation, precision."""

import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import gbobjectives as gbo
from gbobjectives._code import Function, text_of
from tests.own_losses import own_loss
from tests.value_tests import ValueTests

WIDTH = 2.0


def half_square(y, f):
    return (f - y) ** 2 / 2


class TestJax(ValueTests):
    backend = "jax"


def test_few_shapes_are_compiled():
    traced = []

    def value(y, f):
        traced.append(f.shape)
        return (f - y) ** 2

    loss = gbo.from_value(value)
    for n in (1, 2, 50, 2000, 3000, 10_000, 100_000, 172_032, 200_000, 300_001):
        assert len(loss.value(np.zeros(n), np.zeros(n))) == n
    assert {shape for shape in traced if shape != (7,)} == {
        (2688,),
        (21_504,),
        (129_024,),
        (172_032,),
    }


def test_the_users_settings_stay_as_they_are():
    assert not jax.config.jax_enable_x64
    loss = own_loss("jax", "logistic").loss
    assert loss.gradient([0.0], np.array([1.0])).dtype == np.float64
    assert jnp.zeros(1).dtype == jnp.float32
    with jax.enable_x64(True):
        assert loss.gradient([0.0], np.array([1.0], np.float32)).dtype == np.float32


def test_a_loss_of_one_function_is_compiled_once():
    one, other = gbo.from_value(half_square), gbo.from_value(half_square, convex=True)
    assert one._kernels is other._kernels


def test_float32_rows_far_off_are_computed_in_float64():
    loss = gbo.from_value(lambda y, f: jnp.sqrt(1 + (f - y) ** 2) - 1)
    f = np.array([0.0, 1.0, 1e25], dtype=np.float32)
    # Of 1e50, which is no float32, the root is one.
    np.testing.assert_allclose(loss.gradient(np.zeros(3), f), [0, np.sqrt(0.5), 1], rtol=1e-6)
    np.testing.assert_allclose(loss.value(np.zeros(3), f)[2], 1e25, rtol=1e-6)


def test_without_jax(monkeypatch):
    monkeypatch.setitem(sys.modules, "jax", None)
    with pytest.raises(ImportError, match=r'backend="jax" needs JAX: pip install "gbobj.*\[jax\]'):
        gbo.from_value(lambda y, f: 7 * f)


# ---- functions as text -----------------------------------------------------------------------


def test_a_function_of_a_module_is_its_name():
    assert text_of(half_square) == f"{__name__}:half_square"
    assert Function(f"{__name__}:half_square").call is half_square


def test_a_lambda_is_its_source_with_what_it_uses():
    scale = 3.0
    # Two on a line, told apart by their places.
    one, other = (lambda y, f: scale * jnp.abs(f - y) * WIDTH), (lambda y, f: -f)
    assert text_of(other) == "lambda y, f: -f"
    text = text_of(one)
    assert text.splitlines() == [
        "WIDTH = 2.0",
        "import jax.numpy as jnp",
        "scale = 3.0",
        "lambda y, f: scale * jnp.abs(f - y) * WIDTH",
    ]
    assert Function(text).call(0.0, 2.0) == 12.0
    assert Function(text) == Function(one)


def test_a_helper_goes_along():
    def square(x):
        return x * x

    def value(y, f, power: int = 2) -> float:
        return square(f - y) / power

    loss = gbo.from_value(value)
    assert loss.function.text.startswith(
        "def square(x):\n    return x * x\ndef value(y, f, power=2)"
    )
    assert gbo.from_value(loss.function.text) == loss
    assert loss.name == "value"


def test_what_has_no_text_says_why():
    class Table:
        pass

    table = Table()

    def value(y, f):
        return f * id(table)

    with pytest.raises(ValueError, match=r"uses table, which is neither a module.*in a module"):
        text_of(value)


def test_a_source_that_is_not_that_of_the_code(tmp_path):
    # A file that is no Python, as a page with code in it.
    (tmp_path / "page.md").write_text("# A page (with a lambda)\n")
    for code in ("lambda y, f: f - y", "def g(y, f): return f - y"):
        names = {}
        made = eval if code.startswith("lambda") else exec
        mode = "eval" if made is eval else "exec"
        found = made(compile(code, str(tmp_path / "page.md"), mode), names) or names["g"]
        with pytest.raises(ValueError, match="is not that of its code"):
            text_of(found)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("f - y", "ends in a lambda or a def"),
        ("lambda y, f: (", "or Python source is wanted"),
        ("math:pi", "a function is wanted; 'math:pi' is 3.14"),
    ],
)
def test_text_that_is_no_function(text, message):
    with pytest.raises((ValueError, TypeError), match=message):
        Function(text)


SCRIPT = """
import pickle, sys
import jax.numpy as jnp
import gbobjectives as gbo

WIDTH = 2.0

def value(y, f):
    return WIDTH * jnp.hypot(f - y, WIDTH)

if __name__ == "__main__":
    with open(sys.argv[1], "wb") as file:
        pickle.dump(gbo.from_value(value, convex=True), file)
"""


def test_a_function_of_a_script_is_unpickled_elsewhere(tmp_path):
    (tmp_path / "script.py").write_text(SCRIPT)
    for code in ("script.py made", "-c \"import pickle; print(pickle.load(open('made', 'rb')))\""):
        done = subprocess.run(
            f"{sys.executable} {code}",
            shell=True,
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
    assert "WIDTH = 2.0\\nimport jax.numpy as jnp\\ndef value(y, f)" in done.stdout
