"""The sizes and the receptive field of a U-Net, to play with (chapter 1)."""

import traitlets
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from unet_lib.course.widgets.base import Widget, script, style
from unet_lib.model.sizes import receptive_field, trace_sizes
from unet_lib.plots.show import PALETTE

BLUE, ORANGE, GREEN, GRAY = (PALETTE[name] for name in ("blue", "orange", "green", "gray"))


class ArithmeticWidget(Widget):
    """A U whose sizes follow the reader's settings, with the receptive field beside it.

    The traits are the settings: `size` (8 to 1200 pixels), `depth` (1 to 5), `padding`, `kernel`
    (3 or 5), `convolutions` in a block (1 to 3), `upsampling`, and `width`, the channels of the
    first stage. Raises traitlets.TraitError for a value out of range.

    >>> widget = ArithmeticWidget(size=572, depth=4)
    >>> widget.output_size, widget.receptive_field
    (388, 204)
    """

    _esm = script("arithmetic")
    _css = style("arithmetic")
    size = traitlets.Int(572, min=8, max=1200).tag(sync=True)
    depth = traitlets.Int(4, min=1, max=5).tag(sync=True)
    padding = traitlets.Enum(["valid", "same"], "valid").tag(sync=True)
    kernel = traitlets.Enum([3, 5], 3).tag(sync=True)
    convolutions = traitlets.Int(2, min=1, max=3).tag(sync=True)
    upsampling = traitlets.Enum(["transposed", "bilinear"], "transposed").tag(sync=True)
    width = traitlets.Int(64, min=1).tag(sync=True)

    def __repr__(self) -> str:
        return f"ArithmeticWidget(size={self.size}, depth={self.depth}, padding={self.padding!r})"

    @property
    def output_size(self) -> int | None:
        """Pixels of the output, None where the input is not admissible."""
        trace = trace_sizes(self.size, self.depth, self.padding, self.kernel, self.convolutions)
        return None if trace.problem else trace.decoder[-1][1]

    @property
    def receptive_field(self) -> int:
        """Pixels of the widest window that one output pixel can depend on."""
        return receptive_field(self.depth, self.convolutions, self.kernel, self.upsampling)

    def still(self) -> Figure:
        """The present state as a picture for paper.

        >>> [axes.get_title() for axes in ArithmeticWidget().still().axes]
        ['572 → 388 pixels', 'receptive field 204']
        """
        figure = Figure(figsize=(8, 0.6 * self.depth + 0.8), layout="constrained")
        u, field = figure.subplots(1, 2, width_ratios=[3.2, 1])
        self._draw_u(u)
        squares = [(self.size, GRAY, "-", f"input {self.size}")]
        squares += [(self.receptive_field, ORANGE, "-", "receptive field")]
        if self.output_size:
            squares += [(self.output_size, GREEN, "--", f"output {self.output_size}")]
        for n, color, line, label in squares:
            box = Rectangle(
                (-n / 2, -n / 2), n, n, fill=False, ec=color, ls=line, lw=2, label=label
            )
            field.add_patch(box)
        limit = 0.52 * max(n for n, *_ in squares)
        field.set(xlim=(-limit, limit), ylim=(-limit, limit), aspect="equal")
        field.set_title(f"receptive field {self.receptive_field}", fontsize=10)
        field.legend(loc="upper center", bbox_to_anchor=(0.5, 0), frameon=False, fontsize=8)
        field.axis("off")
        return figure

    def _draw_u(self, axes: Axes) -> None:
        trace = trace_sizes(self.size, self.depth, self.padding, self.kernel, self.convolutions)
        for stage, sizes in enumerate(trace.encoder):
            bottom = stage == self.depth
            x = 2.5 if bottom else 0.25 * stage
            self._draw_block(axes, x, stage, sizes, ORANGE if bottom else BLUE)
        for i, sizes in enumerate(trace.decoder):
            stage = self.depth - 1 - i
            x = 5 - 0.25 * stage
            self._draw_block(axes, x, stage, sizes, GREEN)
            axes.plot([0.25 * stage + 1.15, x - 0.1], [-stage, -stage], "--", color=BLUE, lw=1)
        axes.set(xlim=(-0.05, 6), ylim=(-self.depth - 0.4, 0.4))
        title = trace.problem or f"{self.size} → {self.output_size} pixels"
        axes.set_title(title, fontsize=10, color="#A84300" if trace.problem else "black")
        axes.axis("off")

    def _draw_block(
        self, axes: Axes, x: float, stage: int, sizes: tuple[int, int], color: str
    ) -> None:
        for i, n in enumerate(sizes):
            height = max(0.05, 0.7 * n / self.size)
            axes.add_patch(Rectangle((x + 0.12 * i, -stage - height / 2), 0.08, height, fc=color))
        words = f"{sizes[0]} → {sizes[1]}\n{self.width * 2**stage} channels"
        axes.text(x + 0.28, -stage, words, va="center", fontsize=8)
