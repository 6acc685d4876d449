"""Checks for the exercises of chapter 6: sources, a joint shift, averaged views, a detector.

Each takes the reader's answer, prints one line that teaches, and never raises.
"""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from unet_lib.course.exercises import say
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
SIDE = 4
ASKED = ((0, 0), (0, 3), (1, 2))


def check_sources(answer: object) -> None:
    """Judges where a 4x4 picture turned by 90 degrees is read, for pixels (0,0), (0,3) and (1,2).

    >>> check_sources([(0, 3), (3, 3), (2, 2)])
    Right: row r and column c of the turned picture read row c and column 3 - r.
    """
    try:
        found = [(int(row), int(column)) for row, column in answer]  # type: ignore[union-attr]
    except (TypeError, ValueError):
        return say(False, f"expected three pairs (row, column), got {answer!r}.")
    if len(found) != len(ASKED):
        return say(False, f"expected three pairs (row, column), got {len(found)}.")
    last = SIDE - 1
    if found == [(c, last - r) for r, c in ASKED]:
        return say(True, "row r and column c of the turned picture read row c and column 3 - r.")
    mistakes = {
        "these are the places of a turn clockwise, or where the pixels go instead of where they "
        "come from. The upper left corner of the result was the upper right one.": [
            (last - c, r) for r, c in ASKED
        ],
        "row and column are exchanged: (row, column), rows count from above.": [
            (last - r, c) for r, c in ASKED
        ],
        "this is half a turn.": [(last - r, last - c) for r, c in ASKED],
        "this is a mirror image: rows became columns, and nothing was turned.": [
            (c, r) for r, c in ASKED
        ],
        "these are the pixels that were asked for. Where were they before the turn?": [*ASKED],
    }
    for message, places in mistakes.items():
        if found == places:
            return say(False, message)
    wrong = next(i for i, (r, c) in enumerate(ASKED) if found[i] != (c, last - r))
    say(
        False,
        f"pixel {ASKED[wrong]} does not come from {found[wrong]}. Write the numbers 0 to 15 on a "
        "sheet of paper and turn it.",
    )


def check_shift(answer: object) -> None:
    """Judges shift(image, labels, most) -> both, moved by the same random whole pixels.

    >>> check_shift(lambda image, labels, most: (image, labels))
    Not yet: in 60 calls nothing moved. Draw two numbers from -most to most.
    """
    labels = torch.arange(1, 100).reshape(9, 11)
    image, moves = labels[None].float(), set()
    for seed in range(60):
        torch.manual_seed(seed)
        found, problem = _call(answer, image.clone(), labels.clone(), 2)
        if problem or (problem := _pair_problem(found, image, labels)):
            return say(False, problem)
        moved = found[1]
        if not torch.equal(found[0][0], moved.float()):
            return say(False, "image and labels moved differently: draw once, use it for both.")
        move = _move(labels, moved)
        if isinstance(move, str):
            return say(False, move)
        moves.add(move)
        torch.manual_seed(seed)
        if not torch.equal(answer(image.clone(), labels.clone(), 2)[1], moved):  # type: ignore[operator]
            return say(
                False,
                "one seed gives two results: take the random numbers from torch, for example "
                "torch.randint(-most, most + 1, (2,)).",
            )
    say(*_moves_verdict(moves))


def _move(labels: Tensor, moved: Tensor) -> tuple[int, int] | str:
    """Rows and columns by which the labels moved, or what is wrong with it."""
    for down in range(-2, 3):
        for right in range(-2, 3):
            rolled = labels.roll((down, right), (0, 1))
            if (down or right) and torch.equal(moved, rolled):
                return "what leaves on one side comes in on the other. Fill with 0."
            rows, columns = torch.arange(9)[:, None], torch.arange(11)
            inside = (
                (rows >= down) & (rows < 9 + down) & (columns >= right) & (columns < 11 + right)
            )
            if torch.equal(moved, rolled * inside):
                return down, right
    return "the labels are not the old ones moved by at most 2 pixels with 0 behind them."


def _moves_verdict(moves: set[tuple[int, int]]) -> tuple[bool, str]:
    if moves == {(0, 0)}:
        return False, "in 60 calls nothing moved. Draw two numbers from -most to most."
    rows, columns = ({move[axis] for move in moves} for axis in (0, 1))
    if all(down == right for down, right in moves):
        return False, "rows and columns always move by the same number: draw one for each."
    for name, seen in (("rows", rows), ("columns", columns)):
        if seen != set(range(-2, 3)):
            return (
                False,
                f"with most=2 the {name} moved by {sorted(seen)} only. Both ends belong to it: "
                "torch.randint leaves its upper limit out.",
            )
    return True, "image and labels move together, by every number from -2 to 2, with 0 behind them."


