"""Losses, the loop, its settings and what a run leaves behind (chapter 4)."""

from unet_lib.training.checkpoint import (
    CheckpointError,
    load_checkpoint,
    load_model,
    load_weights,
    save_checkpoint,
)
from unet_lib.training.epoch import OutOfMemoryError, TrainingError, evaluate, train_epoch
from unet_lib.training.loop import fit
from unet_lib.training.losses import (
    bce_dice_loss,
    bce_loss,
    cross_entropy_dice_loss,
    cross_entropy_loss,
    dice_loss,
    segmentation_loss,
)
from unet_lib.training.monitor import OneClassWarning
from unet_lib.training.precision import Mode, choose_mode, step_seconds
from unet_lib.training.probes import learning_rate_range_test, overfit_one_batch, short_training
from unet_lib.training.settings import History, TrainingSettings
from unet_lib.training.shape_losses import distance_loss, offset_loss
from unet_lib.training.task import Task, load_task
from unet_lib.training.trained import Trained
from unet_lib.training.whole import WholeImages

__all__ = [
    "CheckpointError",
    "History",
    "Mode",
    "OneClassWarning",
    "OutOfMemoryError",
    "Task",
    "Trained",
    "TrainingError",
    "TrainingSettings",
    "WholeImages",
    "bce_dice_loss",
    "bce_loss",
    "choose_mode",
    "cross_entropy_dice_loss",
    "cross_entropy_loss",
    "dice_loss",
    "distance_loss",
    "evaluate",
    "fit",
    "learning_rate_range_test",
    "load_checkpoint",
    "load_model",
    "load_task",
    "load_weights",
    "offset_loss",
    "overfit_one_batch",
    "save_checkpoint",
    "segmentation_loss",
    "short_training",
    "step_seconds",
    "train_epoch",
]
