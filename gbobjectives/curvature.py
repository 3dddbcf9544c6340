"""Where "Hessian-safe" lives: the second-order number that is handed to the trees.

A leaf of Newton boosting steps by ``-sum(w g) / (sum(w h) + lambda)``. With the exact second
derivative that step is undefined where ``h = 0``, absurd where h vanishes faster than g, and
uphill where ``h < 0``. A `Rule` names another h, and what that h guarantees:

``majorizer``
    ``L(f + t) <= L(f) + g t + h t^2 / 2``: the quadratic lies above the loss, so the leaf loss
    cannot rise for any step up to the Newton step. For ``L = rho(r)`` with ``rho(sqrt(.))``
    concave, ``h = psi(r) / r`` is the smallest such h.
``no_overshoot``
    The step never passes the minimum of the leaf, so the loss falls all along it. If each
    ``|g_i|`` keeps its sign and ``|d log|g_i| / df| <= kappa``, then with A and B the sums of
    the pulls up and down and ``H = kappa (A + B)`` the step ``(A - B) / H = tanh(kappa t*) /
    kappa <= t*``, where ``t* = log(A / B) / (2 kappa)`` is no further than the minimum.
``descent``
    The leaf loss cannot rise for any step up to the Newton step, for a reason of its own that
    the loss's docstring gives. Both guarantees above imply it.
``heuristic``
    None of these; the loss's docstring says why, and what is known.
``none``
    No claim: the exact second derivative, its absolute value, a floor in numbers.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import numpy as np

from gbobjectives._numerics import Array

Guarantee: TypeAlias = Literal["majorizer", "no_overshoot", "descent", "heuristic", "none"]

#: The guarantees under which no step of a leaf raises its loss.
DESCENDING: tuple[Guarantee, ...] = ("majorizer", "no_overshoot", "descent")

#: From the strongest to the weakest.
ORDER: tuple[Guarantee, ...] = ("majorizer", "no_overshoot", "descent", "heuristic", "none")

#: Smallest curvature that is handed out: both libraries store float32, where less is 0.
TINY = float(np.finfo(np.float32).tiny)


@dataclass(frozen=True)
class Rule:
    """One way to give a loss a second-order number.

    Parameters
    ----------
    kernel : callable
        ``kernel(loss, *block)`` with the arguments of the loss's own gradient kernel.
    guarantee : str
        What is proved of it: see the module's docstring.
    formula : str
        The rule in one line.
    relative_floor : float
        An objective raises the curvature to this share of its weighted mean. Any h above a
        majorizer is one too, so the proof survives; leaves of outliers alone step less.

    Examples
    --------
    >>> import gbobjectives as gbo
    >>> gbo.HuberLoss().rules["auto"].guarantee
    'majorizer'
    """

    kernel: Callable[..., Array]
    guarantee: Guarantee
    formula: str
    relative_floor: float = 0.0


def exact_kernel(loss: Any, *block: Any) -> Array:
    """The second derivative itself."""
    h: Array = loss._hessian(*block)
    return h


def absolute_kernel(loss: Any, *block: Any) -> Array:
    """``abs(h)``: fails where h passes through 0."""
    return np.abs(exact_kernel(loss, *block))


EXACT = Rule(exact_kernel, "none", "h")
ABSOLUTE = Rule(absolute_kernel, "none", "abs(h)")


def floored(floor: float) -> Rule:
    """``max(h, floor)``; no floor is right at all scales, hence no guarantee."""

    def kernel(loss: Any, *block: Any) -> Array:
        h = exact_kernel(loss, *block)
        result: Array = np.maximum(h, np.asarray(floor, dtype=h.dtype))
        return result

    return Rule(kernel, "none", f"max(h, {floor:g})")


def find_rule(loss_name: str, rules: Mapping[str, Rule], curvature: str | float) -> Rule:
    """Rule of that name, or the floor in numbers; the error names what the loss has."""
    if isinstance(curvature, str):
        if curvature in rules:
            return rules[curvature]
    elif not isinstance(curvature, bool) and 0 < curvature < np.inf:
        return floored(float(curvature))
    raise ValueError(
        f"{loss_name}: no curvature {curvature!r}; it has {', '.join(sorted(rules))}, "
        "or a floor in numbers (a positive float c gives max(h, c))"
    )


def weakest(guarantees: Iterable[Guarantee]) -> Guarantee:
    """What holds of each, so of a sum in which every output meets one of them."""
    return max(guarantees, key=ORDER.index)
