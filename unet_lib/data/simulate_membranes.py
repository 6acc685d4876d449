"""Simulated slices of nerve tissue with membranes between cells, without a download (chapter 14).

Like the sections of ISBI 2012, the slices of one seed are neighbors: cuts through one block of
cells. A cell is all that is nearer to its center than to any other (Voronoi, 1908), in a space
that is bent by waves. A slice is about as thick as the distance to the next, so membranes that are
cut at a slant look blurred. Dark bodies and dots in the cells are no membranes.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int32, UInt8
from numpy.random import Generator
from scipy.ndimage import gaussian_filter, label
from scipy.spatial import KDTree

from unet_lib.data.simulated import Simulated

SECTION = 5.0  # pixels from slice to slice: little, as if the cells were long and cut across
SPACING = 50.0  # pixels: one cell in a cube of this side, on average
SLAB = 160.0  # pixels: cells and bodies are drawn slab by slab, so that a stack has no end
THICK = 5.0  # pixels of a labeled membrane, cut straight
LAYERS = (-2.0, 0.0, 2.0)  # pixels: a slice is the mean of three cuts
BODIES = 0.35  # dark bodies for each cell
DOTS = 0.005  # in a pixel
SMALLEST = 60  # pixels: smaller scraps, where a wall is cut at a slant, count as membrane


class _Slab(NamedTuple):
    """Depth, row and column of what lies in a part of the block."""

    cells: Float[np.ndarray, "n 3"]
    bodies: Float[np.ndarray, "m 3"]
    radii: Float[np.ndarray, "m 3"]
    turns: Float[np.ndarray, " m"]


def simulate_membranes(
    seed: int, index: int = 0, size: tuple[int, int] = (256, 256)
) -> tuple[UInt8[np.ndarray, "H W"], Int32[np.ndarray, "H W"]]:
    """A slice of simulated nerve tissue, and its mask.

    The same seed and index give the same slice on every machine; slices of one seed whose indices
    are near show nearly the same. Returns gray values 0 to 255, and 1 in cells, 0 in membranes,
    which are dark. `size` is (height, width). Raises ValueError for a size under 16 pixels and an
    index below 0.

    >>> image, cells = simulate_membranes(seed=0, index=1, size=(64, 96))
    >>> image.shape, image.dtype, np.unique(cells).tolist()
    ((64, 96), dtype('uint8'), [0, 1])
    """
    if min(size) < 16:
        raise ValueError(f"size must be at least 16x16 pixels, got {size[0]}x{size[1]}")
    if index < 0:
        raise ValueError(f"index must be at least 0, the first slice of the stack, got {index}")
    depth = SECTION * index
    slab = _around(seed, depth, size)
    tree, waves = KDTree(slab.cells), _waves(seed)
    cuts = [_gaps(tree, waves, depth + layer, size) for layer in LAYERS]
    dark = np.mean([np.exp(-((gap / 2.5) ** 2)) for gap in cuts], axis=0)
    middle = cuts[len(LAYERS) // 2]
    image = _expose(np.random.default_rng([seed, index]), dark, _bodies(slab, depth, middle))
    return image, _without_scraps(middle > THICK / 2)


def _without_scraps(cells: Bool[np.ndarray, "H W"]) -> Int32[np.ndarray, "H W"]:
    pieces = label(cells)[0]
    return (cells & (np.bincount(pieces.ravel())[pieces] >= SMALLEST)).astype(np.int32)


def _around(seed: int, depth: float, size: tuple[int, int]) -> _Slab:
    """All that may be seen at a depth: the slab that holds it and its two neighbors."""
    here = int(depth // SLAB) + 1
    slabs = [_draw(seed, number, size) for number in (here - 1, here, here + 1)]
    return _Slab(*(np.concatenate(parts) for parts in zip(*slabs, strict=True)))


def _draw(seed: int, number: int, size: tuple[int, int]) -> _Slab:
    """One slab; it reaches beyond the edges of the image, so that cells there are like others."""
    rng = np.random.default_rng([seed, number, 1])
    low = np.array([(number - 1) * SLAB, -SPACING, -SPACING])
    high = np.array([number * SLAB, size[0] + SPACING, size[1] + SPACING])
    count = int(np.prod(high - low) / SPACING**3)
    cells = rng.uniform(low, high, (count, 3))
    bodies = cells[: int(BODIES * count)] + rng.normal(0, SPACING / 8, (int(BODIES * count), 3))
    radii = rng.uniform(7, 15, (len(bodies), 3)) * [2, 1, 1]
    return _Slab(cells, bodies, radii, rng.uniform(0, np.pi, len(bodies)))


def _waves(seed: int) -> Float[np.ndarray, "8 7"]:
    """Eight waves that bend the block: three frequencies, a phase, three amplitudes of each."""
    rng = np.random.default_rng([seed, 0, 2])
    frequencies = rng.normal(0, 2 * np.pi / 90, (8, 3)) * [0.5, 1, 1]
    return np.hstack([frequencies, rng.uniform(0, 2 * np.pi, (8, 1)), rng.normal(0, 3, (8, 3))])


def _gaps(
    tree: KDTree, waves: Float[np.ndarray, "8 7"], depth: float, size: tuple[int, int]
) -> Float[np.ndarray, "H W"]:
    """How many pixels each pixel at a depth is away from the wall between the two nearest cells."""
    rows, columns = np.indices(size, dtype=float).reshape(2, -1)
    places = np.stack([np.full(rows.shape, depth), rows, columns], axis=1)
    bends = np.sin(places @ waves[:, :3].T + waves[:, 3]) @ waves[:, 4:]
    near, who = tree.query(places + bends, k=2)
    apart = np.linalg.norm(tree.data[who[:, 0]] - tree.data[who[:, 1]], axis=1)
    return ((near[:, 1] ** 2 - near[:, 0] ** 2) / (2 * apart)).reshape(size)


def _bodies(slab: _Slab, depth: float, gap: np.ndarray) -> Float[np.ndarray, "H W"]:
    """How dark the bodies make each pixel: gray inside, darker at the rim, not beyond a wall."""
    dark = np.zeros(gap.shape)
    for (z, row, column), radii, turn in zip(slab.bodies, slab.radii, slab.turns, strict=True):
        if abs(depth - z) > 1.3 * radii[0]:
            continue
        y, x = np.ogrid[: gap.shape[0], : gap.shape[1]]
        y, x = y - row, x - column
        along = (x * np.cos(turn) + y * np.sin(turn)) / (1.6 * radii[2])
        across = (y * np.cos(turn) - x * np.sin(turn)) / radii[1]
        distance = np.sqrt(along**2 + across**2 + ((depth - z) / radii[0]) ** 2)
        rim = np.exp(-(((distance - 1) * radii[1] / 2) ** 2))
        dark = np.maximum(dark, 0.3 * (distance < 1) + 0.3 * rim)
    return dark * np.clip(gap / 5, 0, 1)


def _expose(rng: Generator, dark: np.ndarray, bodies: np.ndarray) -> UInt8[np.ndarray, "H W"]:
    """Membranes, bodies, dots and texture, in the focus and the light of this slice."""
    size = dark.shape
    dots = 12 * gaussian_filter((rng.random(size) < DOTS).astype(float), 1.7) * (1 - dark)
    texture = gaussian_filter(rng.standard_normal(size), 2) * 0.35
    light = 0.62 - 0.42 * dark - bodies * (1 - dark) - 0.25 * dots + 0.3 * texture
    light = gaussian_filter(light, rng.uniform(0.7, 1.3)) + 0.06 * rng.standard_normal(size)
    gray = 255 * (rng.uniform(-0.06, 0.06) + rng.uniform(0.85, 1.15) * light)
    return np.clip(np.rint(gray), 0, 255).astype(np.uint8)


class SimulatedMembranes(Simulated):
    """`length` neighboring slices of simulated tissue; slice i is `simulate_membranes(seed, i)`.

    As with `ISBI2012`, labels are 1 in cells and 0 in membranes, and neighbors look alike: divide
    them with `blocks`, never at random. Nothing is stored: wrap it in `unet_lib.data.cached` to
    simulate each slice once. `size` is (height, width), 256 x 256 if not given; options as in
    `SegmentationDataset`.

    >>> image, cells = SimulatedMembranes(length=8, seed=1, size=(64, 64))[0]
    >>> image.shape, cells.shape
    (torch.Size([1, 64, 64]), torch.Size([64, 64]))
    """

    default_size = (256, 256)
    num_classes = 2
    one = "slice"

    def load(self, index: int) -> tuple[UInt8[np.ndarray, "H W"], Int32[np.ndarray, "H W"]]:
        """One slice, uint8 (H, W), and its labels int32: 1 in cells, 0 in membranes."""
        return simulate_membranes(self.seed, index, self.size)
