"""Number format, devices and processes of a run (chapter 4).

bf16 keeps float32's range with 8 bits of precision. CPUs with instructions for it, and GPUs, run
convolutions in it two to four times as fast; others are slower with it than without: a short probe
decides. Devices and processes are in the hands of Hugging Face Accelerate.
"""

import copy
import os
import time
from typing import Any, NamedTuple

import torch
from accelerate import Accelerator, PartialState
from accelerate.state import AcceleratorState, GradientState
from accelerate.utils import DataLoaderConfiguration, broadcast_object_list, parse_flag_from_env
from torch import Tensor, nn
from torch.utils.data import DataLoader
from tqdm import tqdm

from unet_lib.training.epoch import LossFunction, TrainingError, logits_and_target
from unet_lib.training.settings import Precision, TrainingSettings

MARGIN = 1.1  # another mode than plain float32 has to be at least that much faster
EPOCHS_PER_SEED = 1009  # so that no epoch of one seed repeats one of the next


class Mode(NamedTuple):
    """A number format and a memory layout to train in.

    >>> str(Mode("bf16", channels_last=True))
    'bf16, channels_last'
    """

    precision: str = "float32"
    channels_last: bool = False

    def __str__(self) -> str:
        return self.precision + (", channels_last" if self.channels_last else "")


CANDIDATES = (Mode(), Mode("float32", True), Mode("bf16", True))


def step_seconds(
    model: nn.Module,
    images: Tensor,
    target: Tensor,
    loss: LossFunction,
    mode: Mode,
    repeats: int = 3,
) -> float:
    """Seconds of one forward and backward pass in that mode, the fastest of `repeats`.

    Works on a copy: the model, its statistics and the random numbers stay as they were.

    >>> from unet_lib.training import bce_loss
    >>> images, target = torch.zeros(1, 1, 8, 8), torch.zeros(1, 1, 8, 8)
    >>> step_seconds(nn.Conv2d(1, 1, 1), images, target, bce_loss, Mode()) > 0
    True
    """
    device = images.device
    probe = copy.deepcopy(model).to(device).train()
    if mode.channels_last:
        probe.to(memory_format=torch.channels_last)
    seconds = []
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        for _ in range(repeats + 1):  # the first one warms up
            start = time.perf_counter()
            bf16 = mode.precision == "bf16"
            with torch.autocast(device.type, dtype=torch.bfloat16, enabled=bf16):
                logits, truth = logits_and_target(probe, images, target)
            loss(logits.float(), truth).backward()
            if device.type == "cuda":
                torch.cuda.synchronize(device)
            seconds.append(time.perf_counter() - start)
    return min(seconds[1:])


def choose_mode(model: nn.Module, images: Tensor, target: Tensor, loss: LossFunction) -> Mode:
    """The fastest of float32 and bf16, in both memory layouts, on two of these images.

    Plain float32 wins unless another mode is `MARGIN` times as fast, so a CPU without fast bf16
    stays where it was. Takes about ten steps on two images.

    >>> from unet_lib.training import bce_loss
    >>> images, target = torch.zeros(2, 1, 8, 8), torch.zeros(2, 1, 8, 8)
    >>> choose_mode(nn.Conv2d(1, 1, 1), images, target, bce_loss).precision in ("float32", "bf16")
    True
    """
    two = images[:2], target[:2]
    return _fastest({mode: step_seconds(model, *two, loss, mode) for mode in CANDIDATES})


def _fastest(seconds: dict[Mode, float]) -> Mode:
    fastest = min(seconds, key=seconds.__getitem__)
    return fastest if seconds[fastest] * MARGIN < seconds[Mode()] else Mode()


def agree_on_mode(
    model: nn.Module, loader: DataLoader, loss: LossFunction, precision: Precision, verbose: bool
) -> Mode:
    """The mode that is asked for; "auto" is decided by the first process. Says if bf16 is slow."""
    state, auto = process_state(), precision == "auto"
    if precision in ("float32", "fp16") or not (auto or verbose):
        return Mode(precision)
    chosen = [Mode("bf16")]
    if state.is_main_process:
        size = min(2, loader.batch_size or 2)
        two = next(iter(DataLoader(loader.dataset, size, collate_fn=loader.collate_fn)))
        modes = CANDIDATES if auto else (Mode(), Mode("bf16"))
        images, target = (part.to(state.device) for part in two)
        seconds = {mode: step_seconds(model, images, target, loss, mode) for mode in modes}
        if auto:
            chosen = [_fastest(seconds)]
        slower = seconds[modes[-1]] / seconds[Mode()]
        if verbose and slower > MARGIN:
            tqdm.write(
                f"bf16 takes {slower:.1f} times as long as float32 here: training in "
                + (chosen[0].precision if auto else "bf16 all the same, as asked")
            )
    return Mode(*broadcast(chosen[0]))


def broadcast(value: Any) -> Any:
    """What the first process has, in all of them."""
    return broadcast_object_list([value])[0]


def process_state() -> PartialState:
    """Which of how many processes this is, on CPUs too (where ACCELERATE_USE_CPU asks for them)."""
    return PartialState(cpu=parse_flag_from_env("ACCELERATE_USE_CPU"))


def on_several_gpus() -> bool:
    """Whether several processes train together, each on a graphics card."""
    state = process_state()
    return state.num_processes > 1 and str(state.device).startswith("cuda")


def new_accelerator(precision: str, settings: TrainingSettings) -> Accelerator:
    """A new Accelerator: its state is global, and would keep the last run's precision.

    Raises TrainingError where several processes were started that do not see each other.
    """
    AcceleratorState._reset_state()
    GradientState._reset_state()
    accelerator = Accelerator(
        mixed_precision="no" if precision == "float32" else precision,
        gradient_accumulation_steps=settings.accumulation_steps,
        dataloader_config=DataLoaderConfiguration(
            use_seedable_sampler=True, data_seed=settings.seed * EPOCHS_PER_SEED
        ),
    )
    started = int(os.environ.get("WORLD_SIZE", 1))
    if started != accelerator.num_processes:
        raise TrainingError(
            f"{started} processes were started, but Accelerate sees {accelerator.num_processes}: "
            "each would train alone; without a GPU, set the variable ACCELERATE_USE_CPU=true"
        )
    return accelerator
