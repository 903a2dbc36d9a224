# Everything a person types. Each target sets up what it needs, once, and is quick the second time.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
READY  := $(VENV)/.ready
DATA   ?=

# where Dagster keeps its runs; the same for the shell and the UI
export DAGSTER_HOME ?= $(CURDIR)/store/dagster
export PYTHONUNBUFFERED = 1
ifneq ($(DATA),)
export REELCAST_DATA__FOLDER = $(DATA)
endif

.PHONY: demo test ui setup lint clean

demo: setup                ## the demonstration set, then the whole graph, then the table; DATA=folder for a set of your own
ifeq ($(DATA),)
	$(BIN)/python -m pipeline.demonstration data/demo
endif
	$(BIN)/dagster asset materialize --select '*'
	@$(BIN)/reelcast results

test: setup                ## style, import contract, tests
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports
	$(BIN)/python -m pytest

ui: setup                  ## Dagster's UI on the same store, http://127.0.0.1:3000
	$(BIN)/dagster dev -w workspace.yaml

setup: $(READY) $(DAGSTER_HOME)/dagster.yaml

$(READY): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "reelcast needs Python 3.11 or newer; set PYTHON=..."; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[cpu,dev]'
	@touch $@

$(DAGSTER_HOME)/dagster.yaml: pipeline/dagster.yaml
	@mkdir -p $(@D) && cp $< $@

clean:                     ## forget what was computed; data and the environment stay
	rm -rf store results
