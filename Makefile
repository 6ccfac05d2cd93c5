# `make` alone prints what there is. Every command makes its own environment in .venv first.
# PYTHON=/path/to/python chooses the interpreter of a new .venv; without it the first of the
# names below that is 3.11 or newer is taken.

PYTHON ?=
CANDIDATES = python3 python3.13 python3.12 python3.11
BIN = .venv/bin
READY = .venv/.ready-to-test
READY_TO_CHECK = .venv/.ready-to-check
PIP = $(BIN)/python -m pip --quiet --disable-pip-version-check
PIP_INSTALL = $(PIP) install --constraint constraints.txt --build-constraint constraints.txt

# Tests and benchmarks start many workers: none should compile its modules again.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.NOTPARALLEL:
.DELETE_ON_ERROR:
.PHONY: help demo demo-valkey demo-postgres dashboard test test-long check bench docs clean

help: ## print these commands
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/make \1|\2/p' Makefile | awk -F'|' '{ printf "%-16s %s\n", $$1, $$2 }'

demo: $(READY) ## index the standard library with two workers, and kill one of them
	@$(BIN)/python -m mainspring demo

demo-valkey: $(READY) ## the same over a Valkey server
	@PYTHONPATH=tests $(BIN)/python -m servers.demo valkey

demo-postgres: $(READY) ## the same over a PostgreSQL server
	@PYTHONPATH=tests $(BIN)/python -m servers.demo postgres

dashboard: $(READY) ## the dashboard of a shop with live traffic, until Ctrl+C
	@$(BIN)/python examples/live_shop.py

test: $(READY) ## run the tests, without those that wait for long
	@$(BIN)/python -m pytest -n 2

test-long: $(READY) ## run the tests that wait for long
	@$(BIN)/python -m pytest -m long -n 2

check: $(READY_TO_CHECK) ## lint, format, types, import floors, length of files
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/basedpyright --warnings
	$(BIN)/lint-imports --no-logo
	@find src benchmarks -name '*.py' -exec awk 'FNR == 400 { print FILENAME ": 400 lines or more; find the missing noun"; bad = 1 } END { exit bad }' {} +

bench: $(READY) ## compare with the floor and a rival, about three minutes
	@$(BIN)/python benchmarks/queue.py --quick

docs: $(READY) ## check that links in the docs lead somewhere and their snippets run
	@$(BIN)/python -m pytest tests/docs

clean: ## remove .venv and everything that tools have left here
	rm -rf .venv build dist .mypy_cache .pytest_cache .ruff_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

.venv/pyvenv.cfg:
	@python='$(PYTHON)'; \
	new_enough() { "$$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; }; \
	if [ -z "$$python" ]; then \
	  for name in $(CANDIDATES); do \
	    if new_enough "$$name"; then python="$$name"; break; fi; \
	  done; \
	fi; \
	if [ -z "$$python" ] || ! new_enough "$$python"; then \
	  echo "mainspring needs Python 3.11 or newer; none of '$${python:-$(CANDIDATES)}' is. Install one, or say: make PYTHON=/path/to/python3.11" >&2; \
	  exit 1; \
	fi; \
	echo "making .venv with $$("$$python" --version)"; \
	"$$python" -m venv .venv

$(READY): pyproject.toml constraints.txt | .venv/pyvenv.cfg
	@$(PIP) install --upgrade --constraint constraints.txt pip
	@$(PIP_INSTALL) --editable '.[all]' --group test
	@touch $@

$(READY_TO_CHECK): $(READY)
	@$(PIP_INSTALL) --group check
	@touch $@
