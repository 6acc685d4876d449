"""The skip connections' widget: its passes against the model, its counts against unet_lib."""

import itertools
import zlib

import numpy as np
import pytest
import torch
import traitlets

from tests.course.widgets.conftest import CANVASES, scored
from unet_lib.course.widgets import SkipsWidget
from unet_lib.course.widgets.skips import GRAYS, run_with_skips
from unet_lib.model import UNet

SETTINGS = list(itertools.product((False, True), repeat=3))


@pytest.fixture(scope="module")
def images():
    return torch.rand(2, 1, 20, 27, generator=torch.Generator().manual_seed(0))


@pytest.fixture(scope="module")
def model(images):
    """Not trained, but its batch normalization has settled: no map vanishes."""
    torch.manual_seed(0)
    model = UNet(1, width=4, depth=3, norm="batch", dropout=0.5)
    with torch.no_grad():
        for _ in range(60):
            model(images)
        model.head.bias -= model.eval()(images).median()  # so that half of the pixels are found
    return model


@pytest.fixture(scope="module")
def batch(model, images):
    with torch.no_grad():
        logits = model.eval()(images)
    noise = torch.randn(logits.shape, generator=torch.Generator().manual_seed(0))
    return images, logits + 0.5 * logits.std() * noise > 0


@pytest.fixture
def widget(model, batch):
    return SkipsWidget(model, *batch, names=["first", "second"])


@pytest.mark.parametrize("kind", [{}, {"padding": "valid"}, {"upsampling": "bilinear"}])
def test_with_all_skips_it_is_the_model(kind):
    model = UNet(3, 2, width=2, depth=2, **kind).eval()
    images = torch.rand(1, 3, 44, 44)
    passage = run_with_skips(model, images, [True, True])
    assert torch.equal(passage.logits, model(images))
    assert [x.shape[1] for x in (*passage.encoder, *passage.decoder)] == [2, 4, 2, 4]


@pytest.mark.parametrize("cut", [0, 1, 2])
def test_a_skip_that_is_off_carries_zeros(model, batch, cut):
    """Without the weights that read the skip, a decoder block does the same."""
    images, _ = batch
    skips = [k != cut for k in range(3)]
    found = run_with_skips(model.eval(), images, skips).logits
    convolution = model.decoder[2 - cut][0]
    weights = convolution.weight.detach().clone()
    with torch.no_grad():
        convolution.weight[:, weights.shape[1] // 2 :] = 0
        expected = model(images)
        convolution.weight.copy_(weights)
    assert torch.allclose(found, expected, atol=1e-6)
    assert not torch.allclose(found, model(images), atol=1e-3)


def test_the_model_stays_as_it_was(model, batch):
    before = {name: value.clone() for name, value in model.state_dict().items()}
    model.train()
    random = torch.get_rng_state()
    SkipsWidget(model, *batch)
    assert model.training
    assert torch.equal(torch.get_rng_state(), random)
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())


def test_scores_agree_with_metrics(model, batch, widget, evaluate):
    images, targets = batch
    data = [list(zlib.decompress(x[1])) for x in (widget.levels, widget.targets)]
    expression = """data.settings.map((skips) => {
        const levels = part(new Uint8Array(data.levels), variant(skips, 0), 540);
        const count = countErrors(levels, data.bits, HALF);
        return { ...count, dice: diceOf(count) };
    })"""
    data = {"settings": SETTINGS, "levels": data[0], "bits": data[1]}
    found = evaluate("skips", expression, data)
    scores = set()
    for skips, javascript in zip(SETTINGS, found, strict=True):
        logits = run_with_skips(model.eval(), images, skips).logits
        expected = scored(logits[1:] > 0, targets[1:])
        assert javascript == {name: expected[name] for name in javascript}
        scores.add(round(javascript["dice"], 4))
    assert len(scores) > 4, "the settings differ"


