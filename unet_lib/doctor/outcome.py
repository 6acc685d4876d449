"""A trained network: what its history says, and what its predictions on the images say."""

import contextlib
import copy
import math
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from itertools import permutations
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from unet_lib.data.findings import Finding
from unet_lib.doctor.agreement import agreement, comparable, thinned
from unet_lib.doctor.finding import diagnosis
from unet_lib.doctor.setup import Sample, SetUp, batch_of, judged
from unet_lib.evaluation.metrics import count_pixels, dice
from unet_lib.model.base import evaluated
from unet_lib.training.task import Task

IMAGES, SIDE = 8, 128  # of a batch
LARGEST = 256  # pixels of an image's side that are predicted
ONE_CLASS = 0.999  # share of the pixels with one answer, from which on it is the only one
RARE = 0.03  # share of foreground below which it is called rare
WORSE = 0.2  # loss of Dice that needs an explanation
DIFFERS = 0.005  # share of the pixels, from which on two masks are not the same
OUTLIER = 0.4  # Dice by which an image lies below the median, to be called an outlier
SEEN = 0.05  # agreement by which the prediction fits the image better than the mask does
GOOD = 0.7  # median Dice from which on the network is a judge of its labels
RISEN = 1.25  # validation loss over its smallest value, from which on the network overfits
FEW = 4  # epochs below which a history says nothing
MOVED = 0.01  # share by which a loss has to fall over a run


def check_history(rows: Sequence[Mapping[str, Any]]) -> list[Finding]:
    """Findings about the curves of a run.

    >>> check_history([{"loss": 1.0}, {"loss": math.nan}])[0].cause
    'rate-too-high'
    """
    losses = [float(row["loss"]) for row in rows if "loss" in row]
    if not losses:
        return []
    if not all(map(math.isfinite, losses)):
        epoch = next(i for i, value in enumerate(losses, 1) if not math.isfinite(value))
        return [diagnosis("rate-too-high", f"the loss of epoch {epoch} is not a number")]
    if len(losses) < FEW:
        return []
    if losses[-1] > 1.2 * losses[0]:
        found = f"the training loss rose from {losses[0]:.3g} to {losses[-1]:.3g}"
        return [diagnosis("rate-too-high", found)]
    if min(losses) > (1 - MOVED) * losses[0]:
        found = f"the training loss stayed between {min(losses):.3g} and {max(losses):.3g}"
        return [diagnosis("rate-too-low", found)]
    validation = [float(row.get("validation_loss", math.nan)) for row in rows]
    best = min(range(len(validation)), key=lambda i: validation[i])
    fell = losses[-1] < 0.8 * losses[best]
    if not (fell and len(rows) - best > FEW and validation[-1] > RISEN * validation[best]):
        return []
    found = (
        f"since epoch {best + 1} the training loss fell from {losses[best]:.3g} to "
        f"{losses[-1]:.3g}, the validation loss rose from {validation[best]:.3g} to "
        f"{validation[-1]:.3g}"
    )
    return [diagnosis("overfitting", found)]


def check_outcome(setup: SetUp, sample: Sample) -> list[Finding]:
    """Findings about predictions, your own and those of a trained model, which stays as it is.

    >>> from unet_lib.data import SimulatedNuclei
    >>> from unet_lib.doctor.setup import draw_sample
    >>> check_outcome(SetUp(), draw_sample(SimulatedNuclei(2, size=(32, 32))))
    []
    """
    if setup.model is None:
        return []
    own = [] if setup.predict is None else _own_way(setup.model, setup.predict, sample)
    if own or not setup.history:
        return own
    checks = (_untrained, _statistics, _channel_order, _one_class, _noise)
    found = (check(setup.model, setup.task, sample) for check in checks)
    return next((findings for findings in found if findings), [])


