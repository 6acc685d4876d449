"""The demo's own arithmetic, in Node, against unet_lib: equal to the last instance."""

import numpy as np
import pytest
import torch
from PIL import Image
from scipy import ndimage

from tests.course.widgets.conftest import ROOT
from unet_lib.data import distances, normalize_percentiles, simulate_nuclei
from unet_lib.evaluation import (
    decode_distances,
    foreground_probability,
    label_instances,
    predict,
)
from unet_lib.training import load_model

PICTURES = [
    simulate_nuclei(13, 37)[0],
    simulate_nuclei(13, 31)[0],
    simulate_nuclei(13, 4, (61, 90))[0],
    np.array([[0, 255], [3, 3]], np.uint8),
    np.full((8, 8), 7, np.uint8),  # no contrast
]


@pytest.mark.parametrize("image", PICTURES, ids=lambda image: f"{image.shape}")
def test_normalized_pictures_agree(evaluate, image):
    expression = "[...demo.normalize(Uint8Array.from(data))]"
    found = evaluate("preprocess.js", expression, image.ravel().tolist())
    assert np.allclose(found, normalize_percentiles(image).ravel(), atol=1e-6, rtol=0)


def test_gray_agrees_with_pillow(evaluate):
    rgba = np.random.default_rng(0).integers(0, 256, (30, 40, 4), dtype=np.uint8)
    rgba[..., 3] = 255
    found = evaluate("preprocess.js", "[...demo.toGray(data)]", rgba.ravel().tolist())
    assert found == np.asarray(Image.fromarray(rgba).convert("L")).ravel().tolist()


def masks() -> list[np.ndarray]:
    """Return masks of many shapes: random, all, nothing, one pixel, one row."""
    rng = np.random.default_rng(0)
    random = [rng.random((40, 57)) < share for share in (0.02, 0.5, 0.97)]
    one = np.zeros((16, 16), bool)
    one[3, 5] = True
    return [*random, np.ones((16, 20), bool), np.zeros((16, 16), bool), one, ~one]


def test_distances_agree_with_scipy(evaluate):
    expression = "data.map(([mask, width]) => [...demo.distanceTransform(mask, width)])"
    data = [[mask.astype(int).ravel().tolist(), mask.shape[1]] for mask in masks()]
    for mask, found in zip(masks(), evaluate("distance.js", expression, data), strict=True):
        assert np.allclose(found, ndimage.distance_transform_edt(mask).ravel(), atol=1e-12)


@pytest.mark.parametrize("sigma", [0.5, 1.37, 8.0])
def test_smoothing_agrees_with_scipy(evaluate, sigma):
    values = np.random.default_rng(0).random((16, 50))
    data = {"values": values.ravel().tolist(), "sigma": sigma}
    found = evaluate("distance.js", "[...demo.gaussian(data.values, 50, data.sigma)]", data)
    assert np.allclose(found, ndimage.gaussian_filter(values, sigma).ravel(), atol=1e-12)


INSTANCES = """data.map(([logits, width, threshold]) => {
    const probability = demo.sigmoid(Float32Array.from(logits));
    const { labels, count } = demo.labelInstances(probability, width, threshold);
    return { probability: [...probability], labels: [...labels], count };
})"""


def compare(evaluate, logits: list[torch.Tensor], threshold: float) -> None:
    """Assert that probabilities and every pixel's instance are those of unet_lib."""
    data = [(x.ravel().tolist(), x.shape[-1], threshold) for x in logits]
    for each, found in zip(logits, evaluate("instances.js", INSTANCES, data), strict=True):
        expected = label_instances(each, threshold)
        probability = foreground_probability(each).numpy()
        assert np.allclose(found["probability"], probability.ravel(), atol=1e-6, rtol=0)
        assert found["count"] == expected.max()
        assert found["labels"] == expected.ravel().tolist()


