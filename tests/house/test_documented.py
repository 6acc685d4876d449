"""Every public name of unet_lib has types, a description and, if rooms export it, an example."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
MODULES = sorted((ROOT / "unet_lib").rglob("*.py"))
ROOMS = [path.read_text(encoding="utf-8") for path in MODULES if path.name == "__init__.py"]
EXPORTED = {name for room in ROOMS for name in re.findall(r'"(\w+)"', room)}
Function = ast.FunctionDef | ast.AsyncFunctionDef


def untyped(function: Function) -> list[str]:
    a = function.args
    every = [x for x in (*a.posonlyargs, *a.args, *a.kwonlyargs, a.vararg, a.kwarg) if x]
    found = [x.arg for x in every if x.annotation is None and x.arg not in ("self", "cls")]
    return found + (["the result"] if function.returns is None else [])


def faults(tree: ast.Module, exported: set[str]) -> list[str]:
    """List what public names lack, one line each; ruff looks for docstrings."""
    found = []
    for node in tree.body:
        if not isinstance(node, Function | ast.ClassDef) or node.name.startswith("_"):
            continue
        text = ast.get_docstring(node) or ""
        shown = node.name in exported or node.name.startswith("check_")
        if shown and ">>>" not in text and not node.name.endswith(("Error", "Warning")):
            found.append(f"{node.name}: no example (>>>) in its docstring")
        for function in [node] if isinstance(node, Function) else node.body:
            if isinstance(function, Function) and re.match(r"[^_]|__init__$", function.name):
                found += [f"{node.name}: no type on {missing}" for missing in untyped(function)]
    return found


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_public_names_are_typed_and_documented(path: Path) -> None:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    assert faults(tree, EXPORTED) == []


def test_the_check_itself_finds_each_fault() -> None:
    source = "def f(x): ...\nclass C:\n    'A >>> b.'\n    def m(self, *y) -> None: ...\n"
    assert faults(ast.parse(source), {"f"}) == [
        "f: no example (>>>) in its docstring",
        "f: no type on x",
        "f: no type on the result",
        "C: no type on y",
    ]
