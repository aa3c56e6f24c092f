#!/bin/sh
# Builds the toolset: the pinned, hash-checked Python environment that every computer of the agent sees, read-only, at
# /opt/thenar/toolset. It is made in a folder of its own and renamed into place whole; a second run finds it and leaves.
# It changes nothing of the system but Debian packages that are missing, and it names those first.
#
#   setup.sh [--lock FILE] [--no-apt] [--print-dir]
#     --lock FILE   requirements.lock; "-" reads it from standard input (default: the one beside this script)
#     --no-apt      never install a system package; say what is missing and stop
#     --print-dir   print the toolset's folder and leave
#   THENAR_TOOLSET  the folder to build (default: the XDG cache folder, thenar/toolset/ and 16 digits of the lock's hash)
set -eu
umask 022

say() { printf '%s\n' "$*" >&2; }
die() { say "setup: $1"; [ -z "${2:-}" ] || say "  hint: $2"; exit 1; }

lock=
apt=yes
print_dir=no
while [ $# -gt 0 ]; do
    case $1 in
        --lock) [ $# -ge 2 ] || die "--lock needs a file"; lock=$2; shift ;;
        --no-apt) apt=no ;;
        --print-dir) print_dir=yes ;;
        *) die "unknown option $1" "see the head of this script" ;;
    esac
    shift
done

work=$(mktemp -d "${TMPDIR:-/tmp}/thenar-setup.XXXXXX")
build=
cleanup() { rm -rf "$work"; [ -z "$build" ] || rm -rf "$build"; }
trap cleanup EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

case $lock in
    -) cat > "$work/requirements.lock" ;;
    '') cp "$(dirname "$0")/requirements.lock" "$work/requirements.lock" || die "no requirements.lock beside this script" "name it with --lock FILE" ;;
    *) cp "$lock" "$work/requirements.lock" || die "read the lock file $lock" ;;
esac
grep -q -e '--hash=sha256:' "$work/requirements.lock" || die "the lock file holds no hashes" "is it requirements.lock?"
digest=$(sha256sum < "$work/requirements.lock" | cut -c1-64)

if [ -n "${THENAR_TOOLSET:-}" ]; then
    target=$THENAR_TOOLSET
else
    [ -n "${XDG_CACHE_HOME:-}" ] || [ -n "${HOME:-}" ] || die "neither HOME nor XDG_CACHE_HOME is set" "set THENAR_TOOLSET to a folder"
    target=${XDG_CACHE_HOME:-$HOME/.cache}/thenar/toolset/$(printf %s "$digest" | cut -c1-16)
fi
case $target in /*) ;; *) target=$PWD/$target ;; esac
if [ "$print_dir" = yes ]; then printf '%s\n' "$target"; exit 0; fi

python=/usr/bin/python3      # the one that the computer sees; another python on PATH would not be there
python_version() { "$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null || true; }
marker() { printf '%s\npython %s\n' "$digest" "$(python_version)"; }
is_complete() { [ -f "$target/COMPLETE" ] && [ "$(cat "$target/COMPLETE")" = "$(marker)" ]; }

pip_found() {
    if "$python" -m pip --version >/dev/null 2>&1; then pip="$python -m pip"; return 0; fi
    # pip 22.3 and later can work for another interpreter than its own.
    for other in python3 python; do
        if "$other" -m pip --python "$python" --version >/dev/null 2>&1; then pip="$other -m pip --python $python"; return 0; fi
    done
    return 1
}

missing=
[ -x "$python" ] || missing="$missing python3"
command -v pdftotext >/dev/null 2>&1 || [ -x /usr/bin/pdftotext ] || missing="$missing poppler-utils"
if ! is_complete && { [ ! -x "$python" ] || ! pip_found; }; then missing="$missing python3-pip"; fi

# Only a folder that is ours, or empty, is ever replaced.
if [ -e "$target" ] && [ ! -f "$target/MANIFEST" ] && [ -n "$(ls -A "$target" 2>/dev/null || echo x)" ]; then
    die "$target exists and is no toolset" "choose another folder in THENAR_TOOLSET"
fi

if [ -z "$missing" ] && is_complete; then
    say "toolset: complete in $target"
    exit 0
fi

say "Thenar's toolset: what the agent's computer works with (data, charts, documents, PDF, fonts)."
[ -z "$missing" ] || say "  will install Debian packages:$missing"
if ! is_complete; then
    say "  will download $(sed -n "s/^\([a-z][A-Za-z0-9._-]*\)==.*/\1/p" "$work/requirements.lock" | sort -u | wc -l) pinned Python packages, each checked by its SHA-256, into"
    say "    $target (about 260 MB; nothing of the system's Python changes)"
