"""The checks of chapter 3: right answers, and each typical wrong one with what it is told."""

import itertools
from math import exp, hypot

import numpy as np
import torch
from PIL import Image
from torch.nn.functional import interpolate, pad

from unet_lib.course.exercises import chapter03
from unet_lib.data import normalize_percentiles


def cells(image=normalize_percentiles, target=lambda mask: mask > 0, pair=None, mask_of=None):
    """A class of the reader's, right but for what is given."""

    class Cells:
        def __init__(self, root):
            self.images = sorted((root / "images").glob("*.png"))
            self.masks = [root / "masks" / path.name for path in self.images]

        def __getitem__(self, index):
            pixels = np.array(Image.open(self.images[index]))
            mask = np.array(Image.open(self.masks[index if mask_of is None else mask_of]))
            made = [
                torch.from_numpy(values)[None].float() for values in (image(pixels), target(mask))
            ]
            return made if pair is None else pair(*made)

    return Cells


def color_labels(colors, palette, unknown=-1):
    labels = np.full(colors.shape[:2], unknown)
    for color, index in palette.items():
        labels[(colors == color).all(axis=-1)] = index
    if (labels < 0).any():
        raise ValueError("unknown colors")
    return labels


def looked_up(colors, palette):
    return torch.tensor([[palette[tuple(color)] for color in row] for row in colors.tolist()])


def block_split(count, share, gap, moved=0):
    size = round(share * count)
    test, validation = count - size, count - 2 * size - gap
    training = range(moved, validation - gap)
    return training, range(validation, validation + size), range(test, count)


def reordered(count, share, gap):
    training, validation, test = block_split(count, share, gap)
    return validation, training, test


def gap_weight(d1, d2, w0=10.0, sigma=5.0):
    return 1 + w0 * exp(-((d1 + d2) ** 2) / (2 * sigma**2))


def nearest(labels, size, center=1):
    rows, columns = (
        (2 * torch.arange(new) + center) * old // (2 * new)
        for old, new in zip(labels.shape, size, strict=True)
    )
    return labels[rows[:, None], columns]


def group_split(patients, share, seed):
    everybody = np.random.default_rng(seed).permutation(sorted(set(patients)))
    chosen = set(everybody[: max(1, round(share * len(everybody)))].tolist())
    train = [i for i, patient in enumerate(patients) if patient not in chosen]
    return train, [i for i, patient in enumerate(patients) if patient in chosen]


def random_split(patients, share, seed):
    order = np.random.default_rng(seed).permutation(len(patients))
    count = round(share * len(order))
    return order[count:], order[:count]


def collate(batch, fill=255, image_fill=0.0, bottom=True):
    height, width = (max(labels.shape[side] for _, labels in batch) for side in (0, 1))
    images, targets = [], []
    for image, labels in batch:
        x, y = width - labels.shape[1], height - labels.shape[0]
        margin = (0, x, 0, y) if bottom else (x, 0, y, 0)
        images.append(pad(image, margin, value=image_fill))
        targets.append(pad(labels, margin, value=fill))
    return torch.stack(images), torch.stack(targets)


def smooth(labels, size):
    image = labels[None, None].float()
    return interpolate(image, size=size, mode="bilinear")[0, 0].round().long()


