"""Optimizer and schedule by their names in the settings (chapter 4)."""

from collections.abc import Callable, Iterable
from typing import Any

from torch import nn
from torch.optim import SGD, Adam, AdamW, Optimizer
from torch.optim.lr_scheduler import ConstantLR, CosineAnnealingLR, LRScheduler, OneCycleLR

from unet_lib.training.settings import TrainingSettings

ParameterGroups = Callable[[nn.Module], Iterable[Any]]


def groups_of(model: nn.Module, chosen: ParameterGroups | None = None) -> list[dict[str, Any]]:
    """What an optimizer gets: all parameters, or the chosen groups if they are the model's.

    Raises ValueError where nothing would learn, or something of another model.

    >>> len(groups_of(nn.Conv2d(1, 1, 1), lambda model: [model.weight, model.bias]))
    2
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
    """The optimizer that the settings name.

    >>> type(new_optimizer(groups_of(nn.Conv2d(1, 1, 1)), TrainingSettings())).__name__
    'AdamW'
    """
    common = {"lr": settings.learning_rate, "weight_decay": settings.weight_decay, "fused": fused}
    if settings.optimizer == "sgd":
        return SGD(groups, momentum=0.9, **common)
    return {"adam": Adam, "adamw": AdamW}[settings.optimizer](groups, **common)


def new_schedule(optimizer: Optimizer, settings: TrainingSettings, steps: int) -> LRScheduler:
    """The schedule that the settings name, for a run of that many steps.

    >>> optimizer = new_optimizer(groups_of(nn.Conv2d(1, 1, 1)), TrainingSettings())
    >>> round(new_schedule(optimizer, TrainingSettings(), steps=10).get_last_lr()[0], 6)
    8e-05
    """
    if settings.schedule == "one-cycle":  # Smith and Topin (2018)
        largest = [group["lr"] for group in optimizer.param_groups]
        return OneCycleLR(optimizer, largest, total_steps=max(steps, 2) + 1)
    if settings.schedule == "cosine":
        return CosineAnnealingLR(optimizer, T_max=steps)
    return ConstantLR(optimizer, factor=1.0)
