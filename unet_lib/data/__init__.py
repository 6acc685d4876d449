"""Images and their labels: simulated, from folders, or public sets (chapter 3)."""

from unet_lib.data.balance import count_classes, median_frequency_weights
from unet_lib.data.base import SegmentationDataset, cached, origin, with_
from unet_lib.data.files import read_image
from unet_lib.data.findings import DataError, Finding
from unet_lib.data.folder import PairedFolder
from unet_lib.data.folds import Fold, blocks, shuffled_blocks
from unet_lib.data.in_memory import InMemory
from unet_lib.data.masks import read_mask
from unet_lib.data.normalize import normalize_percentiles, scale_by_dtype
from unet_lib.data.raster import UnreadableError
from unet_lib.data.sets.camvid import CAMVID_CLASSES, CamVid
from unet_lib.data.sets.download import fetch_archive
from unet_lib.data.sets.isbi2012 import ISBI2012
from unet_lib.data.sets.nuclei import DSB2018
from unet_lib.data.sets.voc import VOC, VOC_CLASSES, write_voc_scenes
from unet_lib.data.simulate import SimulatedNuclei, simulate_nuclei
from unet_lib.data.simulate_membranes import SimulatedMembranes, simulate_membranes
from unet_lib.data.splits import find_duplicates, require_disjoint, split
from unet_lib.data.targets import (
    OFFSET_UNIT,
    border_weights,
    distances,
    foreground,
    interior_border,
    membrane_weights,
    offsets,
)
from unet_lib.data.write import voc_palette

__all__ = [
    "CAMVID_CLASSES",
    "DSB2018",
    "ISBI2012",
    "OFFSET_UNIT",
    "VOC",
    "VOC_CLASSES",
    "CamVid",
    "DataError",
    "Finding",
    "Fold",
    "InMemory",
    "PairedFolder",
    "SegmentationDataset",
    "SimulatedMembranes",
    "SimulatedNuclei",
    "UnreadableError",
    "blocks",
    "border_weights",
    "cached",
    "count_classes",
    "distances",
    "fetch_archive",
    "find_duplicates",
    "foreground",
    "interior_border",
    "median_frequency_weights",
    "membrane_weights",
    "normalize_percentiles",
    "offsets",
    "origin",
    "read_image",
    "read_mask",
    "require_disjoint",
    "scale_by_dtype",
    "shuffled_blocks",
    "simulate_membranes",
    "simulate_nuclei",
    "split",
    "voc_palette",
    "with_",
    "write_voc_scenes",
]
