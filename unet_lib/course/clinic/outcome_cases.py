"""Cases that show in a trained network: each trains for a few seconds."""

import copy
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from unet_lib.course.clinic.case import Cases
from unet_lib.course.clinic.materials import binary, colored, nuclei, small_unet, trained
from unet_lib.data.in_memory import InMemory
from unet_lib.data.simulate import simulate_nuclei
from unet_lib.doctor import SetUp
from unet_lib.model.unet import UNet
from unet_lib.training.losses import bce_loss
from unet_lib.training.task import Task

OUTCOME_CASES = Cases()


@cache
def _good() -> tuple[UNet, list[dict[str, float]]]:
    """A network that has learned simulated nuclei in a few seconds, and its history."""
    model = small_unet()
    return model, trained(model, InMemory(*nuclei(24)))


def good_network(training: bool = False, threshold: float = 0.0) -> SetUp:
    """A network that has learned its images, and a prediction of one's own: logits > threshold."""
    model, rows = _good()
    model = copy.deepcopy(model).train(training)

    def predict(images: Tensor) -> Tensor:
        with torch.no_grad():
            return model(images)[:, 0] > threshold

    return SetUp(train=InMemory(*nuclei(24)), model=model, history=rows, predict=predict)


def in_color(step: int = 1) -> SetUp:
    """A network trained on two stains; the channels of the others are read in steps of `step`."""
    images, labels = colored(24)
    model, dataset = small_unet(3), InMemory(images, binary(labels))
    rows = trained(model, dataset)
    others, truth = colored(8, seed=1)
    validation = InMemory([image[..., ::step].copy() for image in others], binary(truth))
    return SetUp(dataset, validation, Task(mode="RGB"), model, history=rows)


@OUTCOME_CASES.named("BatchNorm without statistics", "batchnorm-statistics")
def stale_statistics(folder: Path) -> SetUp:
    """PyTorch's momentum of 0.001 is other libraries' 0.999: the stored mean stays almost 0."""
    model, dataset = small_unet(), InMemory(*nuclei(16))
    for layer in model.modules():
        if isinstance(layer, nn.BatchNorm2d):
            layer.momentum = 0.001  # 0.999, as other libraries count it
    rows = trained(model, dataset, epochs=30)
    return SetUp(train=dataset, model=model, history=rows)


@OUTCOME_CASES.named("Prediction without eval()", "predicts-in-training-mode")
def without_eval(folder: Path) -> SetUp:
    """`model.eval()` was forgotten: BatchNorm goes on using the statistics of the batch."""
    return good_network(training=True)


@OUTCOME_CASES.named("Logits thresholded as probabilities", "logits-as-probabilities")
def logits_over_half(folder: Path) -> SetUp:
    """`model(images) > 0.5`: a logit of 0.5 is a probability of 0.62."""
    return good_network(threshold=0.5)


@OUTCOME_CASES.named("Argmax of one channel", "argmax-of-one-channel")
def argmax_of_one(folder: Path) -> SetUp:
    """`model(images).argmax(1)` asks which channel is largest. There is one, number 0."""
    setup = good_network()

    def predict(images: Tensor) -> Tensor:
        return _good()[0](images).argmax(1)

    return replace(setup, predict=predict)


@OUTCOME_CASES.named("Weights that were passed over", "weights-not-loaded")
def passed_over(folder: Path) -> SetUp:
    """Saved as "module.…", loaded with `strict=False`: no name fits, and nothing is said."""
    trained_one, model = _good()[0], small_unet(seed=1)
    saved = {f"module.{name}": value for name, value in trained_one.state_dict().items()}
    model.load_state_dict(saved, strict=False)
    return replace(good_network(), model=model, predict=None)


@OUTCOME_CASES.named("Blue for red", "channel-order")
def bgr(folder: Path) -> SetUp:
    """Trained on RGB, used on BGR of OpenCV. Nuclei are blue, and red cells do not count."""
    return in_color(step=-1)


def specks(count: int) -> InMemory:
    """Pictures in which a single small nucleus counts, among many that do not."""
    images, masks, index = [], [], 0
    while len(images) < count:
        image, labels = simulate_nuclei(5, index, (64, 64))
        index += 1
        sizes = np.bincount(labels.ravel(), minlength=2)[1:]
        if len(sizes) > 3 and 12 <= sizes.min() < 40:
            images.append(image)
            masks.append((labels == 1 + sizes.argmin()).astype(np.uint8))
    return InMemory(images, masks)


@OUTCOME_CASES.named("Rare foreground", "rare-foreground")
def rare(folder: Path) -> SetUp:
    """Less than one pixel in a hundred counts, and the loss is plain cross-entropy."""
    model, dataset = small_unet(), specks(16)
    rows = trained(model, dataset, epochs=12, loss=bce_loss, batch_size=4, schedule="constant")
    return SetUp(train=dataset, model=model, loss=bce_loss, history=rows)


@OUTCOME_CASES.named("Forgotten nuclei", "label-noise")
def forgotten_nuclei(folder: Path) -> SetUp:
    """In three masks of twenty-four only one nucleus was drawn."""
    images, labels = nuclei(24)
    masks = binary(labels)
    last = [(mask == mask.max()).astype(np.uint8) for mask in labels]
    for i in [i for i in range(24) if last[i].sum() < 0.2 * masks[i].sum()][:3]:
        masks[i] = last[i]
    model, dataset = small_unet(), InMemory(images, masks)
    rows = trained(model, dataset)
    return SetUp(train=dataset, model=model, history=rows)


@OUTCOME_CASES.named("Learned by heart", "overfitting")
def by_heart(folder: Path) -> SetUp:
    """Every second nucleus counts, which no image shows: four images are learned by heart."""
    images, labels = nuclei(12, seed=2)
    masks = [mask * (mask % 2) for mask in labels]
    model, dataset = small_unet(width=16, norm="group"), InMemory(images[:4], masks[:4])
    validation = InMemory(images[4:], masks[4:])
    rows = trained(model, dataset, validation, epochs=60, batch_size=2, keep="last")
    return SetUp(train=dataset, validation=validation, model=model, history=rows)
