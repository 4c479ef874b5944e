# Refinery. Bare `make` prints this help; every target has a ## line.
.DEFAULT_GOAL := help
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
GEN := gen
# Two halves of the tests at a time, each with a PostgreSQL and a Temporal of its own; the tests of one file stay together.
AT_ONCE ?= -n 2 --dist loadfile
POSTGRES_15 ?= /usr/lib/postgresql/15/bin
# Locks hold for every platform, and keep the versions that they have unless UPGRADE is set.
COMPILE = build/lock/bin/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
  --no-header --no-annotate $(if $(UPGRADE),--upgrade)
PROTOS := $(sort $(shell find proto -name '*.proto'))

.PHONY: help
help: ## Print this help
	@grep -hE '^[a-z/-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  %-16s %s\n", $$1, $$2}'

.PHONY: setup
setup: $(VENV)/.ready ## Make the virtual environment from requirements.lock

$(VENV)/.ready: requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { echo "Refinery needs Python 3.11 or newer as '$(PYTHON)'; name another with: make PYTHON=python3.12 …" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { echo "Refinery needs Python's venv module (on Debian: apt install python3-venv)." >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

.PHONY: lock
lock: ## Write the three locks from pyproject.toml, with the versions that they have; UPGRADE=1 takes the newest
	$(PYTHON) -m venv build/lock
	build/lock/bin/python -m pip install --quiet --disable-pip-version-check uv==0.13.9
	$(COMPILE) pyproject.toml --extra embedded --extra demo --extra dev --output-file requirements.lock
	$(COMPILE) pyproject.toml --constraint requirements.lock --output-file deploy/requirements.lock
	echo hatchling | $(COMPILE) - --constraint requirements.lock --output-file deploy/build.lock

.PHONY: demo
demo: setup ## Run the main job on real input, and check every claim that it makes
	@$(BIN)/python -m demo

.PHONY: generate
generate: setup ## Generate the stubs in gen/ from proto/
	rm -rf $(GEN)/refinery
	$(BIN)/python -m grpc_tools.protoc -Iproto --python_out=$(GEN) --grpc_python_out=$(GEN) \
	  --plugin=protoc-gen-mypy=$(BIN)/protoc-gen-mypy --plugin=protoc-gen-mypy_grpc=$(BIN)/protoc-gen-mypy_grpc \
	  --mypy_out=quiet:$(GEN) --mypy_grpc_out=quiet,only_async:$(GEN) $(PROTOS)

.PHONY: verify
verify: setup ## Prove that gen/ is what proto/ generates
	@rm -rf build/gen && mkdir -p build/gen
	@$(MAKE) --no-print-directory generate GEN=build/gen >/dev/null
	@diff -r -x __pycache__ gen build/gen || { echo "gen/ is stale: run 'make generate' and commit." >&2; exit 1; }

.PHONY: breaking
breaking: setup ## Prove that the contract still serves the clients of the last release
	$(BIN)/buf breaking --against proto/released.binpb

.PHONY: check
check: setup verify breaking ## Lint, types, layers, contract: everything that needs no database
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy services clients tests benchmarks demo
	$(BIN)/lint-imports
	$(BIN)/buf lint
	$(BIN)/buf format --exit-code --diff

.PHONY: format
format: setup ## Format the code and the contract
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .
	$(BIN)/buf format -w

.PHONY: test
test: check ## Check, then the whole test suite but its long tiers; the database suite on PostgreSQL 15 too, if installed
	$(BIN)/python -m pytest -m 'not long' $(AT_ONCE)
	@if [ -x $(POSTGRES_15)/postgres ]; then \
	  echo "The database suite again, on $$($(POSTGRES_15)/postgres --version):"; \
	  REFINERY_TEST_PG_BIN=$(POSTGRES_15) $(BIN)/python -m pytest -m 'not long' $(AT_ONCE) tests/sql tests/integration/postgres; fi

.PHONY: test/unit
test/unit: setup ## The tests that need no database and no Temporal: less than a minute
	$(BIN)/python -m pytest -m 'not long' $(AT_ONCE) tests/unit tests/replay

.PHONY: test/long
test/long: setup ## The tests that take minutes
	$(BIN)/python -m pytest -m long -o timeout=1800 -o faulthandler_timeout=1900

.PHONY: histories
histories: setup ## Record the stored histories of workflows anew, or with CASE=… one; CONTRIBUTING.md says when
	$(BIN)/python -m pytest 'tests/integration/process/recording.py$(if $(CASE),::test_record[$(CASE)])'

.PHONY: snapshot
snapshot: setup ## Store a snapshot of an execution in the form of today; CONTRIBUTING.md says when
	$(BIN)/python -m tests.replay.standing

.PHONY: release
release: check ## Store what is committed as the release that refinery_core/release.py names; with DRAFT=1, not yet
	$(BIN)/python -m tests.released $(if $(DRAFT),--draft)

.PHONY: bench
bench: setup ## Measure, and print the table of benchmarks/README.md
	$(BIN)/python -m benchmarks

.PHONY: clean
clean: ## Remove what is made: environment, caches, builds
	rm -rf $(VENV) build dist .mypy_cache .pytest_cache .ruff_cache .hypothesis .demo
