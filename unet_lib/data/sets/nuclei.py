"""Real fluorescence nuclei: the part of the 2018 Data Science Bowl that StarDist published."""

from pathlib import Path
from typing import Literal, Unpack

from unet_lib.data.base import Options
from unet_lib.data.findings import DataError
from unet_lib.data.folder import PairedFolder
from unet_lib.data.normalize import normalize_percentiles
from unet_lib.data.sets.download import by_hand, data_folder, fetch_archive

URL = "https://github.com/stardist/stardist/releases/download/0.1.0/dsb2018.zip"
SHA256 = "e44921950edce378063aa4457e625581ba35b4c2dbd9a07c19d48900129f386f"


class DSB2018(PairedFolder):
    """Fluorescence microscopy of nuclei with instance labels: uint8 images of many sizes.

    The images are from the 2018 Data Science Bowl (Caicedo et al., "Nucleus segmentation across
    imaging experiments", Nature Methods, 2019; Broad Bioimage Benchmark Collection BBBC038, CC0),
    in the archive of StarDist (Schmidt et al., MICCAI 2018). Many are dark, so each is normalized
    by its own percentiles.

    Args:
        root: the folder with `{train,test}/{images,masks}/<id>.tif`; without it, `dsb2018` in
            the folder that the environment variable UNET_DATA_DIR names, else in `data`.
        split: "train" or "test".
        download: fetch the archive to `root` if there is nothing yet.
        options: `normalize`, `transform`, `target`, as in `SegmentationDataset`.

    Raises DataError where the data is not there, with the ways to get it, or files are damaged.

    >>> DSB2018("no/such/folder")
    Traceback (most recent call last):
        ...
    unet_lib.data.findings.DataError: no/such/folder: no train/images and train/masks in it; ...
    """

    default_normalize = staticmethod(normalize_percentiles)

    def __init__(
        self,
        root: str | Path | None = None,
        split: Literal["train", "test"] = "train",
        download: bool = False,
        **options: Unpack[Options],
    ) -> None:
        folder = data_folder("dsb2018") if root is None else Path(root)
        if download:
            fetch_archive(URL, SHA256, folder)
        images, masks = folder / split / "images", folder / split / "masks"
        if not (images.is_dir() and masks.is_dir()):
            raise DataError(
                f"{folder}: no {split}/images and {split}/masks in it; pass root=, set "
                "UNET_DATA_DIR to the folder that holds dsb2018, pass download=True, or "
                f"{by_hand(URL, SHA256, folder)} with download=True"
            )
        super().__init__(images, masks, instances=True, **options)
