# ccs-pilot: make run | test | check | bench | interop | vm-test. Each prepares .venv by itself, once.
SHELL := /bin/sh
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.ready

.PHONY: help run test check bench soak interop spice hw-docs vm-test clean

help:
	@echo "make run      charge a simulated car: the whole controller, live in this terminal"
	@echo "make test     all tests, with the coverage of the cores; ARGS=tests/slac: a part"
	@echo "make check    ruff, mypy --strict, import-linter, state-table lint"
	@echo "make soak     an hour of real periods and a day of virtual time: memory must not grow"
	@echo "make bench    figures: simulation speed, answer times, codec, start-up"
	@echo "make hw-docs  tables and schematics of hw_docs from their data; make spice runs ngspice first"
	@echo "make interop  sessions with an independent EVCC and SECC, and its EXI codec (root, Java)"
	@echo "make vm-test  drivers on a real-time kernel in a small VM: GPIO, I2C, CAN, watchdog (root, once)"
	@echo "make test PYTHON=python3.13 VENV=.venv-3.13   another interpreter (3.11 to 3.13)"

# A changed pyproject.toml prepares .venv again; otherwise nothing is installed.
$(STAMP): pyproject.toml tools/prepare.py
	@$(PYTHON) tools/prepare.py $(VENV)

run: $(STAMP)
	@$(BIN)/ccs-pilot sim $(ARGS)

test: $(STAMP)
	@$(BIN)/python -m tests $(ARGS)

check: $(STAMP)
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-cache
	@$(BIN)/python -m pytest -q -p no:cacheprovider --no-cov tests/test_tables.py

bench: $(STAMP)
	@$(BIN)/python -m tests.perf $(ARGS)

soak: $(STAMP)
	@$(BIN)/python -m tests.soak $(ARGS)

spice: $(STAMP)
	@$(BIN)/python -m hw_docs.spice.run

hw-docs: $(STAMP)
	@$(BIN)/python -m hw_docs.schematics.render
	@$(BIN)/python -m hw_docs.generate

interop: $(STAMP)
	@$(BIN)/python -m tests.interop $(ARGS)

vm-test: $(STAMP)
	@$(BIN)/python -m tests.vm $(ARGS)

clean:
	rm -rf $(VENV) .venv-interop build *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis
