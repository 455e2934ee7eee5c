# Two commands set everything up: `make demo` and `make test`. Both need Python 3.11 or later, git and make.
PYTHON ?= python3
BIN := .venv/bin
APT := $(shell [ "$$(id -u)" = 0 ] && echo "apt-get" || echo "sudo -n apt-get")

.PHONY: demo test check install install-test chromium pictures bench clean

demo: install
	$(BIN)/meterboard demo

install: .venv/installed
install-test: .venv/installed-test

.venv/bin/python:
	$(PYTHON) -m venv .venv

.venv/installed: .venv/bin/python pyproject.toml package-lock.json hatch_build.py $(wildcard src/meterboard/web/assets/*) $(wildcard src/meterboard/web/assets/*/*)
	$(BIN)/pip install --quiet --disable-pip-version-check --editable .
	touch $@

.venv/installed-test: .venv/installed
	$(BIN)/pip install --quiet --disable-pip-version-check --editable '.[test]'
	touch $@

chromium:
	@command -v chromium >/dev/null || { command -v apt-get >/dev/null && $(APT) update -qq && $(APT) install -y -qq chromium; } \
		|| echo "No Chromium: install it to run the browser tests, which fail without it."

check: install-test
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy

test: install-test chromium
	$(BIN)/pytest --numprocesses auto --maxprocesses 4 --dist worksteal

# Anew the pictures of the documentation.
pictures: install-test chromium
	METERBOARD_PICTURES=docs/images $(BIN)/pytest tests/browser/test_pictures.py tests/browser/gallery.py

bench: install-test
	$(BIN)/python -m benchmarks

clean:
	rm -rf .venv build dist src/meterboard/web/static node_modules
