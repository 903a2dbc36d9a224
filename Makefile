# Everything a person types. Each target sets up what it needs, once, and is quick the second time.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
READY  := $(VENV)/.ready
DATA   ?=
PORT   ?= 3000
NEW_ENOUGH = $(shell $(PYTHON) -c 'import sys; print("yes" * (sys.version_info >= (3, 11)))' 2>/dev/null)

export PYTHONUNBUFFERED = 1
# A set of your own: its store, results and Dagster instance follow from its folder (reelcast settings, [store]).
ifneq ($(DATA),)
export REELCAST_DATA__FOLDER = $(value DATA)
endif

.PHONY: demo test browser ui docs setup clean environment-lavis environment-laion-clap

demo: setup                ## the demonstration set, then the whole graph, then the table; DATA=folder for a set of your own
ifeq ($(DATA),)
	$(BIN)/python -m pipeline.demonstration data/demo
endif
	@$(BIN)/reelcast check --run
	@$(BIN)/reelcast run
	@$(BIN)/reelcast results

test: setup                ## style, import contract, tests
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest --numprocesses auto --dist loadfile --hypothesis-profile ci

browser: setup             ## the UI and the report in a real browser (needs Debian's package chromium); takes some minutes
	$(BIN)/python -m pytest -m browser -rs tests/pipeline/test_browser.py

ui: setup                  ## Dagster's UI on the same store, http://127.0.0.1:3000 (PORT=3001 for another port)
	@# pyproject.toml names the graph for `dagster dev`; its web server and daemon then share one server of the code
	@variables="$$($(BIN)/reelcast shell)" && eval "$$variables" && \
	unset DAGSTER_MODULE_NAME DAGSTER_CLI_DEV_USE_LEGACY_CODE_SERVER_BEHAVIOR && \
	exec $(BIN)/python -W "ignore:Function" -m dagster dev --port $(PORT)

docs: setup                ## the documentation as a site, in site/
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

clean: setup               ## forget what was computed from this data set (asks first); data and the environment stay
	@$(BIN)/reelcast clean

environment-lavis environment-laion-clap: environment-%: setup  ## an environment for a library that needs one of its own
	$(BIN)/reelcast environment $*

setup: $(READY)

$(READY): pyproject.toml constraints.txt pipeline/activation.sh
	$(if $(NEW_ENOUGH),,$(error $(PYTHON) is not Python 3.11 or newer, which reelcast needs; name one: make $(or $(MAKECMDGOALS),demo) PYTHON=python3.11))
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[cpu,dev]'
	@# earlier versions kept one instance for every data set, set by this file
	@rm -f $(VENV)/lib/python3*/site-packages/reelcast.pth
	@# venv writes the script anew each time, so this is added once
	@cat pipeline/activation.sh >> $(BIN)/activate
	@touch $@
