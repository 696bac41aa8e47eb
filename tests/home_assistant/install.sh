#!/bin/sh
# Installs Home Assistant from PyPI into the folder $1: the newest release that the machine's Python can run (2024.3.3 for
# Python 3.11), with the versions that it was released with. It fetches what its parts need when it starts first.
set -eu
mkdir -p "$1"
cd "$1"
PYTHON="$(python3 -c 'import sys; print(sys.version_info[:2])')"
if [ "$(cat ready 2>/dev/null)" != "$PYTHON" ]; then
    rm -rf python wheel house ready
    python3 -m venv python
    python/bin/python -m pip download --quiet --disable-pip-version-check --no-deps -d wheel homeassistant
    python/bin/python -m zipfile -e wheel/homeassistant-*.whl wheel
    # josepy 2 came later and breaks what Home Assistant's pages need.
    python/bin/python -m pip install --quiet --disable-pip-version-check --prefer-binary \
        -c wheel/homeassistant/package_constraints.txt homeassistant 'josepy<2'
    rm -rf wheel
    echo "$PYTHON" >ready
fi