fi

if [ -n "$missing" ]; then
    sudo=
    if [ "$(id -u)" != 0 ]; then
        command -v sudo >/dev/null 2>&1 || apt=no
        sudo=sudo
    fi
    if [ "$apt" != yes ] || ! command -v apt-get >/dev/null 2>&1; then
        die "missing:$missing" "install them (Debian: apt-get install$missing), then run setup again"
    fi
    say "  [1/4] Debian packages:$missing"
    # A package list may be too old or absent: refresh it only when the first try fails.
    # shellcheck disable=SC2086  # a list of words
    install() { $sudo env DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends $missing >"$work/apt.log" 2>&1; }
    install || { $sudo apt-get update -q >>"$work/apt.log" 2>&1 && install; } || { tail -n 15 "$work/apt.log" >&2; die "install$missing" "run: apt-get install$missing"; }
else
    say "  [1/4] Debian packages: nothing is missing"
fi
if is_complete; then say "toolset: complete in $target"; exit 0; fi

version=$(python_version)
case $version in
    3.1[1-4]) ;;
    *) die "$python is Python ${version:-of no known version}; the lock is for 3.11 to 3.14" ;;
esac
pip_found || die "no pip that can work for $python" "apt-get install python3-pip"

parent=$(dirname "$target")
mkdir -p "$parent"
build=$(mktemp -d "$parent/.building.XXXXXX")
chmod 755 "$build"
mkdir "$build/bin" "$build/fonts" "$build/cache"

say "  [2/4] Python packages (a minute or two)"
wanted=$(sed -n 's/^\([a-z][A-Za-z0-9._-]*\)==.*/\1/p' "$work/requirements.lock" | sort -u | wc -l)
{
    # A pipe has only its last part's exit code: a file says that pip ended well.
    if $pip --disable-pip-version-check install --no-input --no-compile --no-deps --require-hashes --only-binary :all: \
        --target "$build/site" -r "$work/requirements.lock" 2>&1; then : > "$work/pip.good"; fi
} | tee "$work/pip.log" | {
    number=0
    while read -r word name _; do
        case $word in
            Collecting) number=$((number + 1)); name="$number of $wanted: ${name%%==*}" ;;
            Installing) name="unpacking" ;;
            *) continue ;;
        esac
        [ ! -t 2 ] || printf '\r        %-60s' "$name" >&2
    done
    [ ! -t 2 ] || printf '\r%-70s\r' '' >&2
}
if [ ! -f "$work/pip.good" ]; then
    grep -e 'ERROR' -e 'rror:' -e '==.* from ' -e '  Got ' "$work/pip.log" | tail -n 8 >&2 || tail -n 8 "$work/pip.log" >&2
    die "install the Python packages" "is the package index reachable? run setup again; what was there before is untouched"
fi
# Tests of the libraries are a fifth of the size and nobody's work.
rm -rf "$build/site/bin" "$build/site/pandas/tests" "$build/site/matplotlib/tests" "$build/site/fontTools/ttLib/tables/__pycache__"

