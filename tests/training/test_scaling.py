"""Training in several processes, and the commands of the page book/scaling-out.md."""

import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from accelerate.commands.launch import launch_command_parser
from torch.distributed.run import get_args_parser

from unet_lib.data import SimulatedNuclei, foreground
from unet_lib.model import UNet
from unet_lib.training import TrainingError, fit, load_model

ROOT = Path(__file__).parents[2]
BLOCK = re.compile(r"```\{code-block\} shell\n:name: ([\w-]+)\n(.*?)```", re.DOTALL)
PAGE = (ROOT / "book" / "scaling-out.md").read_text(encoding="utf-8")
COMMANDS = {name: text.replace("\\\n", " ") for name, text in BLOCK.findall(PAGE)}
LAUNCHER = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
SMALL = "--width 2 --depth 2 --crop 32 --size 32 --count 12 --epochs 1".split()  # noqa: SIM905

gloo = pytest.mark.skipif(not torch.distributed.is_gloo_available(), reason="torch without gloo")


def run(*command: str, cpu: str = "true") -> subprocess.CompletedProcess:
    """Run a command as it would run on a machine without graphics cards."""
    environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
    environment |= {"CUDA_VISIBLE_DEVICES": "", "ACCELERATE_USE_CPU": cpu}
    return subprocess.run(command, env=environment, capture_output=True, text=True)


TWO = """
import json, sys, torch
from torch.utils.data import TensorDataset
from unet_lib.training import fit
from unet_lib.training import bce_loss
from unet_lib.model import UNet
from unet_lib.training import TrainingSettings
torch.manual_seed(0)
images = torch.rand(8, 1, 16, 16)
model = UNet(1, 1, width=4, depth=2)
settings = TrainingSettings(epochs=2, batch_size=int(sys.argv[1]), precision="float32")
data = TensorDataset(images, (images > 0.5).float())
history = fit(model, data, data, loss=bce_loss, settings=settings, verbose=False)
print(json.dumps(history.column("validation_loss")))
"""


@gloo
def test_two_processes_train_as_one(tmp_path: Path) -> None:
    script = tmp_path / "train.py"
    script.write_text(TWO)
    one = run(sys.executable, str(script), "8")
    two = run(*LAUNCHER, str(script), "4")
    losses = [json.loads(process.stdout.splitlines()[-1]) for process in (one, two)]
    assert losses[1] == pytest.approx(losses[0], rel=1e-4)


PADDED = """
import json, sys, torch
from unet_lib.data import SimulatedNuclei
from unet_lib.model import UNet
from unet_lib.training import Task, TrainingSettings, fit
torch.manual_seed(0)
task = Task(sys.argv[1])
parts = SimulatedNuclei(13, size=(32, 32)).split(0.6, crop=40, augment="all")
model = UNet(1, task.out_channels, width=2, depth=1)
settings = TrainingSettings(1, batch_size=2, learning_rate=1e-12, precision="float32")
print(json.dumps(fit(model, *parts, task=task, settings=settings, verbose=False).rows))
"""


@gloo
@pytest.mark.parametrize("target", ["distances", "offsets"])
def test_shapes_in_crops_with_padding_are_judged_once_in_two_processes(
    tmp_path: Path, target: str
) -> None:
    script = tmp_path / "train.py"
    script.write_text(PADDED)
    rows = []
    for launcher in ([sys.executable], LAUNCHER):
        process = run(*launcher, str(script), target)
        assert process.returncode == 0, process.stderr[-2000:]
        rows += json.loads(process.stdout.splitlines()[-1])
    one, two = ({n: v for n, v in row.items() if "pooled" in n or "image" in n} for row in rows)
    assert two == pytest.approx(one)
    assert all(0 < row["loss"] < 20 for row in rows)


@gloo
def test_the_rehearsal_on_the_page_runs_and_speaks_once(tmp_path: Path) -> None:
    variable, starter, *words = shlex.split(COMMANDS["rehearsal"])
    assert (variable, starter) == ("ACCELERATE_USE_CPU=true", ".venv/bin/torchrun")
    words[words.index("runs/two")] = str(tmp_path / "two")
    process = run(*LAUNCHER[:3], *words, *SMALL)
    assert process.returncode == 0, process.stderr[-2000:]
    assert process.stdout.count("images for training") == 1
    assert load_model(tmp_path / "two" / "last.pt").settings.width == 2


def test_processes_that_do_not_see_each_other_are_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    nuclei = SimulatedNuclei(4, size=(16, 16), target=foreground)
    told = r"2 processes were started, .* ACCELERATE_USE_CPU=true"
    with pytest.raises(TrainingError, match=told):
        fit(UNet(1, 1, width=2, depth=1), nuclei, verbose=False)


@pytest.mark.parametrize("name", sorted(COMMANDS.keys() - {"rehearsal"}))
def test_options_of_the_launchers_exist(name: str) -> None:
    starter, *words = shlex.split(COMMANDS[name])
    if name.endswith("-torchrun"):
        assert starter == "torchrun"
        options = get_args_parser().parse_args(words)
        assert options.nproc_per_node == "4"
    else:
        assert (starter, words[0]) == ("accelerate", "launch")
        options = launch_command_parser().parse_args(words[1:])
        assert options.multi_gpu
        assert options.num_processes == 4 * options.num_machines
    assert (options.module, options.training_script) == (True, "unet_lib")
    assert options.training_script_args[0] == "train"


def test_the_page_has_all_commands() -> None:
    ways = {"one-machine", "several-machines"}
    assert set(COMMANDS) == {"rehearsal", *ways, *(f"{way}-torchrun" for way in ways)}


def test_the_page_quotes_what_was_measured() -> None:
    rows = json.loads((ROOT / "results" / "scaling.json").read_text())
    apart = {(r["norm"], r["loss"]): f"{100 * r['apart']:.1g}" for r in rows if "apart" in r}
    for name, norm in (("none", "none"), ("GroupNorm", "group"), ("BatchNorm", "batch")):
        cells = [float(apart[norm, loss]) for loss in ("BCE", "BCE + Dice")]
        line = next(line for line in PAGE.splitlines() if line.startswith(f"| {name} |"))
        assert [float(cell.strip(" %")) for cell in line.split("|")[2:4]] == cells
    dice = {
        (r["processes"], r["seed"]): f"{r['dice_per_image']:.3f}"
        for r in rows
        if "processes" in r and r["norm"] == "batch"
    }
    told = " ".join(PAGE.split())
    assert f"Dice of {dice[2, 0]}, one process {dice[1, 0]}, and one process with" in told
    assert f"another seed {dice[1, 1]}." in told
