"""The library from a shell: `python -m unet_lib train | predict | evaluate | export | ...`.

Every command is a frozen dataclass: tyro makes its options of the fields, their help of the
texts below them. What a command does is done by the library; here it is only put together.
"""

import inspect
import sys
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce
from operator import or_
from typing import Annotated, Any

import tyro
from tyro.conf import subcommand

from unet_lib.cli.check import Check
from unet_lib.cli.data import Scenes, Simulate
from unet_lib.cli.evaluate import Evaluate
from unet_lib.cli.export import Export
from unet_lib.cli.options import shell_words
from unet_lib.cli.predict import Predict
from unet_lib.cli.train import Train
from unet_lib.data.findings import DataError
from unet_lib.training.epoch import TrainingError


def _named(command: type, name: str) -> Any:
    """What tyro is to call a command; its help is its docstring without the example."""
    text = (inspect.getdoc(command) or "").partition(">>>")[0].strip()
    return subcommand(name, description=text)


@dataclass(frozen=True)
class Data:
    """Write images and masks to try things on.

    >>> from pathlib import Path
    >>> Data(Simulate(Path("cells"))).action.count
    20
    """

    action: (
        Annotated[Simulate, _named(Simulate, "simulate")] | Annotated[Scenes, _named(Scenes, "voc")]
    )

    def __call__(self) -> None:
        """Do it."""
        self.action()


COMMANDS = {
    "train": Train,
    "predict": Predict,
    "evaluate": Evaluate,
    "export": Export,
    "check": Check,
    "data": Data,
}


def _noted(message: Warning | str, *_: Any, **__: Any) -> str:
    """A warning as a shell shows it: no place in the code, which the user has not written."""
    return f"note: {message}\n"


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command; 0, or 2 after an error that the user can mend, told on one line or list.

    `check` ends with 1 where it finds something, `predict` where an image could not be read.

    >>> main(["check", "no/such/folder"])  # on stderr: error: no/such/folder: no such folder; ...
    2
    """
    options = (tyro.conf.OmitSubcommandPrefixes, tyro.conf.FlagCreatePairsOff)
    commands = [Annotated[kind, _named(kind, name)] for name, kind in COMMANDS.items()]
    command: Any = reduce(or_, commands)
    shown, warnings.formatwarning = warnings.formatwarning, _noted
    try:
        status = tyro.cli(command, args=arguments, prog="python -m unet_lib", config=options)()
    except (ValueError, OSError, TrainingError) as error:  # ours: data, checkpoints, settings
        text = error.text(shell_words) if isinstance(error, DataError) else error
        print("error:", text, file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130
    finally:
        warnings.formatwarning = shown
    return status or 0