def _own_way(
    model: nn.Module, predict: Callable[[Tensor], Tensor], sample: Sample
) -> list[Finding]:
    """Your own way from images to masks, compared with the library's."""
    images, targets = batch_of(sample, IMAGES, SIDE)
    with preserved(model):
        together, alone = predict(images), torch.cat([predict(image[None]) for image in images])
    differ = float((together != alone).float().mean())
    if differ > DIFFERS:
        found = f"{differ:.1%} of the pixels change when an image is predicted without the others"
        return [diagnosis("predicts-in-training-mode", found)]
    with evaluated(model):
        logits = model(images)
    if targets.ndim == 4:  # the first map is the foreground
        logits = logits[:, :1]
    if logits.shape[1] > 1:
        return []
    masks = together.bool().reshape(logits.shape)
    return _one_answer(masks, logits) or _other_threshold(masks, logits)


def _one_answer(masks: Tensor, logits: Tensor) -> list[Finding]:
    """Masks without a difference, from logits that make one: one channel compared with nothing."""
    said, first = float((logits > 0).float().mean()), masks.flatten()[0]
    if not bool((masks == first).all()) or not 1 - ONE_CLASS < said < ONE_CLASS:
        return []
    found = (
        f"your masks are {int(first)} everywhere, and the network, with one output channel, says "
        f"object for {said:.0%} of the pixels"
    )
    return [diagnosis("argmax-of-one-channel", found)]


def _other_threshold(masks: Tensor, logits: Tensor) -> list[Finding]:
    """Logits thresholded as if they were probabilities."""
    right = float((masks != (logits > 0)).float().mean())
    half = float((masks != (logits > 0.5)).float().mean())
    if right <= 10 * half:
        return []
    found = (
        f"your masks are logits > 0.5 (a probability above 0.62), and {right:.2%} of the pixels "
        "are lost by it"
    )
    return [diagnosis("logits-as-probabilities", found)]


@contextlib.contextmanager
def preserved(model: nn.Module) -> Generator[None, None, None]:
    """Whatever happens inside, mode and BatchNorm statistics are as they were afterwards."""
    modes = {module: module.training for module in model.modules()}
    kept = {m: copy.deepcopy(m.state_dict()) for m in modes if isinstance(m, _BatchNorm)}
    try:
        yield
    finally:
        for module, mode in modes.items():
            module.training = mode
        for module, state in kept.items():
            module.load_state_dict(state)


def _logits(model: nn.Module, images: Iterable[Tensor]) -> list[Tensor]:
    """Logits (K, H, W) of every image, in eval mode; of large ones the upper left part."""
    device = next(model.parameters()).device
    with evaluated(model):
        return [
            model(image[None, :, :LARGEST, :LARGEST].to(device))[0].float().cpu()
            for image in images
        ]


def _dice(task: Task, logits: Tensor, target: Tensor) -> float:
    """Dice of one image: of its foreground, or the mean of its classes."""
    logits = logits[:1] if target.ndim == 3 else logits
    ignore, k = task.void, len(logits)
    target = judged(target)[..., :LARGEST, :LARGEST]
    if k == 1:
        counts = count_pixels(logits[None] > 0, target[None], ignore_index=ignore)
    else:
        counts = count_pixels(logits.argmax(0)[None], target[None], k, ignore)
    return float(dice(counts, empty=math.nan).nanmean().nan_to_num(1.0))


def _scores(task: Task, sample: Sample, logits: list[Tensor]) -> Tensor:
    pairs = zip(logits, sample.targets, strict=True)
    return torch.tensor([_dice(task, one, target) for one, target in pairs])


def _untrained(model: nn.Module, task: Task, sample: Sample) -> list[Finding]:
    """BatchNorm layers that have never seen a batch, in a model with a history."""
    layers = [m for m in model.modules() if isinstance(m, _BatchNorm) and m.track_running_stats]
    kept = [x for m in layers for x in (m.num_batches_tracked, m.running_mean) if x is not None]
    if not layers or any(bool(x.any()) for x in kept):
        return []
    found = f"a history of training, and {len(layers)} BatchNorm layers that never saw a batch"
    return [diagnosis("weights-not-loaded", found)]


