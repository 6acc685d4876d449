"""One run a folder: a small file says which process is at work there (chapter 4)."""

import json
import socket
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import psutil

from unet_lib.training.checkpoint import CheckpointError

NAME = ".running"


@contextmanager
def locked(folder: Path | str | None) -> Generator[None, None, None]:
    """Keeps other programs out of a folder, which is made; afterwards the lock is gone.

    What a killed program left behind is taken over. A folder that is made for this and stays
    empty is removed. None locks nothing, nor does a folder that this program holds already.
    Raises CheckpointError where another program is at work, and OSError where the folder cannot
    be written: before anything else is done.

    >>> import tempfile
    >>> folder = Path(tempfile.mkdtemp(), "run")
    >>> with locked(folder):
    ...     [file.name for file in folder.iterdir()]
    ['.running']
    >>> folder.exists()
    False
    """
    if folder is None:
        yield
        return
    folder = Path(folder).resolve()
    new = [path for path in (folder, *folder.parents) if not path.exists()]
    taken = _take(folder)
    try:
        yield
    finally:
        if taken:
            (folder / NAME).unlink(missing_ok=True)
        with suppress(OSError):  # it holds a run now
            for path in new:
                path.rmdir()


def _take(folder: Path) -> bool:
    """Whether the lock is new: False where this program has it already."""
    lock = folder / NAME
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if other := _holder(lock):
            if other == _me(folder):
                return False
            raise CheckpointError(
                f"{folder} is in use by another run (process {other['process']} on "
                f"{other['host']}): wait for its end, or choose another folder; if it does not "
                f"run any more, remove {lock}"
            )
        lock.unlink(missing_ok=True)  # a stale one
        with open(lock, "x", encoding="utf-8") as file:
            json.dump(_me(folder), file)
    except OSError as error:
        raise OSError(
            f"{folder} cannot hold a run ({error}); check that it is a folder, that you may write "
            "there, and that the disk is not full"
        ) from error
    return True


def _me(folder: Path) -> dict[str, Any]:
    process = psutil.Process()
    about = {"process": process.pid, "since": process.create_time()}
    return about | {"host": socket.gethostname(), "folder": str(folder)}


def _holder(lock: Path) -> dict[str, Any]:
    """Who holds the lock; nothing where it is free, copied, or left by a program that is gone."""
    try:
        holder = json.loads(lock.read_text(encoding="utf-8"))
        if holder["folder"] != str(lock.parent):
            return {}
        if holder["host"] != socket.gethostname():
            return holder
        since = psutil.Process(holder["process"]).create_time()
        return holder if abs(since - holder["since"]) < 1 else {}
    except (FileNotFoundError, ValueError, KeyError, TypeError, psutil.NoSuchProcess):
        return {}
