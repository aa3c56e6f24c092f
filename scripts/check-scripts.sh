#!/bin/sh
# The checks that are written in Python: each runs with the standard library or with the toolset, and needs no terminal.
set -eu

python3 docs/verify_journal.py --self-check
python3 crates/tools/tests/check_samples.py
python3 examples/demo/build_script.py --check
