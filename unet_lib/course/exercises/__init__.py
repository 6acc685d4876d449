"""Checks for the exercises, a module a chapter (from chapter 1 on): they print what is not right.

>>> from unet_lib.course.exercises import say
>>> say(False, "the list is empty")
Not yet: the list is empty
"""


def say(right: bool, text: str) -> None:
    """Prints one line that teaches, beginning with "Right" or "Not yet".

    >>> say(True, "572 gives 388.")
    Right: 572 gives 388.
    """
    print(f"{'Right' if right else 'Not yet'}: {text}")
