"""From data sets, or loaders of one's own, to what `fit` trains and validates on (chapter 4)."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from torch.utils.data import DataLoader, Dataset

from unet_lib.training.settings import TrainingSettings
from unet_lib.training.task import Task

Data = Dataset | Sequence[Any] | DataLoader
Collate = Callable[[list[Any]], Any]


def training_loader(
    data: Data,
    settings: TrainingSettings,
    task: Task | None = None,
    sampler: Iterable[int] | None = None,
    collate: Collate | None = None,
) -> DataLoader:
    """The batches of one epoch, shuffled unless a sampler says otherwise; a loader stays itself.

    >>> len(training_loader([0] * 10, TrainingSettings(drop_last=True)))
    1
    """
    if isinstance(data, DataLoader) and (sampler or collate or settings.drop_last):
        raise ValueError(
            "sampler, collate and drop_last are for data sets: a DataLoader of your own has its "
            "own, set them there"
        )
    own = {"sampler": sampler} if sampler is not None else {"shuffle": True}
    own["drop_last"] = settings.drop_last
    return _loader("training", data, settings, task, collate, **own)


def validation_loader(
    data: Data,
    settings: TrainingSettings,
    task: Task | None = None,
    collate: Collate | None = None,
) -> DataLoader:
    """Every image once, in order; a loader stays itself.

    >>> len(validation_loader([0] * 10, TrainingSettings(drop_last=True)))
    2
    """
    return _loader("validation", data, settings, task, collate)


def _loader(
    name: str,
    data: Data,
    settings: TrainingSettings,
    task: Task | None,
    collate: Collate | None,
    **options: Any,
) -> DataLoader:
    loader = data
    if not isinstance(data, DataLoader):
        if not len(data):
            raise ValueError(f"the {name} set is empty; check its folder, or how it was split")
        if task is not None and hasattr(task, "apply"):
            data = task.apply(data)
        options |= {"num_workers": settings.num_workers, "collate_fn": collate}
        loader = DataLoader(data, settings.batch_size, **options)
    try:
        batches = len(loader)
    except TypeError as error:
        raise ValueError(
            f"fit has to know how many batches the {name} loader gives; let its data set have a "
            "__len__"
        ) from error
    if not batches:
        raise ValueError(
            f"the {name} loader gives no batch: its data set is empty, or smaller than a batch "
            "while drop_last is set"
        )
    return loader
