"""Reading a noisy signal without being told when: connectionist temporal classification.

Each sequence is a text of symbols; a symbol sounds for a few frames, at its own pitch, between
pauses. A model sees a window of the signal around each frame, and in training the text alone, not
which frame belongs to which symbol. Beside it, models that were told the symbol of every frame.

Needs `pip install "gbobjectives[demo]"`.

    python sequences.py [--sequences N] [--rounds N] [--output DIR]
"""

import argparse
import os
import sys
import time
from collections.abc import Callable, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any, NamedTuple

# Idle OpenMP threads that spin take the cores from other processes, and from our own kernels.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import lightgbm as lgb
import numpy as np
import xgboost as xgb
from matplotlib.figure import Figure
from rich.console import Console
from rich.table import Column, Table

import gbobjectives as gbo

N_SYMBOLS, BLANK, REACH = 6, 0, 5  # the blank included; frames seen to either side
SEQUENCES, ROUNDS, RATE, NOISE = 300, 100, 0.3, 0.1
MIN_SEQUENCES = 20


class Spoken(NamedTuple):
    """Sequences: their texts, numbers of frames, what is heard, and what was said when."""

    texts: list[list[int]]
    sizes: np.ndarray
    X: np.ndarray
    truth: np.ndarray  # symbol of each frame, which CTC is not told


def speak(n: int, rng: np.random.Generator) -> Spoken:
    """Sequences of 3 to 7 symbols of 6 to 10 frames each, with pauses of 1 to 4."""
    texts, sizes, windows, truth = [], [], [], []
    for _ in range(n):
        text = rng.integers(1, N_SYMBOLS, rng.integers(3, 8)).tolist()
        said = np.zeros(rng.integers(1, 5), dtype=int)
        signal = np.zeros(len(said))
        for symbol in text:
            length = rng.integers(6, 11)
            pitch = 0.35 * symbol * (1 + 0.05 * rng.normal())
            tone = np.sin(pitch * np.arange(length) + rng.uniform(0, 2 * np.pi))
            pause = np.zeros(rng.integers(1, 5))
            said = np.concatenate([said, np.full(length, symbol), pause.astype(int)])
            signal = np.concatenate([signal, tone, pause])
        heard = np.pad(signal + NOISE * rng.normal(size=len(signal)), REACH)
        around = np.lib.stride_tricks.sliding_window_view(heard, 2 * REACH + 1)
        # Loudness and pitch of the window: what a microphone's filters would give.
        tones = np.exp(1j * 0.35 * np.outer(np.arange(-REACH, REACH + 1), range(1, N_SYMBOLS)))
        hanning = np.hanning(2 * REACH + 3)[1:-1, None]
        windows.append(np.hstack([around, np.abs(around @ (tones * hanning))]))
        texts.append(text)
        sizes.append(len(signal))
        truth.append(said)
    return Spoken(texts, np.array(sizes), np.concatenate(windows), np.concatenate(truth))


def decoded(p: np.ndarray, sizes: np.ndarray) -> list[list[int]]:
    """The likeliest symbol of each frame, repeats merged, blanks dropped."""
    best = np.split(p.argmax(axis=1), np.cumsum(sizes)[:-1])
    return [[int(s) for s, _ in groupby(part) if s != BLANK] for part in best]


def distance(a: Sequence[int], b: Sequence[int]) -> int:
    """Insertions, deletions and substitutions that make b of a."""
    row = list(range(len(b) + 1))
    for i, x in enumerate(a, 1):
        diagonal, row[0] = row[0], i
        for j, y in enumerate(b, 1):
            diagonal, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, diagonal + (x != y))
    return row[-1]


def error_rate(texts: list[list[int]], guesses: list[list[int]]) -> float:
    """Edits over symbols."""
    edits = sum(distance(a, b) for a, b in zip(texts, guesses, strict=True))
    return edits / sum(map(len, texts))


def train_lightgbm(objective: Any, data: Spoken, y: np.ndarray, X: np.ndarray, rounds: int) -> Any:
    """Probabilities of each symbol in each frame of X."""
    params = {"learning_rate": RATE, "num_leaves": 15, "verbosity": -1, "metric": "None"}
    train = lgb.Dataset(data.X, y, group=data.sizes)
    return gbo.lgb.train(params, train, rounds, loss=objective).predict(X)


def train_xgboost(objective: Any, data: Spoken, y: np.ndarray, X: np.ndarray, rounds: int) -> Any:
    """Probabilities of each symbol in each frame of X."""
    params = {"learning_rate": RATE, "max_depth": 4}
    train = xgb.DMatrix(data.X, y, qid=np.repeat(np.arange(len(data.sizes)), data.sizes))
    model = gbo.xgb.train(params, train, rounds, loss=objective)
    return model.predict(xgb.DMatrix(X))


TRAINERS: dict[str, Callable[..., Any]] = {"LightGBM": train_lightgbm, "XGBoost": train_xgboost}


