"""Image and labels stay aligned, and labels stay labels, in every transform."""

import pickle

import pytest
import torch
from torchvision import transforms
from torchvision.transforms import v2

from unet_lib.data import SimulatedNuclei, foreground
from unet_lib.transforms import (
    Joint,
    RandomRightAngle,
    compose,
    random_crop,
    random_flips,
    random_gamma,
    random_scale,
    resize,
)

EXACT = {
    "flips": random_flips(),
    "right angle": Joint(RandomRightAngle()),
    "crop": random_crop((13, 9)),
    "crop of all": random_crop((24, 20)),
    "all of these": compose(random_flips(), RandomRightAngle(), random_crop((16, 16))),
}
COMPUTED = {
    "resize up": resize((53, 31)),
    "resize down": resize((11, 7)),
    "scale": random_scale(0.4, 2.5),
    "any turn of torchvision's": Joint(v2.RandomRotation(30)),
    "elastic": Joint(v2.ElasticTransform(sigma=2.0)),
    "affine": Joint(v2.RandomAffine(20, shear=10, scale=(0.5, 1.5))),
    "all of these": compose(random_scale(0.5, 2.0), random_crop((32, 32)), random_flips()),
}


def picture(seed, size=(24, 20)):
    """Random labels in blocks, and an image that is a function of them."""
    generator = torch.Generator().manual_seed(seed)
    blocks = torch.randint(0, 3, (size[0] // 4, size[1] // 4), generator=generator) * 5
    labels = blocks.repeat_interleave(4, 0).repeat_interleave(4, 1)
    return (labels.float() / 10)[None], labels


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("transform", EXACT.values(), ids=EXACT.keys())
def test_exact_transforms_keep_image_and_labels_aligned(transform, seed):
    torch.manual_seed(seed)
    image, labels = transform(*picture(seed))
    assert type(image) is type(labels) is torch.Tensor
    assert torch.equal(image[0], labels.float() / 10)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize(
    "transform", [*EXACT.values(), *COMPUTED.values()], ids=[*EXACT, *COMPUTED]
)
def test_fault_28_labels_are_never_blended(transform, seed):
    torch.manual_seed(seed)
    image, labels = transform(*picture(seed))
    assert labels.dtype == torch.int64
    assert set(labels.unique().tolist()) <= {0, 5, 10}
    assert image.dtype == torch.float32
    assert image.shape[1:] == labels.shape


@pytest.mark.parametrize("factor", [1 / 3, 0.5, 0.71, 1.0, 1.3, 2.0, 3.0])
def test_resized_labels_lie_where_the_image_lies(factor):
    """Each label is the number of its column, and so is the image: they may differ by rounding."""
    labels = torch.arange(60).expand(40, 60).clone()
    image, labels = random_scale(factor, factor)(labels.float()[None], labels)
    assert image.shape[1:] == labels.shape == (round(40 * factor), round(60 * factor))
    edge = int(2 * max(factor, 1)) + 1  # where interpolation runs out of neighbors
    difference = (image[0] - labels)[:, edge:-edge]
    assert difference.abs().max() <= 0.5 + 1e-3


def test_shrinking_smooths_the_image():
    image = torch.tensor([0.0, 1.0]).repeat(8, 8)[None]
    small, _ = resize((8, 4))(image, torch.zeros(8, 16, dtype=torch.int64))
    assert (small[..., 1:-1] - 0.5).abs().max() < 0.05


def test_right_angles_and_flips_are_drawn_evenly():
    labels = torch.arange(4).reshape(2, 2)
    transform = compose(random_flips(), RandomRightAngle())
    torch.manual_seed(0)
    seen = [
        tuple(transform(torch.zeros(1, 2, 2), labels)[1].flatten().tolist()) for _ in range(800)
    ]
    assert len(set(seen)) == 8, "the eight symmetries of a square, no other"
    assert min(map(seen.count, set(seen))) > 60


def test_right_angle_of_a_picture_that_is_not_square():
    torch.manual_seed(0)
    shapes = {tuple(Joint(RandomRightAngle())(*picture(0))[1].shape) for _ in range(20)}
    assert shapes == {(24, 20), (20, 24)}


def test_crop_pads_small_pictures_and_marks_the_padding():
    image, labels = picture(0, (8, 8))
    crop, marked = random_crop((12, 12), fill_labels=255)(image, labels)
    assert marked.shape == (12, 12)
    assert (marked == 255).sum() == 12 * 12 - 8 * 8
    assert (crop[0][marked == 255] == 0).all()
    assert 255 not in random_crop((12, 12))(image, labels)[1]


def test_the_seed_of_torch_repeats_everything():
    transform = COMPUTED["all of these"]

    def run():
        torch.manual_seed(3)
        return [transform(*picture(0)) for _ in range(3)]

    assert all(map(torch.equal, *[[part for pair in run() for part in pair] for _ in range(2)]))


def test_input_is_left_as_it_was():
    image, labels = picture(0)
    before = image.clone(), labels.clone()
    for transform in (*EXACT.values(), *COMPUTED.values()):
        transform(image, labels)
    assert torch.equal(image, before[0])
    assert torch.equal(labels, before[1])


def test_scale_that_makes_nothing():
    for low, high in ((0.0, 1.0), (2.0, 1.0)):
        with pytest.raises(ValueError, match="expected 0 < low <= high"):
            random_scale(low, high)
    assert random_scale(0.01, 0.01)(*picture(0))[1].shape == (1, 1)


def test_transforms_travel_to_data_workers():
    for transform in (*EXACT.values(), *COMPUTED.values()):
        assert isinstance(pickle.loads(pickle.dumps(transform)), Joint)


def test_in_a_data_set_the_target_is_made_after_the_transform():
    nuclei = SimulatedNuclei(
        length=2, size=(64, 64), transform=random_crop((32, 32)), target=foreground
    )
    image, target = nuclei[0]
    assert image.shape == target.shape == (1, 32, 32)
    assert set(target.unique().tolist()) <= {0.0, 1.0}


unchecked = Joint.__call__.__wrapped__  # the run-time type checks would speak first


@pytest.mark.parametrize(
    ("image", "labels"),
    [((1, 6, 8), (1, 6, 8)), ((6, 8), (6, 8)), ((2, 1, 6, 8), (2, 6, 8)), ((1, 6, 8), (6, 7))],
)
def test_what_is_not_one_picture_and_its_labels_is_refused(image, labels):
    with pytest.raises(ValueError, match="expected one image") as raised:
        unchecked(resize((3, 4)), torch.rand(image), torch.zeros(labels).long())
    assert f"got {image} and {labels}" in str(raised.value)


def test_image_and_labels_exchanged_or_not_normalized():
    image, labels = torch.rand(1, 6, 8), torch.zeros(6, 8).long()
    with pytest.raises(ValueError, match=r"the labels are torch.float32; whole numbers"):
        unchecked(random_flips(), labels[None], image[0])
    with pytest.raises(TypeError, match=r"images of floats were expected, about 0 to 1, got torch"):
        unchecked(random_gamma(), (255 * image).byte(), labels)


def test_transforms_that_know_no_masks_are_refused():
    old, made = transforms.RandomRotation(30), Joint.__init__.__wrapped__
    with pytest.raises(TypeError, match=r"take torchvision.transforms.v2.RandomRotation"):
        made(object.__new__(Joint), old)
    with pytest.raises(TypeError, match=r"got a list; pass them one by one"):
        made(object.__new__(Joint), [v2.RandomHorizontalFlip()])


@pytest.mark.parametrize("size", [(0, 4), (-1, 4), 5, (3,), (2.5, 3)])
@pytest.mark.parametrize("transform", [resize, random_crop])
def test_sizes_that_are_none(transform, size):
    with pytest.raises(ValueError, match="height, width"):
        transform.__wrapped__(size)
