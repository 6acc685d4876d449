"""Every transform of unet_lib.transforms: labels stay labels, image and labels stay together."""

import math
import pickle

import numpy as np
import pytest
import torch
from scipy import ndimage
from torch.utils.data import DataLoader
from torchvision import transforms as old
from torchvision import tv_tensors
from torchvision.transforms import v2

from unet_lib import transforms
from unet_lib.data import SimulatedNuclei
from unet_lib.transforms import (
    Joint,
    RandomRightAngle,
    augment_nuclei,
    compose,
    elastic_field,
    pixel_places,
    random_blur,
    random_brightness_contrast,
    random_crop,
    random_elastic,
    random_flips,
    random_gamma,
    random_noise,
    random_rotation,
    random_scale,
    random_zoom,
    resize,
    sometimes,
    typical_diameter,
    warp,
)
from unet_lib.transforms.recipes import views

GEOMETRY = {
    "RandomRightAngle": [Joint(RandomRightAngle())],
    "compose": [compose(random_scale(0.8, 1.2), random_rotation(180), random_elastic(3.0))],
    "random_crop": [random_crop((20, 30)), random_crop((60, 70)), random_crop((9, 9), 0, 0.5)],
    "random_elastic": [random_elastic(3.0), random_elastic(3.0, fill=0.0)],
    "random_flips": [random_flips()],
    "random_rotation": [random_rotation(180), random_rotation((20, 70), fill="reflect")],
    "random_scale": [random_scale(0.6, 1.7)],
    "random_zoom": [random_zoom((40, 30), 12.0), random_zoom((90, 90), 12.0, spread=2.0)],
    "resize": [resize((31, 77))],
    "sometimes": [sometimes(0.5, random_rotation(30), RandomRightAngle())],
}
INTENSITY = {
    "random_blur": [random_blur(2.0)],
    "random_brightness_contrast": [random_brightness_contrast(0.4, 0.4)],
    "random_gamma": [random_gamma(0.5, 2.0)],
    "random_noise": [random_noise(0.2)],
}
BOTH = {"augment_nuclei": [augment_nuclei((32, 40)), augment_nuclei((32, 40), elastic=2.0)]}
NO_TRANSFORMS = {"Joint", "Repeatable", "elastic_field", "pixel_places", "rotation_sources"}
NO_TRANSFORMS |= {"typical_diameter", "views", "warp"}


def cases(*groups):
    """Each transform with its name."""
    return [
        pytest.param(transform, id=f"{name}-{i}")
        for group in groups
        for name, examples in group.items()
        for i, transform in enumerate(examples)
    ]


def blobs(size=(48, 56), seed=0):
    """A smooth image from 0 to 1, and labels 0, 7, 300 that follow from it by thresholds."""
    noise = np.random.default_rng(seed).normal(size=size)
    image = ndimage.gaussian_filter(noise, 4).astype(np.float32)
    image = torch.from_numpy((image - image.min()) / np.ptp(image))
    return image[None], thresholded(image)


def thresholded(image):
    labels = torch.zeros(image.shape, dtype=torch.int64)
    labels[image > 0.5] = 7
    labels[image > 0.7] = 300
    return labels


def test_no_transform_is_forgotten():
    """A new name in `__all__` has to be put into one of the tables above."""
    assert set(transforms.__all__) == {*GEOMETRY, *INTENSITY, *BOTH, *NO_TRANSFORMS}


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("transform", cases(GEOMETRY, INTENSITY, BOTH))
def test_fault_28_labels_stay_labels(transform, seed):
    image, labels = blobs(seed=seed)
    before = image.clone(), labels.clone()
    torch.manual_seed(seed)
    changed, moved = transform(image, labels)
    assert moved.dtype == torch.int64
    assert type(changed) is type(moved) is torch.Tensor
    assert set(moved.unique().tolist()) <= {0, 7, 300}
    assert changed.dtype == torch.float32
    assert changed.shape == (1, *moved.shape)
    assert changed.isfinite().all()
    assert torch.equal(image, before[0]), "the input is left as it was"
    assert torch.equal(labels, before[1])


