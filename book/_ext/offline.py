"""No page asks another server: libraries are copied into the built book, and none is left out.

The libraries come from npm (package.json, package-lock.json) and are copied at build time, never
committed. Pages work from a server without a network, and straight from the disk (file://).
"""

import shutil
from pathlib import Path

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.errors import ExtensionError

# What the browser loads: (file or pattern under node_modules, folder under _static/vendor)
LIBRARIES = [
    ("mathjax/es5/tex-chtml.js", "mathjax"),
    ("mathjax/es5/input/tex/extensions/*.js", "mathjax/input/tex/extensions"),
    ("mathjax/es5/output/chtml/fonts/woff-v2/*.woff", "mathjax/output/chtml/fonts/woff-v2"),
    ("mathjax/LICENSE", "mathjax"),
    ("@fontsource-variable/source-sans-3/files/*-latin-wght-normal.woff2", "fonts"),
    ("@fontsource-variable/source-sans-3/files/*-latin-wght-italic.woff2", "fonts"),
    ("@fontsource-variable/source-sans-3/LICENSE", "fonts"),
    ("onnxruntime-web/dist/ort.wasm.bundle.min.mjs", "ort"),
    ("onnxruntime-web/dist/ort-wasm-simd-threaded.wasm", "ort"),
]


# Search shows the text around a hit only where it may read pages: from a server.
SEARCH = 'if (location.protocol === "file:") DOCUMENTATION_OPTIONS.SHOW_SEARCH_SUMMARY = false;'


def copy_libraries(app: Sphinx, _error: Exception | None) -> None:
    """Copy the browser's libraries from node_modules into the built book."""
    if app.builder.format != "html":
        return
    vendor = Path(app.outdir) / "_static" / "vendor"
    for pattern, folder in LIBRARIES:
        found = sorted((Path(app.srcdir) / "node_modules").glob(pattern))
        if not found:
            raise ExtensionError(
                f"node_modules/{pattern} is missing: remove the folder node_modules and run "
                "`make book`, which fetches it anew"
            )
        (vendor / folder).mkdir(parents=True, exist_ok=True)
        for path in found:
            shutil.copy2(path, vendor / folder / path.name)


def drop_unused(app: Sphinx, pagename: str, templatename: str, context: dict, doctree) -> None:
    """Drop scripts without use: sphinx-thebe's (they clash), MathJax where there is no formula."""
    unused = ["thebe"] if has_formula(doctree) else ["thebe", "mathjax", "MathJax"]
    context["script_files"] = [
        script
        for script in context.get("script_files", [])
        if not any(name in describe(script) for name in unused)
    ]


def has_formula(doctree: nodes.document | None) -> bool:
    """Say whether a page has a formula of its own (Sphinx also asks the pages below it)."""
    return doctree is not None and any(
        isinstance(node, nodes.math | nodes.math_block) for node in doctree.findall()
    )


def describe(script) -> str:
    """Return the name of a script, or its text where it stands in the page itself."""
    return f"{getattr(script, 'filename', script)} {getattr(script, 'attributes', {}).get('body')}"


def setup(app: Sphinx) -> dict:
    """Connect all steps to the build."""
    app.connect("build-finished", copy_libraries)
    app.add_js_file(None, body=SEARCH)
    app.connect("html-page-context", drop_unused, priority=900)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
