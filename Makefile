# make demo: a small data set from the pictures of the package, loaded and drawn.
# make test: everything that CI runs, in a browser too. Both set up .venv first; Python 3.11 and make are needed, and for the tests
# Chromium, which `make browser` installs on Debian.

PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV ?= .venv
BENCH_VENV ?= .venv-bench
KERAS_VENV ?= .venv-keras
BIN := $(VENV)/bin
DEMO ?= demo
SAMPLES := fgbg_depth/samples
# Pins what is installed here, in build environments too; pyproject.toml keeps the wide ranges.
export PIP_CONSTRAINT := $(CURDIR)/constraints.txt
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.PHONY: demo test lint browser bench bench-env keras-env clean

demo: $(VENV)/.depth
	$(BIN)/fgbg-depth generate --backgrounds $(SAMPLES)/bg --foregrounds $(SAMPLES)/fg --recipe recipes/demo.toml --out $(DEMO)/set
	$(BIN)/python scripts/show_set.py $(DEMO)/set --sheet $(DEMO)/contact_sheet.png

test: $(VENV)/.test lint browser
	$(BIN)/python tests/run_halves.py -q

# The browser that the tests of pages run in: Debian's packages, where they can be installed and aren't there yet.
browser:
	@if command -v chromium >/dev/null && command -v chromedriver >/dev/null; then exit 0; fi; \
	if ! command -v apt-get >/dev/null || [ "$$(id -u)" != 0 ]; then \
	  echo "The tests need chromium and chromedriver in the PATH. Install them, for instance with:" >&2; \
	  echo "  sudo apt-get install --no-install-recommends chromium chromium-driver" >&2; exit 1; \
	fi; \
	export DEBIAN_FRONTEND=noninteractive; \
	apt-get update -qq && apt-get install -qq -y --no-install-recommends chromium chromium-driver

lint: $(VENV)/.test
	$(BIN)/ruff check .

bench: $(VENV)/.test bench-env keras-env
	$(BIN)/python scripts/bench_generate.py
	$(BIN)/python scripts/bench_streaming.py
	$(BIN)/python scripts/bench_loading.py
	$(BIN)/python scripts/bench_versions.py
	$(BIN)/python scripts/bench_depth.py

# The streaming benchmark's peers. They need older libraries than ours, so they have an environment and pins of their own.
bench-env: $(BENCH_VENV)/.bench

$(BENCH_VENV)/.bench: pyproject.toml scripts/streaming_bench/constraints.txt
	$(PYTHON) -m venv $(BENCH_VENV)
	PIP_CONSTRAINT=$(CURDIR)/scripts/streaming_bench/constraints.txt $(BENCH_VENV)/bin/python -m pip install --quiet --editable '.[bench]'
	touch $@

# The peer of the depth benchmark: the network as its authors run it.
keras-env: $(KERAS_VENV)/.bench

$(KERAS_VENV)/.bench: scripts/bench_depth_constraints.txt
	$(PYTHON) -m venv $(KERAS_VENV)
	PIP_CONSTRAINT=$(CURDIR)/scripts/bench_depth_constraints.txt $(KERAS_VENV)/bin/python -m pip install --quiet tensorflow tf-keras
	touch $@

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/.depth: pyproject.toml constraints.txt | $(VENV)/bin/python
	$(BIN)/python -m pip install --quiet --editable '.[depth]'
	touch $@

$(VENV)/.test: pyproject.toml constraints.txt | $(VENV)/bin/python
	$(BIN)/python -m pip install --quiet --editable '.[test]'
	$(BIN)/python scripts/torchvision_for_cpus.py  # its wheels on PyPI are for CUDA; nothing to do where torch's is too
	touch $@ $(VENV)/.depth

clean:
	rm -rf $(VENV) $(BENCH_VENV) $(KERAS_VENV) $(DEMO) .cache
