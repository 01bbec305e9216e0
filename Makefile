# dlrun: install, train, test, check. `make help` lists the targets.
# Everything is installed into .venv, from pyproject.toml alone; PYTHON chooses the interpreter.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
INSTALLED_DEV := $(VENV)/.installed-dev
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet

EXPERIMENTS := $(wildcard experiments/*.toml)
NAMES := $(EXPERIMENTS:experiments/%.toml=%)
SUMMARIES := $(NAMES:%=runs/%/summary.json)

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help run test soak check lint types package experiments docs bench gpu-check clean $(NAMES:%=experiment-%)

help: ## List the targets
	@sed -n 's/^\([a-z-]*\):.*## /  \1\t/p' Makefile | expand -t 20
	@echo "  experiment-NAME   Train one of: $(NAMES)"

run: $(INSTALLED) ## Install, train the default experiment, and show its result
	$(BIN)/dlrun train --out runs/digits --overwrite

test: $(INSTALLED_DEV) ## Install what the tests need, and run them
	$(BIN)/python -m pytest

# Fuzzers, kills, full disks and simultaneous starts with the counts that docs/reliability.md names: half an hour.
soak: $(INSTALLED_DEV) ## The tests of reliability with their long counts, and the figures in the pages
	DLRUN_SOAK=1 $(BIN)/python -m pytest tests/reliability tests/test_pasted_outputs.py

check: lint types package $(INSTALLED_DEV) ## Style, types, packaging, and the tests with their coverage
	$(BIN)/python -m pytest --cov --cov-report=term

lint: $(INSTALLED_DEV) ## Style alone
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(INSTALLED_DEV) ## Types alone
	$(BIN)/mypy

# The wheel must carry the experiments and data sets and work from any folder without the checkout.
package: $(INSTALLED_DEV) ## Build the wheel and run it from elsewhere
	rm -rf build/package
	$(PIP) wheel --no-deps --wheel-dir build/package .
	$(PIP) install --no-deps --target build/package/site build/package/*.whl
	cd build/package && PYTHONPATH=site ../../$(BIN)/python -P -m dlrun show digits > resolved.toml
	cd build/package && PYTHONPATH=site ../../$(BIN)/python -P -m dlrun list --json > list.json
	cd build/package && PYTHONPATH=site ../../$(BIN)/python -P -m dlrun train iris --quiet --out run --overwrite
	cd build/package && PYTHONPATH=site ../../$(BIN)/python -P -c \
	  "import dlrun.packaged as p; assert '_packaged' in str(p.packaged_dir('datasets')), p.__file__"

experiments: $(SUMMARIES) ## Train every experiment that has changed (-j2 trains two at a time)

$(NAMES:%=experiment-%): experiment-%: runs/%/summary.json

# The summary is the last file of a run and appears whole; one that fails leaves none.
runs/%/summary.json: experiments/%.toml | $(INSTALLED)
	$(BIN)/dlrun train $< --out $(@D) --overwrite --quiet

# The one experiment whose table lies beside it; the others' come with the package.
runs/quadratic/summary.json: experiments/data/quadratic.csv

# Every picture of docs/gallery.md, and the runs they are drawn from (-j2 on two cores).
gallery: ## Make the gallery: CSV, PNG and SVG of every figure

include experiments/gallery/gallery.mk

# A broken link, or a page that the index does not lead to, fails the build.
docs: $(INSTALLED) ## Build the pages into a site, build/docs/index.html
	$(PIP) install --editable '.[docs]'
	$(BIN)/python -m sphinx -W --keep-going -q -b html docs build/docs

bench: $(INSTALLED) ## Measure the speed, and write benchmarks/results/
	$(BIN)/python benchmarks/run.py

# Installs CuPy for CUDA 12 or 13 (CUDA=13) beside the rest. On a machine where nothing can be installed,
# `make gpu-check PYTHON=python3` takes that interpreter and the packages it has.
CUDA ?= 12
ifeq ($(origin PYTHON),command line)
gpu-check: ## Run the tests on the GPU
	DLRUN_TEST_DEVICE=gpu PYTHONPATH=. $(PYTHON) -m pytest
else
gpu-check: $(INSTALLED_DEV)
	$(PIP) install --editable '.[dev,cuda$(CUDA)]'
	DLRUN_TEST_DEVICE=gpu $(BIN)/python -m pytest
endif

clean: ## Remove what was installed, built and trained
	rm -rf $(VENV) build dist runs .mypy_cache .ruff_cache .pytest_cache .hypothesis .coverage
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(VENV)/pyvenv.cfg:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "dlrun needs Python 3.11 or later, and $(PYTHON) is not; name one: make PYTHON=python3.11 …" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)

# pip compiles what it installs, but not what it only points to. Where there is no llvmlite, NumPy does all the work.
$(INSTALLED): pyproject.toml | $(VENV)/pyvenv.cfg
	$(PIP) install --editable '.[fast]' || $(PIP) install --editable .
	$(BIN)/python -m compileall -q dlrun
	@touch $@

$(INSTALLED_DEV): pyproject.toml | $(INSTALLED)
	$(PIP) install --editable '.[dev]'
	@touch $@
