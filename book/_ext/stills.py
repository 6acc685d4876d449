"""The still of a widget stands behind it: for paper, and for readers without JavaScript.

A stored widget comes as two kinds of one output, its view and its photograph (tools/stills.py), of
which MyST-NB takes the first alone. book/_static/book.css hides the still where a widget is drawn.
"""

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.transforms.post_transforms import SphinxPostTransform

VIEW = "application/vnd.jupyter.widget-view+json"


class KeepStills(SphinxPostTransform):
    """Lay the photograph of each widget into the view, before MyST-NB chooses one of them."""

    default_priority = 3  # its own SelectMimeType has 4
    formats = ("html",)

    def run(self, **options: object) -> None:
        """Move the images."""
        for bundle in self.document.findall(nodes.container):
            kinds = {part.get("mime_type"): part for part in bundle.children if part.children}
            if VIEW in kinds and "image/png" in kinds:
                still = kinds["image/png"].children[0]
                still["classes"] += ["still", "no-scaled-link"]
                still["loading"] = "lazy"  # not at all, unless somebody prints
                still.attributes.pop("height", None)  # it follows the width, on a phone as well
                kinds[VIEW].append(still)


def setup(app: Sphinx) -> dict:
    """Connect the step to the build."""
    app.add_post_transform(KeepStills)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
