# Everything happens in a virtual environment of its own, .venv; a second run reuses it.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: demo test test-all lint clean

demo: .venv/base
	$(BIN)/dualuse classify data/examples/papers.jsonl -o build/papers.csv --keep id
	$(BIN)/dualuse classify data/examples/projects.csv -o build/projects.csv
	@$(PYTHON) -c "import csv; [print(f\"{r['award_id']:12} {r['tags'] or '-':28} {r['award_title'][:70]}\") for r in csv.DictReader(open('build/projects.csv', encoding='utf-8'))]"

test: .venv/test
	$(BIN)/pytest -m "not heavy"

test-all: .venv/test
	$(BIN)/pytest

lint: .venv/dev
	$(BIN)/ruff check . && $(BIN)/ruff format --check . && $(BIN)/mypy

clean:
	rm -rf .venv build dist

.venv/python:
	$(PYTHON) -c "import sys; assert (3, 11) <= sys.version_info < (3, 14), 'dualuse needs Python 3.11 to 3.13, this is %d.%d: make PYTHON=python3.12 ...' % sys.version_info[:2]"
	$(PYTHON) -m venv .venv
	mkdir -p build
	touch $@

.venv/base: .venv/python pyproject.toml
	$(BIN)/pip install --quiet --disable-pip-version-check -e .
	touch $@

.venv/test: .venv/python pyproject.toml
	$(BIN)/pip install --quiet --disable-pip-version-check -e '.[test]'
	touch $@

.venv/dev: .venv/python pyproject.toml
	$(BIN)/pip install --quiet --disable-pip-version-check -e '.[dev]'
	touch $@
