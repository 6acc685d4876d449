"""Reads what the reader's functions return, whatever it is: numbers, lists, arrays, tensors.

What is something else is not yet right, which is told in the words that the check gives: {kind}
in them is the type of what came, {got} too, with a question after None, {short} is what came.
"""

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import chain, islice
from numbers import Real
from typing import Any

import numpy as np
from torch import Tensor

from unet_lib.course.exercises.harness import NotYet, described, expect, kind, short


def number(value: object, otherwise: str) -> float:
    """A plain number; arrays and tensors of one number are welcome, truth values are not.

    >>> number(np.array(0.5), "expected a number."), number(3, "expected a number.")
    (0.5, 3)
    """
    if isinstance(value, Tensor | np.ndarray | np.generic) and value.ndim == 0:
        value = value.item()
    if isinstance(value, bool) or not isinstance(value, int | Real):
        raise NotYet(_filled(otherwise, value))
    if not isinstance(value, int):
        return float(value)
    return value if abs(value) < 10**300 else math.inf if value > 0 else -math.inf


def whole(value: object, otherwise: str) -> int:
    """A whole number.

    >>> whole(np.int64(3), "expected a whole number.")
    3
    """
    found = number(value, otherwise)
    if not isinstance(found, int):
        raise NotYet(_filled(otherwise, value))
    return found


def items(value: Any, otherwise: str, count: int | None = None) -> list[Any]:
    """The items of a list or of anything else that has an end; `count` of them, if it is given.

    >>> items((2, 7), "expected two numbers.", count=2)
    [2, 7]
    """
    most, otherwise = 10_000 if count is None else count, _filled(otherwise, value)
    try:
        found = list(islice(value, most + 1))
    except Exception as error:
        if isinstance(value, Iterator):  # the reader's function runs only now
            raise NotYet(f"your function raised {described(error)}.") from error
        raise NotYet(otherwise) from error
    expect(not isinstance(value, str | bytes | Mapping), otherwise)
    expect(len(found) <= most and count in (None, len(found)), otherwise)
    return found


def numbers(
    value: object, otherwise: str, count: int | None = None, one: Callable = number
) -> list[Any]:
    """The numbers in a list, or its whole numbers with `one=whole`.

    >>> numbers((2, 0.5), "expected two numbers.", count=2)
    [2, 0.5]
    """
    otherwise = _filled(otherwise, value)
    return [one(item, otherwise) for item in items(value, otherwise, count)]


def array(value: object, otherwise: str) -> np.ndarray:
    """An array of numbers, from lists too.

    >>> array([[1, 2]], "give rows of numbers.")
    array([[1., 2.]])
    """
    try:
        return np.asarray(value.detach() if isinstance(value, Tensor) else value, dtype=float)
    except Exception as error:
        raise NotYet(_filled(otherwise, value)) from error


def tensor(value: object, otherwise: str, shape: tuple[int, ...] | None = None) -> Tensor:
    """A tensor, of that shape if one is given.

    >>> tensor(Tensor([0.5, 1]), "expected a tensor (2,).", shape=(2,))
    tensor([0.5000, 1.0000])
    """
    if not isinstance(value, Tensor) or shape not in (None, value.shape):
        raise NotYet(_filled(otherwise, value))
    return value


def close(found: object, right: object, within: float = 1e-6, relative: float = 0.0) -> bool:
    """Whether numbers, arrays or tensors of one shape are equal but for rounding, nan to nan.

    >>> close(0.1 + 0.2, 0.3), close([0.5, math.nan], [0.5, math.nan]), close("0.3", 0.3)
    (True, True, False)
    """
    try:
        a, b = (np.asarray(x.detach().double() if isinstance(x, Tensor) else x)
                for x in (found, right))  # fmt: skip
    except Exception:  # rows of different lengths, or a class of the reader's
        return False
    if a.shape != b.shape or not {a.dtype.kind, b.dtype.kind} <= {*"iuf"}:
        return False
    return np.allclose(a, b, rtol=relative, atol=within, equal_nan=True)


def judge(
    found: object,
    right: object,
    mistakes: Iterable[tuple[Any, str]],
    otherwise: str,
    within: float = 1e-6,
    relative: float = 0.0,
    given: Iterable[Any] = (),
) -> None:
    """Goes on if a result is right, and else tells what the first mistake that leads to it teaches.

    A mistake is a wrong result, or a function that makes it of what was `given`.

    >>> judge(7, 7, [(5, "one too few."), (lambda n: 2 * n, "the root.")], "49?", given=[49])
    """
    for value, text in chain([(right, "")], mistakes):
        if close(found, value(*given) if callable(value) else value, within, relative):
            return expect(not text, text)
    raise NotYet(otherwise)


def _filled(text: str, value: object) -> str:
    text = text.replace("{got}", "{kind} (is there a return?)" if value is None else "{kind}")
    return text.replace("{kind}", kind(value)).replace("{short}", short(value))


def shown(value: object) -> str:
    """A number with three digits, anything else as it is written.

    >>> shown(2 / 3), shown("0.5")
    ('0.667', "'0.5'")
    """
    try:
        return f"{number(value, ''):.3g}"
    except NotYet:
        return short(value)
