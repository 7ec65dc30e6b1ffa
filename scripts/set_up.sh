#!/bin/sh
# Find a Python that can set the project up, and hand over to set_up.py.
#
#     scripts/set_up.sh demo     the package and what it depends on
#     scripts/set_up.sh test     the same, napari with Qt, and the tools for tests and docs
#
# PYTHON=/path/to/python chooses the interpreter.
set -eu
goal=$1
here=$(dirname "$0")

case $(uname -s) in
MINGW* | MSYS* | CYGWIN*)
    echo "set-up: this script is for Linux and macOS; on Windows use pip as README.md shows." >&2
    exit 1
    ;;
esac

if [ -n "${PYTHON:-}" ]; then
    set -- "$PYTHON"
else
    set -- python3.13 python3.12 python3.11 python3 python
fi

no_venv=
for python in "$@"; do
    if "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; then
        if "$python" -c 'import ensurepip, venv' >/dev/null 2>&1; then
            exec "$python" -I "$here/set_up.py" "$goal"
        fi
        no_venv=${no_venv:-$python}
    fi
done

if [ -n "$no_venv" ]; then
    echo "set-up: $no_venv has no venv module (on Debian and Ubuntu: apt-get install python3-venv)." >&2
elif [ -n "${PYTHON:-}" ]; then
    echo "set-up: PYTHON=$PYTHON is not a Python of version 3.11 or newer." >&2
else
    echo "set-up: Python 3.11 or newer is needed and none was found; name one with PYTHON=/path/to/python." >&2
fi
exit 1
