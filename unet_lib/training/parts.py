"""What `fit` makes of its settings: batches, groups of parameters, optimizer and schedule."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from torch import nn
from torch.optim import SGD, Adam, AdamW, Optimizer
from torch.optim.lr_scheduler import ConstantLR, CosineAnnealingLR, LRScheduler, OneCycleLR
from torch.utils.data import DataLoader, Dataset

from unet_lib.training.settings import TrainingSettings
from unet_lib.training.task import Task
from unet_lib.training.whole import WholeImages

Data = Dataset | Sequence[Any] | DataLoader
Collate = Callable[[list[Any]], Any]
ParameterGroups = Callable[[nn.Module], Iterable[Any]]


def new_loader(
    name: str,
    data: Data,
    settings: TrainingSettings,
    task: Task | None = None,
    collate: Collate | None = None,
    sampler: Iterable[int] | None = None,
) -> DataLoader:
    """The batches of the set of that name: "training" ones shuffled, unless a sampler draws them.

    In validation every image comes once and in order. A DataLoader stays as it is.
    Raises ValueError where there is no batch, and for options that a DataLoader has itself.
    """
    training = name == "training"
    if not isinstance(data, DataLoader):
        _require("set", name, data)
        data = DataLoader(
            task.apply(data) if task is not None and isinstance(data, Dataset) else data,  # type: ignore[arg-type]  # any Sequence is a data set
            settings.batch_size,
            shuffle=training and sampler is None,
            sampler=sampler if training else None,
            num_workers=settings.num_workers,
            collate_fn=collate,
            drop_last=training and settings.drop_last,
        )
    elif training and (sampler or collate or settings.drop_last):
        raise ValueError(
            "sampler, collate and drop_last are for data sets: a DataLoader of your own has its "
            "own, set them there"
        )
    _require("loader", name, data)
    return data


def new_checks(
    data: Data | WholeImages | None,
    settings: TrainingSettings,
    task: Task | None = None,
    collate: Collate | None = None,
) -> DataLoader | WholeImages | None:
    """The validation set as `fit` goes through it, if there is one."""
    if isinstance(data, WholeImages):
        return data.seen_by(task)
    return None if data is None else new_loader("validation", data, settings, task, collate)


def _require(what: str, name: str, data: Any) -> None:
    """Raises ValueError for data without length, or of length zero."""
    try:
        length = len(data)
    except TypeError as error:
        raise ValueError(
            f"fit has to know how long the {name} {what} is; let its data set have a __len__"
        ) from error
    if not length:
        cure = "check its folder, or how it was split"
        if what == "loader":
            cure = "its data set is empty, or smaller than a batch while drop_last is set"
        raise ValueError(f"the {name} {what} is empty; {cure}")


def groups_of(model: nn.Module, chosen: ParameterGroups | None = None) -> list[dict[str, Any]]:
    """What an optimizer gets: all parameters, or the chosen groups if they are the model's.

    Raises ValueError where nothing would learn, or something of another model.
    """
    if not any(p.requires_grad for p in model.parameters()):
        raise ValueError("every parameter of the model is frozen; let some learn: requires_grad_()")
    if chosen is None:
        return [{"params": model.parameters()}]
    groups = [g if isinstance(g, dict) else {"params": [g]} for g in chosen(model)]
    groups = [group | {"params": list(group["params"])} for group in groups]
    own, given = set(model.parameters()), {p for group in groups for p in group["params"]}
    if not given or given - own:
        raise ValueError(
            f"parameter_groups gave {len(given)} parameters, {len(given - own)} of them not of "
            "this model; make them from the model that it is called with"
        )
    if wrong := [group["lr"] for group in groups if not group.get("lr", 0) >= 0]:
        raise ValueError(f"parameter_groups: a rate must be 0 or more, got {wrong[0]}")
    return groups


def new_optimizer(
    groups: list[dict[str, Any]], settings: TrainingSettings, fused: bool | None = None
) -> Optimizer:
    """The optimizer that the settings name."""
    common = {"lr": settings.learning_rate, "weight_decay": settings.decay, "fused": fused}
    if settings.optimizer == "sgd":
        momentum = 0.9 if settings.momentum is None else settings.momentum
        return SGD(groups, momentum=momentum, **common)
    return {"adam": Adam, "adamw": AdamW}[settings.optimizer](groups, **common)


def new_schedule(optimizer: Optimizer, settings: TrainingSettings, steps: int) -> LRScheduler:
    """The schedule that the settings name, for a run of that many steps."""
    if settings.schedule == "one-cycle":  # Smith and Topin (2018)
        largest = [group["lr"] for group in optimizer.param_groups]
        moves = settings.momentum is None
        return OneCycleLR(optimizer, largest, total_steps=max(steps, 2) + 1, cycle_momentum=moves)
    if settings.schedule == "cosine":
        return CosineAnnealingLR(optimizer, T_max=steps)
    return ConstantLR(optimizer, factor=1.0)
