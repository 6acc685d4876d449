"""Which mask belongs to which image, by the names of their files."""

import unicodedata
import warnings
from difflib import get_close_matches
from pathlib import Path
from typing import NamedTuple

from unet_lib.data.files import pages_of
from unet_lib.data.findings import SHOWN, DataError, Finding
from unet_lib.data.listing import LeftOutWarning, list_images


class Pair(NamedTuple):
    """An image and its mask, as two files, or one page of each."""

    image: Path
    mask: Path
    page: int | None = None
    """Counted from 0, where both are stacks."""

    @property
    def name(self) -> str:
        """What messages call the image: its file and, of a stack, its page."""
        return f"{self.image}{self._page}"

    @property
    def mask_name(self) -> str:
        """The same of the mask."""
        return f"{self.mask}{self._page}"

    @property
    def _page(self) -> str:
        return "" if self.page is None else f", page {self.page}"


def pair_files(
    images: Path, masks: Path, suffix: str = "", image_suffix: str = ""
) -> tuple[list[Pair], list[Finding]]:
    """Images and masks of exactly the same name, apart from the ending and their suffixes.

    `cell.1.png` belongs to `cell.1.tif`, or with `suffix="_mask"` to `cell.1_mask.tif`; `1.png`
    never to `10.png`. Folders inside the two are searched, too, and have to be named alike. Both
    may be one folder if there is a suffix to tell them apart. TIFF stacks are paired page by page.
    Files that cannot be paired are in the findings; those without the suffix are left out, which
    is said (LeftOutWarning). Raises DataError for a folder that is missing or without images, and
    for one folder without a suffix.
    """
    if images == masks and not (suffix or image_suffix):
        found = "images and masks lie in one folder"
        cure = (
            "pass suffix, what a mask's name has at its end and its image's has not, for example "
            'suffix="_mask"'
        )
        raise DataError(Finding("unusable-file", found, cure=cure, files=(str(images),)))
    image_files, mask_files = list_images(images, [masks]), list_images(masks, [images])
    if images == masks and suffix:
        image_files = [path for path in image_files if not path.stem.endswith(suffix)]
        mask_files = [path for path in mask_files if path not in image_files]
    elif images == masks:
        mask_files = [path for path in mask_files if not path.stem.endswith(image_suffix)]
        image_files = [path for path in image_files if path not in mask_files]
    image_of, doubled = _by_key(images, image_files, image_suffix, "image")
    mask_of, odd = _by_key(masks, mask_files, suffix, "mask")
    lonely = _orphans("image without a mask", image_of, mask_of)
    lonely += _orphans("mask without an image", mask_of, image_of)
    pairs, unequal = [], []
    for key, image in image_of.items():
        if key in mask_of:
            found, wrong = _pages(Pair(image, mask_of[key]))
            pairs, unequal = pairs + found, unequal + wrong
    return pairs, doubled + odd + lonely + unequal


def _pages(pair: Pair) -> tuple[list[Pair], list[Finding]]:
    """A pair of stacks, page by page."""
    count, others = pages_of(pair.image), pages_of(pair.mask)
    if count == others == 1:
        return [pair], []
    if count == others:
        return [pair._replace(page=page) for page in range(count)], []
    found = f"{count} pages in the image and {others} in the mask (one mask a page was expected)"
    return [], [Finding("pairing", found, files=(f"{pair.image} and {pair.mask}",))]


def _by_key(
    folder: Path, files: list[Path], suffix: str, kind: str
) -> tuple[dict[str, Path], list[Finding]]:
    """Files by the part of their names that their partners share; names that occur twice."""
    named = [path for path in files if path.stem.endswith(suffix)]
    if not named:
        option = "suffix" if kind == "mask" else "image_suffix"
        found = f"{kind} whose name does not end with {option}={suffix!r}"
        return {}, [Finding("pairing", found, files=(str(path),)) for path in files]
    if left := len(files) - len(named):
        text = f"{folder}: {left} of {len(files)} files left out, their names do not end with"
        warnings.warn(f"{text} {suffix!r}", LeftOutWarning, stacklevel=3)
    by_key: dict[str, Path] = {}
    findings = []
    for path in named:
        inside = path.relative_to(folder).with_name(path.stem.removesuffix(suffix))
        # one way of writing accented letters: some systems store a letter and its accent apart
        key = unicodedata.normalize("NFC", inside.as_posix())
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
