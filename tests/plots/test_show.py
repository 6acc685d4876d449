"""The plots: which pixels they show, what they say, what they refuse."""

from itertools import combinations

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure

from unet_lib.plots import (
    LABEL_COLORS,
    PALETTE,
    colors,
    error_map,
    overlay,
    plot_history,
    show,
    show_image,
    show_mask,
    show_pairs,
    style,
)
from unet_lib.training import History


@pytest.fixture
def ax():
    """Axes of a figure that pyplot does not know."""
    return Figure().add_subplot()


@pytest.fixture(autouse=True)
def no_figure_is_left():
    yield
    plt.close("all")


def shown(ax) -> np.ndarray:
    """The pixels of the last image."""
    return np.asarray(ax.images[-1].get_array())


def lightness(name: str) -> float:
    """L* of a color, from 0 to 100: how bright it is in a print in gray."""
    rgb = np.array(to_rgb(PALETTE[name]))
    linear = np.where(rgb > 0.04045, ((rgb + 0.055) / 1.055) ** 2.4, rgb / 12.92)
    return 116 * np.cbrt(linear @ [0.2126, 0.7152, 0.0722]) - 16


@pytest.mark.parametrize(
    ("image", "shape"),
    [
        (torch.rand(4, 6), (4, 6)),
        (torch.rand(1, 4, 6, requires_grad=True), (4, 6)),
        (torch.rand(3, 4, 6), (4, 6, 3)),
        (np.zeros((4, 6, 3), np.uint8), (4, 6, 3)),
        (np.zeros((4, 6, 1), np.uint16), (4, 6)),
        (np.zeros((4, 6), bool), (4, 6)),
    ],
)
def test_images_of_all_accepted_shapes(ax, image, shape) -> None:
    assert show_image(image, ax, "title") is ax
    assert shown(ax).shape == shape
    assert ax.get_title() == "title"
    assert not ax.axison


@pytest.mark.parametrize("shape", [(5,), (2, 4, 6), (2, 3, 4, 6), (4, 6, 4)])
def test_images_of_another_shape_are_refused(ax, shape) -> None:
    with pytest.raises(ValueError, match=r"expected an image \(H, W\), .* got \("):
        show_image(torch.zeros(shape), ax)


def test_gray_values_are_stretched_unless_limits_are_given(ax) -> None:
    image = np.array([[10, 60]], np.uint8)
    assert show_image(image, ax).images[-1].get_clim() == (10, 60)
    assert show_image(image, ax, limits=(0, 255)).images[-1].get_clim() == (0, 255)


def test_colors_are_scaled_by_their_type_and_cut_off(ax) -> None:
    show_image(np.array([[[0, 51, 255]]] * 2, np.uint8), ax)
    np.testing.assert_allclose(shown(ax), [[[0, 0.2, 1]]] * 2)
    show_image(torch.tensor([-1.0, 0.5, 7.0])[:, None, None], ax)
    np.testing.assert_allclose(shown(ax), [[[0, 0.5, 1]]])


def test_masks_of_0_and_1_are_black_and_white_others_colored(ax) -> None:
    show_mask(torch.tensor([[[0.0, 1.0]]]), ax)
    np.testing.assert_array_equal(shown(ax), [[[0, 0, 0], [1, 1, 1]]])
    show_mask(np.array([[0, 1, 2, 8, 255]]), ax, ignore_index=255)
    first, second = (to_rgb(PALETTE[name]) for name in LABEL_COLORS[:2])
    expected = [[(0, 0, 0), first, second, first, to_rgb(PALETTE["ignore"])]]
    np.testing.assert_allclose(shown(ax), expected)


