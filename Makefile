# make demo    one phantom study, from DICOM to report
# make review  opens the demo's result in napari
# make test    all tests
# make check   lint, types, layering
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt
DEMO ?= demo

.PHONY: demo review test check notebooks clean

demo: $(VENV)/.core
	$(BIN)/nvc phantom --cases 1 --seed 5 --quality good --out $(DEMO)/phantom
	$(BIN)/nvc run $(DEMO)/phantom/case-000/dicom --out $(DEMO)/result

review: $(VENV)/.viewer
	test -f $(DEMO)/result/case.json || $(MAKE) demo
	$(BIN)/nvc review $(DEMO)

test: $(VENV)/.test
	scripts/run-tests $(BIN)

check: $(VENV)/.test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

clean:
	rm -rf $(VENV) $(DEMO) .pytest_cache .mypy_cache .ruff_cache .import_linter_cache

$(VENV)/bin/python:
	scripts/system-packages demo
	$(PYTHON) -m venv $(VENV)

$(VENV)/.core: $(VENV)/bin/python pyproject.toml constraints.txt
	scripts/system-packages demo
	$(PIP) -e .
	touch $@

$(VENV)/.viewer: $(VENV)/.core
	scripts/system-packages review
	$(PIP) -e '.[viewer]'
	touch $@

$(VENV)/.test: $(VENV)/bin/python pyproject.toml constraints.txt
	scripts/system-packages test
	$(PIP) -e '.[viewer,workflow,notebooks,postgres,dev]'
	touch $(VENV)/.core $(VENV)/.viewer $@
