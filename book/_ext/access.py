"""Small repairs of the pages for those who listen to them, or move through them by keyboard.

Sphinx and its theme do nearly everything right; what axe finds on their pages is mended here, and
tests/book/test_access.py asks axe about every page.
"""

import re
from collections.abc import Callable

from sphinx.application import Sphinx

MENDS = [
    # A corner of a table that heads nothing is no header.
    (r'<th class="head( stub)?"><p></p></th>', "<td></td>"),
    # A fold is named by the words that it shows.
    (r' aria-label="Toggle hidden content"', ""),
    # What a check of an exercise says is a sentence, and wraps as one.
    (r"<pre>(?=(<span></span>)?(Right|Not yet): )", '<pre class="told">'),
    # Entries of a list are its items; the role for bibliographies has been withdrawn.
    (r'role="doc-biblioentry"', 'role="listitem"'),
]

# In the contents, the fold behind a chapter: an arrow alone.
FOLD = re.compile(r">([^<>]+)(</a>\s*<details[^>]*>\s*<summary)>")


def mend(app: Sphinx, pagename: str, templatename: str, context: dict, doctree) -> None:
    """Mend the text of a page before it is put into the theme's frame."""
    for pattern, replacement in MENDS:
        context["body"] = re.sub(pattern, replacement, context.get("body", ""))


def name_folds(app: Sphinx, pagename: str, templatename: str, context: dict, doctree) -> None:
    """Name each fold of the contents by its chapter."""
    draw: Callable = context["generate_toctree_html"]

    def named(match: re.Match) -> str:
        title = match[1].strip().replace('"', "&quot;")
        return f'>{match[1]}{match[2]} aria-label="Pages of {title}">'

    context["generate_toctree_html"] = lambda **options: FOLD.sub(named, str(draw(**options)))


def setup(app: Sphinx) -> dict:
    """Connect the steps to the build."""
    app.connect("html-page-context", mend)
    app.connect("html-page-context", name_folds, priority=900)  # after the theme's own
    return {"parallel_read_safe": True, "parallel_write_safe": True}
