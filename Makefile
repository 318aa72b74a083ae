# headwater. `make run` shows it, `make test` proves it; both build what is missing.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# Where Cargo puts what it builds; name one folder for several clones and they share it.
CARGO_TARGET_DIR ?= $(CURDIR)/target
export CARGO_TARGET_DIR
# Where test servers (Kafka, PostgreSQL) are kept, outside the tree.
HEADWATER_TEST_CACHE ?= $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/headwater-tests
export HEADWATER_TEST_CACHE

DEMO_DIR ?= $(CURDIR)/data/demo
# Test files that run beside each other, at most one a processor; each has servers of its own.
TEST_PROCESSES ?= 4

.DEFAULT_GOAL := help
.PHONY: help toolchain build native run test test-deps test-rust test-python check format bench clean

help: ## Show what there is to make
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F':.*## ' '{printf "  make %-12s %s\n", $$1, $$2}'

toolchain:
	@sh tools/toolchain.sh "$(PYTHON)"

# The environment is made once for each state of pyproject.toml.
$(VENV)/.stamp: pyproject.toml | toolchain
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade "pip>=25.1" "maturin>=1.9,<2"
	$(BIN)/python -m pip install --quiet --group dev
	touch $@

build: $(VENV)/.stamp ## Build the extension and install headwater into .venv
	VIRTUAL_ENV=$(CURDIR)/$(VENV) $(BIN)/maturin develop --release --quiet

native: ## Build only the extension, after a change in rust/
	cargo build --release -p hw-native --features extension-module
	install -m 755 $(CARGO_TARGET_DIR)/release/lib_native.so src/headwater/native/_native.abi3.so.new
	mv -f src/headwater/native/_native.abi3.so.new src/headwater/native/_native.abi3.so

run: build ## Start a server with a live demo and show it
	$(BIN)/headwater demo --data $(DEMO_DIR)

test-deps: build ## Install the servers that tests need, outside the tree
	$(BIN)/python tools/test_deps.py

test: check test-rust test-python ## Run every check and every test

test-rust: toolchain
	cargo test --release --workspace

test-python: test-deps
	$(BIN)/python -m pytest -n auto --maxprocesses=$(TEST_PROCESSES) --dist=loadfile --no-loadscope-reorder

check: build ## Format, lint, types, layers, house rules: no test
	cargo fmt --check
	cargo clippy --release --workspace --all-targets --quiet -- -D warnings
	$(BIN)/ruff format --check --quiet src tests tools bench
	$(BIN)/ruff check --quiet src tests tools bench
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache
	$(BIN)/python tools/tidy.py
	$(BIN)/python tools/list_functions.py --check

format: ## Format everything
	cargo fmt
	$(BIN)/ruff format src tests tools bench
	$(BIN)/ruff check --fix --quiet src tests tools bench

bench: build ## Measure headwater beside what it is compared with
	$(BIN)/python -m bench

clean: ## Remove what was built; data and test servers stay
	rm -rf $(VENV) target src/headwater/native/_native*.so
