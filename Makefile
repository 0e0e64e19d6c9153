# Everything starts here: `make` lists the targets. Works with GNU make 3.81 (macOS) and newer.

PYTHON ?= python3.11
BIN := .venv/bin

.PHONY: help install run test test-slow test-all lint docs bench lock images clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-10s %s\n", $$1, $$2 }' Makefile

install: ## make .venv with everything locked in requirements/ (under a second when nothing changed)
	@$(PYTHON) -c "" 2>/dev/null || { echo "make: '$(PYTHON)' doesn't run here: install Python 3.11 (Debian: python3.11, macOS: brew install python@3.11), or name it: make $(or $(MAKECMDGOALS),install) PYTHON=/path/to/python3.11" >&2; exit 1; }
	@$(PYTHON) scripts/install.py

run: install ## simulate a shop and run the whole graph on it
	@$(BIN)/shelfrank run

test: install ## the tests, without the slow ones
	@$(BIN)/python -m pytest -m "not slow" -n 2 --dist loadfile

test-slow: install ## the slow tests
	@$(BIN)/python -m pytest -m slow

test-all: test test-slow ## all tests

lint: install ## ruff and mypy, as in CI
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy

docs: install ## the documentation into build/site; a broken link is an error
	@NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

bench: install ## the whole graph against stock TFX (other figures: see benchmarks/)
	@$(BIN)/python -m benchmarks.graph

COMPILE = $(BIN)/uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-emit-find-links \
  --override requirements/overrides.txt --custom-compile-command "make lock"

lock: install ## compile requirements/*.in to the locks (versions change only where the .in files ask for it)
	$(COMPILE) requirements/dev.in -o requirements/dev.lock
	$(COMPILE) requirements/runtime.in -c requirements/dev.lock -o requirements/runtime.lock
	$(COMPILE) requirements/service.in -c requirements/dev.lock -o requirements/service.lock
	$(COMPILE) requirements/trainer.in -c requirements/dev.lock -o requirements/trainer.lock
	$(COMPILE) requirements/uv.in -c requirements/dev.lock -o requirements/uv.lock

images: ## build the container images; TAG=, REGISTRY=, BASE=, ENGINE=: see docs/how-to/images.md
	@REGISTRY="$(REGISTRY)" BASE="$(BASE)" ENGINE="$(or $(ENGINE),docker)" kubernetes/images/build $(TAG)

clean: ## remove .venv, caches and builds; runs/ stays
	rm -rf .venv build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
