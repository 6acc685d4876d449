"""What the doctor says: findings of a known cause, and how they look in a terminal."""

from collections.abc import Sequence
from pathlib import Path
from textwrap import fill

from unet_lib.data.findings import IN_FULL, SHOWN, Finding
from unet_lib.doctor.data_causes import DATA_CAUSES
from unet_lib.doctor.run_causes import RUN_CAUSES

CAUSES = DATA_CAUSES | RUN_CAUSES
"""Cause -> how it shows, what is expected, the cure."""


def diagnosis(
    cause: str, found: str, files: Sequence[str | Path] = (), cure: str | None = None
) -> Finding:
    """A finding of a known cause: what is expected, and the cure if none is given, from `CAUSES`.

    >>> diagnosis("batch-of-one", "batch_size=1 with BatchNorm").expected
    'at least 4 images a batch for BatchNorm'
    """
    known = CAUSES[cause]
    return Finding(cause, found, known.expected, cure or known.cure, tuple(map(str, files)))


def paragraph(finding: Finding) -> str:
    """A finding for a terminal, with its symptom.

    >>> print(paragraph(diagnosis("leak", "2 images", ["a equals b"])).splitlines()[-1])
      files:    a equals b
    """
    parts = {
        "symptom": CAUSES[finding.cause].symptom,
        "found": finding.found,
        "expected": finding.expected,
        "cure": finding.cure,
    }
    lines = [finding.cause]
    for name, text in parts.items():
        first = f"  {name + ':':9} "
        lines.append(fill(text, 96, initial_indent=first, subsequent_indent=" " * 12))
    if finding.files:
        shown = finding.files if finding.cause in IN_FULL else finding.files[:SHOWN]
        more = f", ... ({len(finding.files)} in all)" * (len(shown) < len(finding.files))
        lines.append("  files:    " + f",\n{' ' * 12}".join(shown) + more)
    return "\n".join(lines)
