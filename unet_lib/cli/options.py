"""Where the images of a command come from: simulator, folders, a public set (chapter 3)."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from tyro.conf import arg

from unet_lib.data.base import SegmentationDataset, cached
from unet_lib.data.findings import Finding
from unet_lib.data.folder import PairedFolder
from unet_lib.data.sets.nuclei import DSB2018
from unet_lib.data.simulate import SimulatedNuclei
from unet_lib.training.task import Task

FLAT = arg(name="")  # options without a prefix, and errors that reach `main`
Pairs = Annotated[tuple[str, ...], arg(metavar="VALUE:CLASS ...")]


@dataclass(frozen=True, kw_only=True)
class MaskOptions:
    """How the masks of a folder are to be read, as options of a command."""

    mask_values: Pairs = ()
    """Which stored value stands for which class, as in 0:0 255:1"""
    palette: Pairs = ()
    """The same for masks stored in color, as in 0,0,0:0 255,0,0:1"""
    suffix: str = ""
    """What the name of a mask has at its end beside its image's, for example _mask"""
    image_suffix: str = ""
    """What the name of an image has at its end beside its mask's, for example _leftImg8bit"""
    channel: int | None = None
    """Of images with several channels the one to read, counted from 0."""
    instance_masks: bool = False
    """The masks number objects 1 to n, or show each in a color, and hold no classes."""
    connected: bool = False
    """The masks hold one value for all objects, whose connected parts are to be numbered."""

    def folder_options(self) -> dict[str, Any]:
        """The same as keyword arguments of `PairedFolder`."""
        return {
            "mask_values": pairs(self.mask_values) or None,
            "palette": pairs(self.palette) or None,
            "suffix": self.suffix,
            "image_suffix": self.image_suffix,
            "channel": self.channel,
            "instances": "connected" if self.connected else self.instance_masks,
        }


@dataclass(frozen=True, kw_only=True)
class Source(MaskOptions):
    """The images of a command, simulated unless folders or a data set are named; checks itself.

    Raises ValueError for options that do not belong together.
    """

    images: Path | None = None
    """Folder of your own images."""
    masks: Path | None = None
    """Folder of their masks, with the same names."""
    dataset: Literal["simulated", "dsb2018"] = "simulated"
    """Simulated nuclei, or the real ones of the 2018 Data Science Bowl."""
    root: Path | None = None
    """Folder of the data set; dsb2018 in the folder UNET_DATA_DIR if it is not given."""
    download: bool = False
    """Fetch the data set if it is not there (80 MB)."""
    count: int = 240
    """How many images to simulate."""
    size: int = 128
    """Their height and width, in pixels."""
    simulation_seed: int = 0
    """Which images to simulate; another seed gives others."""

    def __post_init__(self) -> None:
        of_folders = [value for name, value in self.folder_options().items() if name != "channel"]
        if (self.images is None) != (self.masks is None):
            raise ValueError("images and masks belong together: pass both folders, or none")
        if self.images is None and any(of_folders):
            raise ValueError(
                "mask_values, palette, suffixes, instance_masks and connected describe masks of "
                "your own: pass their folders as images and masks"
            )
        if self.images is not None and self.dataset != "simulated":
            raise ValueError(f"pass either images and masks or dataset {self.dataset}, not both")
        if self.dataset == "simulated" and (self.root is not None or self.download):
            raise ValueError("root and download belong to dataset dsb2018")

    def numbers_objects(self, task: Task) -> bool:
        """Whether the labels number objects, so that instances can be scored."""
        own = self.instance_masks or self.connected
        return self.images is None or own or task.numbers_objects

    def open(self, task: Task, split: Literal["train", "test"] = "train") -> SegmentationDataset:
        """The data set; its images are normalized as the task says, its labels as they are.

        Raises DataError with all that is wrong in the files, and ValueError where the task needs
        color or classes and the images have none.
        """
        if self.images is not None and self.masks is not None:
            return PairedFolder(
                self.images,
                self.masks,
                mode=task.mode,
                num_classes=task.num_classes,
                ignore_index=task.ignore_index,
                normalize=task.normalization,
                **self.folder_options()
                | {"instances": "connected" if self.connected else self.numbers_objects(task)},
            )
        if task.mode == "RGB" or task.target == "classes":
            raise ValueError(
                f"the {self.dataset} images are gray and their labels number nuclei: choose "
                'mode "L" and any target but "classes", or pass images and masks'
            )
        if self.dataset == "dsb2018":
            return DSB2018(self.root, split, self.download, normalize=task.normalization)
        size = (self.size, self.size)
        return cached(
            SimulatedNuclei(self.count, self.simulation_seed, size, normalize=task.normalization)
        )


def pairs(texts: tuple[str, ...]) -> dict[Any, int]:
    """What a shell can pass in place of a dict: "value:class", or "red,green,blue:class".

    Raises ValueError for another text.

    >>> pairs(("0:0", "255:1")), pairs(("255,0,0:1",))
    ({0: 0, 255: 1}, {(255, 0, 0): 1})
    """
    result = {}
    for text in texts:
        try:
            key, index = text.split(":")
            numbers = tuple(int(part) for part in key.split(","))
            value = numbers if len(numbers) > 1 else numbers[0]
            stands_for = result.setdefault(value, int(index))
        except ValueError as error:
            raise ValueError(
                f"{text!r}: expected a value and its class, as in 255:1 or 255,0,0:1"
            ) from error
        if stands_for != int(index):
            raise ValueError(f"{text!r}: {key} stands for {stands_for} already; name it once")
    return result


def shell_words(finding: Finding) -> str:
    """The options that stand for the arguments of a finding, as a shell takes them.

    Alternatives are parted by "or"; nothing where a finding names no argument.
    """
    ways = [" ".join(_words(*argument) for argument in way.items()) for way in finding.arguments]
    return f" (in a shell: {', or '.join(ways)})" if ways else ""


def _words(name: str, value: Any) -> str:
    """One keyword argument as an option."""
    if name == "instances":
        return "--connected" if value == "connected" else "--instance-masks"
    if name == "normalize":
        return f"--normalize {value}"
    if isinstance(value, Mapping):
        value = " ".join(
            f"{key if isinstance(key, int) else ','.join(map(str, key))}:{index}"
            for key, index in value.items()
        )
    option = f"--{name.replace('_', '-')} {value}"
    return f"--target classes {option}" if name == "num_classes" else option
