"""Tables of long runs: each row is stored as soon as its run is done, and no run is repeated."""

import json
import platform
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import torch

from unet_lib.data.write import write_atomically

Row = dict[str, Any]


def complete(path: Path, plans: Iterable[Row], run: Callable[..., Row]) -> list[Row]:
    """Calls `run(**plan)` for every plan that has no row in the table yet, and returns all rows.

    A row holds its plan, what `run` returned, and the machine. The table is written after each
    run, so that an interrupted command goes on where it stopped; it is read anew before, so that
    two commands may fill it together, each with plans of its own.
    """
    for plan in plans:
        if any(plan.items() <= row.items() for row in stored(path)):
            continue
        print(f"{path.stem}: " + ", ".join(f"{k} {v}" for k, v in plan.items()), flush=True)
        row = plan | run(**plan) | {"machine": machine()}
        text = json.dumps([*stored(path), row], indent=1) + "\n"
        write_atomically(path, lambda file, text=text: file.write(text.encode()))
    return stored(path)


def stored(path: Path) -> list[Row]:
    """The rows of a table; none where there is no file."""
    return json.loads(path.read_text()) if path.exists() else []


def machine() -> str:
    """What a measured time depends on, in words."""
    threads, version = torch.get_num_threads(), torch.__version__.split("+")[0]
    return f"{platform.machine()}, {threads} threads, torch {version}"
