#!/bin/sh
# Builds the web app into web/dist, where the server's build finds it. Does nothing where it is up to date.
# usage: web.sh need    fail without Node        web.sh if-there    without Node say so, and go on with the plain page
#        web.sh install the packages only
set -eu
cd "$(dirname "$0")/../web"

if ! node -e 'const [a, b] = process.versions.node.split(".").map(Number); process.exit(a > 20 || (a === 20 && b >= 19) ? 0 : 1)' 2>/dev/null; then
    echo "there is no Node.js 20.19 or newer: the program is built without the web app, a plain page stands in"
    [ "${1:-need}" = if-there ] && exit 0
    echo "install Node.js 20 or newer, then run make again" >&2
    exit 1
fi

if [ ! -f node_modules/.package-lock.json ] || [ package-lock.json -nt node_modules/.package-lock.json ]; then
    echo "installing the web app's packages"
    npm ci --no-fund --no-audit --loglevel=error
    touch node_modules/.package-lock.json
fi
[ "${1:-need}" != install ] || exit 0

newer=$(find src public index.html vite.config.ts svelte.config.js package.json package-lock.json -newer dist/index.html 2>/dev/null | head -n 1 || true)
if [ -f dist/index.html ] && [ -z "$newer" ]; then
    exit 0
fi
npm run --silent build -- --logLevel warn
echo "built: web/dist"
