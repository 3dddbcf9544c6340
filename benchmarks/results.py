"""RESULTS.md: every benchmark writes its own sections of it, between markers of their names.

`write_section` replaces a section and leaves the others as they are, so that a benchmark, or a task
of `accuracy.py`, can be run again by itself. `versions` is the line that a section opens with.
"""

import datetime
import importlib.metadata
import platform
import re
from pathlib import Path

RESULTS = Path(__file__).resolve().parent / "RESULTS.md"
TITLE = """# Results

Written by the scripts of this folder: `python benchmarks/NAME.py --write`. Not edited by hand.
"""

#: Order of the sections.
SECTIONS = (
    *("accuracy", "own loss", "counts", "imbalance", "classes", "ranking", "robust", "quantiles"),
    *("many_rows", "survival", "defaults", "kernels", "training"),
)

LIBRARIES = ("numpy", "xgboost", "lightgbm")


def versions(*more: str) -> str:
    """Date, Python and the versions of the libraries, and of `more` where installed."""
    names = {}
    for name in (*LIBRARIES, *more):
        try:
            names[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    listed = ", ".join(f"{name} {version}" for name, version in names.items())
    return f"{datetime.date.today()}; Python {platform.python_version()}, {listed}."


def write_section(name: str, text: str, path: Path = RESULTS) -> None:
    """Put `text` in place of the section of that name."""
    old = path.read_text(encoding="utf-8") if path.exists() else ""
    parts = {section: _inside(section, old) for section in SECTIONS} | {name: text.strip()}
    blocks = [
        f"<!-- {section} -->\n{parts[section]}\n<!-- end of {section} -->\n"
        for section in SECTIONS
        if parts[section]
    ]
    path.write_text("\n".join([TITLE, *blocks]), encoding="utf-8")


def _inside(name: str, text: str) -> str:
    found = re.search(rf"<!-- {name} -->\n(.*?)\n<!-- end of {name} -->", text, re.S)
    return found[1] if found else ""
