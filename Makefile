# SPDX-License-Identifier: Apache-2.0
# Every target does its own set-up: a virtual environment beside the checkout, or the one in VENV. One that is there is
# used as it is: what it has already and fits (a torch for the CPU, say) stays, only what is missing is installed.
VENV   ?= .venv
PYTHON ?= python3
BIN    := $(VENV)/bin
STAMP  := $(VENV)/.installed-$(shell sha256sum pyproject.toml | cut -c1-16)

.PHONY: demo test lint docs main dev types
demo: main
	$(BIN)/framegate demo

# Without bytecode each of three processes, and every command that a test starts, compiles its modules anew: 15 s in all.
test: export PYTHONDONTWRITEBYTECODE :=
test: dev
	$(BIN)/python -m pytest -n 2 --dist worksteal -m "not slow"

lint: dev types
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/python -m tests.lint
	MYPYPATH=build/types $(BIN)/mypy --package framegate

docs: dev types
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict --quiet
	@echo build/docs/index.html

# The packages as imports see them: mypy and the API reference do not follow an editable install.
types:
	rm -rf build/types
	mkdir -p build/types/framegate
	ln -s $(filter-out %/__pycache__,$(wildcard $(CURDIR)/cli/*)) build/types/framegate/
	ln -s $(CURDIR)/quant $(CURDIR)/hls $(CURDIR)/rtl_sim $(CURDIR)/benchmarks build/types/framegate/

# The environment may be older than this checkout (or another one's): point it here.
main dev: %: $(STAMP)-%
	$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation --editable .

$(STAMP)-main: EXTRA =
$(STAMP)-dev: EXTRA = [dev]
$(STAMP)-main $(STAMP)-dev: | $(BIN)/python
	@echo "installing what is missing in $(VENV): a few minutes; 6.7 GB from nothing, half of it CUDA (see README.md)"
	$(BIN)/python -m pip install --quiet "setuptools>=61,<70" wheel
	$(BIN)/python -m pip install --quiet --editable ".$(EXTRA)"
	touch $@

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)