def check_views(answer: object) -> None:
    """Judges views(model, image) -> mean probability over four quarter turns, turned back.

    >>> check_views(lambda model, image: model(image[None])[0].sigmoid())
    Not yet: this is the prediction of one view. Turn the image by 0, 1, 2 and 3 quarters.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model, image = nn.Conv2d(1, 1, 3, padding=1), torch.rand(1, 12, 12)
    model.weight.data *= 8  # so that the mean of logits differs from that of probabilities
    found, problem = _call(answer, model, image)
    if problem:
        return say(False, problem)
    if not isinstance(found, Tensor) or found.shape != (1, 12, 12):
        got = tuple(found.shape) if isinstance(found, Tensor) else type(found).__name__
        return say(False, f"expected the probabilities (1, 12, 12) as a tensor, got {got}.")
    with torch.no_grad():
        say(*_views_verdict(found.detach(), model, image))


def _views_verdict(found: Tensor, model: nn.Module, image: Tensor) -> tuple[bool, str]:
    logits = [model(image.rot90(k, (1, 2))[None])[0] for k in range(4)]
    back = torch.stack([z.rot90(-k, (1, 2)) for k, z in enumerate(logits)])
    further = torch.stack([z.rot90(k, (1, 2)) for k, z in enumerate(logits)])
    verdicts = (
        (back.sigmoid().mean(0), True, "the mean of four views, each turned back."),
        (
            logits[0].sigmoid(),
            False,
            "this is the prediction of one view. Turn the image by 0, 1, 2 and 3 quarters.",
        ),
        (
            torch.stack(logits).sigmoid().mean(0),
            False,
            "the predictions lie in four directions: turn each back before the mean.",
        ),
        (
            further.sigmoid().mean(0),
            False,
            "the predictions were turned on instead of back: rot90 with -k.",
        ),
        (
            back.mean(0).sigmoid(),
            False,
            "this is the mean of the logits. It works as well; here take the sigmoid first, so "
            "that each view has the same weight.",
        ),
        (back.mean(0), False, "these are logits: take the sigmoid of each view."),
        (back.sigmoid().sum(0), False, "this is the sum of four views: divide by 4."),
    )
    for value, right, message in verdicts:
        if torch.allclose(found, value, atol=1e-5):
            return right, message
    return False, "these are not the means of four turned views. Print the views one by one."


class Separate:
    """Two calls, each with random numbers of its own: image and labels come apart.

    >>> apart = Separate(random_flips())
    """

    def __init__(self, transform: Joint) -> None:
        self.transform = transform

    def __call__(self, image: Tensor, labels: Tensor) -> Pair:
        """Both transformed, not together."""
        return self.transform(image, labels)[0], self.transform(image, labels)[1]


class Blended:
    """Labels interpolated as if they were brightness.

    >>> blended = Blended(random_rotation(30))
    """

    def __init__(self, transform: Joint) -> None:
        self.transform = transform

    def __call__(self, image: Tensor, labels: Tensor) -> Pair:
        """Both transformed together, the labels to numbers between labels."""
        both, _ = self.transform(torch.cat([image, labels[None].float()]), labels)
        return both[:-1], both[-1].round().long()


def check_detector(answer: object) -> None:
    """Judges detector(transform) -> "fine", "blended" or "apart" for transforms of a pair.

    >>> check_detector(lambda transform: "fine")
    Not yet: flips with two separate calls are "apart", you say 'fine'. Pass the labels as ...
    """
    cases = (
        ("joint flips", random_flips(), "fine"),
        ("flips with two separate calls", Separate(random_flips()), "apart"),
        ("a joint rotation", random_rotation(45), "fine"),
        ("a rotation with blended labels", Blended(random_rotation(45)), "blended"),
        ("a joint crop after a quarter turn", _turn_and_crop(), "fine"),
        ("crops with two separate calls", Separate(random_crop((16, 16))), "apart"),
        ("brightness, which leaves the labels alone", random_brightness_contrast(), "fine"),
    )
    for name, transform, right in cases:
        torch.manual_seed(0)
        found, problem = _call(answer, transform)
        if problem:
            return say(False, problem)
        if found != right:
            return say(False, f'{name} are "{right}", you say {found!r}. {_HINTS[right]}')
    say(True, "seven transforms, each recognized.")


def _turn_and_crop() -> Joint:
    return compose(RandomRightAngle(), random_crop((16, 16)))


_HINTS = {
    "apart": "Pass the labels as the image, too, and compare; one call may fit by chance.",
    "blended": "Give labels such as 0 and 9: are there others afterwards?",
    "fine": "Along edges an interpolated image differs a little from labels that are all right, "
    "and brightness may change: compare where the edges lie, and allow for a few pixels.",
}


def _pair_problem(found: object, image: Tensor, labels: Tensor) -> str:
    if not isinstance(found, tuple) or len(found) != 2 or not isinstance(found[1], Tensor):
        return f"expected the pair (image, labels), got {type(found).__name__}."
    if found[0].shape != image.shape or found[1].shape != labels.shape:
        return (
            f"image {tuple(image.shape)} and labels {tuple(labels.shape)} became "
            f"{tuple(found[0].shape)} and {tuple(found[1].shape)}: the size stays."
        )
    if found[1].dtype != labels.dtype:
        return f"the labels became {found[1].dtype}: they stay whole numbers, torch.int64."
    return ""


def _call(function: object, *arguments: object) -> tuple[object, str]:
    """The result, and what went wrong if it raised; a wrong answer must not stop a notebook."""
    if not isinstance(function, Callable):  # type: ignore[arg-type]
        return None, f"expected a function, got {function!r}."
    try:
        return function(*arguments), ""
    except Exception as error:
        return None, f"your function raised {type(error).__name__}: {error}"