def draw(test: Spoken, probabilities: dict[str, np.ndarray]) -> Figure:
    """The first test sequence: what is heard, what was said when, and what models make of it."""
    figure = Figure(figsize=(11, 8), layout="constrained")
    n = int(test.sizes[0])
    top, *panels = figure.subplots(1 + len(probabilities), 1, sharex=True)
    frames, truth = np.arange(n), test.truth[:n]
    top.plot(frames, test.X[:n, REACH], color="black", linewidth=1)
    top.set(ylabel="signal", title=f"Said: {' '.join(map(str, test.texts[0]))}")
    for axis, (name, p) in zip(panels, probabilities.items(), strict=True):
        (read,) = decoded(p[:n], test.sizes[:1])
        for symbol in range(1, N_SYMBOLS):
            axis.plot(frames, p[:n, symbol], color=f"C{symbol}", label=str(symbol))
        axis.plot(frames, p[:n, BLANK], ":", color="gray", label="blank")
        title = f"LightGBM, {name}; read: {' '.join(map(str, read))}"
        axis.set(ylabel="probability", ylim=(-0.03, 1.03), title=title)
    for axis in (top, *panels):
        # One stretch for each symbol that was said.
        for symbol in range(1, N_SYMBOLS):
            axis.fill_between(
                frames, 0, 1, where=truth == symbol, step="mid", color=f"C{symbol}", alpha=0.2,
                linewidth=0, transform=axis.get_xaxis_transform(),
            )  # fmt: skip
    panels[-1].set_xlabel("frame; coloured where a symbol is spoken")
    figure.legend(*panels[0].get_legend_handles_labels(), loc="outside lower center",
                  ncols=N_SYMBOLS, frameon=False)  # fmt: skip
    return figure


def main(argv: Sequence[str] | None = None) -> int:
    """Train, print a table and a few texts; the exit status."""
    first = (__doc__ or "").partition("\n")[0]
    parser = argparse.ArgumentParser(prog="sequences", description=first)
    said = f"training sequences, at least {MIN_SEQUENCES}"
    parser.add_argument("--sequences", type=int, default=SEQUENCES, help=said)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    default = Path("demo-output")
    parser.add_argument("--output", type=Path, default=default, help="folder of the picture")
    options = parser.parse_args(argv)
    console = Console(highlight=False, width=None if sys.stdout.isatty() else 100)
    rng = np.random.default_rng(0)
    train, test = speak(options.sequences, rng), speak(max(options.sequences // 3, 10), rng)

    # Sequences of training come first among the targets, then those of the test.
    ctc = gbo.CTCLoss(N_SYMBOLS, BLANK).bind(train.texts + test.texts)
    numbers = np.repeat(np.arange(len(train.texts)), train.sizes)
    test_numbers = np.repeat(len(train.texts) + np.arange(len(test.texts)), test.sizes)
    objectives = {
        "CTCLoss": (ctc, numbers),
        'CTCLoss, curvature="exact"': (gbo.Objective(ctc, "exact"), numbers),
        "cross-entropy, told all frames": (gbo.CrossEntropyLoss(N_SYMBOLS), train.truth),
    }
    header = ("library", "loss", "error rate", "test CTC loss", "frames right", "seconds")
    columns = (Column(name, justify="right" if i > 1 else "left") for i, name in enumerate(header))
    size = f"{len(train.sizes)} sequences, {len(train.X):,} frames"
    table = Table(*columns, title=f"Trained on {size}; tested on {len(test.sizes)} sequences")

    def add(library: str, name: str, p: np.ndarray, seconds: str, **more: Any) -> list[list[int]]:
        guesses = decoded(p, test.sizes)
        value = ctc(test_numbers, np.log(np.maximum(p, 1e-30)), group=test.sizes)
        right = 100 * (p.argmax(axis=1) == test.truth).mean()
        rate = f"{100 * error_rate(test.texts, guesses):.1f} %"
        table.add_row(library, name, rate, f"{value:.2f}", f"{right:.0f} %", seconds, **more)
        return guesses

    constant = ctc.predict(np.tile(ctc.intercept(numbers), (len(test.X), 1)))
    add("-", "before: the best constant", constant, "", end_section=True)
    guesses, probabilities = {}, {}
    for library, fit in TRAINERS.items():
        for name, (objective, y) in objectives.items():
            start = time.perf_counter()
            p = fit(objective, train, y, test.X, options.rounds)
            seconds = f"{time.perf_counter() - start:.1f}"
            if library == "LightGBM":
                probabilities[name] = p
            end = name == list(objectives)[-1]
            guesses[library, name] = add(library, name, p, seconds, end_section=end)
    console.print(table)
    console.print("First test sequences, as spoken and as LightGBM with CTCLoss reads them:")
    for text, guess in zip(test.texts[:5], guesses["LightGBM", "CTCLoss"][:5], strict=True):
        console.print(f"  {' '.join(map(str, text)):16}{' '.join(map(str, guess))}")
    console.print(
        "A frame counts as right if its likeliest symbol is the one spoken in it, or blank in a\n"
        "pause. CTC says a symbol in a few of its frames only: the text is all it is asked for."
    )
    options.output.mkdir(parents=True, exist_ok=True)
    path = options.output / "sequences.png"
    draw(test, probabilities).savefig(path, dpi=110)
    console.print(f"Picture: {path}", soft_wrap=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
