"""Cases that lie in the network, its optimizer or its learning rate."""

from pathlib import Path

import torch
from torch import nn

from unet_lib.course.clinic.case import Cases
from unet_lib.course.clinic.materials import nuclei, small_unet
from unet_lib.data.in_memory import InMemory
from unet_lib.data.sets.voc import VOC, write_voc_scenes
from unet_lib.doctor import SetUp
from unet_lib.model.head import Head
from unet_lib.training.settings import TrainingSettings
from unet_lib.training.task import Task

NETWORK_CASES = Cases()


def _pictures() -> InMemory:
    return InMemory(*nuclei(12))


@NETWORK_CASES.named("A color network on gray images", "model-rejects-pictures")
def color_network(folder: Path) -> SetUp:
    """The article's `UNet(3, 1)` is taken over, and the pictures have one channel."""
    return SetUp(train=_pictures(), model=small_unet(3))


@NETWORK_CASES.named("One channel for 21 classes", "wrong-classes")
def one_channel(folder: Path) -> SetUp:
    """The article's `UNet(3, 1)` with binary cross-entropy on Pascal VOC."""
    root = write_voc_scenes(folder / "voc", count=12)
    task = Task("classes", "RGB", num_classes=21, ignore_index=255)
    return SetUp(train=VOC(root, "train"), task=task, model=small_unet(3))


@NETWORK_CASES.named("Everything frozen", "frozen")
def frozen(folder: Path) -> SetUp:
    """The encoder was to be frozen, and `requires_grad_(False)` hit the whole model."""
    return SetUp(train=_pictures(), model=small_unet().requires_grad_(False))


@NETWORK_CASES.named("An optimizer of yesterday's head", "optimizer-misses-parameters")
def old_head(folder: Path) -> SetUp:
    """The head was replaced after the optimizer had been made; it still moves the old one."""
    model = small_unet()
    optimizer = torch.optim.AdamW(model.parameters(), 2e-3)
    model.head = Head(8, 1)
    return SetUp(train=_pictures(), model=model, optimizer=optimizer)


@NETWORK_CASES.named("Layers that began at zero", "dead-layer")
def zeros(folder: Path) -> SetUp:
    """Zeros look like a neutral beginning. Behind a ReLU nothing ever comes out of them."""
    model = small_unet(norm="none")
    for layer in model.bottleneck.modules():
        if isinstance(layer, nn.Conv2d) and layer.bias is not None:
            nn.init.zeros_(layer.weight)
            nn.init.constant_(layer.bias, -0.1)
    return SetUp(train=_pictures(), model=model)


class WithSigmoid(nn.Module):
    """A U-Net that ends in a sigmoid."""

    def __init__(self) -> None:
        super().__init__()
        self.unet = small_unet()

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Probabilities, where logits are expected."""
        return self.unet(images).sigmoid()


@NETWORK_CASES.named("The sigmoid twice", "probabilities-in-loss")
def sigmoid_inside(folder: Path) -> SetUp:
    """The model ends in a sigmoid, and the loss applies its own."""
    return SetUp(train=_pictures(), model=WithSigmoid())


@NETWORK_CASES.named("BatchNorm with batches of one", "batch-of-one")
def single_pictures(folder: Path) -> SetUp:
    """Memory was short, so the batch was made smaller until it fitted."""
    settings = TrainingSettings(batch_size=1, precision="float32")
    return SetUp(train=_pictures(), model=small_unet(), settings=settings)


@NETWORK_CASES.named("Weights that are no numbers", "not-finite-weights")
def exploded(folder: Path) -> SetUp:
    """One step was too long, and every step after it made it worse."""
    model = small_unet()
    with torch.no_grad():
        model.head.weight.fill_(torch.nan)
    return SetUp(train=_pictures(), model=model)


@NETWORK_CASES.named("Learning rate too high", "rate-too-high")
def high_rate(folder: Path) -> SetUp:
    """A rate of 10, which an old paper used for another optimizer."""
    settings = TrainingSettings(learning_rate=10.0, precision="float32")
    return SetUp(train=_pictures(), model=small_unet(), settings=settings)


@NETWORK_CASES.named("Learning rate too low", "rate-too-low")
def low_rate(folder: Path) -> SetUp:
    """After an explosion the rate was divided by ten, and again, and again."""
    settings = TrainingSettings(learning_rate=1e-7, precision="float32")
    return SetUp(train=_pictures(), model=small_unet(), settings=settings)
