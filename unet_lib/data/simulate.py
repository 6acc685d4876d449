"""Simulated fluorescence nuclei with instance labels: data without a download (chapter 3).

Each image draws a look of its own (size, crowding, brightness, focus, exposure) from wide
ranges, so that a network trained on many of them has seen more than one microscope.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int32, UInt8
from numpy.random import Generator
from scipy.ndimage import gaussian_filter, zoom

from unet_lib.data.simulated import Simulated

MINIMUM_PIXELS = 12  # smaller scraps, mostly cut off by the image border, are no instance
VISIBLE = 0.7  # a nucleus may be covered by older ones up to 30 %


@dataclass(frozen=True)
class Look:
    """What the nuclei of one image have in common. Lengths in pixels, brightness 1 = typical.

    >>> draw_look(np.random.default_rng(0)) == draw_look(np.random.default_rng(0))
    True
    """

    radius: float
    spread: float  # standard deviation of log radius
    axis_ratio: float  # mean of short over long axis
    wobble: float  # amplitude of the outline's waves, as a share of the radius
    coverage: float  # share of the image to be covered by nuclei
    clustering: float  # probability that a nucleus touches another one
    contrast: float  # standard deviation of log brightness between nuclei
    dividing: float  # share of nuclei that divide: smaller, and several times as bright
    texture: float  # standard deviation of brightness within a nucleus
    dome: float  # how much darker the rim is than the middle
    blur: float  # standard deviation of the point spread function
    haze: float  # share of out-of-focus light
    litter: int  # faint unlabeled shapes: fibers, debris, cells out of focus
    background: float  # mean brightness outside the nuclei
    photons: float  # photons in a pixel of brightness 1
    read_noise: float  # standard deviation, in photons
    peak: float  # gray value of brightness 1


def draw_look(rng: Generator) -> Look:
    """Draws the look of one image; all ranges of the simulator stand here.

    >>> 3 <= draw_look(np.random.default_rng(0)).radius <= 26
    True
    """

    def log_uniform(low: float, high: float) -> float:
        return float(np.exp(rng.uniform(np.log(low), np.log(high))))

    radius = log_uniform(3.5, 24)
    return Look(
        radius=radius,
        spread=rng.uniform(0.05, 0.3),
        axis_ratio=rng.uniform(0.6, 0.9),
        wobble=rng.uniform(0.01, 0.06),
        coverage=log_uniform(0.02, 0.4),
        clustering=rng.uniform(0, 0.7),
        contrast=rng.uniform(0.05, 0.6),
        dividing=rng.uniform(0, 0.08),
        texture=rng.uniform(0.03, 0.3),
        dome=rng.uniform(0, 0.75),
        blur=min(log_uniform(0.5, 2.5), 0.25 * radius),
        haze=rng.uniform(0, 0.25),
        litter=int(rng.integers(0, 9)),
        background=log_uniform(0.01, 0.3),
        photons=log_uniform(20, 1000),
        read_noise=rng.uniform(0.5, 4),
        peak=log_uniform(25, 250),
    )


def simulate_nuclei(
    seed: int, index: int = 0, size: tuple[int, int] = (128, 128)
) -> tuple[UInt8[np.ndarray, "H W"], Int32[np.ndarray, "H W"]]:
    """An image of fluorescent nuclei and its instance labels.

    The same seed and index give the same image on every machine. Returns the image, gray
    values 0 to 255, and the labels, 0 for background and 1..n for the nuclei. `size` is
    (height, width). Raises ValueError for a size under 16 pixels.

    >>> image, labels = simulate_nuclei(seed=0, index=1, size=(64, 96))
    >>> image.shape, image.dtype, bool(labels.max() > 0)
    ((64, 96), dtype('uint8'), True)
    """
    if min(size) < 16:
        raise ValueError(f"size must be at least 16x16 pixels, got {size[0]}x{size[1]}")
    rng = np.random.default_rng([seed, index])
    look = draw_look(rng)
    brightness, labels = _place_nuclei(rng, look, size)
    return _expose(rng, look, brightness, _litter(rng, look, size)), labels


def _place_nuclei(
    rng: Generator, look: Look, size: tuple[int, int]
) -> tuple[Float[np.ndarray, "H W"], Int32[np.ndarray, "H W"]]:
    """Adds nuclei until enough of the image is covered; light of overlapping ones adds up."""
    brightness, labels = np.zeros(size), np.zeros(size, dtype=np.int32)
    placed: list[tuple[float, float, float]] = []  # row, column, radius
    wanted = look.coverage * labels.size
    tries = 10 + int(4 * wanted / look.radius**2)
    for _ in range(tries):
        if np.count_nonzero(labels) >= wanted:
            break
        radius = look.radius * np.exp(look.spread * rng.standard_normal())
        light = np.exp(look.contrast * rng.standard_normal())
        if rng.random() < look.dividing:
            radius, light = 0.75 * radius, light * rng.uniform(2, 5)
        row, column = _center(rng, look, placed, radius, size)
        ratio = np.clip(look.axis_ratio + 0.1 * rng.standard_normal(), 0.45, 1.0)
        window, shape = _nucleus(rng, look, (row, column), radius, ratio, size)
        free = (shape > 0) & (labels[window] == 0)
        if free.sum() < max(MINIMUM_PIXELS, VISIBLE * np.count_nonzero(shape)):
            continue
        placed.append((row, column, radius))
        brightness[window] += shape * light
        labels[window][free] = len(placed)
    return brightness, labels


def _center(
    rng: Generator,
    look: Look,
    placed: list[tuple[float, float, float]],
    radius: float,
    size: tuple[int, int],
) -> tuple[float, float]:
    """Anywhere, a little outside too; or beside a nucleus that is already there."""
    if placed and rng.random() < look.clustering:
        row, column, other = placed[rng.integers(len(placed))]
        angle, distance = rng.uniform(0, 2 * np.pi), (radius + other) * rng.uniform(0.8, 1.05)
        return row + distance * np.sin(angle), column + distance * np.cos(angle)
    margin = radius / 2
    return rng.uniform(-margin, size[0] + margin), rng.uniform(-margin, size[1] + margin)


def _nucleus(
    rng: Generator,
    look: Look,
    center: tuple[float, float],
    radius: float,
    ratio: float,
    size: tuple[int, int],
) -> tuple[tuple[slice, slice], Float[np.ndarray, "h w"]]:
    """The window around one nucleus and its brightness there: a wobbling ellipse, 0 outside."""
    long, short = radius / np.sqrt(ratio), radius * np.sqrt(ratio)
    turn, phases = rng.uniform(0, np.pi), rng.uniform(0, 2 * np.pi, 4)
    waves = look.wobble * rng.standard_normal(4) / np.sqrt([1, 2, 3, 4])  # smooth: low waves lead
    reach = int(1.4 * long) + 2
    rows, columns = (
        slice(min(max(int(c) - reach, 0), n), min(max(int(c) + reach + 1, 0), n))
        for c, n in zip(center, size, strict=True)
    )
    y, x = np.ogrid[rows, columns]
    y, x = y - center[0], x - center[1]
    u = (x * np.cos(turn) + y * np.sin(turn)) / long
    v = (y * np.cos(turn) - x * np.sin(turn)) / short
    angle = np.arctan2(v, u)
    outline = 1 + sum(
        w * np.cos(k * angle + p) for k, (w, p) in enumerate(zip(waves, phases, strict=True), 2)
    )
    distance = np.hypot(u, v) / np.maximum(outline, 0.3)
    return (rows, columns), np.where(distance <= 1, 1 - look.dome * distance**2, 0.0)


def _smooth_noise(rng: Generator, size: tuple[int, int], scale: float) -> np.ndarray:
    """Random field of mean 0 and standard deviation 1 that varies over about `scale` pixels."""
    step = max(1, int(scale))  # made coarse and enlarged: the cost does not grow with the scale
    coarse = rng.standard_normal([n // step + 4 for n in size])
    field = zoom(gaussian_filter(coarse, max(scale / step, 0.5)), step, order=1)
    field = field[: size[0], : size[1]]
    return (field - field.mean()) / field.std()


def _litter(rng: Generator, look: Look, size: tuple[int, int]) -> Float[np.ndarray, "H W"]:
    """Light of things that are no nuclei: faint, blurred, from round to long and thin."""
    light = np.zeros(size)
    for _ in range(look.litter):
        center = (rng.uniform(0, size[0]), rng.uniform(0, size[1]))
        radius, ratio = look.radius * rng.uniform(0.5, 1.5), np.exp(rng.uniform(-3.5, 0))
        window, shape = _nucleus(rng, look, center, radius, ratio, size)
        light[window] += shape * rng.uniform(0.05, 0.3)
    return gaussian_filter(light, min(rng.uniform(0.1, 0.6) * look.radius, 8.0))


def _expose(
    rng: Generator, look: Look, brightness: np.ndarray, litter: np.ndarray
) -> UInt8[np.ndarray, "H W"]:
    """Texture, background, blur, photon and read noise, and the camera's 8 bits."""
    size = brightness.shape
    grain = 0.7 * _smooth_noise(rng, size, 1.0) + 0.7 * _smooth_noise(rng, size, look.radius / 4)
    light = brightness * np.maximum(1 + look.texture * grain, 0.1)
    light = gaussian_filter(light, look.blur) + litter
    haze = look.haze * gaussian_filter(light, min(look.radius, 16.0))
    uneven = np.maximum(1 + 0.6 * _smooth_noise(rng, size, max(size) / 4), 0)
    photons = look.photons * np.maximum(light + haze + look.background * uneven, 0)
    counted = rng.poisson(photons) + look.read_noise * rng.standard_normal(size)
    gray = look.peak * counted / look.photons
    return np.clip(np.rint(gray), 0, 255).astype(np.uint8)


class SimulatedNuclei(Simulated):
    """`length` simulated images of nuclei; image i is `simulate_nuclei(seed, i, size)`.

    Nothing is stored: wrap it in `unet_lib.data.cached` to simulate each image once. `size` is
    (height, width), 128 x 128 if not given; options as in `SegmentationDataset`.

    >>> nuclei = SimulatedNuclei(length=8, seed=1, size=(64, 64))
    >>> image, labels = nuclei[0]
    >>> image.shape, labels.shape
    (torch.Size([1, 64, 64]), torch.Size([64, 64]))
    """

    default_size = (128, 128)

    def load(self, index: int) -> tuple[UInt8[np.ndarray, "H W"], Int32[np.ndarray, "H W"]]:
        """Image uint8 (H, W) and instance labels int32 (H, W)."""
        return simulate_nuclei(self.seed, index, self.size)
