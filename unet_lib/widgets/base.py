"""What all widgets share: the frame of their JavaScript, and their look."""

from pathlib import Path

FOLDER = Path(__file__).parent


def script(name: str) -> str:
    """The ES module of a widget, complete: common.js and its own.

    >>> script("arithmetic").startswith("// What all widgets share")
    True
    """
    return _read("common.js") + _read(f"{name}.js")


def style(name: str) -> str:
    """The look of a widget: common.css, and its own where it has one.

    >>> ".uw-field" in style("arithmetic")
    True
    """
    return _read("common.css") + _read(f"{name}.css")


def _read(name: str) -> str:
    path = FOLDER / name
    return path.read_text(encoding="utf-8") if path.exists() else ""
