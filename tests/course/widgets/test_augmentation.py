"""The augmentation widget: its arithmetic in Node against unet_lib.transforms, and in a browser."""

import math

import numpy as np
import pytest
import torch
import traitlets
from torchvision import tv_tensors

from tests.course.widgets.conftest import CANVASES, FOCUS, traits
from unet_lib.course.widgets import AugmentationWidget
from unet_lib.data import simulate_nuclei
from unet_lib.transforms import elastic_field, pixel_places, random_rotation, warp

ZEROS = np.zeros((2, 2))
STATES = [
    {},
    {"rotation": 33.0, "scale": 1.3, "flip_x": True},
    {"rotation": -120.0, "flip_y": True, "elastic": 3.0, "pattern": 2},
    {"elastic": 6.0, "outside": "mirrored"},
    {"rotation": 70.0, "scale": 0.5, "outside": "mirrored", "mask": "blended"},
    {"brightness": 1.3, "contrast": 0.6, "gamma": 1.8, "scale": 0.8, "mask": "blended"},
]
EXPRESSION = """data.map(({ image, labels, state }) => {
  const places = sources(state);
  const how = { mirrored: state.outside === "mirrored" };
  const mask = read(labels, state.size, places, { ...how, blend: state.mask === "blended" });
  return {
    image: [...relight(read(image, state.size, places, { ...how, blend: true }), state)],
    mask: [...mask], invented: invented(mask, labels).count,
  };
})"""


def nuclei(size=(25, 34)):
    image, labels = simulate_nuclei(seed=0, size=(64, 64))
    return image[: size[0], : size[1]], labels[: size[0], : size[1]]


def data_of(widget):
    state = traits(widget) | {"vectors": widget.patterns[widget.pattern]}
    arrays = {name: list(state.pop(name)) for name in ("image", "labels")}
    return arrays | {"state": state}


def sources(rotation, scale, flip_x, flip_y, elastic, vectors, size, **_):
    """Row and column from which each pixel is read; what is done first is undone last."""
    field = elastic_field(torch.tensor(vectors).view(2, 3, 3), size)
    center = (torch.tensor(size).view(2, 1, 1) - 1) / 2
    down, right = pixel_places(size) + elastic * field - center
    cos, sin = math.cos(math.radians(rotation)), math.sin(math.radians(rotation))
    turned = torch.stack([down * cos + right * sin, right * cos - down * sin])
    signs = torch.tensor([-1.0 if flip else 1.0 for flip in (flip_y, flip_x)])
    return turned * signs.view(2, 1, 1) / scale + center


def transformed(image, labels, state):
    """Image and mask as unet_lib.transforms does them, and how many labels nobody drew."""
    places = sources(**state | {"size": tuple(state["size"])})
    image, labels = (torch.tensor(list(x)).view(1, *state["size"]).float() for x in (image, labels))
    fill = "reflect" if state["outside"] == "mirrored" else 0.0
    drawn = labels if state["mask"] == "blended" else tv_tensors.Mask(labels)
    mask = warp(drawn, places, fill).as_subclass(torch.Tensor)
    image = warp(image / 255, places, fill)
    image = state["brightness"] * (image.mean() + state["contrast"] * (image - image.mean()))
    low, high = image.aminmax()
    image = low + (high - low) * ((image - low) / (high - low)) ** state["gamma"]
    distance = (mask[..., None] - labels.unique()).abs().min(-1).values
    return image.ravel(), mask.ravel(), (distance > 1e-3).sum().item()


def test_javascript_agrees_with_the_library(evaluate):
    widgets = [AugmentationWidget(*nuclei(), **state) for state in STATES]
    data = list(map(data_of, widgets))
    for case, found in zip(data, evaluate("augmentation", EXPRESSION, data), strict=True):
        image, mask, invented = transformed(**case)
        assert np.allclose(np.array(found["image"]) / 255, image, atol=2e-3)
        close = np.isclose(found["mask"], mask, atol=1e-2)
        assert close.mean() > 0.995, "but for places half-way between two pixels"
        assert abs(found["invented"] - invented) <= 3
        assert (invented > 20) == (case["state"]["mask"] == "blended"), "only blending invents"


