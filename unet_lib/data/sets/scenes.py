"""Drawn scenes with six of VOC's classes: photographs without their licenses (chapters 3, 12).

An object is a few polygons, described in its own coordinates (x to the right and y down, both
from -1 to 1), then mirrored, tilted, scaled and put somewhere.
"""

import numpy as np
from jaxtyping import Float, UInt8
from PIL import Image, ImageDraw
from scipy import ndimage

VOID = 255

Corners = list[tuple[float, float]]


def _ellipse(x: float, y: float, width: float, height: float) -> Corners:
    """The corners of a polygon that looks like an ellipse; width and height are half axes."""
    angles = np.linspace(0, 2 * np.pi, 24, endpoint=False)
    return list(zip(x + width * np.cos(angles), y + height * np.sin(angles), strict=True))


def _box(left: float, top: float, right: float, bottom: float) -> Corners:
    return [(left, top), (right, top), (right, bottom), (left, bottom)]


# Class index -> parts from back to front: color (None: drawn anew for each object) and corners.
OBJECTS = {
    1: [  # aeroplane
        ((225, 228, 232), _ellipse(0, 0, 1, 0.16)),
        ((190, 195, 205), [(-0.1, 0), (0.25, 0), (-0.3, 0.6), (-0.45, 0.6)]),
        ((190, 195, 205), [(0, -0.1), (0.2, -0.1), (-0.2, -0.5), (-0.3, -0.5)]),
        (None, [(-0.95, 0), (-0.65, -0.05), (-0.85, -0.45), (-1, -0.45)]),
    ],
    4: [  # boat
        (None, [(-1, 0.35), (1, 0.35), (0.7, 0.8), (-0.7, 0.8)]),
        ((110, 75, 45), _box(-0.05, -0.9, 0.05, 0.4)),
        ((240, 238, 225), [(0.1, -0.85), (0.8, 0.25), (0.1, 0.25)]),
        ((235, 225, 200), [(-0.1, -0.6), (-0.6, 0.25), (-0.1, 0.25)]),
    ],
    5: [  # bottle
        ((40, 110, 60), _box(-0.1, -0.95, 0.1, -0.2)),
        ((40, 110, 60), _ellipse(0, -0.2, 0.3, 0.25)),
        ((40, 110, 60), _box(-0.3, -0.2, 0.3, 0.95)),
        (None, _box(-0.3, 0.15, 0.3, 0.6)),
        ((200, 170, 60), _box(-0.12, -1, 0.12, -0.85)),
    ],
    7: [  # car
        (None, [(-0.6, 0), (-0.35, -0.4), (0.3, -0.4), (0.6, 0)]),
        ((170, 205, 225), [(-0.45, 0), (-0.28, -0.3), (0.22, -0.3), (0.42, 0)]),
        (None, _box(-1, -0.02, 1, 0.35)),
        ((25, 25, 28), _ellipse(-0.55, 0.35, 0.2, 0.2)),
        ((25, 25, 28), _ellipse(0.55, 0.35, 0.2, 0.2)),
    ],
    15: [  # person
        ((45, 50, 80), [(-0.28, 0.1), (0.28, 0.1), (0.3, 1), (0.08, 1), (0, 0.4), (-0.1, 1)]),
        ((45, 50, 80), [(-0.28, 0.1), (0, 0.4), (-0.1, 1), (-0.3, 1)]),
        ((215, 165, 130), [(-0.3, -0.45), (-0.5, 0.2), (-0.4, 0.25), (-0.2, -0.3)]),
        ((215, 165, 130), [(0.3, -0.45), (0.5, 0.2), (0.4, 0.25), (0.2, -0.3)]),
        (None, _ellipse(0, -0.2, 0.3, 0.42)),
        ((215, 165, 130), _ellipse(0, -0.76, 0.17, 0.22)),
        ((70, 50, 35), _ellipse(0, -0.9, 0.17, 0.1)),
    ],
    16: [  # pottedplant
        ((60, 130, 45), _ellipse(-0.3, -0.2, 0.4, 0.3)),
        ((75, 150, 55), _ellipse(0.3, -0.25, 0.4, 0.3)),
        ((50, 115, 40), _ellipse(0, -0.55, 0.35, 0.4)),
        ((60, 130, 45), _box(-0.06, -0.3, 0.06, 0.4)),
        ((180, 95, 60), [(-0.42, 0.3), (0.42, 0.3), (0.28, 0.95), (-0.28, 0.95)]),
    ],
}
SKIES = ((150, 190, 235), (200, 205, 210), (235, 205, 180), (115, 150, 200))
GROUNDS = ((95, 125, 70), (190, 170, 130), (120, 120, 125), (60, 105, 140))


