"""Cases that lie in the network, its optimizer or its learning rate."""

from pathlib import Path

import torch
from torch import nn

from unet_lib.course.clinic.case import Case
from unet_lib.course.clinic.materials import nuclei, small_unet
from unet_lib.data.in_memory import InMemory
from unet_lib.data.sets.voc import VOC, write_voc_scenes
from unet_lib.doctor import SetUp
from unet_lib.training.settings import TrainingSettings
from unet_lib.training.task import Task


def _pictures() -> InMemory:
    return InMemory(*nuclei(12))


def color_network(folder: Path) -> SetUp:
    """The article's UNet(3, 1) on gray pictures."""
    return SetUp(train=_pictures(), model=small_unet(3))


def one_channel(folder: Path) -> SetUp:
    """The article's UNet(3, 1) on the 21 classes of VOC."""
    root = write_voc_scenes(folder / "voc", count=12)
    task = Task("classes", "RGB", num_classes=21, ignore_index=255)
    return SetUp(train=VOC(root, "train"), task=task, model=small_unet(3))


def frozen(folder: Path) -> SetUp:
    """Everything was frozen, the head too."""
    return SetUp(train=_pictures(), model=small_unet().requires_grad_(False))


def old_head(folder: Path) -> SetUp:
    """The head is replaced after the optimizer was made."""
    model = small_unet()
    optimizer = torch.optim.AdamW(model.parameters(), 2e-3)
    model.head = nn.Conv2d(8, 1, kernel_size=1)
    return SetUp(train=_pictures(), model=model, optimizer=optimizer)


def zeros(folder: Path) -> SetUp:
    """All weights of the bottleneck begin at zero, and a bias below it."""
    model = small_unet(norm="none")
    for layer in model.bottleneck.modules():
        if isinstance(layer, nn.Conv2d):
            nn.init.zeros_(layer.weight)
            nn.init.constant_(layer.bias, -0.1)
    return SetUp(train=_pictures(), model=model)


class WithSigmoid(nn.Module):
    """A U-Net that ends in a sigmoid.

    >>> WithSigmoid()(torch.zeros(1, 1, 16, 16)).shape
    torch.Size([1, 1, 16, 16])
    """

    def __init__(self) -> None:
        super().__init__()
        self.unet = small_unet()

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Probabilities, where logits are expected."""
        return self.unet(images).sigmoid()


def sigmoid_inside(folder: Path) -> SetUp:
    """The sigmoid is in the model, and in the loss again."""
    return SetUp(train=_pictures(), model=WithSigmoid())


def single_pictures(folder: Path) -> SetUp:
    """Large pictures leave room for a batch of one."""
    settings = TrainingSettings(batch_size=1, precision="float32")
    return SetUp(train=_pictures(), model=small_unet(), settings=settings)


def exploded(folder: Path) -> SetUp:
    """Weights after a step that was far too long."""
    model = small_unet()
    with torch.no_grad():
        model.head.weight.fill_(torch.nan)
    return SetUp(train=_pictures(), model=model)


def high_rate(folder: Path) -> SetUp:
    """SGD's rate of 10 from an old paper, given to AdamW."""
    settings = TrainingSettings(learning_rate=10.0, precision="float32")
    return SetUp(train=_pictures(), model=small_unet(), settings=settings)


def low_rate(folder: Path) -> SetUp:
    """1e-7, after a long series of careful divisions by ten."""
    settings = TrainingSettings(learning_rate=1e-7, precision="float32")
    return SetUp(train=_pictures(), model=small_unet(), settings=settings)


NETWORK_CASES = (
    Case(
        "A color network on gray pictures",
        "model-rejects-pictures",
        "The article's `UNet(3, 1)` is taken over, and the pictures have one channel.",
        color_network,
    ),
    Case(
        "One channel for 21 classes",
        "wrong-classes",
        "The article's `UNet(3, 1)` with binary cross-entropy on Pascal VOC.",
        one_channel,
    ),
    Case(
        "Everything frozen",
        "frozen",
        "The encoder was to be frozen, and `requires_grad_(False)` hit the whole model.",
        frozen,
    ),
    Case(
        "An optimizer of yesterday's head",
        "optimizer-misses-parameters",
        "The head was replaced after the optimizer had been made; it still moves the old one.",
        old_head,
    ),
    Case(
        "Layers that began at zero",
        "dead-layer",
        "Zeros look like a neutral beginning. Behind a ReLU nothing ever comes out of them.",
        zeros,
    ),
    Case(
        "The sigmoid twice",
        "probabilities-in-loss",
        "The model ends in a sigmoid, and the loss applies its own.",
        sigmoid_inside,
    ),
    Case(
        "BatchNorm with batches of one",
        "batch-of-one",
        "Memory was short, so the batch was made smaller until it fitted.",
        single_pictures,
    ),
    Case(
        "Weights that are no numbers",
        "not-finite-weights",
        "One step was too long, and every step after it made it worse.",
        exploded,
    ),
    Case(
        "Learning rate too high",
        "rate-too-high",
        "A rate of 10, which an old paper used for another optimizer.",
        high_rate,
    ),
    Case(
        "Learning rate too low",
        "rate-too-low",
        "After an explosion the rate was divided by ten, and again, and again.",
        low_rate,
    ),
)
