"""The colors of the book, and matplotlib's settings (from chapter 1 on).

The colors are Okabe and Ito's (2008), told apart by color-blind readers; where two of them meet in
an image they differ in lightness as well, for a print in gray.
"""

import matplotlib.pyplot as plt

PALETTE = {
    "blue": "#0072B2",
    "orange": "#E69F00",
    "vermillion": "#D55E00",
    "sky": "#56B4E9",
    "green": "#009E73",
    "purple": "#CC79A7",
    "yellow": "#F0E442",
    "gray": "#777777",
    "black": "#000000",
    # roles
    "truth": "#56B4E9",
    "prediction": "#E69F00",
    "TP": "#EEEEEE",
    "FP": "#D55E00",
    "FN": "#56B4E9",
    "ignore": "#777777",
    # parts of the network: dark enough for words on white
    "encoder": "#0072B2",
    "decoder": "#C0561A",
    "bottleneck": "#5B5F97",
}
"""Colors by name, and by what they stand for."""

LABEL_COLORS = ("orange", "green", "yellow", "purple", "blue", "sky", "vermillion")
"""Colors of labels 1, 2, ...; neighbors differ in lightness. Label 8 has that of label 1."""

LINE_COLORS = ("blue", "orange", "black", "green", "vermillion", "purple")
"""Colors of curves, in this order."""

STYLE = {
    "figure.dpi": 100,
    "figure.figsize": (4.5, 2.8),
    "figure.facecolor": "white",
    "figure.constrained_layout.use": True,
    "font.size": 9,
    "axes.titlesize": 9,
    "axes.labelsize": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.prop_cycle": plt.cycler(color=[PALETTE[name] for name in LINE_COLORS]),
    "legend.fontsize": 8,
    "legend.frameon": False,
    "xtick.labelsize": 8,
    "ytick.labelsize": 8,
    "lines.linewidth": 1.5,
    "image.cmap": "gray",
    "image.interpolation": "nearest",
    "savefig.facecolor": "white",
}
"""What `style` sets."""


def style() -> None:
    """Sets matplotlib for the book, for this session: call it once, in the first cell.

    Small readable letters, a white figure, no wasted margins, pixels shown as squares.

    >>> with plt.rc_context():
    ...     style()
    ...     plt.rcParams["figure.dpi"], plt.rcParams["figure.facecolor"]
    (100.0, 'white')
    """
    plt.rcParams.update(STYLE)
