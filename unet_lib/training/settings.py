"""How to train, and what happened: settings and history (chapter 4)."""

import json
import math
from dataclasses import dataclass, field
from typing import Literal, get_args, get_type_hints

from unet_lib.model.checks import require

Precision = Literal["auto", "float32", "bf16", "fp16"]


@dataclass(frozen=True)
class TrainingSettings:
    """How to train; checks itself and is stored in every checkpoint.

    Raises ValueError, naming the field, for a value out of range.

    >>> TrainingSettings(epochs=3).learning_rate
    0.002
    """

    epochs: int = 20
    """Passes through the training set."""
    batch_size: int = 8
    """Images per step and process."""
    optimizer: Literal["adamw", "adam", "sgd"] = "adamw"
    """"adam" adds the weight decay to the gradient; "sgd" has a momentum."""
    learning_rate: float = 2e-3
    """The largest rate of the schedule."""
    weight_decay: float | None = None
    """Pull of the weights towards zero; if not given, 0.01 with "adamw", where a run takes off the
    share 1 - exp(-mean rate x decay x steps), and none with the others."""
    momentum: float | None = None
    """Share of the last step that the next one keeps, with "sgd" alone. If not given, 0.9, and with
    the one-cycle schedule 0.95, down to 0.85 and back; a given one stays as it is."""
    schedule: Literal["one-cycle", "cosine", "constant"] = "one-cycle"
    """How the learning rate moves over the run."""
    precision: Precision = "auto"
    """"auto" times float32 and bf16 on a few images and takes the faster."""
    accumulation_steps: int = 1
    """Batches whose gradients are added up before each step of the optimizer."""
    clip_norm: float = 1.0
    """Gradients longer than this are shortened to it; 0 leaves them."""
    patience: int = 0
    """Stop after that many epochs without a better validation score; 0 never stops."""
    keep: Literal["best", "last"] = "best"
    """Which epoch's weights the model has at the end (the best needs a validation set)."""
    seed: int = 0
    """Order of the images and random numbers of the transforms."""
    num_workers: int = 0
    """Processes that prepare images; 0 prepares them in the main process."""
    drop_last: bool = False
    """Leave out the images of an epoch that do not fill a batch; in training only."""

    def __post_init__(self) -> None:
        lowest = {"epochs": 1, "batch_size": 1, "accumulation_steps": 1, "learning_rate": 1e-12}
        for name, kind in get_type_hints(type(self)).items():
            value, words, least = getattr(self, name), get_args(kind), lowest.get(name, 0)
            if kind == float | None:
                value, words, kind = 0.0 if value is None else value, (), float
            if words and value not in words:
                raise ValueError(f"{name} must be one of {words}, got {value!r}")
            if kind is int and not isinstance(value, int):
                raise ValueError(f"{name} must be a whole number, got {value!r}")
            if kind in (int, float) and not least <= value < math.inf:
                bound = "finite" if value == math.inf else f"at least {least}"
                raise ValueError(f"{name} must be {bound}, got {value}")
        require("momentum", self.momentum or 0.0, low=0, below=1)
        if self.momentum is not None and self.optimizer != "sgd":
            raise ValueError(
                f'momentum={self.momentum} with optimizer "{self.optimizer}"; it is for "sgd" '
                "alone: leave it out"
            )

    @property
    def decay(self) -> float:
        """The weight decay that is used.

        >>> TrainingSettings().decay, TrainingSettings(optimizer="sgd").decay
        (0.01, 0.0)
        """
        if self.weight_decay is not None:
            return self.weight_decay
        return 0.01 if self.optimizer == "adamw" else 0.0


@dataclass
class History:
    """What happened, epoch by epoch: rows of names and numbers.

    >>> History([{"epoch": 1, "loss": 0.5}]).column("loss")
    [0.5]
    """

    rows: list[dict[str, float]] = field(default_factory=list)
    mode: str = ""
    """Precision and memory layout that the run used."""

    def json(self) -> str:
        """The rows as JSON, which has no word for nan: null.

        >>> History([{"epoch": 1, "loss": math.nan}]).json().split()[-3:]
        ['null', '}', ']']
        """
        known = [{k: v if math.isfinite(v) else None for k, v in row.items()} for row in self.rows]
        return json.dumps(known, indent=1, allow_nan=False)

    def column(self, name: str) -> list[float]:
        """One value of every epoch; raises KeyError, listing the names, for an unknown one."""
        if self.rows and name not in self.rows[0]:
            raise KeyError(f"no column {name!r}; there are {list(self.rows[0])}")
        return [row[name] for row in self.rows]

    def best(
        self, monitor: str = "dice_per_image", mode: Literal["max", "min"] = "max"
    ) -> dict[str, float] | None:
        """The row with the largest (or smallest) value of a score; None where no row has it.

        >>> History([{"epoch": 1, "loss": 0.5}, {"epoch": 2, "loss": 0.3}]).best("loss", "min")
        {'epoch': 2, 'loss': 0.3}
        """
        rows = [row for row in self.rows if not math.isnan(row.get(monitor, math.nan))]
        choose = max if mode == "max" else min
        return choose(rows, key=lambda row: row[monitor], default=None)