@pytest.mark.parametrize("transform", cases(GEOMETRY, INTENSITY, BOTH))
def test_the_seed_of_torch_and_nothing_else_repeats_it(transform):
    image, labels = blobs()
    results = []
    for _ in range(2):
        torch.manual_seed(5)
        results.append([part for _ in range(3) for part in transform(image, labels)])
        np.random.seed(0)  # noqa: NPY002
    assert all(map(torch.equal, *results))


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("transform", cases(GEOMETRY))
def test_image_and_labels_move_together(transform, seed):
    """Labels made from the image by thresholds still are, but where it is near a threshold."""
    image, labels = blobs(size=(64, 72), seed=seed)
    torch.manual_seed(seed)
    changed, moved = transform(image + 1000, labels)  # less where a bit is filled in
    slope = max(image.diff(dim=axis).abs().max() for axis in (1, 2))  # of one pixel
    value = changed[0] - 1000
    wrong = (thresholded(value) != moved) & (value >= 0)
    distance = torch.minimum((value - 0.5).abs(), (value - 0.7).abs())
    assert (distance[wrong] < 2.5 * slope).all()  # `compose` computes each pixel three times
    assert wrong.float().mean() < 0.06


@pytest.mark.parametrize("transform", cases(INTENSITY))
def test_brightness_leaves_the_labels_alone(transform):
    image, labels = blobs()
    torch.manual_seed(1)
    changed, same = transform(image, labels)
    assert torch.equal(same, labels)
    assert not torch.equal(changed, image)


@pytest.mark.parametrize("transform", cases(GEOMETRY, INTENSITY, BOTH))
def test_three_channels_change_alike_in_place(transform):
    image, labels = blobs()
    torch.manual_seed(2)
    once, moved = transform(image, labels)
    torch.manual_seed(2)
    thrice, also = transform(image.expand(3, -1, -1).contiguous(), labels)
    assert thrice.shape == (3, *once.shape[1:])
    assert torch.equal(moved, also)


