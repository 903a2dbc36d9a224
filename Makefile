# Everything a person types. Each target sets up what it needs, once, and is quick the second time.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
READY  := $(VENV)/.ready
DATA   ?=

# where Dagster keeps its runs; the same for the shell and the UI
export DAGSTER_HOME ?= $(CURDIR)/store/dagster
export PYTHONUNBUFFERED = 1
# a set of your own has a store and results of its own
ifneq ($(DATA),)
NAME := $(notdir $(abspath $(DATA)))
export REELCAST_DATA__FOLDER = $(abspath $(DATA))
export REELCAST_STORE__PATH ?= store/$(NAME)
export REELCAST_STORE__RESULTS ?= results/$(NAME)
endif

.PHONY: demo test ui setup lint clean environment-lavis environment-laion-clap

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
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest --numprocesses auto --dist loadfile

ui: setup                  ## Dagster's UI on the same store, http://127.0.0.1:3000
	$(BIN)/dagster dev -w workspace.yaml

environment-lavis environment-laion-clap: environment-%: setup  ## an environment for a library that needs one of its own
	$(BIN)/reelcast environment $*

setup: $(READY) $(DAGSTER_HOME)/dagster.yaml

$(READY): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "reelcast needs Python 3.11 or newer; set PYTHON=..."; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[cpu,dev]'
	@# so that a plain `dagster asset materialize` finds the graph (it does not read pyproject.toml, as `dagster dev` does) and
	@# its runs show in the UI
	@$(BIN)/python -c 'import site; print(site.getsitepackages()[0])' | xargs -I{} cp pipeline/shell_defaults.pth {}/reelcast.pth
	@echo 'import os; os.environ.setdefault("DAGSTER_HOME", "$(CURDIR)/store/dagster")' \
		>> "$$($(BIN)/python -c 'import site; print(site.getsitepackages()[0])')/reelcast.pth"
	@touch $@

$(DAGSTER_HOME)/dagster.yaml: pipeline/dagster.yaml
	@mkdir -p $(@D) && cp $< $@

clean:                     ## forget what was computed; data and the environment stay
	rm -rf store results
	@mkdir -p $(DAGSTER_HOME) && cp pipeline/dagster.yaml $(DAGSTER_HOME)/
