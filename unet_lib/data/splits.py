"""Divide a data set without leaking: what belongs together stays together (chapter 3)."""

from collections.abc import Hashable, Sequence
from hashlib import sha256
from math import isclose

import numpy as np
from torch.utils.data import Subset

from unet_lib.data.base import DataError, SegmentationDataset
from unet_lib.data.pairing import Findings

Part = SegmentationDataset | Subset


def split(
    dataset: SegmentationDataset | int,
    fractions: Sequence[float] = (0.8, 0.2),
    seed: int = 0,
    groups: Sequence[Hashable] | None = None,
) -> list[Subset] | list[np.ndarray]:
    """Divide a data set at random into parts; a group of pictures is never divided.

    Pictures of one patient, slide or film look alike: with some of them in training and some in
    validation, the score says how well the network remembers. Give them one group.
    Large groups are placed first, each where most is missing, so fractions are kept as well as
    the groups allow.

    The parts share the transform of the data set. To transform only the training part, make the
    data set twice and divide its length: `train, rest = split(len(plain))`, then
    `Subset(augmented, train)` and `Subset(plain, rest)`.

    Args:
        dataset: a data set, or only its length.
        fractions: the share of each part; their sum is 1.
        seed: the same seed gives the same parts.
        groups: for each picture the group it belongs to (any hashable value).

    Returns:
        For a data set one `Subset` for each fraction, for a length one sorted array of indices.

    Raises:
        DataError: a part would be empty, or `groups` is of another length than the data set.
        ValueError: the fractions are not positive with sum 1.

    Example:
        >>> split(5, (0.6, 0.4), groups=["Ada", "Ada", "Bo", "Bo", "Bo"])
        [array([2, 3, 4]), array([0, 1])]
    """
    count = dataset if isinstance(dataset, int) else len(dataset)
    if min(fractions) <= 0 or not isclose(sum(fractions), 1):
        raise ValueError(f"fractions {tuple(fractions)}: expected positive numbers of sum 1")
    if groups is not None and len(groups) != count:
        raise DataError(f"{len(groups)} groups for {count} pictures; one each was expected")
    members: dict[Hashable, list[int]] = {}
    for index in range(count):
        members.setdefault(index if groups is None else groups[index], []).append(index)
    parts = _fill(list(members.values()), [share * count for share in fractions], seed)
    if not all(parts):
        raise DataError(
            f"{count} pictures in {len(members)} groups, divided by {tuple(fractions)}, give "
            f"parts of {', '.join(str(len(part)) for part in parts)}; no part may be empty: "
            "take more pictures, fewer parts or smaller groups"
        )
    arrays = [np.array(sorted(part)) for part in parts]
    if isinstance(dataset, int):
        return arrays
    return [Subset(dataset, indices.tolist()) for indices in arrays]


def _fill(groups: list[list[int]], wanted: list[float], seed: int) -> list[list[int]]:
    """Put each group, in random order but large ones first, where most pictures are missing."""
    order = np.random.default_rng(seed).permutation(len(groups))
    parts: list[list[int]] = [[] for _ in wanted]
    for number in sorted(order, key=lambda number: -len(groups[number])):
        missing = [want - len(part) for want, part in zip(wanted, parts, strict=True)]
        parts[int(np.argmax(missing))] += groups[number]
    return parts


def find_duplicates(dataset: SegmentationDataset) -> list[tuple[int, int]]:
    """The pairs of indices whose raw images are equal to the last bit, however they are named.

    Reads the whole data set. Each picture is paired with the first one that equals it.

    Example:
        >>> from unet_lib.data import SimulatedNuclei
        >>> find_duplicates(SimulatedNuclei(length=3, size=(32, 32)))
        []
    """
    first: dict[str, int] = {}
    digests = [_digest(dataset, index) for index in range(len(dataset))]
    pairs = [(first.setdefault(digest, index), index) for index, digest in enumerate(digests)]
    return [(one, other) for one, other in pairs if one != other]


def require_disjoint(first: Part, second: Part) -> None:
    """Raise DataError when a picture of one part is also in the other, under whatever name.

    Args:
        first: a data set or a part of one, for example what is trained on.
        second: another, for example what is validated on.

    Example:
        >>> from unet_lib.data import SimulatedNuclei
        >>> require_disjoint(*split(SimulatedNuclei(length=5, size=(32, 32))))
    """
    names = {_digest(*item): item[0].name(item[1]) for item in _items(first)}
    findings = Findings()
    for dataset, index in _items(second):
        digest = _digest(dataset, index)
        if digest in names:
            findings.add(
                "picture in both parts: remove one, or keep equal pictures, patients or slides "
                "together with split(dataset, groups=...)",
                f"{names[digest]} equals {dataset.name(index)}",
            )
    findings.report("the split")


def _items(part: Part) -> list[tuple[SegmentationDataset, int]]:
    """The data set and the index in it of every picture of a part."""
    if isinstance(part, Subset):
        return [(part.dataset, index) for index in part.indices]
    return [(part, index) for index in range(len(part))]


def _digest(dataset: SegmentationDataset, index: int) -> str:
    image, _ = dataset.load(index)
    return sha256(f"{image.shape} {image.dtype}".encode() + image.tobytes()).hexdigest()
