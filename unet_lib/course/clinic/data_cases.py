"""Cases that lie between files and network: pairs, values, transforms."""

from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from unet_lib.course.clinic.case import Cases
from unet_lib.course.clinic.materials import binary, nuclei
from unet_lib.data.in_memory import InMemory
from unet_lib.data.normalize import scale_by_dtype
from unet_lib.data.sets.voc import VOC, write_voc_scenes
from unet_lib.doctor import SetUp
from unet_lib.training.task import Task
from unet_lib.transforms import random_crop

DATA_CASES = Cases()


@DATA_CASES.named("Image and mask shifted by one file", "shifted-pairs")
def shifted(folder: Path) -> SetUp:
    """Two sorted lists are zipped, and one of them has a file too many at its beginning."""
    images, labels = nuclei(17)
    return SetUp(train=InMemory(images[:-1], binary(labels[1:])))


@DATA_CASES.named("Images and masks shuffled apart", "unrelated-pairs")
def shuffled(folder: Path) -> SetUp:
    """Both lists were shuffled, with different random numbers."""
    images, labels = nuclei(24)
    order = np.random.default_rng(1).permutation(24)
    return SetUp(train=InMemory(images, [binary(labels)[i] for i in order]))


@DATA_CASES.named("Three masks exchanged", "mispaired-files")
def some_wrong(folder: Path) -> SetUp:
    """Files were renamed by hand."""
    images, labels = nuclei(24)
    masks = binary(labels)
    masks[3], masks[9], masks[14] = masks[9], masks[14], masks[3]
    return SetUp(train=InMemory(images, masks))


@DATA_CASES.named("Rows and columns exchanged", "mask-turned")
def transposed(folder: Path) -> SetUp:
    """One program writes (x, y), the other reads (row, column). Square pictures hide it."""
    images, labels = nuclei(12)
    return SetUp(train=InMemory(images, [mask.T.copy() for mask in binary(labels)]))


@DATA_CASES.named("Image turned, mask not", "image-moved-alone")
def image_alone(folder: Path) -> SetUp:
    """The augmentation turns the image; the mask was forgotten, or draws its own numbers."""

    def turn(image: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        turns = int(torch.randint(4, ()))
        return torch.rot90(image, turns, (-2, -1)), labels

    return SetUp(train=InMemory(*nuclei(16), transform=turn))


@DATA_CASES.named("Mask blurred by the augmentation", "mask-blended")
def blurred_mask(folder: Path) -> SetUp:
    """Image and mask go through the same bilinear scaling."""

    def enlarge(image: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        planes = torch.cat([image, (labels > 0).float()[None]])[None]
        planes = torch.nn.functional.interpolate(planes, size=(80, 80), mode="bilinear")[0]
        return planes[:1, :64, :64], planes[1, :64, :64]

    dataset = InMemory(*nuclei(12), transform=enlarge, target=lambda mask: mask[None])
    return SetUp(train=dataset)


@DATA_CASES.named("Mask through ToTensor", "mask-divided")
def divided_mask(folder: Path) -> SetUp:
    """The article's data: one transform for image and mask. Class 15 becomes 0.0588, void 1.0."""
    root = write_voc_scenes(folder / "voc", count=12)
    scenes = VOC(root, "train", target=lambda labels: (labels.float() / 255)[None])
    return SetUp(train=scenes, task=Task(mode="RGB"))


@DATA_CASES.named("Crops of nothing", "empty-crops")
def empty_crops(folder: Path) -> SetUp:
    """Pictures are large, objects few, and the crop small and anywhere."""
    rng, images, masks = np.random.default_rng(0), [], []
    for image, labels in zip(*nuclei(10, size=(48, 48)), strict=True):
        large = rng.normal(np.percentile(image, 10), 2, (320, 320)).clip(0, 255).astype(np.uint8)
        mask = np.zeros((320, 320), np.uint8)
        top, left = rng.integers(0, 272, 2)
        place = slice(top, top + 48), slice(left, left + 48)
        large[place], mask[place] = image, labels > 0
        images.append(large)
        masks.append(mask)
    return SetUp(train=InMemory(images, masks, transform=random_crop((32, 32))))


@DATA_CASES.named("Inverted masks", "inverted-masks")
def inverted(folder: Path) -> SetUp:
    """0 is nucleus and 1 is background: the negative was drawn, or the values were swapped."""
    images, labels = nuclei(12)
    return SetUp(train=InMemory(images, [1 - mask for mask in binary(labels)]))


@DATA_CASES.named("Numbered objects taken for classes", "instances-as-classes")
def instances(folder: Path) -> SetUp:
    """The masks number the nuclei: nucleus 7 of one image is nothing like that of the next."""
    dataset = InMemory(*nuclei(12), target=None)
    return SetUp(train=dataset, task=Task("classes", num_classes=200))


@DATA_CASES.named("Void trained as a class", "void-as-class")
def void_class(folder: Path) -> SetUp:
    """An error about label 255 was silenced by making it one more class."""
    root = write_voc_scenes(folder / "voc", count=12)
    scenes = VOC(root, "train", target=lambda labels: labels.where(labels < 255, 21))
    stored = [scenes.load(index) for index in range(len(scenes))]
    masks = [np.where(labels == 255, 21, labels) for _, labels in stored]
    dataset = InMemory([image for image, _ in stored], masks, target=None)
    return SetUp(train=dataset, task=Task("classes", "RGB", num_classes=22))


@DATA_CASES.named("Too few classes", "class-out-of-range")
def too_few_classes(folder: Path) -> SetUp:
    """Six kinds of objects and a background make seven classes, but they are numbered up to 16."""
    root = write_voc_scenes(folder / "voc", count=12)
    task = Task("classes", "RGB", num_classes=7, ignore_index=255)
    return SetUp(train=VOC(root, "train"), task=task)


@DATA_CASES.named("Nothing in the masks", "empty-masks")
def nothing_in_masks(folder: Path) -> SetUp:
    """`mask_values={0: 0, 255: 0}`, a slip of the finger."""
    images, labels = nuclei(8)
    return SetUp(train=InMemory(images, [np.zeros_like(mask) for mask in labels]))


@DATA_CASES.named("16 bits, not normalized", "not-normalized")
def raw_16_bit(folder: Path) -> SetUp:
    """Values up to 65535 go straight into the network."""
    images, labels = nuclei(12)
    deep = [image.astype(np.uint16) * 257 for image in images]
    return SetUp(train=InMemory(deep, labels, normalize=lambda image: image.astype(np.float32)))


@DATA_CASES.named("Divided by 255 twice", "scaled-away")
def divided_twice(folder: Path) -> SetUp:
    """The image was scaled when it was read, and once more before the network."""
    dataset = InMemory(*nuclei(12), normalize=lambda image: scale_by_dtype(image) / 255)
    return SetUp(train=dataset)


@DATA_CASES.named("NaN in an image", "not-finite")
def nan_pixels(folder: Path) -> SetUp:
    """A flat-field correction divided by a pixel that was zero."""
    images, labels = nuclei(8)
    floats = [image.astype(np.float32) / 255 for image in images]
    floats[2][10:12, 20] = np.nan
    return SetUp(train=InMemory(floats, labels))


@DATA_CASES.named("Images without content", "constant-images")
def closed_shutter(folder: Path) -> SetUp:
    """The shutter stayed closed, or an empty channel was exported."""
    images, labels = nuclei(10)
    images = [np.full_like(image, 7) if i in (1, 6) else image for i, image in enumerate(images)]
    return SetUp(train=InMemory(images, labels))
