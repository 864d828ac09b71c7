# Two commands do it all: `make up` and `make test`. `make help` lists the rest.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

# Quiet by default: what a command prints is what matters.
MAKEFLAGS += --no-print-directory
.DEFAULT_GOAL := help

.PHONY: help
help: ## List the commands
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

##@ Use

.PHONY: up
up: $(READY) ## Start PostgreSQL, Valkey and Agio, with a demo sale, on http://127.0.0.1:4000
	@AGIO_BENCH_ROOMS=$${AGIO_BENCH_ROOMS:-1} exec $(BIN)/agio up

##@ Develop

.PHONY: test
test: $(READY) ## Run the whole test suite; it starts the servers it needs
	@$(BIN)/python -m pytest

.PHONY: check
check: $(READY) format-check lint types tidy openapi containers ## Format, lint, types, house rules, documents

.PHONY: format
format: $(READY) ## Put the code into its format
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

.PHONY: format-check
format-check: $(READY)
	@$(BIN)/ruff format --check .

.PHONY: lint
lint: $(READY)
	@$(BIN)/ruff check .

.PHONY: types
types: $(READY)
	@$(BIN)/mypy

.PHONY: tidy
tidy: $(READY)
	@$(BIN)/python -m pytest -q tests/test_tidy.py

.PHONY: openapi
openapi: $(READY)
	@$(BIN)/python -m app.http > $(VENV)/openapi.json
	@$(BIN)/openapi-spec-validator $(VENV)/openapi.json

.PHONY: containers
containers: $(READY)
	@$(BIN)/hadolint Dockerfile
	@$(BIN)/check-jsonschema --builtin-schema vendor.compose-spec docker-compose.yml

.PHONY: lock
lock: ## Pin the requirements anew (needs `uv`); names no index
	@uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --all-extras \
	  --no-emit-index-url --no-annotate --no-header pyproject.toml -o requirements.lock

.PHONY: clean
clean: ## Remove the environment and caches; the state folder stays
	@rm -rf $(VENV) build *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +

# The environment: made from the lock, remade when the lock or the project's metadata changes.
$(READY): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "agio: $(PYTHON) is older than Python 3.11; try make PYTHON=python3.11" >&2; exit 1; }
	@echo "agio: making $(VENV) (once)"
	@$(PYTHON) -m venv --clear $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@
