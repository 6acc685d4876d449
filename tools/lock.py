"""Make both lock files from pyproject.toml: `make lock`, or `make lock UPGRADE=--upgrade`.

requirements.lock       everything: the library and all its extras
requirements-book.lock  what reading needs, at the very same versions

Both hold exact versions with hashes for Python 3.11 to 3.13 on Linux, macOS and Windows, and no
address of a package registry: pip asks the one that its user has set. Versions already locked
are kept where they still fit; `--upgrade` renews them all.
"""

import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def lock(requirements: list[str], output: str, *options: str) -> None:
    """Write the exact versions and hashes that satisfy the requirements to a file."""
    command = [
        *(
            sys.executable,
            "-m",
            "uv",
            "--no-config",
            "pip",
            "compile",
            "-",
            "--output-file",
            output,
        ),
        *("--universal", "--python-version", "3.11", "--generate-hashes", "--no-annotate"),
        *("--custom-compile-command", "make lock", "--quiet", *options),
    ]
    subprocess.run(command, input="\n".join(requirements), text=True, cwd=ROOT, check=True)


def main(options: list[str]) -> None:
    """Lock everything, then the reading subset within those versions."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"]
    everything = [*project["dependencies"], *(need for extra in extras.values() for need in extra)]
    lock(everything, "requirements.lock", *options)
    lock(extras["book"], "requirements-book.lock", "--constraints", "requirements.lock", *options)


if __name__ == "__main__":
    main(sys.argv[1:])
