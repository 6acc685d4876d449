"""Damage files of every format and read them: an answer, or a DataError that names the file.

    python -m tools.fuzz --seconds 600

Anything else is printed with the seed that repeats it. The tests do the same for a few seconds.
"""

import io
import tempfile
import time
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import tifffile
import tyro
from PIL import Image

from unet_lib.data import DataError, read_image, read_mask

RAMP = (np.arange(24 * 20).reshape(24, 20) % 251).astype(np.uint8)
COLORS = np.stack([RAMP, RAMP[::-1], RAMP[:, ::-1]], axis=-1)


@dataclass(frozen=True)
class Settings:
    """How long, and where to begin."""

    seconds: float = 60.0
    """About."""
    seed: int = 0
    """The first of the seeds, one a damaged file."""


def samples() -> dict[str, bytes]:
    """Whole files of every format that is read, by a name with their ending."""
    pictures = {
        "gray": Image.fromarray(RAMP),
        "deep": Image.fromarray(RAMP.astype(np.uint16) * 200),
        "color": Image.fromarray(COLORS),
        "clear": Image.fromarray(np.dstack([COLORS, RAMP])),
        "palette": Image.fromarray(COLORS).quantize(8),
        "bit": Image.fromarray(RAMP > 99),
    }
    formats = {"png": pictures, "tif": pictures, "gif": {"palette"}, "bmp": {"gray", "color"}}
    formats |= {"jpg": {"gray", "color"}, "webp": {"color", "clear"}, "jp2": {"gray", "deep"}}
    files = {}
    for ending, kinds in formats.items():
        for kind in kinds:
            buffer = io.BytesIO()
            pictures[kind].save(buffer, {"jpg": "jpeg", "tif": "tiff", "jp2": "jpeg2000"}.get(
                ending, ending))  # fmt: skip
            files[f"{kind}.{ending}"] = buffer.getvalue()
    stack = np.stack([RAMP] * 3)
    for name, array, how in (
        ("imagej", stack, {"imagej": True, "metadata": {"axes": "ZYX"}}),
        ("ome", stack, {"ome": True, "metadata": {"axes": "CYX"}}),
        ("float", RAMP / np.float32(7), {"compression": "zlib"}),
        ("white", RAMP, {"photometric": "miniswhite"}),
        ("tiles", RAMP, {"tile": (16, 16), "bigtiff": True}),
        ("planes", np.moveaxis(COLORS, -1, 0), {"planarconfig": "separate", "photometric": "rgb"}),
    ):
        buffer = io.BytesIO()
        tifffile.imwrite(buffer, array, **how)
        files[f"{name}.tif"] = buffer.getvalue()
    return files


def damaged(whole: bytes, seed: int) -> bytes:
    """A file with bytes changed, cut out, doubled, or its end missing."""
    random = np.random.default_rng(seed)
    data = bytearray(whole)
    for _ in range(int(random.integers(1, 6))):
        at = int(random.integers(0, max(1, len(data))))
        what, length = random.integers(0, 5), int(random.integers(1, 40))
        if what == 0:
            del data[at:]
        elif what == 1:
            del data[at : at + length]
        elif what == 2:
            data[at:at] = data[max(0, at - length) : at]
        else:  # most often, and most often near the head
            at = int(len(data) * random.random() ** 3)
            data[at : at + 1] = bytes([int(random.integers(0, 256))])
    return bytes(data)


def problems(seeds: Iterator[int]) -> Iterator[str]:
    """What is wrong with the answers to the damaged files of these seeds."""
    files = list(samples().items())
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for seed in seeds:
            name, whole = files[seed % len(files)]
            path = Path(folder, name)
            path.write_bytes(damaged(whole, seed))
            for read in (read_image, read_mask):
                try:
                    read(path)
                except DataError as error:
                    if str(path) not in str(error):
                        yield f"seed {seed}: {name}: the message does not name it: {error}"
                except Exception as error:
                    yield f"seed {seed}: {name}: {read.__name__}: {type(error).__name__}: {error}"


def main(settings: Settings) -> int:
    """Damages files until the time is over; 1 where something was wrong."""
    end, seed, found = time.monotonic() + settings.seconds, settings.seed, 0

    def seeds() -> Iterator[int]:
        nonlocal seed
        while time.monotonic() < end:
            yield seed
            seed += 1

    for problem in problems(seeds()):
        print(problem)
        found += 1
    print(f"{seed - settings.seed} damaged files, {found} wrong answers")
    return int(found > 0)


if __name__ == "__main__":
    raise SystemExit(main(tyro.cli(Settings)))
