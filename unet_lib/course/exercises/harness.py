"""What every check is built from: it calls the reader's function and tells what is not right.

Nothing that a reader can write ends in a traceback from inside the library.

>>> @check
... def check_double(answer: object) -> None:
...     "Checks a function number -> twice the number."
...     found = ask(answer, 21)
...     expect(found == 42, f"twice 21 is 42, you return {found}.")
...     say(True, "42.")
>>> check_double(lambda x: 2 * x)
Right: 42.
>>> check_double(lambda x: x**2)
Not yet: twice 21 is 42, you return 441.
>>> check_double(lambda: 42)
Not yet: your function raised TypeError: ... It was called with 21.
"""

import sysconfig
from collections.abc import Callable, Generator
from contextlib import contextmanager
from functools import wraps
from numbers import Real
from pathlib import Path
from traceback import extract_tb
from typing import Any, ParamSpec

import numpy as np
from torch import Tensor

P = ParamSpec("P")
HERE = str(Path(__file__).parent)
PATHS = (sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib"))
LIBRARIES = (str(Path(__file__).parents[2]), *PATHS, "<frozen")
"""Where the code lies that is not the reader's."""


class NotYet(Exception):  # noqa: N818 -- no error, and not always the reader's
    """What is not right with an answer; `check` prints it.

    >>> check(lambda: say(True, NotYet("the list is empty.").args[0]))()
    Right: the list is empty.
    """


class _NotAFunction(NotYet):
    """No function was given at all, so that what `about` says would not fit."""


def say(right: bool, text: str) -> None:
    """Prints one line that teaches, beginning with "Right" or "Not yet".

    >>> say(True, "572 gives 388.")
    Right: 572 gives 388.
    """
    print(f"{'Right' if right else 'Not yet'}: {text}")


def check(function: Callable[P, None]) -> Callable[P, None]:
    """Makes a function a check, which prints the first thing that is not right.

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
            say(False, f"your answer cannot be judged: {described(error)}. {asked}")

    return told


def expect(condition: object, message: str) -> None:
    """Goes on if the condition holds; otherwise the message is what the check prints.

    >>> expect(2 < 3, "2 is smaller.")
    """
    if not condition:
        raise NotYet(message)


@contextmanager
def about(beginning: str) -> Generator[None]:
    """Sets these words before whatever is not right inside.

    >>> with about("for 3 pixels "):
    ...     expect(True, "the answer is empty.")
    """
    try:
        yield
    except _NotAFunction:
        raise
    except NotYet as problem:
        raise NotYet(f"{beginning}{problem}") from problem


def ask(
    answer: object,
    *arguments: object,
    who: str = "your function",
    none: str = "",
    hint: str = "",
    on: type[Exception] | tuple[type[Exception], ...] = Exception,
) -> Any:
    """What the reader's function returns for these arguments; it gets copies of tensors and arrays.

    `who` begins the message about an error, `hint` ends it for errors of the kinds `on`; `none` is
    the message for a function that returns nothing.

    >>> ask(max, [2, 7])
    7
    """
    if not callable(answer):
        text = f"pass the function itself, without calling it; this is {short(answer)}."
        raise _NotAFunction(text)
    try:
        found = answer(*map(_copied, arguments))
    except NotYet:
        raise
    except (Exception, SystemExit) as error:
        told = f"{who} raised {described(error)}.".lstrip()
        if arguments and not _ours(error):
            told += f" It was called with {', '.join(map(_sketched, arguments))}."
        raise NotYet(f"{told} {hint if isinstance(error, on) else ''}".rstrip()) from error
    expect(found is not None or not none, none)
    return found


def kind(value: object) -> str:
    """A value's type, in words.

    >>> kind(3), kind([3]), kind(None)
    ('an int', 'a list', 'None')
    """
    name = type(value).__name__
    return "None" if value is None else f"{'an' if name[0] in 'aeinouAEIO' else 'a'} {name}"


def short(value: object) -> str:
    """A value as it is written, on one line and cut if it is long.

    >>> short([0] * 70)
    '[0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0...'
    """
    try:
        text = " ".join(repr(value).split())
    except Exception:  # of a class of the reader's
        text = kind(value)
    return _cut(text)


def described(error: BaseException) -> str:
    """An error in one line, with the line of the reader's where it arose, if there is one.

    >>> described(ValueError("too small."))
    'ValueError: too small'
    """
    text = (str(error).strip().splitlines() or ["without a message"])[0].rstrip(".")
    told = f"{type(error).__name__}: {_cut(text, 300)}"
    frames = extract_tb(error.__traceback__)
    own = [frame for frame in frames if not frame.filename.startswith(LIBRARIES)]
    if not own or _ours(error):
        return told
    return f"{told} (your line {own[-1].lineno}: {_cut(own[-1].line or '')})"


def _cut(text: str, most: int = 60) -> str:
    return text if len(text) < most else f"{text[: most - 3]}..."


def _ours(error: BaseException) -> bool:
    """Whether a check raised the error inside the reader's call: it speaks for itself."""
    frames = extract_tb(error.__traceback__)
    return len(frames) > 1 and frames[-1].filename.startswith(HERE)


def _copied(value: Any) -> Any:
    if isinstance(value, Tensor | np.ndarray):
        return value.clone() if isinstance(value, Tensor) else value.copy()
    return type(value)(map(_copied, value)) if type(value) in (list, tuple) else value


def _sketched(value: Any) -> str:
    """An argument in a few letters: an array by its shape, a number as it is."""
    if isinstance(value, Tensor | np.ndarray):
        return f"{kind(value)} {tuple(value.shape)}"
    if type(value) in (list, tuple) and not all(isinstance(x, Real | str) for x in value):
        return f"{kind(value)} of {len(value)}"
    return short(value) if isinstance(value, Real | str | list | tuple) else kind(value)
