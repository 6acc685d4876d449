"""Can one batch be learned by heart at this rate? A few seconds, on a fresh copy of the network."""

import copy
import math
from dataclasses import replace
from itertools import repeat
from typing import NamedTuple

import torch
from torch import Tensor, nn

from unet_lib.data.findings import Finding
from unet_lib.doctor.finding import diagnosis
from unet_lib.doctor.setup import Sample, SetUp, batch_of
from unet_lib.training.parts import groups_of, new_optimizer
from unet_lib.training.probes import short_training
from unet_lib.training.settings import TrainingSettings

IMAGES, SIDE = 4, 64  # of the batch
STEPS = 40
KNOWN_RATE = 2e-3  # at which AdamW trains the networks of this library
LEARNED = 0.15  # share by which the loss falls, from which on something was learned
HALF = 0.5  # with half of the loss gone the rate is good, whatever another one does
SHARE = 0.4  # of what the known rate achieves: less than that is blamed on the rate


class Trial(NamedTuple):
    """The losses of a short training on one batch."""

    rate: float
    losses: list[float]

    @property
    def fell(self) -> float:
        """Share by which the loss fell; at most 0 where it rose or is no number."""
        tail = self.losses[-5:] if len(self.losses) >= 5 else self.losses[-1:]
        last = sum(tail) / len(tail)
        if not math.isfinite(last):
            return -math.inf
        return (self.losses[0] - last) / max(abs(self.losses[0]), 1e-12)


def check_rate(setup: SetUp, sample: Sample) -> list[Finding]:
    """Findings about the learning rate of the settings, from two short trials.

    >>> from unet_lib.data import SimulatedNuclei
    >>> from unet_lib.doctor.setup import draw_sample
    >>> check_rate(SetUp(), draw_sample(SimulatedNuclei(2, size=(32, 32))))
    []
    """
    if setup.model is None or setup.settings is None:
        return []
    own, known = trials(setup, setup.model, setup.settings, sample)
    if known.fell < LEARNED and own.fell < LEARNED:
        found = f"{STEPS} steps on one batch: {_told(own)}, and {_told(known)}"
        return [diagnosis("cannot-learn", found)]
    if own.fell >= min(HALF, SHARE * known.fell):
        return []
    cause = "rate-too-high" if _is_high(own, setup.settings.optimizer) else "rate-too-low"
    found = f"{STEPS} steps on one batch: {_told(own)}, while {_told(known)}"
    return [diagnosis(cause, found)]


def trials(
    setup: SetUp, model: nn.Module, settings: TrainingSettings, sample: Sample
) -> tuple[Trial, Trial]:
    """A short training with the settings, and one at a rate that is known to work.

    >>> from unet_lib.data import SimulatedNuclei
    >>> from unet_lib.doctor.setup import draw_sample
    >>> from unet_lib.model import UNet
    >>> sample = draw_sample(SimulatedNuclei(2, size=(32, 32)), SetUp().task)
    >>> both = trials(SetUp(), UNet(1, width=2, depth=1), TrainingSettings(), sample)
    >>> [len(trial.losses) for trial in both]
    [40, 40]
    """
    known = replace(settings, optimizer="adamw", learning_rate=KNOWN_RATE)
    model, batch = fresh(model), batch_of(sample, IMAGES, SIDE)
    return _try(setup, model, batch, settings), _try(setup, model, batch, known)


def fresh(model: nn.Module) -> nn.Module:
    """A copy with new first weights, as torch initializes them, in training mode.

    >>> layer = nn.Linear(9, 9)
    >>> torch.equal(fresh(layer).weight, layer.weight)
    False
    """
    model = copy.deepcopy(model).cpu()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        for module in model.modules():
            reset = getattr(module, "reset_parameters", None)
            if callable(reset):
                reset()
    return model.train()


def _try(
    setup: SetUp, model: nn.Module, batch: tuple[Tensor, Tensor], settings: TrainingSettings
) -> Trial:
    model = copy.deepcopy(model)
    decay = 0.01 * (settings.optimizer == "adamw")  # as torch does where nobody says
    optimizer = new_optimizer(groups_of(model), replace(settings, weight_decay=decay))
    batches, loss, losses = repeat(batch, STEPS), setup.loss_function, []
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        for value in short_training(model, batches, loss, optimizer, settings.clip_norm):
            losses.append(value)
            if not math.isfinite(value):
                break
    return Trial(settings.learning_rate, losses)


def _is_high(own: Trial, optimizer: str) -> bool:
    """Whether the loss was thrown about, rather than standing still."""
    if not math.isfinite(own.losses[-1]):
        return True
    if optimizer == "sgd":
        return max(own.losses) > 1.05 * own.losses[0]
    return own.rate > KNOWN_RATE


def _told(trial: Trial) -> str:
    return f"at {trial.rate:.0e} the loss went from {trial.losses[0]:.3g} to {trial.losses[-1]:.3g}"
