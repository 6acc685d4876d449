"""How good a mask is, and how an image of any size becomes one (chapter 5)."""

from unet_lib.evaluation.boundaries import (
    SurfaceDistances,
    average_surface_distance,
    boundary_iou,
    hausdorff_distance,
    surface_distances,
)
from unet_lib.evaluation.comparison import Comparison, compare, mean_sd
from unet_lib.evaluation.context import Context, find_context, measure_context
from unet_lib.evaluation.fast import Fast, Way, find_way
from unet_lib.evaluation.instances import average_precision, label_instances, match_instances
from unet_lib.evaluation.metrics import (
    Counts,
    SegmentationScores,
    confusion_matrix,
    count_pixels,
    dice,
    iou,
    pixel_accuracy,
    precision,
    recall,
)
from unet_lib.evaluation.partitions import (
    InformationScores,
    RandScores,
    VariationOfInformation,
    cells_of,
    information_scores,
    rand_scores,
    thin_borders,
    variation_of_information,
)
from unet_lib.evaluation.tiles import (
    foreground_probability,
    predict,
    predict_mask,
    predict_tiles,
    probabilities,
    tile_slices,
)
from unet_lib.evaluation.warping import (
    WarpingMistakes,
    warp_target,
    warping_error,
    warping_mistakes,
)

__all__ = [
    "Comparison",
    "Context",
    "Counts",
    "Fast",
    "InformationScores",
    "RandScores",
    "SegmentationScores",
    "SurfaceDistances",
    "VariationOfInformation",
    "WarpingMistakes",
    "Way",
    "average_precision",
    "average_surface_distance",
    "boundary_iou",
    "cells_of",
    "compare",
    "confusion_matrix",
    "count_pixels",
    "dice",
    "find_context",
    "find_way",
    "foreground_probability",
    "hausdorff_distance",
    "information_scores",
    "iou",
    "label_instances",
    "match_instances",
    "mean_sd",
    "measure_context",
    "pixel_accuracy",
    "precision",
    "predict",
    "predict_mask",
    "predict_tiles",
    "probabilities",
    "rand_scores",
    "recall",
    "surface_distances",
    "thin_borders",
    "tile_slices",
    "variation_of_information",
    "warp_target",
    "warping_error",
    "warping_mistakes",
]
