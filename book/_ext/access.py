"""Small repairs of the pages for those who listen to them, or move through them by keyboard.

Sphinx and its theme do nearly everything right; what axe finds on their pages is mended here, and
tests/book/test_access.py asks axe about every page.
"""

import re

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


def mend(app: Sphinx, pagename: str, templatename: str, context: dict, doctree) -> None:
    """Mend the text of a page before it is put into the theme's frame."""
    for pattern, replacement in MENDS:
        context["body"] = re.sub(pattern, replacement, context.get("body", ""))


def setup(app: Sphinx) -> dict:
    """Connect the step to the build."""
    app.connect("html-page-context", mend)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
