# convivo: everything from nothing. `make` sets up .venv; a second `make` has nothing to do.
#   make demo       the whole job on phantoms in 1D, 2D and 3D; names the reports at the end
#   make lab        the page that shows each number of a convolution, in the browser
#   make test       the fast tests, within minutes
#   make test-slow  the tests that take minutes each
#   make bench      against the peers, in an environment of their own: same outputs, step times
#   make bench-augmentation   items per second of batches + augmentation, against MONAI and TorchIO
#   make bench-ledger   memory and time foretold against measured (hours; bench-ledger-NAME for one)
#   make check      what a change must pass: format, lint, types, import levels, tests, doctests
#   make clean      removes what make made (runs/ is yours and stays)

VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
# python3.11 first: CPU builds of torch are made for it; any later one serves as well.
PYTHON ?= $(shell for p in python3.11 python3; do \
	if $$p -c 'import sys; sys.exit(sys.version_info[:2] < (3, 11))' 2>/dev/null; \
	then echo $$p; break; fi; done)

.PHONY: all demo lab test test-slow check lint doctest bench bench-augmentation bench-ledger clean

all: $(STAMP)

$(STAMP): pyproject.toml constraints.txt
	@test -n "$(PYTHON)" || { \
		echo "convivo needs Python 3.11 or later, as python3.11 or python3 (or: make PYTHON=...)"; \
		exit 1; }
	@$(PYTHON) -m venv $(VENV) || { \
		echo "$(PYTHON) cannot make a virtual environment; on Debian: apt-get install python3-venv"; \
		exit 1; }
	$(BIN)/python -m pip install --disable-pip-version-check -q -c constraints.txt -e '.[dev]'
	@touch $(STAMP)

demo: $(STAMP)
	$(BIN)/convivo demo --out demo

lab: $(STAMP)
	$(BIN)/convivo lab

test: $(STAMP)
	$(BIN)/python -m pytest -n 2 --dist worksteal

test-slow: $(STAMP)
	$(BIN)/python -m pytest -n 2 --dist worksteal -m "slow and not gpu"

lint: $(STAMP)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/pyrefly check

doctest: $(STAMP)
	$(BIN)/python -m pytest -q -p no:cacheprovider --doctest-modules src/convivo

# In order of cost, so that the cheapest complaint comes first.
check: lint
	$(BIN)/python -m pytest -q tests/test_imports.py
	$(MAKE) doctest
	$(MAKE) test

# The peers stay out of our environment: their requirements are not ours.
PEERS := bench/.venv
PEERS_STAMP := $(PEERS)/.installed

$(PEERS_STAMP): pyproject.toml constraints.txt bench/requirements.txt
	@$(PYTHON) -m venv $(PEERS)
	$(PEERS)/bin/python -m pip install --disable-pip-version-check -q -c constraints.txt -e '.[fast,int8,signals]'
	$(PEERS)/bin/python -m pip install --disable-pip-version-check -q --no-deps -r bench/requirements.txt
	@touch $(PEERS_STAMP)

bench: $(PEERS_STAMP)
	$(PEERS)/bin/python bench/same_outputs.py --out bench/results/same_outputs.md
	$(PEERS)/bin/python bench/step_times.py --pairs 30 --out bench/results/step_times.md

bench-augmentation: $(PEERS_STAMP)
	$(PEERS)/bin/python bench/augmentation.py --out bench/results/augmentation.md

# One table each, in bench/results; one after the other, for they take memory and time that they
# measure. A gate that is not met does not keep the others from being looked at.
LEDGER := tensors process time peers speed limits

bench-ledger:
	$(MAKE) -k -j1 $(LEDGER:%=bench-ledger-%)

bench-ledger-peers: $(PEERS_STAMP)
	$(PEERS)/bin/python bench/ledger_peers.py

bench-ledger-%: $(STAMP)
	$(BIN)/python bench/ledger_$*.py

clean:
	rm -rf $(VENV) $(PEERS) build dist demo .pytest_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
