"""The gallery: its scores against the metrics, its order in Node, its use in a browser."""

import json
import math

import numpy as np
import pytest
import torch
import traitlets

from tests.course.widgets.conftest import FOCUS, decoded
from unet_lib.course.widgets import GalleryWidget
from unet_lib.evaluation import metrics

SIZE = (11, 14)
COUNT = 9


def pictures() -> tuple[list, list, list]:
    """Nine pictures; in the last two there is nothing to find, and in the last nothing is found."""
    rng = np.random.default_rng(0)
    probability = [rng.random(SIZE).astype(np.float32) for _ in range(COUNT)]
    target = [rng.random(SIZE) < share for share in np.linspace(0.1, 0.8, COUNT)]
    probability[3], target[3] = probability[1], target[1]  # a tie
    target[-2:] = [np.zeros(SIZE, bool)] * 2
    probability[-1] = np.full(SIZE, 0.2, np.float32)
    return probability, target, [rng.normal(size=SIZE) for _ in range(COUNT)]


@pytest.fixture
def widget() -> GalleryWidget:
    extra = {"count error": [0, -2, 3, -2, 0, 1, 0, 4, 0], "AP": [0.5] * 8 + [math.nan]}
    return GalleryWidget(*pictures(), extra)


def test_scores_are_those_of_the_library(widget):
    for i, (probability, target, _) in enumerate(zip(*pictures(), strict=True)):
        found, truth = torch.from_numpy(probability > 0.5), torch.from_numpy(target)
        counts = metrics.count_pixels(found[None], truth[None])
        assert widget.counts[i] == [counts.tp.item(), counts.fp.item(), counts.fn.item()]
        for name in ("Dice", "IoU", "precision", "recall"):
            expected = getattr(metrics, name.lower())(counts, empty=math.nan).item()
            stored = widget.table[name][i]
            assert stored == (None if math.isnan(expected) else pytest.approx(expected))
    assert [widget.table[name][-1] for name in ("Dice", "precision", "AP")] == [None] * 3
    assert [widget.table[name][-2] for name in ("Dice", "precision")] == [0, 0]


def test_pictures_are_stored_exactly_or_nearly(widget):
    probability, target, image = pictures()
    for i in range(COUNT):
        found = probability[i] > 0.5
        assert np.array_equal(decoded(widget.errors[i]), target[i] + 2 * found)
        assert abs(decoded(widget.probabilities[i]) / 15 - probability[i]).max() < 0.034
        shown = decoded(widget.images[i])[..., 0].astype(float)
        assert np.corrcoef(shown.ravel(), image[i].ravel())[0, 1] > 0.7, "lossy, noise is hardest"


@pytest.mark.parametrize("order", ["lowest first", "highest first"])
def test_javascript_sorts_as_python(evaluate, widget, order):
    widget.order = order
    columns, high = list(widget.table.values()), order == "highest first"
    found = evaluate("gallery", "data[0].map((x) => ranking(x, data[1]))", [columns, high])
    for metric, numbers in zip(widget.table, found, strict=True):
        widget.metric = metric
        assert numbers == widget.ranking()


def test_ties_keep_their_order_and_nan_comes_last(widget):
    widget.metric = "count error"
    assert widget.ranking() == [1, 3, 0, 4, 6, 8, 5, 2, 7]
    widget.order = "highest first"
    assert widget.ranking() == [7, 2, 5, 0, 4, 6, 8, 1, 3]
    widget.metric = "Dice"
    assert widget.ranking()[-1] == 8


def test_keys_lead_through_the_grid(evaluate):
    moves = {"Right": {0: 1, 8: 8}, "Left": {0: 0}, "Down": {2: 6, 7: 7}, "Up": {6: 2, 3: 3}}
    cases = [(f"Arrow{key}", *pair) for key in moves for pair in moves[key].items()]
    cases += [("Home", 5, 0), ("End", 5, 8), ("a", 5, 5)]
    found = evaluate("gallery", "data.map(([key, place]) => step(key, place, 4, 9))", cases)
    assert found == [to for _, _, to in cases]


