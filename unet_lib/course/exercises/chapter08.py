"""Checks for the exercises of chapter 8: network size, rate and batch, halving, an honest search.

Each takes the reader's answer, prints one line that teaches, and never raises.
"""

import math
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import torch
from torch.utils.flop_counter import FlopCounterMode

from unet_lib.course.exercises import say
from unet_lib.model.sizes import receptive_field
from unet_lib.model.unet import UNet

NEEDED = 60  # pixels that the network of the first exercise has to see
BUDGET = 60  # trainings of the last exercise
SETTINGS = 40  # to choose from there
CEILINGS = np.array([0.86, 0.93, 0.80, 0.88, 0.83, 0.90, 0.78, 0.85])
SLOWNESS = np.array([1.0, 5.0, 0.7, 1.6, 1.2, 2.4, 0.5, 3.0])
CURVES = CEILINGS[:, None] - 0.5 * np.exp(-np.arange(1, 9) / SLOWNESS[:, None])
"""Scores of eight trials after 1 to 8 epochs; those that rise slowly rise higher."""


def check_smallest_network(answer: object) -> None:
    """Judges (kernel, depth): sees 60 pixels with the fewest multiplications, width 8.

    >>> check_smallest_network((3, 4))
    Not yet: kernel 3 and depth 4 see 204 pixels, which is enough, with 47.3 million ...
    """
    pair = tuple(answer) if isinstance(answer, tuple | list) else ()
    if len(pair) != 2 or not all(type(number) is int for number in pair):
        return say(False, f"expected two whole numbers, (kernel, depth); got {answer!r}.")
    kernel, depth = pair
    if kernel not in (1, 3, 5, 7) or not 1 <= depth <= 5:
        return say(False, f"kernels are 1, 3, 5 or 7, depths 1 to 5; got {kernel} and {depth}.")
    sees, found = receptive_field(depth, kernel=kernel), f"kernel {kernel} and depth {depth}"
    if sees < NEEDED:
        return say(False, f"{found} see only {sees} pixels; {NEEDED} are needed.")
    work = _multiplications(kernel, depth)
    if pair == (5, 2):
        return say(
            False,
            f"{found} see {sees} pixels with the fewest parameters, but not with the fewest "
            f"multiplications ({work:.1f} million): all of these weights work at large sizes.",
        )
    if pair != (3, 3):
        return say(
            False,
            f"{found} see {sees} pixels, which is enough, with {work:.1f} million "
            "multiplications; another pair needs fewer.",
        )
    say(True, f"{found} see {sees} pixels with {work:.1f} million multiplications.")


@cache
def _multiplications(kernel: int, depth: int) -> float:
    """Millions of them, for one picture of 64 x 64 pixels."""
    model = UNet(1, 1, width=8, depth=depth, kernel=kernel, norm="batch")
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        model(torch.zeros(1, 1, 64, 64))
    return counter.get_total_flops() / 2e6


def check_scaled_rate(scaled: object) -> None:
    """Judges scaled(rate, batch, new_batch, optimizer) -> the rate for the new batch size.

    >>> check_scaled_rate(lambda rate, batch, new_batch, optimizer: rate * new_batch / batch)
    Not yet: right for "sgd"; for "adamw", 0.004 at 8 becomes 0.008 at 32, got 0.016: ...
    """
    for optimizer, power in (("sgd", 1.0), ("adamw", 0.5)):
        for rate, batch, new in ((0.004, 8, 32), (0.1, 64, 16), (0.03, 8, 8)):
            result, problem = _call(scaled, rate, batch, new, optimizer)
            right = rate * (new / batch) ** power
            if problem or not _number(result):
                return say(False, problem or f"expected a number, got {_short(result)}.")
            if not math.isclose(result, right, rel_tol=1e-6):
                before = 'right for "sgd"; ' if optimizer == "adamw" else ""
                said = f'{before}for "{optimizer}", {rate:g} at {batch} becomes {right:g} at {new}'
                hint = _scaling_mistake(result, rate, new / batch, optimizer)
                return say(False, f"{said}, got {result:g}: {hint}")
    say(True, "with the batch for SGD, with its root for AdamW, upwards and downwards.")


def _scaling_mistake(result: float, rate: float, factor: float, optimizer: str) -> str:
    """What is wrong with this rate, as far as it can be told from its value."""
    other = factor**0.5 if optimizer == "sgd" else factor
    if math.isclose(result, rate * other, rel_tol=1e-6):
        return {
            "sgd": "its step is rate times gradient, so nothing shrinks with the noise.",
            "adamw": "it divides by the root of the squared gradient, and with it by the noise.",
        }[optimizer]
    if math.isclose(result, rate, rel_tol=1e-6):
        return "fewer steps have to be longer ones, and more steps shorter ones."
    if any(math.isclose(result, rate / f, rel_tol=1e-6) for f in (factor, factor**0.5)):
        return "the other way round: a larger batch means fewer steps, which have to be longer."
    return "multiply the rate by a power of new_batch / batch."


