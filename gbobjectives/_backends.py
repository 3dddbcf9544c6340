"""What differentiates a function of the value: JAX and PyTorch, behind the same calls."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from functools import lru_cache, partial
from typing import Any

import numpy as np

from gbobjectives._numerics import Array
from gbobjectives.parallel import BLOCK_ENTRIES, row_blocks

# Rows of the shapes that JAX compiles, for one output: blocks are filled up to the next. Where
# there are several blocks each has more than half of the most.
SHAPES = (BLOCK_ENTRIES // 64, BLOCK_ENTRIES // 8, BLOCK_ENTRIES * 3 // 4, BLOCK_ENTRIES)

# Rows that PyTorch takes at once, at most: what is left over would be rounded differently.
LANES = 64

# How far values of the same rows may differ between two compilations, relative to their size.
SAME = 1e-5


class Differentiated(ABC):
    """Value, derivatives and the user's own curvature of blocks of rows.

    Parameters
    ----------
    function, safe : callable
        ``function(y, f, **parameters)``; `safe` may be None.
    n_outputs : int
        Scores of a row.
    parameters : mapping
        Keyword arguments of both.
    """

    #: Module whose functions are to be used, and the name of the backend.
    module: str
    backend: str

    #: Entries of a block.
    entries = BLOCK_ENTRIES

    def __init__(
        self, function: Any, safe: Any, n_outputs: int, parameters: Mapping[str, Any]
    ) -> None:
        self.n_outputs = n_outputs
        self.function: Any = lambda y, f: function(y, f, **parameters)
        self.own_curvature: Any = None if safe is None else lambda y, f: safe(y, f, **parameters)
        self.tried = False

    @abstractmethod
    def plain(self, function: Callable[..., Any], y: Array, f: Array) -> Array:
        """The user's function on these rows and no others, as an array."""

    @abstractmethod
    def value(self, y: Array, f: Array) -> Array:
        """Value of each row."""

    @abstractmethod
    def derivatives(self, y: Array, f: Array) -> tuple[Array, Array]:
        """First and second derivative of each row."""

    @abstractmethod
    def safe(self, y: Array, f: Array) -> Array:
        """The user's own curvature."""

    def _in_blocks(self, call: Callable[..., Any], y: Array, f: Array) -> list[Array]:
        """What the call gives for blocks of rows, each filled up with copies of its last row."""
        parts = []
        for rows in row_blocks(len(f), self.n_outputs, self.entries):
            n = rows.stop - rows.start
            full = self._full(n)
            found = call(*(_filled(x[rows], full) for x in (y, f)))
            found = found if isinstance(found, tuple) else (found,)
            parts.append([np.asarray(x)[:n].astype(f.dtype, copy=False) for x in found])
        return (
            parts[0] if len(parts) == 1 else [np.concatenate(x) for x in zip(*parts, strict=True)]
        )

    @abstractmethod
    def _full(self, n: int) -> int:
        """Rows up to which a block of n rows is filled."""

    def try_on(self, y: Array, f: Array) -> None:
        """Errors for what is no function of single rows; once is enough."""
        if self.tried:
            return
        values = self._attempt(self.plain, self.function, y, f)
        _check_shape("the function", values, (len(f),))
        if self.own_curvature is not None:
            _check_shape("safe", self._attempt(self.plain, self.own_curvature, y, f), f.shape)
        compiled = self._attempt(self.value, y, f)
        self._attempt(self.derivatives, y, f)
        self._check_rows(y, f, values, compiled)
        self.tried = True

    def _attempt(self, call: Callable[..., Any], *arguments: Any) -> Any:
        y, f = arguments[-2:]
        try:
            with np.errstate(all="ignore"):
                return call(*arguments)
        except Exception as error:
            raise TypeError(
                f"ValueLoss: the function fails on {len(f)} rows, y of shape {y.shape} and f of "
                f"shape {f.shape}, under {self.backend}: {type(error).__name__}: "
                f"{str(error).partition(chr(10))[0]}; it must be made of functions of "
                f"{self.module}, without `if` or `float` of what they give"
            ) from error

    def _check_rows(self, y: Array, f: Array, values: Array, compiled: Array) -> None:
        """No row may see another, nor how many there are."""
        for j in range(len(f)):
            moved = [x.copy() for x in (y, f)]
            # The label and score of another row are as allowed as its own.
            for x in moved:
                x[j] = x[j - 1]
            other = self.value(*moved)
            differ = (other != compiled) & ~(np.isnan(other) & np.isnan(compiled))
            differ[j] = False
            if differ.any():
                i = int(np.argmax(differ))
                raise ValueError(
                    f"ValueLoss: the function is not element-wise: row {j} leaked into row {i}, "
                    f"whose value went from {compiled[i]:.6g} to {other[i]:.6g} when y and f of "
                    f"row {j} alone changed; the value of a row may depend on its own y and f "
                    "only, not on a mean, sum, maximum or rank over rows"
                )
        size = SAME * (np.abs(values) + 1)
        differ = ~(np.abs(values - compiled) <= size) & ~(np.isnan(values) & np.isnan(compiled))
        if differ.any() and not np.isinf(values[differ]).any():
            i = int(np.argmax(differ))
            raise ValueError(
                f"ValueLoss: the function is not element-wise: the value of row {i} is "
                f"{values[i]:.6g} among {len(f)} rows, and {compiled[i]:.6g} among more; it may "
                "not depend on the number of rows (is it divided by it?)"
            )


