"""Structure of the pictures, not their pixels."""

import builtins
import sys

import matplotlib
import numpy as np
import pytest

matplotlib.use("Agg")
from matplotlib import pyplot

import gbobjectives as gbo
from gbobjectives.plotting import plot_loss
from tests.instances import INSTANCES


@pytest.fixture(autouse=True)
def close_figures():
    yield
    pyplot.close("all")


def test_three_axes_of_one_figure():
    axes = plot_loss(gbo.HuberLoss(delta=2.0))
    assert [axis.get_title() for axis in axes] == ["value", "gradient", "curvature"]
    assert len({axis.figure for axis in axes}) == 1
    assert axes[0].figure.get_suptitle() == "HuberLoss(delta=2.0)"
    assert [len(axis.lines) for axis in axes] == [1, 1, 2]
    assert [text.get_text() for text in axes[2].get_legend().get_texts()] == [
        "exact: h",
        "auto: psi(u) / u",
    ]


def test_lines_are_the_loss():
    loss = gbo.PseudoHuberLoss(delta=3.0)
    axes = plot_loss(loss, y_true=7.0, curvatures=("exact", "safe", 0.25))
    f = axes[0].lines[0].get_xdata()
    y = np.full(len(f), 7.0)
    assert f[0] == 7.0 - 15.0
    assert f[-1] == 7.0 + 15.0
    drawn = [axes[0].lines[0], axes[1].lines[0], *axes[2].lines]
    rules = (loss.curvature(y, f, rule) for rule in ("exact", "safe", 0.25))
    for line, truth in zip(drawn, [loss.value(y, f), loss.gradient(y, f), *rules], strict=True):
        np.testing.assert_array_equal(line.get_ydata(), truth)


# One of each class: with the parameters of its first instance.
LOSSES = {type(x.loss): x.loss for x in reversed(INSTANCES)}


@pytest.mark.parametrize("loss", LOSSES.values(), ids=lambda loss: type(loss).__name__)
def test_every_row_loss_of_one_output(loss):
    if isinstance(loss, gbo.RowLoss) and loss.n_outputs == 1:
        y = 1.0 if loss.y_domain.includes(1.0) else 0.5
        axes = plot_loss(loss, y_true=y)
        assert all(np.isfinite(line.get_ydata()).all() for axis in axes for line in axis.lines)
    else:
        with pytest.raises((TypeError, ValueError), match="plot_loss"):
            plot_loss(loss)


def test_automatic_parameters_are_drawn_at_one():
    axes = plot_loss(gbo.LogCoshLoss())
    assert axes[0].figure.get_suptitle() == "LogCoshLoss(delta=1.0)"


def test_label_with_an_infinite_link_is_drawn_around_zero():
    f = plot_loss(gbo.LogLoss(), y_true=1.0)[0].lines[0].get_xdata()
    assert (f[0], f[-1]) == (-5.0, 5.0)


def test_raw_prediction_given():
    grid = np.linspace(-100.0, 100.0, 11)
    axes = plot_loss(gbo.LogCoshLoss(delta=1.0), raw_prediction=grid)
    np.testing.assert_array_equal(axes[2].lines[1].get_xdata(), grid)


def test_own_axes():
    _, own = pyplot.subplots(1, 3)
    returned = plot_loss(gbo.LogLoss(), y_true=1.0, ax=own)
    assert all(a is b for a, b in zip(returned, own, strict=True))
    _, single = pyplot.subplots()
    returned = plot_loss(gbo.LogLoss(), y_true=1.0, curvatures=("exact",), ax=single)
    assert list(returned) == [single]
    assert [line.get_label() for line in single.lines] == ["value", "gradient", "exact: h"]
    assert single.get_title() == repr(gbo.LogLoss())


def test_wrong_number_of_axes():
    _, two = pyplot.subplots(1, 2)
    with pytest.raises(ValueError, match="plot_loss: ax must be one Axes or three; got 2"):
        plot_loss(gbo.LogLoss(), ax=two)


@pytest.mark.parametrize(
    ("loss", "error", "message"),
    [
        (gbo.CrossEntropyLoss(n_classes=3), ValueError, "a loss of one output is wanted.*with 3"),
        (gbo.DiceLoss(), TypeError, "whose value depends on other rows"),
        ("huber", TypeError, "a loss is wanted; got 'huber'"),
    ],
)
def test_losses_that_have_no_such_picture(loss, error, message):
    with pytest.raises(error, match=message):
        plot_loss(loss)


def test_unknown_curvature_draws_nothing():
    with pytest.raises(ValueError, match="no curvature 'fast'"):
        plot_loss(gbo.LogLoss(), curvatures=("fast",))
    assert pyplot.get_fignums() == []


def test_missing_matplotlib_names_the_extra(monkeypatch):
    real = builtins.__import__

    def without(name, *arguments, **options):
        if name.partition(".")[0] == "matplotlib":
            raise ModuleNotFoundError("No module named 'matplotlib'", name="matplotlib")
        return real(name, *arguments, **options)

    monkeypatch.delitem(sys.modules, "matplotlib.pyplot")
    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(ImportError, match=r'pip install "gbobjectives\[plot\]"'):
        plot_loss(gbo.LogLoss())


def test_several_losses_share_the_axes_and_keep_a_colour_each():
    losses = [gbo.HuberLoss(delta=delta) for delta in (1.0, 5.0)]
    value, gradient, curvature = plot_loss(losses, curvatures=("exact", "auto"))
    assert [line.get_label() for line in value.lines] == [repr(loss) for loss in losses]
    colours = [line.get_color() for line in value.lines]
    assert [line.get_color() for line in gradient.lines] == colours
    assert [line.get_color() for line in curvature.lines] == [colours[i] for i in (0, 0, 1, 1)]
    f = value.lines[0].get_xdata()
    assert (f[0], f[-1]) == (-25.0, 25.0)
    np.testing.assert_array_equal(gradient.lines[1].get_ydata(), losses[1].gradient(0 * f, f))


def test_no_losses_are_refused():
    with pytest.raises(ValueError, match="got an empty sequence"):
        plot_loss([])
