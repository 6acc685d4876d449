"""ISBI 2012: membranes between nerve cells, the data on which the U-Net paper was measured."""

from pathlib import Path
from typing import ClassVar, Unpack

from unet_lib.data.arrays import ImageArray, LabelArray
from unet_lib.data.base import Options, SegmentationDataset
from unet_lib.data.files import Mode, pages_of, read_image
from unet_lib.data.findings import DataError
from unet_lib.data.masks import read_mask
from unet_lib.data.normalize import normalize_percentiles
from unet_lib.data.sets.download import data_folder

VOLUME, LABELS = "train-volume.tif", "train-labels.tif"


class ISBI2012(SegmentationDataset):
    """30 neighboring slices of a fly larva's nerve cord: 1 in cells, 0 in membranes.

    Taken by an electron microscope (Cardona et al., PLoS Biology, 2010) and published with the
    challenge of 2012, for research (Arganda-Carreras et al., "Crowdsourcing the creation of image
    segmentation algorithms for connectomics", Frontiers in Neuroanatomy, 2015). Each slice is
    uint8, 512x512 pixels of 4x4 nm, and 50 nm thick. Their brightness differs, so each is
    normalized by its own percentiles. Neighbors look alike: divide them with `blocks`, never at
    random. The labels of the challenge's 30 test slices were never published.

    Args:
        root: the folder with `train-volume.tif` and `train-labels.tif`, of 0 and 255; without it,
            `isbi2012` in the folder that the environment variable UNET_DATA_DIR names, else in
            `data`.
        options: `normalize`, `transform`, `target`, as in `SegmentationDataset`.

    Raises DataError where the data is not there, with the way to get it, or files are damaged.

    >>> ISBI2012("no/such/folder")
    Traceback (most recent call last):
        ...
    unet_lib.data.findings.DataError: no/such/folder: no train-volume.tif and no train-labels...
    """

    default_normalize = staticmethod(normalize_percentiles)
    num_classes: ClassVar[int] = 2
    mode: ClassVar[Mode] = "L"

    def __init__(self, root: str | Path | None = None, **options: Unpack[Options]) -> None:
        super().__init__(**options)
        self.folder = data_folder("isbi2012") if root is None else Path(root)
        missing = [name for name in (VOLUME, LABELS) if not (self.folder / name).is_file()]
        if missing:
            raise DataError(
                f"{self.folder}: no {' and no '.join(missing)} in it; the challenge has no address "
                f"any more: place its volumes {VOLUME} and {LABELS} there (test-volume.tif, which "
                "has no labels, is not needed), pass root=, or set UNET_DATA_DIR to the folder "
                "that holds isbi2012"
            )
        self.length, labeled = (pages_of(self.folder / name) for name in (VOLUME, LABELS))
        if labeled != self.length:
            raise DataError(
                f"{self.folder}: {VOLUME} holds {self.length} slices and {LABELS} {labeled}; "
                "expected as many: one of them is another file, or damaged"
            )

    def __len__(self) -> int:
        """The number of slices."""
        return self.length

    def load(self, index: int) -> tuple[ImageArray, LabelArray]:
        """One slice, uint8 (512, 512), and its labels: 1 in cells, 0 in membranes."""
        image = read_image(self.folder / VOLUME, page=index)
        return image, read_mask(self.folder / LABELS, {0: 0, 255: 1}, page=index)

    def name(self, index: int) -> str:
        """The file and the number of the slice, counted from 0."""
        return f"{self.folder / VOLUME}, slice {index}"
