"""The gathering widget: its decoder in Node against unet_lib.evaluation, and in a browser."""

import itertools
import zlib
from datetime import datetime, timedelta

import numpy as np
import pytest
import torch
import traitlets
from scipy import ndimage

from tests.course.widgets.conftest import FOCUS, traits
from unet_lib.course.widgets import GatheringWidget
from unet_lib.course.widgets.gathering import GRAIN, true_logits
from unet_lib.data import simulate_nuclei
from unet_lib.data.targets import OFFSET_UNIT
from unet_lib.evaluation import decode_offsets, match_instances

SMOOTHING = (0.5, 1.0, 1.75, 3.0, 5.0)
NOISE = (0.0, 1.0, 2.25, 4.0, 8.0)
EXPRESSION = """data.map((stored) => {
  const typed = { ...stored, places: placesOf(stored.inside, stored.size),
    weights: Float32Array.from(stored.weights), offsets: Float32Array.from(stored.offsets) };
  const landed = landing(typed);
  const { votes, centers, heaps } = decode({ ...typed, landed });
  return { landed, votes: [...votes], centers, heaps };
})"""
TYPES = {"inside": "u1", "weights": "<f4", "offsets": "<f4", "grain": "<i2", "labels": "<u2"}


def unpacked(widget: GatheringWidget) -> dict:
    """Return the arrays that a widget stores."""
    stored = {name: zlib.decompress(getattr(widget, name)) for name in TYPES}
    return {name: np.frombuffer(stored[name], kind) for name, kind in TYPES.items()}


def nuclei(index: int, size=(45, 70)) -> tuple[np.ndarray, np.ndarray, torch.Tensor]:
    """Return an image, its labels, and logits as of a network that is often wrong."""
    image, labels = simulate_nuclei(13, index, size)
    rng = torch.Generator().manual_seed(index)
    maps = true_logits(labels).clamp(-4, 4)
    wrong = torch.randn(maps.shape, generator=rng) * torch.tensor([2, 1, 0.1, 0.1])[:, None, None]
    return image, labels, maps + wrong


def noisy(widget: GatheringWidget, logits: torch.Tensor) -> torch.Tensor:
    """Return the logits with the noise that the widget adds to its foreground."""
    stored, noisy = unpacked(widget), logits.clone()
    shifts = (widget.noise * stored["grain"] / (GRAIN * OFFSET_UNIT)).astype(np.float32)
    inside = np.unpackbits(stored["inside"])[: logits[0].numel()].reshape(logits.shape[1:])
    noisy[2:, torch.from_numpy(inside > 0)] += torch.from_numpy(shifts).view(2, -1)
    return noisy


def test_the_decoder_agrees_with_the_library(evaluate):
    cases = []
    for index in range(2):
        image, labels, logits = nuclei(index)
        answers = (logits, true_logits(labels), torch.full_like(logits, -9.0))
        for answer, smoothing, noise in itertools.product(answers, SMOOTHING, NOISE):
            state = {"smoothing": smoothing, "noise": noise}
            cases.append((GatheringWidget(image, labels, answer, **state), answer))
    data = [
        traits(widget) | {name: array.tolist() for name, array in unpacked(widget).items()}
        for widget, _ in cases
    ]
    data = [{name: x for name, x in each.items() if name != "image"} for each in data]
    counts = set()
    for (widget, answer), found in zip(cases, evaluate("gathering", EXPRESSION, data), strict=True):
        logits = noisy(widget, answer)
        inside = logits[0].sigmoid().numpy() > 0.5
        expected = decode_offsets(logits, smoothing=widget.smoothing)
        assert found["heaps"] == expected[inside].tolist()
        assert not expected[~inside].any()
        assert len(found["centers"]) == expected.max()
        counts.add(len(found["centers"]))
        landed = np.argwhere(inside) + OFFSET_UNIT * logits[2:].numpy()[:, inside].T
        assert np.array_equal(np.reshape(found["landed"], (2, -1)).T, landed)
    assert len(counts) > 10, "from none to many"


def test_votes_are_smoothed_as_by_scipy(evaluate):
    votes = np.random.default_rng(0).random((9, 30))
    data = {"votes": votes.ravel().tolist(), "size": votes.shape}
    for sigma in SMOOTHING:  # the widest reaches beyond the image, more than once
        found = evaluate("gathering", f"[...smooth(data.votes, data.size, {sigma})]", data)
        assert np.allclose(found, ndimage.gaussian_filter(votes, sigma).ravel(), atol=1e-12)


