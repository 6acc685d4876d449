"""Which mask belongs to which image, by the names of their files."""

import unicodedata
from difflib import get_close_matches
from pathlib import Path
from typing import NamedTuple

from unet_lib.data.files import list_images
from unet_lib.data.findings import SHOWN, DataError, Finding


class Pair(NamedTuple):
    """An image and its mask, as two files."""

    image: Path
    mask: Path


def pair_files(images: Path, masks: Path, suffix: str) -> tuple[list[Pair], list[Finding]]:
    """Images and masks of exactly the same name, apart from the ending and `suffix`, in pairs.

    `cell.1.png` belongs to `cell.1.tif`, or with `suffix="_mask"` to `cell.1_mask.tif`; `1.png`
    never to `10.png`. Both may lie in one folder if there is a suffix to tell them apart.
    Files that cannot be paired are in the findings. Raises DataError for a folder that is missing
    or without images, and for one folder without a suffix.
    """
    if images == masks and not suffix:
        found = "images and masks lie in one folder"
        cure = (
            "pass suffix, what a mask's name has at its end and its image's has not, for example "
            'suffix="_mask"'
        )
        raise DataError(Finding("unusable-file", found, cure=cure, files=(str(images),)))
    image_files, mask_files = list_images(images), list_images(masks)
    if images == masks:
        image_files = [path for path in image_files if not path.stem.endswith(suffix)]
        mask_files = [path for path in mask_files if path.stem.endswith(suffix)]
    image_of, doubled = _by_key(image_files, "")
    mask_of, odd = _by_key(mask_files, suffix)
    lonely = _orphans("image without a mask", image_of, mask_of)
    lonely += _orphans("mask without an image", mask_of, image_of)
    pairs = [Pair(image, mask_of[key]) for key, image in image_of.items() if key in mask_of]
    return pairs, doubled + odd + lonely


def _by_key(files: list[Path], suffix: str) -> tuple[dict[str, Path], list[Finding]]:
    """Files by the part of their names that their partners share; names that occur twice."""
    by_key: dict[str, Path] = {}
    findings = []
    for path in files:
        if not path.stem.endswith(suffix):
            found = f"mask whose name does not end with suffix={suffix!r}"
            findings.append(Finding("pairing", found, files=(str(path),)))
            continue
        # one way of writing accented letters: some systems store a letter and its accent apart
        key = unicodedata.normalize("NFC", path.stem.removesuffix(suffix))
        if key in by_key:
            both = (f"{by_key[key]} and {path}",)
            findings.append(Finding("pairing", "name used twice (remove one)", files=both))
        by_key.setdefault(key, path)
    return by_key, findings


def _orphans(what: str, files: dict[str, Path], partners: dict[str, Path]) -> list[Finding]:
    free = [key for key in partners if key not in files] or list(partners)
    free = free[:500]  # comparing names is slow
    findings = []
    for key in (key for key in files if key not in partners):
        few = len(findings) < SHOWN
        nearest = get_close_matches(key, free, n=1, cutoff=0.5) if few else []
        hint = f" (the nearest name: {partners[nearest[0]].name})" if nearest else ""
        named = (f"{files[key]}{hint}",)
        findings.append(Finding("pairing", f"{what} of the same name", files=named))
    return findings
