"""What a case of the clinic is, and how the doctor sees it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

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


Builder = Callable[[Path], SetUp | Folders]


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
    build: Builder
    """Makes the set-up; what it needs on disk is written to the folder that it is given."""

    def examine(self, folder: Path) -> list[Finding]:
        """Builds the set-up and lets the doctor look at it."""
        return examine_built(self.build(folder))


def examine_built(built: SetUp | Folders) -> list[Finding]:
    """The findings about what a case has built.

    >>> examine_built(SetUp())
    []
    """
    if isinstance(built, SetUp):
        return examine(built)
    findings, dataset = check_folder(built.images, built.masks, **built.options)
    return findings or examine(SetUp(train=dataset, task=built.task))


def case(cases: list[Case], title: str, cause: str) -> Callable[[Builder], Builder]:
    """Adds what a function builds to the cases; its docstring tells how that comes about.

    >>> cases = []
    >>> @case(cases, "Healthy", cause="")
    ... def healthy(folder: Path) -> SetUp:
    ...     "Nothing is wrong."
    ...     return SetUp()
    >>> cases[0].story
    'Nothing is wrong.'
    """

    def added(build: Builder) -> Builder:
        cases.append(Case(title, cause, " ".join((build.__doc__ or "").split()), build))
        return build

    return added
