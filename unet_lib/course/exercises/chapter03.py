"""Checks for the exercises of chapter 3: border weights, masks resized, splits, padded batches."""

from itertools import pairwise
from math import exp

import torch
from torch import Tensor
from torch.nn.functional import interpolate

from unet_lib.course.exercises.harness import NotYet, about, ask, check, expect, kind, say
from unet_lib.course.exercises.values import items, judge, number, numbers, tensor, whole
from unet_lib.transforms import resize

Batch = list[tuple[Tensor, Tensor]]


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
def check_group_split(answer: object) -> None:
    """Checks a function (patients, share, seed) -> (training, validation) lists of indices.

    >>> check_group_split(lambda patients, share, seed: ([0, 1, 2, 3], [4, 5, 6, 7]))
    Not yet: 12 pictures went in, 4 are in neither part. Every picture has its place.
    """
    patients = ["Ada", "Bo", "Ada", "Cy", "Dee", "Bo", "Ada", "Dee", "Cy", "Dee", "Bo", "Ada"]
    everybody = [f"patient {number:02}" for number in range(20) for _ in range(3)]
    splits = []
    cases = [(patients, 0.25, 0), (patients, 0.5, 1), (patients, 0.1, 2)]
    for names, share, seed in cases + [(everybody, 0.25, seed) for seed in range(6)]:
        splits.append(_parts(answer, names, share, seed))
        _judge_split(names, share, *splits[-1])
    seeded = any(split != splits[-1] for split in splits[3:])
    expect(seeded, "six seeds choose the same patients. Let seed decide who is drawn.")
    again = _parts(answer, everybody, 0.25, seed=5)
    told = "seed 5 twice gives two splits. Make a generator from seed, inside."
    expect(again == splits[-1], told)
    say(True, "no patient on both sides, every picture in one part, and the seed repeats it.")


def _parts(answer: object, names: list[str], share: float, seed: int) -> list[list[int]]:
    """The two lists of indices that the reader's function returns."""
    found = ask(answer, list(names), share, seed)
    told = f"you return {kind(found)}. Return two lists of indices."
    parts = [numbers(part, told, one=whole) for part in items(found, told, 2)]
    for index in (*parts[0], *parts[1]):
        last = len(names) - 1
        expect(0 <= index <= last, f"there is no picture {index}; indices go from 0 to {last}.")
    return [sorted(part) for part in parts]


def _judge_split(names: list[str], share: float, train: list[int], validation: list[int]) -> None:
    missing = len({*range(len(names))} - {*train, *validation})
    told = f"{len(names)} pictures went in, {missing} are in neither part."
    expect(not missing, f"{told} Every picture has its place.")
    for index, next_one in pairwise(sorted(train + validation)):
        told = f"picture {index} is there twice. Each goes to one part."
        expect(index != next_one, told)
    for name in sorted({names[i] for i in train} & {names[i] for i in validation}):
        cure = "Draw patients, not pictures."
        raise NotYet(f"{name} is on both sides: the score would measure memory. {cure}")
    everybody = len(set(names))
    drawn, wanted = len({names[i] for i in validation}), share * everybody
    told = f"{drawn} of {everybody} patients are in validation, about {wanted:g} were asked for"
    expect(abs(drawn - wanted) <= 1 and drawn and train, f"{told} (at least one).")


@check
def check_padded_collate(answer: object) -> None:
    """Checks a function from pairs of different sizes to one batch, padded right and below.

    >>> check_padded_collate(lambda batch: batch[0])
    Not yet: the images have the shape (3, 4, 7), expected (3, 3, 6, 7): all pictures of the ...
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
    told = f"the images have the shape {tuple(images.shape)}, expected {expected}: all pictures"
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
        told = f"picture {place} does not lie unchanged in the upper left corner. Pad at the right "
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
