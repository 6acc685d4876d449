"""What a case of the clinic is, and how the doctor sees it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from unet_lib.doctor import Finding, SetUp, check_folder, examine
from unet_lib.training.task import Task


class Folders(NamedTuple):
    """A folder of images and one of masks, with the options to read them by.

    >>> Folders(Path("images"), Path("masks")).task.target
    'foreground'
    """

    images: Path
    masks: Path
    options: Mapping[str, Any] = {}
    task: Task = Task()


Build = Callable[[Path], SetUp | Folders]
One = TypeVar("One", bound=Build)


@dataclass(frozen=True)
class Case:
    """One set-up of the clinic.

    >>> Case("Healthy", "", "nothing", lambda folder: SetUp()).examine(Path("."))
    []
    """

    title: str
    cause: str
    """What the doctor should name; empty for a healthy set-up."""
    story: str
    """How it comes about."""
    build: Build
    """Makes the set-up; what it needs on disk is written to the folder that it is given."""

    def examine(self, folder: Path) -> list[Finding]:
        """Builds the set-up and lets the doctor look at it."""
        return examine_built(self.build(folder))


class Cases(list[Case]):
    """Cases in the order in which they are written down."""

    def named(self, title: str, cause: str = "") -> Callable[[One], One]:
        """Adds a function as a case; what the function says of itself is the story."""

        def add(build: One) -> One:
            self.append(Case(title, cause, build.__doc__ or "", build))
            return build

        return add


def examine_built(built: SetUp | Folders) -> list[Finding]:
    """The findings about what a case has built.

    >>> examine_built(SetUp())
    []
    """
    if isinstance(built, SetUp):
        return examine(built)
    findings, dataset = check_folder(built.images, built.masks, **built.options)
    return findings or examine(SetUp(train=dataset, task=built.task))
