# Every target makes .venv by itself and needs nothing but Python 3.11 and make. Stamps inside .venv say what
# is installed already, so a second run installs and downloads nothing.

PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV := .venv
BIN := $(VENV)/bin
# bytecode is compiled on first import: transformers alone has thousands of modules that are never used
PIP := $(BIN)/python -m pip --disable-pip-version-check install --quiet --no-compile -c pins-cpu.txt
PYTEST := $(BIN)/python -m pytest
WORKERS ?= $(shell nproc 2>/dev/null || echo 2)
DATA ?= ../shared/data

# one thread a process: several processes that spin for the same cores are many times slower
export OMP_NUM_THREADS ?= 1
export TOKENIZERS_PARALLELISM = false
export HF_HUB_DISABLE_TELEMETRY = 1
# without bytecode each of the many processes of the tests compiles torch and transformers anew, 8 s of work
unexport PYTHONDONTWRITEBYTECODE

.PHONY: demo real test lint types torture bench trainers bench-text install install-test clean help

help:  ## list the targets
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*##/\t/' | expand -t 14

demo: $(VENV)/.installed  ## the whole idea on the pocket backbone; ends by naming the report page
	$(BIN)/recast demo

real: $(VENV)/.installed-real  ## the whole job on SmolLM2, fetched once (93 MB); killed, it goes on
	$(BIN)/recast run pipelines/examples/real.yaml --store out/real

test: $(VENV)/.installed-test lint types  ## lint, types and all tests
	$(PYTEST) -n $(WORKERS) --dist loadfile --no-loadscope-reorder

lint: $(VENV)/.installed-test  ## ruff
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/.installed-test  ## pyright
	$(BIN)/pyright --pythonpath $(BIN)/python

torture: $(VENV)/.installed-test  ## long fault and soak runs
	$(PYTEST) -m torture

bench: $(VENV)/.installed-bench  ## what versions and diffs cost, with bounds, beside Lance and Delta Lake (half an hour)
	$(BIN)/python -m tests.bench.store

trainers: $(VENV)/.installed-test  ## exports through the trainers' own loaders, each in an environment of its own (downloads them once)
	$(BIN)/python -m tests.bench.trainers

bench-text: $(VENV)/.installed-test  ## real input end to end, judged by code that shares nothing with the gate
	$(BIN)/python tests/bench/real_input.py --data $(DATA) --out out/bench

install: $(VENV)/.installed  ## .venv with recast
install-test: $(VENV)/.installed-test  ## .venv with recast and its test tools

$(BIN)/python:
	@test -n "$(PYTHON)" || { echo "recast needs Python 3.11 or newer: none found as python3.11 or python3" >&2; exit 6; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "recast needs Python 3.11 or newer; $(PYTHON) is older. Use: make PYTHON=/path/to/python3.11" >&2; exit 6; }
	$(PYTHON) -m venv $(VENV)

$(VENV)/.installed: pyproject.toml pins-cpu.txt | $(BIN)/python
	@echo "installing recast into $(VENV) (about a minute)"
	$(PIP) -e .
	@touch $@

$(VENV)/.installed-test: $(VENV)/.installed
	@echo "installing the test tools into $(VENV)"
	$(PIP) -e '.[dev]'
	@touch $@

$(VENV)/.installed-real: $(VENV)/.installed
	@echo "installing what reads the model's file into $(VENV)"
	$(PIP) -e '.[gguf]'
	@touch $@

$(VENV)/.installed-bench: $(VENV)/.installed
	@echo "installing what the benchmark compares with into $(VENV)"
	$(PIP) -e '.[bench]'
	@touch $@

clean:  ## remove .venv and caches, not the store
	rm -rf $(VENV) .pytest_cache .ruff_cache .hypothesis *.egg-info
