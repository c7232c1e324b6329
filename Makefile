# Everything a newcomer needs: `make run` and `make test` set up what they need by themselves, once.

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
SEEDS ?= 1-2000
ROUNDS ?= 100
SECONDS ?= 60
RUN ?=
WORKERS ?= 4
TESTS ?=
RUN_MB := 170
TEST_MB := 165
INSTALL = $(BIN)/python -m pip install --disable-pip-version-check --use-pep517 --constraint constraints.txt $$(test -t 2 || echo --quiet)

.DEFAULT_GOAL := help
.PHONY: help run test check split away bench simulate kill format clean

help:  ## Say what there is to make
	@echo "Innkeeper. Start with: make run"
	@awk -F ':.*## ' '/^[a-z]+:.*## /{printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

# A virtual environment with what running needs; pip shows its progress on a terminal.
$(VENV)/ready: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Innkeeper needs Python 3.11 or newer; say which with: make PYTHON=python3.12 …")'
	@echo "Making a virtual environment in $(VENV), with $$($(PYTHON) --version) …"
	@$(PYTHON) -m venv $(VENV)
	@echo "Installing what Innkeeper needs to run (once, about $(RUN_MB) MB) …"
	@$(INSTALL) --editable '.[rabbitmq,kafka]'
	@touch $@

# The same with what tests, checks and benchmarks need.
$(VENV)/ready-to-test: $(VENV)/ready
	@echo "Installing what tests and checks need (once, about $(TEST_MB) MB more) …"
	@$(INSTALL) --editable '.[test,check,bench]'
	@mkdir -p build/types/innkeeper
	@for room in protocol actors storage http delivery; do ln -sfn ../../../$$room build/types/innkeeper/$$room; done
	@touch $@

run: $(VENV)/ready  ## The demo: two furnished hotels at http://127.0.0.1:8080 (options: make run RUN="--port 9000")
	@echo "Starting the demo …"
	@$(BIN)/python run.py demo --webhooks-to-loopback $(RUN)

test: $(VENV)/ready-to-test  ## All tests, in WORKERS processes at once (some of them: make test TESTS='-m "not slow"')
	$(BIN)/python -m pytest -q -n $(WORKERS) $(TESTS)

check: $(VENV)/ready-to-test  ## Style (ruff), types (mypy), and the tidiness of the house
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy -p innkeeper.protocol -p innkeeper.actors -p innkeeper.storage -p innkeeper.http -p innkeeper.delivery
	$(BIN)/mypy run.py
	$(BIN)/python -m pytest -q tests/test_layout.py

split: $(VENV)/ready-to-test  ## The tests of the API once more, with every part of the inn behind a door of its own
	INNKEEPER_TEST_SPLIT=1 $(BIN)/python -m pytest -q -n $(WORKERS) tests/test_front_desk.py tests/test_http_*.py tests/test_archive.py tests/test_waitlist.py

away: $(VENV)/ready-to-test  ## Stop a real RabbitMQ and kill a real Kafka under load, for a while: make away SECONDS=60
	INNKEEPER_BROKER_AWAY_SECONDS=$(SECONDS) $(BIN)/python -m pytest -q tests/test_brokers.py tests/test_brokers_kafka.py -k under_load

bench: $(VENV)/ready-to-test  ## Side by side with bare aiohttp and PostgreSQL (needs wrk)
	$(BIN)/python tests/benchmarks/run.py

simulate: $(VENV)/ready-to-test  ## Many simulated lives of a partition, from seeds: make simulate SEEDS=1-2000
	$(BIN)/python tests/simulation/run.py --seeds $(SEEDS)

kill: $(VENV)/ready-to-test  ## Kill the real process under load, again and again: make kill ROUNDS=100
	INNKEEPER_KILL_ROUNDS=$(ROUNDS) $(BIN)/python -m pytest -q tests/test_kill.py tests/test_processes.py

format: $(VENV)/ready-to-test  ## Bring the code into its style
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean:  ## Forget the virtual environment and the demo's data
	rm -rf $(VENV) build data
