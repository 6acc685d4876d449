"""The README says what is there."""

import json
import re
from pathlib import Path
from statistics import mean

from book._ext.chapters import is_deeper
from tools.toc import documents
from unet_lib.model import count_parameters
from unet_lib.training import load_model

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_every_link_leads_to_a_file() -> None:
    targets = [t for t in re.findall(r"\]\(([^)]+)\)", README) if "://" not in t]
    assert targets
    assert [target for target in targets if not (ROOT / target).is_file()] == []


def test_every_chapter_is_listed_in_order() -> None:
    pages = [page for page in documents() if page.startswith("notebooks/")]
    chapters = [f"{page}.ipynb" for page in pages if not is_deeper(page)]
    assert re.findall(r"\| \[.*?\]\((notebooks/\S+)\)", README) == chapters


def test_every_make_target_exists() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    named = set(re.findall(r"\bmake ([a-z]+)", README))
    assert named - set(re.findall(r"(?m)^([a-z-]+):", makefile)) == set()
    assert {"book", "test", "lab", "notebooks", "serve", "clean", "help"} <= named


def test_plain_commands_are_those_of_the_makefile() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8").replace("\\\n", " ")
    spaced = " ".join(makefile.split())
    for line in README.splitlines():
        for start in ("pytest ", "jupyter-book "):
            command = line.partition(start)[2]
            if line.startswith(".venv/bin/") and command:
                assert start + command in spaced, line


def test_the_table_of_defaults_is_what_was_measured():
    rows = json.loads((ROOT / "results" / "defaults.json").read_text())
    for name, word, key in (
        ("membranes", "membranes", "dice_per_image"),
        ("dsb2018", "Data Science Bowl", "dice_per_image"),
        ("streets", "CamVid", "iou_pooled"),
    ):
        runs = [row for row in rows if row["name"] == name]
        line = next(line for line in README.splitlines() if line.startswith("|") and word in line)
        scores = ", ".join(f"{row['scores'][key]:.3f}" for row in runs)
        assert re.search(rf"\| {mean(row['seconds'] for row in runs) / 60:.1f} \| .*{scores}", line)
        assert len({row["seed"] for row in runs}) == 3
        assert all(row["seconds"] < 8 * 60 for row in runs)
    assert f"one class everywhere {runs[0]['baseline']['mean_iou']:.3f}" in line


def test_the_first_page_tells_the_size_of_its_network() -> None:
    size = count_parameters(load_model(ROOT / "results" / "nuclei-real.pt"))
    page = (ROOT / "book" / "index.md").read_text(encoding="utf-8")
    assert f"It has {size:,} parameters" in page
