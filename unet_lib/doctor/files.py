"""Folders of images and masks: all that the scan of `PairedFolder` finds, and what lies beyond."""

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from scipy import ndimage

from unet_lib.data.findings import DataError, Finding, grouped, listed
from unet_lib.data.folder import PairedFolder
from unet_lib.data.listing import list_images
from unet_lib.data.masks import MANY, read_mask
from unet_lib.data.write import voc_palette
from unet_lib.doctor.finding import diagnosis

SOME = 20  # masks, and labels of each, that are looked at
NEARLY_ALL = 0.8  # share of labels that are single regions, from which on they number objects
_COLORS = Image.fromarray(voc_palette()[[*range(1, 21), 255]][np.newaxis])
GRAYS = set(np.unique(np.asarray(_COLORS.convert("L"))).tolist())  # of VOC's colors


def check_folder(
    images: Path | str, masks: Path | str, **options: Any
) -> tuple[list[Finding], PairedFolder | None]:
    """Findings about two folders, and the data set where there are none.

    `options` as those of `PairedFolder`.

    >>> findings, dataset = check_folder("no/images", "no/masks")
    >>> findings[0].found
    'no/images: no such folder; check the path'
    """
    try:
        return [], PairedFolder(images, masks, **options)
    except DataError as error:
        if not error.where:  # no list: the folders could not be compared
            return [diagnosis(error.cause, str(error))], None
        groups = grouped(error.findings, lambda finding: (finding.cause, finding.heading))
    findings = [_of_group(group) for group in groups]
    if better := _palette_as_gray(findings, Path(masks), options) or _numbered(
        findings, Path(masks)
    ):
        about_values = ("mask-values", "mask-blended")
        findings = [better, *(f for f in findings if f.cause not in about_values)]
    return findings, None


def _of_group(group: Sequence[Finding]) -> Finding:
    """One finding about several files that have a cause and a heading in common."""
    first, count = group[0], len(group)
    files = [name for finding in group for name in finding.files]
    if first.kind:
        more = "" if count == 1 else f"{count} files, of the first: "
        same = all(finding.arguments == first.arguments for finding in group)
        known = diagnosis(first.cause, more + first.sentence, files)
        return replace(known, arguments=first.arguments if same else ())
    masks = first.cause in ("mask-values", "mask-blended")
    what = f"{count} mask{'s' * (count > 1)} with" if masks else f"{count} x"
    known = diagnosis(first.cause, f"{what} {first.found}", files)
    if not first.expected:
        return known
    return replace(known, expected=first.expected, cure=first.cure, arguments=first.arguments)


def _palette_as_gray(
    findings: list[Finding], masks: Path, options: Mapping[str, Any]
) -> Finding | None:
    """Mask values that are the gray levels of VOC's colors, and not 0 and 255 alone."""
    if not any(finding.cause == "mask-values" for finding in findings):
        return None
    values = {value for mask in _readable(masks) for value in np.unique(mask).tolist()}
    values -= {0, options.get("ignore_index")}
    if len(values) < 2 or not values <= GRAYS:
        return None
    found = f"mask values {listed(sorted(values))}, the brightness of VOC's palette colors"
    return diagnosis("palette-as-gray", found, [masks])


def _numbered(findings: list[Finding], masks: Path) -> Finding | None:
    """Masks of many values, nearly all of which are single regions: numbers of objects."""
    if not any(finding.cause == "mask-blended" for finding in findings):
        return None
    counts, single = [], []
    for mask in islice(_readable(masks), SOME):
        values = np.unique(mask[mask > 0])
        counts.append(len(values))
        single += [ndimage.label(mask == value)[1] == 1 for value in values[:SOME]]
    if max(counts, default=0) <= MANY or np.mean(single) < NEARLY_ALL:
        return None
    found = f"up to {max(counts)} labels in a mask, {np.mean(single):.0%} of them single regions"
    return diagnosis("instances-as-classes", found, [masks])


def _readable(masks: Path) -> Iterator[np.ndarray]:
    """The masks of a folder that can be read, as stored; the others are in the findings."""
    for path in list_images(masks):
        with contextlib.suppress(DataError):
            yield read_mask(path)
