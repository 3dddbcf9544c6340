"""The tests in environments of several versions: `make test-all`, or `nox -f .ci/noxfile.py`.

An environment whose Python is not found is left out. After ``--`` come arguments for pytest:
``nox -f .ci/noxfile.py -s floors -- tests/test_saved_models.py``.
"""

import json
from pathlib import Path
from xml.etree import ElementTree

import nox
from packaging.requirements import Requirement

ROOT = Path(__file__).resolve().parent.parent
WORK = ROOT / ".nox"
PROJECT = nox.project.load_toml(ROOT / "pyproject.toml")

nox.options.default_venv_backend = "venv"
nox.options.envdir = str(WORK)
nox.options.error_on_missing_interpreters = False

# Python, and what is not the newest.
ENVIRONMENTS = {
    "oldest": (
        "3.11",
        ["xgboost==2.1.4", "lightgbm==4.0.0", "numpy==2.0.*", "pandas==2.2.*"]
        # Later ones deprecate what these two libraries call.
        + ["scikit-learn==1.5.*"],
    ),
    "middle": ("3.11", ["xgboost==3.2.0", "lightgbm==4.6.0"]),
    "newest": ("3.12", ["xgboost==3.4.*", "lightgbm==4.7.*"]),
    "newest-3.13": ("3.13", []),
}

# Versions that the closing table shows.
SHOWN = ("xgboost", "lightgbm", "numpy", "scikit-learn", "pandas", "catboost", "dask")
VERSIONS = f"""
import json, platform
from importlib.metadata import version
print(json.dumps({{"Python": platform.python_version()}} | {{x: version(x) for x in {SHOWN}}}))
"""


def lower_bounds() -> list[str]:
    """The lower bounds of pyproject.toml as the very versions."""
    project = PROJECT["project"]
    given = [*project["dependencies"], *sum(project["optional-dependencies"].values(), [])]
    needed = [Requirement(text) for text in dict.fromkeys(given)]
    return [str(found).replace(">=", "==") for found in needed if found.name != project["name"]] + [
        "pyparsing<3.2"
    ]  # matplotlib 3.9 uses names that later ones deprecate.


def run_tests(session: nox.Session, pins: list[str]) -> None:
    session.chdir(ROOT)
    session.install("--upgrade", "pip>=25.1")
    session.install(*pins, "--editable", ".[all]", *nox.project.dependency_groups(PROJECT, "test"))
    versions = session.run("python", "-c", VERSIONS, silent=True)
    report = WORK / f"{session.name}.xml"
    report.unlink(missing_ok=True)
    report.with_suffix(".json").write_text(str(versions), encoding="utf-8")
    # One BLAS and OpenMP thread a worker: the workers are the parallelism.
    session.run(
        *("python", "-m", "pytest", "-n", "auto", "--dist", "worksteal", f"--junitxml={report}"),
        *session.posargs,
        env={"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
    )


@nox.session(python="3.11")
def floors(session: nox.Session) -> None:
    """The oldest versions that pyproject.toml allows, on the oldest Python that it allows."""
    run_tests(session, lower_bounds())


for name, (python, pins) in ENVIRONMENTS.items():
    nox.session(python=python, name=name)(lambda session, pins=pins: run_tests(session, pins))


@nox.session(python=False)
def table(session: nox.Session) -> None:
    """What the tests said in each environment, when they ran last."""
    print("| environment | versions | passed | skipped | failed |\n| --- | --- | --- | --- | --- |")
    for environment in ("floors", *ENVIRONMENTS):
        report = WORK / f"{environment}.xml"
        if not report.exists():
            print(f"| {environment} | not run | | | |")
            continue
        versions = json.loads(report.with_suffix(".json").read_text(encoding="utf-8"))
        suite = ElementTree.parse(report).getroot()[0]
        tests, failures, errors, skipped = (
            int(suite.attrib[key]) for key in ("tests", "failures", "errors", "skipped")
        )
        failed = failures + errors
        shown = ", ".join(" ".join(pair) for pair in versions.items())
        print(f"| {environment} | {shown} | {tests - failed - skipped} | {skipped} | {failed} |")
