"""Every case of the clinic stands once on its pages, and the index of 9d leads to each."""

import json
import re
from pathlib import Path

from unet_lib.course.clinic import CASES

PAGES = sorted((Path(__file__).parents[2] / "notebooks").glob("09d_*.ipynb"))


def sources(path: Path) -> str:
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    return "\n".join("".join(cell["source"]) for cell in cells)


def test_every_case_is_shown_once_and_found_in_the_index() -> None:
    text = "\n".join(map(sources, PAGES))
    shown = re.findall(r'(?m)^visit\("(.+)"\)$', text)
    assert sorted(shown) == sorted(case.title for case in CASES)
    places = re.findall(r"(?m)^\((mask-[\w-]+)\)=$", text)
    index = sources(PAGES[0]).split("## How the doctor works")[0]
    assert set(re.findall(r"<(mask-[\w-]+)>", index)) == set(places)
    assert len(places) == len(set(places)) == len(CASES) + 1  # masks of 0 and 1 are no fault
