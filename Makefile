# Two commands: `make live` plays, `make test` proves. Both set up what they need first, once.
# The first of these that is new enough; `make PYTHON=/path/to/python live` takes another.
PYTHON ?= $(shell for p in python3.11 python3.12 python3.13 python3; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && { echo $$p; break; }; done)
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet
ARGS ?=

.PHONY: live test lint mutate docs clean

# What plays needs no torch; what tests and trains does. Both live in one environment, the second on top.
$(VENV)/.runtime: pyproject.toml constraints.txt
	@test -n "$(PYTHON)" || { echo "Ripieno needs Python 3.11 or newer; name one: make PYTHON=/path/to/python"; exit 1; }
	@test -x $(BIN)/python || { echo "Setting up $(VENV), once ..."; $(PYTHON) -m venv $(VENV); }
	$(PIP) install -c constraints.txt -e .
	@touch $@

$(VENV)/.dev: $(VENV)/.runtime
	$(PIP) install -c constraints.txt -e '.[dev]'
	@touch $@

live: $(VENV)/.runtime
	$(BIN)/ripieno live $(ARGS)

test: lint
	$(BIN)/python -m pytest

lint: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

# Breaks one line at a time in a copy of the tree: each must turn a test red. ARGS="--only band --jobs 2" for less.
mutate: $(VENV)/.dev
	$(BIN)/python -m tests.mutate $(ARGS)

# Written beside its place first: a page that cannot be made leaves the old one as it was.
docs: $(VENV)/.runtime
	$(BIN)/python -m bridge.osc.space > docs/OSC.md.new && mv docs/OSC.md.new docs/OSC.md

clean:
	rm -rf $(VENV) build dist *.egg-info .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis
