"""Checks for the exercises of chapter 3: border weights, masks resized, splits, padded batches."""

from collections.abc import Callable, Hashable, Sequence
from math import exp
from numbers import Real

import torch
from torch import Tensor
from torch.nn.functional import interpolate

from unet_lib.course.exercises import say
from unet_lib.transforms import resize

Batch = list[tuple[Tensor, Tensor]]


def check_gap_weight(answer: object) -> None:
    """Checks a function (d1, d2, w0, sigma) -> border weight of one pixel, with w_c = 1.

    >>> check_gap_weight(lambda d1, d2, w0=10, sigma=5: w0 * exp(-((d1 + d2) ** 2) / 2 / sigma**2))
    Not yet: d1=0, d2=1, w0=10, sigma=5 gives 9.8020, one too little: w_c = 1 is added for every
    pixel.
    """
    for d1, d2, w0, sigma in ((0, 1, 10, 5), (1, 3, 10, 5), (4, 6, 10, 5), (2, 3, 4, 2)):
        found, problem = _call(answer, d1, d2, w0, sigma)
        if problem:
            return say(False, problem)
        at = f"d1={d1}, d2={d2}, w0={w0}, sigma={sigma}"
        if not isinstance(found, Real):
            return say(False, f"{at} gives {_kind(found)}. Return one plain number.")
        expected = _gap_weight(d1 + d2, w0, sigma)
        if abs(found - expected) > 1e-6 * expected:
            return say(False, f"{at} gives {found:.4f}{_why_weight(found, d1, d2, w0, sigma)}")
    say(True, "where two nuclei touch a pixel weighs 10.8, in an open field close to 1.")


def _gap_weight(distance: float, w0: float, sigma: float) -> float:
    return 1 + w0 * exp(-(distance**2) / (2 * sigma**2))


def _why_weight(found: Real, d1: float, d2: float, w0: float, sigma: float) -> str:
    """What is behind a wrong weight, as the rest of a sentence."""
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
    for value, reason in reasons:
        if abs(found - value) < 1e-6 * value:
            return reason
    return f", expected {right:.4f}. Take the formula apart and compute each factor alone."


def check_nearest_resize(answer: object) -> None:
    """Checks a function (labels (H, W), (height, width)) -> labels of that size, nearest pixels.

    >>> check_nearest_resize(lambda labels, size: labels)
    Not yet: 3x4 pixels to (6, 8) give (3, 4). The result has the height and width of size.
    """
    labels = torch.tensor([[0, 15, 15, 255], [0, 0, 7, 255], [15, 0, 0, 7]])
    for size in ((6, 8), (3, 4), (1, 4), (3, 2), (2, 3), (5, 9)):
        found, problem = _call(answer, labels.clone(), size)
        if problem:
            return say(False, problem)
        if not isinstance(found, Tensor):
            return say(False, f"you return {_kind(found)}. Return a tensor (height, width).")
        wrong = _why_resized(labels, size, found)
        if wrong:
            return say(False, f"3x4 pixels to {size} {wrong}")
    say(True, "only classes that were there before, each at its place.")


def _why_resized(labels: Tensor, size: tuple[int, int], found: Tensor) -> str:
    """What is wrong with a resized mask, or nothing."""
    shape = tuple(found.shape)
    if shape == size[::-1] != size:
        return f"give {shape}. size is (height, width), rows first."
    if shape != size:
        return f"give {shape}. The result has the height and width of size."
    strange = sorted(set(found.flatten().tolist()) - set(labels.flatten().tolist()))
    if strange:
        return f"invent {strange[0]:g}: a mean of two classes is no class. Pick, never mix."
    if found.is_floating_point():
        return f"give {found.dtype}. Class indices stay whole numbers, torch.int64."
    expected = resize(size)(torch.zeros(1, 3, 4), labels)[1]
    if torch.equal(found, expected):
        return ""
    corner = interpolate(labels[None, None].float(), size=size, mode="nearest")[0, 0]
    if torch.equal(found, corner.long()):
        return (
            "take the pixel at the corner of each new one, as i * H // h does: the mask moves by "
            "up to half a pixel. Compare centers."
        )
    row, column = torch.nonzero(found != expected)[0].tolist()
    return (
        f"give {found[row, column]} at row {row}, column {column}, expected "
        f"{expected[row, column]}. Which old pixel holds the center of this new one?"
    )


def check_group_split(answer: object) -> None:
    """Checks a function (patients, share, seed) -> (training, validation) lists of indices.

    >>> check_group_split(lambda patients, share, seed: ([0, 1, 2, 3], [4, 5, 6, 7]))
    Not yet: 12 pictures went in, 4 are in neither part. Every picture has its place.
    """
    patients = ["Ada", "Bo", "Ada", "Cy", "Dee", "Bo", "Ada", "Dee", "Cy", "Dee", "Bo", "Ada"]
    everybody = [f"patient {number:02}" for number in range(20) for _ in range(3)]
    chosen = set()
    for names, share, seed in (
        (patients, 0.25, 0),
        (patients, 0.5, 1),
        (patients, 0.1, 2),
        *((everybody, 0.25, seed) for seed in range(6)),
    ):
        parts, problem = _parts(answer, names, share, seed)
        wrong = problem or _why_split(names, share, *parts)
        if wrong:
            return say(False, wrong)
        if names is everybody:
            chosen.add(frozenset(parts[1]))
    if len(chosen) == 1:
        return say(False, "six seeds choose the same patients. Let seed decide who is drawn.")
    if _parts(answer, everybody, 0.25, 5)[0] != parts:
        return say(False, "seed 5 twice gives two splits. Make a generator from seed, inside.")
    say(True, "no patient on both sides, every picture in one part, and the seed repeats it.")


