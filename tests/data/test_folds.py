"""Folds of a stack: every slice is tested once, and no neighbor of a tested one is known."""

import pytest

from unet_lib.data import blocks, shuffled_blocks

SIZES = [19, 18, 18, 18, 19]  # slices to train on, of the 30 of ISBI 2012


def test_every_slice_is_tested_once_in_blocks_of_neighbors():
    folds = blocks(30)
    assert [fold.test for fold in folds] == [tuple(range(k, k + 6)) for k in range(0, 30, 6)]
    assert [len(fold.train) for fold in folds] == SIZES
    assert [fold.choice for fold in folds] == 3 * [(27, 28, 29)] + 2 * [(0, 1, 2)]


@pytest.mark.parametrize("options", [{}, {"gap": 0}, {"gap": 2}, {"choice": 1}, {"folds": 4}])
def test_the_parts_are_apart_and_nothing_else_is_left_out(options):
    gap = options.get("gap", 1)
    for fold in blocks(30, **options):
        everything = [*fold.train, *fold.choice, *fold.test]
        assert len(set(everything)) == len(everything)
        for one in fold:
            others = set(everything) - set(one)
            assert all(abs(a - b) > gap for a in one for b in others)
        left_out = set(range(30)) - set(everything)
        held = {*fold.choice, *fold.test}
        assert all(min(abs(index - other) for other in held) <= gap for index in left_out)


def test_shuffled_folds_are_as_large_test_each_slice_once_and_know_the_neighbors():
    for seed in range(3):
        folds = shuffled_blocks(30, seed)
        for fold, block in zip(folds, blocks(30), strict=True):
            assert [*map(len, fold)] == [*map(len, block)]
            assert len({*fold.train, *fold.choice, *fold.test}) == sum(map(len, block))
            assert all(list(part) == sorted(part) for part in fold)
        assert sorted(index for fold in folds for index in fold.test) == list(range(30))
        known = [
            any(abs(index - other) == 1 for other in fold.train)
            for fold in folds
            for index in fold.test
        ]
        assert sum(known) > 15
    assert shuffled_blocks(30, 1) == shuffled_blocks(30, 1) != shuffled_blocks(30, 2)


@pytest.mark.parametrize("options", [{"folds": 1}, {"folds": 31}, {"gap": -1}, {"choice": 0}])
def test_numbers_out_of_range(options):
    with pytest.raises(ValueError, match=r"folds=.*expected 2 to 30 folds, a gap of 0 or more"):
        blocks(30, **options)


@pytest.mark.parametrize("options", [{"gap": 12}, {"choice": 23}, {"folds": 2, "choice": 14}])
def test_a_stack_that_is_too_short(options):
    with pytest.raises(ValueError, match=r"30 slices in .* leave none to train on beside"):
        blocks(30, **options)