@pytest.mark.parametrize(
    ("mask", "message"),
    [
        (torch.rand(3, 4, 6), r"expected a mask of shape .* got \(3, 4, 6\); for class scores"),
        (torch.full((4, 6), 0.25), "whole numbers, got values from 0.25 to 0.25; pass prob"),
        (torch.full((4, 6), torch.nan), "expected a mask of whole numbers"),
    ],
)
def test_masks_that_are_none_are_refused(ax, mask, message) -> None:
    with pytest.raises(ValueError, match=message):
        show_mask(mask, ax)


def test_pairs_stand_above_each_other_row_by_row() -> None:
    images, masks = torch.rand(3, 1, 4, 6), torch.ones(3, 4, 6).long()
    figure = show_pairs(images, masks, ["a", "b", "c"], columns=2)
    assert [ax.get_title() for ax in figure.axes] == ["a", "b", "", "", "c", "", "", ""]
    assert [len(ax.images) for ax in figure.axes] == [1, 1, 1, 1, 1, 0, 1, 0]
    assert not any(ax.axison for ax in figure.axes)


@pytest.mark.parametrize(("images", "masks", "titles"), [(2, 3, None), (2, 2, ["a"]), (0, 0, None)])
def test_pairs_need_equal_numbers(images, masks, titles) -> None:
    with pytest.raises(ValueError, match=f"got {images} images, {masks} masks"):
        show_pairs([torch.zeros(4, 4)] * images, [torch.zeros(4, 4)] * masks, titles)


def test_overlay_outlines_exactly_where_labels_change(ax) -> None:
    labels = torch.tensor([[0, 0, 0, 0], [0, 3, 3, 0], [0, 0, 0, 0]])
    overlay(torch.rand(3, 3, 4), labels, ax, "title", color=PALETTE["truth"])
    rim, line = ax.collections
    corners = {tuple(point) for edge in line.get_segments() for point in edge.tolist()}
    assert len(line.get_segments()) == 6  # two pixels have six edges around them
    assert corners == {(x, y) for x in (0.5, 1.5, 2.5) for y in (0.5, 1.5)}
    assert rim.get_linewidth()[0] > 2 * line.get_linewidth()[0]
    np.testing.assert_allclose(line.get_color()[0][:3], to_rgb(PALETTE["truth"]))


def test_overlay_of_classes_names_those_that_occur(ax) -> None:
    overlay(np.eye(2), np.array([[0, 1], [3, 0]]), ax, classes=["ground", "car", "cat", "dog"])
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["car", "dog"]
    assert len(ax.images) == 2
    np.testing.assert_allclose(shown(ax)[..., 3], [[0, 0.45], [0.45, 0]])


def test_overlay_refuses_other_sizes_and_classes_without_a_name(ax) -> None:
    with pytest.raises(ValueError, match=r"one height and width, got labels \(3, 2\), image \(2"):
        overlay(np.eye(2), np.zeros((3, 2)), ax)
    with pytest.raises(ValueError, match=r"classes 0 to 1, as many as there are names, got \[0, 2"):
        overlay(np.eye(2), np.array([[0, 2], [0, 0]]), ax, classes=["ground", "car"])


def test_error_map_colors_each_kind_and_counts_it(ax) -> None:
    prediction = torch.tensor([[[1, 1, 0, 0, 1]]])
    target = np.array([[1, 0, 1, 0, 1]], bool)
    image = np.array([[0, 0, 0, 100, 200]], np.uint8)
    error_map(image, prediction, target, ax)
    colors = [to_rgb(PALETTE[role]) for role in ("TP", "FP", "FN")]
    dimmed = (0.15, 0.15, 0.15)
    np.testing.assert_allclose(shown(ax)[0], [*colors, dimmed, colors[0]])
    texts = [text.get_text() for text in ax.get_legend().get_texts()]
    assert texts == ["right (TP): 2", "wrong (FP): 1", "missed (FN): 1"]


def test_error_map_dims_color_and_does_without_an_image(ax) -> None:
    nothing = np.zeros((2, 2), bool)
    image = np.zeros((2, 2, 3), np.uint8)
    image[0] = 255
    np.testing.assert_allclose(shown(error_map(image, nothing, nothing, ax))[:, 0, 0], [0.3, 0])
    assert not shown(error_map(None, nothing, nothing, ax)).any()


