"""Figures of the book: image, mask, overlay, error map, history (from chapter 1 on).

Images and masks may be tensors or arrays. Nothing here changes matplotlib's settings.
"""

from collections.abc import Mapping, Sequence
from typing import Protocol, runtime_checkable

import matplotlib.pyplot as plt
import numpy as np
from jaxtyping import Integer
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator

from unet_lib.plots.colors import LABEL_COLORS, LINE_COLORS, PALETTE
from unet_lib.plots.pixels import (
    Picture,
    as_binary,
    as_gray,
    as_image,
    as_labels,
    label_edges,
    require_same_size,
)

_DASHES = ("-", "--", "-.", ":", (0, (5, 1, 1, 1, 1, 1)), (0, (1, 1)))
_DIM = 0.3  # brightness of the image behind an error map


def show_image(
    image: Picture,
    ax: Axes | None = None,
    title: str | None = None,
    limits: tuple[float, float] | None = None,
) -> Axes:
    """Shows an image, (H, W) or (1, H, W) in gray, (3, H, W) or (H, W, 3) in color.

    Gray values are stretched between `limits`, by default the smallest and the largest one.
    Colors are shown as they are: integers by their type, floats from 0 to 1 and cut off beyond.
    Without `ax` a new figure is made. Raises ValueError for another shape.

    >>> ax = show_image(np.eye(4), Figure().add_subplot(), title="four pixels on")
    >>> ax.get_title(), ax.images[0].get_clim()
    ('four pixels on', (0.0, 1.0))
    """
    ax = _panel(ax, title)
    low, high = limits or (None, None)
    ax.imshow(as_image(image), cmap="gray", vmin=low, vmax=high, interpolation="nearest")
    return ax


def show_mask(
    labels: Picture,
    ax: Axes | None = None,
    title: str | None = None,
    ignore_index: int | None = None,
) -> Axes:
    """Shows a mask (H, W) or (1, H, W) of whole numbers: 0 black, each label in a color.

    A mask of 0 and 1 is black and white. `ignore_index` is shown in gray. Raises ValueError for
    another shape and for values that are not whole.

    >>> show_mask(np.array([[0, 1], [2, 255]]), Figure().add_subplot(), ignore_index=255)
    <Axes: >
    """
    labels = as_labels(labels, "mask")
    ignored = np.zeros(labels.shape, bool) if ignore_index is None else labels == ignore_index
    colors = np.array([to_rgb(PALETTE[name]) for name in LABEL_COLORS])
    if not (labels[~ignored] > 1).any():
        colors = np.ones((1, 3))
    shown = np.where(labels[..., None] > 0, colors[(labels - 1) % len(colors)], 0.0)
    shown[ignored] = to_rgb(PALETTE["ignore"])
    ax = _panel(ax, title)
    ax.imshow(shown, interpolation="nearest")
    if len(colors) > 1:  # touching instances may have one color
        ax.add_collection(LineCollection(list(label_edges(labels)), colors="black", linewidths=0.8))
    return ax


