# The commands of the book: `make help` lists them.
# They need Python 3.11 to 3.13 and make, and keep everything they install inside this folder.

PYTHON ?= python3
PORT ?= 8000
FILES ?=
LAB ?=
UPGRADE ?=

VENV := .venv
BIN := $(VENV)/bin
HTML := book/_build/html
# The locks are complete and carry hashes, so pip has nothing to resolve and takes nothing else.
INSTALL := $(BIN)/python -m pip install --disable-pip-version-check --quiet --no-compile
LOCKED := $(INSTALL) --no-deps --require-hashes
# Every warning is an error. After a failed build the next one reads all again, and repeats them.
BUILD := $(BIN)/python $(BIN)/jupyter-book build . --toc book/_toc.yml --path-output book \
    -W -n --keep-going

# Real pictures, where they lie beside the project. UNET_DATA_DIR names any other folder.
ifneq ($(wildcard ../shared/data),)
export UNET_DATA_DIR ?= $(abspath ../shared/data)
endif
# Kernels are those of this environment, whatever else the user has installed.
export JUPYTER_PREFER_ENV_PATH := 1

.DEFAULT_GOAL := help
.NOTPARALLEL:
.PHONY: help book test install test-code test-notebooks test-book unbuild lab notebooks results pdf serve lock clean

help:  ## list these commands
	@grep -E '^[a-z-]+:.*  ##' $(firstword $(MAKEFILE_LIST)) | sed -E 's/:.*  ##/\t/' | expand -t 17

book: $(VENV)/.book node_modules/.ready  ## build the pages and say where they lie
	@echo "Building the pages"
	@$(BUILD) > /dev/null || { rm -rf book/_build/.doctrees; exit 1; }
	@echo
	@echo "The book is built. Open this file in a browser:"
	@echo "    $(HTML)/index.html"
	@echo "or run \`make serve\` and open http://localhost:$(PORT)"

test: test-code test-notebooks unbuild book test-book  ## run every test: code, notebooks, built book

test-code: $(VENV)/.everything
	@echo "== Code: unit tests, examples in docstrings, coverage"
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --ignore=tests/book --cov

test-notebooks: $(VENV)/.everything
	@echo "== Notebooks: every cell runs, and marked outputs equal the stored ones"
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -c tests/nbval.toml --rootdir . \
	    -n 2 --dist loadscope notebooks

unbuild:
	@rm -rf book/_build

test-book: $(VENV)/.everything
	@echo "== The built book, as a browser sees it"
	$(BIN)/python -m pytest -n 2 tests/book

install: $(VENV)/.everything  ## install the library and all tools, and run nothing

lab: $(VENV)/.everything  ## open the chapters in JupyterLab (LAB=--no-browser: its own options)
	$(BIN)/python -m jupyterlab --notebook-dir=notebooks $(LAB)

notebooks: $(VENV)/.everything  ## execute and store the chapters again (FILES=… for some of them)
	$(BIN)/python -m tools.notebooks $(FILES)

results: $(VENV)/.everything  ## repeat the long runs whose tables the chapters show (resumable)
	@set -e; for run in $(filter-out results/table.py,$(wildcard results/*.py)) \
	    benchmarks/throughput.py; do echo "$$run"; $(BIN)/python $$run; done
	$(BIN)/python -m benchmarks.predict
	$(BIN)/python -m benchmarks.predict --memory
	$(BIN)/python -m benchmarks.stardist
	$(BIN)/python -m benchmarks.stardist --grid 2

pdf: book $(VENV)/.everything  ## print the book into one PDF (needs Chromium or Chrome)
	@$(BIN)/python -m tools.pdf

serve: book  ## build the pages and serve them on this machine (PORT=8000)
	$(BIN)/python -m http.server $(PORT) --bind 127.0.0.1 --directory $(HTML)

lock: $(VENV)/.python  ## make the lock files again (UPGRADE=--upgrade renews all versions)
	$(INSTALL) 'uv>=0.13,<1'
	$(BIN)/python tools/lock.py $(UPGRADE)

clean:  ## remove what was built (the environment stays: .venv, node_modules)
	rm -rf $(HTML) book/_build _build build *.egg-info .pytest_cache .ruff_cache .coverage*

# -- Environments. Each file named here stands for a step that is done.

# An environment does not survive that its folder is moved or renamed: it is made anew.
MADE_IN := $(shell cat $(VENV)/.python 2> /dev/null)
ifneq ($(MADE_IN),)
ifneq ($(MADE_IN),$(CURDIR))
$(info This folder was $(MADE_IN): its environment is made anew.)
$(shell rm -rf $(VENV))
endif
endif

$(VENV)/.python:
	@"$(PYTHON)" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' || { \
	    echo "Python 3.11, 3.12 or 3.13 is needed, and \`$(PYTHON)\` is not one of them."; \
	    echo "Name another: make PYTHON=python3.12 ..."; exit 1; }
	@echo "Making the environment $(VENV)"
	@"$(PYTHON)" -m venv $(VENV)
	@echo "$(CURDIR)" > $@

$(VENV)/.book: requirements-book.lock | $(VENV)/.python
	@echo "Installing what reading needs (requirements-book.lock)"
	@$(LOCKED) -r requirements-book.lock
	@touch $@

$(VENV)/.everything: requirements.lock pyproject.toml | $(VENV)/.python
	@echo "Installing the library and all tools (requirements.lock): some gigabytes the first time"
	@$(LOCKED) -r requirements.lock
	@$(INSTALL) --no-deps --no-build-isolation --editable .
	@touch $@ $(VENV)/.book

node_modules/.ready: package.json package-lock.json | $(VENV)/.book
	@echo "Fetching what the pages load in the browser (package-lock.json)"
	@$(BIN)/python tools/browser_libraries.py
	@touch $@