def test_features_are_those_of_the_setting(model, batch, widget):
    images, _ = batch
    with torch.no_grad():
        whole = run_with_skips(model.eval(), images, [True] * 3)
        for skips in SETTINGS:
            passage = run_with_skips(model, images, skips)
            setting = sum(on << k for k, on in enumerate(skips))
            for stage in range(3):
                chosen = whole.decoder[stage].var((0, 2, 3)).topk(2).indices
                stored = np.frombuffer(zlib.decompress(widget.decoder[stage]), np.uint8)
                shown = stored.reshape(-1, 2, *widget.sizes[stage])[setting >> stage]
                for true, gray in zip(passage.decoder[stage][0, chosen], shown, strict=True):
                    below = gray < GRAYS
                    relation = np.corrcoef(true.numpy()[below], gray[below])[0, 1]
                    assert relation > 0.98, (skips, stage)


def test_variants_depend_on_the_own_skip_and_those_below(evaluate):
    expression = "data.map((skips) => [0, 1, 2].map((k) => variant(skips, k)))"
    found = evaluate("skips", expression, SETTINGS)
    for skips, indices in zip(SETTINGS, found, strict=True):
        setting = sum(on << k for k, on in enumerate(skips))
        assert indices == [setting, setting >> 1, setting >> 2]


@pytest.mark.parametrize(
    ("skips", "text"),
    [
        ([True] * 3, "With all skips on, the Dice of it is 0.900."),
        ([True, False, True], "With skip 2 off, the Dice of it is 0.750 instead of 0.900: "),
        ([False, False, True], "With skips 1 and 2 off, the Dice of it is 0.750 instead"),
        ([False] * 3, "0.900: 5 pixels missed instead of 1, 1 pixels wrong instead of 1."),
    ],
)
def test_sentences(evaluate, skips, text):
    data = [skips, {"tp": 9, "fp": 1, "fn": 5}, {"tp": 9, "fp": 1, "fn": 1}]
    assert text in evaluate("skips", 'comparison("it", ...data)', data)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"images": torch.rand(3, 1, 20, 27)}, "as many probabilities .* got 3, 2, 3, 3"),
        ({"images": torch.rand(0, 1, 20, 27)}, "at least one of each, got 0, 2, 0, 0"),
        ({"targets": torch.full((2, 20, 27), 255)}, r"picture 1: expected a target of 0 and 1"),
        ({"maps": 5}, "1 to 4 maps a stage, as many as the largest stage has channels, got 5"),
        ({"maps": 0}, "got 0"),
        ({"skips": [True, True]}, "3 switches, one a stage, got 2"),
    ],
)
def test_faults_are_named(model, batch, arguments, message):
    images, targets = batch
    with pytest.raises((ValueError, traitlets.TraitError), match=message):
        SkipsWidget(**{"model": model, "images": images, "targets": targets} | arguments)


def test_switches_as_many_as_stages(model, batch):
    with pytest.raises(ValueError, match="expected 3 switches, one a stage of the network, got 2"):
        run_with_skips(model, batch[0], [True, False])


def test_by_keyboard(mount, widget):
    page = mount(widget)
    text = page.locator("output")
    before = page.evaluate(CANVASES)
    assert "With all skips on, the Dice of first is" in text.inner_text()
    page.get_by_label("skip 2").press("Space")
    assert "With skip 2 off, the Dice of first is" in text.inner_text()
    assert page.evaluate("[model.get('skips'), model.saved]") == [[True, False, True], 1]
    changed = [a != b for a, b in zip(before, page.evaluate(CANVASES), strict=True)]
    encoder, decoder = [False, False], [True, True]
    assert changed == [True, *encoder, *decoder, *encoder, *decoder, *encoder, *encoder]
    assert page.evaluate("getComputedStyle(document.activeElement).opacity") == "0"
    outline = "getComputedStyle(document.activeElement.nextElementSibling).outlineStyle"
    assert page.evaluate(outline) == "solid"
    label = page.locator("[data-part=encoder]").nth(1).get_attribute("aria-label")
    assert label == "2 feature maps of the encoder's stage 2, 10 by 14 pixels, cut off"
    page.locator("select").select_option("second")
    assert "the Dice of second is" in text.inner_text()
    page.get_by_label("mask").check()
    assert page.evaluate("[model.get('view'), model.saved]") == ["mask", 3]
    assert all(x.bounding_box()["height"] >= 36 for x in page.locator("label.uw-switch").all())
