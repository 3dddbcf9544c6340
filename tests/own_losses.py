"""Losses of one's own by value, for each backend, beside the closed form where there is one."""

import importlib
import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np

import gbobjectives as gbo

LOG2 = math.log(2)


def jax_softplus(x: Any) -> Any:
    import jax

    return jax.nn.softplus(x)


def torch_softplus(x: Any) -> Any:
    from torch.nn.functional import softplus

    # By default it is x itself from 20 on, which is wrong by 2e-9.
    return softplus(x, threshold=40)


def jax_log_cosh(x: Any) -> Any:
    import jax.numpy as jnp

    return jnp.logaddexp(x, -x) - LOG2


def torch_log_cosh(x: Any) -> Any:
    # The second derivative of torch.logaddexp is NaN far off.
    return x + torch_softplus(-2 * x) - LOG2


@dataclass(frozen=True)
class Own:
    """A loss, the loss of the catalogue that it is, and the guarantee that it should be given."""

    loss: Any
    same_as: Any
    guarantee: str


NAMES = (
    "log_cosh", "pseudo_huber", "smooth_quantile", "logistic", "poisson", "pinball",
    "two_classes", "two_labels",
)  # fmt: skip


@cache
def own_loss(backend: str, example: str) -> Own:
    """One of the examples; a loss is compiled when it is made."""
    xp: Any = importlib.import_module({"jax": "jax.numpy", "torch": "torch"}[backend])
    softplus = {"jax": jax_softplus, "torch": torch_softplus}[backend]
    log_two_cosh = {"jax": jax_log_cosh, "torch": torch_log_cosh}[backend]

    def own(value: Any, same_as: Any, guarantee: str, **options: Any) -> Own:
        return Own(gbo.from_value(value, backend=backend, **options), same_as, guarantee)

    def log_cosh(y, f):
        return log_two_cosh(f - y)

    def pseudo_huber(y, f, delta=1.0):
        # sqrt(1 + u^2) - 1 would cancel at 0
        u = (f - y) / delta
        return delta**2 * u * u / (1 + xp.hypot(u, xp.ones_like(u)))

    def smooth_quantile(y, f, q):
        r = f - y
        return (xp.hypot(r, xp.ones_like(r)) + (1 - 2 * q) * r) / 2

    def logistic(y, f):
        return y * softplus(-f) + (1 - y) * softplus(f)

    def poisson(y, f):
        return xp.exp(f) - y * f

    def pinball(y, f, q):
        return xp.maximum(q * (y - f), (q - 1) * (y - f))

    def two_classes(y, f):
        return softplus((1 - 2 * y) * (f[:, 1] - f[:, 0]))

    def two_labels(y, f):
        return ((f - y) ** 2).sum(-1) / 2 + log_cosh(f[:, 0], f[:, 1])

    binary, count = {"link": "logit", "y_domain": (0, 1)}, {"y_domain": (0, np.inf, True, False)}
    made: dict[str, Callable[[], Own]] = {
        "log_cosh": lambda: own(
            log_cosh, gbo.LogCoshLoss(delta=1.0), "majorizer", convex=True
        ),
        "pseudo_huber": lambda: own(
            pseudo_huber, gbo.PseudoHuberLoss(delta=2.5), "majorizer", convex=True,
            parameters={"delta": 2.5},
        ),
        # A linear part does not matter to psi(r) / r.
        "smooth_quantile": lambda: own(
            smooth_quantile, None, "majorizer", convex=True, parameters={"q": 0.9}
        ),
        "logistic": lambda: own(logistic, gbo.LogLoss(), "heuristic", convex=True, **binary),
        "poisson": lambda: own(
            poisson, gbo.PoissonLoss(), "heuristic", convex=True, link="log", **count
        ),
        "pinball": lambda: own(
            pinball, None, "heuristic", convex=True, parameters={"q": 0.8},
            kinks_at=lambda y, f, q: y,
        ),
        "two_classes": lambda: own(
            two_classes, gbo.CrossEntropyLoss(n_classes=2), "heuristic", convex=True,
            n_outputs=2, link="softmax", y_domain=(0, 1),
        ),
        "two_labels": lambda: own(
            two_labels, None, "heuristic", convex=True, n_outputs=2, n_labels=2
        ),
    }  # fmt: skip
    return made[example]()
