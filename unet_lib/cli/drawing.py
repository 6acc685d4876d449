"""Pictures for the page about a run, made without matplotlib: JPEG in the page, curves as SVG."""

import base64
import io
import math
from collections.abc import Mapping, Sequence

import numpy as np
from PIL import Image

from unet_lib.data.write import voc_palette

LARGEST, SMALLEST = 420, 210  # longest side of a picture, in pixels
RIGHT, WRONG, MISSED, VOID = (238, 238, 238), (213, 94, 0), (86, 180, 233), (119, 119, 119)
HEAVIEST = 75_000  # bytes of a picture: there are up to nine on a page
WIDTH, HEIGHT, MARGIN = 420, 220, 44  # of a curve


def shown(image: np.ndarray) -> np.ndarray:
    """A normalized image (C, H, W), about 0 to 1, as colors (H, W, 3)."""
    pixels = (255 * np.clip(np.moveaxis(image, 0, -1), 0, 1)).astype(np.uint8)
    return np.broadcast_to(pixels, (*pixels.shape[:2], 3))


def errors(image: np.ndarray, found: np.ndarray, true: np.ndarray, void: int) -> np.ndarray:
    """What is right, wrong and missed of the foreground, on the dimmed image (H, W, 3)."""
    picture, valid = (image * 0.3).astype(np.uint8), true != void
    hit, there = found > 0, true > 0
    for color, where in (
        (RIGHT, hit & there),
        (WRONG, hit & ~there & valid),
        (MISSED, ~hit & there & valid),
        (VOID, ~valid),
    ):
        picture[where] = color
    return picture


def classes(image: np.ndarray, labels: np.ndarray, void: int) -> np.ndarray:
    """Classes in VOC's colors over the image (H, W, 3); void is gray."""
    labels = labels.astype(np.int64)
    colors = voc_palette()[np.where(labels == void, 0, labels) % 256]
    colors[labels == void] = VOID
    return (0.4 * image + 0.6 * colors).astype(np.uint8)


def jpeg(picture: np.ndarray, exact: bool = False) -> str:
    """A picture (H, W, 3) as an address that holds it, brought to a size to look at.

    `exact` keeps the colors apart: no color between two is made.
    """
    image, longest = Image.fromarray(np.ascontiguousarray(picture)), max(picture.shape[:2])
    scale = min(1.0, LARGEST / longest) if longest > SMALLEST else LARGEST // longest
    width, height = (max(1, round(side * scale)) for side in image.size)
    smooth = scale < 1 and not exact
    image = image.resize(
        (width, height), Image.Resampling.LANCZOS if smooth else Image.Resampling.NEAREST
    )
    file = io.BytesIO()
    for quality in (85, 70, 50, 30, 10):  # of noise much is left
        file.seek(0)
        file.truncate()
        image.save(file, "jpeg", quality=quality, subsampling=0 if exact else 2)
        if file.tell() < HEAVIEST:
            break
    return "data:image/jpeg;base64," + base64.b64encode(file.getvalue()).decode()


def curves(rows: Sequence[Mapping[str, float]], names: Mapping[str, str], title: str) -> str:
    """Columns of a history over the epochs as SVG; `names` says what each is called."""
    lines = {
        names[key]: [(row["epoch"], row[key]) for row in rows if math.isfinite(row[key])]
        for key in names
        if key in rows[0]
    }
    top = max((y for points in lines.values() for _, y in points), default=1.0)
    top = 1.0 if "Dice" in title else top * 1.05 or 1.0
    first, last = rows[0]["epoch"], rows[-1]["epoch"]

    def place(x: float, y: float) -> tuple[float, float]:
        right = (x - first) / max(1, last - first)
        return MARGIN + right * (WIDTH - MARGIN - 12), (HEIGHT - 30) - y / top * (HEIGHT - 46)

    parts = [_frame(place, first, last, top)]
    for number, (name, points) in enumerate(lines.items()):
        way = " ".join("{:.1f},{:.1f}".format(*place(*point)) for point in points)
        dots = "".join(
            '<circle r="2.5" cx="{:.1f}" cy="{:.1f}"/>'.format(*place(*p)) for p in points
        )
        label = f'<text x="{WIDTH - 12}" y="{24 + 16 * number}" text-anchor="end">{name}</text>'
        parts.append(f'<g class="line{number}"><polyline points="{way}"/>{dots}{label}</g>')
    ends = ", ".join(
        f"{name} ends at {points[-1][1]:.3f}" for name, points in lines.items() if points
    )
    told = f"{title} over the epochs: {ends}"
    size = f'viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" height="{HEIGHT}"'
    return f'<svg role="img" aria-label="{told}" {size}>{"".join(parts)}</svg>'


def _frame(place, first: float, last: float, top: float) -> str:
    """The axes, with numbers at their ends and between."""
    left, bottom = place(first, 0)
    parts = [
        f'<path class="axis" d="M{left:.0f},10 V{bottom:.0f} H{WIDTH - 12}"/>',
        f'<text x="{WIDTH / 2}" y="{HEIGHT - 2}" text-anchor="middle">epoch</text>',
    ]
    for share in (0, 0.5, 1):
        y = place(first, share * top)[1] + 4
        parts.append(
            f'<text x="{left - 6:.0f}" y="{y:.0f}" text-anchor="end">{share * top:.2g}</text>'
        )
    for epoch in {first, last}:
        x = place(epoch, 0)[0]
        parts.append(f'<text x="{x:.0f}" y="{bottom + 14:.0f}" text-anchor="middle">{epoch}</text>')
    return "".join(parts)