def check_halving(halving: object) -> None:
    """Judges halving(curves) -> (number of the winner, epochs trained in all).

    `curves[n][e]` is the score of trial n after e + 1 epochs. All trials train for 1 epoch, the
    better half of them goes on to 2, the better half of these to 4, and so on.

    >>> check_halving(lambda curves: (3, 64))
    Not yet: for 8 trials, 20 epochs were trained, got 64: that is every trial to its end. ...
    """
    for curves in (CURVES, CURVES[:4, :4], 1 - CURVES[::-1]):
        winner, spent = _halve(curves)
        result, problem = _call(halving, curves.tolist())
        if problem or not isinstance(result, tuple | list) or len(result) != 2:
            return say(False, problem or f"expected (winner, epochs), got {_short(result)}.")
        if result[1] != spent:
            hint = _epochs_mistake(result[1], *curves.shape)
            text = f"for {len(curves)} trials, {spent} epochs were trained, got {result[1]}: {hint}"
            return say(False, text)
        if result[0] != winner:
            return say(False, _winner_mistake(result[0], winner, curves))
    say(True, f"eight trials of eight epochs for the price of {_halve(CURVES)[1]} epochs.")


def _halve(curves: np.ndarray) -> tuple[int, int]:
    alive, spent, trained = list(range(len(curves))), 0, 0
    for epochs in (2**rung for rung in range(len(curves).bit_length())):
        spent, trained = spent + len(alive) * (epochs - trained), epochs
        alive = sorted(alive, key=lambda n: -curves[n][epochs - 1])[: max(1, len(alive) // 2)]
    return alive[0], spent


def _epochs_mistake(spent: object, trials: int, epochs: int) -> str:
    if spent == trials * epochs:
        return "that is every trial to its end. Those that drop out train no further."
    if spent == epochs * (epochs.bit_length()):
        return "each rung was trained from the start. Who goes on has the earlier epochs already."
    return "8 trials for 1 epoch, 4 for 1 more, 2 for 2 more, 1 for 4 more."


def _winner_mistake(found: object, winner: int, curves: np.ndarray) -> str:
    if found == int(np.argmax(curves[:, -1])):
        return (
            f"trial {found} has the best last score, but halving never sees it: it drops out "
            f"early. Trial {winner} survives. That is the risk of pruning."
        )
    if found == int(np.argmax(curves[:, 0])):
        return f"trial {found} is the best after one epoch; rank the survivors again at each rung."
    return f"expected trial {winner}, got {_short(found)}: a higher score is better."


def check_honest_search(search: object) -> None:
    """Judges search(train, settings, budget) -> (setting, score to expect of it).

    `train(setting, seed)` gives a score with noise, and may be called `budget` times. The check
    plays 150 searches whose true scores it knows.

    >>> check_honest_search(lambda train, settings, budget: (0, train(0, seed=0)))
    Not yet: the settings you choose are no better than any: 0.898 on average. ...
    """
    reported, true = [], []
    for world in range(150):
        truth = np.random.default_rng(world).normal(0.9, 0.01, SETTINGS)
        train = _Bench(truth, world)
        result, problem = _call(search, train, list(range(SETTINGS)), BUDGET)
        problem = problem or _search_problem(result, train)
        if problem:
            return say(False, problem)
        reported.append(float(result[1]))
        true.append(truth[result[0]])
    _judge_search(float(np.mean(reported)), float(np.mean(true)))


class _Bench:
    """Trainings with known true scores: equal settings and seeds give equal scores."""

    def __init__(self, truth: np.ndarray, world: int) -> None:
        self.truth, self.world, self.calls = truth, world, 0

    def __call__(self, setting: int, seed: int) -> float:
        self.calls += 1
        noise = np.random.default_rng((self.world, setting, seed)).standard_normal()
        return float(self.truth[setting] + 0.01 * noise)


def _search_problem(result: Any, train: _Bench) -> str:
    """What is wrong with one search, before its numbers are looked at."""
    if not isinstance(result, tuple | list) or len(result) != 2 or not _number(result[1]):
        return f"expected (setting, score to expect), got {_short(result)}."
    if result[0] not in range(SETTINGS):
        return f"expected one of the settings that were handed in, got {_short(result[0])}."
    if train.calls > BUDGET:
        return f"{train.calls} trainings, but the budget was {BUDGET}."
    return ""


def _judge_search(reported: float, true: float) -> None:
    if true < 0.905:
        return say(
            False,
            f"the settings you choose are no better than any: {true:.3f} on average. Try all "
            "of them once, to begin with.",
        )
    told = f"you promise {reported:.3f} on average, and what you chose is worth {true:.3f}"
    if reported > true + 0.002:
        return say(
            False,
            f"{told}. A score that was the reason for the choice is too high: train the chosen "
            "setting again, with seeds that no choice has seen, and report their mean alone.",
        )
    if reported < true - 0.002:
        return say(False, f"{told}. Report the mean of the chosen setting, not of all settings.")
    say(True, f"{told}.")


def _call(function: object, *arguments: Any) -> tuple[Any, str]:
    """What the reader's function returns, or in words why it returns nothing."""
    if not isinstance(function, Callable):
        return None, f"expected a function, got {_short(function)}."
    try:
        result = function(*arguments)
    except Exception as error:  # whatever a reader's code may raise is told, not raised
        return None, f"your function raised {type(error).__name__}: {error}"
    if result is None:
        return None, "your function returned None; end it with return."
    return result, ""


def _number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) < 60 else f"{text[:57]}..."
