"""Whatever a reader passes to a check, one line says what is not right, and nothing is raised."""

import importlib
import inspect
import itertools
import math
import pkgutil

import numpy as np
import pytest
import torch
from torch.utils.data import Dataset

from unet_lib.course import exercises
from unet_lib.course.exercises.harness import ask, check

CHECKS = [
    function
    for module in pkgutil.iter_modules(exercises.__path__, f"{exercises.__name__}.")
    for name, function in inspect.getmembers(importlib.import_module(module.name))
    if name.startswith("check_") and function.__module__ == module.name
]


class Hostile(torch.nn.Module, Dataset):
    """Compares, prints, measures and converts itself to nothing but errors."""

    bottleneck = torch.nn.Identity()

    def refuse(self, *_):
        raise ArithmeticError("three\nlines\nlong")

    __eq__ = __repr__ = __len__ = __iter__ = __getitem__ = __float__ = __bool__ = refuse
    __hash__ = object.__hash__
    __array__ = forward = refuse


def fails(*_):
    raise SystemExit("gone")


def later(*_):
    """Fails when the answer is read, long after the call."""
    yield 1, 1
    raise ValueError("late")


VALUES = [
    None, True, "0.5", math.nan, 10**400, 1j, [[1], [2, 3]], {"A": [1], 7: None}, Hostile(),
    itertools.count(), np.full((3, 1, 7), math.nan), np.array(["a"]), torch.ones(2, 2).bool(),
    torch.full((1, 300), 1e30, requires_grad=True), (np.nan, None, object()),
]  # fmt: skip
ANSWERS = [*VALUES, Hostile, fails, later, lambda: 0.5, *(lambda *_, v=v: v for v in VALUES)]


def test_every_chapter_has_checks():
    assert len({one.__module__ for one in CHECKS}) >= 15
    assert len(CHECKS) > 50


@pytest.mark.parametrize("one", CHECKS, ids=lambda one: one.__name__)
def test_any_answer_gets_one_line(told, one):
    for answer in ANSWERS:
        line = told(one, answer)
        assert line.startswith("Not yet: ")
        assert len(line) < 900
        assert "cannot be judged" not in line


def test_an_error_is_told_with_the_readers_line_and_the_arguments(told):
    def mistaken(image, weights):
        image += 1
        return image @ weights

    image = torch.zeros(2, 3)
    line = told(check(lambda answer: ask(answer, image, np.ones(4))), mistaken)
    assert line.startswith("Not yet: your function raised ValueError: ")
    assert ": return image @ weights). It was called with a Tensor (2, 3), an " in line
    assert line.endswith("an ndarray (4,).\n")
    assert not image.any()  # the answer got copies


def test_what_nobody_thought_of_is_told_with_what_was_asked_for(told):
    @check
    def check_length(answer: object) -> None:
        """Checks a list.

        >>> check_length([])
        """
        len(answer)

    assert told(check_length, 3).startswith("Not yet: your answer cannot be judged: TypeError: ")
    assert told(check_length, 3).endswith(": len(answer)). Checks a list.\n")


def test_an_interrupt_is_not_caught():
    def interrupted():
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        check(lambda answer: ask(answer))(interrupted)
