# The menu. `make` lists it.
SHELL := bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.SUFFIXES:
# Two builds or a build beside a benchmark would disturb each other.
.NOTPARALLEL:
MAKEFLAGS += --no-print-directory

VENV ?= .venv
# The interpreter the virtual environment is made with; name another with `make test PYTHON=...`.
PYTHON ?= $(find_python)
PY := $(VENV)/bin/python
RUST_VERSION := $(shell sed -n 's/^rust-version = "\(.*\)"/\1/p' Cargo.toml)
# Seconds for each fuzz target; a search of any depth takes hours.
FUZZ_SECONDS ?= 30

##@ Use it
.PHONY: help demo station csms
help:  ## list this menu
	@awk 'BEGIN { FS = ":.*## " } /^##@/ { printf "\n%s\n", substr($$0, 5) } \
		/^[a-z-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

demo: $(VENV)/.stamps/cli  ## a station charges against a CSMS, both here; builds what is missing
	@$(PY) -m ocpp_fast.cli demo

##@ Test it
.PHONY: test test-rust test-python crash check bench-gates package
test: $(VENV)/.stamps/test test-rust test-python  ## all tests, Rust and Python; builds what is missing

test-rust: need-rust  ## tests of ocpp-core
	@cargo test --locked --quiet --package ocpp-core

test-python: $(VENV)/.stamps/test  ## tests of the package, README examples included
	@$(PY) -m pytest -q

crash: $(VENV)/.stamps/test  ## the whole crash sweep: a power cut at every write of every scenario (minutes)
	@PYTHONPATH=tests $(PY) -m crash.full

package: $(VENV)/.stamps/dev  ## build the wheel into dist/ and test what is in it
	@rm -rf dist && $(PY) -m pip wheel --quiet --disable-pip-version-check --no-deps --wheel-dir dist .
	@OCPP_FAST_WHEEL=$$(echo "$$PWD"/dist/*.whl) $(PY) -m pytest -q tests/unit/test_package.py

STAGES := format-check lint types stubs test-rust test-python package sanitize fuzz bench-gates
check: $(VENV)/.stamps/dev  ## everything that CI checks: format, lint, types, stubs, tests, wheel, valgrind, fuzz, gates
	@.ci/stages $(STAGES)

bench-gates: $(VENV)/.stamps/dev  ## judge the performance gates (three processes)
	@$(PY) -m bench.check_gates

##@ Work on it
.PHONY: install format format-check lint types stubs generate bench bench-quick sanitize fuzz clean
install: $(VENV)/.stamps/dev  ## .venv with everything for development, the Rust part as release build

format: $(VENV)/.stamps/dev  ## format Python and Rust, sort imports
	@$(PY) -m ruff check --select I --fix --quiet
	@$(PY) -m ruff format
	@cargo fmt

format-check: $(VENV)/.stamps/dev  ## is everything formatted?
	@$(PY) -m ruff format --check
	@cargo fmt --check

lint: $(VENV)/.stamps/dev  ## ruff and clippy
	@$(PY) -m ruff check
	@cargo clippy --locked --quiet --workspace --all-targets -- --deny warnings

types: $(VENV)/.stamps/dev  ## pyright, strict
	@$(PY) -m pyright --project . --pythonpath $(PY)

stubs: $(VENV)/.stamps/dev  ## does _core.pyi agree with the built module?
	@$(PY) -m mypy.stubtest ocpp_fast._core --allowlist tests/stubs/allowlist.txt \
		--mypy-config-file tests/stubs/mypy.ini --concise

generate: $(VENV)/.stamps/test  ## write the generated tables and stubs anew
	@PYTHONPATH=python $(PY) -m ocpp_codegen

bench: $(VENV)/.stamps/dev  ## all benchmarks against all peers, with the report (about 6 minutes)
	@$(PY) -m bench

bench-quick: $(VENV)/.stamps/dev  ## one quick run of the gates
	@$(PY) -m bench.check_gates --processes 1

sanitize: $(VENV)/.stamps/test  ## the unsafe module under valgrind, if there is one
	@VENV=$(VENV) tests/sanitizer/run

fuzz: need-rust  ## each fuzz target for FUZZ_SECONDS (30)
	@rust/fuzz/run $(FUZZ_SECONDS)

clean:  ## remove everything that was built, the virtual environment included
	@rm -rf $(VENV) target rust/fuzz/target dist bench/results .pytest_cache .ruff_cache .mypy_cache .hypothesis .benchmarks
	@rm -f python/ocpp_fast/_core.*.so
	@find python tests bench -name __pycache__ -type d -prune -exec rm -rf {} +

# --- what the targets stand on ------------------------------------------------------------------

# The install is editable: a change of a Python file needs nothing, a change of one of these a build.
BUILD_INPUTS := pyproject.toml Cargo.toml Cargo.lock $(wildcard rust/*/Cargo.toml rust/*/build.rs) \
	$(shell find rust/ocpp-core/src rust/ocpp-py/src -name '*.rs')

# One stamp for each set of extras. `pip install` builds with the maturin that pyproject.toml names.
# The larger sets have what the smaller ones have.
EXTRAS_cli := cli
EXTRAS_test := cli,test
EXTRAS_dev := dev
ALSO_test := cli
ALSO_dev := cli test
$(VENV)/.stamps/%: $(BUILD_INPUTS) | $(PY) need-rust need-linker
	@echo "Installing ocpp-fast[$(EXTRAS_$*)] into $(VENV); the first build takes a minute or two"
	@$(PY) -m pip install --quiet --disable-pip-version-check --editable '.[$(EXTRAS_$*)]'
	@$(PY) -c 'import ocpp_fast._core as c; assert c.build_profile == "release", c.build_profile'
	@mkdir -p $(@D) && touch $(addprefix $(@D)/,$(ALSO_$*) $*)

$(PY):
	$(if $(PYTHON),,$(error No Python 3.11 or newer found: install one (Debian: apt-get install python3 python3-venv), or name it with PYTHON=/path/to/python3))
	$(if $(shell $(PYTHON) -c $(is_new_enough) 2>/dev/null && echo yes),,$(error $(PYTHON) is older than Python 3.11: install a newer one (Debian: apt-get install python3 python3-venv), or name it with PYTHON=/path/to/python3))
	$(if $(shell $(PYTHON) -c 'import ensurepip, venv' 2>/dev/null && echo yes),,$(error $(PYTHON) cannot make virtual environments: install its venv module (Debian: apt-get install python3-venv)))
	@$(PYTHON) -m venv $(VENV)

# A failed check is one line of make's own, `Makefile:1: *** Rust is missing: ....  Stop.`
.PHONY: need-rust need-linker
need-rust:
	$(if $(shell command -v cargo),,$(error Rust is missing: install Rust $(RUST_VERSION) or newer with rustup, then run make again))
	$(if $(shell printf '%s\n' $(RUST_VERSION) "$$(rustc --version | cut -d' ' -f2)" | sort -V -C && echo yes),,$(error Rust is too old: install Rust $(RUST_VERSION) or newer (rustup update stable), then run make again))

need-linker:
	$(if $(shell command -v cc || command -v gcc || command -v clang),,$(error A C linker is missing, which Rust needs: install gcc (Debian: apt-get install gcc libc6-dev), then run make again))

is_new_enough := 'import sys; sys.exit(sys.version_info < (3, 11))'
find_python = $(shell for python in python3 python3.14 python3.13 python3.12 python3.11 python; do \
	if $$python -c $(is_new_enough) 2>/dev/null; then command -v $$python; break; fi; done)
