"""The benchmark compares what it says, and writes what a page can quote."""

import ast
import json
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from benchmarks import predict, stardist, throughput
from unet_lib.training import Mode, precision

ROOT = Path(__file__).resolve().parents[2]
SMALL = ["--width", "2", "--rounds", "3", "--seconds", "0.01", "--size", "16", "--batch-size", "2"]


def test_every_candidate_learns() -> None:
    torch.manual_seed(0)
    images = torch.rand(2, 3, 16, 16)
    target = (images[:, :1] > 0.5).float()
    for make in (throughput.article, lambda *x: throughput.library("batch", *x)):
        train, mode = make(2, images, target)
        assert mode.startswith(("float32", "bf16"))
        train(2)


def test_it_prints_a_table_and_writes_what_it_depends_on(tmp_path, capsys) -> None:
    output = tmp_path / "new" / "throughput.json"
    throughput.main([*SMALL, "--output", str(output)])
    told = capsys.readouterr().out
    text = output.read_text()
    stored = json.loads(text)
    names = [row["candidate"] for row in stored["rows"]]
    assert names == ["article's code", "library, same network", "library, with BatchNorm"]
    first, *others = stored["rows"]
    assert (first["mode"], first["ratio"]) == ("float32", 1.0)
    assert all(len(row["rounds"]) == 3 for row in stored["rows"])
    assert first["images_per_second"] == sorted(first["rounds"])[1]
    for row in others:
        exact = row["images_per_second"] / first["images_per_second"]
        assert row["ratio"] == pytest.approx(exact, rel=0.01, abs=0.01)
        assert f"{row['images_per_second']:.1f}" in told
    assert stored["machine"]["threads"] == torch.get_num_threads()
    assert stored["machine"]["torch"] == torch.__version__
    assert stored["settings"]["size"] == 16
    named = {"processor", "instructions", "threads", "torch", "gpu"}
    assert stored["machine"].keys() <= named  # no name of the machine or its user
    assert str(tmp_path) not in text


def test_where_nothing_is_faster_the_library_trains_as_the_article_does(monkeypatch) -> None:
    slow = {Mode(): 1.0, Mode("float32", True): 1.1, Mode("bf16", True): 5.0}
    monkeypatch.setattr(precision, "step_seconds", lambda *call: slow[call[4]])
    images = torch.rand(2, 3, 16, 16)
    train, mode = throughput.library("none", 2, images, torch.ones(2, 1, 16, 16))
    assert mode == "float32"
    train(1)


def test_prediction_is_compared_with_the_article_s_forward(tmp_path, capsys) -> None:
    output = tmp_path / "predict.json"
    small = ["--width", "2", "--size", "32", "--rounds", "3", "--seconds", "0.01", "--images", "3"]
    predict.main([*small, "--no-compiled", "--output", str(output)])
    told, stored = capsys.readouterr().out, json.loads(output.read_text())
    first, *others = stored["rows"]
    assert (first["candidate"], first["ratio"]) == ("article's forward", 1.0)
    assert [row["candidate"] for row in others] == [
        "predict, tiles of 256",
        "predict",
        "Trained",
        predict.FOLDER,
    ]
    for row in stored["rows"]:
        assert row["images_per_second"] == sorted(row["rounds"])[1]
        assert row["candidate"] in told
    predict.main(["--memory", "--width", "2", "--sides", "600", "--output", str(output)])
    memory = json.loads(output.read_text())["memory"]
    assert [(row["side"], row["tile"]) for row in memory] == [(600, 512), (600, None)]
    assert all(0 <= row["megabytes"] < 200 for row in memory)
    assert json.loads(output.read_text())["rows"] == stored["rows"]
    assert str(tmp_path) not in output.read_text()


def test_chapter_13_quotes_the_stored_numbers() -> None:
    stored = json.loads((ROOT / "benchmarks" / "results" / "predict.json").read_text())
    cells = json.loads((ROOT / "notebooks" / "13_deeper_speed.ipynb").read_text())["cells"]
    text = "".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "markdown")
    names = ("width", "size", "candidate", "mode", "images_per_second", "ratio")
    lines = [" | ".join(str(row[name]) for name in names) for row in stored["rows"]]
    lines += [
        f"{row['side']} | {row['tile'] or 'chosen'} | {row['megabytes']}"
        for row in stored["memory"]
    ]
    assert [line for line in lines if f"| {line} |" not in text] == []


