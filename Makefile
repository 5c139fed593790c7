# SPDX-License-Identifier: Apache-2.0
# `make demo` and `make test` do all their own set-up: a virtual environment beside the checkout, or the one in VENV.
VENV   ?= .venv
PYTHON ?= python3
BIN    := $(VENV)/bin
STAMP  := $(VENV)/.installed-$(shell sha256sum pyproject.toml | cut -c1-16)

.PHONY: demo test lint setup
demo: setup
	$(BIN)/framegate demo

test: setup
	$(BIN)/python -m pytest -n 2 --dist worksteal -m "not slow"

lint: setup
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	mkdir -p build/types/framegate  # the packages as imports see them: mypy does not follow an editable install
	ln -sf $(CURDIR)/cli/*.py build/types/framegate/
	ln -sfn $(CURDIR)/cli/commands $(CURDIR)/quant $(CURDIR)/hls $(CURDIR)/rtl_sim $(CURDIR)/benchmarks build/types/framegate/
	$(BIN)/python -m tests.lint
	MYPYPATH=build/types $(BIN)/mypy --package framegate

# The environment may be older than this checkout (or another one's): point it here.
setup: $(STAMP)
	$(BIN)/pip install --quiet --no-deps --no-build-isolation --editable .

$(STAMP):
	@echo "setting up $(VENV): about 6 GB, a few minutes"
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet "setuptools>=61,<70" wheel
	$(BIN)/pip install --quiet --editable ".[dev]"
	touch $@
