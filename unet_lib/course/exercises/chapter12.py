"""Checks for the exercises of chapter 12: mIoU by hand and by code, films, milder weights."""

import math
from collections import Counter
from itertools import combinations

import numpy as np

from unet_lib.course.exercises.harness import NotYet, about, ask, check, expect, say
from unet_lib.course.exercises.values import array, close, items, judge, shown

DIGITS = 2e-3  # how near is near enough
NOTHING = "your function returns nothing yet."


@check
def check_pencil(answer: object) -> None:
    """Checks the IoU of road, tree and bus, and the mIoU, of the table in the exercise.

    >>> check_pencil([6 / 8, 3 / 4, None, 5 / 8])
    Not yet: road: you have 0.75, that is the recall. What was wrongly called road counts, too.
    """
    told = "give a list of four: the IoU of road, tree and bus, and the mIoU."
    road, tree, bus, mean = items(answer, told, 4)
    for name, value, tp, row, column in (("road", road, 6, 8, 7), ("tree", tree, 3, 4, 5)):
        right, dice = tp / (row + column - tp), 2 * tp / (row + column)
        wrong = (
            (tp / row, f"that is the recall. What was wrongly called {name} counts, too."),
            (tp / column, f"that is the precision. What of {name} was missed counts, too."),
            (dice, "that is the Dice. In the IoU every pixel counts once."),
        )
        other = "divide the diagonal by row + column - diagonal."
        with about(f"{name}: you have {shown(value)}, "):
            judge(value, right, wrong, other, DIGITS)
    told = f"bus: you have {shown(bus)}; 0/0 is not defined. Give None."
    expect(bus is None or close(bus, math.nan), told)
    both = 6 / 9 + 3 / 6
    thirds = [
        ((both + bus) / 3, f"the bus counts {bus} in it. It did not occur.") for bus in (0, 1)
    ]
    with about(f"mIoU: you have {shown(mean)}; "):
        judge(mean, both / 2, thirds, "it is the mean of two numbers. It did not occur.", DIGITS)
    say(True, "road 0.667, tree 0.500, bus not defined, mIoU 0.583.")


TABLES = {
    "one image, two classes": [[[6, 2], [1, 2]]],
    "a large and a small image": [[[90, 10], [0, 20]], [[0, 0], [5, 5]]],
    "a class that does not occur": [[[6, 2, 0], [1, 3, 0], [0, 0, 0]]],
    "a class that is found and does not occur": [[[6, 1, 1], [1, 3, 0], [0, 0, 0]]],
    "a class that is never found": [[[6, 0, 0], [0, 3, 0], [0, 2, 0]]],
}
"""Confusion matrices of several images, by what is special about them."""


@check
def check_miou(answer: object) -> None:
    """Checks a function: list of confusion matrices (K, K) -> pooled mIoU.

    >>> check_miou(lambda tables: 0.5)
    Not yet: one image, two classes: expected 0.533, you return 0.5. Follow it by hand.
    """
    for name, cells in TABLES.items():
        with about(f"{name}: "):
            value, right = ask(answer, list(np.array(cells)), none=NOTHING), _miou(cells)
            with about(f"expected {right:.3f}, you return {shown(value)}. "):
                judge(value, right, MIOU_MISTAKES, "Follow it by hand.", DIGITS, given=[cells])
    say(True, "pooled over the images, averaged over the classes that occur.")


def _miou(tables: list, absent=math.nan, found=False, recall=False) -> float:
    """The mean IoU; a class without a true pixel counts `absent`, or is scored if it is found."""
    table = np.sum(tables, axis=0)
    hits, rows, columns = np.diag(table), table.sum(1), table.sum(0)
    scored = rows + columns > 0 if found else rows > 0
    below = rows if recall else rows + columns - hits
    scores = np.where(scored, hits / np.maximum(below, 1), absent)
    return float(np.nanmean(scores))


ABSENT = "The class that does not occur counts {} in your mean; leave it out."
PIXELS = "That is the pixel accuracy: a mean over pixels, not over classes."
SCORES = "That is the mean of the images' scores. Add the tables first, divide once."
RECALL = "That is the mean recall: the columns count in the IoU, too."
ROW = "The class without a true pixel is in your mean. Its row is empty: leave it out."
UNDEFINED = "0/0 is nan, and nan in a mean makes it nan. Leave such classes out first."
MIOU_MISTAKES = (
    (lambda tables: math.nan, UNDEFINED),
    (lambda tables: np.trace(np.sum(tables, 0)) / np.sum(tables), PIXELS),
    (lambda tables: np.mean([_miou([table]) for table in tables]), SCORES),
    (lambda tables: _miou(tables, recall=True), RECALL),
    (lambda tables: _miou(tables, found=True), ROW),
    (lambda tables: _miou(tables, absent=0.0), ABSENT.format(0)),
    (lambda tables: _miou(tables, absent=1.0), ABSENT.format(1)),
)


