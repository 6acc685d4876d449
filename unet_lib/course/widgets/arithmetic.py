"""The sizes and the receptive field of a U-Net, to play with (chapter 1)."""

import traitlets

from unet_lib.course.widgets.base import Widget


class ArithmeticWidget(Widget, files="arithmetic"):
    """A U whose sizes follow the reader's settings, with the receptive field beside it.

    The traits are the settings: `size` (8 to 1200 pixels), `depth` (1 to 5), `padding`, `kernel`
    (3 or 5), `convolutions` in a block (1 to 3), `upsampling`, and `width`, the channels of the
    first stage. Raises traitlets.TraitError for a value out of range.

    >>> ArithmeticWidget(depth=3)
    ArithmeticWidget(size=572, depth=3, padding='valid')
    """

    size = traitlets.Int(572, min=8, max=1200).tag(sync=True)
    depth = traitlets.Int(4, min=1, max=5).tag(sync=True)
    padding = traitlets.Enum(["valid", "same"], "valid").tag(sync=True)
    kernel = traitlets.Enum([3, 5], 3).tag(sync=True)
    convolutions = traitlets.Int(2, min=1, max=3).tag(sync=True)
    upsampling = traitlets.Enum(["transposed", "bilinear"], "transposed").tag(sync=True)
    width = traitlets.Int(64, min=1).tag(sync=True)

    def __repr__(self) -> str:
        return f"ArithmeticWidget(size={self.size}, depth={self.depth}, padding={self.padding!r})"
