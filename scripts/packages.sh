#!/bin/sh
# Says which Debian packages are missing, and installs them. With INSTALL=no it only says. It touches nothing else.
set -eu

# compiling · the toolset's interpreter · looking into PDF files · looking at processes and mounts ·
# the other maker of computers · the agent's browser (the quick one, and the whole, which the page tests use too) · letters and signs that pages need, and what keeps their list ·
# what tests call in computers · what is measured beside it
wanted="gcc libc6-dev make ca-certificates python3 python3-venv python3-pip poppler-utils procps util-linux bubblewrap \
chromium-headless-shell chromium fontconfig fonts-liberation fonts-noto-cjk fonts-noto-color-emoji curl less ${BESIDE:-}"

if ! command -v cargo >/dev/null 2>&1; then
    echo "Rust is missing: install it from https://rustup.rs or your distribution, then run make again" >&2
    exit 1
fi

if ! command -v dpkg-query >/dev/null 2>&1 || ! command -v apt-get >/dev/null 2>&1; then
    missing=
    for program in cc make python3 pdftotext ps unshare bwrap chromium curl less; do
        command -v "$program" >/dev/null 2>&1 || missing="$missing $program"
    done
    if [ -n "$missing" ]; then
        echo "this is no Debian, so install these programs with your own package manager:$missing" >&2
        exit 1
    fi
    exit 0
fi

missing=
for package in $wanted; do
    state=$(dpkg-query -W -f='${Status}' "$package" 2>/dev/null || true)
    [ "$state" = "install ok installed" ] || missing="$missing $package"
done
[ -n "$missing" ] || exit 0

echo "Debian packages needed and missing:$missing"
if [ "${INSTALL:-yes}" = no ]; then
    echo "INSTALL=no: nothing was installed"
    exit 0
fi

if [ "$(id -u)" = 0 ]; then
    as_root=
elif command -v sudo >/dev/null 2>&1; then
    as_root=sudo
    echo "installing them needs root: sudo may ask for your password"
else
    echo "installing them needs root, and there is no sudo. As root: apt-get install$missing" >&2
    exit 1
fi
export DEBIAN_FRONTEND=noninteractive
$as_root apt-get -qq update
# shellcheck disable=SC2086 # words are meant to be split
$as_root apt-get -qq install --yes --no-install-recommends $missing >/dev/null
echo "installed:$missing"
