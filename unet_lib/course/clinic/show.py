"""The symptom picture of a case: what the network is given, what it should say, what it says."""

import re
from collections.abc import Callable, Sequence
from pathlib import Path
from textwrap import fill
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor
from torch.utils.data import Dataset

from unet_lib import plots
from unet_lib.course.clinic.case import Folders
from unet_lib.data.base import DataError, image_name, origin
from unet_lib.data.files import read_image
from unet_lib.data.listing import list_images
from unet_lib.data.masks import read_mask
from unet_lib.doctor import Finding, SetUp
from unet_lib.doctor.setup import draw_sample
from unet_lib.doctor.trial import Trial, trials
from unet_lib.model.base import evaluated

Panel = Callable[[Axes], object]
WIDTH, HEIGHT = 1.75, 2.0  # inches of a panel
DPI = 80
UNIT = (0.0, 1.0)  # limits of the gray values


def draw(built: SetUp | Folders, findings: Sequence[Finding] = ()) -> Figure:
    """Panels side by side: image, target, prediction, and curves where there are any.

    The picture shown is the first one that the findings name, else the first one.

    >>> from unet_lib.course.clinic.outcome_cases import specks
    >>> figure = draw(SetUp(train=specks(2)))
    >>> len(figure.axes), figure.axes[0].get_title()
    (4, 'image')
    >>> plt.close(figure)
    """
    if isinstance(built, Folders):
        panels = _folder_panels(built)
    else:
        panels = [_text(["no data set"])]
        if built.train is not None:
            panels = _panels(built, built.train, findings)
    size = (WIDTH * len(panels), HEIGHT)
    options = {"squeeze": False, "layout": "constrained", "dpi": DPI}
    figure, axes = plt.subplots(1, len(panels), figsize=size, **options)
    for panel, ax in zip(panels, axes[0], strict=True):
        panel(ax)
    return figure


def told(findings: Sequence[Finding], folder: Path) -> str:
    """What the doctor says, for a page; without the folder that the case was written to.

    >>> from unet_lib.doctor import diagnosis
    >>> print(told([diagnosis("leak", "2 of 9 pictures", ["a equals b"])], Path("no")))
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
    masks = list_images(built.masks)
    images = {path.stem: path for path in list_images(built.images)}
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


def _text(lines: Sequence[str], fontsize: float = 8, **style: Any) -> Panel:
    def show(ax: Axes) -> None:
        ax.set_axis_off()
        text = "\n".join(lines)
        ax.text(0, 1, text, va="top", fontsize=fontsize, transform=ax.transAxes, **style)

    return show


def _names(images: Sequence[str], masks: Sequence[str]) -> Panel:
    rows = [f"{name:9} {'yes' if name in masks else 'missing'}" for name in images]
    extra = [f"{'?':9} {name}" for name in masks if name not in images]
    return _text([f"{'image':9} mask", *rows, *extra], 7, family="monospace")


def _values(values: Sequence[int]) -> Panel:
    def show(ax: Axes) -> None:
        ax.vlines(values, 0, 1, color=plots.PALETTE["blue"], linewidth=1)
        ax.set(title=f"{len(values)} mask values", yticks=[], xlim=(-5, 260), xlabel="value")

    return show


def _image(
    image: np.ndarray | Tensor, title: str, limits: tuple[float, float] | None = None
) -> Panel:
    return lambda ax: plots.show_image(image, ax, title, limits)


def _mask(mask: Tensor, title: str, empty: str = "no object") -> Panel:
    """Whole numbers in the book's colors, fractions in gray; a mask of nothing says so."""
    mask = mask[0] if mask.ndim == 3 else mask
    if (mask != mask.round()).any():
        return lambda ax: plots.show_image(mask, ax, title, UNIT)

    def paint(ax: Axes) -> None:
        plots.show_mask(mask.long(), ax, title)
        if not mask.any():
            _say(ax, empty, "white")

    return paint


def _say(ax: Axes, words: str, color: str) -> None:
    """Writes into the middle of a panel that shows nothing else."""
    ax.text(0.5, 0.5, words, color=color, ha="center", va="center", transform=ax.transAxes)


