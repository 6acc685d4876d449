"""The convolution widget: its arithmetic in Node against torch, and its use in a browser."""

import itertools
import re
from datetime import datetime, timedelta

import numpy as np
import pytest
import torch
import torch.nn.functional as F
import traitlets

from tests.course.widgets.conftest import FOCUS, traits
from unet_lib.course.widgets import ConvolutionWidget
from unet_lib.course.widgets.convolution import SIZES, problem

EDGE = np.array([[-1, 0, 1]] * 3)
EXPRESSION = """data.map((settings) => {
  const now = present(settings);
  return { problem: problem(settings), steps: stepCount(settings), whole: now.whole,
    after: now.after, arithmetic: arithmetic(settings, now), message: message(settings, now) };
})"""


def all_widgets() -> list[ConvolutionWidget]:
    """Every operation, kernel size, stride, padding and view, on random numbers, at random steps.

    Grids of four shapes; settings that do not go together are left out.
    """
    rng, widgets = np.random.default_rng(0), []
    for operation, stride, padding, each, shape in itertools.product(
        SIZES, (1, 2, 3), ("valid", "same"), ("input", "output"), ((2, 2), (3, 4), (5, 5), (8, 6))
    ):
        for size in SIZES[operation]:
            grid, kernel = rng.integers(-9, 10, shape), rng.integers(-9, 10, (size, size))
            if not problem(operation, grid.tolist(), kernel.tolist(), stride, padding):
                state = {"stride": stride, "padding": padding, "each": each}
                state |= {"operation": operation, "divisor": int(rng.choice([1, 4, 9]))}
                widget = ConvolutionWidget(grid, kernel, **state)
                widget.step = int(rng.integers(min(grid.size, widget.output().size)))
                widgets.append(widget)
    return widgets


def written(widget: ConvolutionWidget) -> np.ndarray:
    """What torch has written after the present step, NaN where nothing is."""
    output = widget.output()
    if widget.operation != "transposed" or widget.each == "output":
        return np.where(np.arange(output.size).reshape(output.shape) <= widget.step, output, np.nan)
    grid, kernel = (torch.tensor([[x]]).double() for x in (widget.grid, widget.kernel))
    done = (torch.arange(grid.numel()) <= widget.step).view_as(grid).double()
    paint = F.conv_transpose2d(grid * done, kernel, stride=widget.stride) / widget.divisor
    wet = F.conv_transpose2d(done, torch.ones_like(kernel), stride=widget.stride) > 0
    return torch.where(wet, paint, torch.nan)[0, 0].numpy()


def results(arithmetic: str) -> list[float]:
    """The right sides of the equations of a step, each of which has to hold."""
    text = arithmetic.replace("·", "*").replace("−", "-")
    if text.startswith("no input reaches this cell"):
        return [0.0]
    many = text.count("=") + text.count("≈") > 1  # separated by commas and lines
    equations = re.split(r",\s|\n", text) if many else [text.replace("\n", "")]
    pairs = [re.split("[=≈]", equation) for equation in equations]
    for left, right in pairs:
        assert eval(left) == pytest.approx(float(right), abs=0.0101), arithmetic
    return [float(right) for _, right in pairs]


def test_javascript_agrees_with_torch(evaluate):
    widgets = all_widgets()
    assert len(widgets) > 150
    found = evaluate("convolution", EXPRESSION, [traits(widget) for widget in widgets])
    for widget, javascript in zip(widgets, found, strict=True):
        whole = np.array(javascript["whole"], float)  # null becomes NaN: no copy reaches the cell
        assert np.allclose(np.nan_to_num(whole), widget.output()), traits(widget)
        after = np.array(javascript["after"], float)
        assert np.allclose(after, written(widget), equal_nan=True), traits(widget)
        shown = results(javascript["arithmetic"])
        if widget.operation != "transposed" or widget.each == "output":
            assert shown == pytest.approx([after.flat[widget.step]], abs=0.0051)
        else:
            assert len(shown) == np.size(widget.kernel)
            assert np.isclose(np.array(shown)[:, None], after.ravel(), atol=0.0051).any(1).all()
        assert javascript["problem"] == ""
        assert javascript["message"].startswith(f"Step {widget.step + 1} of {javascript['steps']}:")