@pytest.mark.parametrize("threshold", [0.3, 0.5, 0.9])
def test_instances_agree_on_simulated_pictures(evaluate, threshold):
    model = load_model(ROOT / "results" / "ship.pt")
    images = [simulate_nuclei(13, index)[0] for index in range(20)]
    images += [simulate_nuclei(13, index, (97, 150))[0] for index in range(4)]
    pictures = [torch.from_numpy(normalize_percentiles(image))[None] for image in images]
    compare(evaluate, [predict(model, picture) for picture in pictures], threshold)


def test_instances_agree_on_odd_shapes(evaluate):
    logits = [torch.from_numpy(np.where(mask, 3.0, -3.0)).float()[None] for mask in masks()]
    compare(evaluate, logits, 0.5)


DECODED = """data.map(([maps, width, threshold]) => {
    const single = maps.map((map) => Float32Array.from(map));
    const { mask, labels, count } = demo.decodeDistances(single, width, threshold);
    return { mask: [...mask], labels: [...labels], count };
})"""


def answers() -> list[torch.Tensor]:
    """Return logits as a trained network gives them, and what a shape can be at worst."""
    rng = torch.manual_seed(0)
    truths = [simulate_nuclei(13, index)[1] for index in range(4)]
    truths += [simulate_nuclei(13, index, (97, 150))[1] for index in range(2)]
    maps = [distances(truth) for truth in (*truths, *(mask.astype(int) for mask in masks()))]
    return [8 * (each + 0.1 * torch.randn(each.shape, generator=rng)) - 4 for each in maps]


@pytest.mark.parametrize("threshold", [0.3, 0.5, 0.9])
def test_objects_of_three_maps_agree(evaluate, threshold):
    cases = answers()
    data = [(z.sigmoid().flatten(1).tolist(), z.shape[-1], threshold) for z in cases]
    for logits, found in zip(cases, evaluate("instances.js", DECODED, data), strict=True):
        expected = decode_distances(logits, threshold)
        assert found["mask"] == (logits[0].sigmoid() > threshold).int().ravel().tolist()
        assert found["count"] == expected.max()
        assert found["labels"] == expected.ravel().tolist()


STEPS = """data.map(({ logits, gray, width }) => {
    const network = async () => Float32Array.from(logits);
    const picture = { gray: Uint8Array.from(gray), width, height: gray.length / width };
    return demo.segment(network, picture, 0.5);
})"""


def test_the_decoder_follows_the_number_of_maps(evaluate):
    gray, labels = simulate_nuclei(13, 0, (40, 57))
    three = 8 * distances(labels) - 4
    data = [
        {"logits": z.ravel().tolist(), "gray": gray.ravel().tolist(), "width": 57}
        for z in (three, three[:1])
    ]
    steps = f"await Promise.all({STEPS})"
    shapes, one = evaluate("segment.js", steps, data)
    for found, expected in ((shapes, decode_distances(three)), (one, label_instances(three[:1]))):
        assert list(found["labels"].values()) == expected.ravel().tolist()
        assert np.allclose(list(found["probability"].values()), three[0].sigmoid().ravel())
    depth = three[2].sigmoid() * (three[0] > 0)
    assert np.allclose(list(shapes["depth"].values()), depth.ravel())
    assert "depth" not in one


def fates(labels: np.ndarray, truth: np.ndarray) -> dict[str, int]:
    """Return what became of each nucleus, and of what was found besides, as truth.js counts it."""
    owners, missed = set(), 0
    for nucleus in range(1, truth.max() + 1):
        shares = np.bincount(labels[truth == nucleus], minlength=2)
        shares[0] = 0
        owners |= {shares.argmax()} if shares.any() else set()
        missed += not shares.any()
    touching = set(np.unique(labels[truth > 0])) - {0}
    return {
        "together": int(truth.max() - missed - len(owners)),
        "missed": missed,
        "pieces": len(touching - owners),
        "strange": int(labels.max() - len(touching)),
    }


