# headwater: `make run` shows it, `make test` proves it; both build what is missing.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# Where Cargo puts what it builds; set it to share one cache between clones.
CARGO_TARGET_DIR ?= $(CURDIR)/target
export CARGO_TARGET_DIR

.PHONY: native
native:
	cargo build --release -p hw-native --features extension-module
	install -m 755 $(CARGO_TARGET_DIR)/release/lib_native.so src/headwater/native/_native.abi3.so.new
	mv -f src/headwater/native/_native.abi3.so.new src/headwater/native/_native.abi3.so
