"""The house keeps its shape: imports run downhill, files and functions stay small."""

import ast
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "unet_lib"

MAY_IMPORT: dict[str, set[str]] = {  # each room, and those below that it may know
    "model": set(),
    "transforms": set(),
    "plots": set(),
    "data": {"transforms"},
    "evaluation": {"model", "data", "transforms"},
    "transfer": {"model"},
    "training": {"model", "data", "evaluation"},
    "memory": {"model", "training"},
    "shipping": {"model", "data", "evaluation", "training"},
    "doctor": {"model", "data", "evaluation", "training"},
}
MAY_IMPORT["cli"] = {*MAY_IMPORT} - {"plots"}
MAY_IMPORT["course"] = {*MAY_IMPORT}
MAY_IMPORT["__main__"] = {"cli"}
MOST_ENTRIES = 15
MOST_LEVELS = 7

LONGEST_FUNCTION = 25  # lines of code: without signature, docstring, comments and blank lines
LONGEST_FILE = 300

FILES = sorted(p for p in PACKAGE.rglob("*") if p.suffix in {".py", ".js", ".css"})
SOURCES = [path for path in FILES if path.suffix == ".py"]


def module(path: Path) -> str:
    """Return the dotted name of a file, that of the package for an __init__."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {module(path): path for path in SOURCES}


def imported(tree: ast.Module) -> set[str]:
    """Return the modules that a file imports, wherever in it."""
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module:
            inner = [f"{node.module}.{alias.name}" for alias in node.names]
            found |= {name if name in MODULES else node.module for name in inner}
        elif isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
    return found


def needed(path: Path) -> set[str]:
    """Return the modules of unet_lib that a file needs when it is run."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in ast.walk(tree):  # what only type checkers read is no import
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            node.body = []
    return imported(tree) & MODULES.keys() - {module(path), "unet_lib"}


IMPORTS = {name: needed(path) for name, path in MODULES.items() if name != "unet_lib"}


def room(name: str) -> str:
    return name.split(".")[1]


def test_the_top_is_small() -> None:
    entries = [p for p in PACKAGE.iterdir() if p.name != "__pycache__"]
    assert len(entries) <= MOST_ENTRIES, sorted(p.name for p in entries)
    assert set(map(room, IMPORTS)) == set(MAY_IMPORT)


@pytest.mark.parametrize("name", MAY_IMPORT)
def test_imports_run_downhill(name: str) -> None:
    allowed = {name, *MAY_IMPORT[name]}
    own = {one: others for one, others in IMPORTS.items() if room(one) == name}
    assert [(a, b) for a, others in own.items() for b in others if room(b) not in allowed] == []


def test_no_circle_and_few_levels() -> None:
    rooms: dict[str, set[str]] = {name: set() for name in MAY_IMPORT}
    for name, others in IMPORTS.items():
        rooms[room(name)] |= set(map(room, others)) - {room(name)}
    levels: dict[str, int] = {}
    for name in TopologicalSorter(rooms).static_order():  # raises CycleError
        levels[name] = 1 + max((levels[other] for other in rooms[name]), default=0)
    assert max(levels.values()) <= MOST_LEVELS, levels
    inside = {
        n: {o for o in others if MODULES[o].name != "__init__.py"} for n, others in IMPORTS.items()
    }
    list(TopologicalSorter(inside).static_order())


def lines_of_code(function: ast.FunctionDef, source: list[str]) -> int:
    """Count the lines of a function's body that hold code."""
    body = function.body[1:] if ast.get_docstring(function) is not None else function.body
    if not body:
        return 0
    lines = source[body[0].lineno - 1 : function.end_lineno]
    return sum(bool(line.strip()) and not line.strip().startswith("#") for line in lines)


def shown(path: Path) -> str:
    return str(path.relative_to(PACKAGE))


@pytest.mark.parametrize("path", SOURCES, ids=shown)
def test_functions_are_short(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    functions = [x for x in ast.walk(ast.parse(text)) if isinstance(x, ast.FunctionDef)]
    lengths = [(x.name, lines_of_code(x, text.splitlines())) for x in functions]
    assert [(name, length) for name, length in lengths if length > LONGEST_FUNCTION] == []


@pytest.mark.parametrize("path", FILES, ids=shown)
def test_files_are_short(path: Path) -> None:
    assert len(path.read_text(encoding="utf-8").splitlines()) <= LONGEST_FILE


def test_the_count_is_of_lines_that_hold_code() -> None:
    source = "def f():\n    'Doc.'\n    # no code\n\n    x = 1\n    return x\n"
    assert lines_of_code(ast.parse(source).body[0], source.splitlines()) == 2
