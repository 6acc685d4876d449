"""Checks for the exercises of chapter 6: sources, a joint shift, averaged views, a detector."""

from collections.abc import Callable
from itertools import product

import torch
from torch import Tensor, nn
from torch.nn.functional import pad

from unet_lib.course.exercises.harness import NotYet, ask, check, expect, say, short
from unet_lib.course.exercises.values import items, judge, numbers, tensor, whole
from unet_lib.transforms import (
    Joint,
    RandomRightAngle,
    compose,
    random_brightness_contrast,
    random_crop,
    random_flips,
    random_rotation,
)

Pair = tuple[Tensor, Tensor]
OfPair = Callable[[Tensor, Tensor], Pair]
ASKED = ((0, 0), (0, 3), (1, 2))
CLOCKWISE = (
    "these are the places of a turn clockwise, or where the pixels go instead of where they "
    "come from. The upper left corner of the result was the upper right one."
)
EXCHANGED = "row and column are exchanged: (row, column), rows count from above."
MIRROR = "this is a mirror image: rows became columns, and nothing was turned."
SAME = "these are the pixels that were asked for. Where were they before the turn?"


@check
def check_sources(answer: object) -> None:
    """Judges where a 4x4 image turned by 90 degrees is read, for pixels (0,0), (0,3) and (1,2).

    >>> check_sources([(0, 3), (3, 3), (2, 2)])
    Right: row r and column c of the turned image read row c and column 3 - r.
    """
    told = "expected three pairs (row, column), got"
    other = f"{told} {short(answer)}."
    found = [tuple(numbers(pair, other, 2, whole)) for pair in items(answer, other)]
    expect(len(found) == len(ASKED), f"{told} {len(found)}.")
    mistakes = (
        ([(3 - c, r) for r, c in ASKED], CLOCKWISE),
        ([(3 - r, c) for r, c in ASKED], EXCHANGED),
        ([(3 - r, 3 - c) for r, c in ASKED], "this is half a turn."),
        ([(c, r) for r, c in ASKED], MIRROR),
        (ASKED, SAME),
    )
    pairs = [*zip(ASKED, found, strict=True)]
    wrong = [((r, c), place) for (r, c), place in pairs if place != (c, 3 - r)]
    asked, place = (wrong or pairs)[0]
    told = f"pixel {asked} does not come from {place}. Write the numbers 0 to 15 on a sheet of "
    judge(found, [(c, 3 - r) for r, c in ASKED], mistakes, f"{told}paper and turn it.")
    say(True, "row r and column c of the turned image read row c and column 3 - r.")


@check
def check_shift(answer: object) -> None:
    """Judges shift(image, labels, most) -> both, moved by the same random whole pixels.

    >>> check_shift(lambda image, labels, most: (image, labels))
    Not yet: in 60 calls nothing moved. Draw two numbers from -most to most.
    """
    labels = torch.arange(1, 100).reshape(9, 11)
    image, moves = labels[None].float(), set()
    for seed in range(60):
        torch.manual_seed(seed)
        shifted, moved = _shifted(answer, image, labels)
        together = torch.equal(shifted[0], moved.float())
        expect(together, "image and labels moved differently: draw once, use it for both.")
        moves.add(_move(labels, moved))
        torch.manual_seed(seed)
        again = torch.equal(_shifted(answer, image, labels)[1], moved)
        told = "one seed gives two results: take the random numbers from torch, for example"
        expect(again, f"{told} torch.randint(-most, most + 1, (2,)).")
    _judge_moves(moves)
    say(True, "image and labels move together, by every number from -2 to 2, with 0 behind them.")


def _shifted(answer: object, image: Tensor, labels: Tensor) -> Pair:
    """The pair that the reader's function makes of this one."""
    found = ask(answer, image, labels, 2)
    told = f"expected the pair (image, labels), got {type(found).__name__}."
    pair = items(found, told, 2)
    shifted, moved = (tensor(part, told) for part in pair)
    before, after = ([tuple(x.shape) for x in two] for two in ((image, labels), (shifted, moved)))
    told = f"image {before[0]} and labels {before[1]} became {after[0]} and {after[1]}"
    expect(before == after, f"{told}: the size stays.")
    kept = moved.dtype == labels.dtype
    expect(kept, f"the labels became {moved.dtype}: they stay whole numbers, torch.int64.")
    return shifted, moved


def _move(labels: Tensor, moved: Tensor) -> tuple[int, int]:
    """Rows and columns by which the labels moved."""
    padded = pad(labels, (2, 2, 2, 2))
    for down, right in product(range(-2, 3), repeat=2):
        wrapped = (down or right) and torch.equal(moved, labels.roll((down, right), (0, 1)))
        expect(not wrapped, "what leaves on one side comes in on the other. Fill with 0.")
        if torch.equal(moved, padded.roll((down, right), (0, 1))[2:-2, 2:-2]):
            return down, right
    raise NotYet("the labels are not the old ones moved by at most 2 pixels with 0 behind them.")


