"""Is A better than B? One rule for every table and figure (chapter 5)."""

import math
from collections.abc import Sequence
from typing import Literal, NamedTuple

import numpy as np
from jaxtyping import Real
from scipy.stats import t as student

Scores = Sequence[float] | Real[np.ndarray, " n"]
FEWEST = 3  # pairs; with two, the interval is wider than most scores are large


class Comparison(NamedTuple):
    """How much larger the scores of A are than those of B, pair by pair.

    >>> print(Comparison(0.0132, 0.0041, 0.0223, 5))
    +0.013 [+0.004, +0.022], 5 pairs: A is better
    """

    difference: float
    """The mean of A - B."""
    low: float
    """The lower end of its 95 % interval."""
    high: float
    """The upper end."""
    pairs: int

    @property
    def verdict(self) -> Literal["A is better", "B is better", "not told apart"]:
        """Which is better, where the interval does not hold 0."""
        if self.low > 0:
            return "A is better"
        return "B is better" if self.high < 0 else "not told apart"

    def __str__(self) -> str:
        interval = f"[{self.low:+.3f}, {self.high:+.3f}]"
        return f"{self.difference:+.3f} {interval}, {self.pairs} pairs: {self.verdict}"


def compare(a: Scores, b: Scores) -> Comparison:
    """Compares two lists of scores, the larger the better, of the same seeds or the same images.

    Score i of `a` and score i of `b` have all in common but what is compared: the seed, and the
    data with it, or the image. What both share, an easy image or a lucky draw, leaves the
    difference. Its mean has a 95 % interval by Student's t (1908), for differences that are about
    normally distributed. "Better" holds for what varies between the pairs and for nothing else:
    over the seeds of one test set it says nothing about other images.
    Raises ValueError for lists of different lengths, fewer than 3 pairs, or NaN.

    >>> compare([0.92, 0.90, 0.93, 0.91, 0.92], [0.91, 0.89, 0.91, 0.90, 0.91]).verdict
    'A is better'
    """
    if len(a) != len(b):
        raise ValueError(f"{len(a)} and {len(b)} scores: pairs were expected, one of each")
    if len(a) < FEWEST:
        raise ValueError(f"{len(a)} pairs: at least {FEWEST} are needed, better are 5 or more")
    differences = np.subtract(a, b)
    if np.isnan(differences).any():
        raise ValueError("a score is NaN: leave out its pair, and say so")
    mean, count = float(differences.mean()), len(differences)
    error = float(differences.std(ddof=1)) / math.sqrt(count)
    half = float(student.ppf(0.975, count - 1)) * error
    return Comparison(mean, mean - half, mean + half, count)


def mean_sd(scores: Scores, digits: int = 3) -> str:
    """Mean ± standard deviation (n - 1) as text: what ± means everywhere in this book.

    It says how far apart single runs lie, not how well the mean is known.

    >>> mean_sd([0.90, 0.92, 0.94])
    '0.920 ± 0.020'
    >>> mean_sd([0.9])
    '0.900'
    """
    told = f"{np.mean(scores):.{digits}f}"
    return told if len(scores) < 2 else f"{told} ± {np.std(scores, ddof=1):.{digits}f}"
