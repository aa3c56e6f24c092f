#!/bin/sh
# The checks that are written in Python, run with the toolset as the agent's computer sees it. The journal's verifier in
# Python is not here: the journal's own tests hold it against real bundles.
set -eu
cd "$(dirname "$0")/.."

toolset=$(sh toolset/setup.sh --print-dir)
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
export PYTHONPATH="$toolset/site" PYTHONDONTWRITEBYTECODE=1 MPLCONFIGDIR="$scratch" MPLBACKEND=Agg TMPDIR="$scratch"

"$toolset/bin/python3" examples/demo/build_script.py --check
"$toolset/bin/python3" crates/tools/tests/check_samples.py
"$toolset/bin/python3" examples/demo/test_demo.py