def test_owners_are_those_with_most_pixels(evaluate):
    """Nucleus 1 is broken, 2 and 3 share a heap, of 4 no pixel was found, one heap is nobody's."""
    heaps, truth = [1, 1, 1, 2, 2, 3, 3, 3, 4, 0], [1, 1, 1, 1, 1, 2, 2, 3, 0, 3]
    found = evaluate("gathering", "owners(data[0], data[1], 4, 4)", [heaps, truth])
    assert found == {"owner": [1, 5, 2, 6], "sharing": 1, "missed": 1, "spare": 2}


@pytest.mark.parametrize(
    ("numbers", "text"),
    [
        ((7, 7, 0, 0, 0), "7 heaps, 7 nuclei."),
        ((1, 1, 0, 0, 0), "1 heap, 1 nucleus."),
        ((0, 2, 0, 2, 0), "0 heaps, 2 nuclei: 2 nuclei have none."),
        (
            (3, 3, 1, 0, 1),
            "3 heaps, 3 nuclei: 1 nucleus shares the heap of another, 1 heap is too many (white).",
        ),
    ],
)
def test_sentences(evaluate, numbers, text):
    names = ("count", "nuclei", "sharing", "missed", "spare")
    assert evaluate("gathering", "summarize(data)", dict(zip(names, numbers, strict=True))) == text


@pytest.mark.parametrize("still", [False, True])
def test_a_play_goes_there_takes_color_and_comes_home(evaluate, still):
    found = evaluate("gathering", "stations(data)", still)
    ways, colors = zip(*found, strict=True)
    assert (found[0], found[-1]) == ([0, "none"], [0, "heaps"])
    turn = colors.index("heaps")
    assert ways[turn - 1] == ways[turn] == 1, "the color is taken at the heaps"
    assert list(ways[:turn]) == sorted(ways[:turn])
    assert list(ways[turn:]) == sorted(ways[turn:], reverse=True)
    assert set(colors[turn:]) == {"heaps"}
    assert (set(ways) == {0, 1}) == still


def test_the_example_is_small_and_has_a_lesson():
    """Noise breaks heaps, smoothing mends them, too much of it merges nuclei."""
    widget = GatheringWidget()
    stored = sum(len(x) for x in traits(widget).values() if isinstance(x, bytes))
    assert stored + len(str(widget._esm)) + len(str(widget._css)) < 60_000
    labels = unpacked(widget)["labels"].reshape(widget.size).astype(int)
    logits = true_logits(labels)
    counts = {}
    for widget.noise, smoothing in ((0, 1.0), (1, 1.0), (4, 1.0), (4, 3.0), (1, 5.0)):
        labels_found = decode_offsets(noisy(widget, logits), smoothing=smoothing)
        counts[widget.noise, smoothing] = int(labels_found.max())
    assert (widget.nuclei, counts.pop((1, 1.0)), counts.pop((0, 1.0))) == (7, 7, 7)
    assert counts[4, 1.0] > counts[4, 3.0] == 7 > counts[1, 5.0]
    assert match_instances(decode_offsets(logits), labels).max(axis=0).min() == 1


def test_labels_keep_their_order_whatever_their_numbers():
    labels = np.array([[0, 900, 900], [0, 40, 70000]])
    widget = GatheringWidget(labels, labels, seed=3)
    assert unpacked(widget)["labels"].tolist() == [0, 2, 2, 0, 1, 3]
    assert repr(widget) == "GatheringWidget(2x3, 3 nuclei; way=0.7, smoothing=1, noise=1)"
    network = GatheringWidget(labels, labels, true_logits(labels))
    assert network.noise == 0, "a network's offsets are shown as they are"


