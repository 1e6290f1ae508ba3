# Everything happens in a virtual environment of its own, .venv; a second run reuses it.
PYTHON ?= python3
BIN := .venv/bin

JAVA := $(if $(JAVA_HOME),$(JAVA_HOME)/bin/)java

.PHONY: demo test test-all java postgresql chromium lint clean

demo: .venv/base
	$(BIN)/dualuse classify data/examples/papers.jsonl -o build/papers.csv --keep id --restart
	$(BIN)/dualuse classify data/examples/projects.csv -o build/projects.csv --restart
	@$(PYTHON) -c "import csv; [print(f\"{r['award_id']:12} {r['tags'] or '-':28} {r['award_title'][:70]}\") for r in csv.DictReader(open('build/projects.csv', encoding='utf-8'))]"

test: .venv/test
	$(BIN)/pytest -m "not heavy"

# What `make test` leaves out.
test-all: .venv/test .venv/spark java postgresql chromium
	$(BIN)/pytest -m heavy

# Spark 4 runs on Java 17 or later. Where there is none and apt-get is, it is installed.
java:
	@has() { $(JAVA) -version 2>&1 | grep -Eq 'version "(1[7-9]|[2-9][0-9])'; }; has && exit; \
	sudo=; [ "$$(id -u)" = 0 ] || sudo=sudo; \
	if command -v apt-get >/dev/null && { [ -z "$$sudo" ] || command -v sudo >/dev/null; }; then \
		echo "No Java 17 or later found: installing one for the Spark tests."; \
		$$sudo apt-get update -qq && { $$sudo apt-get install -qq -y openjdk-17-jre-headless \
			|| $$sudo apt-get install -qq -y openjdk-21-jre-headless; }; \
	fi; \
	has || { echo "The Spark tests need Java 17 or later. Install one and set JAVA_HOME, or run 'make test', which leaves them out." >&2; exit 1; }

# The service is tried on a PostgreSQL of Debian's, which the tests start themselves.
postgresql:
	@has() { command -v initdb >/dev/null || ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1; }; has && exit; \
	sudo=; [ "$$(id -u)" = 0 ] || sudo=sudo; \
	if command -v apt-get >/dev/null && { [ -z "$$sudo" ] || command -v sudo >/dev/null; }; then \
		echo "No PostgreSQL found: installing one for the service's tests."; \
		$$sudo apt-get update -qq && $$sudo apt-get install -qq -y postgresql; \
	fi; \
	has || { echo "The service's tests need PostgreSQL's initdb and pg_ctl. Install it, or run 'make test', which leaves them out." >&2; exit 1; }

# The page is tried in Debian's Chromium.
chromium:
	@has() { command -v chromium >/dev/null && command -v chromedriver >/dev/null; }; has && exit; \
	sudo=; [ "$$(id -u)" = 0 ] || sudo=sudo; \
	if command -v apt-get >/dev/null && { [ -z "$$sudo" ] || command -v sudo >/dev/null; }; then \
		echo "No Chromium found: installing one for the tests of the page."; \
		$$sudo apt-get update -qq && $$sudo apt-get install -qq -y chromium chromium-driver; \
	fi; \
	has || { echo "The tests of the page need chromium and chromedriver. Install them, or run 'make test', which leaves them out." >&2; exit 1; }

# hadolint has no wheel for every machine.
lint: .venv/dev
	$(BIN)/ruff check . && $(BIN)/ruff format --check . && $(BIN)/mypy
	if [ -x $(BIN)/hadolint ]; then $(BIN)/hadolint Dockerfile; fi

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

.venv/spark: .venv/python pyproject.toml
	$(BIN)/pip install --quiet --disable-pip-version-check -e '.[spark]'
	touch $@

.venv/dev: .venv/python pyproject.toml
	$(BIN)/pip install --quiet --disable-pip-version-check -e '.[dev]'
	touch $@
