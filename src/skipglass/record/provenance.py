"""Where a recording comes from: command, version, commit, kind of machine, date."""

import datetime
import os
import platform
import shlex
import subprocess
import sys
from pathlib import Path

__all__ = ["provenance"]


def provenance() -> dict[str, str]:
    """Return what a reader needs to make a recording again, as attributes for its file."""
    from skipglass import __version__

    return {
        "skipglass_version": __version__,
        "command": _command(),
        "commit": _commit(),
        "machine": f"{os.cpu_count()} cores, {platform.machine()} {platform.system()}",
        "created": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
    }


def _command() -> str:
    """The command line, without the folder that its program lies in."""
    program, *arguments = sys.argv
    spec = getattr(sys.modules["__main__"], "__spec__", None)
    ran = [Path(program).name] if spec is None else ["python", "-m", spec.name.removesuffix(".__main__")]
    return shlex.join([*ran, *arguments])


def _commit() -> str:
    """The commit of the checkout the package runs from, or 'installed' outside of one."""
    root = Path(__file__).resolve().parents[3]
    if not (root / ".git").exists():
        return "installed"
    describe = ["git", "-C", str(root), "describe", "--always", "--exclude=*", "--abbrev=12", "--dirty=+changes"]
    try:
        return subprocess.run(describe, capture_output=True, text=True, timeout=5).stdout.strip() or "unknown"
    except (OSError, subprocess.TimeoutExpired):
        return "unknown"