def _check_shape(what: str, found: Array, shape: tuple[int, ...]) -> None:
    if found.shape != shape:
        hint = "; leave out the mean or sum over rows" if found.ndim == 0 else ""
        raise ValueError(
            f"ValueLoss: {what} must give an array of shape {shape} for {shape[0]} rows; "
            f"got {found.shape}{hint}"
        )


# ---- JAX -----------------------------------------------------------------------------------


class JaxKernels(Differentiated):
    """Compiled functions of blocks of few shapes."""

    module, backend = "jax.numpy", "jax"

    def __init__(
        self, function: Any, safe: Any, n_outputs: int, parameters: Mapping[str, Any]
    ) -> None:
        super().__init__(function, safe, n_outputs, parameters)
        try:
            import jax
        except ImportError as error:
            raise ImportError('backend="jax" needs JAX: pip install "gbobjectives[jax]"') from error
        self.jax: Any = jax
        self._value = jax.jit(self.function)
        self._derivatives = jax.jit(self._both)
        self._safe: Any = None if safe is None else jax.jit(self.own_curvature)

    def _both(self, y: Any, f: Any) -> tuple[Any, Any]:
        """Gradient, and its derivative along each output in turn, all rows at once."""
        jax, numpy = self.jax, self.jax.numpy

        def total(f: Any) -> Any:
            return self.function(y, f).sum()

        gradient = jax.grad(total)
        if self.n_outputs == 1:
            g, h = jax.jvp(gradient, (f,), (numpy.ones_like(f),))
            return g, h
        g, along = jax.linearize(gradient, f)

        def column(k: Any) -> Any:
            direction = numpy.zeros_like(f).at[:, k].set(1)
            return along(direction)[:, k]

        return g, jax.lax.map(column, numpy.arange(self.n_outputs)).T

    def plain(self, function: Callable[..., Any], y: Array, f: Array) -> Array:
        """The user's function on these rows and no others, as an array."""
        with self.jax.enable_x64(f.dtype == np.float64):
            jax_arrays = (self.jax.numpy.asarray(x) for x in (y, f))
            return np.asarray(function(*jax_arrays))

    def value(self, y: Array, f: Array) -> Array:
        """Value of each row."""
        return self._in_blocks(self._value, y, f)[0]

    def derivatives(self, y: Array, f: Array) -> tuple[Array, Array]:
        """First and second derivative of each row."""
        g, h = self._in_blocks(self._derivatives, y, f)
        return g, h

    def safe(self, y: Array, f: Array) -> Array:
        """The user's own curvature."""
        return self._in_blocks(self._safe, y, f)[0]

    def _in_blocks(self, call: Callable[..., Any], y: Array, f: Array) -> list[Array]:
        # The global setting of the user stays as it is: this one holds for this thread, here.
        with self.jax.enable_x64(f.dtype == np.float64):
            return super()._in_blocks(call, y, f)

    def _full(self, n: int) -> int:
        return min(x for x in (max(1, size // self.n_outputs) for size in SHAPES) if x >= n)


def _filled(x: Array, rows: int) -> Array:
    if len(x) == rows:
        return x
    result = np.empty((rows, *x.shape[1:]), dtype=x.dtype)
    result[: len(x)] = x
    result[len(x) :] = x[-1]
    return result


# ---- PyTorch -------------------------------------------------------------------------------


class TorchKernels(Differentiated):
    """Functions as they are, differentiated backwards twice."""

    module, backend = "torch", "torch"

    # From 32,768 on PyTorch takes several threads, whose cuts would round some rows differently.
    entries = 32_768 - LANES

    def __init__(
        self, function: Any, safe: Any, n_outputs: int, parameters: Mapping[str, Any]
    ) -> None:
        super().__init__(function, safe, n_outputs, parameters)
        try:
            import torch
        except ImportError as error:
            raise ImportError(
                'backend="torch" needs PyTorch: pip install "gbobjectives[torch]"'
            ) from error
        self.torch: Any = torch

    def plain(self, function: Callable[..., Any], y: Array, f: Array) -> Array:
        """The user's function on these rows and no others, as an array."""
        with self.torch.no_grad():
            found = function(*(self.torch.tensor(x) for x in (y, f)))
        return np.asarray(found.numpy())

    def value(self, y: Array, f: Array) -> Array:
        """Value of each row."""
        return self._in_blocks(partial(self.plain, self.function), y, f)[0]

    def safe(self, y: Array, f: Array) -> Array:
        """The user's own curvature."""
        return self._in_blocks(partial(self.plain, self.own_curvature), y, f)[0]

    def derivatives(self, y: Array, f: Array) -> tuple[Array, Array]:
        """First and second derivative of each row, the second along each output in turn."""
        g, h = self._in_blocks(self._both, y, f)
        return g, h

    def _full(self, n: int) -> int:
        return -(-n // LANES) * LANES

    def _both(self, y: Array, f: Array) -> tuple[Array, Array]:
        torch = self.torch
        with torch.enable_grad():
            labels, scores = torch.tensor(y), torch.tensor(f, requires_grad=True)
            g = self._derivative(self.function(labels, scores), scores)
            columns = [g] if f.ndim == 1 else list(g.unbind(dim=1))
            h = [self._derivative(x, scores) for x in columns]
        diagonal = h[0] if f.ndim == 1 else torch.stack([x[:, k] for k, x in enumerate(h)], dim=1)
        return g.detach().numpy(), diagonal.detach().numpy()

    def _derivative(self, rows: Any, scores: Any) -> Any:
        """Derivative of the sum over rows; 0 where nothing depends on the scores."""
        if not rows.requires_grad:
            return self.torch.zeros_like(scores)
        (found,) = self.torch.autograd.grad(
            rows.sum(), scores, create_graph=True, allow_unused=True, materialize_grads=True
        )
        return found


KERNELS: dict[str, type[Differentiated]] = {"jax": JaxKernels, "torch": TorchKernels}
BACKENDS = tuple(KERNELS)


@lru_cache(maxsize=128)
def kernels_of(
    backend: str, function: Any, safe: Any, n_outputs: int, parameters: Mapping[str, Any]
) -> Differentiated:
    """Kernels of a function, which are made and compiled once."""
    return KERNELS[backend](function, safe, n_outputs, parameters)