def show_pairs(
    images: Sequence[Picture] | Picture,
    masks: Sequence[Picture] | Picture,
    titles: Sequence[str] | None = None,
    columns: int = 4,
    ignore_index: int | None = None,
) -> Figure:
    """Shows every image above its mask, `columns` pairs in a row, in a new figure.

    images: N images as `show_image` takes them, or a batch (N, C, H, W); masks: N masks as
    `show_mask` takes them; titles: N texts. Raises ValueError where the numbers differ.

    >>> figure = show_pairs([np.eye(4)] * 3, [np.eye(4)] * 3, titles=["a", "b", "c"])
    >>> [ax.get_title() for ax in figure.axes][:4]
    ['a', 'b', 'c', '']
    >>> plt.close(figure)
    """
    count, titles = len(images), [""] * len(images) if titles is None else titles
    if not count == len(masks) == len(titles) or not count:
        raise ValueError(
            f"expected as many images as masks and titles, at least one; got {count} images, "
            f"{len(masks)} masks and {len(titles)} titles"
        )
    columns = min(columns, count)
    rows = -(-count // columns)
    figure, axes = plt.subplots(
        2 * rows, columns, figsize=(1.7 * columns, 3.5 * rows), squeeze=False, layout="constrained"
    )
    for ax in axes.flat:
        ax.set_axis_off()
    for i, (image, mask, title) in enumerate(zip(images, masks, titles, strict=True)):
        row, column = divmod(i, columns)
        show_image(image, axes[2 * row, column], title)
        show_mask(mask, axes[2 * row + 1, column], ignore_index=ignore_index)
    return figure


def overlay(
    image: Picture,
    labels: Picture,
    ax: Axes | None = None,
    title: str | None = None,
    *,
    color: str = PALETTE["prediction"],
    classes: Sequence[str] | None = None,
) -> Axes:
    """Shows an image with what was labeled in it: outlines of instances, or colored classes.

    labels: whole numbers (H, W) or (1, H, W), 0 = background. Every change of label is outlined
    along the pixels' edges in `color` on a dark rim, to be seen on bright and dark ground. With
    `classes`, the names of classes 0, 1, ..., their pixels are tinted, thin white lines part
    them and a legend names them. Raises ValueError for shapes that differ and for a class without
    a name.

    >>> ax = overlay(np.eye(3), np.array([[1, 1, 0], [1, 1, 0], [0, 0, 2]]), Figure().subplots())
    >>> len(ax.collections[-1].get_segments())  # edges of pixels
    6
    """
    shown, labels = as_image(image), as_labels(labels, "labels")
    require_same_size(labels=labels, image=shown)
    ax = show_image(image, ax, title)
    lines = ((3.0, "black"), (1.2, color))  # width in points
    if classes is not None:
        _tint(ax, labels, classes)
        lines = ((0.6, "white"),)
    for width, line in lines:
        ax.add_collection(LineCollection(list(label_edges(labels)), colors=line, linewidths=width))
    return ax


def error_map(
    image: Picture | None,
    prediction: Picture,
    target: Picture,
    ax: Axes | None = None,
    title: str | None = None,
) -> Axes:
    """Shows where a mask is right (TP, light), wrong (FP, dark red) and missed (FN, blue).

    prediction and target: masks of 0 and 1, or bool, (H, W) or (1, H, W); the dimmed image lies
    behind, black without one. The legend counts the pixels. Raises ValueError for shapes that
    differ and other values.

    >>> mask = np.array([[1, 1, 0]])
    >>> ax = error_map(None, mask, mask[:, ::-1], Figure().add_subplot())
    >>> [text.get_text() for text in ax.get_legend().get_texts()]
    ['right (TP): 1', 'wrong (FP): 1', 'missed (FN): 1']
    """
    found, true = as_binary(prediction, "prediction"), as_binary(target, "target")
    shown = np.zeros(true.shape) if image is None else as_gray(as_image(image))
    require_same_size(prediction=found, target=true, image=shown)
    colored = np.repeat(_DIM * shown[..., None], 3, axis=2)
    areas = (
        ("right (TP)", "TP", found & true),
        ("wrong (FP)", "FP", found & ~true),
        ("missed (FN)", "FN", ~found & true),
    )
    for _, role, where in areas:
        colored[where] = to_rgb(PALETTE[role])
    ax = _panel(ax, title)
    ax.imshow(colored, interpolation="nearest")
    _legend(ax, [(f"{text}: {where.sum()}", PALETTE[role]) for text, role, where in areas])
    return ax


@runtime_checkable
class HasRows(Protocol):
    """A history as `unet_lib.training.fit` returns it; plots load nothing of training."""

    rows: Sequence[Mapping[str, float]]


def plot_history(
    history: HasRows | Sequence[Mapping[str, float]],
    names: Sequence[str] | None = None,
    ax: Axes | None = None,
    title: str | None = None,
) -> Axes:
    """Draws columns of a history, what `fit` returns, over the epochs.

    names: the columns, by default the losses and the mean Dice, as far as there are any. Raises
    ValueError for an empty history or an unknown name, with the names that it has.

    >>> rows = [{"epoch": 1, "loss": 0.9}, {"epoch": 2, "loss": 0.5}]
    >>> ax = plot_history(rows, ax=Figure().add_subplot())
    >>> [line.get_label() for line in ax.lines], ax.get_xlabel()
    (['loss'], 'epoch')
    """
    rows = history.rows if isinstance(history, HasRows) else history
    if not rows:
        raise ValueError("the history is empty: no epoch was finished; train first")
    if names is None:
        names = [n for n in ("loss", "validation_loss", "dice_per_image") if n in rows[0]]
    if unknown := [name for name in names if name not in rows[0]]:
        raise ValueError(f"the history has no column {unknown[0]!r}; it has {list(rows[0])}")
    ax = plt.subplots(layout="constrained")[1] if ax is None else ax
    epochs = [row.get("epoch", i) for i, row in enumerate(rows, start=1)]
    for i, name in enumerate(names):
        look = {
            "color": PALETTE[LINE_COLORS[i % len(LINE_COLORS)]],
            "linestyle": _DASHES[i % len(_DASHES)],
        }
        ax.plot(epochs, [row[name] for row in rows], label=name, marker=".", **look)
    ax.set(xlabel="epoch", title=title or "")
    ax.set_ylim(bottom=min(0, ax.get_ylim()[0]))
    ax.xaxis.set_major_locator(MaxNLocator("auto", integer=True))
    ax.legend()
    return ax


def _panel(ax: Axes | None, title: str | None) -> Axes:
    """Axes for an image, without ticks; in a new figure where none are given."""
    ax = plt.subplots(figsize=(3, 3), layout="constrained")[1] if ax is None else ax
    ax.set_axis_off()
    ax.set_title(title or "")
    return ax


def _tint(ax: Axes, labels: Integer[np.ndarray, "H W"], classes: Sequence[str]) -> None:
    """Lays the classes' colors over the image of `ax`, with a legend of those that occur."""
    present = np.unique(labels)
    if present[0] < 0 or present[-1] >= len(classes):
        raise ValueError(
            f"expected classes 0 to {len(classes) - 1}, as many as there are names, got "
            f"{present[:8].tolist()}"
        )
    colors = {k: PALETTE[LABEL_COLORS[(k - 1) % len(LABEL_COLORS)]] for k in present if k}
    tint = np.zeros((*labels.shape, 4))
    for k, color in colors.items():
        tint[labels == k] = (*to_rgb(color), 0.45)
    ax.imshow(tint, interpolation="nearest")
    _legend(ax, [(classes[k], color) for k, color in colors.items()])


def _legend(ax: Axes, entries: Sequence[tuple[str, str]]) -> None:
    """Names of colors, below the image."""
    patches = [Patch(facecolor=color, edgecolor="0.4", label=text) for text, color in entries]
    legend = ax.legend(handles=patches, frameon=False, fontsize=8, handlelength=1, ncols=1)
    legend.set_loc("upper center")
    legend.set_bbox_to_anchor((0.5, 0.0), ax.transAxes)
