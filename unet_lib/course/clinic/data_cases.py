"""Cases that lie between files and network: pairs, values, transforms."""

from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from unet_lib.course.clinic.case import Case
from unet_lib.course.clinic.materials import binary, nuclei
from unet_lib.data.in_memory import InMemory
from unet_lib.data.normalize import scale_by_dtype
from unet_lib.data.sets.voc import VOC, write_voc_scenes
from unet_lib.doctor import SetUp
from unet_lib.training.task import Task
from unet_lib.transforms import random_crop


def shifted(folder: Path) -> SetUp:
    """Two sorted lists, one of which has a file too many at its beginning."""
    images, labels = nuclei(17)
    return SetUp(train=InMemory(images[:-1], binary(labels[1:])))


def shuffled(folder: Path) -> SetUp:
    """The images were shuffled, the masks too, with other random numbers."""
    images, labels = nuclei(24)
    order = np.random.default_rng(1).permutation(24)
    return SetUp(train=InMemory(images, [binary(labels)[i] for i in order]))


def some_wrong(folder: Path) -> SetUp:
    """Three masks were exchanged by hand."""
    images, labels = nuclei(24)
    masks = binary(labels)
    masks[3], masks[9], masks[14] = masks[9], masks[14], masks[3]
    return SetUp(train=InMemory(images, masks))


def transposed(folder: Path) -> SetUp:
    """One program writes (x, y), the other reads (row, column)."""
    images, labels = nuclei(12)
    return SetUp(train=InMemory(images, [mask.T.copy() for mask in binary(labels)]))