def _parts(
    answer: object, names: Sequence[Hashable], share: float, seed: int
) -> tuple[list[list[int]], str]:
    """The two lists of indices that the reader's function returns, and what is wrong with them."""
    found, problem = _call(answer, list(names), share, seed)
    if problem:
        return [], problem
    try:
        train, validation = ([int(index) for index in part] for part in found)
    except (TypeError, ValueError):
        return [], f"you return {_kind(found)}. Return two lists of indices."
    strange = [index for index in (*train, *validation) if not 0 <= index < len(names)]
    if strange:
        return [], f"there is no picture {strange[0]}; indices go from 0 to {len(names) - 1}."
    return [sorted(train), sorted(validation)], ""


def _why_split(
    names: Sequence[Hashable], share: float, train: list[int], validation: list[int]
) -> str:
    """What is wrong with a split, or nothing."""
    missing = set(range(len(names))) - {*train, *validation}
    if missing:
        return (
            f"{len(names)} pictures went in, {len(missing)} are in neither part. "
            "Every picture has its place."
        )
    if len(train) + len(validation) > len(names):
        return f"picture {_twice([*train, *validation])} is there twice. Each goes to one part."
    on_both = {names[i] for i in train} & {names[i] for i in validation}
    if on_both:
        return (
            f"{min(on_both)} is on both sides: the score would measure memory. Draw patients, "
            "not pictures."
        )
    everybody = len(set(names))
    drawn, wanted = len({names[i] for i in validation}), share * everybody
    if abs(drawn - wanted) > 1 or not drawn or not train:
        return (
            f"{drawn} of {everybody} patients are in validation, about {wanted:g} were asked for "
            "(at least one)."
        )
    return ""


def _twice(indices: list[int]) -> int:
    return next(index for index in sorted(indices) if indices.count(index) > 1)


def check_padded_collate(answer: object) -> None:
    """Checks a function from pairs of different sizes to one batch, padded right and below.

    >>> check_padded_collate(lambda batch: batch[0])
    Not yet: the images have the shape (3, 4, 7), expected (3, 3, 6, 7): all pictures of the batch,
    as high and as wide as the largest.
    """
    generator = torch.Generator().manual_seed(0)
    for channels, sizes in ((3, [(4, 7), (6, 5), (2, 2)]), (1, [(3, 3), (3, 3)])):
        batch = [_random_pair(generator, channels, size) for size in sizes]
        found, problem = _call(answer, [(image.clone(), labels.clone()) for image, labels in batch])
        wrong = problem or _why_collated(batch, found)
        if wrong:
            return say(False, wrong)
    say(True, "nothing is lost, nothing is squeezed, and the loss can ignore the margin.")


def _random_pair(generator: torch.Generator, channels: int, size: tuple[int, int]) -> tuple:
    image = torch.rand(channels, *size, generator=generator) + 0.1
    return image, torch.randint(1, 21, size, generator=generator)


def _why_collated(batch: Batch, found: object) -> str:
    """What is wrong with a batch, or nothing."""
    if not (isinstance(found, tuple | list) and len(found) == 2):
        return f"you return {_kind(found)}. Return two tensors, images and labels."
    if not all(isinstance(part, Tensor) for part in found):
        return "one of the two is no tensor yet. torch.stack makes one of a list."
    images, labels = found
    height, width = (max(label.shape[side] for _, label in batch) for side in (0, 1))
    expected = (len(batch), len(batch[0][0]), height, width)
    if tuple(images.shape) != expected:
        return (
            f"the images have the shape {tuple(images.shape)}, expected {expected}: all pictures "
            "of the batch, as high and as wide as the largest."
        )
    if labels.shape != images[:, 0].shape:
        return (
            f"the labels have the shape {tuple(labels.shape)}, expected "
            f"{(len(batch), height, width)}. Pad them exactly as the images."
        )
    return _why_padded(batch, images, labels)


def _why_padded(batch: Batch, images: Tensor, labels: Tensor) -> str:
    """What is wrong with the values of a batch of the right shape, or nothing."""
    margin = torch.ones_like(labels, dtype=torch.bool)
    for number, (image, label) in enumerate(batch):
        window = (number, slice(label.shape[0]), slice(label.shape[1]))
        margin[window] = False
        kept = torch.equal(images[number][:, window[1], window[2]], image)
        if not (kept and torch.equal(labels[window], label)):
            return (
                f"picture {number} does not lie unchanged in the upper left corner. Pad at the "
                "right and at the bottom only, and resize nothing."
            )
    if (labels[margin] == 0).any():
        return "the margin of the labels is 0, background: the network would learn it. Use 255."
    if (labels[margin] != 255).any():
        return f"the margin of the labels is {labels[margin][0]}, expected 255 (ignored)."
    if (images.movedim(1, -1)[margin] != 0).any():
        return "the margin of the images is not 0."
    if labels.dtype != torch.int64:
        return f"the labels are {labels.dtype}. Class indices stay torch.int64."
    return ""


def _call(function: Callable | object, *arguments: object) -> tuple[object, str]:
    """What the reader's function returns, and what is wrong if it does not."""
    if not callable(function):
        return None, "pass the function itself, without calling it."
    try:
        return function(*arguments), ""
    except Exception as error:  # whatever the reader wrote: the page goes on
        return None, f"your function fails: {type(error).__name__}: {error}"


def _kind(found: object) -> str:
    name = type(found).__name__
    return "None" if found is None else f"{'an' if name[0] in 'aeinou' else 'a'} {name}"
