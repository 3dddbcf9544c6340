"""Random numbers that are a function of what they are drawn for.

A loss that draws is a recipe until ``draw``, one integer a round, is resolved; inside a kernel
numbers come from hashing it with what the rows hold. Blocks, threads and the order of rows change
nothing, and two runs give the same model.
"""

from typing import Any

import numpy as np

from gbobjectives._batch import Batch
from gbobjectives._numerics import Array

# Draws are kept as integers that JSON and float64 hold exactly.
DRAW_BITS = 53


def mixed(x: Array) -> Array:
    """SplitMix64 (Steele, Lea and Flood 2014): a bijection that scatters 64-bit integers."""
    z = x.astype(np.uint64) + np.uint64(0x9E3779B97F4A7C15)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))


def hashed(draw: int, *keys: Any) -> Array:
    """A 64-bit hash of the draw and of integer keys, which broadcast."""
    h = mixed(np.array([draw], dtype=np.uint64))
    for key in keys:
        h = mixed(h ^ mixed(np.atleast_1d(np.asarray(key)).astype(np.uint64)))
    return h


def uniform(draw: int, *keys: Any) -> Array:
    """Numbers in [0, 1), one for each hash."""
    return (hashed(draw, *keys) >> np.uint64(11)) * 2.0**-53


def draw_of(batch: Batch, seed: int) -> int:
    """One integer for the labels and raw predictions of a round, and a seed."""
    with np.errstate(over="ignore", under="ignore", invalid="ignore"):
        f = batch.f
        sums = [f.sum(axis=0, dtype=np.float64), f.min(), f.max(), batch.n_rows]
        sums += [batch.y.sum(axis=0, dtype=np.float64)]
    bits = np.concatenate([np.ravel(x).astype(np.float64) for x in sums]).view(np.uint64)
    word = np.bitwise_xor.reduce(hashed(seed, np.arange(len(bits)), bits))
    return int(word >> np.uint64(64 - DRAW_BITS))