def draw_scene(
    rng: np.random.Generator, size: tuple[int, int]
) -> tuple[UInt8[np.ndarray, "H W 3"], UInt8[np.ndarray, "H W"]]:
    """One scene and its class indices, with 255 on both sides of every outline.

    Height and width differ from `size` by up to 12 pixels.
    """
    height, width = (side + int(rng.integers(-12, 13)) for side in size)
    image = Image.fromarray(_background(rng, height, width))
    labels = Image.new("L", (width, height))
    for _ in range(rng.integers(1, 4)):
        _draw_object(rng, int(rng.choice(list(OBJECTS))), image, labels)
    pixels = ndimage.gaussian_filter(np.asarray(image, float), (0.7, 0.7, 0))
    pixels += 12 * _clouds(rng, height, width)[..., None] + rng.normal(0, 4, pixels.shape)
    indices = np.array(labels)
    outline = ndimage.maximum_filter(indices, 3) != ndimage.minimum_filter(indices, 3)
    return pixels.clip(0, 255).astype(np.uint8), np.where(outline, np.uint8(VOID), indices)


def _background(rng: np.random.Generator, height: int, width: int) -> UInt8[np.ndarray, "H W 3"]:
    """A sky above a ground, each brighter towards one side, with large soft spots."""
    horizon = int(height * rng.uniform(0.4, 0.7))
    pixels = np.empty((height, width, 3))
    pixels[:horizon] = rng.choice(SKIES)
    pixels[horizon:] = rng.choice(GROUNDS)
    left, right = rng.uniform(0.8, 1.15, 2)
    pixels *= np.linspace(left, right, width)[:, None]
    pixels += 18 * _clouds(rng, height, width)[..., None]
    return pixels.clip(0, 255).astype(np.uint8)


def _clouds(rng: np.random.Generator, height: int, width: int) -> Float[np.ndarray, "H W"]:
    """Smooth random spots of mean 0 and standard deviation 1."""
    spots = ndimage.gaussian_filter(rng.normal(size=(height, width)), rng.uniform(2, 8))
    return (spots - spots.mean()) / spots.std()


def _draw_object(
    rng: np.random.Generator, index: int, image: Image.Image, labels: Image.Image
) -> None:
    """Draw one object of class `index` into both images, in front of what is there."""
    width, height = image.size
    scale = min(width, height) * rng.uniform(0.2, 0.4)
    center = (width, height) * rng.uniform(0.2, 0.8, 2)
    tilt = rng.normal(0, 0.12)
    turn = np.array([[np.cos(tilt), np.sin(tilt)], [-np.sin(tilt), np.cos(tilt)]])
    turn[0] *= rng.choice([-1, 1])  # mirrored, or not
    own_color = rng.integers(30, 230, 3)
    light = rng.uniform(0.75, 1.15)
    for color, corners in OBJECTS[index]:
        points = [tuple(point) for point in np.array(corners) @ turn * scale + center]
        shade = (np.array(own_color if color is None else color) * light).clip(0, 255)
        ImageDraw.Draw(image).polygon(points, fill=tuple(shade.astype(int).tolist()))
        ImageDraw.Draw(labels).polygon(points, fill=index)
