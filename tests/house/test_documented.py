"""Every public name of unet_lib has types, a description and an example that runs."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
MODULES = sorted(path for path in (ROOT / "unet_lib").rglob("*.py"))
Function = ast.FunctionDef | ast.AsyncFunctionDef


def public(body: list[ast.stmt], kinds: type | tuple) -> list:
    """Return the definitions whose names do not start with an underscore."""
    return [node for node in body if isinstance(node, kinds) and not node.name.startswith("_")]


def untyped(function: Function) -> list[str]:
    """Name the arguments without a type, and the result if it has none."""
    arguments = function.args
    every = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]
    every += [extra for extra in (arguments.vararg, arguments.kwarg) if extra]
    found = [a.arg for a in every if a.annotation is None and a.arg not in ("self", "cls")]
    return found + (["the result"] if function.returns is None else [])


def faults(tree: ast.Module, examples: bool) -> list[str]:
    """List what is missing in a module, one line each."""
    found = [] if ast.get_docstring(tree) else ["the module has no docstring"]
    for node in public(tree.body, (ast.FunctionDef, ast.ClassDef)):
        text = ast.get_docstring(node) or ""
        if examples and ">>>" not in text and not node.name.endswith(("Error", "Warning")):
            found.append(f"{node.name}: no example (>>>) in its docstring")
        functions = [node] if isinstance(node, Function) else methods(node)
        for function in functions:
            name = node.name if function is node else f"{node.name}.{function.name}"
            if function.name != "__init__" and not ast.get_docstring(function):
                found.append(f"{name}: no docstring")
            found += [f"{name}: no type on {missing}" for missing in untyped(function)]
    return found


def methods(node: ast.ClassDef) -> list[Function]:
    """Return the public methods of a class, and its constructor."""
    constructor = [f for f in node.body if isinstance(f, Function) and f.name == "__init__"]
    return constructor + public(node.body, ast.FunctionDef)


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_public_names_are_typed_and_documented(path: Path) -> None:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    # the broken set-ups of the clinic are examples themselves: tests/doctor runs each of them
    examples = path.name != "__main__.py" and not path.stem.endswith("_cases")
    found = faults(tree, examples)
    assert not found, "\n".join(["", *found])


def test_the_check_itself_finds_each_fault() -> None:
    source = "def f(x): ...\nclass C:\n    'A >>> b.'\n    def m(self) -> None: ...\n"
    assert faults(ast.parse(source), examples=True) == [
        "the module has no docstring",
        "f: no example (>>>) in its docstring",
        "f: no docstring",
        "f: no type on x",
        "f: no type on the result",
        "C.m: no docstring",
    ]