def test_numbers_are_written_by_their_kind(evaluate):
    columns = [[0.123, 1, None], [0, -2, 1], [1, 0, 1], [None]]
    found = evaluate("gallery", "data.map((column) => column.map(writer(column)))", columns)
    assert found == [["0.12", "1.00", "none"], ["0", "-2", "1"], ["1.00", "0.00", "1.00"], ["none"]]


def test_state(widget):
    assert repr(widget) == "GalleryWidget(9 images; Dice, lowest first)"
    assert widget.chosen == widget.ranking()[0] == 7
    assert json.dumps(widget.table, allow_nan=False)
    assert GalleryWidget(*pictures(), names=[*"abcdefghi"], chosen=2, threshold=0.7).chosen == 2


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"target": []}, "as many probabilities as targets, images and names, .* got 9, 0, 9, 9"),
        ({"names": ["a"]}, "got 9, 9, 9, 1"),
        ({"probability": [np.full(SIZE, 3.0)] * 9}, "no. 0: expected probabilities in .* got 3"),
        ({"threshold": 2.0}, "expected a threshold from 0 to 1, got 2.0"),
        ({"scores": {"AP": [1.0]}}, "score 'AP': expected 9 values, one a picture, got 1"),
        ({"scores": {"Dice": [1.0] * 9}}, "'Dice' is computed already; give yours another name"),
        ({"scores": {"AP": [math.inf] * 9}}, "'AP' holds infinite values; give nan"),
        ({"metric": "F2"}, r"metric: expected one of \['Dice', 'IoU', 'precision', 'recall'\]"),
        ({"chosen": 9}, "chosen counts from 0 and there are 9, got 9"),
        ({"order": "worst"}, "order"),
    ],
)
def test_faults_are_named(change, message):
    data = dict(zip(("probability", "target", "image"), pictures(), strict=True))
    with pytest.raises((ValueError, traitlets.TraitError), match=message):
        GalleryWidget(**(data | change))


def test_by_keyboard_and_click(mount, widget):
    page = mount(widget)
    text, thumbs = page.locator("output"), page.locator(".uw-thumbs button")
    assert text.inner_text().startswith("no. 7 is number 1 of 9: Dice 0.00, 0 pixels right")
    assert "1 without a Dice (nothing to find, nothing found) stand last." in text.inner_text()
    names = "[...document.querySelectorAll('.uw-thumbs button')].map((e) => +e.value)"
    assert page.evaluate(names) == widget.ranking()
    options = page.locator("option").all_inner_texts()
    assert options == ["Dice", "IoU", "precision", "recall", "count error", "AP"]
    page.get_by_label("Sort by").select_option("count error")
    assert page.evaluate(names) == [1, 3, 0, 4, 6, 8, 5, 2, 7]
    assert "no. 1 is number 1 of 9: count error -2" in text.inner_text()
    page.get_by_label("highest first").check()
    assert page.evaluate(names) == [7, 2, 5, 0, 4, 6, 8, 1, 3]
    thumbs.first.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    assert page.evaluate("model.get('chosen')") == 7, "moving alone does not choose"
    page.keyboard.press("Enter")
    assert page.evaluate("model.get('chosen')") == 5
    assert "no. 5 is number 3 of 9: count error 1" in text.inner_text()
    assert thumbs.nth(2).get_attribute("aria-pressed") == "true"
    assert page.evaluate(FOCUS) == "solid"
    large = page.locator(".uw-large")
    assert large.locator(".uw-image").get_attribute("src") == widget.images[5]
    assert large.locator(".uw-errors").is_visible()
    page.get_by_label("probability").check()
    assert large.locator(".uw-probability").is_visible()
    assert not large.locator(".uw-errors").is_visible()
    assert large.get_attribute("aria-label").startswith("View: probability. no. 5")
    thumbs.nth(8).click()
    row = page.locator("tbody tr").first.inner_text().split()
    assert row == ["Dice", f"{widget.table['Dice'][3]:.2f}"]
    assert page.evaluate("model.get('chosen')") == 3
