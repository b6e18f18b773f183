# Two commands matter: `make run` starts the demo site, `make test` runs every test.
# Both set up `.venv` from the pinned lock first and work offline once it is there.

PYTHON ?= python3
VENV := .venv
SLITHER := .venv-slither
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check

.DEFAULT_GOAL := help
.PHONY: help run test check demo-check soak-crash soak-chaos soak-dispatch soak-ledger fuzz format lock contracts contracts-mutants slither wheels \
  wheel-check clean

help:  ## Show what can be made
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

run: $(VENV)/.run  ## Set up and start the demo site (Ctrl-C ends it)
	@exec $(BIN)/wattproof demo $(ARGS)

test: $(VENV)/.test  ## Set up and run every test
	@$(BIN)/python -m pytest -q -n auto $(ARGS)

demo-check: $(VENV)/.test  ## Five minutes of the demo; its last line is the summary
	@d=$$(mktemp -d) && trap 'rm -rf "$$d"' EXIT && $(BIN)/wattproof demo \
	  --duration 300 --seed 1 --data "$$d/demo" --ocpp-port 0 --api-port 0 $(ARGS)

soak-crash: $(VENV)/.test  ## kill -9 the gateway 250 times, at every kind of moment
	@WATTPROOF_CRASH_ROUNDS=$${WATTPROOF_CRASH_ROUNDS:-250} $(BIN)/python -m pytest -q -s \
	  tests/e2e/test_kill9.py $(ARGS)

soak-dispatch: $(VENV)/.test  ## Days of physical stations that cut, restart and lie; fails above a limit
	@$(BIN)/wattproof bench dispatch safety --seeds $${WATTPROOF_DISPATCH_SEEDS:-1-10} \
	  --hours $${WATTPROOF_DISPATCH_HOURS:-24} $(ARGS)

soak-chaos: $(VENV)/.test  ## 10 000 sessions over a network that harms frames and cuts connections
	@WATTPROOF_CHAOS_SESSIONS=$${WATTPROOF_CHAOS_SESSIONS:-10000} \
	  $(BIN)/python -m pytest -q -s tests/e2e/test_chaos.py $(ARGS)

soak-ledger: $(VENV)/.test  ## 200 histories of the outbox on a chain that forgets, and the broken ones
	@WATTPROOF_LEDGER_SEEDS=$${WATTPROOF_LEDGER_SEEDS:-0-199} $(BIN)/python -m pytest -q -s \
	  tests/integration/ledger/test_chaos.py $(ARGS)

fuzz: $(VENV)/.test  ## Bad input for hours; a part of it: ARGS="-k bad_luck"
	@HYPOTHESIS_PROFILE=fuzz $(BIN)/python -m pytest -q -n auto --timeout 0 \
	  tests/fuzz $(ARGS)

check: $(VENV)/.test  ## Formatting, lint, types and import contracts; no tests
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports

format: $(VENV)/.test  ## Format the code and fix what can be fixed
	@$(BIN)/ruff check --fix-only .
	@$(BIN)/ruff format .

slither: $(SLITHER)/.done  ## Static analysis of the contracts (needs node); fails on what is not accepted
	@node contracts/slither.mjs $(SLITHER)/bin/slither

contracts-mutants:  ## Break the contracts' rules one by one; a part: ARGS=Escrow (needs node)
	@cd contracts && node mutants.mjs $(ARGS)

contracts:  ## Recompile the contracts (needs node) and compare with the artifacts
	@bash .ci/contracts.sh

wheels: $(VENV)/.test  ## Build the wheels (wattproof, -optimizer, -ledger) into dist/
	@$(BIN)/python -m ledger.wheel dist

wheel-check: $(VENV)/.test  ## Build each wheel twice, in different places; they must be the same
	@$(BIN)/python -m ledger.wheel --check

lock:  ## Pin the dependencies anew (needs uv)
	uv pip compile -q --upgrade --universal --python-version 3.11 \
	  --prerelease if-necessary --no-header --no-annotate --generate-hashes \
	  pyproject.toml --group build -o requirements.lock
	uv pip compile -q --universal --python-version 3.11 \
	  --prerelease if-necessary --no-header --no-annotate --generate-hashes \
	  pyproject.toml --group build --group test --group bench -c requirements.lock \
	  -o requirements-test.lock
	uv pip compile -q --universal --python-version 3.11 \
	  --no-header --no-annotate --generate-hashes --group slither -o requirements-slither.lock

clean:  ## Remove the environment and the demo's data
	rm -rf $(VENV) $(SLITHER) data/demo

$(SLITHER)/.done: requirements-slither.lock
	@$(PYTHON) -m venv $(SLITHER)
	@$(SLITHER)/bin/python -m pip --disable-pip-version-check install --quiet --require-hashes -r $<
	@touch $@

$(BIN)/python:
	@echo "[1/3] creating $(VENV)"
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "Python 3.11 or newer is needed: make run PYTHON=python3.11"; exit 2; }
	@$(PYTHON) -m venv $(VENV)

$(VENV)/.run: requirements.lock pyproject.toml | $(BIN)/python
	@echo "[2/3] installing the pinned packages (about a minute the first time)"
	@$(PIP) install --quiet --require-hashes -r requirements.lock
	@echo "[3/3] installing wattproof"
	@$(PIP) install --quiet --no-deps --no-build-isolation --editable .
	@touch $@

$(VENV)/.test: requirements-test.lock $(VENV)/.run
	@echo "installing the test tools"
	@$(PIP) install --quiet --require-hashes -r requirements-test.lock
	@touch $@
