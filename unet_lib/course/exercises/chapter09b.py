"""Checks for the exercises of chapter 9b, slow convergence: curves, bias, schedule, rescue."""

import math
from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor, nn

from unet_lib.course.exercises.harness import NotYet, ask, check, expect, say, short
from unet_lib.course.exercises.values import close, items, judge, number
from unet_lib.data import SimulatedNuclei, foreground
from unet_lib.evaluation.metrics import count_pixels, dice
from unet_lib.model.base import count_parameters
from unet_lib.training.losses import bce_dice_loss

NO_NUMBER = "expected a number, got {got}."
GUESS = 0.42  # the best constant guess in the exercise with curves: 15 % foreground
NAMES = ("rate too small", "plateau", "healthy", "dead start", "rate too large")
ANSWERS = dict(zip("PQRST", NAMES, strict=True))
HINTS = (
    "falls all the time, in a nearly straight line: nothing is wrong but the pace.",
    "stays at the dotted line for a while: what has been learned there? And it leaves it.",
    "falls fast, slows down, and ends far below the dotted line.",
    "does not even reach the dotted line: not even the frequency is learned.",
    "is thrown about from the beginning, at or above the dotted line.",
)
STEPS, GOAL, PARAMETERS = 60, 0.7, 60_000


def loss_curves() -> dict[str, list[float]]:
    """Five losses of 100 steps each, by their letters.

    >>> {letter: round(curve[-1], 1) for letter, curve in loss_curves().items()}
    {'P': 0.5, 'Q': 0.2, 'R': 0.1, 'S': 0.7, 'T': ...}
    """
    s = np.arange(100)
    curves = {
        "P": 0.7 - 0.0018 * s,
        "Q": GUESS + 0.28 * np.exp(-s / 6) - 0.24 / (1 + np.exp((66 - s) / 4)),
        "R": 0.09 + 0.6 * np.exp(-s / 14),
        "S": 0.695,
        "T": 0.62 + 0.2 * np.sin(1.3 * s) + 0.1 * np.exp(-s / 5),
    }
    noise = 0.012 * np.sin(2.1 * s) * np.cos(0.7 * s)
    return {letter: (curve + noise).tolist() for letter, curve in curves.items()}


@check
def check_diagnoses(diagnoses: object) -> None:
    """Judges which of five troubles each curve of `loss_curves` shows.

    >>> check_diagnoses({"P": "healthy"})
    Not yet: a diagnosis is missing for Q, R, S, T.
    """
    if not isinstance(diagnoses, Mapping):
        raise NotYet(f"expected a dictionary, got {type(diagnoses).__name__}.")
    given = {letter: str(diagnoses.get(letter) or "") for letter in ANSWERS}
    missing = [letter for letter, diagnosis in given.items() if not diagnosis]
    expect(not missing, f"a diagnosis is missing for {', '.join(missing)}.")
    for unknown in sorted(set(given.values()) - set(ANSWERS.values())):
        raise NotYet(f"{short(unknown)} is none of {', '.join(sorted(ANSWERS.values()))}.")
    for (letter, right), hint in zip(ANSWERS.items(), HINTS, strict=True):
        expect(given[letter] == right, f"{letter} is not {given[letter]!r}: it {hint}")
    say(True, "all five. Only for two of them is the learning rate to blame.")


@check
def check_prior_bias(prior_bias: object) -> None:
    """Judges prior_bias(masks): the logit of the share of the foreground.

    >>> check_prior_bias(lambda masks: torch.logit(masks.mean()).item())
    Not yet: masks without foreground give -inf; clamp the share to 0.0001 ... 0.9999.
    """
    masks = torch.zeros(4, 1, 10, 10)
    masks[0, :, :6, :8] = 1  # 12 % in all, 48 % of the first
    wrong = (
        (0.12, "this is the share itself, a probability; the bias is a logit."),
        (math.log(0.12), "log p is not yet the logit: log(p / (1 - p))."),
        (-_logit(0.12), "the sign: a rare foreground wants a negative logit."),
        (_logit(0.48), "this is the share of the first mask; take all of them."),
    )
    for example, share in ((masks, 0.12), (1 - masks, 0.88)):
        value, right = number(ask(prior_bias, example), NO_NUMBER), _logit(share)
        other = f"for a share of {share} expected {right:.2f}, got {value:.2f}."
        judge(value, right, wrong, other, within=0.01)
    for fill, share, lacks in ((0, 1e-4, "foreground"), (1, 0.9999, "background")):
        value = number(ask(prior_bias, torch.full_like(masks, fill)), NO_NUMBER)
        told = f"masks without {lacks} give {value:g}; clamp the share to 0.0001 ... 0.9999."
        expect(close(value, _logit(share), within=0.01), told)
    say(True, "rare, frequent, and neither foreground nor background at all.")


