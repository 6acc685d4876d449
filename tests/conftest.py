"""What every test shares: run-time type checks of unet_lib, few threads, the real data."""

import os
from pathlib import Path

import pytest

# One thread a process: xdist runs several processes, and results repeat to the last digit.
# This has to be set before torch is imported.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("MPLBACKEND", "agg")

from jaxtyping import config, install_import_hook

# From here on every call of a function of unet_lib is checked against its annotations, shapes
# included, so this line has to come before the first import of unet_lib. As everywhere in Python,
# an int may stand where a float is asked for.
CHECKER = "beartype.beartype(conf=beartype.BeartypeConf(is_pep484_tower=True))"
install_import_hook("unet_lib", CHECKER)

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """The folder with real data, or a skip that says how to get it."""
    folder = Path(os.environ.get("UNET_DATA_DIR") or ROOT.parent / "shared" / "data")
    if not folder.is_dir():
        pytest.skip(f"no real data: {folder} is not a folder (set UNET_DATA_DIR)")
    return folder


@pytest.fixture
def unchecked():
    """No run-time type checks in this test: a wrong type meets the answer that users get."""
    config.update("jaxtyping_disable", True)
    yield
    config.update("jaxtyping_disable", False)
