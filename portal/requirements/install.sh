#!/usr/bin/env bash
# Make .venv when there is none and install one hashed lock into it.
# Usage: install.sh PYTHON LOCK STAMP
set -euo pipefail
python=$1 lock=$2 stamp=$3

say() { printf '· %s\n' "$*"; }
give_up() { printf '%s\n' "$*" >&2; exit 1; }

command -v "$python" >/dev/null || give_up "Rekey needs Python 3.11 or newer; none was found as '$python' (set PYTHON=…)."
"$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' ||
  give_up "Rekey needs Python 3.11 or newer; '$python' is $("$python" -V). Set PYTHON=… to another one."

if [ ! -x .venv/bin/python ]; then
  if ! "$python" -c 'import ensurepip' 2>/dev/null; then
    [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null ||
      give_up "This Python cannot make environments. On Debian: apt-get install python3-venv"
    say "installing python3-venv"
    apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -qq -y python3-venv >/dev/null
  fi
  say "making the environment .venv"
  "$python" -m venv .venv
fi

say "installing $(grep -c == "$lock") pinned packages from $lock (once; about a minute)"
if command -v uv >/dev/null; then
  uv pip install --python .venv/bin/python --compile-bytecode --require-hashes -r "$lock"
else
  .venv/bin/python -m pip install --disable-pip-version-check --require-hashes -r "$lock" |
    awk '/^Collecting/ {n++; if (n % 10 == 0) {printf "  %d packages looked up\n", n; fflush()}} /^(Installing|Successfully)/ {print "  " substr($0, 1, 60); fflush()}'
fi
rm -f "${stamp%-*}"-*
touch "$stamp"