say "  [3/4] fonts and caches"
for font in "$build"/site/font_source_sans_pro/files/SourceSansPro-*.ttf "$build"/site/font_source_serif_pro/files/SourceSerifPro-*.ttf \
            "$build"/site/paperang_p2_fonts_cjk/fonts/*.ttc; do
    ln "$font" "$build/fonts/" || cp "$font" "$build/fonts/"
done
cat > "$build/fonts/LICENSES" <<'END'
SourceSansPro-*.ttf, SourceSerifPro-*.ttf  Adobe, SIL Open Font License 1.1 (text: site/font_source_*_pro/files/LICENSE.txt)
wqy-microhei.ttc                           WenQuanYi Micro Hei, Apache License 2.0 or GPL 3 with font exception
END
ln -s "$python" "$build/bin/python3"
ln -s "$python" "$build/bin/python"

# A fresh computer has an empty home: without this, the first chart of every task would scan all fonts again.
cat > "$build/site/sitecustomize.py" <<'END'
"""Hands matplotlib the font list that was made when the toolset was built. Does nothing where there is one already."""
import os


def _font_list():
    config = os.environ.get("MPLCONFIGDIR")
    if not config:
        return
    root = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    try:
        for name in os.listdir(os.path.join(root, "cache")):
            wanted = os.path.join(config, name)
            if os.path.exists(wanted):
                continue
            with open(os.path.join(root, "cache", name), encoding="utf-8") as made:
                text = made.read().replace("@TOOLSET@", root)
            os.makedirs(config, exist_ok=True)
            with open(f"{wanted}.{os.getpid()}", "w", encoding="utf-8") as out:
                out.write(text)
            os.replace(f"{wanted}.{os.getpid()}", wanted)
    except OSError:
        pass                                     # matplotlib then makes its own


_font_list()
END
MPLCONFIGDIR="$work/mpl" PYTHONPATH="$build/site" PYTHONDONTWRITEBYTECODE=1 "$python" - "$build" >"$work/fonts.log" 2>&1 <<'END' || { tail -n 15 "$work/fonts.log" >&2; die "make the font list"; }
import json, os, sys
from pathlib import Path
build = Path(sys.argv[1])
import matplotlib
from matplotlib import font_manager as fm
# Only fonts of the toolset, so that a chart looks the same on every machine.
manager = fm.FontManager.__new__(fm.FontManager)
manager.__dict__.update(fm.fontManager.__dict__)
own = [entry for entry in manager.ttflist if entry.fname.startswith(str(build))]
manager.ttflist, manager.afmlist = own, [entry for entry in manager.afmlist if entry.fname.startswith(str(build))]
for font in sorted((build / "fonts").iterdir()):
    if font.suffix in (".ttf", ".ttc"):
        manager.addfont(str(font))
name = f"fontlist-v{fm.FontManager.__version__}.json"
fm.json_dump(manager, str(build / "cache" / name))
text = (build / "cache" / name).read_text().replace(str(build), "@TOOLSET@")
json.loads(text)
assert "Source Sans Pro" in text and "WenQuanYi" in text, "the fonts are not in the list"
(build / "cache" / name).write_text(text)
END
"$python" -m compileall -q -j 0 --invalidation-mode unchecked-hash -s "$build" -p /opt/thenar/toolset "$build/site" >"$work/compile.log" 2>&1 || true

say "  [4/4] does it import?"
MPLCONFIGDIR="$work/mpl2" PYTHONPATH="$build/site" "$python" -c '
import numpy, pandas, matplotlib.pyplot, PIL.Image, openpyxl, docx, pptx, reportlab.pdfgen.canvas, pypdf, lxml.etree, defusedxml' >"$work/import.log" 2>&1 \
    || { tail -n 15 "$work/import.log" >&2; die "the toolset was built but does not import"; }

cp "$work/requirements.lock" "$build/requirements.lock"
{
    echo "Thenar toolset, lock $digest, Python $version"
    sed -n 's/^\([A-Za-z0-9._-]*\)==\([^ ;]*\).*/\1 \2/p' "$work/requirements.lock" | while read -r name pinned; do
        # Of two pins for two Pythons only one is installed.
        dist=$(printf %s "$name" | tr 'A-Z.-' 'a-z__')
        [ ! -d "$build/site/$dist-$pinned.dist-info" ] || echo "$name $pinned"
    done
} > "$build/MANIFEST"
marker > "$build/COMPLETE"
chmod -R a+rX "$build"

if [ -e "$target" ]; then
    if is_complete; then say "toolset: complete in $target (another setup was first)"; exit 0; fi
    [ ! -e "$target" ] || mv "$target" "$work/old" 2>/dev/null || rm -rf "$target"
fi
mv -T "$build" "$target" || die "put the toolset in place at $target"
build=
say "toolset: complete in $target"
