# make demo: fly the shipped policy over ROS 2 topics in gusts; report, film and recording in out/demo
# make test: lint and tests
# make docs: the documentation as pages in site/, open site/index.html
# All make .venv and install what they need. Python 3.10 or newer, Linux x86-64.
#   make demo WORLD=lane_keeping   a car that steers by camera; in out/lane_keeping
#   make demo ARGS="--seed 3"      make test ARGS="-m slow"      make PYTHON=python3.12 demo

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check install --quiet -c constraints.txt
ARGS ?=
WORLD ?= demo

.PHONY: demo test lint docs clean
.DELETE_ON_ERROR:

demo: $(VENV)/.fly
	$(BIN)/liquid-control fly --world $(WORLD) --video --out out/$(WORLD) $(ARGS)

test: lint
	$(BIN)/python -m pytest $(ARGS)

docs: $(VENV)/.docs
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet
	@echo "Open site/index.html"

lint: $(VENV)/.test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

$(VENV)/.venv:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10))' || \
	  { echo "liquid_control needs Python 3.10 or newer: make PYTHON=/path/to/python3.10 ..."; exit 1; }
	$(PYTHON) -m venv $(VENV)
	@touch $@

$(VENV)/.fly: $(VENV)/.venv setup.py constraints.txt
	@echo "Installing what flying needs into $(VENV) (about a minute) ..."
	$(PIP) -e '.[sim,ros,report]'
	@touch $@

$(VENV)/.test: $(VENV)/.fly
	@echo "Installing what training and tests need into $(VENV) (about two minutes) ..."
	$(PIP) -e '.[sim,ros,report,train,test]'
	@touch $@

$(VENV)/.docs: $(VENV)/.venv setup.py constraints.txt
	@echo "Installing what the documentation needs into $(VENV) (about a minute) ..."
	$(PIP) -e '.[docs]'
	@touch $@

clean:
	rm -rf $(VENV) site out build install log *.egg-info
