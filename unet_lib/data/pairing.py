"""Which mask belongs to which image, and a list of all that is wrong, told at once."""

import unicodedata
from difflib import get_close_matches
from pathlib import Path
from typing import NamedTuple

from unet_lib.data.base import DataError, Detail

ENDINGS = (".bmp", ".gif", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp")
SHOWN = 5  # examples of each kind of finding in a message


class Pair(NamedTuple):
    """An image and its mask, as two files.

    Example:
        >>> Pair(Path("images/1.png"), Path("masks/1.png")).mask.name
        '1.png'
    """

    image: Path
    mask: Path


class Findings:
    """What is wrong with a data set: examples by kind, collected first and reported at once.

    Example:
        >>> findings = Findings()
        >>> findings.add("image without a mask", "images/7.png")
        >>> findings.report("cells")
        Traceback (most recent call last):
            ...
        unet_lib.data.base.DataError: 1 problem in cells
        - 1 x image without a mask
            images/7.png
    """

    def __init__(self) -> None:
        self.kinds: dict[str, list[str]] = {}
        self.causes: dict[str, list[str]] = {}

    def add(self, kind: str, example: str, cause: str = "unusable-file") -> None:
        """Note one example of a kind of problem; the kind says what was expected and what to do.

        `cause` is its short name, a key of `unet_lib.doctor.CAUSES`.
        """
        self.kinds.setdefault(kind, []).append(example)
        self.causes.setdefault(kind, []).append(cause)

    def report(self, where: str, in_full: str | None = None) -> None:
        """Raise DataError with every kind, its count and first five examples, if there are any.

        Args:
            where: what was examined.
            in_full: the kind of which every example is listed.
        """
        if not self.kinds:
            return
        count = sum(map(len, self.kinds.values()))
        lines = [f"{count} problem{'s' * (count > 1)} in {where}"]
        for kind, examples in self.kinds.items():
            shown = examples if kind == in_full else examples[:SHOWN]
            lines += [f"- {len(examples)} x {kind}", *(f"    {example}" for example in shown)]
            if len(shown) < len(examples):
                lines.append(f"    ... and {len(examples) - len(shown)} more")
        details = [
            Detail(cause, kind, example)
            for kind, examples in self.kinds.items()
            for cause, example in zip(self.causes[kind], examples, strict=True)
        ]
        raise DataError("\n".join(lines), details[0].cause, details)


def list_pictures(folder: Path) -> list[Path]:
    """The picture files of one folder, by name; hidden files and other endings are left out.

    Raises:
        DataError: the folder is missing, is a file, or holds no picture.

    Example:
        >>> list_pictures(Path("no/such/folder"))
        Traceback (most recent call last):
            ...
        unet_lib.data.base.DataError: no/such/folder: no such folder; check the path
    """
    if not folder.is_dir():
        found = "a file, not a folder" if folder.exists() else "no such folder"
        raise DataError(f"{folder}: {found}; check the path", "no-pictures")
    files = [path for path in sorted(folder.iterdir()) if path.is_file()]
    pictures = [
        path for path in files if path.suffix.lower() in ENDINGS and not path.name.startswith(".")
    ]
    if not pictures:
        raise DataError(
            f"{folder}: no pictures in this folder ({len(files)} other files, folders inside it "
            f"are not searched); endings searched: {', '.join(ENDINGS)}",
            cause="no-pictures",
        )
    return pictures


def pair_files(images: Path, masks: Path, suffix: str, findings: Findings) -> list[Pair]:
    """Pair images and masks of exactly the same name, apart from the ending and `suffix`.

    `cell.1.png` belongs to `cell.1.tif`, or with `suffix="_mask"` to `cell.1_mask.tif`; `1.png`
    never to `10.png`. Both may lie in one folder if there is a suffix to tell them apart.
    Files that cannot be paired are added to `findings`.

    Raises:
        DataError: a folder is missing or without pictures, or one folder without a suffix.

    Example:
        >>> import tempfile
        >>> folder = Path(tempfile.mkdtemp())
        >>> for name in "1.png", "1_mask.png", "10.png":
        ...     (folder / name).touch()
        >>> findings = Findings()
        >>> [pair.mask.name for pair in pair_files(folder, folder, "_mask", findings)]
        ['1_mask.png']
        >>> list(findings.kinds)
        ['image without a mask of the same name']
    """
    if images == masks and not suffix:
        raise DataError(
            f"{images}: images and masks lie in one folder; pass suffix, what a mask's name has "
            'at its end and its image\'s has not, for example suffix="_mask"'
        )
    image_files, mask_files = list_pictures(images), list_pictures(masks)
    if images == masks:
        image_files = [path for path in image_files if not path.stem.endswith(suffix)]
        mask_files = [path for path in mask_files if path.stem.endswith(suffix)]
    images_by_key = _by_key(image_files, "", findings)
    masks_by_key = _by_key(mask_files, suffix, findings)
    _add_orphans("image without a mask", images_by_key, masks_by_key, findings)
    _add_orphans("mask without an image", masks_by_key, images_by_key, findings)
    return [
        Pair(image, masks_by_key[key])
        for key, image in images_by_key.items()
        if key in masks_by_key
    ]


def _by_key(files: list[Path], suffix: str, findings: Findings) -> dict[str, Path]:
    """Files by what their names have in common with their partners'; doubles are findings."""
    by_key: dict[str, Path] = {}
    for path in files:
        if not path.stem.endswith(suffix):
            kind = f"mask whose name does not end with suffix={suffix!r}"
            findings.add(kind, str(path), "pairing")
            continue
        # one way of writing accented letters: some systems store a letter and its accent apart
        key = unicodedata.normalize("NFC", path.stem.removesuffix(suffix))
        if key in by_key:
            findings.add("name used twice (remove one)", f"{by_key[key]} and {path}", "pairing")
        by_key.setdefault(key, path)
    return by_key


def _add_orphans(
    kind: str, files: dict[str, Path], partners: dict[str, Path], findings: Findings
) -> None:
    free = [key for key in partners if key not in files] or list(partners)
    free = free[:500]  # comparing names is slow
    orphans = [key for key in files if key not in partners]
    for count, key in enumerate(orphans):
        nearest = get_close_matches(key, free, n=1, cutoff=0.5) if count < SHOWN else []
        hint = f" (the nearest name: {partners[nearest[0]].name})" if nearest else ""
        findings.add(f"{kind} of the same name", f"{files[key]}{hint}", "pairing")
