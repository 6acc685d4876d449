"""What the masks and images of a folder hold, taken together: do they mean the same everywhere?"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Integer
from scipy import ndimage

from unet_lib.data.findings import Finding, as_keywords, listed
from unet_lib.data.masks import BLENDED, MANY, Color
from unet_lib.data.pairing import Pair

_COMPRESSED = (".jpg", ".jpeg", ".webp")


class Contents(NamedTuple):
    """What one pair holds."""

    image: str
    mask: str
    numbers: str
    """The type of the image's values."""
    values: list[int]
    """The different values of the mask, sorted."""
    parts: int
    """Connected parts of what is not 0."""
    colors: dict[int, Color]
    """Of a palette: in what color each value is shown."""

    @classmethod
    def of(
        cls,
        pair: Pair,
        numbers: str,
        labels: Integer[np.ndarray, "H W"],
        colors: dict[int, Color],
    ) -> "Contents":
        """Looks at the arrays of a pair."""
        values = np.unique(labels).tolist()
        parts = ndimage.label(labels, np.ones((3, 3)))[1] if len(values) == 2 else 0
        return cls(pair.name, pair.mask_name, numbers, values, parts, colors)


def judge_images(contents: Sequence[Contents]) -> list[Finding]:
    """Images of several types of numbers, each of which would be divided by another largest."""
    types = Counter(one.numbers for one in contents)
    if len(types) < 2:
        return []
    usual = types.most_common(1)[0][0]
    counted = ", ".join(f"{count} of {name}" for name, count in types.most_common())
    found = f"images of several types ({counted}), each divided by the largest value of its own"
    cure = "convert them to one, or pass normalize=normalize_percentiles"
    ways = ({"normalize": "percentiles"},)
    finding = Finding("mixed-types", found, "one type of numbers", cure, arguments=ways)
    return [replace(finding, files=(one.image,)) for one in contents if one.numbers != usual]


def judge_instances(contents: Sequence[Contents]) -> list[Finding]:
    """Masks that were to number objects, and hold one value for all of them."""
    if any(len(one.values) > 2 for one in contents):
        return []
    found = "mask of one value for all objects, which do not tell them apart"
    cure = 'pass instances="connected" to number their connected parts, or leave instances out'
    ways = ({"instances": "connected"},)
    finding = Finding("binary-as-instances", found, "a number an object", cure, arguments=ways)
    return [replace(finding, files=(one.mask,)) for one in contents if one.parts > 1]


def judge_values(
    contents: Sequence[Contents], num_classes: int | None, ignore_index: int | None
) -> tuple[int, list[Finding]]:
    """The number of classes K of these masks, and their values that are no class.

    K is `num_classes` if it is known; else it is the number of values that occur, and these must
    be 0 to K-1, at least two.
    """
    shown = {one.mask: set(one.values) - {ignore_index} for one in contents}
    blended = {mask for mask, inside in shown.items() if len(inside) > MANY}
    if num_classes is not None or len(blended) == len(shown):
        blended = set()  # every value is judged by num_classes, or nothing else is left to judge
    found = sorted(set().union(*(shown[mask] for mask in shown if mask not in blended)))
    classes = max(2, len(found)) if num_classes is None else num_classes
    unclear = num_classes is None and len(found) > MANY
    many = _many_values(sorted(set().union(*shown.values())))
    few = _few_values(found, classes, num_classes or 0)
    if num_classes is None and (varies := _varying_values(list(shown.values()), found)):
        few = varies
    findings = _other_colors(contents)
    for mask, inside in shown.items():
        outside = sorted(v for v in inside if unclear or not 0 <= v < classes)
        compressed = Path(mask).suffix.lower() in _COMPRESSED
        odd = unclear or compressed or mask in blended or len(outside) > MANY
        if outside:
            findings.append(replace(many if odd else few, files=(f"{mask}: {listed(outside)}",)))
    if num_classes is None and any(one.values for one in contents) and set(found) <= {0}:
        nothing = "mask without any object: there is nothing to learn (if meant: num_classes=2)"
        empty = Finding("empty-masks", nothing, arguments=({"num_classes": 2},))
        findings += [replace(empty, files=(mask,)) for mask in shown]
    return classes, findings


def _varying_values(shown: list[set[int]], found: list[int]) -> Finding | None:
    """One object class, stored as another value in other files: 0 and 1 here, 0 and 255 there."""
    objects = [value for value in found if value != 0]
    one_each = all(len(inside - {0}) <= 1 for inside in shown)
    if not one_each or len(objects) < 2 or objects == list(range(1, len(objects) + 1)):
        return None
    mapping = {"mask_values": {0: 0} | dict.fromkeys(objects, 1)}
    text = f"another value for the objects in other files: {listed(objects)}"
    cure = f"pass {as_keywords(mapping)} if they all mean the same"
    return Finding("values-vary", text, "one value for one class", cure, arguments=(mapping,))


def _other_colors(contents: Sequence[Contents]) -> list[Finding]:
    """Palette masks that show one value in other colors than the files before them."""
    first: dict[int, tuple[Color, str]] = {}
    findings = []
    for one in contents:
        for value, color in one.colors.items():
            known, where = first.setdefault(value, (color, one.mask))
            if known != color:
                found = f"value {value} is {color} here and {known} in {where}"
                cure = "give all masks one palette, or pass palette={color: class}"
                expected = "one color a class"
                findings.append(Finding("palettes-differ", found, expected, cure, (one.mask,)))
                break
    return findings


def _many_values(found: list[int]) -> Finding:
    """Values that nobody has drawn, or that number objects."""
    cure = (
        f"{BLENDED}. If they number objects, pass instances=True; if they are classes, "
        f"num_classes={max(found, default=0) + 1}"
    )
    ways = {"instances": True}, {"num_classes": max(found, default=0) + 1}
    text = f"many values, {len(found)} different ones"
    return Finding("mask-blended", text, cure=cure, arguments=ways)


def _few_values(found: list[int], classes: int, at_least: int) -> Finding:
    """Values that become classes, with what to pass."""
    values = found if len(found) > 1 else [0, *found]
    mapping = {"mask_values": {value: index for index, value in enumerate(values)}}
    regular = [value for value in values if 0 <= value < 255]
    special = [value for value in values if value not in regular]
    ways, cure = [mapping], as_keywords(mapping)
    if len(regular) > 1 and len(special) <= 1:
        numbers = {"num_classes": max(at_least, regular[-1] + 1)}
        ways, cure = [mapping, numbers], f"{cure} or, if they are classes already, "
        cure += as_keywords(numbers)
        if special:  # a void border, most likely: it must not become a class
            numbers["ignore_index"] = special[0]
            ways, cure = [numbers, mapping], as_keywords(numbers)
            cure += f" if they are classes with a void border, else {as_keywords(mapping)}"
    expected, cure = f"0 to {classes - 1}", f"pass {cure}"
    text = f"mask values {listed(found)}"
    return Finding("mask-values", text, expected, cure, arguments=tuple(ways))