def _statistics(model: nn.Module, task: Task, sample: Sample) -> list[Finding]:
    """Stored against batch statistics of BatchNorm."""
    if not any(isinstance(m, _BatchNorm) for m in model.modules()):
        return []
    images, targets = batch_of(sample, IMAGES, SIDE)
    with evaluated(model):
        logits = [model(images)]
    with preserved(model), torch.no_grad():
        for module in model.modules():
            module.training = isinstance(module, _BatchNorm)
        logits.append(model(images))
    stored, batch = (
        sum(_dice(task, *pair) for pair in zip(each, targets, strict=True)) / len(images)
        for each in logits
    )
    if batch - stored < WORSE:
        return []
    found = (
        f"mean Dice {stored:.2f} with BatchNorm's stored statistics and {batch:.2f} with those of "
        "the batch"
    )
    return [diagnosis("batchnorm-statistics", found)]


def _channel_order(model: nn.Module, task: Task, sample: Sample) -> list[Finding]:
    """Whether the network sees more with the channels exchanged."""
    if sample.inputs[0].shape[0] != 3:
        return []
    means = {}
    for order in permutations(range(3)):
        logits = _logits(model, [image[list(order)] for image in sample.inputs])
        means[order] = float(_scores(task, sample, logits).mean())
    best = max(means, key=means.__getitem__)
    own = means[0, 1, 2]
    if means[best] - own < WORSE:
        return []
    found = f"mean Dice {own:.2f}, and {means[best]:.2f} with the channels in the order {best}"
    return [diagnosis("channel-order", found)]


def _one_class(model: nn.Module, task: Task, sample: Sample) -> list[Finding]:
    """One answer for all pixels, though the truth has several."""
    answers = torch.cat([
        torch.from_numpy(task.mask(logits)).flatten() for logits in _logits(model, sample.inputs)
    ])  # fmt: skip
    truth = torch.cat([judged(target).flatten() for target in sample.targets]).long()
    truth = truth[truth != task.void]
    shares = torch.bincount(truth).float() / len(truth)
    most = torch.bincount(answers.long()).float() / len(answers)
    if most.max() < ONE_CLASS or shares.max() > ONE_CLASS:
        return []
    rare = 1 - shares[0].item()
    cause = "rare-foreground" if most.argmax() == 0 and rare < RARE else "one-class"
    found = (
        f"{most.max():.1%} of the pixels are predicted as class {int(most.argmax())}, while "
        f"{rare:.1%} of them are foreground"
    )
    return [diagnosis(cause, found)]


def _noise(model: nn.Module, task: Task, sample: Sample) -> list[Finding]:
    """Images of which a good network, and the image itself, contradict the mask."""
    if task.target in ("classes", "instances") or len(sample) < 6:
        return []
    logits = _logits(model, sample.inputs)
    scores = _scores(task, sample, logits).numpy()
    if (median := np.median(scores)) < GOOD:
        return []
    wrong = scores < median - OUTLIER
    for i in np.flatnonzero(wrong):
        image = comparable(np.moveaxis(sample.inputs[i].numpy(), 0, -1)[:LARGEST, :LARGEST])
        target = sample.targets[i][0, :LARGEST, :LARGEST].long().numpy()
        fits = [
            agreement(image, thinned(mask), task.ignore_index)
            for mask in ((logits[i][0] > 0).long().numpy(), target)
        ]
        wrong[i] = fits[0] > fits[1] + SEEN
    if not wrong.any():
        return []
    found = (
        f"Dice {scores[wrong].mean():.2f} on {wrong.sum()} of {len(scores)} images, {median:.2f} "
        "on a typical one, and the image agrees with the network, not with the mask"
    )
    return [diagnosis("label-noise", found, sample.where(wrong))]