def image_alone(folder: Path) -> SetUp:
    """The image is turned at random, and the mask is not."""

    def turn(image: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        turns = int(torch.randint(4, ()))
        return torch.rot90(image, turns, (-2, -1)), labels

    return SetUp(train=InMemory(*nuclei(16), transform=turn))


def blurred_mask(folder: Path) -> SetUp:
    """Image and mask go through the same bilinear scaling."""

    def enlarge(image: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        planes = torch.cat([image, (labels > 0).float()[None]])[None]
        planes = torch.nn.functional.interpolate(planes, size=(80, 80), mode="bilinear")[0]
        return planes[:1, :64, :64], planes[1, :64, :64]

    dataset = InMemory(*nuclei(12), transform=enlarge, target=lambda mask: mask[None])
    return SetUp(train=dataset)


def divided_mask(folder: Path) -> SetUp:
    """The article's data: one transform, Resize and ToTensor, for image and mask alike."""
    root = write_voc_scenes(folder / "voc", count=12)
    scenes = VOC(root, "train", target=lambda labels: (labels.float() / 255)[None])
    return SetUp(train=scenes, task=Task(mode="RGB"))


def empty_crops(folder: Path) -> SetUp:
    """Large pictures with one group of nuclei, and small crops anywhere."""
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


def inverted(folder: Path) -> SetUp:
    """0 is nucleus, 1 is background."""
    images, labels = nuclei(12)
    return SetUp(train=InMemory(images, [1 - mask for mask in binary(labels)]))


def instances(folder: Path) -> SetUp:
    """Masks that number the nuclei, given to a network of classes."""
    dataset = InMemory(*nuclei(12), target=None)
    return SetUp(train=dataset, task=Task("classes", num_classes=200))


def void_class(folder: Path) -> SetUp:
    """VOC's border of 255 became class 21, so that the error message goes away."""
    root = write_voc_scenes(folder / "voc", count=12)
    scenes = VOC(root, "train", target=lambda labels: labels.where(labels < 255, 21))
    stored = [scenes.load(index) for index in range(len(scenes))]
    masks = [np.where(labels == 255, 21, labels) for _, labels in stored]
    dataset = InMemory([image for image, _ in stored], masks, target=None)
    return SetUp(train=dataset, task=Task("classes", "RGB", num_classes=22))


def too_few_classes(folder: Path) -> SetUp:
    """Six kinds of objects and a background, numbered as VOC does, up to 16."""
    root = write_voc_scenes(folder / "voc", count=12)
    task = Task("classes", "RGB", num_classes=7, ignore_index=255)
    return SetUp(train=VOC(root, "train"), task=task)


def nothing_in_masks(folder: Path) -> SetUp:
    """mask_values={0: 0, 255: 0}: a slip of the finger."""
    images, labels = nuclei(8)
    return SetUp(train=InMemory(images, [np.zeros_like(mask) for mask in labels]))


def raw_16_bit(folder: Path) -> SetUp:
    """Values up to 65535 straight into the network."""
    images, labels = nuclei(12)
    deep = [image.astype(np.uint16) * 257 for image in images]
    return SetUp(train=InMemory(deep, labels, normalize=lambda image: image.astype(np.float32)))


def divided_twice(folder: Path) -> SetUp:
    """ToTensor has divided by 255, and a second division follows."""
    dataset = InMemory(*nuclei(12), normalize=lambda image: scale_by_dtype(image) / 255)
    return SetUp(train=dataset)


def nan_pixels(folder: Path) -> SetUp:
    """0/0 in a flat-field correction."""
    images, labels = nuclei(8)
    floats = [image.astype(np.float32) / 255 for image in images]
    floats[2][10:12, 20] = np.nan
    return SetUp(train=InMemory(floats, labels))


def closed_shutter(folder: Path) -> SetUp:
    """Two pictures without any content."""
    images, labels = nuclei(10)
    images = [np.full_like(image, 7) if i in (1, 6) else image for i, image in enumerate(images)]
    return SetUp(train=InMemory(images, labels))


DATA_CASES = (
    Case(
        "Image and mask shifted by one file",
        "shifted-pairs",
        "Two sorted lists are zipped, and one of them has a file too many at its beginning.",
        shifted,
    ),
    Case(
        "Images and masks shuffled apart",
        "unrelated-pairs",
        "Both lists were shuffled, with different random numbers.",
        shuffled,
    ),
    Case(
        "Three masks exchanged",
        "mispaired-files",
        "Files were renamed by hand.",
        some_wrong,
    ),
    Case(
        "Rows and columns exchanged",
        "mask-turned",
        "One program writes (x, y), the other reads (row, column). Square pictures hide it.",
        transposed,
    ),
    Case(
        "Image turned, mask not",
        "image-moved-alone",
        "The augmentation is applied to the image; the mask was forgotten, or draws its own "
        "random numbers.",
        image_alone,
    ),
    Case(
        "Mask blurred by the augmentation",
        "mask-blended",
        "Image and mask go through the same bilinear scaling.",
        blurred_mask,
    ),
    Case(
        "Mask through ToTensor",
        "mask-divided",
        "The article's data: one transform for image and mask alike. Class 15 becomes 0.0588, and "
        "void 1.0.",
        divided_mask,
    ),
    Case(
        "Crops of nothing",
        "empty-crops",
        "Pictures are large, objects few, and the crop small and anywhere.",
        empty_crops,
    ),
    Case(
        "Inverted masks",
        "inverted-masks",
        "0 is nucleus and 1 is background: the negative was drawn, or the values were swapped.",
        inverted,
    ),
    Case(
        "Numbered objects taken for classes",
        "instances-as-classes",
        "The masks number the nuclei of each picture. Nucleus 7 of one picture has nothing in "
        "common with nucleus 7 of the next.",
        instances,
    ),
    Case(
        "Void trained as a class",
        "void-as-class",
        "An error about label 255 was silenced by making it one more class.",
        void_class,
    ),
    Case(
        "Too few classes",
        "class-out-of-range",
        "Six kinds of objects and a background make seven classes, but they are numbered up to 16.",
        too_few_classes,
    ),
    Case(
        "Nothing in the masks",
        "empty-masks",
        "`mask_values={0: 0, 255: 0}`, a slip of the finger.",
        nothing_in_masks,
    ),
    Case(
        "16 bits, not normalized",
        "not-normalized",
        "Values up to 65535 go straight into the network.",
        raw_16_bit,
    ),
    Case(
        "Divided by 255 twice",
        "scaled-away",
        "The image was scaled when it was read, and once more before the network.",
        divided_twice,
    ),
    Case(
        "NaN in an image",
        "not-finite",
        "A flat-field correction divided by a pixel that was zero.",
        nan_pixels,
    ),
    Case(
        "Pictures without content",
        "constant-images",
        "The shutter stayed closed, or an empty channel was exported.",
        closed_shutter,
    ),
)