def test_javascript_names_the_same_problems(evaluate):
    cases = [
        {"operation": operation, "kernel": np.ones((k, k), int).tolist(), "stride": stride}
        | {"grid": np.ones((n, n), int).tolist(), "padding": padding}
        for operation, k, stride, n, padding in itertools.product(
            SIZES, (1, 2, 3, 4, 5), (1, 2, 3), (2, 3, 4, 5, 8), ("valid", "same")
        )
    ]
    found = evaluate("convolution", "data.map(problem)", cases)
    assert found == [problem(**case) for case in cases]


def test_every_choice_leads_to_settings_that_go_together(evaluate):
    moves = [{"operation": name, "size": size} for name in SIZES for size in SIZES[name]]
    data = {"start": [traits(widget) for widget in all_widgets()], "moves": moves}
    expression = """data.start.flatMap((settings) => data.moves.map((move) =>
      problem(changed(settings, move)))).filter((text) => text)"""
    assert evaluate("convolution", expression, data) == []


def test_named_grids_and_kernels(evaluate):
    pairs = [[name, size] for name in SIZES for size in SIZES[name]]
    kernels = evaluate("convolution", "data.map((pair) => kernels(...pair))", pairs)
    for weights, divisor in (pair for each in kernels for pair in each.values()):
        array = np.array(weights)
        assert array.shape[0] == array.shape[1]
        assert np.abs(array).max() in range(1, 10)
        assert divisor == int(divisor)
    three = kernels[1]
    assert three["edge, left to right"] == [EDGE.tolist(), 1]
    assert three["edge, top to bottom"] == [EDGE.T.tolist(), 1]
    for name in ("average", "blur", "identity", "shift", "sharpen"):
        weights, divisor = three[name]
        assert np.sum(weights) == divisor, "an even picture stays as it is"
    grids = evaluate("convolution", "GRIDS", None)
    assert all(not problem("convolution", grid, [[1]]) for grid in grids.values())


def test_smooth_kernel_of_four_enlarges_bilinearly(evaluate):
    weights, divisor = evaluate("convolution", "kernels('transposed', 4).smooth", None)
    grid = np.array([[1, 2, 7], [3, 4, 0], [5, 9, 8]])
    state = {"operation": "transposed", "stride": 2, "divisor": divisor}
    widget = ConvolutionWidget(grid, np.array(weights), **state)
    picture = torch.tensor(grid)[None, None].double()
    expected = F.interpolate(picture, scale_factor=2, mode="bilinear")[0, 0].numpy()
    assert np.allclose(widget.output()[2:-2, 2:-2], expected[1:-1, 1:-1])


@pytest.mark.parametrize(
    ("state", "expected"),
    [
        ({}, "Size of the output: ⌊(5 − 3) / 1⌋ + 1 = 3."),
        ({"padding": "same"}, "Size of the output: ⌊(5 + 2 · 1 − 3) / 1⌋ + 1 = 5."),
        (
            {"operation": "max-pooling", "kernel": [[1, 1]] * 2, "stride": 2},
            "⌊(5 − 2) / 2⌋ + 1 = 2. The division leaves 1: that much of the input, at the end,",
        ),
        ({"operation": "transposed", "stride": 2}, "Size of the output: (5 − 1) · 2 + 3 = 11."),
        ({"grid": [[1] * 4] * 5}, "⌊(5 − 3) / 1⌋ + 1 = 3 and ⌊(4 − 3) / 1⌋ + 1 = 2."),
    ],
)
def test_rule_with_numbers_put_in(evaluate, state, expected):
    settings = traits(ConvolutionWidget(np.ones((5, 5)), 3)) | state
    assert expected in evaluate("convolution", "rule(data)", settings)


