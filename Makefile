# μOmni. Two commands matter: `make lab` opens the course, `make test` checks everything. `make help` lists the rest.
# Nothing is needed beforehand but Python 3.11+ and make; PYTHON=/path/to/python chooses which Python.

PYTHON ?=
VENV := .venv
BIN := $(VENV)/bin
FIRST := notebooks/00-start-here.ipynb
LAB_ARGS ?=
TEST_ARGS ?=
STAGE ?= thinker

export PIP_DISABLE_PIP_VERSION_CHECK := 1
export PIP_ROOT_USER_ACTION := ignore

.DEFAULT_GOAL := help
.NOTPARALLEL:
.PHONY: help lab test check train data format sync browser clean

help: ## list these commands
	@grep -E '^[a-z]+:.*## ' $(firstword $(MAKEFILE_LIST)) | sed -E 's/^([a-z]+):.*## /\1|/' | awk -F'|' '{printf "make %-8s %s\n", $$1, $$2}'

# JupyterLab refuses to start as root unless told to; it listens on this machine only, and asks for its token.
lab: $(VENV)/.lab data ## open the course in JupyterLab (LAB_ARGS="--no-browser --port 8899" passes options on)
	@root=; if [ "$$(id -u)" -eq 0 ]; then echo "Running as root: starting JupyterLab with --allow-root."; root=--allow-root; fi; \
	exec $(BIN)/jupyter lab --ServerApp.ip=127.0.0.1 --ServerApp.root_dir="$(CURDIR)" $$root $(if $(wildcard $(FIRST)),--LabApp.default_url=/lab/tree/$(FIRST)) $(LAB_ARGS)

test: $(VENV)/.test data browser ## run everything: format, lint, types, tests, browser tests, every notebook
	@$(BIN)/python scripts/run_tests.py $(TEST_ARGS)

check: $(VENV)/.test ## the quick part of `make test`, in under three minutes
	@$(BIN)/python scripts/run_tests.py --quick $(TEST_ARGS)

train: $(VENV)/.lab data ## train the Thinker at nano size (STAGE=... for another stage)
	@$(BIN)/muomni train $(STAGE) --config configs/$(STAGE)_nano.json

data: $(VENV)/.lab ## make the tiny world, if a part of it is missing
	@for part in text/tiny_corpus.txt images/annotations.json audio/asr.csv audio/tts.csv ocr/ocr_train.csv; do \
		if [ ! -e "data/$$part" ]; then exec $(BIN)/muomni data make; fi; \
	done

format: $(VENV)/.test ## format the code, the notebooks' cells too, and pair them again
	@$(BIN)/ruff check --quiet --fix . || true
	@$(BIN)/ruff format .
	@$(BIN)/python scripts/sync_chapters.py

sync: $(VENV)/.test ## bring chapters/*.md and notebooks/*.ipynb into agreement
	@$(BIN)/python scripts/sync_chapters.py

browser:
	@sh scripts/install_browser.sh

clean: ## remove what tools leave behind (never data, checkpoints or .venv)
	rm -rf .make build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find muomni scripts tests -name __pycache__ -type d -prune -exec rm -rf {} +

# A stamp is newer than pyproject.toml when what it names has been installed: a second `make` has nothing to do.
$(BIN)/python:
	@python=$$(sh scripts/find_python.sh "$(PYTHON)") && echo "Creating $(VENV) with $$python." && "$$python" -m venv --clear $(VENV)

$(VENV)/.lab: pyproject.toml | $(BIN)/python
	$(call install,.)
	@touch $@

$(VENV)/.test: pyproject.toml | $(BIN)/python
	$(call install,.[test])
	@touch $(VENV)/.lab $@

define install
@echo "Installing μOmni into $(VENV). The first time takes some minutes: PyTorch is large."
@$(BIN)/python -m pip --version >/dev/null 2>&1 || $(BIN)/python -m ensurepip >/dev/null
@$(BIN)/python -m pip install -qq --no-input --editable "$(1)"
endef
