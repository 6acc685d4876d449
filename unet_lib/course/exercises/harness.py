"""What all checks of exercises share: call the reader's function, and tell what is not right.

A check ends with `say(True, ...)`; whatever is not right is raised as `NotYet` and printed as one
line, so that nothing a reader can write ends in a traceback from inside the library.

>>> @check
... def check_double(answer: object) -> None:
...     "Checks a function number -> twice the number."
...     found = number(ask(answer, 21), "return one number.")
...     expect(found == 42, f"twice 21 is 42, you return {found}.")
...     say(True, "42.")
>>> check_double(lambda x: x + x)
Right: 42.
>>> check_double(lambda x: x**2)
Not yet: twice 21 is 42, you return 441.
>>> check_double(21)
Not yet: pass the function itself, without calling it; this is 21.
"""

import math
import sysconfig
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import wraps
from itertools import islice
from numbers import Real
from pathlib import Path
from traceback import extract_tb
from typing import Any, ParamSpec

import numpy as np
from torch import Tensor

from unet_lib.course.exercises import say

P = ParamSpec("P")
Hints = Mapping[type[BaseException], str]
HERE = str(Path(__file__).parent)
PATHS = (sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib"))
LIBRARIES = (str(Path(__file__).parents[2]), *PATHS, "<frozen")
"""Where the code lies that is not the reader's."""


class NotYet(Exception):  # noqa: N818 -- it is no error
    """What is not right with an answer, in words.

    >>> raise NotYet("the list is empty.")
    Traceback (most recent call last):
    unet_lib.course.exercises.harness.NotYet: the list is empty.
    """


def check(function: Callable[P, None]) -> Callable[P, None]:
    """Makes a function a check, which tells whatever goes wrong in one line.

    >>> check(lambda answer: expect(answer, "the list is empty."))([])
    Not yet: the list is empty.
    """

    @wraps(function)
    def told(*args: P.args, **kwargs: P.kwargs) -> None:
        try:
            with np.errstate(all="ignore"):
                function(*args, **kwargs)
        except NotYet as problem:
            say(False, str(problem))
        except (Exception, SystemExit) as error:  # an answer that nobody has thought of
            asked = " ".join((function.__doc__ or "").split("\n\n")[0].split())
            say(False, f"your answer cannot be judged: {_described(error)}. {asked}")

    return told


class NotAFunction(NotYet):
    """No function was given at all: what `about` says would not fit.

    >>> issubclass(NotAFunction, NotYet)
    True
    """


@contextmanager
def about(beginning: str) -> Iterator[None]:
    """Sets these words before whatever is not right inside.

    >>> with about("for 3 pixels "):
    ...     expect(True, "the answer is empty.")
    """
    try:
        yield
    except NotAFunction:
        raise
    except NotYet as problem:
        raise NotYet(f"{beginning}{problem}") from problem


def ask(
    answer: object,
    *arguments: object,
    who: str = "your function",
    none: str = "",
    hints: Hints | None = None,
) -> Any:
    """What the reader's function returns for these arguments; it gets copies of tensors and arrays.

    `who` begins the message about an error, `hints` end it for errors of these kinds; `none` is the
    message for an answer that returns nothing.

    >>> ask(max, [2, 7])
    7
    """
    if not callable(answer):
        text = f"pass the function itself, without calling it; this is {short(answer)}."
        raise NotAFunction(text)
    try:
        found = answer(*map(_copied, arguments))
    except NotYet:
        raise
    except (Exception, SystemExit) as error:
        told = f"{who} raised {_described(error)}.".lstrip()
        if arguments and not _ours(error):
            told += f" It was called with {', '.join(map(_sketched, arguments))}."
        hint = next((hint for kind, hint in (hints or {}).items() if isinstance(error, kind)), "")
        raise NotYet(f"{told} {hint}".rstrip()) from error
    expect(found is not None or not none, none)
    return found


def expect(condition: object, message: str) -> None:
    """Goes on if the condition holds.

    >>> expect(2 < 3, "2 is smaller.")
    """
    if not condition:
        raise NotYet(message)


def number(value: object, otherwise: str) -> float:
    """A plain number; arrays and tensors of one number are welcome, truth values are not.

    >>> number(np.array(0.5), "expected a number."), number(3, "expected a number.")
    (0.5, 3)
    """
    if isinstance(value, Tensor | np.ndarray | np.generic) and value.ndim == 0:
        value = value.item()
    if isinstance(value, bool) or not isinstance(value, Real):
        raise NotYet(otherwise)
    if not isinstance(value, int):
        return float(value)
    return value if abs(value) < 10**300 else math.copysign(math.inf, value)


def whole(value: object, otherwise: str) -> int:
    """A whole number.

    >>> whole(np.int64(3), "expected a whole number.")
    3
    """
    found = number(value, otherwise)
    if not isinstance(found, int):
        raise NotYet(otherwise)
    return found


def items(value: object, otherwise: str, count: int | None = None) -> list[Any]:
    """The items of a list or of anything else that has an end; `count` of them, if it is given.

    >>> items((2, 7), "expected two numbers.", count=2)
    [2, 7]
    """
    most, found = 10_000 if count is None else count, []
    try:
        found = list(islice(value, most + 1))  # type: ignore[call-overload]
    except Exception as error:
        if isinstance(value, Iterator):  # the reader's function runs only now
            raise NotYet(f"your function raised {_described(error)}.") from error
        raise NotYet(otherwise) from error
    expect(not isinstance(value, str | bytes | Mapping), otherwise)
    expect(len(found) <= most and count in (None, len(found)), otherwise)
    return found


def array(value: object, otherwise: str) -> np.ndarray:
    """An array of numbers, from lists too.

    >>> array([[1, 2]], "give rows of numbers.")
    array([[1., 2.]])
    """
    try:
        return np.asarray(value.detach() if isinstance(value, Tensor) else value, dtype=float)
    except Exception as error:
        raise NotYet(otherwise) from error


def tensor(value: object, shape: Iterable[int], otherwise: str) -> Tensor:
    """A tensor of that shape.

    >>> tensor(Tensor([0.5, 1]), (2,), "expected a tensor (2,).")
    tensor([0.5000, 1.0000])
    """
    if not isinstance(value, Tensor) or tuple(value.shape) != tuple(shape):
        raise NotYet(otherwise)
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
    if a.shape != b.shape or a.dtype.kind not in "iuf":
        return False
    return bool(np.allclose(a, b, rtol=relative, atol=within, equal_nan=True))


def lesson(
    found: Any,
    mistakes: Iterable[tuple[Any, str]],
    otherwise: str = "",
    within: float = 1e-6,
    relative: float = 0.0,
) -> str:
    """What the first mistake that leads to the same result teaches.

    >>> lesson(6, [(5, "one too few."), (6, "add first, then multiply.")])
    'add first, then multiply.'
    """
    known = (text for wrong, text in mistakes if close(found, wrong, within, relative))
    return next(known, otherwise)


def kind(value: object) -> str:
    """A value's type, in words.

    >>> kind(3), kind([3]), kind(None)
    ('an int', 'a list', 'None')
    """
    name = type(value).__name__
    return "None" if value is None else f"{'an' if name[0] in 'aeinou' else 'a'} {name}"


def got(value: object) -> str:
    """The type of something that should have been returned.

    >>> got(None), got(0.5)
    ('None (is there a return?)', 'a float')
    """
    return "None (is there a return?)" if value is None else kind(value)


def short(value: object) -> str:
    """A value as it is written, on one line and cut if it is long.

    >>> short([0] * 70)
    '[0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0...'
    """
    try:
        text = " ".join(repr(value).split())
    except Exception:  # of a class of the reader's
        text = kind(value)
    return text if len(text) < 60 else f"{text[:57]}..."


def shown(value: object) -> str:
    """A number with three digits, anything else as it is written.

    >>> shown(2 / 3), shown("0.5")
    ('0.667', "'0.5'")
    """
    try:
        return f"{number(value, ''):.3g}"
    except NotYet:
        return short(value)


def _copied(value: object) -> object:
    if isinstance(value, Tensor):
        return value.clone()
    if isinstance(value, np.ndarray):
        return value.copy()
    return type(value)(map(_copied, value)) if type(value) in (list, tuple) else value


def _sketched(value: object) -> str:
    """An argument in a few letters: an array by its shape, a number as it is."""
    if isinstance(value, Tensor | np.ndarray):
        return f"{kind(value)} {tuple(value.shape)}"
    if type(value) in (list, tuple) and not all(isinstance(x, Real | str) for x in value):
        return f"{kind(value)} of {len(value)}"
    return short(value) if isinstance(value, Real | str | list | tuple) else kind(value)


def _described(error: BaseException) -> str:
    """An error in one line, with the line of the reader's where it arose, if there is one."""
    text = (str(error).strip().splitlines() or ["without a message"])[0].rstrip(".")
    told = f"{type(error).__name__}: {text if len(text) < 300 else text[:297] + '...'}"
    frames = extract_tb(error.__traceback__)
    own = [frame for frame in frames if not frame.filename.startswith(LIBRARIES)]
    if not own or _ours(error):
        return told
    return f"{told} (your line {own[-1].lineno}: {(own[-1].line or '')[:60]})"


def _ours(error: BaseException) -> bool:
    """Whether a check raised the error inside the reader's call: it speaks for itself."""
    frames = extract_tb(error.__traceback__)
    return len(frames) > 1 and frames[-1].filename.startswith(HERE)
