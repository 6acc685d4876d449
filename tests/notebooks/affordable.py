"""Pytest plugin for nbval: leave out, with the reason, notebooks that cannot be run here.

A notebook says in its own metadata what it needs: `needs` lists folders under UNET_DATA_DIR, and
`run_seconds` is the time of its stored run, written by tools/notebooks.py.
"""

import json
import os
from functools import cache
from pathlib import Path

import pytest

LONGEST_RUN = 300  # seconds; longer ones are run on purpose only, by `make notebooks`


@cache
def reason_to_skip(path: Path) -> str | None:
    """Say why a notebook is not run, or None."""
    metadata = json.loads(path.read_text(encoding="utf-8"))["metadata"]
    root = os.environ.get("UNET_DATA_DIR")
    for folder in metadata.get("needs", []):
        if not root or not (Path(root) / folder).is_dir():
            return f"{path.name} needs the folder {folder} in UNET_DATA_DIR ({root or 'not set'})"
    seconds = metadata.get("run_seconds", 0)
    if seconds > LONGEST_RUN:
        return f"{path.name} runs for {seconds / 60:.0f} min: `make notebooks` runs it"
    return None


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        reason = reason_to_skip(item.path)
        if reason:
            item.add_marker(pytest.mark.skip(reason=reason))
