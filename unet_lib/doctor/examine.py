"""The examination: stage after stage, ended by the first one that finds something.

What comes later is often a consequence: a network trained on inverted masks predicts badly, too.
"""

from collections.abc import Iterator

import torch
from torch import nn
from torch.utils.data import Dataset

from unet_lib.data.base import DataError
from unet_lib.data.findings import Finding
from unet_lib.doctor.finding import diagnosis
from unet_lib.doctor.images import check_images
from unet_lib.doctor.masks import check_masks
from unet_lib.doctor.network import check_network
from unet_lib.doctor.outcome import check_history, check_outcome
from unet_lib.doctor.pairs import check_pairs
from unet_lib.doctor.parts import check_parts
from unet_lib.doctor.setup import Sample, SetUp, draw_sample
from unet_lib.doctor.trial import check_rate
from unet_lib.training.settings import TrainingSettings
from unet_lib.training.task import Task


def examine(setup: SetUp) -> list[Finding]:
    """What is wrong with a set-up, most fundamental first; nothing where nothing was found.

    Nothing is changed: models keep their weights, mode and statistics, and torch its random
    numbers. Takes seconds: at most 32 images of each part, and for the learning rate two
    trainings of 40 steps on one batch of 64x64 pixels.

    >>> from unet_lib.data import SimulatedNuclei
    >>> from unet_lib.training import bce_loss
    >>> nuclei = SimulatedNuclei(6, size=(64, 64), normalize=lambda image: image * 257.0)
    >>> for finding in examine(SetUp(train=nuclei)):
    ...     print(finding.cause)
    not-normalized
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return next((findings for findings in _stages(setup) if findings), [])


def _stages(setup: SetUp) -> Iterator[list[Finding]]:
    """The findings of each stage, made when they are asked for."""
    samples: list[Sample] = []
    for part in (setup.train, setup.validation):
        if part is None:
            continue
        try:
            samples.append(draw_sample(part, setup.task))
        except DataError as error:
            yield [diagnosis(error.cause, str(error))]
            return
        yield check_images(samples[-1])
        yield check_masks(samples[-1], setup.task)
        yield check_pairs(samples[-1], setup.task)
    if len(samples) > 1:
        yield check_parts(*samples)
    sample = samples[0] if samples else None
    yield check_network(setup, sample)
    yield check_history(setup.history)
    if sample is None:
        return
    yield check_rate(setup, sample)
    for one in samples:
        yield check_outcome(setup, one)


def check_dataset(
    dataset: Dataset, task: Task | None = None, validation: Dataset | None = None
) -> list[Finding]:
    """What is wrong with a data set, or with the two parts of one.

    >>> from unet_lib.data import SimulatedNuclei
    >>> check_dataset(SimulatedNuclei(6, size=(64, 64)))
    []
    """
    return examine(SetUp(train=dataset, validation=validation, task=task or Task()))


def check_model(
    model: nn.Module,
    dataset: Dataset,
    task: Task | None = None,
    settings: TrainingSettings | None = None,
) -> list[Finding]:
    """What is wrong with a network that is about to be trained on a data set, or with its rate.

    >>> from unet_lib.data import SimulatedNuclei
    >>> from unet_lib.model import UNet
    >>> nuclei = SimulatedNuclei(6, size=(64, 64))
    >>> [finding.cause for finding in check_model(UNet(3, width=2, depth=1), nuclei)]
    ['model-rejects-pictures']
    """
    return examine(SetUp(train=dataset, task=task or Task(), model=model, settings=settings))
