"""What the simulated data sets share: images made of a seed and an index (chapter 3)."""

from typing import ClassVar, Unpack

from unet_lib.data.base import Options, SegmentationDataset
from unet_lib.data.normalize import normalize_percentiles


class Simulated(SegmentationDataset):
    """`length` images that `load` makes of `seed`, their index and `size`; the parent of each kind.

    Nothing is stored: wrap it in `unet_lib.data.cached` to simulate each image once. `size` is
    (height, width), `default_size` where it is not given; options as in `SegmentationDataset`.

    >>> from unet_lib.data import SimulatedMembranes, SimulatedNuclei
    >>> SimulatedNuclei(8).name(3), SimulatedMembranes(8, seed=1).name(3)
    ('simulated image 3 of seed 0', 'simulated slice 3 of seed 1')
    """

    default_normalize = staticmethod(normalize_percentiles)
    default_size: ClassVar[tuple[int, int]]
    one: ClassVar[str] = "image"
    """What messages call one."""

    def __init__(
        self,
        length: int,
        seed: int = 0,
        size: tuple[int, int] | None = None,
        **options: Unpack[Options],
    ) -> None:
        super().__init__(**options)
        self.length, self.seed, self.size = length, seed, size or self.default_size

    def __len__(self) -> int:
        """The number of images."""
        return self.length

    def name(self, index: int) -> str:
        """Seed and index, which are all that is needed to make the image again."""
        return f"simulated {self.one} {index} of seed {self.seed}"
