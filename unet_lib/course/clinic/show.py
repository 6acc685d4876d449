"""The symptom picture of a case: what the network is given, what it should say, what it says."""

import re
from collections.abc import Callable, Sequence
from pathlib import Path
from textwrap import fill

import matplotlib.pyplot as plt
import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor
from torch.utils.data import Dataset

from unet_lib import plots
from unet_lib.course.clinic.case import Folders
from unet_lib.data.base import DataError
from unet_lib.data.files import read_image, read_mask
from unet_lib.data.pairing import list_pictures
from unet_lib.doctor import Finding, SetUp
from unet_lib.doctor.network import evaluated
from unet_lib.doctor.setup import draw_sample, picture_name
from unet_lib.doctor.trial import trials

Panel = Callable[[Axes], object]
WIDTH, HEIGHT = 1.75, 2.0  # inches of a panel
DPI = 80


def draw(built: SetUp | Folders, findings: Sequence[Finding] = ()) -> Figure:
    """Panels side by side: image, target, prediction, and curves where there are any.

    The picture shown is the first one that the findings name, else the first one.

    >>> from unet_lib.course.clinic.outcome_cases import specks
    >>> figure = draw(SetUp(train=specks(2)))
    >>> len(figure.axes), figure.axes[0].get_title()
    (4, 'image')
    >>> plt.close(figure)
    """
    panels = _folder_panels(built) if isinstance(built, Folders) else _panels(built, findings)
    size = (WIDTH * len(panels), HEIGHT)
    options = {"squeeze": False, "layout": "constrained", "dpi": DPI}
    figure, axes = plt.subplots(1, len(panels), figsize=size, **options)
    for panel, ax in zip(panels, axes[0], strict=True):
        panel(ax)
    return figure


def told(findings: Sequence[Finding], folder: Path) -> str:
    """What the doctor says, for a page; without the folder that the case was written to.

    >>> print(told([Finding.of("leak", "2 of 9 pictures", ["a equals b"])], Path("no")))
    The doctor says leak: 2 of 9 pictures (a equals b).
    Cure: remove the copies, or keep them in one part: split(dataset, groups=...).
    """
    lines = []
    for finding in findings:
        text = f"The doctor says {finding.cause}: {finding.found.rstrip('.')}"
        if finding.files:
            text += f" ({finding.files[0]}{', ...' if len(finding.files) > 1 else ''})"
        lines += [f"{text}.", f"Cure: {finding.cure.rstrip('?')}."]
    here = rf"{re.escape(str(folder))}(/voc/VOCdevkit/VOC2012)?/?"
    return "\n".join(fill(re.sub(here, "", line), 72) for line in lines)


def _folder_panels(built: Folders) -> list[Panel]:
    """An image, its mask as stored, and the values of all masks."""
    masks = list_pictures(built.masks)
    images = {path.stem: path for path in list_pictures(built.images)}
    values: set[int] = set()
    panels: list[Panel] = []
    for path in sorted(masks, key=lambda path: path.suffix == ".png"):  # the odd one first
        try:
            image = read_image(images[path.stem], built.options.get("mode", "L"))
            mask = _stored(path)
        except (DataError, KeyError):  # the findings say it
            continue
        values |= set(np.unique(mask).tolist())
        if not panels:
            panels = [_image(image, f"image {path.stem}"), _image(mask, f"its mask, {path.suffix}")]
    broken = [path for path in images.values() if not _readable(path)]
    if broken:
        panels.append(_text(["cannot be read:", *(path.name for path in broken)]))
    elif set(images) != {path.stem for path in masks}:
        panels.append(_names(sorted(images), sorted(path.stem for path in masks)))
    else:
        panels.append(_values(sorted(values)))
    return panels


def _stored(path: Path) -> np.ndarray:
    """The mask as it lies in the file, color included."""
    try:
        return read_mask(path)
    except DataError:
        return read_image(path, "RGB")


def _readable(path: Path) -> bool:
    try:
        read_image(path, "RGB")
    except DataError:
        return False
    return True


def _text(lines: Sequence[str]) -> Panel:
    def show(ax: Axes) -> None:
        ax.set_axis_off()
        ax.text(0, 1, "\n".join(lines), va="top", fontsize=8, transform=ax.transAxes)

    return show


def _names(images: Sequence[str], masks: Sequence[str]) -> Panel:
    rows = [f"{name:9} {'yes' if name in masks else 'missing'}" for name in images]
    extra = [f"{'?':9} {name}" for name in masks if name not in images]

    def show(ax: Axes) -> None:
        ax.set_axis_off()
        lines = "\n".join([f"{'image':9} mask", *rows, *extra])
        ax.text(0, 1, lines, va="top", fontsize=7, family="monospace", transform=ax.transAxes)

    return show


