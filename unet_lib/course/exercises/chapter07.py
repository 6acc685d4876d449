"""Checks for the exercises of chapter 7: input scaling, freezing, rates by depth, a verdict."""

import torch
from torch import Tensor, nn

from unet_lib.course.exercises.harness import about, ask, check, expect, say, short
from unet_lib.course.exercises.values import judge, numbers, tensor

NOTHING = "your function returned None: is its last line a return?"
MEANS, DEVIATIONS = torch.tensor([[0.485, 0.456, 0.406], [0.229, 0.224, 0.225]])[..., None, None]
GRAY_FIRST = (
    "127 and 128 are gray values from 0 to 255, and the images are 0 to 1: everything came out "
    "near -1. Multiply by 255 first."
)
NEARLY = (
    "this maps 0 and 1 to -1 and 1, which is close; the network was trained with 127 and 128, "
    "which are not quite the half of 255."
)
RESNETS = (
    "this is how the ResNets were trained, with mean and spread of ImageNet's colors; each network "
    "wants its own scaling."
)
SCALINGS = (
    (lambda x: x, "nothing has changed: 0 has to become -127 / 128."),
    (lambda x: (x - 127) / 128, GRAY_FIRST),
    (lambda x: x * 255, "these are gray values; now take 127 away and divide by 128."),
    (lambda x: x * 255 - 127, "now divide by 128."),
    (lambda x: (x - 0.5) / 0.5, NEARLY),
    (lambda x: (x - MEANS) / DEVIATIONS, RESNETS),
)
"""Wrong ones, and what each has overlooked."""


@check
def check_scaling(scale: object) -> None:
    """Judges a function that scales images from 0..1 as EfficientNet-Lite0 was trained.

    >>> check_scaling(lambda images: (images - 0.5) / 0.5)
    Not yet: this maps 0 and 1 to -1 and 1, which is close; ...
    """
    images = torch.linspace(0, 1, 24).view(1, 3, 2, 4)
    told = "expected a tensor of the shape of the images."
    result = tensor(ask(scale, images, none=NOTHING), told, images.shape)
    first, last = result.flatten()[[0, -1]].tolist()
    other = f"1 became {last:.3f}, expected 1; 0 became {first:.3f}, expected -0.992."
    right = (images * 255 - 127) / 128
    judge(result, right, SCALINGS, other, within=1e-4, given=[images])
    say(True, "0 becomes -0.992, 1 becomes 1, and the gray value 127 becomes 0.")


