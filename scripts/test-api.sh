#!/bin/sh
# `make test-api`, and a part of `make test`: schemathesis attacks the server by its own OpenAPI document, with requests that fit it and requests that
# do not, and holds every answer against it. The model is a script. It says nothing about what tasks do.
#
#   test-api.sh PROGRAM    the thenar to test, with thenar-keeper beside it
set -eu
cd "$(dirname "$0")/.."
program=$1

version=4.32.5
place="${XDG_CACHE_HOME:-$HOME/.cache}/thenar/test-api/$version"
if [ ! -f "$place/ready" ]; then
    echo "installing schemathesis $version into $place (once)"
    rm -rf "$place"
    mkdir -p "$place"
    python3 -m venv "$place/venv"
    "$place/venv/bin/pip" install --quiet "schemathesis==$version"
    : >"$place/ready"
fi

scratch=$(mktemp -d)
server=
end() {
    [ -z "$server" ] || kill "$server" 2>/dev/null || true
    [ -z "$server" ] || wait "$server" 2>/dev/null || true
    rm -rf "$scratch"
}
trap end EXIT
trap 'exit 130' INT TERM

printf '{"turns": [{"say": "Done."}]}\n' >"$scratch/script.json"
export THENAR_HOME="$scratch/home" THENAR_MODEL="script:$scratch/script.json"
"$program" serve --addr 127.0.0.1:0 2>"$scratch/said" &
server=$!
tries=0
until grep -q 'Ctrl-C stops the server' "$scratch/said"; do
    tries=$((tries + 1))
    if [ "$tries" -gt 300 ] || ! kill -0 "$server" 2>/dev/null; then
        cat "$scratch/said" >&2
        exit 1
    fi
    sleep 0.1
done
address=$(sed -n 's/.*serves at \(http:[^ ]*\).*/\1/p' "$scratch/said")
token=$(cat "$THENAR_HOME/access-token")

# The same requests each time: what fails once can be looked at again.
cd "$scratch"
"$place/venv/bin/schemathesis" --config-file "$OLDPWD/scripts/schemathesis.toml" --no-color run "$OLDPWD/docs/openapi.json" --url "$address" \
    --header "Authorization: Bearer $token" --seed 20260726 --max-examples "${EXAMPLES:-12}" --max-time "${SECONDS_MAX:-80}" \
    --rate-limit 40/s --phases examples,coverage,fuzzing --continue-on-failure --request-timeout 20 --warnings off
