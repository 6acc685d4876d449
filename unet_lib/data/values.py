"""Are the values of a set of masks the classes 0 to K-1? If not, what should be passed."""

from collections.abc import Mapping
from pathlib import Path

from unet_lib.data.files import BLENDED, MANY, listed
from unet_lib.data.pairing import Findings

_COMPRESSED = (".jpg", ".jpeg")


def check_values(
    values: Mapping[Path, list[int]],
    num_classes: int | None,
    ignore_index: int | None,
    findings: Findings,
) -> int:
    """The number of classes K of these masks; values that are no class are added to `findings`.

    Args:
        values: the values that occur in each mask.
        num_classes: K if it is known; else it is the number of values that occur, and these must
            be 0 to K-1, at least two.
        ignore_index: one more value that may occur.
        findings: gets what is wrong.

    Example:
        >>> findings = Findings()
        >>> check_values({Path("1.png"): [0, 255]}, None, None, findings)
        2
        >>> print(*findings.kinds)
        mask values 0, 255; expected 0 to 1: pass mask_values={0: 0, 255: 1}
    """
    shown = {mask: set(inside) - {ignore_index} for mask, inside in values.items()}
    blended = {mask for mask, inside in shown.items() if len(inside) > MANY}
    if num_classes is not None or len(blended) == len(shown):
        blended = set()  # every value is judged by num_classes, or nothing else is left to judge
    found = sorted(set().union(*(shown[mask] for mask in shown if mask not in blended)))
    classes = max(2, len(found)) if num_classes is None else num_classes
    unclear = num_classes is None and len(found) > MANY
    for mask, inside in shown.items():
        outside = sorted(v for v in inside if unclear or not 0 <= v < classes)
        if not outside:
            continue
        compressed = mask.suffix.lower() in _COMPRESSED
        if unclear or compressed or mask in blended or len(outside) > MANY:
            everything = sorted(set().union(*shown.values()))
            kind, cause = f"mask values, {_many_values_cure(everything)}", "mask-blended"
        else:
            cure = _few_values_cure(found, num_classes or 0)
            kind = f"mask values {listed(found)}; expected 0 to {classes - 1}: {cure}"
            cause = "mask-values"
        findings.add(kind, f"{mask}: {listed(outside)}", cause)
    if num_classes is None and any(values.values()) and set(found) <= {0}:
        kind = "mask without any object: there is nothing to learn (if meant: num_classes=2)"
        for mask in values:
            findings.add(kind, str(mask), "empty-masks")
    return classes


def _many_values_cure(found: list[int]) -> str:
    return (
        f"{len(found)} different ones: {BLENDED}. If they number objects, pass instances=True; "
        f"if they are classes, num_classes={found[-1] + 1}"
    )


def _few_values_cure(found: list[int], at_least: int) -> str:
    """What to pass so that these values become classes."""
    values = found if len(found) > 1 else [0, *found]
    mapping = ", ".join(f"{value}: {index}" for index, value in enumerate(values))
    cure = f"mask_values={{{mapping}}}"
    regular = [value for value in values if 0 <= value < 255]
    special = [value for value in values if value not in regular]
    if len(regular) > 1 and len(special) <= 1:
        classes = f"num_classes={max(at_least, regular[-1] + 1)}"
        if not special:
            return f"pass {cure} or, if they are classes already, {classes}"
        # a void border, most likely: it must not become a class
        classes += f" and ignore_index={special[0]}"
        cure = f"{classes} if they are classes with a void border, else {cure}"
    return f"pass {cure}"
