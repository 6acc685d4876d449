"""What `unet_lib` holds and which chapter uses it, read from the source: nothing is imported.

The one place that says which chapter derives a module is the module's own docstring: its words
"(chapter 5)" or "(chapters 1 and 2)". What a chapter uses follows from its code cells' imports.
"""

import ast
import json
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

PACKAGE = "unet_lib"
# The command line documents itself (`--help`), and the clinic's broken set-ups are no tools.
LEFT_OUT = re.compile(rf"{PACKAGE}(\.__main__|\.cli(\..*)?|\.course(\.clinic(\..*)?)?)?")
CHAPTERS = re.compile(r"\bchapters? (\d+[a-d]?(?:(?:, | and | to )\d+[a-d]?)*)")
Function = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass
class Entry:
    """One public name: a class, function, method, property, attribute or constant."""

    name: str  # without its module
    kind: str  # as Sphinx calls it: class, function, method, property, attribute, data
    signature: str
    doc: str
    options: dict[str, str] = field(default_factory=dict)
    members: list["Entry"] = field(default_factory=list)


def unquoted(annotation: ast.expr | None) -> str:
    """Return an annotation as text, without the quotation marks around a forward reference."""
    if isinstance(annotation, ast.Constant) and isinstance(annotation.value, str):
        return annotation.value
    return ast.unparse(annotation) if annotation else ""


def public(name: str) -> bool:
    """Say whether a name is meant for readers."""
    return not name.startswith("_")


def function_entry(node: Function, owner: str = "") -> Entry:
    """Describe a function, or a method of the class `owner`."""
    decorators = [ast.unparse(decorator) for decorator in node.decorator_list]
    first = node.args.posonlyargs + node.args.args
    if owner and first and "staticmethod" not in decorators:
        (node.args.posonlyargs or node.args.args).pop(0)  # self
    doc, result = ast.get_docstring(node) or "", unquoted(node.returns)
    name = f"{owner}.{node.name}" if owner else node.name
    if any(word.endswith("property") for word in decorators):
        return Entry(name, "property", "", doc, {"type": result})
    signature = f"({ast.unparse(node.args)})" + (f" -> {result}" if result else "")
    options = {word: "" for word in ("staticmethod", "classmethod") if word in decorators}
    return Entry(name, "method" if owner else "function", signature, doc, options)


def documented(body: list[ast.stmt]) -> list[tuple[str, ast.Assign | ast.AnnAssign, str]]:
    """Return the public names that are assigned, with the string below each ("" if none)."""
    found = []
    for node, after in zip(body, [*body[1:], None], strict=True):
        target = node.targets[0] if isinstance(node, ast.Assign) else getattr(node, "target", None)
        if isinstance(node, ast.Assign | ast.AnnAssign) and isinstance(target, ast.Name):
            text = after.value if isinstance(after, ast.Expr) else None
            doc = text.value if isinstance(text, ast.Constant) else ""
            if public(target.id):
                found.append((target.id, node, doc))
    return found


def class_entry(node: ast.ClassDef) -> Entry:
    """Describe a class: its constructor's arguments, or its fields, and its public members."""
    fields = [(n, a, d) for n, a, d in documented(node.body) if isinstance(a, ast.AnnAssign)]
    methods = [child for child in node.body if isinstance(child, Function)]
    constructor = [method for method in methods if method.name == "__init__"]
    if constructor:
        signature = function_entry(constructor[0], node.name).signature.partition(" -> ")[0]
    else:
        signature = f"({', '.join(ast.unparse(a) for _, a, _ in fields)})" if fields else ""
    members = [
        Entry(f"{node.name}.{name}", "attribute", "", doc, {"type": unquoted(a.annotation)})
        for name, a, doc in fields
        if doc
    ]
    members += [function_entry(m, node.name) for m in methods if public(m.name)]
    return Entry(node.name, "class", signature, ast.get_docstring(node) or "", {}, members)


