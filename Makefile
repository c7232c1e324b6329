# Targets to run, test and measure Innkeeper. Each installs what it needs in a virtual environment, once.

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
SEEDS ?= 1-2000
ROUNDS ?= 100
CUTS ?= 200
SECONDS ?= 60
FLIPS ?= 1000
TIMES ?= 10
SEED ?= 1
RUN ?=
LIST ?=
WORKERS ?= 4
TESTS ?=
RUN_MB := 205
TEST_MB := 340
INSTALL = $(BIN)/python -m pip install --disable-pip-version-check --use-pep517 --constraint constraints.txt $$(test -t 2 || echo --quiet)

# Processes start faster with compiled modules.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help run test check split memory thespian away bench way events errors simulate machines kill power torture format clean

help:  ## List the targets
	@echo "Innkeeper. Start with: make run"
	@awk -F ':.*## ' '/^[a-z]+:.*## /{printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

# A virtual environment with what is needed to run; pip shows its progress on a terminal.
$(VENV)/ready: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Innkeeper needs Python 3.11 or newer; say which with: make PYTHON=python3.12 …")'
	@echo "Making a virtual environment in $(VENV), with $$($(PYTHON) --version) …"
	@$(PYTHON) -m venv $(VENV)
	@echo "Installing what Innkeeper needs to run (once, about $(RUN_MB) MB) …"
	@$(INSTALL) --editable '.[rabbitmq,kafka]'
	@touch $@

# The same, with what tests, checks and benchmarks need.
$(VENV)/ready-to-test: $(VENV)/ready
	@echo "Installing what tests and checks need (once, about $(TEST_MB) MB more) …"
	@$(INSTALL) --editable '.[test,check,bench]'
	@mkdir -p build/types/innkeeper
	@for room in protocol actors storage http delivery; do ln -sfn ../../../$$room build/types/innkeeper/$$room; done
	@touch $@

run: $(VENV)/ready  ## Run the demo: two hotels at http://127.0.0.1:8080 (options: make run RUN="--port 9000")
	@echo "Starting the demo …"
	@$(BIN)/python run.py demo --webhooks-to-loopback $(RUN)

test: $(VENV)/ready-to-test  ## Run all tests, WORKERS at once (some of them: make test TESTS='-m "not slow"')
	$(BIN)/python -m pytest -q -n $(WORKERS) $(TESTS)

check: $(VENV)/ready-to-test  ## Check style (ruff), types (mypy) and the layout of the project
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy -p innkeeper.protocol -p innkeeper.actors -p innkeeper.storage -p innkeeper.http -p innkeeper.delivery
	$(BIN)/mypy run.py
	$(BIN)/python -m pytest -q tests/test_layout.py

split: $(VENV)/ready-to-test  ## Run the tests of the API with each part behind RPC
	INNKEEPER_TEST_SPLIT=1 $(BIN)/python -m pytest -q -n $(WORKERS) tests/api tests/browser/test_front_desk_page.py tests/delivery/test_archive.py

memory: $(VENV)/ready-to-test  ## Run the tests of the API with storage in memory
	INNKEEPER_TEST_IN_MEMORY=1 $(BIN)/python -m pytest -q -n $(WORKERS) tests/api

thespian: $(VENV)/ready-to-test  ## Run the tests of a partition, and the simulation, on Thespian's actor system
	INNKEEPER_ACTOR_SYSTEM=thespian $(BIN)/python -m pytest -q -n $(WORKERS) tests/actors tests/simulation tests/api/test_waitlist.py tests/cluster/test_kill.py
	INNKEEPER_ACTOR_SYSTEM=thespian $(BIN)/python tests/simulation/run.py --seeds 1-200

away: $(VENV)/ready-to-test  ## Brokers, receivers of webhooks, mail server, archive and payment provider away: make away SECONDS=60
	INNKEEPER_BROKER_AWAY_SECONDS=$(SECONDS) $(BIN)/python -m pytest -q tests/delivery/test_rabbitmq_publisher.py tests/delivery/test_kafka_publisher.py tests/delivery/test_hanging_kafka.py tests/delivery/test_rabbitmq_refusals.py -k 'under_load or hangs'
	INNKEEPER_WEBHOOKS_AWAY_SECONDS=$(SECONDS) $(BIN)/python -m pytest -q tests/delivery/test_webhook_away.py
	INNKEEPER_AWAY_SECONDS=$(SECONDS) $(BIN)/python -m pytest -q -s tests/program/test_away_under_load.py

bench: $(VENV)/ready-to-test  ## Measure the figures of docs/benchmarks.md, and write that page (needs wrk)
	$(BIN)/python tests/benchmarks/run.py --markdown docs/benchmarks.md

way: $(VENV)/ready-to-test  ## Count the files, functions and calls that one booking passes through: make way LIST=--list
	$(BIN)/python tests/benchmarks/way.py $(LIST)

events: $(VENV)/ready-to-test  ## Write docs/events.md, the page of all events, from the classes of the events
	$(BIN)/python tests/support/events_page.py

errors: $(VENV)/ready-to-test  ## Write docs/errors.md, the page of all codes of errors, from the types of the refusals
	$(BIN)/python tests/support/errors_page.py

simulate: $(VENV)/ready-to-test  ## Simulate a partition with faults, from seeds: make simulate SEEDS=1-2000
	$(BIN)/python tests/simulation/run.py --seeds $(SEEDS)

machines: $(VENV)/ready-to-test  ## Run the state machines of a partition for long: make machines TIMES=10
	INNKEEPER_EXAMPLES_TIMES=$(TIMES) $(BIN)/python -m pytest -q -n $(WORKERS) tests/actors -k "TestPartition or TestHouse or TestBusinessDates"

kill: $(VENV)/ready-to-test  ## Kill the processes under load (and stop the server) repeatedly: make kill ROUNDS=100
	INNKEEPER_KILL_ROUNDS=$(ROUNDS) $(BIN)/python -m pytest -q tests/cluster/test_kill.py tests/cluster/test_killed_processes.py

power: $(VENV)/ready-to-test  ## Lose the power of a server under load, again and again: make power CUTS=200
	INNKEEPER_POWER_CUTS=$(CUTS) $(BIN)/python -m pytest -q -s tests/power_loss

torture: $(VENV)/ready-to-test  ## Damage data directories, and compare with undamaged ones: make torture FLIPS=1000 SEED=1
	$(BIN)/python tests/torture/run.py --flips $(FLIPS) --seed $(SEED)

format: $(VENV)/ready-to-test  ## Format the code
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean:  ## Delete the virtual environment, the build folder and the demo's data
	rm -rf $(VENV) build data
