"""Checks for the exercises of chapter 3: a data set, masks in color or resized, weights, batches.

Those of splits have a module of their own, and are found here too.
"""

from math import exp
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.nn.functional import interpolate

from unet_lib.course.exercises.chapter03_splits import check_block_split, check_group_split
from unet_lib.course.exercises.harness import NotYet, about, ask, check, expect, kind, say
from unet_lib.course.exercises.values import items, judge, number, tensor
from unet_lib.data.normalize import normalize_percentiles
from unet_lib.transforms import resize

__all__ = [
    "check_block_split",
    "check_color_labels",
    "check_gap_weight",
    "check_getitem",
    "check_group_split",
    "check_nearest_resize",
    "check_padded_collate",
]

Batch = list[tuple[Tensor, Tensor]]
COLORS = {(0, 0, 0): 0, (255, 0, 0): 1, (0, 255, 0): 2, (255, 255, 0): 3, (224, 224, 192): 255}


@check
def check_getitem(answer: object) -> None:
    """Checks a class: a folder with images/ and masks/ -> a data set of pairs, each (1, H, W).

    >>> class Empty:
    ...     def __init__(self, root): ...
    ...     def __getitem__(self, index): ...
    >>> check_getitem(Empty)
    Not yet: dataset[0] is None. Return two tensors, image and target.
    """
    with TemporaryDirectory() as folder:
        pairs = _written(Path(folder))
        dataset = ask(answer, Path(folder), who="your class")
        for index, (image, mask) in enumerate(pairs):
            found = ask(lambda i: dataset[i], index, who=f"dataset[{index}]")
            with about(f"dataset[{index}]"):
                _judge_item(image, mask, found)
    say(True, "image and target are what a network takes, for each of three files.")


def _written(folder: Path) -> list[tuple[np.ndarray, np.ndarray]]:
    """Three dark images and their masks of 0 and 255, written as PNG and returned."""
    rng, pairs = np.random.default_rng(0), []
    for part in ("images", "masks"):
        (folder / part).mkdir()
    for index, size in enumerate(((40, 48), (32, 56), (40, 48))):
        image = rng.integers(10, 90, size, dtype=np.uint8)
        mask = np.zeros(size, np.uint8)
        mask[8 + index : 20, 10:30] = 255
        Image.fromarray(image).save(folder / "images" / f"{index}.png")
        Image.fromarray(mask).save(folder / "masks" / f"{index}.png")
        pairs.append((image, mask))
    return pairs


def _judge_item(image: np.ndarray, mask: np.ndarray, found: object) -> None:
    pair = items(found, f" is {kind(found)}. Return two tensors, image and target.", 2)
    for what, part in zip(("image", "target"), pair, strict=True):
        made = "torch.from_numpy makes a tensor of an array."
        expect(isinstance(part, Tensor), f": the {what} is {kind(part)}. {made}")
        shape, wanted = tuple(part.shape), (1, *mask.shape)
        told = f": the {what} has the shape {shape}, expected {wanted}."
        expect(shape == wanted, f"{told} [None] in front adds the channel.")
        expect(part.dtype == torch.float32, f": the {what} is {part.dtype}, not torch.float32.")
    _judge_target(mask, pair[1][0].numpy())
    stretch = "Pass the array to normalize_percentiles."
    reasons = (
        (image, f": the image holds gray values as they are stored. {stretch}"),
        (image / 255, f": divided by 255, a dark image stays dark. {stretch}"),
        (image / image.max(), f": divided by its maximum, one hot pixel decides. {stretch}"),
    )
    otherwise = ": the image is not the one with this index, scaled by its percentiles."
    judge(pair[0][0].numpy(), normalize_percentiles(image), reasons, otherwise, within=1e-4)


def _judge_target(mask: np.ndarray, target: np.ndarray) -> None:
    values = ", ".join(f"{value:.4g}" for value in np.unique(target)[:4])
    told = f": the target holds {values}, expected 0 and 1. Compare the mask with 0."
    expect(np.isin(target, (0, 1)).all(), told)
    turned = (target == (mask == 0)).all()
    expect(not turned, ": the target is turned around. Nuclei are 1, all else is 0.")
    told = ": the target is not the mask of this image. Use index for both files."
    expect((target == (mask > 0)).all(), told)