@pytest.mark.parametrize(
    ("grid", "kernel", "state", "message"),
    [
        (np.ones(3), 3, {}, r"whole numbers \(rows, columns\) as grid, got float64 \(3,\); round"),
        (np.eye(3) / 2, 3, {}, r"as grid, got float64 \(3, 3\); round them, or scale them"),
        (np.full((4, 4), np.inf), 3, {}, "whole numbers"),
        (np.full((4, 4), "a"), 3, {}, "whole numbers"),
        (np.ones((9, 9)), 3, {}, "grid has 2 to 8 rows and columns, got 9"),
        (np.ones((3, 1)), 3, {}, r"grid has 2 to 8 rows and columns, got 3 rows of \[1\]"),
        (np.full((2, 2), 10), 1, {}, r"from -9 to 9, got \[10, 10, 10, 10\]"),
        (np.ones((4, 4)), 2, {}, "convolution takes kernels of 1, 3, 5, got 2"),
        (np.ones((4, 4)), np.ones((1, 3)), {}, r"kernels of 1, 3, 5, got 1 rows of \[3\]"),
        (np.ones((4, 4)), 5, {}, "a kernel of 5 does not fit into a grid of 4"),
        (np.ones((8, 8)), 3, {"operation": "transposed", "stride": 2}, "of 17 has no room, 10 is"),
        (np.ones((3, 3)), 3, {"stride": 4}, "stride"),
        (np.ones((3, 3)), 3, {"padding": "reflect"}, "padding"),
    ],
)
def test_faults_are_named(grid, kernel, state, message):
    with pytest.raises((ValueError, traitlets.TraitError), match=message):
        ConvolutionWidget(grid, kernel, **state)


def test_convolution_by_keyboard_and_pointer(mount):
    grid = np.array([[1, 1, 5, 5], [1, 1, 5, 5], [1, 1, 5, 5], [1, 5, 5, 5]])
    page = mount(ConvolutionWidget(grid, EDGE))
    text, total = page.locator("output"), page.locator(".uw-sum")
    assert text.inner_text() == "Step 1 of 4: output row 1, column 1 is 12."
    page.get_by_role("button", name="Last").press("Enter")
    assert text.inner_text() == "Step 4 of 4: output row 2, column 2 is 8."
    assert total.inner_text().splitlines()[-1] == "5·(−1) + 5·0 + 5·1 = 8"
    page.get_by_label("Step", exact=True).press("Home")
    assert page.get_by_label("output, row 2, column 2: not yet").is_visible()
    page.get_by_label("output, row 1, column 2").click()
    assert page.evaluate("model.get('step')") == 1
    page.keyboard.press("ArrowDown")
    assert page.get_by_label("output, row 2, column 2: 8").is_visible()
    page.get_by_label("kernel, row 1, column 1", exact=True).click()
    page.keyboard.type("-9")
    assert page.evaluate("model.get('kernel')")[0] == [-9, 0, 1]
    assert page.locator("select[name=weights]").input_value() == "own numbers"
    page.keyboard.press("ArrowRight")
    page.keyboard.type("x")
    page.keyboard.press("Tab")
    assert page.get_by_label("kernel, row 1, column 2", exact=True).input_value() == "0"
    page.locator("select[name=weights]").select_option("average")
    assert "/ 9 ≈ " in total.inner_text()
    page.get_by_label("same").check()
    assert "⌊(4 + 2 · 1 − 3) / 1⌋ + 1 = 4" in page.locator(".uw-rule").inner_text()
    page.locator("select[name=start]").select_option("a nucleus")
    page.locator("[name=size][value='5']").check()
    assert page.locator("[data-part=input] .uw-zero").count() == 12 * 12 - 64
    assert page.locator("[name=size][value='4']").is_hidden()


