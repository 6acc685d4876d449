"""What all widgets share: the frame of their JavaScript, and their look."""

import warnings
from pathlib import Path
from typing import Any

import anywidget
import traitlets

FOLDER = Path(__file__).parent
MOST = 1e6
"""Bytes of pictures that a widget may store before it warns; all of a chapter have that many."""


class Widget(anywidget.AnyWidget):
    """A widget that takes its own traits only, and warns where it makes the notebook heavy.

    Raises traitlets.TraitError for a name that is none of its traits, such as a misspelled one.
    """

    _esm: str
    _css: str

    def __init_subclass__(cls, files: str = "", **options: Any) -> None:
        if files:
            cls._esm, cls._css = script(files), style(files)
        super().__init_subclass__(**options)

    def __init__(self, **traits: Any) -> None:
        if unknown := [name for name in traits if not self.has_trait(name)]:
            own = sorted(set(self.trait_names()) - set(anywidget.AnyWidget.class_trait_names()))
            raise traitlets.TraitError(
                f"{type(self).__name__} has no {', '.join(unknown)}; it has {', '.join(own)}"
            )
        super().__init__(**traits)
        values = [x for v in traits.values() for x in (v if isinstance(v, list) else [v])]
        stored = sum(len(x) for x in values if isinstance(x, bytes | str))
        if stored > MOST:
            warnings.warn(
                f"{type(self).__name__} stores {stored / 1e6:.1f} MB in the notebook, more than "
                f"{MOST / 1e6:g}; show fewer or smaller pictures, or a part of them",
                stacklevel=3,
            )


def check_index(proposal: dict, count: int) -> int:
    """The proposed value of a trait that counts `count` things from 0.

    Raises traitlets.TraitError for one that is beyond them.

    >>> check_index({"trait": Widget.tooltip, "value": 1}, count=2)
    1
    """
    if proposal["value"] < count:
        return proposal["value"]
    name = proposal["trait"].name
    told = f"{name} counts from 0 and there are {count}, got {proposal['value']}"
    raise traitlets.TraitError(told)


def script(name: str) -> str:
    """The ES module of a widget, complete: common.js, what it computes in a file apart, its own.

    >>> script("arithmetic").startswith("// What all widgets share")
    True
    """
    return _read("common.js") + _read(f"{name}_steps.js") + _read(f"{name}.js")


def style(name: str) -> str:
    """The look of a widget: common.css, and its own where it has one.

    >>> ".uw-field" in style("arithmetic")
    True
    """
    return _read("common.css") + _read(f"{name}.css")


def _read(name: str) -> str:
    path = FOLDER / name
    return path.read_text(encoding="utf-8") if path.exists() else ""
