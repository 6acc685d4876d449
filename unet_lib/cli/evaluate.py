"""`python -m unet_lib evaluate`: the scores of a checkpoint."""

import json
import math
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Annotated

from tyro.conf import Positional

from unet_lib.cli.options import FLAT, Source
from unet_lib.training.trained import Trained, Views


@dataclass(frozen=True)
class Evaluate:
    """Score a checkpoint on simulated nuclei, on folders of your own, or on dsb2018's test part."""

    checkpoint: Positional[Path]
    """What train wrote, for example runs/unet/best.pt."""
    source: Annotated[Source, FLAT] = field(
        default_factory=lambda: Source(count=48, simulation_seed=1)
    )
    """Where the images come from: simulated (not those of training), unless named."""
    threshold: float | None = None
    """Probability from which on a pixel is foreground; the checkpoint's if it is not given."""
    views: Views = 1
    """Predict each image once, or turned and mirrored in all eight ways and take the mean, which
    takes eight times as long."""
    diameter: float | None = None
    """Find objects in two passes, the second of the image at the size at which the median object
    is so many pixels wide, as a network trained on objects of a common size wants them."""
    json: bool = False
    """Print JSON instead of a table."""

    def __call__(self) -> None:
        """Score, and print the result."""
        how = {name: getattr(self, name) for name in ("threshold", "views", "diameter")}
        trained = Trained.load(self.checkpoint, **how)
        task = trained.task
        if task.target == "classes" and self.threshold is not None:
            raise ValueError(f"{self.checkpoint} tells classes apart, without a --threshold")
        dataset = self.source.open(task, split="test")
        scores = trained.scores(dataset, self.source.numbers_objects(task))
        if math.isnan(scores["pixel_accuracy"]):
            raise ValueError(
                f"no pixel of these {len(dataset)} images counts: their masks hold {task.void} "
                "alone, so there is no score"
            )
        scores = {name: value if math.isfinite(value) else None for name, value in scores.items()}
        if self.json:
            about = {"images": len(dataset), "task": asdict(task), "scores": scores}
            print(json.dumps(about, indent=1))
            return
        print(f"{len(dataset)} images, {task.target}, threshold {task.threshold}")
        for name, value in scores.items():
            print(f"  {name:20} {'nothing to score' if value is None else f'{value:.4f}'}")
        if task.target == "classes":
            print("means over the classes, background included")
        print("per_image: mean of the images' scores (1 where there is nothing, and nothing was")
        print("found); pooled: pixels, or for ap objects, of all images added up first")