def test_error_map_refuses_labels_and_other_sizes(ax) -> None:
    with pytest.raises(ValueError, match=r"a target of 0 and 1, got \[0, 1, 2\]; pass labels > 0"):
        error_map(None, np.zeros((1, 3)), np.array([[0, 1, 2]]), ax)
    with pytest.raises(ValueError, match=r"got prediction \(1, 3\), target \(1, 2\), image"):
        error_map(None, np.zeros((1, 3)), np.zeros((1, 2)), ax)


def test_history_shows_losses_and_dice_that_are_there(ax) -> None:
    rows = [{"epoch": e, "loss": 1 / e, "dice_per_image": 1 - 1 / e} for e in (1, 2, 3)]
    plot_history(History(rows), ax=ax, title="run")
    assert [line.get_label() for line in ax.lines] == ["loss", "dice_per_image"]
    np.testing.assert_allclose(ax.lines[0].get_xydata(), [[1, 1], [2, 0.5], [3, 1 / 3]])
    assert ax.get_ylim()[0] <= 0
    looks = {(line.get_color(), line.get_linestyle()) for line in ax.lines}
    assert len({color for color, _ in looks}) == len({dash for _, dash in looks}) == 2


def test_history_shows_other_columns_by_name(ax) -> None:
    plot_history([{"iou_pooled": 0.5}, {"iou_pooled": 0.75}], ["iou_pooled"], ax)
    np.testing.assert_allclose(ax.lines[0].get_xydata(), [[1, 0.5], [2, 0.75]])
    with pytest.raises(ValueError, match=r"no column 'iou'; it has \['iou_pooled'\]"):
        plot_history([{"iou_pooled": 0.5}], ["iou"], ax)
    with pytest.raises(ValueError, match="the history is empty"):
        plot_history(History(), ax=ax)


def test_each_makes_a_figure_of_its_own_where_no_axes_are_given() -> None:
    mask = np.eye(3)
    made = [
        show_image(mask).figure,
        show_mask(mask).figure,
        show_pairs([mask], [mask]),
        overlay(mask, mask).figure,
        error_map(mask, mask, mask).figure,
        plot_history([{"loss": 1.0}]).figure,
    ]
    assert len({figure.number for figure in made}) == 6
    for figure in made:
        figure.canvas.draw()


def test_axes_that_are_given_leave_pyplot_alone(ax) -> None:
    with plt.rc_context():
        before = dict(plt.rcParams)
        overlay(np.eye(3), np.eye(3), ax)
        plot_history([{"loss": 1.0}], ax=Figure().add_subplot())
        assert plt.get_fignums() == []
        assert dict(plt.rcParams) == before


def test_style_changes_only_what_it_names() -> None:
    with plt.rc_context():
        before = dict(plt.rcParams)
        style()
        changed = {name for name in plt.rcParams if plt.rcParams[name] != before[name]}
        assert changed <= colors.STYLE.keys()
        assert {"figure.constrained_layout.use", "font.size"} <= changed
        assert plt.figure().get_facecolor() == (1, 1, 1, 1)


def test_the_colors_of_an_error_map_differ_in_gray() -> None:
    background = 100 * show._DIM  # the brightest pixel behind; its L* is not above this
    levels = [lightness("TP"), lightness("FP"), lightness("FN"), background + 5]
    assert all(abs(one - other) > 12 for one, other in combinations(levels, 2))


def test_colors_of_neighboring_labels_differ_in_gray() -> None:
    levels = [lightness(name) for name in LABEL_COLORS]
    steps = np.abs(np.diff([*levels, levels[0]]))
    assert steps.min() > 10, dict(zip(LABEL_COLORS, np.round(levels), strict=True))
