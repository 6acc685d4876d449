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
    run, so that an interrupted command goes on where it stopped.
    """
    rows = json.loads(path.read_text()) if path.exists() else []
    for plan in plans:
        if any(plan.items() <= row.items() for row in rows):
            continue
        print(f"{path.stem}: " + ", ".join(f"{k} {v}" for k, v in plan.items()), flush=True)
        rows.append(plan | run(**plan) | {"machine": machine()})
        text = json.dumps(rows, indent=1) + "\n"
        write_atomically(path, lambda file, text=text: file.write(text.encode()))
    return rows


def machine() -> str:
    """What a measured time depends on, in words."""
    threads, version = torch.get_num_threads(), torch.__version__.split("+")[0]
    return f"{platform.machine()}, {threads} threads, torch {version}"