class Module:
    """One file of the library: its docstring, its public names, and what it imports."""

    def __init__(self, name: str, path: Path) -> None:
        self.name, self.path = name, path
        self.tree = ast.parse(path.read_text(encoding="utf-8"))
        self.doc = ast.get_docstring(self.tree) or ""

    @cached_property
    def imports(self) -> dict[str, str]:
        """Full names by the names that the module knows them by."""
        return imported(self.tree)

    @cached_property
    def entries(self) -> list[Entry]:
        """Classes and functions in the order of the file, after constants with a description."""
        found = [
            Entry(name, "data", "", doc, {"value": value} if len(value) < 80 else {})
            for name, node, doc in documented(self.tree.body)
            if node.value and (value := ast.unparse(node.value)) and (doc or not name.isupper())
        ]
        for node in self.tree.body:
            if isinstance(node, Function) and public(node.name):
                found.append(function_entry(node))
            elif isinstance(node, ast.ClassDef) and public(node.name):
                found.append(class_entry(node))
        return found


def imported(tree: ast.AST) -> dict[str, str]:
    """Map the names that import statements bind to their full names, those of unet_lib only."""
    found = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == PACKAGE:
            found |= {a.asname or a.name: f"{node.module}.{a.name}" for a in node.names}
    return found


class Library:
    """All modules of the library, and the chapters that derive and use them."""

    def __init__(self, root: Path) -> None:
        self.modules: dict[str, Module] = {}
        for path in sorted((root / PACKAGE).rglob("*.py")):
            parts = path.relative_to(root).with_suffix("").parts
            name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
            self.modules[name] = Module(name, path)
        # "9a" -> notebooks/09a_memory, and the pages that go deeper
        pages: dict[str, list[Path]] = {}
        for path in sorted((root / "notebooks").glob("[0-9]*.ipynb")):
            if not path.stem.startswith("99"):
                pages.setdefault(re.match(r"0?(\d+[a-d]?)", path.stem)[1], []).append(path)
        self.chapters = {
            key: next(path for path in paths if "_deeper_" not in path.stem)
            for key, paths in pages.items()
        }
        self.uses = {
            key: sorted({name for path in paths for name in self._used(path)})
            for key, paths in pages.items()
        }

    def shown(self, name: str) -> bool:
        """Say whether a module has a place on the pages."""
        return not LEFT_OUT.fullmatch(name)

    def within(self, package: str) -> list[Module]:
        """Return a module, and the modules inside it if it is a package."""
        names = [n for n in self.modules if f"{n}.".startswith(f"{package}.") and self.shown(n)]
        return [self.modules[name] for name in names]

    @cached_property
    def names(self) -> set[str]:
        """Full names of everything that has an entry, modules too."""
        shown = [module for name, module in self.modules.items() if self.shown(name)]
        found = {module.name for module in shown}
        for module in shown:
            for entry in module.entries:
                found |= {f"{module.name}.{e.name}" for e in [entry, *entry.members]}
        return found

    def home(self, name: str) -> str:
        """Follow the imports of packages to the module that defines a name."""
        module, _, last = name.rpartition(".")
        inner = self.modules[module].imports.get(last) if module in self.modules else None
        return self.home(inner) if inner and inner != name else name

    def find(self, word: str, module: Module) -> str | None:
        """Return the full name that a word in a docstring of the module means, if it has one."""
        first, _, rest = word.partition(".")
        start = module.imports.get(first, f"{module.name}.{first}")
        candidates = (word, self.home(f"{start}.{rest}" if rest else start))
        return next((name for name in candidates if name in self.names), None)

    def derived(self, module: str) -> list[str]:
        """Return the chapters that a module's docstring names, or else that of its package."""
        while module != PACKAGE:
            found = " ".join(CHAPTERS.findall(self.modules[module].doc))
            if keys := [k for k in re.findall(r"\d+[a-d]?", found) if k in self.chapters]:
                return self.ordered(keys)
            module = module.rpartition(".")[0]
        return []

    def ordered(self, keys: Iterable[str]) -> list[str]:
        """Return chapters in the order of the book, each once."""
        return sorted(set(keys), key=list(self.chapters).index)

    def used_in(self, name: str) -> list[str]:
        """Return the chapters that use a name, by its full name."""
        return [key for key, names in self.uses.items() if name in names]

    def _used(self, path: Path) -> list[str]:
        """Return the full names that a notebook imports, or takes from an imported module."""
        cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
        code = ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]
        tree = ast.parse(re.sub(r"(?m)^([%!].*)", r"# \1", "\n".join(code)))
        known = {alias: self.home(name) for alias, name in imported(tree).items()}
        found = {name for name in known.values() if name not in self.modules}
        for node in ast.walk(tree):
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
                owner = known.get(node.value.id)
                if owner in self.modules:
                    found.add(self.home(f"{owner}.{node.attr}"))
        return sorted(name for name in found if name in self.names)
