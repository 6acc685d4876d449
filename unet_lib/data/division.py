"""Numbers dealt out into parts, and images that occur twice (chapter 3)."""

from collections.abc import Hashable, Iterable, Iterator, Sequence
from hashlib import sha256
from math import isclose

import numpy as np

from unet_lib.data.findings import DataError, Finding

Named = Iterable[tuple[str, str]]
"""Names of images, each with its `digest`."""


def divide(
    count: int, fractions: Sequence[float], seed: int = 0, groups: Sequence[Hashable] | None = None
) -> list[np.ndarray]:
    """The numbers 0 to count - 1 dealt out at random, in sorted parts; no group is divided.

    Large groups are placed first, each where most is missing, so fractions are kept as well as the
    groups allow. Raises DataError where a part would be empty or `groups` is of another length,
    ValueError unless the fractions are positive with sum 1.

    >>> divide(5, (0.6, 0.4), groups=["Ada", "Ada", "Bo", "Bo", "Bo"])
    [array([2, 3, 4]), array([0, 1])]
    """
    if min(fractions) <= 0 or not isclose(sum(fractions), 1):
        raise ValueError(f"fractions {tuple(fractions)}: expected positive numbers of sum 1")
    if groups is not None and len(groups) != count:
        raise DataError(f"{len(groups)} groups for {count} images; expected one for each")
    members: dict[Hashable, list[int]] = {}
    for index in range(count):
        members.setdefault(index if groups is None else groups[index], []).append(index)
    parts = _fill(list(members.values()), [share * count for share in fractions], seed)
    if not all(parts):
        raise DataError(
            f"{count} images in {len(members)} groups, divided by {tuple(fractions)}, give "
            f"parts of {', '.join(str(len(part)) for part in parts)}; no part may be empty: "
            "take more images, fewer parts or smaller groups"
        )
    return [np.array(sorted(part)) for part in parts]


def _fill(groups: list[list[int]], wanted: list[float], seed: int) -> list[list[int]]:
    """Put each group, in random order but large ones first, where most images are missing."""
    order = np.random.default_rng(seed).permutation(len(groups))
    parts: list[list[int]] = [[] for _ in wanted]
    for number in sorted(order, key=lambda number: -len(groups[number])):
        missing = [want - len(part) for want, part in zip(wanted, parts, strict=True)]
        parts[int(np.argmax(missing))] += groups[number]
    return parts


def digest(*arrays: np.ndarray) -> str:
    """Equal for arrays that are equal to the last bit, in shape and type, too."""
    whole = sha256()
    for array in arrays:
        whole.update(f"{array.shape} {array.dtype}".encode() + array.tobytes())
    return whole.hexdigest()


def digests(images: Iterable[tuple[str, np.ndarray]]) -> Iterator[tuple[str, str]]:
    """Images by name, each replaced by its digest: many take no memory."""
    return ((name, digest(image)) for name, image in images)


def copies(images: Iterable[np.ndarray]) -> list[tuple[int, int]]:
    """The places of images that are equal to the last bit, each with the first that it equals.

    >>> copies([np.zeros(3), np.ones(3), np.zeros(3)])
    [(0, 2)]
    """
    first: dict[str, int] = {}
    pairs = [(first.setdefault(digest(image), index), index) for index, image in enumerate(images)]
    return [(one, other) for one, other in pairs if one != other]


def shared_images(first: Named, second: Named) -> list[tuple[str, str]]:
    """The names of equal images in two parts, in the first and in the second."""
    known: dict[str, str] = {}
    for name, mark in first:
        known.setdefault(mark, name)
    return [(known[mark], name) for name, mark in second if mark in known]


def refuse_copies(first: Named, second: Named) -> None:
    """Raises DataError, naming them all, where images of one part are also in the other."""
    cure = (
        "remove one, or keep equal images, patients or slides together with "
        "split(dataset, groups=...)"
    )
    findings = [
        Finding("leak", "image in both parts", cure=cure, files=(f"{one} equals {other}",))
        for one, other in shared_images(first, second)
    ]
    if findings:
        raise DataError(*findings, where="the split")