FILMS = {"0001TP": 19, "0006R0": 17, "0016E5": 51, "Seq05VD": 22}
NAMES = [f"{film}_{number:05}.png" for film in FILMS for number in range(FILMS[film])]
"""As many files a film as in our copy of CamVid."""


@check
def check_split(answer: object) -> None:
    """Checks a function: names of files -> (training names, validation names).

    >>> check_split(lambda names: (names[:80], names[80:]))
    Not yet: the film 0016E5 is in both parts: its frames look alike, ...
    """
    for names in (NAMES, [name for name in NAMES if not name.startswith("0006R0")]):
        _judge_split(ask(answer, names, none=NOTHING), names)
    say(True, "no film is divided, and validation is as near to a fifth as the films allow.")


def _judge_split(parts: object, names: list[str]) -> None:
    told = "return two lists of names: (training, validation)."
    training, validation = (items(part, told) for part in items(parts, told, 2))
    told = f"{len(training)} names in training and {len(validation)} in validation;"
    expect(training and validation, f"{told} neither may be empty.")
    once = sorted(map(str, training + validation)) == sorted(names)
    expect(once, "every name has to be in exactly one of the two parts, once.")
    films = [{name.split("_")[0] for name in part} for part in (training, validation)]
    for film in sorted(films[0] & films[1]):
        alike = "its frames look alike, so the score would say what the network remembers."
        raise NotYet(f"the film {film} is in both parts: {alike}")
    share, best = len(validation) / len(names), _best_share(names)
    told = f"validation has {share:.0%} of the images; whole films can come as near to 20 % as"
    near = abs(share - 0.2) <= abs(best - 0.2) + 1e-9
    expect(near, f"{told} {best:.0%}. Try other films, or several of them.")


def _best_share(names: list[str]) -> float:
    """The share of the images nearest to a fifth that whole films can make up."""
    counts = Counter(name.split("_")[0] for name in names).values()
    some = (sum(films) for n in range(1, len(counts)) for films in combinations(counts, n))
    return min((count / len(names) for count in some), key=lambda share: abs(share - 0.2))


WEIGHTS = np.array([0.1, 1.0, 4.0, 0.0])
SHARES = np.array([0.8, 0.15, 0.05, 0.0])


@check
def check_milder(answer: object) -> None:
    """Checks a function (weights, shares, exponent) -> milder weights whose mean pixel has 1.

    >>> check_milder(lambda weights, shares, exponent: weights**exponent)
    Not yet: exponent 0.5: a mean pixel has a weight of 0.503 with yours; divide by that.
    """
    for exponent in (0.5, 1.0, 0.0):
        with about(f"exponent {exponent:g}: "):
            _judge_milder(ask(answer, WEIGHTS, SHARES, exponent, none=NOTHING), exponent)
    say(True, "the rare classes keep a louder voice, and the losses stay comparable.")


def _judge_milder(value: object, exponent: float) -> None:
    told = "return four weights, one a class, got"
    found = array(value, f"{told} {{kind}}.")
    expect(found.shape == WEIGHTS.shape, f"{told} an array of shape {found.shape}.")
    finite = np.isfinite(found).all()
    expect(finite, "a weight is not finite. The absent class has the weight 0; keep it.")
    told = f"the class that does not occur has the weight {found[3]:.3g}; keep it 0."
    expect(found[3] == 0, told)
    powered = np.where(WEIGHTS > 0, WEIGHTS**exponent, 0.0)
    mean, right = powered @ SHARES, powered / (powered @ SHARES)
    classes = "that is scaled to a mean of 1 over the classes. A mean over pixels uses the shares."
    wrong = (
        (powered, f"a mean pixel has a weight of {mean:.3f} with yours; divide by that."),
        (powered / powered[:3].mean(), classes),
    )
    other = f"expected {right.round(3).tolist()}, got {found.round(3).tolist()}."
    judge(found, right, wrong, other, within=1e-8, relative=1e-5)
