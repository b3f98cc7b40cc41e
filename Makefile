# Two commands matter: `make up` and `make test`. Both need Python 3.11 or later and nothing else.

PYTHON ?= $(firstword $(foreach name,python3 python3.14 python3.13 python3.12 python3.11,$(shell command -v $(name) 2>/dev/null)))
ARGS ?=
TRACE ?=
unexport PYTHONDONTWRITEBYTECODE # hundreds of processes start from these modules: they are compiled once

.PHONY: help up test lint bench loadtest replay soak clean environment
.NOTPARALLEL:
.DEFAULT_GOAL := help

help: ## Show this list
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## (.*)/  make \1\t\2/'

up: environment ## Run the whole system until Ctrl-C; settings: FAIRCLAIM_PORT=0 make up, or ARGS="--port 0"
	@exec .venv/bin/fairclaim up $(ARGS)

test: environment ## Run every test; some of them: ARGS="tests/unit -k codes"
	@exec .venv/bin/python -m pytest $(ARGS)

lint: environment ## Style, types and import directions
	@.venv/bin/ruff check .
	@.venv/bin/ruff format --check .
	@.venv/bin/mypy
	@.venv/bin/lint-imports

bench: environment ## Claims beside other gateways on this machine, a quarter of an hour; one minute: ARGS="--quick"
	@exec .venv/bin/python -m loadtest.bench $(ARGS)

loadtest: environment ## A sale by Locust, two minutes, with a verdict and a report; longer: ARGS="--users 400 --run-time 10m"
	@exec .venv/bin/python -m loadtest $(ARGS)

replay: environment ## A recorded sale, TRACE=claims.csv.gz, on the system of FAIRCLAIM_READY_FILE or one of its own
	@exec .venv/bin/python -m loadtest.trace $(TRACE) $(ARGS)

soak: environment ## Mixed traffic with restarts for ten minutes, memory and files level at its end; ARGS="--minutes 720"
	@exec .venv/bin/python -m loadtest.soak $(ARGS)

clean: ## Remove .venv and caches; data (.fairclaim) stays
	@rm -rf .venv build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
	@find gateway lua reconciler loadtest vendored tests deploy -name __pycache__ -prune -exec rm -rf {} +

environment:
	@test -n "$(PYTHON)" || { echo "make: there is no python3 on the PATH; install Python 3.11 or later" >&2; exit 1; }
	@"$(PYTHON)" deploy/bootstrap.py
