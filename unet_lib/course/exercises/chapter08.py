"""Checks for the exercises of chapter 8: network size, rate and batch, halving, a search."""

from functools import cache

import numpy as np
import torch
from torch.utils.flop_counter import FlopCounterMode

from unet_lib.course.exercises.harness import about, ask, check, expect, say, short
from unet_lib.course.exercises.values import items, judge, number, numbers, whole
from unet_lib.model.sizes import receptive_field
from unet_lib.model.unet import UNet

NOTHING = "your function returned None; end it with return."
NEEDED = 60  # pixels that the network of the first exercise has to see
BUDGET = 60  # trainings of the last exercise
SETTINGS = 40  # to choose from there
CEILINGS = np.array([0.86, 0.93, 0.80, 0.88, 0.83, 0.90, 0.78, 0.85])
SLOWNESS = np.array([1.0, 5.0, 0.7, 1.6, 1.2, 2.4, 0.5, 3.0])
CURVES = CEILINGS[:, None] - 0.5 * np.exp(-np.arange(1, 9) / SLOWNESS[:, None])
"""Scores of eight trials after 1 to 8 epochs; those that rise slowly rise higher."""


@check
def check_smallest_network(answer: object) -> None:
    """Judges (kernel, depth): sees 60 pixels with the fewest multiplications, width 8.

    >>> check_smallest_network((3, 4))
    Not yet: kernel 3 and depth 4 see 204 pixels, which is enough, with 47.3 million ...
    """
    told = "expected two whole numbers, (kernel, depth); got {short}."
    kernel, depth = numbers(answer, told, 2, whole)
    known = kernel in (1, 3, 5, 7) and 1 <= depth <= 5
    expect(known, f"kernels are 1, 3, 5 or 7, depths 1 to 5; got {kernel} and {depth}.")
    sees, found = receptive_field(depth, kernel=kernel), f"kernel {kernel} and depth {depth}"
    expect(sees >= NEEDED, f"{found} see only {sees} pixels; {NEEDED} are needed.")
    work = _multiplications(kernel, depth)
    told = f"{found} see {sees} pixels with the fewest parameters, but not with the fewest "
    large = f"multiplications ({work:.1f} million): all of these weights work at large sizes."
    expect((kernel, depth) != (5, 2), told + large)
    told = f"{found} see {sees} pixels, which is enough, with {work:.1f} million multiplications;"
    expect((kernel, depth) == (3, 3), f"{told} another pair needs fewer.")
    say(True, f"{found} see {sees} pixels with {work:.1f} million multiplications.")


@cache
def _multiplications(kernel: int, depth: int) -> float:
    """Millions of them, for one image of 64 x 64 pixels."""
    model = UNet(1, 1, width=8, depth=depth, kernel=kernel, norm="batch")
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        model(torch.zeros(1, 1, 64, 64))
    return counter.get_total_flops() / 2e6


@check
def check_scaled_rate(scaled: object) -> None:
    """Judges scaled(rate, batch, new_batch, optimizer) -> the rate for the new batch size.

    >>> check_scaled_rate(lambda rate, batch, new_batch, optimizer: rate * new_batch / batch)
    Not yet: right for "sgd"; for "adamw", 0.004 at 8 becomes 0.008 at 32, got 0.016: ...
    """
    for optimizer, power in (("sgd", 1.0), ("adamw", 0.5)):
        for rate, batch, new in ((0.004, 8, 32), (0.1, 64, 16), (0.03, 8, 8)):
            result = ask(scaled, rate, batch, new, optimizer, none=NOTHING)
            result = number(result, "expected a number, got {short}.")
            right = rate * (new / batch) ** power
            before = 'right for "sgd"; ' if optimizer == "adamw" else ""
            said = f'{before}for "{optimizer}", {rate:g} at {batch} becomes {right:g} at {new}'
            with about(f"{said}, got {result:g}: "):
                _judge_scaling(result, right, rate, new / batch, optimizer)
    say(True, "with the batch for SGD, with its root for AdamW, upwards and downwards.")


def _judge_scaling(result: float, right: float, rate: float, factor: float, optimizer: str) -> None:
    other, why = factor, "it divides by the root of the squared gradient, and with it by the noise."
    if optimizer == "sgd":
        other = factor**0.5
        why = "its step is rate times gradient, so nothing shrinks with the noise."
    around = "the other way round: a larger batch means fewer steps, which have to be longer."
    wrong = (
        (rate * other, why),
        (rate, "fewer steps have to be longer ones, and more steps shorter ones."),
        *((rate / factor**power, around) for power in (1, 0.5)),
    )
    default = "multiply the rate by a power of new_batch / batch."
    judge(result, right, wrong, default, within=0, relative=1e-6)


