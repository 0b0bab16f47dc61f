# Every target works from a fresh clone: it makes .venv and installs what it needs first.
#   make PYTHON=python3.12 demo     another interpreter
#   make demo BUDGET=10m            a longer demonstration

PYTHON ?= python3
BUDGET ?= 3m
BIN := .venv/bin
STAMP := .venv/.installed
DEMO_DATA := src/gandem/data/fashion_4000.npz

.DEFAULT_GOAL := help
.PHONY: help install demo test lint bench clean

help: ## say what there is
	@grep -E '^[a-z]+:.*##' Makefile | sed -E 's/:[^#]*## /\t/' | expand -t 10

install: $(STAMP) ## make .venv with gandem and everything that develops it, in the versions of constraints.txt

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
	  echo "gandem needs Python 3.11 or newer as '$(PYTHON)'; try: make PYTHON=python3.12 install" >&2; exit 1; }
	@$(PYTHON) -m venv .venv || { rm -rf .venv; exit 1; }

$(STAMP): pyproject.toml constraints.txt | $(BIN)/python
	@echo "installing into .venv (a few minutes the first time)"
	@$(BIN)/python -m pip install --quiet -c constraints.txt torch
	@$(BIN)/python -m pip install --quiet -c constraints.txt -e '.[dev]'
	@touch $(STAMP)

demo: install ## train on 4,000 Fashion-MNIST pictures for three minutes, then draw 80 new ones
	@run=runs/demo; n=2; while [ -e "$$run" ]; do run=runs/demo-$$n; n=$$((n + 1)); done; \
	$(BIN)/gandem train $(DEMO_DATA) --out "$$run" --budget $(BUDGET) && \
	$(BIN)/gandem sample "$$run" --count 80 --out "$$run/grid.png" && \
	printf '\n%s\n' "80 new pictures lie in $$run/grid.png, how they came to be in $$run/samples/" && \
	printf '%s\n' "Try next:" \
	  "  $(BIN)/gandem sample $$run --count 16 --where label=Bag --out bags.png" \
	  "  $(BIN)/gandem sample $$run --interpolate 8 --frames 60 --out walk.gif" \
	  "  $(BIN)/gandem resume $$run --budget +10m" \
	  "  $(BIN)/gandem train YOUR_PICTURES/ --out runs/mine --budget 30m"

test: install ## run every test
	@$(BIN)/python -m pytest $(PYTEST_ARGS)

lint: install ## check style and types
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy

bench: install ## measure speed against this machine's own peak
	@$(BIN)/python -m benchmarks.speed

clean: ## remove caches (.venv and runs/ stay)
	@rm -rf build dist .pytest_cache .ruff_cache .mypy_cache .hypothesis
	@find src tests benchmarks examples -name __pycache__ -type d -prune -exec rm -rf {} +