def _values(values: Sequence[int]) -> Panel:
    def show(ax: Axes) -> None:
        ax.vlines(values, 0, 1, color=plots.PALETTE["blue"], linewidth=1)
        ax.set(title=f"{len(values)} mask values", yticks=[], xlim=(-5, 260), xlabel="value")

    return show


def _image(
    image: np.ndarray | Tensor, title: str, limits: tuple[float, float] | None = None
) -> Panel:
    return lambda ax: plots.show_image(image, ax, title, limits)


def _mask(mask: Tensor, title: str) -> Panel:
    """Whole numbers in the book's colors, fractions in gray."""
    mask = mask[0] if mask.ndim == 3 else mask
    if (mask == mask.round()).all():
        return lambda ax: plots.show_mask(mask.long(), ax, title)
    return lambda ax: plots.show_image(mask, ax, title, (0.0, 1.0))


def _panels(setup: SetUp, findings: Sequence[Finding]) -> list[Panel]:
    """The panels of a set-up; a data set that raises shows the stored picture."""
    index = _named(setup.train, findings)
    try:
        sample = draw_sample(setup.train, setup.task)
    except DataError:
        image, labels = setup.train.load(index)
        mask = _mask(torch.as_tensor(labels > 0).long(), "mask")
        return [_image(image, "image, NaN in white"), mask]
    image = sample.inputs[index]
    if setup.validation is not None:
        panels = [_image(image, "training image", (0.0, 1.0))]
        validation = draw_sample(setup.validation, setup.task)
        other = _named(setup.validation, findings, last=False)
        image = validation.inputs[other]
        panels.append(_image(image, "validation image", (0.0, 1.0)))
        if setup.model is not None:
            panels.append(_mask(validation.targets[other], "its target"))
    else:
        panels = [_image(image, "image", (0.0, 1.0)), _mask(sample.targets[index], "target")]
    if setup.validation is None and setup.model is None:  # a second pair
        panels.append(_image(sample.inputs[index + 1], "next image", (0.0, 1.0)))
        panels.append(_mask(sample.targets[index + 1], "its target"))
    return panels + _outcome(setup, image)


def _outcome(setup: SetUp, image: Tensor) -> list[Panel]:
    """What the model makes of the image, and curves where there are any."""
    panels = _prediction(setup, image)
    if setup.history and "validation_loss" in setup.history[0]:
        panels.append(_history(setup))
    if setup.settings is not None and setup.settings.batch_size > 1:
        panels.append(_trials(setup))
    return panels


def _named(dataset: Dataset, findings: Sequence[Finding], last: bool = True) -> int:
    """The first picture that the findings name; of "a equals b" the last, or the first."""
    text = findings[0].files[0] if findings and findings[0].files else ""
    text = re.split(" equals | resembles ", text)[-1 if last else 0]
    names = [picture_name(dataset, index) for index in range(len(dataset))]  # type: ignore[arg-type]
    return next((i for i, name in enumerate(names) if re.search(rf"{re.escape(name)}\b", text)), 0)


def _prediction(setup: SetUp, image: Tensor) -> list[Panel]:
    """What the model gives in eval mode, and your own mask if there is one."""
    if setup.model is None or setup.settings is not None:
        return []
    try:
        with evaluated(setup.model):
            logits = setup.model(image[None])[0]
    except ValueError:
        return [_text(["no prediction:", "the model rejects", "the picture"])]
    if setup.predict is not None:
        right = logits[0] > 0
        batch = torch.stack([setup.train[i][0] for i in range(4)])
        own = setup.predict(torch.cat([image[None], batch]))[0]
        return [
            _mask(right.long(), "right prediction"),
            _mask(own.long(), "your prediction"),
            _mask((own != right).long(), "difference"),
        ]
    if setup.task.target == "classes":
        return [_mask((logits[:1] > 0).long(), "prediction")]
    return [_image(logits.sigmoid()[0], "probability", (0.0, 1.0))]


def _history(setup: SetUp) -> Panel:
    names = ["loss", "validation_loss"]
    return lambda ax: plots.plot_history(list(setup.history), names, ax, "loss")


def _trials(setup: SetUp) -> Panel:
    """The two short trainings that the doctor compares."""
    own, known = trials(setup, draw_sample(setup.train, setup.task))

    def show(ax: Axes) -> None:
        for trial in (own, known):
            ax.plot(trial.losses, label=f"rate {trial.rate:.0e}")
        ax.set(title="one batch", xlabel="step", ylabel="loss", ylim=(0, 2.5 * own.losses[0]))
        ax.legend()

    return show