class Halves(nn.Module):
    """A small encoder and a small decoder, for the exercise on freezing."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder = nn.Sequential(nn.Conv2d(1, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU())
        self.decoder = nn.Sequential(nn.Conv2d(4, 4, 1), nn.BatchNorm2d(4), nn.Conv2d(4, 1, 1))

    def forward(self, images: Tensor) -> Tensor:
        """(N, 1, H, W) -> (N, 1, H, W)."""
        return self.decoder(self.encoder(images))


@check
def check_frozen_training(prepare: object) -> None:
    """Judges a function that makes a model ready to train with its encoder frozen.

    >>> check_frozen_training(lambda model: model.train())
    Not yet: the encoder's parameters still get gradients: requires_grad_(False) on it.
    """
    for model in (Halves().eval(), Halves().train()):
        ask(prepare, model)
        _judge_freezing(model)
    again = "each model.train() undoes the second half; EncoderUNet does it again by itself."
    told = "gradients for the decoder alone, and averages of the encoder that stay."
    say(True, f"{told} Remember that {again}")


def _judge_freezing(model: Halves) -> None:
    """Tells what keeps the decoder from learning, or lets the encoder change."""
    free = any(p.requires_grad for p in model.encoder.parameters())
    expect(not free, "the encoder's parameters still get gradients: requires_grad_(False) on it.")
    learns = all(p.requires_grad for p in model.decoder.parameters())
    expect(learns, "the decoder is frozen as well; it is the part that has to learn.")
    told = "the decoder is in evaluation mode: its BatchNorm neither uses the batch nor keeps"
    cure = "First train() for the whole, then eval() for the encoder."
    expect(model.decoder[1].training, f"{told} averages of it. {cure}")
    told = "no gradient reaches the encoder, and yet it will change: its BatchNorm is in training"
    cure = "Put it into evaluation mode, after train()."
    expect(not model.encoder[1].training, f"{told} mode and goes on averaging. {cure}")


@check
def check_rates(rates: object) -> None:
    """Judges rates(stages, rate, decay): a list, from the first encoder stage to the decoder.

    >>> check_rates(lambda stages, rate, decay: [rate] * (stages + 1))
    Not yet: for 2 stages, rate 0.01, decay 0.5: all rates are the same: ...
    """
    for stages, rate, decay in ((2, 0.01, 0.5), (5, 0.002, 0.3)):
        with about(f"for {stages} stages, rate {rate}, decay {decay}: "):
            _judge_rates(ask(rates, stages, rate, decay, none=NOTHING), stages, rate, decay)
    say(True, "the decoder learns fast, and each stage toward the image more slowly.")


def _judge_rates(answer: object, stages: int, rate: float, decay: float) -> None:
    found, count = numbers(answer, "expected a list of numbers."), stages + 1
    right = [rate * decay ** (stages - i) for i in range(count)]
    decoder = f"expected {count} rates, one a stage and one for the decoder; got {stages}."
    expect(len(found) != stages, decoder)
    expect(len(found) == count, f"expected {count} rates, got {len(found)}.")
    around = "the order is reversed: the first of the list is the stage nearest to the image,"
    same = "all rates are the same: each stage should have decay times that of the next."
    deepest = "the deepest stage has the decoder's rate; it should already have decay times it."
    wrong = (
        ([rate] * count, same),
        (right[::-1], f"{around} and it has the smallest rate."),
        ([*right[1:], rate], deepest),
    )
    other = f"expected {[round(value, 6) for value in right]}."
    if found[-1] != rate:
        other = f"the decoder comes last and learns at {rate}; got {found[-1]:g}."
    judge(found, right, wrong, other, within=0, relative=1e-6)


CLEAR = "the differences scatter little around 0.10, and their interval is far from 0."
PAIRED = "the ranges overlap, but seed by seed a is ahead, and nearly by the same amount."
NARROW = "three differences scatter so that 0 is inside; is your factor 4.303, and is it n - 1?"
SINGLE = "a is ahead in two of three seeds, and far behind in the third."
FIVE = "five pairs with such differences exclude 0: the factor for them is 2.776."
CASES = (
    # scores of a, of b, the answer, what an own answer that differs has overlooked
    ([0.91, 0.92, 0.93], [0.80, 0.82, 0.84], "a", CLEAR),
    ([0.70, 0.72, 0.71], [0.78, 0.80, 0.78], "b", "b is ahead in every seed, by 0.08 or 0.07."),
    ([0.90, 0.93, 0.96], [0.89, 0.918, 0.95], "a", PAIRED),
    ([0.90, 0.93, 0.96], [0.89, 0.91, 0.93], "open", NARROW),
    ([0.92, 0.93, 0.80], [0.90, 0.91, 0.81], "open", SINGLE),
    ([0.95], [0.90], "open", "one pair is one observation: ask for at least three."),
    ([0.95, 0.96], [0.90, 0.91], "open", "two pairs are fewer than three."),
    ([0.91, 0.92, 0.92, 0.90, 0.93], [0.90, 0.90, 0.91, 0.90, 0.91], "a", FIVE),
    ([0.90, 0.91, 0.92], [0.90, 0.91, 0.92], "open", "there is no difference at all."),
)


@check
def check_verdict(verdict: object) -> None:
    """Judges verdict(a, b): "a" or "b" where the interval of their differences excludes 0.

    >>> check_verdict(lambda a, b: "a" if sum(a) > sum(b) else "b")
    Not yet: a = [0.9, 0.93, 0.96], b = [0.89, 0.91, 0.93]: expected "open", got 'a'...
    """
    for a, b, right, why in CASES:
        found = ask(verdict, a, b, none=NOTHING)
        said = isinstance(found, str) and found == right
        expect(said, f'a = {a}, b = {b}: expected "{right}", got {short(found)}; {why}')
    say(True, "a winner where the pairs agree, and otherwise the courage to leave it open.")