def _probability(logits: Tensor) -> Panel:
    """Probabilities in gray; where none is a number, the panel says so."""

    def paint(ax: Axes) -> None:
        plots.show_image(logits.sigmoid()[0], ax, "probability", UNIT)
        if logits.isnan().all():
            _say(ax, "NaN", "black")

    return paint


def _panels(setup: SetUp, train: Dataset, findings: Sequence[Finding]) -> list[Panel]:
    """The panels of a set-up; a data set that raises shows the stored image."""
    index = _named(train, findings)
    try:
        sample = draw_sample(train, setup.task)
    except DataError:
        return _stored_panels(train, index)
    image, target = sample.inputs[index], sample.targets[index]
    panels = [_image(image, "image", UNIT), _mask(target, "target")]
    if setup.validation is not None:
        validation = draw_sample(setup.validation, setup.task)
        other = _named(setup.validation, findings, last=False)
        panels, image = [_image(image, "training image", UNIT)], validation.inputs[other]
        panels.append(_image(image, "validation image", UNIT))
        if setup.model is not None:
            panels.append(_mask(validation.targets[other], "its target"))
    elif setup.model is None:  # a second pair
        image, target = sample.inputs[index + 1], sample.targets[index + 1]
        panels += [_image(image, "next image", UNIT), _mask(target, "its target")]
    panels += _prediction(setup, train, image)
    if setup.history and "validation_loss" in setup.history[0]:
        curves = ["loss", "validation_loss"]
        panels.append(lambda ax: plots.plot_history(list(setup.history), curves, ax, "loss"))
    model, settings = setup.model, setup.settings
    if model is not None and settings is not None and settings.batch_size > 1:
        panels.append(_trials(*trials(setup, model, settings, sample)))
    return panels


def _stored_panels(dataset: Dataset, index: int) -> list[Panel]:
    found = origin(dataset, index)
    if found is None:
        return [_text(["no image"])]
    image, labels = found[0].load(found[1])
    mask = torch.as_tensor(labels > 0).long()
    return [_image(image, "image, NaN in white"), _mask(mask, "mask")]


def _named(dataset: Dataset, findings: Sequence[Finding], last: bool = True) -> int:
    """The first picture that the findings name; of "a equals b" the last, or the first."""
    text = findings[0].files[0] if findings and findings[0].files else ""
    text = re.split(" equals | resembles ", text)[-1 if last else 0]
    count = len(dataset)  # type: ignore[arg-type]  # torch declares no length
    names = [image_name(dataset, index) for index in range(count)]
    return next((i for i, name in enumerate(names) if re.search(rf"{re.escape(name)}\b", text)), 0)


def _prediction(setup: SetUp, train: Dataset, image: Tensor) -> list[Panel]:
    """What the model gives in eval mode, and your own mask if there is one."""
    if setup.model is None or setup.settings is not None:
        return []
    try:
        with evaluated(setup.model):
            logits = setup.model(image[None])[0]
    except ValueError:
        return [_text(["no prediction:", "the model rejects", "the image"])]
    if setup.predict is not None:
        right = logits[0] > 0
        batch = torch.stack([train[i][0] for i in range(4)])
        own = setup.predict(torch.cat([image[None], batch]))[0]
        return [
            _mask(right.long(), "right prediction", "nothing found"),
            _mask(own.long(), "your prediction", "nothing found"),
            _mask((own != right).long(), "difference", "none"),
        ]
    if setup.task.target == "classes":
        return [_mask((logits[:1] > 0).long(), "prediction", "nothing found")]
    return [_probability(logits)]


def _trials(own: Trial, known: Trial) -> Panel:
    """The two short trainings that the doctor compares."""

    def show(ax: Axes) -> None:
        for trial in (own, known):
            ax.plot(trial.losses, label=f"rate {trial.rate:.0e}")
        ax.set(title="one batch", xlabel="step", ylabel="loss", ylim=(0, 2.5 * own.losses[0]))
        ax.legend()

    return show