def labels_and_image(seed, size=(24, 20)):
    """Random labels in blocks, and an image that is a function of them."""
    generator = torch.Generator().manual_seed(seed)
    blocks = torch.randint(0, 3, (size[0] // 4, size[1] // 4), generator=generator) * 5
    labels = blocks.repeat_interleave(4, 0).repeat_interleave(4, 1)
    return (labels.float() / 10)[None], labels


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(
    "transform",
    [
        random_flips(),
        Joint(RandomRightAngle()),
        random_crop((13, 9)),
        random_crop((24, 20)),
        compose(random_flips(), RandomRightAngle(), random_crop((16, 16))),
    ],
)
def test_where_no_pixel_is_computed_anew_all_stay_equal(transform, seed):
    torch.manual_seed(seed)
    image, labels = transform(*labels_and_image(seed))
    assert torch.equal(image[0], labels.float() / 10)


def test_fault_28_torchvisions_own_do_not_blend_labels():
    torch.manual_seed(0)
    for transform in v2.RandomRotation(30), v2.ElasticTransform(sigma=2.0), v2.RandomAffine(20):
        labels = Joint(transform)(*labels_and_image(0))[1]
        assert set(labels.unique().tolist()) <= {0, 5, 10}


@pytest.mark.parametrize("factor", [1 / 3, 0.71, 1.0, 1.3, 3.0])
def test_resized_labels_lie_where_the_image_lies(factor):
    """Each label is the number of its column, and so is the image: they may differ by rounding."""
    labels = torch.arange(60).expand(40, 60).clone()
    image, labels = random_scale(factor, factor)(labels.float()[None], labels)
    assert image.shape[1:] == labels.shape == (round(40 * factor), round(60 * factor))
    edge = int(2 * max(factor, 1)) + 1  # where interpolation runs out of neighbors
    assert (image[0] - labels)[:, edge:-edge].abs().max() <= 0.5 + 1e-3


def test_shrinking_smooths_the_image_and_leaves_a_pixel():
    image, labels = torch.tensor([0.0, 1.0]).repeat(8, 8)[None], torch.zeros(8, 16).long()
    assert (resize((8, 4))(image, labels)[0][..., 1:-1] - 0.5).abs().max() < 0.05
    assert random_scale(0.01, 0.01)(image, labels)[1].shape == (1, 1)


def test_right_angles_and_flips_are_drawn_evenly():
    labels = torch.arange(4).reshape(2, 2)
    transform = compose(random_flips(), RandomRightAngle())
    torch.manual_seed(0)
    seen = [
        tuple(transform(torch.zeros(1, 2, 2), labels)[1].flatten().tolist()) for _ in range(800)
    ]
    assert len(set(seen)) == 8, "the eight symmetries of a square, no other"
    assert min(map(seen.count, set(seen))) > 60
    shapes = {Joint(RandomRightAngle())(*blobs())[1].shape for _ in range(20)}
    assert shapes == {(48, 56), (56, 48)}


def test_crop_pads_small_images_and_marks_the_padding():
    image, labels = labels_and_image(0, (8, 8))
    crop, marked = random_crop((12, 12), fill_labels=255)(image, labels)
    assert marked.shape == (12, 12)
    assert (marked == 255).sum() == 12 * 12 - 8 * 8
    assert (crop[0][marked == 255] == 0).all()
    assert 255 not in random_crop((12, 12))(image, labels)[1]


class TestCropsAroundObjects:
    def scene(self) -> tuple[torch.Tensor, torch.Tensor]:
        """A large object, a small one, void, and each pixel's own number as its brightness."""
        labels = torch.zeros(40, 50, dtype=torch.int64)
        labels[:20, :20], labels[39, 49], labels[30:34, 5:9] = 1, 2, 255
        return torch.arange(2000.0).reshape(1, 40, 50), labels

    def test_each_label_is_met_alike_wherever_it_lies(self):
        image, labels = self.scene()
        cut = random_crop((8, 8), fill_labels=255, objects=1.0)
        crops = [cut(image, labels) for _ in range(400)]
        assert all((part == labels.flatten()[seen[0].long()]).all() for seen, part in crops)
        met = [set(part.unique().tolist()) - {0, 255} for _, part in crops]
        assert all(met), "every crop holds an object; void is none"
        assert 150 < sum(2 in labels for labels in met) < 250, "half of them the single pixel"

    def test_the_pixel_lies_anywhere_in_the_crop(self):
        labels = torch.zeros(30, 30, dtype=torch.int64)
        labels[15, 14] = 3
        cut = random_crop((4, 4), objects=1.0)
        places = {
            tuple(cut(torch.rand(1, 30, 30), labels)[1].argwhere()[0].tolist()) for _ in range(300)
        }
        assert len(places) == 16

    def test_a_share_of_the_crops(self):
        image, labels = torch.rand(1, 90, 90), torch.zeros(90, 90, dtype=torch.int64)
        labels[80, 80] = 1
        cut = random_crop((9, 9), objects=1 / 3)
        assert 60 < sum(bool(cut(image, labels)[1].any()) for _ in range(300)) < 150

    def test_small_images_are_padded_and_empty_ones_cut_anywhere(self):
        image, labels = self.scene()
        seen, part = random_crop((64, 20), fill_labels=255, objects=1.0)(image, labels)
        assert (seen.shape, part.shape) == ((1, 64, 20), (64, 20))
        assert 1 in part or 2 in part
        cut = random_crop((8, 8), objects=1.0)
        assert cut(image, torch.zeros_like(labels))[1].shape == (8, 8)

    def test_training_sees_them_and_validation_the_part_it_always_saw(self):
        image, labels = torch.rand(1, 60, 60), torch.zeros(60, 60, dtype=torch.int64)
        labels[50, 50] = 1
        training, validation = views(8, "none", fill_labels=0, objects=1.0)
        assert all(training(image, labels)[1].any() for _ in range(20))
        plain = views(8, "none", fill_labels=0)[1]
        assert torch.equal(validation(image, labels)[0], plain(image, labels)[0])

    @pytest.mark.parametrize("share", [-0.1, 1.1, float("nan")])
    def test_a_share_is_a_probability(self, share):
        with pytest.raises(ValueError, match="expected a probability"):
            random_crop((4, 4), objects=share)


@pytest.mark.parametrize("transform", cases(GEOMETRY, INTENSITY, BOTH))
def test_transforms_travel_to_data_workers(transform):
    assert isinstance(pickle.loads(pickle.dumps(transform)), Joint)


@pytest.mark.usefixtures("unchecked")
class TestWrongTypes:
    @pytest.mark.parametrize(
        ("image", "labels"),
        [((1, 6, 8), (1, 6, 8)), ((6, 8), (6, 8)), ((2, 1, 6, 8), (2, 6, 8)), ((1, 6, 8), (6, 7))],
    )
    def test_what_is_not_one_image_and_its_labels_is_refused(self, image, labels):
        with pytest.raises(ValueError, match="expected one image") as raised:
            resize((3, 4))(torch.rand(image), torch.zeros(labels).long())
        assert f"got {image} and {labels}" in str(raised.value)

    def test_image_and_labels_exchanged_or_not_normalized(self):
        image, labels = torch.rand(1, 6, 8), torch.zeros(6, 8).long()
        with pytest.raises(ValueError, match=r"the labels are torch.float32; whole numbers"):
            random_flips()(labels[None], image[0])
        with pytest.raises(TypeError, match=r"images of floats were expected, about 0 to 1, got t"):
            random_gamma()((255 * image).byte(), labels)

    def test_transforms_that_know_no_masks_are_refused(self):
        with pytest.raises(TypeError, match=r"take torchvision.transforms.v2.RandomRotation"):
            Joint(old.RandomRotation(30))
        with pytest.raises(TypeError, match=r"got a list; pass one by one"):
            Joint([v2.RandomHorizontalFlip()])

    def test_another_word_for_what_lies_outside(self):
        with pytest.raises(ValueError, match="fill 'mirror': expected a number or"):
            random_rotation(5, fill="mirror")

    @pytest.mark.parametrize("size", [(0, 4), (-1, 4), 5, (3,), (2.5, 3)])
    @pytest.mark.parametrize("transform", [resize, random_crop])
    def test_sizes_that_are_none(self, transform, size):
        with pytest.raises(ValueError, match="height, width"):
            transform(size)


class TestWarp:
    @pytest.mark.parametrize("fill", [0.0, "reflect"])
    @pytest.mark.parametrize("seed", range(3))
    def test_reads_as_scipy_does(self, fill, seed):
        image, labels = blobs(size=(20, 31), seed=seed)
        torch.manual_seed(seed)
        sources = pixel_places((20, 31)) + 15 * torch.randn(2, 20, 31)
        mode = "grid-constant" if fill == 0 else "reflect"
        expected = ndimage.map_coordinates(image[0].numpy(), sources.numpy(), order=1, mode=mode)
        assert np.allclose(warp(image, sources, fill)[0], expected, atol=1e-4)
        expected = ndimage.map_coordinates(labels.numpy(), sources.numpy(), order=0, mode=mode)
        found = warp(tv_tensors.Mask(labels), sources, fill)
        assert (found.numpy() == expected).mean() > 0.998  # half-way between two pixels

    @pytest.mark.parametrize("size", [(24, 24), (20, 37), (1, 5)])
    @pytest.mark.parametrize("angle", [0.0, 17.0, 91.0, 123.0, -200.0])
    def test_rotation_equals_torchvision(self, size, angle):
        image, labels = torch.rand(2, *size), torch.randint(9, size)
        bilinear = v2.InterpolationMode.BILINEAR
        expected = v2.functional.rotate(image - 0.25, angle, bilinear) + 0.25
        turned, moved = random_rotation((angle, angle), 0.25, 5)(image, labels)
        assert torch.allclose(turned, expected, atol=1e-4)
        mask = v2.functional.rotate(tv_tensors.Mask(labels), angle, fill=[5.0])
        assert (moved == mask).float().mean() >= (0.99 if size != (1, 5) else 0.8)

    def test_four_quarter_turns_are_none(self):
        image, labels = blobs(size=(25, 25))
        for turns in range(5):
            turned, moved = random_rotation((90 * turns, 90 * turns))(image, labels)
            assert torch.allclose(turned, image.rot90(turns, (1, 2)), atol=1e-4)
            assert torch.equal(moved, labels.rot90(turns, (0, 1)))

    def test_corners_are_filled_as_told(self):
        image, labels = torch.ones(1, 101, 101), torch.ones(101, 101, dtype=torch.int64)
        zero, background = random_rotation((45, 45))(image, labels)
        octagon = 2 * (math.sqrt(2) - 1)  # the part of a square that its turned copy covers
        assert zero.mean() == pytest.approx(octagon, abs=0.01)
        assert background.float().mean() == pytest.approx(octagon, abs=0.01)
        gray, ignored = random_rotation((45, 45), fill=-0.5, fill_labels=255)(image, labels)
        assert gray.min() == -0.5
        assert ignored.unique().tolist() == [1, 255]
        assert (zero == 0).sum() == (gray == -0.5).sum()
        whole, ones = random_rotation((45, 45), fill="reflect", fill_labels=255)(image, labels)
        assert torch.allclose(whole, image)
        assert ones.unique().tolist() == [1]

    def test_angles_are_drawn_evenly(self):
        torch.manual_seed(0)
        labels = torch.zeros(41, 41, dtype=torch.int64)
        labels[19:22, 37:40] = 1  # to the right of the center
        turn = random_rotation(180)
        quarters = torch.zeros(4)
        for _ in range(400):
            row, column = turn(labels[None].float(), labels)[1].nonzero().float().mean(0) - 20
            quarters[int(math.atan2(row, column) // (math.pi / 2)) % 4] += 1
        assert quarters.min() > 70


def keys_weights(x):
    """The four weights of cubic convolution (Keys 1981, a = -0.75) at a fraction x."""
    a, distances = -0.75, np.abs(np.array([x + 1, x, 1 - x, 2 - x]))
    near = (a + 2) * distances**3 - (a + 3) * distances**2 + 1
    far = a * (distances**3 - 5 * distances**2 + 8 * distances - 4)
    return np.where(distances <= 1, near, far)


def interpolation_matrix(size):
    """(size, 3): the weight of each node in each pixel of a line."""
    matrix = np.zeros((size, 3))
    for i, along in enumerate(np.linspace(0, 2, size)):
        first = min(int(along), 1)
        for step, weight in zip(range(-1, 3), keys_weights(along - first), strict=True):
            matrix[i, min(max(first + step, 0), 2)] += weight
    return matrix


class TestElastic:
    @pytest.mark.parametrize("size", [(33, 33), (20, 47)])
    def test_bicubic_between_the_nodes(self, size):
        vectors = torch.randn(2, 3, 3, generator=torch.Generator().manual_seed(0))
        rows, columns = map(interpolation_matrix, size)
        expected = rows @ vectors.numpy() @ columns.T
        assert np.allclose(elastic_field(vectors, size), expected, atol=1e-5)

    def test_vectors_are_gaussian_with_the_standard_deviation(self):
        """At the nodes; read from what an image of row and column numbers becomes."""
        size = (201, 201)
        image = pixel_places(size)
        torch.manual_seed(0)
        transform = random_elastic(10.0, fill=0.0)
        drawn = []
        for _ in range(150):
            moved, _ = transform(image, torch.zeros(size, dtype=torch.int64))
            drawn.append(moved[:, 100, 100] - 100)  # the middle node: never outside
        drawn = torch.stack(drawn).flatten().double()
        assert abs(drawn.mean()) < 3 * 10 / math.sqrt(300)
        assert drawn.std() == pytest.approx(10, rel=0.12)
        within = (drawn.abs() < 10).double().mean()
        assert within == pytest.approx(0.683, abs=0.08)

    def test_no_strength_changes_nothing(self):
        image, labels = blobs()
        same, labels_too = random_elastic(0.0)(image, labels)
        assert torch.allclose(same, image, atol=1e-5)
        assert torch.equal(labels, labels_too)


class TestIntensity:
    def test_formula_of_brightness_and_contrast(self):
        image, labels = blobs()
        torch.manual_seed(0)
        brightness, contrast = (1 + 0.4 * (2 * torch.rand(2) - 1)).tolist()
        torch.manual_seed(0)
        changed, _ = random_brightness_contrast(0.4, 0.4)(image, labels)
        assert changed.mean() == pytest.approx(brightness * image.mean().item(), rel=1e-4)
        assert changed.std() == pytest.approx(brightness * contrast * image.std().item(), rel=1e-4)

    def test_values_beyond_0_and_1_are_kept(self):
        image, labels = blobs()
        for transform in (random_brightness_contrast(), random_noise(0.1), random_blur(0.5)):
            changed, _ = transform(4 * image - 2, labels)
            assert changed.min() < -1
            assert changed.max() > 1

    def test_gamma_keeps_the_ends_and_the_order(self):
        image, labels = blobs()
        powers = []
        torch.manual_seed(0)
        for _ in range(200):
            changed, _ = random_gamma(0.5, 2.0)(3 * image - 1, labels)
            assert torch.allclose(torch.stack(changed.aminmax()), torch.tensor([-1.0, 2.0]))
            middle = (image - 0.5).abs().argmin()
            powers.append(math.log(((changed.flatten()[middle] + 1) / 3).item(), image.max() / 2))
        assert min(powers) > 0.45
        assert max(powers) < 2.2
        assert sum(power > 1 for power in powers) == pytest.approx(100, abs=25)

    def test_gamma_of_an_even_image(self):
        image = torch.full((1, 4, 4), 0.3)
        assert torch.equal(random_gamma()(image, torch.zeros(4, 4).long())[0], image)

    def test_noise_is_gaussian_and_even_up_to_its_strength(self):
        torch.manual_seed(0)
        labels = torch.zeros(64, 64, dtype=torch.int64)
        strengths = [random_noise(0.2)(torch.zeros(1, 64, 64), labels)[0].std() for _ in range(100)]
        assert 0 <= min(strengths) < 0.02
        assert 0.18 < max(strengths) < 0.21

    def test_blur_equals_scipy(self):
        image = torch.rand(1, 40, 40)
        torch.manual_seed(0)
        sigma = 2.0 * torch.rand(()).item()
        torch.manual_seed(0)
        blurred, _ = random_blur(2.0)(image, torch.zeros(40, 40).long())
        radius = math.ceil(3 * sigma)
        expected = ndimage.gaussian_filter(image[0].numpy(), sigma, radius=radius, mode="mirror")
        assert np.allclose(blurred[0], expected, atol=1e-4)

    def test_blur_of_a_picture_smaller_than_the_kernel(self):
        image, _ = random_blur(5.0)(torch.rand(1, 2, 3), torch.zeros(2, 3).long())
        assert image.shape == (1, 2, 3)


def test_zoom_brings_objects_to_the_diameter_or_leaves_them() -> None:
    """Squares of 8 pixels, 9.03 wide as disks: from as they are to 27 pixels, and to 3."""
    squares = torch.kron(torch.arange(225).view(15, 15), torch.ones(8, 8, dtype=torch.int64))
    for diameter in (27.08, 3.009):
        torch.manual_seed(0)
        view = random_zoom((32, 32), diameter, spread=1.0)
        found = []
        for _ in range(60):
            labels = view(squares[None].float(), squares)[1]
            rows = labels[:, 16].unique_consecutive(return_counts=True)[1][1:-1]
            found += [float(rows.float().median())] * bool(len(rows))
        assert min(found) <= 9 if diameter > 9 else min(found) <= 3.5
        assert max(found) >= 22 if diameter > 9 else max(found) >= 7
        assert all(min(8, 8 / 3) - 1 <= side <= 24 + 1 for side in found)


def test_typical_diameter_is_that_of_a_disk_of_the_median_area() -> None:
    labels = torch.zeros(30, 40, dtype=torch.int64)
    assert typical_diameter(labels) is None
    labels[0, :2], labels[5:15, 5:15], labels[20:, 20:] = 3, 9, 7
    assert typical_diameter(labels) == pytest.approx(2 * math.sqrt(100 / math.pi))
    labels[:, 39] = -1
    assert typical_diameter(labels.numpy()) == pytest.approx(2 * math.sqrt(100 / math.pi))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: random_rotation(-5), r"degrees -5: expected one number >= 0, or \(lowest"),
        (lambda: random_rotation((40.0, 20.0)), r"degrees \(40.0, 20.0\)"),
        (lambda: random_rotation(math.nan), "degrees nan"),
        (lambda: random_rotation(math.inf), "degrees inf"),
        (lambda: random_elastic(-1.0), "sigma -1.0: expected a standard deviation in pixels"),
        (lambda: random_elastic(math.nan), "sigma nan"),
        (lambda: random_brightness_contrast(1.5), "brightness 1.5: expected the spread about 1"),
        (lambda: random_brightness_contrast(0.1, -0.1), "contrast -0.1: expected the spread"),
        (lambda: random_scale(0.0, 1.0), "factors 0.0 to 1.0: expected 0 < low <= high"),
        (lambda: random_scale(2.0, 1.0), "factors 2.0 to 1.0"),
        (lambda: random_zoom((9, 9), 0.0), "expected a diameter above 0"),
        (lambda: random_zoom((9, 9), 9.0, 0.5), "spread of at least 1"),
        (lambda: random_gamma(0.0, 1.0), "powers 0.0 to 1.0: expected 0 < low <= high"),
        (lambda: random_gamma(2.0, 1.0), "powers 2.0 to 1.0"),
        (lambda: random_noise(-0.1), "sigma -0.1: expected a standard deviation, 0 or more"),
        (lambda: random_blur(-0.1), "sigma -0.1: expected a standard deviation, 0 or more"),
        (lambda: sometimes(30, random_flips()), "probability 30: expected a number from 0 to 1"),
        (lambda: sometimes(0.5), "needs at least one transform"),
        (lambda: augment_nuclei((32, 32), elastic=-2.0), "sigma -2.0"),
    ],
)
def test_bad_arguments_are_named(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_sometimes_is_as_often_as_told():
    image, labels = blobs(size=(8, 9))
    turn = sometimes(0.25, v2.RandomHorizontalFlip(p=1))
    torch.manual_seed(0)
    turned = sum(not torch.equal(turn(image, labels)[0], image) for _ in range(400))
    assert turned == pytest.approx(100, abs=30)


def test_data_workers_draw_different_numbers_and_repeat_by_seed():
    nuclei = SimulatedNuclei(4, size=(32, 32), transform=random_noise(0.5))
    same = torch.utils.data.Subset(nuclei, [0, 0])  # one image each for two workers

    def epoch():
        torch.manual_seed(7)
        loader = DataLoader(same, batch_size=1, num_workers=2)
        return torch.cat([images for images, _ in loader])

    first, second = epoch(), epoch()
    assert not torch.equal(first[0], first[1])
    assert torch.equal(first, second)
