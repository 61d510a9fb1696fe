# Everything runs in .venv, which is set up once and again when its inputs change. Of a Python that is named
# (make test PYTHON=python3.13) the environment is one of its own (.venv-python3.13), unless VENV names another.

PYTHON ?= python3
VENV := .venv$(if $(filter file,$(origin PYTHON)),,-$(notdir $(PYTHON)))
BIN := $(VENV)/bin

.PHONY: exercise study test test-long fuzz faults lint lint-page generate sanitize bench evidence clean

exercise: $(VENV)/.run
	$(BIN)/digitlab exercise

study: $(VENV)/.run
	$(BIN)/digitlab study run all --scale full
	$(BIN)/digitlab report --no-open

# In two processes, whose tests of one file stay together; most tests wait for processes of their own.
TEST_PROCESSES ?= 2
test: $(VENV)/.dev
	$(BIN)/python -m pytest --numprocesses $(TEST_PROCESSES) --dist loadfile

# The slow tests at their whole length: more kills, more runs, more inputs.
test-long: $(VENV)/.dev
	DIGITLAB_TEST_LONG=1 $(BIN)/python -m pytest --numprocesses $(TEST_PROCESSES) --dist loadfile \
	  tests/cli/test_study.py tests/test_lab.py tests/fuzz tests/studies/strategies \
	  tests/execution/test_ray_machines.py

# FUZZ_INPUTS=1000 for a short run.
fuzz: $(VENV)/.dev
	$(BIN)/python -m tests.fuzz

# One fault at a time in a real study, 200 times; FAULTS="--rounds 20" for a short run, "--seed 1 --only 17" for one.
FAULTS ?= --rounds 200 --write
faults: $(VENV)/.dev
	$(BIN)/python -m tests.faults $(FAULTS)

lint: $(VENV)/.dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

# The types of the page's scripts, which stand in comments: needs Node, and nobody else does.
lint-page:
	cd tools/web && npm ci --silent --no-audit --no-fund && npm run --silent check

# What is made of the fields of a RunSpec, after a change of them: the options' types, the table in the documents.
generate: $(VENV)/.dev
	$(BIN)/python tools/generate.py

# The kernel, and the tests that lead it to all its places, under AddressSanitizer and
# UndefinedBehaviorSanitizer, with a cache of their own. What Python and torch never free is not looked at.
SANITIZED := build/sanitize
sanitize: $(VENV)/.dev
	rm -rf $(SANITIZED) && mkdir -p $(SANITIZED)
	printf '#!/bin/sh\nexec cc -g -fsanitize=address,undefined -fno-sanitize-recover=all "$$@"\n' > $(SANITIZED)/cc
	chmod +x $(SANITIZED)/cc
	LD_PRELOAD="$$(cc -print-file-name=libasan.so) $$(cc -print-file-name=libubsan.so)" ASAN_OPTIONS=detect_leaks=0 \
	  CC=$(CURDIR)/$(SANITIZED)/cc XDG_CACHE_HOME=$(CURDIR)/$(SANITIZED)/cache \
	  $(BIN)/python -m pytest --numprocesses $(TEST_PROCESSES) tests/engine/test_lockstep.py tests/engine/test_threads.py \
	  -k "(50_steps or black) and compiled or kernel or sanitizer or threads"

bench: $(VENV)/.bench
	$(BIN)/python benchmarks/run.py

# The quick studies again and again, on the pool of real networks (benchmarks/pool.py trains what it lacks).
evidence: $(VENV)/.run
	$(BIN)/python benchmarks/stability.py quick

clean:
	rm -rf .venv .venv-* build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# What the user needs, the page included, and no more.
$(VENV)/.run: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "digitlab needs Python 3.11 or newer, and $(PYTHON) is " + sys.version.split()[0] + ". Name another: make VENV=.venv PYTHON=python3.11")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[web]'
	touch $@

# The libraries that the benchmark compares with, on top.
$(VENV)/.bench: $(VENV)/.run
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[bench]'
	touch $@

# Tests, linters and type checker on top.
$(VENV)/.dev: $(VENV)/.run
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[dev]'
	touch $@