def test_what_became_of_the_nuclei(evaluate):
    model, cases = load_model(ROOT / "results" / "ship.pt"), []
    for index in range(12):
        image, truth = simulate_nuclei(13, index)
        logits = predict(model, torch.from_numpy(normalize_percentiles(image))[None])
        cases += [(label_instances(logits, t), truth) for t in (0.2, 0.5, 0.95)]
    data = [[labels.ravel().tolist(), truth.ravel().tolist()] for labels, truth in cases]
    found = evaluate("truth.js", "data.map((pair) => demo.compare(...pair))", data)
    assert found == [fates(*case) for case in cases]
    for (labels, truth), fate in zip(cases, found, strict=True):
        lost, more = fate["together"] + fate["missed"], fate["pieces"] + fate["strange"]
        assert labels.max() == truth.max() - lost + more
    assert all(any(fate[kind] for fate in found) for kind in found[0])


@pytest.mark.parametrize(
    ("numbers", "words"),
    [
        ((0, 0, 0, 0), ""),
        ((2, 0, 0, 0), ": 2 count as one with a neighbor"),
        ((1, 1, 0, 0), ": 1 counts as one with a neighbor and 1 is missed"),
        ((0, 3, 1, 2), ": 3 are missed, 1 found is a piece of another and 2 found where none was"),
    ],
)
def test_why_the_counts_differ(evaluate, numbers, words):
    data = dict(zip(("together", "missed", "pieces", "strange"), numbers, strict=True))
    said = evaluate("truth.js", "demo.explain(data)", data)
    assert said.startswith(words)
    assert bool(said) == bool(words)


def test_own_pictures_are_scaled_down_in_proportion(evaluate):
    sizes = [[512, 512], [1024, 300], [16, 4000], [100, 80], [600, 601]]
    found = evaluate("files.js", "data.map((size) => demo.fittedSize(...size))", sizes)
    assert found == [[512, 512], [512, 150], [2, 512], [100, 80], [511, 512]]


class TestPainting:
    GROUND = "new demo.Painting({ gray: new Uint8Array(64 * 48), width: 64, height: 48 })"

    def paint(self, evaluate, steps: str) -> np.ndarray:
        code = f"((picture) => {{ {steps}; return [...picture.gray()]; }})({self.GROUND})"
        return np.array(evaluate("paint.js", code, None)).reshape(48, 64)

    def test_a_blob_is_round_bright_and_soft(self, evaluate):
        blob = "picture.begin(); picture.extend({ x: 20, y: 10, radius: 6, light: 150 })"
        gray = self.paint(evaluate, blob)
        assert 120 < gray[8:13, 18:23].mean() < 160
        assert np.count_nonzero(gray) == pytest.approx(np.pi * 6.5**2, rel=0.1)
        assert gray[10, 13] < gray[10, 15] < gray[10, 18]

    def test_a_stroke_has_no_gaps_and_is_undone_as_one(self, evaluate):
        blobs = "for (const x of [5, 30, 55]) picture.extend({ x, y: 24, radius: 4, light: 90 })"
        gray = self.paint(evaluate, f"picture.begin(); {blobs}")
        assert gray[24, 5:56].min() > 40
        assert not self.paint(evaluate, f"picture.begin(); {blobs}; picture.undo()").any()

    def test_undo_leaves_the_strokes_before(self, evaluate):
        one = "picture.begin(); picture.extend({ x: 9, y: 9, radius: 4, light: 90 });"
        two = one + "picture.begin(); picture.extend({ x: 40, y: 30, radius: 4, light: 200 });"
        undone = self.paint(evaluate, two + "picture.undo()")
        assert np.array_equal(self.paint(evaluate, one), undone)
        assert not self.paint(evaluate, two + "picture.undo(true)").any()

    def test_the_dark_field_is_dark_and_trembles(self, evaluate):
        gray = np.array(evaluate("paint.js", "[...demo.darkField(128, 128).gray]", None))
        assert gray.mean() == pytest.approx(16, abs=0.2)
        assert gray.std() == pytest.approx(3, abs=0.3)
        noise = gray.reshape(128, 128) - gray.mean()
        assert abs((noise[:, 1:] * noise[:, :-1]).mean()) < 0.3  # neighbors do not resemble
