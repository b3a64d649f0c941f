# skipglass: the two commands are `make reproduce` and `make test`; both set up what they need.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
ZOO    := .venv-zoo
OUT    ?= out

.DEFAULT_GOAL := help
.PHONY: help setup setup-zoo browser reproduce test test-zoo lint bench wheel clean

help: ## Show this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | sort | expand -t 12

setup: $(VENV)/.installed ## Create .venv and install everything

$(VENV)/.installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet -c constraints.txt torch
	$(BIN)/python -m pip install --quiet -c constraints.txt -e '.[dev]'
	@touch $@

setup-zoo: $(ZOO)/.installed ## Create .venv-zoo, where the libraries of models import (5.5 GB)

$(ZOO)/.installed: pyproject.toml constraints-zoo.txt
	$(PYTHON) -m venv $(ZOO)
	$(ZOO)/bin/python -m pip install --quiet --upgrade pip
	$(ZOO)/bin/python -m pip install --quiet -c constraints-zoo.txt -e '.[dev,zoo]'
	@touch $@

browser: ## Install Chromium for the page's tests (Debian or Ubuntu, as root)
	@command -v chromedriver >/dev/null && command -v chromium >/dev/null || \
	  { apt-get update -qq && apt-get install -y -qq chromium chromium-driver; }

reproduce: setup ## Compute and draw everything: open $(OUT)/report.html
	$(BIN)/skipglass reproduce --out $(OUT)

test: setup ## Run the tests
	$(BIN)/python -m pytest -q -n 2 --dist loadfile --packages dev

test-zoo: setup-zoo ## Run the tests on models of timm, torchvision, transformers, diffusers and peft
	$(ZOO)/bin/python -m pytest -q -n 2 --packages zoo -m zoo tests

lint: setup ## Check style and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

bench: setup ## Run the benchmarks (ratios against a baseline, printed as tables)
	@for b in benchmarks/bench_*.py; do echo "== $$b"; $(BIN)/python $$b || exit 1; done

wheel: setup ## Build the wheel into dist/
	$(BIN)/python -m build --wheel

clean: ## Remove everything that make creates
	rm -rf $(VENV) $(ZOO) build dist $(OUT) src/*.egg-info