@check
def check_color_labels(answer: object) -> None:
    """Checks a function (colors (H, W, 3), palette) -> the class of each pixel, (H, W).

    >>> check_color_labels(lambda colors, palette: colors[..., 0])
    Not yet: the color (255, 0, 0) at row 0, column 1 becomes 255, expected 1. All three ...
    """
    names = list(COLORS)
    picked = np.array([[0, 1, 2, 3], [3, 4, 0, 1], [2, 2, 4, 0]])
    colors = np.array(names, np.uint8)[picked]
    right = np.array(list(COLORS.values()))[picked]
    _judge_labels(colors, right, ask(answer, colors, dict(COLORS)))
    stray = colors.copy()
    stray[1, 2] = (254, 0, 1)
    try:
        found = answer(stray, dict(COLORS))  # type: ignore[operator]  # it was called before
    except Exception:  # a refusal, of whatever kind
        return say(True, "each color has its class, and one that nobody defined is refused.")
    raise NotYet(
        f"the color (254, 0, 1) is not in the palette and becomes {np.asarray(found)[1, 2]}. Raise "
        "a ValueError: such colors come from JPEG and from smooth resizing."
    )


def _judge_labels(colors: np.ndarray, right: np.ndarray, found: object) -> None:
    array = isinstance(found, np.ndarray | Tensor)
    expect(array, f"you return {kind(found)}. Return an array (height, width).")
    labels = np.asarray(found.detach() if isinstance(found, Tensor) else found)
    told = f"the labels have the shape {labels.shape}, expected {right.shape}"
    expect(labels.shape == right.shape, f"{told}: one number for each pixel.")
    told = f"the labels are of type {labels.dtype}. Classes are whole numbers."
    expect(labels.dtype.kind in "iu", told)
    for row, column in np.argwhere(labels != right).tolist():
        color = tuple(colors[row, column].tolist())
        raise NotYet(
            f"the color {color} at row {row}, column {column} becomes {labels[row, column]}, "
            f"expected {right[row, column]}. All three channels must agree: "
            "(colors == color).all(axis=-1)."
        )


@check
def check_gap_weight(answer: object) -> None:
    """Checks a function (d1, d2, w0, sigma) -> border weight of one pixel, with w_c = 1.

    >>> check_gap_weight(lambda d1, d2, w0=10, sigma=5: w0 * exp(-((d1 + d2) ** 2) / 2 / sigma**2))
    Not yet: d1=0, d2=1, w0=10, sigma=5 gives 9.8020, one too little: w_c = 1 is added for every ...
    """
    for d1, d2, w0, sigma in ((0, 1, 10, 5), (1, 3, 10, 5), (4, 6, 10, 5), (2, 3, 4, 2)):
        at = f"d1={d1}, d2={d2}, w0={w0}, sigma={sigma} gives"
        found = ask(answer, d1, d2, w0, sigma)
        found = number(found, f"{at} {{kind}}. Return one plain number.")
        with about(f"{at} {found:.4f}"):
            _judge_weight(found, d1, d2, w0, sigma)
    say(True, "where two nuclei touch a pixel weighs 10.8, in an open field close to 1.")


def _gap_weight(distance: float, w0: float, sigma: float) -> float:
    return 1 + w0 * exp(-(distance**2) / (2 * sigma**2))


def _judge_weight(found: float, d1: float, d2: float, w0: float, sigma: float) -> None:
    right, square = _gap_weight(d1 + d2, w0, sigma), (d1 + d2) ** 2
    reasons = (
        (right - 1, ", one too little: w_c = 1 is added for every pixel."),
        (1 + w0 * exp(square / (2 * sigma**2)), ": the exponent is negative; far gaps weigh less."),
        (1 + w0 * exp(-square / sigma**2), ": the square of sigma is doubled below the line."),
        (1 + w0 * exp(-square / (2 * sigma)), ": sigma is squared."),
        (1 + w0 * exp(-(d1 + d2) / (2 * sigma**2)), ": the sum of the distances is squared."),
        (_gap_weight((d1**2 + d2**2) ** 0.5, w0, sigma), ": add first, then square the sum."),
        (_gap_weight(d1 + d2, 10, 5), ": use the arguments w0 and sigma, not 10 and 5."),
    )
    other = f", expected {right:.4f}. Take the formula apart and compute each factor alone."
    judge(found, right, reasons, other, within=0, relative=1e-6)


@check
def check_nearest_resize(answer: object) -> None:
    """Checks a function (labels (H, W), (height, width)) -> labels of that size, nearest pixels.

    >>> check_nearest_resize(lambda labels, size: labels)
    Not yet: 3x4 pixels to (6, 8) give (3, 4). The result has the height and width of size.
    """
    labels = torch.tensor([[0, 15, 15, 255], [0, 0, 7, 255], [15, 0, 0, 7]])
    for size in ((6, 8), (3, 4), (1, 4), (3, 2), (2, 3), (5, 9)):
        found = ask(answer, labels, size)
        found = tensor(found, "you return {kind}. Return a tensor (height, width).")
        with about(f"3x4 pixels to {size} "):
            _judge_resized(labels, size, found)
    say(True, "only classes that were there before, each at its place.")


