"""Which notebooks `make test` leaves out, and what it says about them."""

import json
from pathlib import Path

import pytest

from tests.notebooks.affordable import LONGEST_RUN, reason_to_skip


def write(folder: Path, **metadata: object) -> Path:
    path = folder / "10_nuclei.ipynb"
    path.write_text(json.dumps({"cells": [], "metadata": metadata}), encoding="utf-8")
    reason_to_skip.cache_clear()
    return path


@pytest.mark.parametrize(
    ("seconds", "reason"),
    [(LONGEST_RUN, None), (725, "10_nuclei.ipynb runs for 12 min: `make notebooks` runs it")],
)
def test_long_run_is_named(tmp_path: Path, seconds: int, reason: str | None) -> None:
    assert reason_to_skip(write(tmp_path, run_seconds=seconds)) == reason


def test_missing_data_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tmp_path, needs=["dsb2018"])
    monkeypatch.delenv("UNET_DATA_DIR", raising=False)
    expected = "10_nuclei.ipynb needs the folder dsb2018 in UNET_DATA_DIR (not set)"
    assert reason_to_skip(path) == expected
    reason_to_skip.cache_clear()
    monkeypatch.setenv("UNET_DATA_DIR", str(tmp_path))
    assert reason_to_skip(path).endswith(f"in UNET_DATA_DIR ({tmp_path})")
    reason_to_skip.cache_clear()
    (tmp_path / "dsb2018").mkdir()
    assert reason_to_skip(path) is None
