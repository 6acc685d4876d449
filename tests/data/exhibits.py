"""PNG of 16 bits with any channels, which Pillow does not write."""

import struct
import zlib
from pathlib import Path

import numpy as np

KINDS = {2: 4, 3: 2}  # channels -> PNG's type of color


def deep_png(path: Path, pixels: np.ndarray) -> None:
    """Writes (H, W, C) of uint16."""
    height, width, channels = pixels.shape
    rows = b"".join(b"\0" + row.tobytes() for row in pixels.astype(">u2"))
    head = struct.pack(">IIBBBBB", width, height, 16, KINDS[channels], 0, 0, 0)
    chunks = ((b"IHDR", head), (b"IDAT", zlib.compress(rows)), (b"IEND", b""))
    packed = (
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in chunks
    )
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(packed))
