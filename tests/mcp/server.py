"""A server over the MCP project's own Python SDK, with tools that do what servers do on bad days.

    python server.py                 over standard input and output
    python server.py --port 8000     over streamable HTTP
"""

import argparse
import os
import sys
import time
from typing import Any, Literal

import anyio
from mcp.server.mcpserver import Context, MCPServer
from mcp.server.mcpserver.exceptions import ToolError
from pydantic import BaseModel

server = MCPServer("bad-days")


class Branch(BaseModel):
    size: int
    left: "Branch | None" = None


@server.tool()
def add(a: int, b: int = 1) -> int:
    """Adds two numbers."""
    return a + b


@server.tool()
def measure(tree: Branch, unit: Literal["cm", "m"], free: dict[str, Any] | None = None) -> str:
    """Measures a tree."""
    depth = 0
    branch: Branch | None = tree
    while branch:
        depth, branch = depth + 1, branch.left
    return f"{depth} branches, {tree.size} {unit}, {sorted(free or {})}"


@server.tool()
def fail(why: str) -> str:
    """Fails."""
    raise ToolError(why)


@server.tool()
def flood(count: int) -> str:
    """Says much."""
    return "x" * count


@server.tool()
async def wait(seconds: float, note: str) -> str:
    """Waits, and notes in a file whether it was cancelled."""
    open(note, "w").write("waiting")
    try:
        await anyio.sleep(seconds)
    except anyio.get_cancelled_exc_class():
        open(note, "w").write("cancelled")
        raise
    open(note, "w").write("done")
    return "waited"


@server.tool()
async def hang(note: str) -> str:
    """Never answers anything again."""
    open(note, "w").write(str(os.getpid()))
    time.sleep(3600)
    return "woken"


@server.tool()
async def die(note: str) -> str:
    """Writes its process number down and waits to be killed."""
    open(note, "w").write(str(os.getpid()))
    await anyio.sleep(3600)
    return "alive"


@server.tool()
def noise(count: int) -> str:
    """Fills standard error."""
    for _ in range(count):
        print("noise " * 1000, file=sys.stderr)
    return "said"


@server.tool()
def environment() -> list[str]:
    """Names of its variables."""
    return sorted(os.environ)


@server.tool()
async def learn(name: str, ctx: Context) -> str:
    """Learns a tool, and tells so."""
    server.add_tool(add, name=name)
    await ctx.session.send_tool_list_changed()
    return "learned"


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int)
    args = parser.parse_args()
    if args.port:
        server.run("streamable-http", host="127.0.0.1", port=args.port)
    else:
        server.run("stdio")


main()
