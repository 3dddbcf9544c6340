"""Pictures of a loss: what it is worth, how it pulls, how far its curvature lets a leaf step."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from gbobjectives._numerics import Array
from gbobjectives.losses.base import Loss
from gbobjectives.losses.kinds import RowLoss

__all__ = ["plot_loss"]

N_POINTS = 601
HALF_WIDTH = 5.0  # of the picture, in units of delta, or of the raw prediction


def plot_loss(
    loss: RowLoss | Sequence[RowLoss],
    *,
    y_true: float = 0.0,
    curvatures: Iterable[str | float] = ("exact", "auto"),
    raw_prediction: npt.ArrayLike | None = None,
    ax: Any = None,
) -> npt.NDArray[np.object_]:
    """Value, gradient and curvatures of one row against its raw prediction.

    Parameters
    ----------
    loss : RowLoss, or sequence of RowLoss
        Losses of one output, drawn together; a parameter left at ``"auto"`` is drawn at 1.
    y_true : float
        Label of the row.
    curvatures : iterable of str or float
        Rules of the loss, drawn together: see ``loss.rules``.
    raw_prediction : array of shape (n,), optional
        Where to draw; by default five delta (or units) to either side of the label.
    ax : Axes or array of three Axes, optional
        Where to draw value, gradient and curvatures; a single Axes takes all. By default a new
        figure with three.

    Returns
    -------
    array of Axes
        Those drawn on: three, or the single one.

    Raises
    ------
    ImportError
        If matplotlib is wanted (`ax` is not given) and missing.
    TypeError
        If the loss is not one of single rows.
    ValueError
        If the loss has several outputs or lacks a curvature, the label is outside its domain,
        or the number of Axes is neither one nor three.

    Examples
    --------
    >>> import matplotlib
    >>> matplotlib.use("Agg")
    >>> import gbobjectives as gbo
    >>> from gbobjectives.plotting import plot_loss
    >>> axes = plot_loss(gbo.LogCoshLoss(delta=2.0), curvatures=("exact", "safe"))
    >>> [axis.get_title() for axis in axes]
    ['value', 'gradient', 'curvature']
    >>> [line.get_label() for line in axes[2].lines]
    ['exact: h', 'safe: psi(u) / u']
    """
    losses = [_drawable(one) for one in _as_list(loss)]
    if not losses:
        raise ValueError("plot_loss: a loss is wanted; got an empty sequence")
    if raw_prediction is None:
        grids = [_grid(one, y_true) for one in losses]
        f = np.linspace(min(x[0] for x in grids), max(x[-1] for x in grids), N_POINTS)
    else:
        f = np.asarray(raw_prediction, dtype=float)
    # All is computed before anything is drawn: a bad argument leaves no half picture behind.
    rules = tuple(curvatures)
    curves = [_curves(one, float(y_true), f, rules) for one in losses]
    title = (
        repr(losses[0])
        if len(losses) == 1
        else ", ".join(dict.fromkeys(type(one).__name__ for one in losses))
    )

    axes = np.ravel(_new_axes(title) if ax is None else np.asarray(ax, dtype=object))
    if len(axes) not in (1, 3):
        raise ValueError(f"plot_loss: ax must be one Axes or three; got {len(axes)}")
    single = len(axes) == 1
    value_ax, gradient_ax, curvature_ax = np.repeat(axes, 3) if single else axes
    for one, (value, gradient, curved) in zip(losses, curves, strict=True):
        prefix = "" if len(losses) == 1 else f"{one!r} "
        own = repr(one) if prefix and not single else None
        (line,) = value_ax.plot(f, value, label=own or f"{prefix}value")
        # Of several losses each has a colour, in all three pictures.
        colour = {"color": line.get_color()} if own else {}
        gradient_ax.plot(f, gradient, label=own or f"{prefix}gradient", **colour)
        for i, (label, h) in enumerate(curved.items()):
            # Two rules may coincide: dashes let the one below show through.
            style = "-" if i == 0 else "--"
            curvature_ax.plot(f, h, label=f"{prefix}{label}", linestyle=style, **colour)
    for axis, name in zip(axes, ("value", "gradient", "curvature"), strict=False):
        axis.set_title(title if single else name)
        axis.set_xlabel("raw prediction")
    if len(losses) == 1:
        curvature_ax.legend()
    else:
        # Below the picture: so many lines leave no room in it.
        for axis in dict.fromkeys((value_ax, curvature_ax)):
            axis.legend(fontsize="x-small", loc="upper center", bbox_to_anchor=(0.5, -0.35))
    return axes


def _as_list(loss: Any) -> list[Any]:
    return list(loss) if isinstance(loss, list | tuple) else [loss]


def _drawable(loss: Any) -> RowLoss:
    """The loss with numbers in it, or an error that says why it cannot be drawn."""
    if not isinstance(loss, RowLoss):
        raise TypeError(
            f"plot_loss: a loss of single rows (RowLoss) is wanted; got {loss!r}, "
            "whose value depends on other rows"
            if isinstance(loss, Loss)
            else f"plot_loss: a loss is wanted; got {loss!r}"
        )
    if loss.n_outputs != 1:
        raise ValueError(
            f"plot_loss: a loss of one output is wanted; got {loss!r} with {loss.n_outputs}"
        )
    return _with_numbers(loss)


def _curves(
    loss: RowLoss, y_true: float, f: Array, rules: Sequence[str | float]
) -> tuple[Array, Array, dict[str, Array]]:
    """Value, gradient and curvatures by name along the raw predictions."""
    y = np.full(len(f), y_true)
    curved = {f"{name}: {loss.rule(name).formula}": loss.curvature(y, f, name) for name in rules}
    return loss.value(y, f), loss.gradient(y, f), curved


def _with_numbers(loss: RowLoss) -> RowLoss:
    """A width of 1 in place of "auto"; of what depends on the classes, that of equal ones."""
    if getattr(loss, "delta", None) == "auto":
        width: dict[str, Any] = {"delta": 1.0}
        loss = replace(loss, **width)
    if loss.resolved:
        return loss
    labels = np.arange(float(getattr(loss, "n_classes", None) or 2))
    return loss.resolve(labels, np.zeros_like(labels))


def _grid(loss: Loss, y_true: float) -> Array:
    """Around the raw prediction that gives the label; around 0 where that is infinite."""
    with np.errstate(divide="ignore"):
        centre = float(loss.link.link(np.asarray(float(y_true))))
    if not np.isfinite(centre):
        centre = 0.0
    width = HALF_WIDTH * float(getattr(loss, "delta", 1.0))
    return np.linspace(centre - width, centre + width, N_POINTS)


def import_pyplot(owner: str) -> Any:
    """Matplotlib's pyplot, or an error that names the extra."""
    try:
        from matplotlib import pyplot
    except ImportError as error:
        raise ImportError(f'{owner} needs matplotlib: pip install "gbobjectives[plot]"') from error
    return pyplot


def _new_axes(title: str) -> Any:
    figure, axes = import_pyplot("plot_loss").subplots(1, 3, figsize=(10, 3), layout="constrained")
    figure.suptitle(title)
    return axes
