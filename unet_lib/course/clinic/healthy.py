"""Set-ups with nothing wrong, about which the doctor has to be silent."""

from dataclasses import replace
from pathlib import Path

import torch

from unet_lib.course.clinic.case import Cases, Folders
from unet_lib.course.clinic.file_cases import MAPPED, dark_masks, white_masks
from unet_lib.course.clinic.materials import nuclei, small_unet, trained
from unet_lib.course.clinic.outcome_cases import good_network, in_color
from unet_lib.data.in_memory import InMemory
from unet_lib.data.sets.voc import VOC, write_voc_scenes
from unet_lib.data.simulate import SimulatedNuclei
from unet_lib.doctor import SetUp
from unet_lib.training.settings import TrainingSettings
from unet_lib.training.task import Task
from unet_lib.transforms import RandomRightAngle, compose, random_crop, random_flips, random_scale

HEALTHY = Cases()
"""Cases without a cause."""


@HEALTHY.named("Simulated nuclei and an untrained network")
def _simulated(folder: Path) -> SetUp:
    return SetUp(
        train=SimulatedNuclei(24, seed=0, size=(96, 96)),
        validation=SimulatedNuclei(12, seed=1, size=(96, 96)),
        model=small_unet(),
        settings=TrainingSettings(precision="float32"),
    )


@HEALTHY.named("Masks of 0 and 255 with their mapping")
def _mapped(folder: Path) -> Folders:
    return white_masks(folder)._replace(options=MAPPED)


@HEALTHY.named("Masks of 0 and 1, black in every viewer")
def _dark(folder: Path) -> Folders:
    return dark_masks(folder)


@HEALTHY.named("Nuclei, scaled, cropped, flipped and turned")
def _augmented(folder: Path) -> SetUp:
    moves = compose(random_scale(0.8, 1.25), random_crop((48, 48)), random_flips())
    dataset = InMemory(*nuclei(16), transform=compose(moves, RandomRightAngle()))
    return SetUp(train=dataset, model=small_unet())


@HEALTHY.named("VOC scenes with void ignored")
def _scenes(folder: Path) -> SetUp:
    root = write_voc_scenes(folder / "voc", count=24)
    task = Task("classes", "RGB", num_classes=21, ignore_index=255)
    settings = TrainingSettings(precision="float32", learning_rate=5e-3)
    return SetUp(VOC(root, "train"), VOC(root, "val"), task, small_unet(3, 21), settings=settings)


@HEALTHY.named("Instances as interior and border")
def _instances(folder: Path) -> SetUp:
    task = Task("instances")
    train, validation = (InMemory(*nuclei(12, seed), target=task.encode) for seed in (0, 1))
    return SetUp(train, validation, task, small_unet(1, 3))


@HEALTHY.named("A trained network that predicts")
def _predicting(folder: Path) -> SetUp:
    return replace(good_network(), validation=InMemory(*nuclei(16, seed=1)))


@HEALTHY.named("A frozen encoder with GroupNorm and batches of one")
def _frozen_encoder(folder: Path) -> SetUp:
    model = small_unet(norm="group")
    model.encoder.requires_grad_(False)
    learning = [p for p in model.parameters() if p.requires_grad]
    settings = TrainingSettings(batch_size=1, precision="float32")
    optimizer = torch.optim.AdamW(learning, 2e-3)
    return SetUp(InMemory(*nuclei(12)), model=model, settings=settings, optimizer=optimizer)


@HEALTHY.named("A trained network on colored images")
def _in_color(folder: Path) -> SetUp:
    return in_color()


@HEALTHY.named("Distances to center and rim, in crops with padding")
def _distances(folder: Path) -> SetUp:
    train, validation = InMemory(*nuclei(24), target=None).split(0.5, crop=72, augment="all")
    settings = TrainingSettings(precision="float32")
    return SetUp(train, validation, Task("distances"), small_unet(1, 3), settings=settings)


@HEALTHY.named("A trained network that points to centers")
def _pointing(folder: Path) -> SetUp:
    task, model = Task("offsets"), small_unet(1, 4)
    train, validation = (InMemory(*nuclei(24, seed), target=task.encode) for seed in (0, 1))
    rows = trained(model, train, epochs=30, loss=task.loss)
    return SetUp(train, validation, task, model, history=rows)
