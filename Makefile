# Short names for what launch.py does; a Makefile because many look here first.
PYTHON ?= python3
VENV_PYTHON := .venv/bin/python

.PHONY: setup run check test format

setup: ## install into .venv
	$(PYTHON) launch.py setup

run: ## start the page; make run ARGS="--port 8000"
	$(PYTHON) launch.py serve $(ARGS)

check: ## what CI runs: ruff, mypy --strict webui, pip-audit, all tests
	$(PYTHON) launch.py test

test: ## the tests alone; make test ARGS="tests/queue -k cancel"
	$(PYTHON) launch.py test $(or $(ARGS),tests extensions)

format: ## let ruff lay out the code and mend what it safely can
	$(VENV_PYTHON) -m ruff check --fix-only --exit-zero .
	$(VENV_PYTHON) -m ruff format .
