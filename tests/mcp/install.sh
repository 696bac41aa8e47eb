#!/bin/sh
# Installs the servers that tests/mcp.rs speaks to into the folder $1: the MCP project's own reference server from npm
# and its Python SDK from PyPI. Pinned, so that a red test means that we changed; newest releases on 2026-11-20.
set -eu
NODE_SERVER=@modelcontextprotocol/server-everything@2026.8.31
PYTHON_SDK=mcp==2.3.0
mkdir -p "$1"
cd "$1"
if [ "$(cat ready 2>/dev/null)" != "$NODE_SERVER $PYTHON_SDK" ]; then
    rm -rf node python ready
    mkdir node
    (cd node && npm init -y >/dev/null && npm install --no-audit --no-fund --loglevel=error "$NODE_SERVER")
    python3 -m venv python
    python/bin/python -m pip install --quiet "$PYTHON_SDK"
    echo "$NODE_SERVER $PYTHON_SDK" >ready
fi
