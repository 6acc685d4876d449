"""What the doctor says: one finding for each thing that is wrong, with its cure."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from textwrap import fill

from unet_lib.doctor.causes import CAUSES

SHOWN = 5  # files named in a report; `files` holds all of them


@dataclass(frozen=True)
class Finding:
    """Something that is wrong, how it shows, and what to do.

    >>> finding = Finding.of("batch-of-one", "batch_size=1 with BatchNorm")
    >>> finding.symptom
    'the loss jumps, and the network is good in training and poor in eval mode'
    """

    cause: str
    """Short name of what is wrong, a key of `unet_lib.doctor.CAUSES`."""
    symptom: str
    """What one sees of it."""
    found: str
    """What was measured."""
    expected: str
    """What a healthy set-up shows."""
    cure: str
    """What to do."""
    files: tuple[str, ...] = ()
    """The pictures, masks or checkpoints that it was found in, if it lies in single ones."""

    @classmethod
    def of(
        cls,
        cause: str,
        found: str,
        files: Sequence[str | Path] = (),
        expected: str | None = None,
        cure: str | None = None,
    ) -> "Finding":
        """A finding of a known cause; what is not given is taken from `CAUSES`."""
        known = CAUSES[cause]
        files = tuple(map(str, files))
        return cls(
            cause, known.symptom, found, expected or known.expected, cure or known.cure, files
        )

    def __str__(self) -> str:
        """The finding as a paragraph for a terminal."""
        parts = {
            "symptom": self.symptom,
            "found": self.found,
            "expected": self.expected,
            "cure": self.cure,
        }
        lines = [fill(text, 96, initial_indent=f"  {name + ':':9} ", subsequent_indent=" " * 12)
                 for name, text in parts.items()]  # fmt: skip
        if self.files:
            more = f", ... ({len(self.files)} in all)" if len(self.files) > SHOWN else ""
            lines.append("  files:    " + ("," + "\n" + " " * 12).join(self.files[:SHOWN]) + more)
        return "\n".join([self.cause, *lines])
