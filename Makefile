# The two commands of the README are `make demo` and `make test`; each sets up what it needs.
PYTHON ?= $(shell for p in python3.11 python3.12 python3.13 python3.14 python3; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)
VENV := .venv/bin
TYPED := .cache/typed

.PHONY: help python setup setup-tests demo test lint types unit clean

help:
	@echo "make demo    set up, then perform: writes demo.wav and demo.png"
	@echo "make test    set up, then ruff, mypy and the tests"
	@echo "make setup   set up only (.venv/)"
	@echo "make clean   remove what was built and what the demo wrote; .venv/ stays"

python:
	@test -n "$(PYTHON)" || { echo "set-up: no Python 3.11 or newer was found; install python3.11 and python3-venv" >&2; exit 2; }

setup: python
	@$(PYTHON) tools/set_up.py

setup-tests: python
	@$(PYTHON) tools/set_up.py --tests

demo: setup
	@$(VENV)/segue demo

test: lint types unit

lint: setup-tests
	$(VENV)/ruff check .

# mypy reads the installed wheel, since the folders become one namespace only there.
types: setup-tests
	@rm -rf build/lib build/bdist* $(TYPED) && mkdir -p $(TYPED)
	@$(VENV)/python -m pip wheel --quiet --no-build-isolation --no-deps -w $(TYPED)/wheel .
	@$(VENV)/python -m pip install --quiet --no-deps --target $(TYPED)/lib $(TYPED)/wheel/segue-*.whl
	cd $(TYPED)/lib && $(CURDIR)/$(VENV)/mypy --config-file $(CURDIR)/pyproject.toml --cache-dir $(CURDIR)/.mypy_cache -p segue

# A machine that loses audio cycles fails tests that play in real time; those that failed are tried once more, and both runs are shown.
unit: setup-tests
	$(VENV)/python -m pytest -q -m "not realtime"
	$(VENV)/python -m pytest -q -m realtime || $(VENV)/python -m pytest -q -m realtime --last-failed

clean:
	rm -rf build dist *.egg-info demo.wav demo.png .cache .pytest_cache .mypy_cache .ruff_cache .hypothesis