@check
def check_halving(halving: object) -> None:
    """Judges halving(curves) -> (number of the winner, epochs trained in all).

    `curves[n][e]` is the score of trial n after e + 1 epochs. All trials train for 1 epoch, the
    better half of them goes on to 2, the better half of these to 4, and so on.

    >>> check_halving(lambda curves: (3, 64))
    Not yet: for 8 trials, 20 epochs were trained, got 64: that is every trial to its end. ...
    """
    for curves in (CURVES, CURVES[:4, :4], 1 - CURVES[::-1]):
        winner, spent = _halve(curves)
        result = ask(halving, curves.tolist(), none=NOTHING)
        found, epochs = numbers(result, "expected (winner, epochs), got {short}.", 2)
        with about(f"for {len(curves)} trials, {spent} epochs were trained, got {epochs}: "):
            _judge_epochs(epochs, spent, *curves.shape)
        _judge_winner(found, winner, curves)
    say(True, f"eight trials of eight epochs for the price of {_halve(CURVES)[1]} epochs.")


def _halve(curves: np.ndarray) -> tuple[int, int]:
    alive, spent, trained = list(range(len(curves))), 0, 0
    for epochs in (2**rung for rung in range(len(curves).bit_length())):
        spent, trained = spent + len(alive) * (epochs - trained), epochs
        alive = sorted(alive, key=lambda n: -curves[n][epochs - 1])[: max(1, len(alive) // 2)]
    return alive[0], spent


def _judge_epochs(found: float, spent: int, trials: int, epochs: int) -> None:
    anew = "each rung was trained from the start. Who goes on has the earlier epochs already."
    wrong = (
        (trials * epochs, "that is every trial to its end. Those that drop out train no further."),
        (epochs * epochs.bit_length(), anew),
    )
    other = "8 trials for 1 epoch, 4 for 1 more, 2 for 2 more, 1 for 4 more."
    judge(found, spent, wrong, other)


def _judge_winner(found: float, winner: int, curves: np.ndarray) -> None:
    last = f"trial {found} has the best last score, but halving never sees it: it drops out early."
    first = f"trial {found} is the best after one epoch; rank the survivors again at each rung."
    pruned = f"{last} Trial {winner} survives. That is the risk of pruning."
    wrong = ((np.argmax(curves[:, -1]), pruned), (np.argmax(curves[:, 0]), first))
    other = f"expected trial {winner}, got {found}: a higher score is better."
    judge(found, winner, wrong, other)


@check
def check_honest_search(search: object) -> None:
    """Judges search(train, settings, budget) -> (setting, score to expect of it).

    `train(setting, seed)` gives a score with noise, and may be called `budget` times. The check
    plays 150 searches whose true scores it knows.

    >>> check_honest_search(lambda train, settings, budget: (0, train(0, seed=0)))
    Not yet: the settings you choose are no better than any: 0.898 on average. ...
    """
    results = []
    for world in range(150):
        truth = np.random.default_rng(world).normal(0.9, 0.01, SETTINGS)
        train = _Bench(truth, world)
        result = ask(search, train, list(range(SETTINGS)), BUDGET, none=NOTHING)
        setting, score = _judge_result(result, train)
        results.append((score, truth[setting]))
    promised, worth = np.mean(results, axis=0).tolist()
    told = f"you promise {promised:.3f} on average, and what you chose is worth {worth:.3f}."
    _judge_search(promised, worth, told)
    say(True, told)


class _Bench:
    """Trainings with known true scores: equal settings and seeds give equal scores."""

    def __init__(self, truth: np.ndarray, world: int) -> None:
        self.truth, self.world, self.calls = truth, world, 0

    def __call__(self, setting: int, seed: int) -> float:
        self.calls += 1
        noise = np.random.default_rng((self.world, setting, seed)).standard_normal()
        return float(self.truth[setting] + 0.01 * noise)


def _judge_result(result: object, train: _Bench) -> tuple[int, float]:
    """One search's setting and score, if they are such."""
    told = f"expected (setting, score to expect), got {short(result)}."
    setting, score = items(result, told, 2)
    score = number(score, told)
    told = f"expected one of the settings that were handed in, got {short(setting)}."
    setting = whole(setting, told)
    expect(0 <= setting < SETTINGS, told)
    expect(train.calls <= BUDGET, f"{train.calls} trainings, but the budget was {BUDGET}.")
    return setting, score


def _judge_search(promised: float, worth: float, told: str) -> None:
    poor = f"the settings you choose are no better than any: {worth:.3f} on average."
    expect(worth >= 0.905, f"{poor} Try all of them once, to begin with.")
    cure = "train the chosen setting again, with seeds that no choice has seen"
    cure = f"{cure}, and report their mean"
    high = f"A score that was the reason for the choice is too high: {cure} alone."
    expect(promised <= worth + 0.002, f"{told} {high}")
    low = "Report the mean of the chosen setting, not of all settings."
    expect(promised >= worth - 0.002, f"{told} {low}")
