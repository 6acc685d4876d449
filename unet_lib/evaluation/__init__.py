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
from unet_lib.evaluation.decoders import decode_distances, decode_offsets, gather_votes
from unet_lib.evaluation.fast import Fast, Way, find_way
from unet_lib.evaluation.instances import (
    average_precision,
    grow_seeds,
    label_instances,
    match_instances,
    overlaps,
    without_small,
)
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
from unet_lib.evaluation.mistakes import Mistakes, find_mistakes
from unet_lib.evaluation.objects import median_area, score_objects
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
from unet_lib.evaluation.views import predict_views, turn, turn_back
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
    "Mistakes",
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
    "decode_distances",
    "decode_offsets",
    "dice",
    "find_context",
    "find_mistakes",
    "find_way",
    "foreground_probability",
    "gather_votes",
    "grow_seeds",
    "hausdorff_distance",
    "information_scores",
    "iou",
    "label_instances",
    "match_instances",
    "mean_sd",
    "measure_context",
    "median_area",
    "overlaps",
    "pixel_accuracy",
    "precision",
    "predict",
    "predict_mask",
    "predict_tiles",
    "predict_views",
    "probabilities",
    "rand_scores",
    "recall",
    "score_objects",
    "surface_distances",
    "thin_borders",
    "tile_slices",
    "turn",
    "turn_back",
    "variation_of_information",
    "warp_target",
    "warping_error",
    "warping_mistakes",
    "without_small",
]
