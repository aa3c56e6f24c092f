#!/bin/sh
# Fetches the pages of MiniWoB++ (the Python package `miniwob`, MIT) once, and prints the folder that they are in.
set -eu
version=1.1.0
digest=297006e84219d56ad037e843527ed773a4a82509dc43b6031ec4a3ad3e3e61d9
cache=${XDG_CACHE_HOME:-$HOME/.cache}/thenar/miniwob/$version
if [ ! -f "$cache/miniwob/html/core/core.js" ]; then
    mkdir -p "$cache"
    wanted=$(mktemp)
    trap 'rm -f "$wanted"' EXIT
    echo "miniwob==$version --hash=sha256:$digest" >"$wanted"
    python3 -m pip download --quiet --disable-pip-version-check --no-deps --require-hashes --only-binary :all: \
        --dest "$cache" --requirement "$wanted" >&2 || {
        echo "the pages could not be fetched: python3 with pip and a way to its package index are needed;" >&2
        echo "or give a folder that has them with --pages" >&2
        exit 1
    }
    python3 -m zipfile -e "$cache/miniwob-$version-py3-none-any.whl" "$cache"
    rm -f "$cache/miniwob-$version-py3-none-any.whl"
fi
echo "$cache/miniwob/html"
