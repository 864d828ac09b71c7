# Two commands do it all: `make up` and `make test`. `make help` lists the rest.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
UV := build/uv/bin

# For pytest, such as `make test ARGS="-k ledger"`; for the lock, `make lock UPGRADE=--upgrade`.
ARGS ?=
UPGRADE ?=

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
	@$(BIN)/python -m pytest $(ARGS)

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

.PHONY: docs
docs: $(READY) ## Write the pages that are printed from tables in the code
	@$(BIN)/python -m app.cli settings > docs/settings.md
	@$(BIN)/python -m app.cli events > docs/events.md

.PHONY: bench-actors
bench-actors: $(READY) ## Measure actors beside bare trio, as ratios; ARGS=--quick takes 20 s
	@$(BIN)/python -m bench.actors $(ARGS)

.PHONY: bench-fanout
bench-fanout: $(READY) ## Measure the full server beside a bound in C; ARGS=--quick takes two minutes
	@$(BIN)/python -m bench.fanout $(ARGS)

.PHONY: bench-ledger
bench-ledger: $(READY) ## Measure the ledger beside PostgreSQL by itself; ARGS=--quick takes two minutes
	@$(BIN)/python -m bench.ledger $(ARGS)

.PHONY: bench-annex
bench-annex: $(READY) ## Measure what crossing to the annex costs, as ratios
	@$(BIN)/python -m bench.annex

.PHONY: bench-bus
bench-bus: $(READY) ## Measure what a broadcast costs on its way between nodes, as ratios
	@$(BIN)/python -m bench.bus

# An index that pip is set up with reaches uv through the environment: no file ever names one.
.PHONY: lock
lock: ## Pin the requirements anew, for all platforms and Python versions, with hashes
	@test -x $(UV)/uv || { $(PYTHON) -m venv build/uv && $(UV)/pip install -qq uv; }
	@index="$${PIP_INDEX_URL:-$$($(UV)/pip config get global.index-url 2>/dev/null)}"; \
	  if [ -n "$$index" ]; then export UV_DEFAULT_INDEX="$$index"; fi; \
	  lock() { $(UV)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
	    --no-emit-index-url --no-annotate --no-header $(UPGRADE) pyproject.toml "$$@"; }; \
	  lock --all-extras -o requirements.lock && \
	  lock --extra build --constraint requirements.lock -o requirements.serve.lock

# The folder is closed; the files are not, because the containers' users have to read them.
.PHONY: secrets
secrets: ## Make the secrets that docker-compose.yml reads, those that are not there
	@mkdir -p -m 700 secrets
	@cd secrets; umask 022; \
	  random() { $(PYTHON) -c 'import secrets; print(secrets.token_urlsafe(32))'; }; \
	  test -e postgres_password || random > postgres_password; \
	  test -e node_password || random > node_password; \
	  test -e token_secret || random > token_secret; \
	  test -e database_url || \
	    echo "postgresql://agio_node:$$(cat node_password)@postgres:5432/agio" > database_url; \
	  test -e database_owner_url || \
	    echo "postgresql://agio:$$(cat postgres_password)@postgres:5432/agio" > database_owner_url

.PHONY: clean
clean: ## Remove the environment and caches; the state folder stays
	@rm -rf $(VENV) build *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +

# The environment: made from the lock, remade when the lock or the project's metadata changes.
# Its scripts know where it was made, so a checkout that was moved needs another.
MOVED := $(shell test ! -s $(READY) || test "$$(cat $(READY))" = "$(CURDIR)" || echo moved)
ifneq ($(MOVED),)
.PHONY: $(READY)
endif
$(READY): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "agio: $(PYTHON) is older than Python 3.11; try make PYTHON=python3.11" >&2; exit 1; }
	@echo "agio: making $(VENV) (once)"
	@$(PYTHON) -m venv --clear $(VENV)
	@$(BIN)/python -m pip install -qq --disable-pip-version-check --require-hashes --only-binary :all: -r requirements.lock
	@$(BIN)/python -m pip install -qq --disable-pip-version-check --no-deps --no-build-isolation -e .
	@echo "$(CURDIR)" > $@
