"""Puts the official Python SDK into a virtual environment of its own, and the caller into it."""

import os
import subprocess
import sys
import venv
from pathlib import Path

# The newest release on 2026-11-20; pinned, so that a red test means that we changed.
PACKAGES = ["google-genai==3.4.0", "websockets==17.4"]


def enter(cache):
    """Restarts the running script inside the environment under `cache`, which is made if it is not there yet."""
    home = Path(cache).resolve() / ("sdk-" + "-".join(PACKAGES).replace("==", "-"))
    python = home / "bin" / "python"
    if Path(sys.prefix) == home:
        return
    if not (home / "ready").exists():
        print(f"installing {', '.join(PACKAGES)} into {home}", file=sys.stderr, flush=True)
        venv.create(home, with_pip=True, clear=True)
        subprocess.run([python, "-m", "pip", "install", "--quiet", *PACKAGES], check=True)
        (home / "ready").touch()
    os.execv(python, [str(python), *sys.argv])
