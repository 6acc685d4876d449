"""What is wrong with data, as records that are put into words here and nowhere else."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

SHOWN = 5  # files of a kind that a message names
IN_FULL = ("unreadable-file",)  # causes of which it names all files


@dataclass(frozen=True)
class Finding:
    """Something that is wrong: what was found where, what was expected, and what to do.

    >>> print(Finding("color-images", "a color image", "gray", 'pass mode="RGB"', ("7.png",)))
    7.png: a color image; expected gray: pass mode="RGB"
    """

    cause: str
    """Short name of what is wrong; the doctor knows more of each."""
    found: str
    """What was read or measured."""
    expected: str = ""
    """What it should have been."""
    cure: str = ""
    """What to do."""
    files: tuple[str, ...] = ()
    """The images, masks or checkpoints that it was found in, perhaps with a remark on each."""
    arguments: tuple[Mapping[str, Any], ...] = field(default=(), hash=False)
    """What to pass, by the names of arguments; several are alternatives."""
    kind: str = ""
    """The heading in a list, where every file has a sentence of its own."""

    @property
    def sentence(self) -> str:
        """Everything but the files."""
        if not self.expected:
            return "; ".join(filter(None, (self.found, self.cure)))
        return f"{self.found}; expected {': '.join(filter(None, (self.expected, self.cure)))}"

    @property
    def heading(self) -> str:
        """What it has in common with others in a list."""
        return self.kind or self.sentence

    def __str__(self) -> str:
        return ": ".join(filter(None, (", ".join(self.files), self.sentence)))


Remark = Callable[[Finding], str]


class DataError(ValueError):
    """Something is wrong in the data: the text says where, what was expected, and what to do.

    `findings` are the same as records, and `cause` is that of the first; a text alone becomes a
    finding of the given `cause`. Where several files were examined, `where` says which, and the
    text is a list.

    >>> empty = Finding("unreadable-file", "the file is empty", cure="remove it", files=("7.png",))
    >>> raise DataError(empty)
    Traceback (most recent call last):
    unet_lib.data.findings.DataError: 7.png: the file is empty; remove it
    """

    def __init__(
        self, *findings: Finding | str, where: str = "", cause: str = "unusable-file"
    ) -> None:
        found = (Finding(cause, one) if isinstance(one, str) else one for one in findings)
        self.findings = tuple(found)
        self.where = where
        super().__init__(self.text())

    @property
    def cause(self) -> str:
        """The short name of the first finding."""
        return self.findings[0].cause

    def text(self, remark: Remark = lambda finding: "") -> str:
        """The message; `remark` may add something to each sentence, such as options of a shell."""
        if not self.where:
            return "\n".join(f"{finding}{remark(finding)}" for finding in self.findings)
        count = len(self.findings)
        lines = [f"{count} problem{'s' * (count > 1)} in {self.where}"]
        for group in grouped(self.findings, lambda finding: finding.heading):
            first = group[0]
            lines.append(f"- {len(group)} x {first.heading}{'' if first.kind else remark(first)}")
            shown = group if first.cause in IN_FULL else group[:SHOWN]
            lines += [
                f"    {finding}{remark(finding)}" if first.kind else f"    {finding.files[0]}"
                for finding in shown
            ]
            if len(shown) < len(group):
                lines.append(f"    ... and {len(group) - len(shown)} more")
        return "\n".join(lines)


def grouped(findings: Iterable[Finding], key: Callable[[Finding], Any]) -> list[list[Finding]]:
    """The findings of which `key` says the same, together, in the order of the first of each."""
    groups: dict[Any, list[Finding]] = {}
    for finding in findings:
        groups.setdefault(key(finding), []).append(finding)
    return list(groups.values())


def as_keywords(arguments: Mapping[str, Any]) -> str:
    """Arguments as they are written in Python."""
    return " and ".join(f"{name}={value}" for name, value in arguments.items())


def listed(values: list[int], limit: int = 8) -> str:
    """The first numbers of a list, as messages print them.

    >>> listed([0, 1, 2, 3], limit=2)
    '0, 1, ... (4 in all)'
    """
    text = ", ".join(map(str, values[:limit]))
    return text if len(values) <= limit else f"{text}, ... ({len(values)} in all)"