def _judge_resized(labels: Tensor, size: tuple[int, int], found: Tensor) -> None:
    shape = tuple(found.shape)
    turned = shape == size[::-1] != size
    expect(not turned, f"give {shape}. size is (height, width), rows first.")
    expect(shape == size, f"give {shape}. The result has the height and width of size.")
    for strange in sorted(set(found.flatten().tolist()) - set(labels.flatten().tolist())):
        raise NotYet(f"invent {strange:g}: a mean of two classes is no class. Pick, never mix.")
    indices = not found.is_floating_point()
    expect(indices, f"give {found.dtype}. Class indices stay whole numbers, torch.int64.")
    expected = resize(size)(torch.zeros(1, 3, 4), labels)[1]
    if torch.equal(found, expected):
        return
    corner = interpolate(labels[None, None].float(), size=size, mode="nearest")[0, 0]
    told = "take the pixel at the corner of each new one, as i * H // h does: the mask moves by "
    centers = not torch.equal(found, corner.long())
    expect(centers, f"{told}up to half a pixel. Compare centers.")
    row, column = torch.nonzero(found != expected)[0].tolist()
    raise NotYet(
        f"give {found[row, column]} at row {row}, column {column}, expected "
        f"{expected[row, column]}. Which old pixel holds the center of this new one?"
    )


@check
def check_padded_collate(answer: object) -> None:
    """Checks a function from pairs of different sizes to one batch, padded right and below.

    >>> check_padded_collate(lambda batch: batch[0])
    Not yet: the images have the shape (3, 4, 7), expected (3, 3, 6, 7): all images of the ...
    """
    generator = torch.Generator().manual_seed(0)
    for channels, sizes in ((3, [(4, 7), (6, 5), (2, 2)]), (1, [(3, 3), (3, 3)])):
        batch = [_random_pair(generator, channels, size) for size in sizes]
        _judge_batch(batch, ask(answer, batch))
    say(True, "nothing is lost, nothing is squeezed, and the loss can ignore the margin.")


def _random_pair(generator: torch.Generator, channels: int, size: tuple[int, int]) -> tuple:
    image = torch.rand(channels, *size, generator=generator) + 0.1
    return image, torch.randint(1, 21, size, generator=generator)


def _judge_batch(batch: Batch, found: object) -> None:
    pair = items(found, f"you return {kind(found)}. Return two tensors, images and labels.", 2)
    tensors = all(isinstance(part, Tensor) for part in pair)
    expect(tensors, "one of the two is no tensor yet. torch.stack makes one of a list.")
    images, labels = pair
    height, width = (max(label.shape[side] for _, label in batch) for side in (0, 1))
    expected = (len(batch), len(batch[0][0]), height, width)
    told = f"the images have the shape {tuple(images.shape)}, expected {expected}: all images"
    large = "of the batch, as high and as wide as the largest."
    expect(images.shape == expected, f"{told} {large}")
    told = f"the labels have shape {tuple(labels.shape)}, expected {(len(batch), height, width)}"
    expect(labels.shape == images[:, 0].shape, f"{told}. Pad them exactly as the images.")
    _judge_padding(batch, images, labels)


def _judge_padding(batch: Batch, images: Tensor, labels: Tensor) -> None:
    margin = torch.ones_like(labels, dtype=torch.bool)
    for place, (image, label) in enumerate(batch):
        window = (place, slice(label.shape[0]), slice(label.shape[1]))
        margin[window] = False
        kept = torch.equal(images.movedim(1, -1)[window].movedim(-1, 0), image)
        told = f"image {place} does not lie unchanged in the upper left corner. Pad at the right "
        kept = kept and torch.equal(labels[window], label)
        expect(kept, f"{told}and at the bottom only, and resize nothing.")
    outside, told = labels[margin], "the margin of the labels is"
    black = (outside == 0).any()
    expect(not black, f"{told} 0, background: the network would learn it. Use 255.")
    for value in outside[outside != 255]:
        raise NotYet(f"{told} {value}, expected 255 (ignored).")
    black = (images.movedim(1, -1)[margin] == 0).all()
    expect(black, "the margin of the images is not 0.")
    kept = labels.dtype == torch.int64
    expect(kept, f"the labels are {labels.dtype}. Class indices stay torch.int64.")
