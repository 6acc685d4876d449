"""From data sets, or loaders of one's own, to what `fit` trains and validates on (chapter 4)."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from torch.utils.data import DataLoader, Dataset

from unet_lib.training.settings import TrainingSettings
from unet_lib.training.task import Task

Data = Dataset | Sequence[Any] | DataLoader
Collate = Callable[[list[Any]], Any]


def new_loaders(
    train: Data,
    validation: Data | None,
    settings: TrainingSettings,
    task: Task | None = None,
    sampler: Iterable[int] | None = None,
    collate: Collate | None = None,
) -> tuple[DataLoader, DataLoader | None]:
    """The batches for training, shuffled unless a sampler says otherwise, and for validation.

    In validation every image comes once and in order. A DataLoader stays as it is.
    Raises ValueError where one gives no batch, and for options that a DataLoader has itself.

    >>> train, validation = new_loaders([0] * 10, [0] * 10, TrainingSettings(drop_last=True))
    >>> len(train), len(validation)
    (1, 2)
    """
    if isinstance(train, DataLoader) and (sampler or collate or settings.drop_last):
        raise ValueError(
            "sampler, collate and drop_last are for data sets: a DataLoader of your own has its "
            "own, set them there"
        )
    order = {"shuffle": True} if sampler is None else {"sampler": sampler}
    sets = {"training": (train, order | {"drop_last": settings.drop_last})}
    if validation is not None:
        sets["validation"] = (validation, {})
    loaders = []
    for name, (data, options) in sets.items():
        if not isinstance(data, DataLoader):
            _require("set", name, data)
            data = task.apply(data) if task is not None and isinstance(data, Dataset) else data
            options |= {"num_workers": settings.num_workers, "collate_fn": collate}
            data = DataLoader(data, settings.batch_size, **options)
        _require("loader", name, data)
        loaders.append(data)
    return loaders[0], (loaders[1] if validation is not None else None)


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
