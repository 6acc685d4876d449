"""How long `train` trains: counted in pixels and steps, never in files."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from unet_lib.data.crops import ByArea, crops_of

PASSES = 15  # over the area of the training images, within these bounds:
FEWEST, MOST = 600, 1500  # steps
STEPS = 100  # between two validations, about
EPOCHS = 10  # at least, where their number is not given
CHECKED = 0.2  # pixels that a validation sees, as a share of those that an epoch is trained on
CHECKED_AT_LEAST = 2**18


@dataclass(frozen=True)
class Budget:
    """Steps and epochs for images of so many pixels.

    >>> budget = Budget([1024 * 1024] * 8, crop=128, batch_size=8)
    >>> budget.steps, budget.epochs
    (960, 10)
    >>> Budget([256 * 256] * 8, crop=128, batch_size=8, passes=3).steps
    12
    """

    areas: Sequence[int]
    crop: int
    batch_size: int
    """Images a step, in all processes together."""
    wanted: int | None = None
    """Steps, if the user says how many."""
    passes: int | None = None
    """Epochs, if the user says how many: each shows every crop once."""

    @property
    def crops(self) -> list[int]:
        """How many each image gives in a pass."""
        return [crops_of(area, self.crop) for area in self.areas]

    @property
    def epochs(self) -> int:
        """How often the network is judged."""
        return self.passes or max(min(EPOCHS, self._planned), self._planned // STEPS)

    @property
    def draws(self) -> int:
        """Crops in an epoch."""
        if self.passes:
            return sum(self.crops)
        return math.ceil(self._planned / self.epochs) * self.batch_size

    @property
    def steps(self) -> int:
        """Steps in all."""
        return self.epochs * math.ceil(self.draws / self.batch_size)

    @property
    def checked_pixels(self) -> int:
        """Pixels that a validation may see, so that it takes about a fifth of the time at most."""
        return max(CHECKED_AT_LEAST, int(CHECKED * self.draws * self.crop**2))

    def sampler(self, seed: int) -> ByArea:
        """Draws the images of each epoch."""
        return ByArea(self.crops, self.draws, seed)

    def told(self) -> str:
        """The plan in words."""
        passes = self.epochs * self.draws / sum(self.crops)
        return (
            f"{self.steps} steps of {self.batch_size} crops of {self.crop} x {self.crop} pixels, "
            f"{passes:.3g} times the area of the training images, judged {self.epochs} times"
        )

    @property
    def _planned(self) -> int:
        enough = math.ceil(PASSES * sum(self.crops) / self.batch_size)
        return self.wanted or min(max(enough, FEWEST), MOST)
