# The commands of this repository. `make help` lists them.
# They need Python 3.11 or later and make, and install everything into .venv.

PYTHON ?= python3
VENV := .venv
PY := $(VENV)/bin/python
export PIP_DISABLE_PIP_VERSION_CHECK := 1
CHECKED := langchain_qwen_space examples notebooks scripts

.DEFAULT_GOAL := help
.PHONY: help demo agent test coverage heavy compat live bench fuzz audit lint format types notebooks docs build clean

help: ## list these commands
	@sed -n 's/^\([a-z]*\):.*## /  make \1|/p' Makefile | awk -F'|' '{ printf "%-18s%s\n", $$1, $$2 }'

demo: $(VENV)/.demo ## show streaming, a tool call and an object; SPACE=Qwen/Qwen2.5 uses the public Space, ASK='…' your own question
	@$(PY) examples/demo.py $(if $(SPACE),--space '$(SPACE)') $(if $(ASK),--ask '$(subst ','\'',$(ASK))')

agent: $(VENV)/.agent ## serve an agent behind a web page; SPACE as for demo, PORT=8000
	@$(PY) -m examples.agent_backend $(if $(SPACE),--space '$(SPACE)') $(if $(PORT),--port $(PORT))

test: $(VENV)/.dev ## run the tests; ARGS='-k stop' is passed to pytest
	$(PY) -m pytest -n auto --dist loadfile --no-loadscope-reorder tests/docs tests/integration_tests tests/unit_tests $(ARGS)

coverage: ## run the tests, and report which lines none of them runs; ARGS as for test
	@$(MAKE) test ARGS='--cov=langchain_qwen_space --cov-report=term-missing:skip-covered $(ARGS)'

heavy: $(VENV)/.heavy ## run the tests with real weights, a browser, an exported Space, and clients of the API; ARGS as for test
	$(PY) -m pytest -m heavy tests/heavy $(ARGS)

compat: $(VENV)/.dev ## run the tests on real servers of Gradio 4, 5 and 6; ARGS as for test
	$(PY) -m pytest tests/compat $(ARGS)

live: $(VENV)/.dev ## try a real Space and write a dated report; SPACE=Owner/Name, needs the network
	$(if $(SPACE),,$(error name the Space: make live SPACE=Owner/Name))
	LIVE_SPACE='$(SPACE)' $(PY) -m pytest -m network tests/live $(ARGS)

bench: $(VENV)/.bench ## measure the cost of a chunk, compared with other models; ARGS=--quick writes nothing
	$(PY) benchmarks/bench.py $(ARGS)
	$(PY) benchmarks/api.py $(ARGS)

fuzz: $(VENV)/.dev ## fuzz the parsers of a Space's bytes; RUNS=10000000 for a long run
	$(PY) -m pip install --quiet -r tests/fuzz/requirements.txt
	$(PY) -m tests.fuzz.runner --runs $(or $(RUNS),100000) --corpus .fuzz

audit: $(VENV)/.dev ## look for known vulnerabilities of the installed packages; needs the network
	$(PY) -m pip install --quiet pip-audit
	$(PY) -m pip_audit --strict --progress-spinner off --skip-editable

lint: $(VENV)/.dev ## check style, formatting and words
	$(PY) -m ruff check
	$(PY) -m ruff format --check
	$(PY) scripts/check_words.py

format: $(VENV)/.dev ## format the code, and fix what can be fixed automatically
	$(PY) -m ruff check --fix
	$(PY) -m ruff format

types: $(VENV)/.dev ## check the types
	$(PY) -m mypy --strict $(CHECKED)

notebooks: $(VENV)/.dev ## run every notebook on the local Space; SAVE=1 stores the outputs in them
	$(PY) notebooks/run.py $(if $(SAVE),--save)

docs: $(VENV)/.docs ## build the documentation into site/; a warning is an error
	$(PY) -m sphinx --fail-on-warning --keep-going --quiet docs site

build: $(VENV)/.build ## build an sdist and a wheel in dist/, and test the wheel in an empty environment
	rm -rf dist
	$(PY) -m build
	$(PY) -m twine check --strict dist/*
	$(PY) scripts/try_wheel.py dist/*.whl

clean: ## remove .venv and everything else that these commands created, but not the fuzzing corpus
	rm -rf $(VENV) .coverage .hypothesis .mypy_cache .pytest_cache .ruff_cache dist site

# The stamps .demo and .dev record what is installed; a change of pyproject.toml installs it again.
# While .unfinished exists, an installation is running. If it was interrupted, the venv is incomplete,
# so it is created again.
define begin
	@$(PYTHON) -c 'import sys; sys.version_info >= (3, 11) or sys.exit( \
		"Python 3.11 or later is needed, but $(PYTHON) is %d.%d. Name another one: " \
		"make PYTHON=python3.12 ..." % sys.version_info[:2])'
	@echo "Installing into $(VENV). The first time this takes a minute or two ..."
	@if [ -e $(VENV)/.unfinished ]; then rm -rf $(VENV); fi
	@mkdir -p $(VENV)
	@touch $(VENV)/.unfinished
	@[ -e $(VENV)/pyvenv.cfg ] || $(PYTHON) -m venv $(VENV)
endef

$(VENV)/.demo: pyproject.toml
	$(begin)
	@$(PY) -m pip install --quiet --editable '.[local]'
	@rm $(VENV)/.unfinished
	@touch $@

# Dependency groups need pip 25.1, and a new venv may hold an older one.
$(VENV)/.agent: $(VENV)/.demo
	@$(PY) -m pip install --quiet 'pip>=25.1'
	@$(PY) -m pip install --quiet --group examples
	@touch $@

$(VENV)/.dev: pyproject.toml
	$(begin)
	@$(PY) -m pip install --quiet 'pip>=25.1'
	@$(PY) -m pip install --quiet --editable '.[cli,local,openai,parquet,tokens]' --group dev
	@rm $(VENV)/.unfinished
	@touch $(VENV)/.demo $@

$(VENV)/.bench: $(VENV)/.dev
	@$(PY) -m pip install --quiet --group bench
	@touch $@

$(VENV)/.heavy: $(VENV)/.dev
	@$(PY) -m pip install --quiet --editable '.[ray,transformers]' --group heavy
	@touch $@

$(VENV)/.docs: $(VENV)/.dev
	@$(PY) -m pip install --quiet --group docs
	@touch $@

$(VENV)/.build: $(VENV)/.dev
	@$(PY) -m pip install --quiet --group build
	@touch $@