def test_cubic_weights_are_those_of_torch(evaluate):
    places = [0.0, 0.25, 0.9, 1.0, 1.5, 2.0]
    found = evaluate("augmentation", "data.map(cubicWeights)", places)
    for k in range(3):
        vectors = torch.zeros(2, 3, 3)
        vectors[0, k] = 1.0
        expected = elastic_field(vectors, (41, 3))[0, :, 1]
        for place, weights in zip(places, found, strict=True):
            assert weights[k] == pytest.approx(expected[round(20 * place)].item(), abs=1e-5)


def test_rotation_is_that_of_the_library(evaluate):
    image, labels = nuclei((30, 30))
    data = [data_of(AugmentationWidget(image, labels, rotation=40))]
    _, expected = random_rotation((40, 40))(torch.zeros(1, 30, 30), torch.from_numpy(labels).long())
    assert evaluate("augmentation", EXPRESSION, data)[0]["mask"] == expected.ravel().tolist()


@pytest.mark.parametrize(
    ("labels", "state", "message"),
    [
        (np.zeros((2, 3), int), {}, r"image, labels of one shape .* \(2, 2\), \(2, 3\)"),
        (ZEROS, {}, "whole labels from 0 to 255, got float64 from 0.0"),
        (np.full((2, 2), 256), {}, "from 256 to 256"),
        (np.full((2, 2), -1), {}, "from -1 to -1"),
        (ZEROS.astype(int), {"scale": 3}, "scale"),
        (ZEROS.astype(int), {"mask": "cubic"}, "mask"),
        (ZEROS.astype(int), {"pattern": 8}, "pattern"),
    ],
)
def test_faults_are_named(labels, state, message):
    with pytest.raises((ValueError, traitlets.TraitError), match=message):
        AugmentationWidget(ZEROS, labels, **state)


def test_by_keyboard_and_button(mount):
    page = mount(AugmentationWidget(*nuclei()))
    before = page.evaluate(CANVASES)
    text = page.locator("output")
    assert "Every mask pixel holds a label that was drawn." in text.inner_text()
    page.get_by_label("Rotation").focus()
    for _ in range(3):
        page.keyboard.press("ArrowRight")
    assert page.evaluate("[model.get('rotation'), model.saved]") == [3, 3]
    assert "3°" in page.locator("form").inner_text()
    turned = page.evaluate(CANVASES)
    assert all(a != b for a, b in zip(before, turned, strict=True))
    page.get_by_label("blended").check()
    assert "mask pixels hold a number that nobody drew" in text.inner_text()
    assert page.evaluate(CANVASES)[0] == turned[0], "the image does not change"
    page.get_by_label("up–down").press("Space")
    assert page.evaluate("model.get('flip_y')") is True
    page.get_by_role("button", name="Draw at random").click()
    assert page.evaluate("0.7 <= model.get('scale') && model.get('scale') <= 1.4 + 1e-9")
    page.get_by_role("button", name="Reset").click()
    page.get_by_label("nearest").check()
    assert page.evaluate(CANVASES) == before
    page.get_by_label("Noise").press("End")
    assert page.evaluate("model.get('noise')") == 0.3
    assert page.evaluate(FOCUS) == "solid"


def test_on_a_phone_the_images_stand_beside_the_sliders(mount):
    page = mount(AugmentationWidget(*nuclei()))
    images = [image.bounding_box() for image in page.locator("canvas").all()]
    sliders = [slider.bounding_box() for slider in page.locator(".uw-named input").all()]
    right = max(image["x"] + image["width"] for image in images)
    assert all(slider["x"] > right for slider in sliders)
    assert all(slider["width"] >= 120 and slider["height"] >= 36 for slider in sliders)
    parts = [*images, *sliders]
    top, bottom = min(p["y"] for p in parts), max(p["y"] + p["height"] for p in parts)
    assert bottom - top < 560, "all of them on one screen"
    page.get_by_label("Rotation").press("End")
    assert page.evaluate("model.get('rotation')") == 180
