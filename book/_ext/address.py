"""The address at which the book is published: the variable BOOK_URL, or `html: baseurl`.

With it, pages name their canonical address and previews of shared links find their picture.
Without it the book is the same otherwise.
"""

import os
import re
from pathlib import Path

from sphinx.application import Sphinx
from sphinx.config import Config
from sphinx.errors import ConfigError

DOOR = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8" />
<meta http-equiv="refresh" content="0; url={first}" />
{tags}
</head>
<body><a href="{first}">{title}</a></body>
</html>
"""


def set_address(app: Sphinx, config: Config) -> None:
    """Hand the address to Sphinx and to the extension that writes the previews."""
    address = os.environ.get("BOOK_URL") or config.html_baseurl
    if address and not re.fullmatch(r"https?://[^\s?#]+", address):
        raise ConfigError(
            f"BOOK_URL (or html: baseurl) is {address!r}; the address of the published book was "
            "expected, such as https://example.org/book"
        )
    config.html_baseurl = config.ogp_site_url = f"{address.rstrip('/')}/" if address else ""


def write_door(app: Sphinx, error: Exception | None) -> None:
    """Let the file index.html, which leads to the first page, have that page's preview."""
    if error or app.builder.format != "html":
        return
    first = app.builder.get_target_uri(app.config.root_doc)
    page = (Path(app.outdir) / first).read_text(encoding="utf-8")
    tags = re.findall(
        r'<title>.*?</title>|<meta (?:property="og:|name="(?:des|tw)).*?>', page, re.S
    )
    text = DOOR.format(first=first, tags="\n".join(tags), title=app.config.html_title)
    (Path(app.outdir) / "index.html").write_text(text, encoding="utf-8")


def setup(app: Sphinx) -> dict:
    """Set the address before anything reads it, and write index.html last."""
    app.connect("config-inited", set_address)
    app.connect("build-finished", write_door, priority=900)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
