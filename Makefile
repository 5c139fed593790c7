# `make demo` and `make test` do all their own set-up: a virtual environment beside the checkout, or the one in VENV.
VENV   ?= .venv
PYTHON ?= python3
BIN    := $(VENV)/bin
STAMP  := $(VENV)/.framegate-$(shell sha256sum pyproject.toml | cut -c1-16)

.PHONY: demo test lint setup
demo: setup
	$(BIN)/framegate demo
test: setup
	$(BIN)/python -m pytest -n 2 -m "not slow"
lint: setup
	$(BIN)/ruff format --check . && $(BIN)/ruff check . && $(BIN)/mypy
setup: $(STAMP)
	$(BIN)/pip install --quiet --no-deps --no-build-isolation --editable .

$(STAMP):
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet "setuptools>=61,<70" wheel
	$(BIN)/pip install --quiet --editable ".[dev]"
	touch $@