def _logit(p: float) -> float:
    return math.log(p / (1 - p))


@check
def check_rate(rate: object) -> None:
    """Judges rate(step, steps, warmup, largest): a linear warm-up, then half a cosine to 0.

    >>> check_rate(lambda step, steps, warmup, largest: largest)
    Not yet: at step 0 of 100, with a warm-up of 10 to 0.4, expected 0.04, got 0.4: ...
    """
    for steps, warmup, largest in ((100, 10, 0.4), (21, 1, 0.01), (50, 25, 2.0)):
        for step in (0, warmup // 2, warmup - 1, warmup, (steps + warmup - 1) // 2, steps - 1):
            case = (step, steps, warmup, largest)
            value, right = number(ask(rate, *case), NO_NUMBER), _rate(*case)
            told = f"at step {step} of {steps}, with a warm-up of {warmup} to {largest:g}, expected"
            hint = _rate_hint(step, steps, warmup, value)
            near = close(value, right, within=1e-3 * largest)
            expect(near, f"{told} {right:.4g}, got {value:.4g}: {hint}")
    say(True, "up in a straight line, down in half a cosine, and 0 at the last step.")


def _rate(step: int, steps: int, warmup: int, largest: float) -> float:
    if step < warmup:
        return largest * (step + 1) / warmup
    return largest * (1 + math.cos(math.pi * (step - warmup + 1) / (steps - warmup))) / 2


def _rate_hint(step: int, steps: int, warmup: int, value: float) -> str:
    if step == 0 and value == 0:
        return "with a rate of 0 the first step is wasted; begin with one part of the warm-up."
    if step < warmup:
        return "the warm-up rises in equal amounts."
    if step == steps - 1:
        return "the last step has the rate 0; is t equal to 1 there?"
    return "half a cosine, from 1 at the end of the warm-up to 0 at the last step."


@check
def check_setup(setup: object) -> None:
    """Judges setup() -> (network, optimizer): 60 steps with them must reach a Dice of 0.7.

    >>> check_setup(lambda: None)
    Not yet: expected a network and an optimizer, got None.
    """
    who = "your set-up"
    answer = ask(setup, who=who)
    told = f"expected a network and an optimizer, got {short(answer)}."
    model, optimizer = items(answer, told, 2)
    expect(isinstance(model, nn.Module) and isinstance(optimizer, torch.optim.Optimizer), told)
    count = count_parameters(model)
    expect(count <= PARAMETERS, f"{count:,} parameters; {PARAMETERS:,} are allowed.")
    losses, gradient, score = ask(lambda: _train(model, optimizer), who=who)
    course = f"the loss went from {losses[0]:.2f} to {losses[-1]:.2f}, the Dice is {score:.2f}"
    expect(score >= GOAL, f"{course}: {_setup_hint(losses, gradient)}")
    say(True, f"{course} after {STEPS} steps.")


def _setup_hint(losses: list[float], gradient: float) -> str:
    if not math.isfinite(losses[-1]):
        return "the steps are much too large."
    if gradient < 1e-6:
        cure = "What do the initial weights do to the signal, and what would keep it alive?"
        told = f"the gradient of the first layer was {gradient:.0e} at the start;"
        return f"{told} nothing arrives there. {cure}"
    if sum(losses[-8:]) > 0.95 * sum(losses[:8]):
        return "a gradient arrives, and the loss hardly moves. How far does a step go?"
    return "it learns, too slowly or too wildly: look for the rate, above or below."


def _train(model: nn.Module, optimizer: torch.optim.Optimizer) -> tuple[list[float], float, float]:
    """Losses of the steps, the first layer's gradient at the start, Dice on other images."""
    images, masks = _pictures(64, seed=40)
    losses, first = [], 0.0
    model.train()
    for step in range(STEPS):
        some = slice(8 * (step % 8), 8 * (step % 8) + 8)
        loss = bce_dice_loss(model(images[some]), masks[some])
        optimizer.zero_grad()
        loss.backward()
        if step == 0:
            first = next(model.parameters()).grad.norm().item()  # type: ignore[union-attr]
        optimizer.step()
        losses.append(loss.item())
    images, masks = _pictures(24, seed=41)
    with torch.no_grad():
        found = model.eval()(images) > 0
    return losses, first, float(dice(count_pixels(found, masks > 0), "set"))


def _pictures(count: int, seed: int) -> tuple[Tensor, Tensor]:
    data = SimulatedNuclei(count, seed=seed, size=(48, 48), target=foreground)
    images, masks = zip(*(data[i] for i in range(count)), strict=True)
    return torch.stack(images), torch.stack(masks)