CALLS = itertools.count()
CASES = {
    chapter03.check_getitem: [
        (cells(), "Right: "),
        (cells(image=lambda pixels: pixels), "gray values as they are stored"),
        (cells(image=lambda pixels: pixels / 255), "divided by 255, a dark image stays dark"),
        (cells(image=lambda pixels: pixels / pixels.max()), "one hot pixel decides"),
        (cells(image=lambda pixels: pixels.T.reshape(pixels.shape)), "not the one with this index"),
        (cells(target=lambda mask: mask), "holds 0, 255, expected 0 and 1"),
        (cells(target=lambda mask: mask / 65025), "holds 0, 0.003922, expected 0 and 1"),
        (cells(target=lambda mask: mask == 0), "turned around"),
        (cells(mask_of=2), "dataset[0]: the target is not the mask of this image"),
        (cells(pair=lambda image, target: image), "dataset[0] is a Tensor. Return two tensors"),
        (cells(pair=lambda image, target: (image[0], target)), "has the shape (40, 48), expected"),
        (cells(pair=lambda image, target: (image.numpy(), target)), "image is an ndarray"),
        (cells(pair=lambda image, target: (image, target.long())), "not torch.float32"),
        (lambda root: None, "dataset[0] raised TypeError"),
        (7, "pass the function itself"),
    ],
    chapter03.check_color_labels: [
        (color_labels, "Right: "),
        (looked_up, "Right: "),
        (lambda colors, palette: color_labels(colors, palette, unknown=0), "becomes 0. Raise a"),
        (lambda colors, palette: colors, "shape (3, 4, 3), expected (3, 4)"),
        (lambda colors, palette: color_labels(colors, palette) / 255, "type float64"),
        (lambda colors, palette: color_labels(colors[::-1], palette), "at row 0, column"),
        (lambda colors, palette: None, "you return None. Return an array"),
    ],
    chapter03.check_block_split: [
        (block_split, "Right: "),
        (lambda *given: map(list, block_split(*given)), "Right: "),
        (lambda count, share, gap: block_split(count, share, 0), "0 slices lie between training"),
        (lambda count, share, gap: block_split(count, 0.1, gap), "validation has 10 slices"),
        (lambda *given: block_split(*given, moved=1), "at the ends of the stack go unused"),
        (lambda *given: block_split(*given)[:2], "Return three lists of indices"),
        (reordered, "The order is training, validation, test"),
        (lambda *given: ([0, 2], [4], [6]), "training is no run of neighbors"),
        (lambda count, *_: (range(70), [], range(85, 100)), "validation is empty"),
        (lambda count, *_: (range(70), [71], range(85, 101)), "numbers 0 to 99"),
    ],
    chapter03.check_gap_weight: [
        (gap_weight, "Right: "),
        (lambda d1, d2, w0, s: 1 + w0 * exp((d1 + d2) ** 2 / (2 * s**2)), "exponent is negative"),
        (lambda d1, d2, w0, s: 1 + w0 * exp(-((d1 + d2) ** 2) / s**2), "is doubled"),
        (lambda d1, d2, w0, s: 1 + w0 * exp(-((d1 + d2) ** 2) / (2 * s)), "sigma is squared"),
        (lambda d1, d2, w0, s: 1 + w0 * exp(-(d1 + d2) / (2 * s**2)), "distances is squared"),
        (lambda d1, d2, w0, s: gap_weight(hypot(d1, d2), 0, w0, s), "add first"),
        (lambda d1, d2, w0, s: gap_weight(d1, d2), "not 10 and 5"),
        (lambda d1, d2, w0, s: 42, "gives 42.0000, expected 10.8020"),
        (lambda d1, d2, w0, s: "10", "gives a str. Return one plain number"),
    ],
    chapter03.check_nearest_resize: [
        (nearest, "Right: "),
        (lambda labels, size: nearest(labels.T, size[::-1]), "size is (height, width)"),
        (smooth, "invent 1: a mean of two classes"),
        (lambda labels, size: smooth(labels, size).float() + 0.25, "invent 0.25"),
        (lambda labels, size: nearest(labels, size).float(), "give torch.float32"),
        (lambda labels, size: nearest(labels, size, center=0), "Compare centers"),
        (lambda labels, size: nearest(labels, size).flip(0), "at row 0, column 0, expected 0"),
        (lambda labels, size: nearest(labels, size).numpy(), "you return an ndarray"),
    ],
    chapter03.check_group_split: [
        (group_split, "Right: "),
        (lambda *given: tuple(map(np.array, group_split(*given))), "Right: "),
        (lambda patients, share, seed: ([*range(12)], [3]), "image 3 is there twice"),
        (lambda patients, share, seed: ([*range(12)], [12]), "no image 12; indices go from 0"),
        (random_split, "is on both sides"),
        (lambda patients, share, seed: ([*range(12)], []), "0 of 4 patients are in validation"),
        (lambda patients, share, seed: ([], [*range(12)]), "4 of 4 patients are in validation"),
        (lambda patients, share, seed: group_split(patients, share, 0), "six seeds choose"),
        (lambda *given: group_split(*given[:2], next(CALLS)), "seed 5 twice gives two splits"),
        (lambda patients, share, seed: 7, "you return an int. Return two lists"),
    ],
    chapter03.check_padded_collate: [
        (collate, "Right: "),
        (lambda batch: collate(batch)[0], "you return a Tensor. Return two tensors"),
        (lambda batch: tuple(map(list, zip(*batch, strict=True))), "is no tensor yet"),
        (lambda batch: (collate(batch)[0], collate(batch)[1][:, :4]), "Pad them exactly"),
        (lambda batch: collate(batch, bottom=False), "image 0 does not lie unchanged"),
        (lambda batch: collate(batch, fill=0), "the network would learn it"),
        (lambda batch: collate(batch, fill=-1), "is -1, expected 255"),
        (lambda batch: collate(batch, image_fill=0.5), "margin of the images is not 0"),
        (lambda batch: (collate(batch)[0], collate(batch)[1].int()), "stay torch.int64"),
    ],
}


def test_told(told, check, answer, words):
    assert words in told(check, answer)