ONES = np.ones((4, 5), int)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"image": ONES}, "image and labels together, got no labels; pass it, too"),
        ({"logits": torch.zeros(4, 4, 5)}, "image and labels together, got no image"),
        ({"image": ONES, "labels": ONES[1:]}, r"one shape \(H, W\), got \(4, 5\), \(3, 5\)"),
        (
            {"image": ONES, "labels": ONES / 1},
            "whole numbers as labels, got float64; pass instances",
        ),
        (
            {"image": ONES, "labels": ONES, "logits": torch.zeros(1, 4, 4, 5)},
            r"expected logits \(4, 4, 5\) of the target `offsets`, got \(1, 4, 4, 5\); pass those",
        ),
        ({"way": 1.1}, "way"),
        ({"smoothing": 0.0}, "smoothing"),
        ({"noise": -1.0}, "noise"),
        ({"color": "red"}, "color"),
    ],
)
def test_faults_are_named(arguments, message):
    with pytest.raises((ValueError, traitlets.TraitError), match=message):
        GatheringWidget(**arguments)


PICTURES = """[...document.querySelectorAll(".uw-layers")].map((layers) =>
  [layers.querySelector("canvas").toDataURL(), layers.querySelector("svg").innerHTML])"""


def test_by_keyboard(mount):
    page = mount(GatheringWidget())
    text, parts = page.locator("output"), page.locator(".uw-layers")
    assert text.inner_text() == "7 heaps, 7 nuclei."
    assert page.locator("[data-part=votes] .uw-ring").count() == 7
    label = parts.first.get_attribute("aria-label")
    assert label.startswith("Foreground pixels, 70 % of the way to where their offsets point")
    pixels, votes = page.evaluate(PICTURES)
    way = page.get_by_label("Way", exact=True)
    way.press("ArrowRight")
    assert page.evaluate("[model.get('way'), model.saved]") == [0.71, 1]
    now = page.evaluate(PICTURES)
    assert now[0] != pixels
    assert now[1] == votes, "the votes do not depend on the way"
    page.get_by_label("true").check()
    assert page.evaluate("model.get('color')") == "true"
    page.get_by_label("none").check()
    assert page.locator("[data-part=pixels] .uw-ring").count() == 0
    page.get_by_label("Smoothing").press("End")
    assert "6 heaps, 7 nuclei: 1 nucleus shares the heap of another." in text.inner_text()
    assert "uw-problem" in page.locator(".unet-widget").get_attribute("class")
    assert page.evaluate(PICTURES)[1] != votes
    page.get_by_label("Smoothing").press("Home")
    page.get_by_label("Noise").press("End")
    assert page.get_by_label("Noise").get_attribute("aria-valuetext") == "8.00 px"
    assert page.evaluate("[model.get('smoothing'), model.get('noise')]") == [0.5, 8]
    assert page.evaluate(FOCUS) == "solid"


def test_a_network_without_foreground(mount):
    page = mount(GatheringWidget(ONES, ONES, torch.full((4, 4, 5), -9.0)))
    assert page.locator("output").inner_text() == "0 heaps, 1 nucleus: 1 nucleus has none."


def test_plays_pauses_and_ends(mount):
    page = mount(GatheringWidget())
    page.clock.install()
    page.clock.pause_at(datetime.now() + timedelta(minutes=1))
    button, now = page.locator("form button"), "[model.get('way'), model.get('color')]"
    page.clock.run_for(500)
    assert page.evaluate("model.saved") == 0, "nothing moves by itself"
    button.press("Enter")
    assert button.inner_text() == "Pause"
    page.clock.run_for(1000)
    way, color = page.evaluate(now)
    assert 0 < way < 1
    assert color == "none"
    button.click()
    page.clock.run_for(500)
    assert page.evaluate(now) == [way, color]
    button.click()
    page.clock.run_for(5000)
    assert button.inner_text() == "Play", "it stops at the end"
    assert page.evaluate(now) == [0, "heaps"]
    button.click()
    page.clock.run_for(200)
    page.get_by_label("Way", exact=True).press("End")
    assert button.inner_text() == "Play", "the slider ends the playing"
    page.emulate_media(reduced_motion="reduce")
    button.click()
    for _ in range(60):
        page.clock.run_for(105)
        assert page.evaluate("model.get('way')") in (0, 1), "no movement"
    assert page.evaluate(now) == [0, "heaps"]


def test_fits_a_phone_and_a_laptop(mount):
    page = mount(GatheringWidget())
    for width in (390, 706):  # 690 are left, as in the book at 1280
        page.set_viewport_size({"width": width, "height": 720})
        assert page.locator(".unet-widget").bounding_box()["height"] <= 720
    page.set_viewport_size({"width": 390, "height": 800})
