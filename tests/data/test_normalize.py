"""Brightness by percentiles of the image or by its type, never by what it happens to hold."""

import re

import numpy as np
import pytest

from unet_lib.data import DataError, normalize_percentiles, scale_by_dtype


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
def test_percentiles_map_to_zero_and_one(dtype):
    image = np.random.default_rng(0).integers(0, 200, (50, 40)).astype(dtype)
    result = normalize_percentiles(image)
    assert result.dtype == np.float32
    assert np.allclose(np.percentile(result, (1.0, 99.8)), (0, 1), atol=1e-5)
    assert result.min() < 0, "values below the low percentile are kept"


def test_percentiles_do_not_depend_on_gain_and_offset():
    image = np.random.default_rng(1).integers(0, 60, (32, 32)).astype(np.uint16)
    assert np.allclose(normalize_percentiles(image), normalize_percentiles(image * 7 + 90))


def test_percentiles_of_each_channel_alone():
    image = np.random.default_rng(2).integers(0, 99, (16, 12, 3)).astype(np.uint8)
    result = normalize_percentiles(image)
    for channel in range(3):
        assert np.array_equal(result[..., channel], normalize_percentiles(image[..., channel]))


def test_constant_image_becomes_zeros():
    assert not normalize_percentiles(np.full((8, 8), 7, np.uint8)).any()
    one_hot_pixel = np.full((100, 100), 7, np.uint8)
    one_hot_pixel[3, 3] = 255
    assert not normalize_percentiles(one_hot_pixel).any()
    assert normalize_percentiles(np.full((1, 1), 7, np.uint8)).shape == (1, 1)


def test_percentiles_out_of_order():
    with pytest.raises(ValueError, match=r"99.0 and 1.0: expected 0 <= low < high <= 100"):
        normalize_percentiles(np.zeros((2, 2)), low=99.0, high=1.0)


def test_scale_by_type_not_by_content():
    dim = np.array([[0, 1]], np.uint8)
    assert scale_by_dtype(dim).max() == np.float32(1 / 255)
    assert scale_by_dtype(dim.astype(np.uint16)).max() == np.float32(1 / 65535)
    assert np.array_equal(scale_by_dtype(np.array([[0.0, 0.25]])), [[0, 0.25]])


def test_scale_gives_float32_that_shares_no_memory():
    image = np.zeros((2, 2), np.float32)
    result = scale_by_dtype(image)
    assert result.dtype == np.float32
    assert not np.shares_memory(result, image)


@pytest.mark.parametrize("values", [(0, 1.5), (-0.5, 1)])
def test_fault_11_float_outside_the_unit_range(values):
    text = f"float32 with values from {values[0]:g} to {values[1]:g}; float images must lie in "
    with pytest.raises(DataError, match=re.escape(text)):
        scale_by_dtype(np.array([values], np.float32))


@pytest.mark.parametrize("dtype", [np.int64, np.int16, bool])
def test_fault_11_type_without_a_range(dtype):
    with pytest.raises(DataError, match=f"type {np.dtype(dtype)}; expected uint8, uint16 or float"):
        scale_by_dtype(np.zeros((2, 2), dtype))


DISC = (np.mgrid[:256, :256] ** 2 - 2 * 100 * np.mgrid[:256, :256]).sum(0) + 20000 <= 36  # 113 px


@pytest.mark.parametrize("noise", [0, 1, 2])
def test_wild_a_small_object_neither_vanishes_nor_lets_noise_explode(noise):
    ground = 40 + np.random.default_rng(0).normal(0, noise, DISC.shape)
    image = np.where(DISC, 160, ground).round().astype(np.uint8)
    whole, crop = normalize_percentiles(image), normalize_percentiles(image[70:134, 70:134])
    assert whole[DISC].min() > 3
    assert whole[~DISC].std() < 0.1
    assert crop[30, 30] > 0.9


@pytest.mark.parametrize("value", [-9999.0, -3.4e38, 3.4e38])
def test_wild_a_strip_of_no_data_changes_nothing_else(value):
    image = np.random.default_rng(0).normal(500, 10, (64, 64)).astype(np.float32)
    expected = normalize_percentiles(image[6:])
    image[:6] = value
    found = normalize_percentiles(image)
    assert np.allclose(found[6:], expected, atol=1e-6)
    assert not found[:6].any()


def test_wild_hot_pixels_stay_finite():
    image = np.random.default_rng(0).random((64, 64)).astype(np.float32)
    expected = normalize_percentiles(image)
    image[0, :3] = 3e38, -3e38, 1e9
    found = normalize_percentiles(image)
    assert np.abs(found).max() == 10
    assert np.abs(found - expected)[1:].max() < 0.01
