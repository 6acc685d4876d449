"""The checks of chapter 6: a right answer, and each typical wrong one with its message."""

import itertools

import torch

from unet_lib.course.exercises import chapter06


def draw(low, high, count=1):
    return torch.randint(low, high, (count,)).tolist()


def shift(image, labels, most, moves=None, wrap=False):
    down, right = moves or draw(-most, most + 1, 2)
    rows, columns = torch.arange(labels.shape[0])[:, None], torch.arange(labels.shape[1])
    inside = (rows >= down) & (rows < labels.shape[0] + down)
    inside = inside & (columns >= right) & (columns < labels.shape[1] + right) | wrap
    return tuple(x.roll((down, right), (-2, -1)) * inside for x in (image, labels))


def apart(image, labels, most):
    return shift(image, labels, most)[0], shift(image, labels, most)[1]


MOVES = itertools.cycle([(0, 0), (1, 0)])


def views(model, image, back=-1, finish=torch.sigmoid, last=lambda p: p, divide=4):
    turned = [finish(model(image.rot90(k, (1, 2))[None])[0]) for k in range(4)]
    return last(sum(p.rot90(back * k, (1, 2)) for k, p in enumerate(turned)) / divide)


def detector(transform):
    labels = torch.zeros(32, 32, dtype=torch.int64)
    labels[4:14, 6:28], labels[20:30, 4:12] = 9, 5
    wrong = 0.0
    for _ in range(8):
        image, moved = transform(labels[None].float(), labels)
        if not set(moved.unique().tolist()) <= {0, 5, 9}:
            return "blended"
        inside = moved > 0
        wrong += ((image[0] > 0.5 * image.max()) != inside).float().mean().item() / 8
    return "apart" if wrong > 0.12 else "fine"


CASES = {
    chapter06.check_sources: [
        (None, "expected three pairs (row, column), got None"),
        ([1, 2, 3], "expected three pairs (row, column), got [1, 2, 3]"),
        ([(0, 0)], "expected three pairs (row, column), got 1."),
        ([(3, 0), (0, 0), (1, 1)], "a turn clockwise"),
        ([(3, 0), (3, 3), (2, 2)], "row and column are exchanged"),
        ([(3, 3), (3, 0), (2, 1)], "half a turn"),
        ([(0, 0), (3, 0), (2, 1)], "a mirror image"),
        ([(0, 0), (0, 3), (1, 2)], "the pixels that were asked for"),
        ([(0, 3), (3, 3), (1, 1)], "pixel (1, 2) does not come from (1, 1)"),
    ],
    chapter06.check_shift: [
        (shift, "Right: image and labels move together"),
        (lambda *a: None, "expected the pair (image, labels), got NoneType"),
        (lambda i, lb, m: (i[:, 1:], lb[1:]), "the size stays"),
        (lambda i, lb, m: (i, lb.float()), "the labels became torch.float32"),
        (apart, "image and labels moved differently"),
        (lambda i, lb, m: shift(i, lb, m, wrap=True), "comes in on the other. Fill with 0"),
        (lambda i, lb, m: (5 * i, 5 * lb), "not the old ones moved by at most 2"),
        (lambda i, lb, m: shift(i, lb, m, next(MOVES)), "one seed gives two results"),
        (lambda i, lb, m: shift(i, lb, m, draw(-2, 3) * 2), "the same number"),
        (lambda i, lb, m: shift(i, lb, m, draw(-m, m, 2)), "the rows moved by [-2, -1, 0, 1] only"),
        (lambda i, lb, m: shift(i, lb, m, [*draw(-m, m + 1), 0]), "the columns moved by [0] only"),
    ],
    chapter06.check_views: [
        (views, "Right: the mean of four views"),
        (lambda model, image: None, "as a tensor, got NoneType"),
        (lambda model, image: model(image[None]), "got (1, 1, 12, 12)"),
        (lambda *a: views(*a, back=0), "turn each back before the mean"),
        (lambda *a: views(*a, back=1), "turned on instead of back"),
        (lambda *a: views(*a, finish=lambda z: z, last=torch.sigmoid), "mean of the logits"),
        (lambda *a: views(*a, finish=lambda z: z), "these are logits"),
        (lambda *a: views(*a, divide=1), "divide by 4"),
        (lambda model, image: torch.zeros(1, 12, 12), "not the means of four turned views"),
    ],
    chapter06.check_detector: [
        (detector, "Right: seven transforms"),
        (lambda transform: "apart", 'joint flips are "fine"'),
        (lambda t: detector(t).replace("blended", "fine"), 'blended labels are "blended", you say'),
    ],
}


def test_told(told, check, answer, words):
    assert words in told(check, answer)