def _judge_moves(moves: set[tuple[int, int]]) -> None:
    still = moves == {(0, 0)}
    expect(not still, "in 60 calls nothing moved. Draw two numbers from -most to most.")
    equal = all(down == right for down, right in moves)
    expect(not equal, "rows and columns always move by the same number: draw one for each.")
    for axis, name in enumerate(("rows", "columns")):
        seen = sorted({move[axis] for move in moves})
        told = f"with most=2 the {name} moved by {seen} only."
        ends = "Both ends belong to it: torch.randint leaves its upper limit out."
        expect(seen == list(range(-2, 3)), f"{told} {ends}")


@check
def check_views(answer: object) -> None:
    """Judges views(model, image) -> mean probability over four quarter turns, turned back.

    >>> check_views(lambda model, image: model(image[None])[0].sigmoid())
    Not yet: this is the prediction of one view. Turn the image by 0, 1, 2 and 3 quarters.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model, image = nn.Conv2d(1, 1, 3, padding=1), torch.rand(1, 12, 12)
    model.weight.data *= 8  # so that the mean of logits differs from that of probabilities
    found = ask(answer, model, image)
    kind = tuple(found.shape) if isinstance(found, Tensor) else type(found).__name__
    told = f"expected the probabilities (1, 12, 12) as a tensor, got {kind}."
    with torch.no_grad():
        _judge_views(tensor(found, told, (1, 12, 12)), model, image)
    say(True, "the mean of four views, each turned back.")


def _judge_views(found: Tensor, model: nn.Module, image: Tensor) -> None:
    logits = [model(image.rot90(k, (1, 2))[None])[0] for k in range(4)]
    back, not_back, further = (
        torch.stack([z.rot90(way * k, (1, 2)) for k, z in enumerate(logits)]) for way in (-1, 0, 1)
    )
    one = "this is the prediction of one view. Turn the image by 0, 1, 2 and 3 quarters."
    four = "the predictions lie in four directions: turn each back before the mean."
    onward = "the predictions were turned on instead of back: rot90 with -k."
    of_logits = "this is the mean of the logits. It works as well; here take the sigmoid first, so "
    wrong = (
        (logits[0].sigmoid(), one),
        (not_back.sigmoid().mean(0), four),
        (further.sigmoid().mean(0), onward),
        (back.mean(0).sigmoid(), f"{of_logits}that each view has the same weight."),
        (back.mean(0), "these are logits: take the sigmoid of each view."),
        (back.sigmoid().sum(0), "this is the sum of four views: divide by 4."),
    )
    other = "these are not the means of four turned views. Print the views one by one."
    judge(found, back.sigmoid().mean(0), wrong, other, within=1e-5)


def separate(transform: Joint) -> OfPair:
    """Two calls, each with random numbers of its own: image and labels come apart.

    >>> apart = separate(random_flips())
    """
    return lambda image, labels: (transform(image, labels)[0], transform(image, labels)[1])


def blended(transform: Joint) -> OfPair:
    """Labels interpolated as if they were brightness.

    >>> mixed = blended(random_rotation(30))
    """

    def both(image: Tensor, labels: Tensor) -> Pair:
        stacked, _ = transform(torch.cat([image, labels[None].float()]), labels)
        return stacked[:-1], stacked[-1].round().long()

    return both


@check
def check_detector(answer: object) -> None:
    """Judges detector(transform) -> "fine", "blended" or "apart" for transforms of a pair.

    >>> check_detector(lambda transform: "fine")
    Not yet: flips with two separate calls are "apart", you say 'fine'. Pass the labels as ...
    """
    crop = random_crop((16, 16))
    cases = (
        ("joint flips", random_flips(), "fine"),
        ("flips with two separate calls", separate(random_flips()), "apart"),
        ("a joint rotation", random_rotation(45), "fine"),
        ("a rotation with blended labels", blended(random_rotation(45)), "blended"),
        ("a joint crop after a quarter turn", compose(RandomRightAngle(), crop), "fine"),
        ("crops with two separate calls", separate(crop), "apart"),
        ("brightness, which leaves the labels alone", random_brightness_contrast(), "fine"),
    )
    for name, transform, right in cases:
        torch.manual_seed(0)
        found = ask(answer, transform)
        said = isinstance(found, str) and found == right
        expect(said, f'{name} are "{right}", you say {short(found)}. {_HINTS[right]}')
    say(True, "seven transforms, each recognized.")


_HINTS = {
    "apart": "Pass the labels as the image, too, and compare; one call may fit by chance.",
    "blended": "Give labels such as 0 and 9: are there others afterwards?",
    "fine": "Along edges an interpolated image differs a little from labels that are all right, "
    "and brightness may change: compare where the edges lie, and allow for a few pixels.",
}
