"""The rule for "A beats B" is the paired t-test, keeps its promise, and says what it cannot do."""

import numpy as np
import pytest
from scipy.stats import ttest_rel

from unet_lib.evaluation import compare, mean_sd


@pytest.mark.parametrize("pairs", [3, 5, 50])
def test_interval_and_verdict_are_those_of_the_paired_t_test(pairs) -> None:
    for seed in range(20):
        a, b = np.random.default_rng(seed).normal(0.9, 0.02, (2, pairs))
        found, reference = compare(a, b), ttest_rel(a, b)
        low, high = reference.confidence_interval(0.95)
        assert (found.low, found.high) == pytest.approx((low, high))
        assert (found.verdict != "not told apart") == (reference.pvalue < 0.05)
        assert compare(b, a).difference == -found.difference


@pytest.mark.parametrize("pairs", [3, 5, 8])
def test_where_nothing_differs_one_in_twenty_is_told_apart(pairs) -> None:
    draws = np.random.default_rng(0).normal(size=(2000, 2, pairs))
    wrong = np.mean([compare(a, b).verdict != "not told apart" for a, b in draws])
    assert 0.035 < wrong < 0.065


def test_what_both_share_leaves_the_difference() -> None:
    rng = np.random.default_rng(0)
    image = rng.uniform(0.5, 0.95, 20)  # easy and hard ones
    a, b = image + 0.01 + rng.normal(0, 0.005, 20), image
    assert compare(a, b).verdict == "A is better"
    assert compare(a, rng.permutation(b)).verdict == "not told apart"


@pytest.mark.parametrize(
    ("a", "b", "said"),
    [
        ([1, 2, 3], [1, 2], "3 and 2 scores: pairs were expected"),
        ([1, 2], [1, 2], "2 pairs: at least 3 are needed"),
        ([1, 2, np.nan], [1, 2, 3], "a score is NaN"),
    ],
)
def test_scores_that_make_no_pairs_are_refused(a, b, said) -> None:
    with pytest.raises(ValueError, match=said):
        compare(a, b)


def test_equal_differences_are_a_point() -> None:
    assert compare([2, 3, 4], [1, 2, 3])[:3] == (1, 1, 1)
    assert mean_sd([0.5, 0.5, 0.5]) == "0.500 ± 0.000"