def test_pooling_and_transposed_in_the_browser(mount):
    squares = np.array([[1, 3, 2, 0], [4, 2, 1, 1], [0, 0, 5, 6], [0, 1, 7, 8]])
    page = mount(ConvolutionWidget(squares, 2, operation="max-pooling", stride=2))
    text = page.locator("output")
    assert "output row 1, column 1 is 4, the largest of 4 numbers." in text.inner_text()
    assert page.locator(".uw-winner input").input_value() == "4"
    assert page.locator("figure[data-part=kernel]").is_hidden()
    page.get_by_label("transposed").check()
    assert page.evaluate("[model.get('stride'), model.get('kernel').length]") == [2, 2]
    page.locator("select[name=start]").select_option("constant")
    page.locator("[name=size][value='3']").check()
    page.get_by_role("button", name="Next").click()
    assert "3 of the 9 cells hold paint already: it adds up." in text.inner_text()
    assert page.locator(".uw-sum").inner_text().startswith("1 + 1·1 = 2, 1·1 = 1, 1·1 = 1")
    page.get_by_role("button", name="Last").click()
    rows = page.locator("figure[data-part=output] button").all_inner_texts()
    assert rows[14:21] == ["2", "2", "4", "2", "4", "2", "2"]
    page.get_by_label("output, row 3, column 3: 4").click()
    assert "collects from 4 input cells: 4." in text.inner_text()
    assert page.evaluate("[model.get('each'), model.get('step')]") == ["output", 16]
    page.get_by_role("group", name="A step for each").get_by_label("input").check()
    assert page.evaluate("model.get('step')") == 0
    page.keyboard.press("Tab")
    assert page.evaluate(FOCUS) == "solid"


def test_plays_stops_at_the_end_and_on_a_second_press(mount):
    page = mount(ConvolutionWidget(np.ones((4, 4)), 3))
    page.emulate_media(reduced_motion="reduce")
    page.clock.install()
    page.clock.pause_at(datetime.now() + timedelta(minutes=1))
    step, button = "model.get('step')", page.locator(".uw-play")
    page.clock.run_for(9000)
    assert page.evaluate(step) == 0, "nothing moves by itself"
    button.click()
    page.clock.run_for(2000)
    assert page.evaluate(step) == 0, "slower for whom movement disturbs"
    page.clock.run_for(200)
    assert page.evaluate(step) == 1
    button.click()
    page.emulate_media(reduced_motion="no-preference")
    page.clock.run_for(9000)
    assert (page.evaluate(step), button.inner_text()) == (1, "Play")
    button.press("Enter")
    assert button.inner_text() == "Pause"
    assert page.locator("output").get_attribute("aria-live") == "off"
    page.clock.run_for(1500)
    assert (page.evaluate(step), button.inner_text()) == (3, "Play"), "it stops at the end"
    assert page.get_by_label("output, row 2, column 2: 9").is_visible()
    button.click()
    assert page.evaluate(step) == 0, "from the end it begins anew"
    page.clock.run_for(800)
    page.get_by_role("button", name="Next").click()
    assert (page.evaluate(step), button.inner_text()) == (2, "Play"), "a step by hand ends it"
    button.click()
    page.get_by_label("same").check()
    assert button.inner_text() == "Play", "so does another setting"
    button.click()
    page.evaluate("window.dispose()")
    assert button.inner_text() == "Play"


@pytest.mark.parametrize(
    ("grid", "state"),
    [
        (np.ones((8, 8)), {"kernel": 5, "padding": "same"}),
        (np.ones((8, 8)), {"kernel": 3, "operation": "max-pooling", "stride": 3}),
        (np.ones((3, 3)), {"kernel": 4, "operation": "transposed", "stride": 3, "step": 8}),
    ],
)
def test_large_grids_fit_a_laptop_with_smaller_cells(mount, grid, state):
    page = mount(ConvolutionWidget(grid, **state))
    page.set_viewport_size({"width": 706, "height": 720})  # 690 are left, as in the book at 1280
    widget, cells = page.locator(".unet-widget"), page.locator(".uw-lattice button")
    assert widget.bounding_box()["height"] <= 720
    assert all(cell.bounding_box()["width"] >= 20 for cell in cells.all())
    page.set_viewport_size({"width": 390, "height": 800})
