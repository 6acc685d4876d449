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
    # Entries of a list are its items; the role for bibliographies has been withdrawn.
    (r'role="doc-biblioentry"', 'role="listitem"'),
]

# Sphinx writes a signature of several lines as a list of definitions without a term.
SIGNATURE = re.compile(r'<dt class="sig .*?</dt>', re.DOTALL)
PARAMETERS = {
    "<dl>": '<span class="sig-lines">',
    "<dd>": "<span>",
    "</dd>": "</span>",
    "</dl>": "</span>",
}


def unlist(signature: re.Match) -> str:
    """Turn the list of definitions in a signature into plain lines."""
    return re.sub("</?d[ld]>", lambda tag: PARAMETERS[tag[0]], signature[0])


def mend(app: Sphinx, pagename: str, templatename: str, context: dict, doctree) -> None:
    """Mend the text of a page before it is put into the theme's frame."""
    body = SIGNATURE.sub(unlist, context.get("body", ""))
    for pattern, replacement in MENDS:
        body = re.sub(pattern, replacement, body)
    context["body"] = body


def setup(app: Sphinx) -> dict:
    """Connect the step to the build."""
    app.connect("html-page-context", mend)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
