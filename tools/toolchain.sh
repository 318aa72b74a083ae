#!/bin/sh
# Say at once, and all together, which tools are missing or too old. Usage: toolchain.sh PYTHON
python=$1
missing=0
need() { # name, why, how
    missing=1
    printf 'missing: %s\n   needed for %s\n   %s\n' "$1" "$2" "$3" >&2
}
command -v cargo >/dev/null 2>&1 || need "Rust (cargo)" "the extension" "install Rust 1.91 or newer with rustup"
if command -v "$python" >/dev/null 2>&1; then
    "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' ||
        need "CPython 3.11+" "everything" "$python is older; set PYTHON=/path/to/python3.11"
else
    need "CPython 3.11+" "everything" "set PYTHON=/path/to/python3.11"
fi
command -v cc >/dev/null 2>&1 || need "a C compiler (cc)" "librdkafka, zstd" "install gcc or clang"
command -v java >/dev/null 2>&1 || echo "note: no Java 17 found; tests against Kafka will not run" >&2
command -v mvn >/dev/null 2>&1 || echo "note: no Maven found; tests against Kafka will not run" >&2
exit $missing
