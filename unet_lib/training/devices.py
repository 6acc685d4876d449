"""Devices, processes and number formats of a run, by Hugging Face Accelerate (chapter 4)."""

import os

from accelerate import Accelerator, PartialState
from accelerate.state import AcceleratorState, GradientState
from accelerate.utils import DataLoaderConfiguration, broadcast_object_list, parse_flag_from_env
from torch.utils.data import DataLoader, Dataset
from tqdm import tqdm

from unet_lib.model.unet import SegmentationModel
from unet_lib.training.epoch import LossFunction, TrainingError
from unet_lib.training.precision import MARGIN, Mode, bf16_cost, choose_mode
from unet_lib.training.settings import TrainingSettings

EPOCHS_PER_SEED = 1009  # so that no epoch of one seed repeats one of the next


def process_state() -> PartialState:
    """Which of how many processes this is, also on CPUs (where ACCELERATE_USE_CPU asks for them).

    >>> process_state().is_main_process
    True
    """
    return PartialState(cpu=parse_flag_from_env("ACCELERATE_USE_CPU"))


def new_accelerator(precision: str, settings: TrainingSettings) -> Accelerator:
    """A new Accelerator: its state is global, and would keep the last run's precision.

    >>> new_accelerator("float32", TrainingSettings(accumulation_steps=4)).mixed_precision
    'no'
    """
    AcceleratorState._reset_state()
    GradientState._reset_state()
    return Accelerator(
        mixed_precision="no" if precision == "float32" else precision,
        gradient_accumulation_steps=settings.accumulation_steps,
        dataloader_config=DataLoaderConfiguration(
            use_seedable_sampler=True, data_seed=settings.seed * EPOCHS_PER_SEED
        ),
    )


def check_processes(accelerator: Accelerator) -> None:
    """Several processes that do not see each other would train the same network side by side.

    Raises TrainingError then.

    >>> check_processes(new_accelerator("float32", TrainingSettings()))  # nothing to say
    """
    started = int(os.environ.get("WORLD_SIZE", 1))
    if started != accelerator.num_processes:
        raise TrainingError(
            f"{started} processes were started, but Accelerate sees {accelerator.num_processes}: "
            "each would train alone; without a GPU, set the variable ACCELERATE_USE_CPU=true"
        )


def choose_together(
    model: SegmentationModel,
    train_set: Dataset,
    loss: LossFunction,
    settings: TrainingSettings,
    verbose: bool,
) -> Mode:
    """The mode that the settings ask for; "auto" is decided by the first process for all.

    Tells where bf16 is slow. Who asks for it gets it: formats must be comparable.

    >>> from unet_lib.data import SimulatedNuclei
    >>> from unet_lib.training import bce_loss
    >>> from unet_lib.model import UNet
    >>> settings = TrainingSettings(precision="fp16")
    >>> str(choose_together(UNet(1), SimulatedNuclei(1), bce_loss, settings, verbose=False))
    'fp16'
    """
    if settings.precision in ("float32", "fp16"):
        return Mode(settings.precision)
    state = process_state()
    chosen = [Mode("bf16")]
    if state.is_main_process:
        loader = DataLoader(train_set, min(2, settings.batch_size))
        probe = (model, *(x.to(state.device) for x in next(iter(loader))), loss)
        if settings.precision == "auto":
            chosen = [choose_mode(*probe)]
        slow = settings.precision == "bf16" or chosen[0].precision == "float32"
        if verbose and slow and (cost := bf16_cost(*probe)) > MARGIN:
            tqdm.write(
                f"bf16 takes {cost:.1f} times as long as float32 here: training in "
                + ("bf16 all the same, as asked" if settings.precision == "bf16" else "float32")
            )
    return Mode(*broadcast_object_list(chosen)[0])
