"""How long the pages are: a chapter is read in an evening, and the first network comes early."""

import json
from pathlib import Path

import pytest

from book._ext.chapters import LONGEST, count_words, is_deeper, reading_minutes

PAGES = sorted(Path(__file__).parents[2].glob("notebooks/*.ipynb"))


def load(path: Path) -> dict:
    return json.loads(path.read_text(encoding="utf-8"))


def cell(kind: str, source: str, *tags: str, outputs: tuple = ()) -> dict:
    more = {"outputs": list(outputs)} if kind == "code" else {}
    return {"cell_type": kind, "source": [source], "metadata": {"tags": list(tags)}, **more}


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.stem)
def test_a_page_is_no_longer_than_its_kind(path: Path) -> None:
    kind = "00" if path.stem.startswith("00") else "core"
    most = LONGEST["deeper" if is_deeper(f"notebooks/{path.stem}") else kind]
    words = count_words(load(path))
    assert words.seen <= most, f"{path.name}: {words.seen} words ({words}), {most} at most"


def test_the_first_trained_network_stands_in_the_first_chapter() -> None:
    cells = load(PAGES[0])["cells"]
    first = next(i for i, c in enumerate(cells) if "fit(" in "".join(c["source"]))
    assert count_words({"cells": cells[: first + 1]}).seen <= 500


def test_what_a_reader_sees_counts_and_what_is_folded_does_not() -> None:
    printed = {"output_type": "stream", "text": "one two three"}
    picture = {"output_type": "display_data", "data": {"image/png": "", "text/plain": "a figure"}}
    cells = [
        cell("markdown", "See {doc}`chapter 4 <04_training>`. <details>a hidden answer</details>"),
        cell("code", "x = 1", outputs=(printed, picture)),
        cell("code", "y = 2", "hide-cell", outputs=(printed,)),
        cell("code", "z = 3", "remove-cell"),
        cell("code", "w = 4", "hide-input"),
    ]
    words = count_words({"cells": cells})
    assert words == (3, 2, 3, 3 + 2 + 3 + 2)
    assert words.seen == 8


def test_each_task_takes_three_minutes() -> None:
    text = [cell("markdown", "word " * 1300)]
    tasks = [cell("code", "", "task")] * 4
    assert reading_minutes({"cells": text}) == 10
    assert reading_minutes({"cells": text + tasks}) == 25
