"""Can one batch be learned by heart at this rate? A few seconds, on a fresh copy of the network."""

import copy
import math
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.optim import SGD, Adam, AdamW, Optimizer

from unet_lib.data.findings import Finding
from unet_lib.doctor.finding import diagnosis
from unet_lib.doctor.setup import Sample, SetUp, batch_of

PICTURES, SIDE = 4, 64  # of the batch
STEPS = 40
KNOWN_RATE = 2e-3  # at which AdamW trains the networks of this library
LEARNED = 0.15  # share by which the loss falls, from which on something was learned
HALF = 0.5  # with half of the loss gone the rate is good, whatever another one does
SHARE = 0.4  # of what the known rate achieves: less than that is blamed on the rate


class Trial(NamedTuple):
    """The losses of a short training on one batch.

    >>> Trial(0.1, [1.0, 0.5, 0.2]).fell
    0.8
    """

    rate: float
    losses: list[float]

    @property
    def fell(self) -> float:
        """Share by which the loss fell; at most 0 where it rose or is no number."""
        last = sum(self.losses[-5:]) / len(self.losses[-5:])
        if len(self.losses) < 5:
            last = self.losses[-1]
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
    if setup.settings is None or setup.model is None:
        return []
    own, known = trials(setup, sample)
    if known.fell < LEARNED and own.fell < LEARNED:
        found = f"{STEPS} steps on one batch: {_told(own)}, and {_told(known)}"
        return [diagnosis("cannot-learn", found)]
    if own.fell >= min(HALF, SHARE * known.fell):
        return []
    cause = "rate-too-high" if _is_high(setup, own) else "rate-too-low"
    found = f"{STEPS} steps on one batch: {_told(own)}, while {_told(known)}"
    return [diagnosis(cause, found)]


def trials(setup: SetUp, sample: Sample) -> tuple[Trial, Trial]:
    """A short training at the rate of the settings, and one at a rate that is known to work.

    >>> from unet_lib.data import SimulatedNuclei
    >>> from unet_lib.doctor.setup import draw_sample
    >>> from unet_lib.model import UNet
    >>> from unet_lib.training import TrainingSettings
    >>> setup = SetUp(model=UNet(1, width=2, depth=1), settings=TrainingSettings())
    >>> sample = draw_sample(SimulatedNuclei(2, size=(32, 32)), setup.task)
    >>> [len(trial.losses) for trial in trials(setup, sample)]
    [40, 40]
    """
    model, (images, target) = fresh(setup.model), batch_of(sample, PICTURES, SIDE)
    own = _try(setup, model, images, target, setup.settings.learning_rate)
    return own, _try(setup, model, images, target, KNOWN_RATE, known=True)


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
    setup: SetUp, model: nn.Module, images: Tensor, target: Tensor, rate: float, known: bool = False
) -> Trial:
    model = copy.deepcopy(model)
    parameters = [p for p in model.parameters() if p.requires_grad]
    optimizer = AdamW(parameters, rate) if known else _optimizer(setup, parameters, rate)
    losses: list[float] = []
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        for _ in range(STEPS):
            value = setup.loss_function(model(images), target)
            losses.append(value.item())
            if not math.isfinite(losses[-1]):
                break
            optimizer.zero_grad()
            value.backward()
            if setup.settings.clip_norm:
                nn.utils.clip_grad_norm_(parameters, setup.settings.clip_norm)
            optimizer.step()
    return Trial(rate, losses)


def _optimizer(setup: SetUp, parameters: list[nn.Parameter], rate: float) -> Optimizer:
    kind = setup.settings.optimizer
    if kind == "sgd":
        return SGD(parameters, rate, momentum=0.9)
    return Adam(parameters, rate) if kind == "adam" else AdamW(parameters, rate)


def _is_high(setup: SetUp, own: Trial) -> bool:
    """Whether the loss was thrown about, rather than standing still."""
    if not math.isfinite(own.losses[-1]):
        return True
    if setup.settings.optimizer == "sgd":
        return max(own.losses) > 1.05 * own.losses[0]
    return own.rate > KNOWN_RATE


def _told(trial: Trial) -> str:
    return f"at {trial.rate:.0e} the loss went from {trial.losses[0]:.3g} to {trial.losses[-1]:.3g}"
