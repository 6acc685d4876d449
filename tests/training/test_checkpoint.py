"""Checkpoints: round trip, a writer that is killed, and files that are no checkpoints."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import nn

from unet_lib.data.write import write_atomically
from unet_lib.model import UNet
from unet_lib.training import (
    CheckpointError,
    load_checkpoint,
    load_model,
    load_weights,
    save_checkpoint,
)


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"model": None}, "lacks model, which save_checkpoint stores"),
        ({"weights": None}, "lacks weights"),
        ({"model": '{"in_channels": 1, "ways": 3}'}, "unexpected keyword argument 'ways'"),
        ({"model": '{"in_channels": -1}'}, "in_channels must be at least 1, got -1"),
        ({"model": "{"}, "holds settings that this version of unet-lib does not take"),
    ],
)
def test_fault_24_a_checkpoint_with_gaps_or_of_a_newer_version(tmp_path, changes, told):
    save_checkpoint(tmp_path / "model.pt", UNet(1, width=2, depth=1))
    contents = load_checkpoint(tmp_path / "model.pt") | changes
    torch.save({k: v for k, v in contents.items() if v is not None}, tmp_path / "model.pt")
    with pytest.raises(CheckpointError, match=r"model\.pt") as raised:
        load_model(tmp_path / "model.pt")
    assert told in str(raised.value)


class Touch:
    def __reduce__(self):
        return (os.mkdir, ("owned",))


def test_fault_24_files_that_are_no_checkpoints(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    save_checkpoint("best.pt", UNet(1, width=2, depth=1))
    os.mkdir("folder.pt")
    Path("short.pt").write_bytes(Path("best.pt").read_bytes()[:-500])
    Path("empty.pt").touch()
    strange = {"evil": {"format": 1, "model": Touch()}, "dict": {"a": 1}, "list": [1, 2]}
    for name, contents in strange.items():
        torch.save(contents, f"{name}.pt")
    for path, told in (
        ("folder.pt", "is a folder, not a checkpoint"),
        ("short.pt", r"\(\d+ bytes\) cannot be read.*older copy"),
        ("empty.pt", r"\(0 bytes\) cannot be read"),
        ("evil.pt", "not a file of weights alone"),
        ("dict.pt", "is not a checkpoint of this library.*load_state_dict"),
        ("list.pt", "is not a checkpoint of this library.*load_state_dict"),
        ("last.pt", r"no checkpoint last\.pt; \. holds \['best.pt', "),
        ("nowhere/last.pt", "no checkpoint .*nowhere holds none"),
    ):
        with pytest.raises(CheckpointError, match=told):
            load_checkpoint(path)
    assert not Path("owned").exists()

    def forbid(*_, **__):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(torch, "load", forbid)
    with pytest.raises(CheckpointError, match="may not be read by you"):
        load_checkpoint("best.pt")


def test_fault_25_a_writer_that_fails_leaves_the_old_file(tmp_path):
    path = tmp_path / "model.pt"
    path.write_text("old")

    def fail(file):
        file.write(b"half of the new")
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        write_atomically(path, fail)
    assert path.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["model.pt"]


KILLED = """
import sys, time
from unet_lib.data.write import write_atomically
def write(file):
    file.write(b"half of the new"); file.flush()
    print("writing", flush=True)
    time.sleep(60)
write_atomically(sys.argv[1], write)
"""


def test_fault_25_a_killed_writer_leaves_the_old_file(tmp_path):
    path = tmp_path / "model.pt"
    save_checkpoint(path, UNet(1, width=1, depth=1), epoch=1)
    writer = subprocess.Popen([sys.executable, "-c", KILLED, path], stdout=subprocess.PIPE)
    assert writer.stdout.readline() == b"writing\n"
    os.kill(writer.pid, signal.SIGKILL)
    writer.communicate()
    assert load_checkpoint(path)["epoch"] == 1


def test_fault_24_weights_that_do_not_fit():
    model = UNet(1, 1, width=2, depth=1)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    other = UNet(1, 3, width=2, depth=1).state_dict()
    with pytest.raises(CheckpointError, match=r"head.weight: \(3, 2, 1, 1\), the model has \(1, 2"):
        load_weights(model, other)
    with pytest.raises(CheckpointError, match=r"missing.*unexpected \['module.*save the unwrapped"):
        load_weights(model, nn.DataParallel(model).state_dict(), "old.pt")
    for name, tensor in model.state_dict().items():
        assert torch.equal(tensor, before[name])  # all or nothing


@pytest.mark.parametrize(
    ("write", "told"),
    [
        (lambda path: path.write_bytes(b"version https://git-lfs.github.com/spec/v1\n"), "Git LFS"),
        (lambda path: path.write_bytes(b"<!doctype html><html>"), "it is a web page"),
        (lambda path: path.write_bytes(b"\x89HDF\r\n\x1a\n" + bytes(9)), "it is HDF5"),
        (lambda path: torch.save(nn.Conv2d(1, 1, 1), path), "it holds objects, perhaps a model"),
        (lambda path: torch.jit.script(nn.ReLU()).save(path), "it is TorchScript: load it with"),
        (lambda path: torch.save({"network_weights": {}}, path), "a checkpoint of nnU-Net, whose"),
        (lambda path: torch.save({"mask_values": [0, 1]}, path), "as Pytorch-UNet writes them"),
        (
            lambda path: torch.save({"state_dict": {}, "pytorch-lightning_version": "2"}, path),
            "a checkpoint of PyTorch Lightning, whose weights are in 'state_dict'",
        ),
    ],
)
@pytest.mark.filterwarnings("ignore::FutureWarning", "ignore:.*TorchScript archive")
def test_wild_files_of_others_are_named(tmp_path, write, told):
    write(tmp_path / "a.pt")
    with pytest.raises(CheckpointError, match=told):
        load_checkpoint(tmp_path / "a.pt")
