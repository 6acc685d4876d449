"""What all widgets refuse, what they warn about, and how all of them begin."""

import numpy as np
import pytest
import traitlets

from tests.course.widgets.conftest import ROOT
from unet_lib.course import widgets
from unet_lib.course.widgets.base import style
from unet_lib.plots import PALETTE

PARTS = ("encoder", "decoder", "bottleneck")


def test_a_misspelled_trait_is_named_with_those_there_are() -> None:
    with pytest.raises(traitlets.TraitError, match="ThresholdWidget has no treshold; it has im"):
        widgets.ThresholdWidget(*3 * [np.eye(4)], treshold=0.7)


def test_a_heavy_widget_warns() -> None:
    large = np.random.default_rng(0).random((800, 800))  # noise: nothing to compress
    with pytest.warns(UserWarning, match=r"ThresholdWidget stores 1\.\d MB in the notebook"):
        widgets.ThresholdWidget(large, large > 0.5, large)


@pytest.mark.parametrize("part", PARTS)
def test_a_part_of_the_network_has_one_color_everywhere(part: str) -> None:
    color = PALETTE[part].lower()
    assert f"--uw-{part}: {color};" in style("arithmetic")
    assert f'fill="{color}"' in (ROOT / "book" / "_static" / "unet.svg").read_text("utf-8")


def test_the_sizes_are_drawn_in_these_colors(mount) -> None:
    page = mount(widgets.ArithmeticWidget())
    page.wait_for_function("document.querySelector('output').textContent.includes('388')")
    for kind, part in zip(("encoder", "decoder", "bottom"), PARTS, strict=True):
        bar = page.locator(f"svg rect.uw-{kind}").first
        theme = page.locator(".unet-widget")
        theme.evaluate("(e, name) => { e.style.color = `var(--uw-${name})`; }", part)
        wanted = theme.evaluate("e => getComputedStyle(e).color")
        assert bar.evaluate("bar => getComputedStyle(bar).fill") == wanted


def test_each_begins_with_a_title_a_challenge_and_the_full_screen(mount) -> None:
    page = mount(widgets.ArithmeticWidget())
    assert page.locator(".uw-title").inner_text() == "Sizes through a U-Net"
    assert page.locator(".uw-challenge").inner_text().endswith("?")
    button = page.locator(".uw-present")
    before = page.locator("form").bounding_box()
    button.click()
    page.wait_for_function("document.fullscreenElement?.matches('.unet-widget')")
    page.wait_for_function("(button) => button.innerText === 'Close'", arg=button.element_handle())
    assert page.locator("form").bounding_box()["height"] > before["height"] / 2
    button.press("Enter")
    page.wait_for_function("!document.fullscreenElement")
    page.wait_for_function(
        "(button) => button.innerText === 'Present'", arg=button.element_handle()
    )