def test_chapter_13_compares_ways_and_processors_as_measured() -> None:
    cells = json.loads((ROOT / "notebooks" / "13_deeper_speed.ipynb").read_text())["cells"]
    text = " ".join("".join("".join(cell["source"]) for cell in cells).split())
    results = ROOT / "benchmarks" / "results"
    speed = {
        file: {
            (row["width"], row["candidate"]): row["images_per_second"]
            for row in json.loads((results / f"{file}.json").read_text())["rows"]
        }
        for file in ("predict", "predict-intel")
    }
    own = speed["predict"]
    tiles = own[16, "predict"] / own[16, "predict, tiles of 256"]
    assert f"takes {tiles:.1f} times as long as whole" in text
    narrow, wide = (100 * (own[w, "torch.compile"] / own[w, "Trained"] - 1) for w in (16, 64))
    assert f"{narrow:.0f} % faster at width 16 and {-wide:.0f} % slower at width 64" in text
    here, there = (
        [of[w, "article's forward"] / of[w, "Trained"] for w in (16, 64)] for of in speed.values()
    )
    told = "took {:.2f} and {:.2f} of the article's time in place of {:.2f} and {:.2f}"
    assert told.format(*there, *here) in text


NUCLEI = np.pad(np.repeat([[1] * 4 + [7] * 6], 5, axis=0), 2)  # two that touch: 20 and 30 pixels
LEARNER = """
import json, os, sys
from pathlib import Path
import numpy as np
folder, *numbers = sys.argv[1:]
print(*(len(np.load(f"{folder}/{name}.npz").files) for name in ("images", "labels", "test")))
one = np.load(f"{folder}/test.npz")["arr_0"]
np.savez(f"{folder}/found.npz", *[(one > 0) * 1] * 2)
facts = {"processor_seconds": 5, "steps": 3, "asked": numbers, "omp": os.environ["OMP_NUM_THREADS"]}
Path(folder, "facts.json").write_text(json.dumps(facts))
"""


def test_stardist_gets_the_time_our_networks_took(tmp_path) -> None:
    table, row = tmp_path / "touching.json", {"variant": "final distances", "trained_on": "all"}
    with pytest.raises(SystemExit, match=r"touching\.json: 0 rows.*pass --seconds"):
        stardist.our_seconds(table)
    others = [{"variant": "ceilings"}, row | {"trained_on": "simulated", "processor_seconds": 9}]
    table.write_text(json.dumps(others))
    with pytest.raises(SystemExit, match="2 rows, but none of the final networks"):
        stardist.our_seconds(table)
    own = [row | {"processor_seconds": seconds} for seconds in (1000, 1300)]
    table.write_text(json.dumps(others + own))
    assert stardist.our_seconds(table) == 1150


def test_stardist_learns_elsewhere_and_its_row_is_written(tmp_path, monkeypatch, capfd) -> None:
    script, output = tmp_path / "learner.py", tmp_path / "new" / "stardist.json"
    script.write_text(LEARNER)
    images = {"train": [NUCLEI] * 3, "test": [NUCLEI] * 2}
    monkeypatch.setattr(stardist, "pairs", lambda split: (images[split], images[split]))
    monkeypatch.setattr(stardist, "environment", lambda folder: Path(sys.executable))
    monkeypatch.setattr(stardist, "SCRIPT", script)
    monkeypatch.setattr(stardist, "PLACE", tmp_path / "place")
    for seed in ("0", "1", "1"):
        stardist.main(["--seconds", "5", "--seed", seed, "--output", str(output)])
    told, stored = capfd.readouterr().out, json.loads(output.read_text())
    assert told.startswith("3 3 2\n")  # not the truth of the test images
    assert "0.500 0.000 0.000  pooled" in told
    assert [row["seed"] for row in stored["rows"]] == [0, 1]
    row = stored["rows"][-1]
    assert (row["candidate"], row["steps"], row["omp"]) == ("StarDist", 3, "1")
    assert row["ap"]["pooled"] == row["ap"]["per_image"] == {"0.5": 0.5, "0.7": 0.0, "0.9": 0.0}
    assert str(tmp_path) not in output.read_text()
    script.write_text("raise SystemExit(3)")
    with pytest.raises(stardist.subprocess.CalledProcessError, match="status 3"):
        stardist.main(["--seconds", "5", "--output", str(output)])
    assert json.loads(output.read_text()) == stored


def test_the_environment_of_stardist_is_made_once(tmp_path, monkeypatch) -> None:
    calls, made = [], []
    monkeypatch.setattr(stardist.venv, "create", lambda folder, with_pip: folder.mkdir())
    monkeypatch.setattr(stardist.subprocess, "run", lambda call, check: calls.append(call))
    made = [stardist.environment(tmp_path / "venv") for _ in range(2)]
    assert made[0] == made[1] == calls[0][0]
    assert len(calls) == 1
    assert [*stardist.PINS] == calls[0][5:]


def test_the_script_in_stardist_s_environment_needs_nothing_of_ours() -> None:
    tree = ast.parse(stardist.SCRIPT.read_text(encoding="utf-8"))
    names = {a.name for node in tree.body if isinstance(node, ast.Import) for a in node.names}
    names |= {node.module for node in tree.body if isinstance(node, ast.ImportFrom)}
    third = {name.split(".")[0] for name in names} - sys.stdlib_module_names
    assert third == {"csbdeep", "keras", "numpy", "stardist", "tensorflow"}
