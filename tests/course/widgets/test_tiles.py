"""The tiles widget: its arithmetic in Node against unet_lib.evaluation.tiles, and in a browser."""

import itertools

import numpy as np
import pytest
import torch
import traitlets

from tests.course.widgets.conftest import FOCUS, decoded
from unet_lib.course.widgets import TilesWidget
from unet_lib.course.widgets.tiles import seam_levels
from unet_lib.evaluation import predict, tile_slices
from unet_lib.model import UNet


@pytest.fixture(scope="module")
def model() -> UNet:
    """Weights large enough that the far rim of the receptive field can be seen."""
    torch.manual_seed(0)
    model = UNet(1, width=4, depth=1)
    for weights in model.parameters():
        weights.data *= 3.0
    return model


@pytest.fixture(scope="module")
def image() -> torch.Tensor:
    return torch.rand(1, 45, 64, generator=torch.Generator().manual_seed(1))


@pytest.fixture
def widget(model, image) -> TilesWidget:
    return TilesWidget(model, image, tiles=(8, 16, 32), tile=16)


def test_tiles_agree_with_predict(evaluate):
    cases = [
        {"length": length, "tile": tile, "halo": halo, "grid": grid}
        for grid in (1, 2, 8)
        for length in (*range(8, 70, 5), 96, 128, 257)
        for tile in (grid, 4 * grid, 16 * grid)
        for halo in (0, grid, 5 * grid)
    ]
    expression = "data.map(({ length, tile, halo, grid }) => tileSlices(length, tile, halo, grid))"
    for case, found in zip(cases, evaluate("tiles", expression, cases), strict=True):
        pairs = [[t.start, t.stop, o.start, o.stop] for t, o in tile_slices(**case)]
        assert [[s["start"], s["stop"], s["from"], s["to"]] for s in found] == pairs, case


def test_the_tile_of_a_pixel_holds_it(evaluate):
    expression = "data.map((at) => tileAt(tileSlices(45, 16, 8, 8), at))"
    assert evaluate("tiles", expression, [0, 15, 16, 31, 32, 44]) == [0, 0, 1, 1, 2, 2]


def test_cost_is_what_predict_computes(evaluate, model, image, widget):
    class Counting(UNet):
        def forward(self, images):
            counted.append(images[0, 0].numel())
            return super().forward(images)

    network = Counting(1, width=1, depth=1)
    pairs = list(itertools.product(widget.tiles, widget.halos))
    data = [{"size": widget.size, "tile": t, "halo": h, "grid": widget.grid} for t, h in pairs]
    for (tile, halo), cost in zip(pairs, evaluate("tiles", "data.map(cost)", data), strict=True):
        counted: list[int] = []
        predict(network, image, tile, halo)
        assert cost == pytest.approx({"count": len(counted), "work": sum(counted) / image.numel()})


def test_differences_are_those_of_predict(model, image, widget):
    whole = predict(model, image).sigmoid()[0]
    pairs = itertools.product(widget.tiles, widget.halos)
    stored = zip(pairs, widget.differences, widget.changes, strict=True)
    for (tile, halo), difference, changed in stored:
        result = predict(model, image, tile, halo).sigmoid()[0]
        assert difference == pytest.approx((result - whole).abs().max().item(), abs=1e-6)
        assert changed == ((result > 0.5) != (whole > 0.5)).sum()
    assert max(widget.differences) > 0.1
    assert max(widget.changes) > 10


def test_the_covering_halo_leaves_no_seam(model, widget):
    covering = len(widget.halos) - 1
    assert widget.halos[covering] >= model.halo > widget.halos[covering - 1]
    for at in range(covering, len(widget.maps), len(widget.halos)):
        assert widget.differences[at] < 1e-5
        assert widget.changes[at] == 0
        assert not decoded(widget.maps[at]).any()


def test_map_holds_the_levels(widget, model, image):
    whole, tiled = (predict(model, image, tile, 0).sigmoid()[0] for tile in (64, 16))
    changed = ((whole > 0.5) != (tiled > 0.5)).numpy()
    expected = seam_levels((tiled - whole).abs().numpy(), changed)
    assert expected.shape == (23, 32)
    assert np.array_equal(decoded(widget.maps[len(widget.halos)]), expected)
    assert set(np.unique(expected)) > {0, 5, 6}


def test_state(widget):
    assert repr(widget) == "TilesWidget(45x64; tile=16, halo=0)"
    assert widget.focus == [22, 32]


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"tiles": [8, 20, 3]}, r"tiles: expected multiples of the model's grid 2, from 2 on .* 3"),
        ({"tiles": []}, r"at least one, got \[\]"),
        ({"tiles": [0]}, r"from 2 on and at least one, got \[0\]"),
        ({"halos": [0, 5]}, r"halos: expected multiples of the model's grid 2, from 0 .* 5\]"),
        ({"halos": [-2]}, r"halos: .* got \[-2\]"),
        ({"tile": 9}, r"tile: expected one of \[8, 16, 32\], got 9"),
        ({"halo": 3}, "halo: expected one of"),
        ({"focus": [45, 0]}, r"focus: expected a pixel .* of \[45, 64\] pixels, got \[45, 0\]"),
        ({"focus": [1]}, "focus"),
    ],
)
def test_what_does_not_fit_is_named(model, image, wrong, message):
    with pytest.raises((ValueError, traitlets.TraitError), match=message):
        TilesWidget(model, image, **{"tiles": (8, 16, 32)} | wrong)


def test_what_cannot_be_tiled_is_refused(model, image):
    with pytest.raises(ValueError, match=r"one image \(C, H, W\), got shape \(1, 1, 45, 64\)"):
        TilesWidget(model, image[None])
    with pytest.raises(ValueError, match="the image holds values that are not finite"):
        TilesWidget(model, image * torch.nan)


def test_by_keyboard_and_pointer(mount, widget):
    page = mount(widget)
    text, caption = page.locator("output"), page.locator("[data-part=place]")
    assert "12 tiles of 16 × 16 with a halo of 0: the model computes 1.0 times" in text.inner_text()
    assert f"{widget.changes[len(widget.halos)]} pixels of the mask change." in text.inner_text()
    assert "row 2 of 3, column 3 of 4: the model sees 16 × 16" in caption.inner_text()
    source = "document.querySelector('[data-part=map]').src"
    before = page.evaluate(source)
    page.get_by_label("Halo", exact=True).press("End")
    assert "no seams" in text.inner_text()
    assert page.evaluate("[model.get('halo'), model.saved]") == [widget.halos[-1], 1]
    assert page.evaluate(source) == widget.maps[2 * len(widget.halos) - 1] != before
    page.get_by_label("8", exact=True).check()
    assert "48 tiles of 8 × 8" in text.inner_text()
    assert "row 3 of 6, column 5 of 8" in caption.inner_text(), "the pixel stays"
    page.get_by_role("application").focus()
    for key in ("ArrowUp", "ArrowRight", "ArrowRight", "ArrowRight", "ArrowRight", "x"):
        page.keyboard.press(key)
    assert "row 2 of 6, column 8 of 8" in caption.inner_text(), "it stops at the edge"
    label = page.get_by_role("application").get_attribute("aria-label")
    assert "row 2 of 6, column 8 of 8: the model sees" in label
    assert page.evaluate(FOCUS) == "solid"
    seams = page.locator(".uw-layers").last
    seams.click(position={"x": 2, "y": seams.bounding_box()["height"] - 2})
    assert "row 6 of 6, column 1 of 8" in caption.inner_text()
    assert page.evaluate("model.get('focus')[0]") >= 43
