"""How settings check their values: one helper, one way to say what is wrong."""

import operator
from collections.abc import Sequence
from typing import Any


def require(
    name: str,
    value: Any,
    *,
    choices: Sequence[object] = (),
    low: float | None = None,
    high: float | None = None,
    above: float | None = None,
    below: float | None = None,
) -> None:
    """Raises ValueError, naming the setting, unless its value is one of `choices` or in range.

    The range includes `low` and `high`, but not `above` and `below`; NaN lies in none.

    >>> require("norm", "layer", choices=("none", "batch"))
    Traceback (most recent call last):
    ...
    ValueError: norm must be one of ('none', 'batch'), got 'layer'
    >>> require("dropout", 1.0, low=0, below=1)
    Traceback (most recent call last):
    ...
    ValueError: dropout must be at least 0 and less than 1, got 1.0
    """
    if choices and value not in choices:
        raise ValueError(f"{name} must be one of {tuple(choices)}, got {value!r}")
    bounds = (
        ("at least", low, operator.ge),
        ("more than", above, operator.gt),
        ("at most", high, operator.le),
        ("less than", below, operator.lt),
    )
    stated = [(words, bound, holds) for words, bound, holds in bounds if bound is not None]
    if not all(holds(value, bound) for _, bound, holds in stated):
        expected = " and ".join(f"{words} {bound}" for words, bound, _ in stated)
        raise ValueError(f"{name} must be {expected}, got {value!r}")
