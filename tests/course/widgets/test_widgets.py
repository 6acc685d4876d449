"""The widgets: their arithmetic in Node against unet_lib, their behavior in a browser."""

import itertools
import json
import zlib

import numpy as np
import pytest
import torch
import traitlets

from tests.course.widgets.conftest import CANVASES, FOCUS, scored
from unet_lib.course.widgets import ArithmeticWidget, ThresholdWidget
from unet_lib.evaluation import metrics
from unet_lib.model import receptive_field, trace_sizes

SETTINGS = [
    {"depth": d, "padding": p, "kernel": k, "convolutions": c, "upsampling": u}
    for d, p, k, c, u in itertools.product(
        (1, 2, 3, 4, 5), ("valid", "same"), (3, 5), (1, 2, 3), ("transposed", "bilinear")
    )
]
ZEROS = np.zeros((2, 2))
SIZES = [*range(8, 200, 3), 388, 556, 570, 571, 572, 573, 588, *range(700, 1200, 41)]


def without_upsampling(settings: dict) -> dict:
    return {key: value for key, value in settings.items() if key != "upsampling"}


class TestArithmetic:
    def test_sizes_agree_with_python(self, evaluate):
        cases = [{**s, "size": n} for s in SETTINGS[::2] for n in SIZES]
        found = evaluate("arithmetic", "data.map(trace)", cases)
        for case, javascript in zip(cases, found, strict=True):
            python = trace_sizes(**without_upsampling(case))
            assert javascript == json.loads(json.dumps(python._asdict())), case

    def test_receptive_fields_agree_with_python(self, evaluate):
        found = evaluate("arithmetic", "data.map(receptiveField)", SETTINGS)
        keys = ("depth", "convolutions", "kernel", "upsampling")
        assert found == [receptive_field(**{key: s[key] for key in keys}) for s in SETTINGS]

    def test_neighbors_are_the_nearest_that_fit(self, evaluate):
        cases = [{**s, "size": n} for s in SETTINGS[::2] for n in SIZES[::9]]
        found = evaluate("arithmetic", "data.map(neighbors)", cases)
        for case, near in zip(cases, found, strict=True):
            options = without_upsampling(case)
            size = options.pop("size")

            def fits(n, options=options):
                divides = options["padding"] == "valid" or n % 2 ** options["depth"] == 0
                return divides and not trace_sizes(n, **options).problem

            below = next((n for n in range(size - 1, 0, -1) if fits(n)), 0)
            above = next((n for n in range(size + 1, 1201) if fits(n)), 0)
            assert near == {"below": below, "above": above}, case

    @pytest.mark.parametrize("size", [16, 37, 100, 571])
    def test_plain_network_fails_as_said(self, evaluate, size):
        sizes = [size // 2**stage for stage in range(5)]
        wrong = [stage for stage in range(4) if 2 * sizes[stage + 1] != sizes[stage]]
        found = evaluate("arithmetic", "plainFailure(data)", {"size": size, "depth": 4})
        if wrong:  # the deepest comes first
            skip = sizes[wrong[-1]]
            assert found == {"stage": wrong[-1] + 1, "upsampled": skip - 1, "skip": skip}
        else:
            assert found is None

    @pytest.mark.parametrize(
        ("size", "padding", "expected"),
        [
            (572, "valid", "572 gives 388: the outer 92 pixels on each side are context only."),
            (570, "valid", "570 is not admissible: stage 2 ends at 279, an odd number"),
            (140, "valid", "admissible: stage 4 starts at 2, and its convolutions cost 4"),
            (12, "same", "12 is not admissible: 12 is smaller than 16, the least that 4 pool"),
            (570, "same", "A plain network fails: its stage 4 would join 70 pixels with 71."),
            (576, "same", "576 gives 576, and it divides by 16: a plain network takes it as well."),
        ],
    )
    def test_messages(self, evaluate, size, padding, expected):
        case = {**SETTINGS[0], "depth": 4, "convolutions": 2, "size": size, "padding": padding}
        assert expected in evaluate("arithmetic", "message(data)", case)

    @pytest.mark.parametrize("wrong", [{"depth": 6}, {"kernel": 4}, {"padding": "reflect"}])
    def test_values_out_of_range_are_refused(self, wrong):
        with pytest.raises(traitlets.TraitError, match=next(iter(wrong))):
            ArithmeticWidget(**wrong)


def pictures(dtype: type = np.float32) -> tuple[list, list, list]:
    """Probabilities, targets and images: usual, empty, and exactly on the thresholds."""
    rng = np.random.default_rng(0)
    on_grid = (np.arange(101) / 100).reshape(1, 101).astype(dtype)
    probabilities = [rng.random((9, 7)).astype(dtype), np.zeros((3, 3), dtype), on_grid]
    targets = [rng.random((9, 7)) < 0.4, np.zeros((3, 3), bool), on_grid > 0.3]
    images = [rng.normal(size=p.shape) for p in probabilities]
    return probabilities, targets, images


def stored(widget: ThresholdWidget) -> list:
    """Levels and bits of each picture, as the browser unpacks them."""
    pairs = zip(widget.levels, widget.targets, strict=True)
    return [[list(zlib.decompress(x)) for x in pair] for pair in pairs]


@pytest.fixture
def widget() -> ThresholdWidget:
    return ThresholdWidget(*pictures(), names=["usual", "empty", "grid"], threshold=0.3)


class TestThreshold:
    @pytest.mark.parametrize("dtype", [np.float32, np.float64])
    def test_counts_and_scores_agree_with_metrics(self, evaluate, dtype):
        probabilities, targets, images = pictures(dtype)
        widget = ThresholdWidget(probabilities, targets, images)
        data = stored(widget)
        expression = """data.map(([levels, bits]) => countPixels(levels, bits))
            .map((counts) => counts.map((count) => ({ ...count, ...scores(count) })))"""
        found = evaluate("threshold", expression, data)
        for i, (probability, target) in enumerate(zip(probabilities, targets, strict=True)):
            for j, javascript in enumerate(found[i]):
                prediction = torch.from_numpy(probability > (j + 1) / 100)[None]
                assert javascript == scored(prediction, torch.from_numpy(target)[None])

    def test_pooled_and_mean_agree_with_metrics(self, evaluate, widget):
        probabilities, targets, _ = pictures()
        expression = "together(data.map(([levels, bits]) => countPixels(levels, bits)[29]))"
        found = evaluate("threshold", expression, stored(widget))
        counts = [
            metrics.count_pixels(torch.from_numpy(p > 0.3)[None], torch.from_numpy(t)[None])
            for p, t in zip(probabilities, targets, strict=True)
        ]
        counts = metrics.Counts(*(torch.cat(c) for c in zip(*counts, strict=True)))
        for pooling, name in (("set", "pooled"), ("image", "mean")):
            for score in ("precision", "recall", "dice", "iou"):
                expected = getattr(metrics, score)(counts, pooling).item()
                assert found[name][score] == pytest.approx(expected)

    def test_a_picture_that_is_not_there_is_refused(self, widget):
        with pytest.raises(traitlets.TraitError, match="counts from 0 and there are 3, got 3"):
            widget.picture = 3

    @pytest.mark.parametrize(
        ("probability", "target", "image", "message"),
        [
            (ZEROS, np.zeros((2, 3)), ZEROS, r"one shape \(H, W\), got"),
            (np.zeros(2), np.zeros(2), np.zeros(2), r"one shape \(H, W\), got \(2,\)"),
            (*3 * [np.zeros((0, 0))], r"one shape \(H, W\), got \(0, 0\)"),
            (3 * ZEROS + 3, ZEROS, ZEROS, "got 3 to 3; pass torch.sig"),
            (ZEROS * np.nan, ZEROS, ZEROS, "got nan to nan"),
            (ZEROS, ZEROS + 255, ZEROS, r"\[255.0\]; pass labels > 0"),
            (ZEROS, ZEROS, ZEROS + np.inf, "not finite"),
            ([ZEROS], [], [], "at least one of each, got 1, 0, 0, 0"),
        ],
    )
    def test_faults_are_named(self, probability, target, image, message):
        with pytest.raises(ValueError, match=message):
            ThresholdWidget(probability, target, image)


class TestInTheBrowser:
    def test_arithmetic_by_keyboard_and_button(self, mount):
        page = mount(ArithmeticWidget())
        text = page.locator("output")
        page.wait_for_function("document.querySelector('output').textContent.includes('388')")
        page.get_by_label("Input size", exact=True).press("ArrowRight")
        assert "573 is not admissible: stage 1 ends at 569" in text.inner_text()
        assert page.evaluate("[model.get('size'), model.saved]") == [573, 1]
        page.get_by_role("button", name="Next size, admissible: 588").click()
        assert "588 gives 404" in text.inner_text()
        page.get_by_label("same").check()
        page.get_by_label("Input size, typed").fill("570")
        assert "stage 4 would join 70 pixels with 71" in text.inner_text()
        page.get_by_label("Input size, typed").fill("3")
        page.keyboard.press("Tab")
        assert page.get_by_label("Input size, typed").input_value() == "570"
        assert "Receptive field 204" in page.locator("[data-part=legend]").inner_text()
        assert page.evaluate(FOCUS) == "solid"

    def test_threshold_by_keyboard(self, mount, widget):
        page = mount(widget)
        text = page.locator("output")
        assert "At threshold 0.30 the Dice of usual is" in text.inner_text()
        assert len(page.locator("tbody tr").all()) == 3
        before = page.evaluate(CANVASES)
        page.locator("select").select_option("grid")
        assert "Dice of grid is 1.000: 70 pixels right, 0 wrong, 0 missed" in text.inner_text()
        page.get_by_label("Threshold", exact=True).press("ArrowLeft")
        assert "threshold 0.29" in text.inner_text()
        assert "1 wrong" in text.inner_text()
        page.keyboard.press("End")
        assert "threshold 0.99" in text.inner_text()
        page.get_by_label("probability").check()
        assert page.evaluate("[model.get('view'), model.saved]") == ["probability", 4]
        assert page.evaluate(CANVASES) != before
