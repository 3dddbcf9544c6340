"""A loss from its value alone: derivatives by JAX or PyTorch, exact and in one pass over rows.

Rows do not mix, so the derivative of the sum of all values is the gradient of every row at once,
and one product of the second derivative with ones is its whole diagonal. A loss of K outputs
takes K such products; no loss takes one a row.
"""

import inspect
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, cast

import numpy as np

from gbobjectives._backends import BACKENDS, kernels_of
from gbobjectives._code import Function
from gbobjectives._numerics import Array
from gbobjectives._own import OwnLoss, sample_rows
from gbobjectives._own_curvature import Kernels

__all__ = ["ValueLoss", "from_value"]

Backend = Literal["jax", "torch"]

# Rows on which a function is tried.
TRIED = 7


def from_value(value: Any, *, backend: Backend = "jax", **options: Any) -> "ValueLoss":
    r"""A loss from the function of its value; gradient and Hessian are derived from it.

    The function is called as ``value(y, f, **parameters)`` with the labels and the raw
    predictions of many rows, arrays of `jax.numpy` or tensors of `torch`, and returns one number
    a row. It must look at each row by itself, and be written so that it does not overflow:
    ``jnp.logaddexp(r, -r)`` rather than ``jnp.log(jnp.cosh(r))``.

    Parameters
    ----------
    value : callable or str
        The function. A string is ``"module:name"``, or Python source that is run: only ever
        give it your own.
    backend : {"jax", "torch"}
        What differentiates: JAX compiles the function, PyTorch runs it as it is.
    parameters : mapping, optional
        Keyword arguments of the function, part of ==, repr, pickle and spec; numbers, words and
        tuples of them. ``dataclasses.replace(loss, parameters=...)`` changes them.
    n_outputs, n_labels : int, optional
        Scores and labels of a row: f has the shape (n,) or (n, n_outputs), y (n,) or
        (n, n_labels).
    link : str or Link, optional
        From raw prediction to response: identity, logit, log, softmax and others.
    y_domain : Interval or tuple, optional
        Where labels may lie: (low, high, low_inclusive, high_inclusive).
    name : str, optional
        What its metric is called; by default the name of the function.
    convex, redescending : bool, optional
        Whether the value is convex in f, and whether badly wrong rows lose their gradient; both
        False by default.
    kinks_at : callable, optional
        ``kinks_at(y, f, **parameters)``: the scores, a tuple of arrays of the shape of f, at
        which value or gradient has no derivative.
    safe : callable, optional
        ``safe(y, f, **parameters)``: a curvature of your own, in place of that below.
    guarantee_of_safe : str, optional
        What is known of it: see `gbobjectives.curvature`. ``"heuristic"`` by default.
    max_step : float, optional
        What the heuristic below is bounded by; one number, or one an output.

    Returns
    -------
    ValueLoss
        A `Loss` as any other.

    Raises
    ------
    ImportError
        If the backend is not installed.
    TypeError, ValueError
        If the function fails, returns anything but one number a row, or lets a row see another;
        the rows are named.

    Notes
    -----
    The second derivative is exact, and no curvature to step by; ``curvature="safe"`` is

    - psi(r) / r, with r = f - y and psi the gradient, if the loss is a function of f - y alone
      and psi(r) / r does not increase with abs(r): then it is a majorizer, and no step raises
      the loss. Both are checked at residuals from 1e-6 to 1e12, not proved; a term linear in r,
      as quantile losses have, is set aside.
    - else max(h, abs(g) / max_step), a heuristic: nothing is proved but that no leaf steps
      further than max_step. That is 2 for scores behind a link, and twice the mean distance of
      the training labels from their median otherwise.

    A derivative beyond the dtype is held at its largest number; NaN is an error where it occurs.
    Under JAX blocks of rows are filled up to one of three shapes, each compiled once.

    A function of a module is pickled by its name; a lambda, or a function of a script or a
    notebook, by its source, with the modules and numbers it uses. Where there is no source
    (a prompt) the loss trains, but pickling it is an error. A model file holds no code:
    ``gbo.loss_of`` says that the loss has to be made anew.

    Examples
    --------
    >>> import jax.numpy as jnp
    >>> import gbobjectives as gbo
    >>> def smooth_absolute(y, f, width=1.0):
    ...     return width * jnp.hypot(f - y, width)
    >>> loss = gbo.from_value(smooth_absolute, parameters={"width": 2.0}, convex=True)
    >>> loss.gradient([0.0], [1.5]), loss.hessian([0.0], [1.5]).round(3)
    (array([1.2]), array([0.512]))
    >>> loss.guarantee("safe")
    'majorizer'
    """
    return ValueLoss(value, backend, **options)


@dataclass(frozen=True, repr=False)
class ValueLoss(OwnLoss):
    """What `from_value` makes; parameters are those of `from_value`, its value the ``function``.

    Examples
    --------
    >>> import gbobjectives as gbo
    >>> loss = gbo.from_value(lambda y, f: (f - y) ** 2, convex=True)
    >>> type(loss).__name__, loss.n_outputs, loss.gradient([1.0], [3.0])
    ('ValueLoss', 1, array([4.]))
    """

    function: Any = None
    backend: Backend = "jax"

    kind: ClassVar[str] = "value"

    def __post_init__(self) -> None:
        if self.backend not in BACKENDS:
            raise ValueError(
                f"ValueLoss: backend must be one of {', '.join(BACKENDS)}; got {self.backend!r}"
            )
        for option in ("function", "kinks_at", "safe"):
            given = getattr(self, option)
            if given is None and option != "function":
                continue
            if not callable(given) and not isinstance(given, Function | str):
                raise TypeError(f"ValueLoss: {option} must be a function; got {given!r}")
            object.__setattr__(self, option, Function(given))
        super().__post_init__()

    def _default_name(self) -> str:
        return cast("str", self.function.name)

    def _made(self) -> Kernels:
        try:
            inspect.signature(self.function.call).bind("y", "f", **self.parameters)
        except TypeError as error:
            raise TypeError(
                f"ValueLoss: the function cannot be called as (y, f, **{dict(self.parameters)}): "
                f"{error}"
            ) from error
        safe = None if self.safe is None else self.safe.call
        kernels = kernels_of(
            self.backend, self.function.call, safe, self.n_outputs, self.parameters
        )
        kernels.try_on(*sample_rows(self, TRIED))
        return kernels

    def kinks(self, y_true: Array, raw_prediction: Array) -> tuple[Array, ...]:
        """Raw predictions at which value or gradient has no derivative, as given."""
        if self.kinks_at is None:
            return ()
        found = self.kinks_at.call(y_true, raw_prediction, **self.parameters)
        found = found if isinstance(found, tuple | list) else (found,)
        return tuple(np.broadcast_to(np.asarray(x), np.shape(raw_prediction)) for x in found)
