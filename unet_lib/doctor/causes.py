"""Everything that the doctor can name: how it shows, what is expected, and the cure.

The order is that of the examination: files, masks, pairs, images, parts, network, training,
outcome. The text that was measured on the spot is in the finding.
"""

from typing import NamedTuple


class Cause(NamedTuple):
    """Something that can be wrong.

    >>> CAUSES["leak"].expected
    'no image in two parts'
    """

    symptom: str
    expected: str
    cure: str


CAUSES = {
    # files
    "no-pictures": Cause(
        "training does not start",
        "a folder with images in it",
        "check the path and the endings of the files; the folder itself must hold the images",
    ),
    "pairing": Cause(
        "training does not start, or each image gets another image's mask",
        "one mask for every image, of exactly the same name apart from ending and suffix",
        "rename the files, or pass suffix=, what a mask's name has at its end",
    ),
    "unreadable-file": Cause(
        "training stops with an error from the image library",
        "whole images",
        "copy them again or remove them together with their partners",
    ),
    "unusable-file": Cause(
        "training stops, or an image is not read as you see it",
        "opaque gray or RGB images of 8 or 16 bits, one image a file",
        "save the file as the message says",
    ),
    "color-images": Cause(
        "training stops at an image in color",
        "gray images, as mode L says",
        'pass mode="RGB"',
    ),
    "color-mask": Cause(
        "the masks look right in a viewer, and the classes are wrong or missing",
        "one whole number a pixel, the class",
        "pass palette={color: class} for every color of the masks",
    ),
    "sizes-differ": Cause(
        "training stops, or the mask lies beside the objects",
        "image and mask of one height and width",
        "export the masks again at the size of the images, without resizing them yourself",
    ),
    "mask-transposed": Cause(
        "height and width of the mask are exchanged",
        "image and mask of one height and width, turned alike",
        "turn the masks, or annotate the photographs after applying their EXIF orientation",
    ),
    "mask-values": Cause(
        "the loss is huge or negative, the mask black to the eye or in the loss",
        "classes 0 to K-1",
        "pass mask_values={stored value: class}",
    ),
    "palette-as-gray": Cause(
        "classes with odd numbers such as 38, 75 and 113; an error about class numbers",
        "the indices that the palette file holds, 0 to K-1",
        "go back to the palette PNG and read its indices: read_mask(path), or "
        "numpy.array(Image.open(path)) without convert",
    ),
    "mask-blended": Cause(
        "classes at the outlines that nobody has drawn; soft edges",
        "masks with nothing but classes, in files and after every transform",
        "store masks as PNG; resize, turn and deform them with nearest neighbor only "
        "(unet_lib.transforms.Joint does); never blur them",
    ),
    "empty-masks": Cause(
        "the prediction is black, and the loss small from the beginning",
        "objects in the masks",
        "check the masks' folder and mask_values: is a value mapped to 0 by mistake?",
    ),
    # masks
    "mask-divided": Cause(
        "the loss becomes tiny, the prediction is black",
        "whole classes in the target",
        "never send a mask through ToTensor or a division by 255: use pil_to_tensor, or a data "
        "set of unet_lib.data",
    ),
    "class-out-of-range": Cause(
        "an error about class numbers, or a crash on the GPU",
        "labels from 0 to K-1 and ignore_index",
        "raise num_classes, map the value with mask_values, or pass it as ignore_index",
    ),
    "void-as-class": Cause(
        "outlines are predicted as a class of their own, and the score is low",
        "pixels that do not count are left out of loss and score",
        "pass the value as ignore_index, and one class less",
    ),
    "instances-as-classes": Cause(
        "every object gets another class, or the error says: class out of range",
        "one number for all objects of a class",
        'choose target "foreground" or "instances" (--instance-masks), which read numbers as '
        "objects",
    ),
    "inverted-masks": Cause(
        "the prediction is the negative of what you want",
        "1 where an object is, 0 for the background",
        "pass mask_values={0: 1, 255: 0} (or {0: 1, 1: 0})",
    ),
    # pairs
    "shifted-pairs": Cause(
        "training stalls at a poor score; masks belong to the image before or after",
        "each mask fits its own image best",
        "pair the files by name, not by their place in two lists (PairedFolder does); look for "
        "one missing or extra file",
    ),
    "mask-turned": Cause(
        "training stalls; masks are mirrored or turned against the images",
        "each mask fits its own image as it lies",
        "turn or mirror the masks back, and look how rows and columns were written",
    ),
    "unrelated-pairs": Cause(
        "the network predicts the same blur everywhere, whatever it is shown",
        "each mask fits its own image better than another's",
        "look at ten pairs with plots.show_pairs; the lists of files were shuffled apart, or "
        "the masks belong to other images",
    ),
    "mispaired-files": Cause(
        "a few images score far below the others, in training as well",
        "each mask fits its own image",
        "look at these files and give them their own masks, or leave them out",
    ),
    "image-moved-alone": Cause(
        "training stalls as soon as augmentation is on",
        "image and mask moved together",
        "transform both with one set of random numbers: Joint(...) from unet_lib.transforms",
    ),
    "empty-crops": Cause(
        "the prediction is black, although the images hold objects",
        "objects in most of the parts that are cut out",
        "cut larger parts, around objects or with a retry; check what the crop does to the mask",
    ),
    # images
    "not-finite": Cause(
        "the loss is NaN from the first step",
        "finite values in every image",
        "replace NaN and infinity where the image is made, or leave the image out",
    ),
    "constant-images": Cause(
        "the prediction is the same everywhere on some images",
        "images with content",
        "look at these files: an empty channel, a shutter that stayed closed, a failed export",
    ),
    "not-normalized": Cause(
        "the loss begins in the hundreds and stays high, or becomes NaN",
        "values about 0 to 1",
        "pass normalize=normalize_percentiles, or scale_by_dtype, which divides by the type",
    ),
    "scaled-away": Cause(
        "nothing is learned: all images look the same to the network",
        "values about 0 to 1",
        "find the second division (ToTensor divides by 255 already), or pass "
        "normalize=normalize_percentiles",
    ),
    # parts
    "leak": Cause(
        "validation is better than anything seen on new images",
        "no image in two parts",
        "remove the copies, or keep them in one part: split(dataset, groups=...)",
    ),
    "neighboring-pictures": Cause(
        "validation is better than anything seen on new patients, slides or films",
        "parts that have no neighboring slices or film frames",
        "split by patient, slide or film: split(dataset, groups=...)",
    ),
    "normalization-differs": Cause(
        "good in training, black or white on validation or in use",
        "the same preparation everywhere",
        "pass one normalize= to both data sets; keep it with the model (Task does)",
    ),
    "domain-shift": Cause(
        "good on validation images of the old kind, poor on the new kind",
        "images of the same kind in both parts",
        "normalize by percentiles, augment brightness and contrast, or label some of the new "
        "kind and train on both",
    ),
    # network
    "model-rejects-pictures": Cause(
        "training stops at the first batch",
        "a network that takes these images",
        "do as the message says",
    ),
    "wrong-classes": Cause(
        "the loss complains about shapes or classes, or some classes are never predicted",
        "as many output channels as the task has classes (1 for foreground)",
        "make the network with out_channels=task.out_channels",
    ),
    "not-finite-weights": Cause(
        "the prediction is NaN, shown black",
        "finite weights",
        "train again with a tenth of the learning rate, in float32; load the last good checkpoint",
    ),
    "frozen": Cause(
        "the loss stays exactly where it was",
        "parameters that require gradients",
        "thaw what you want to train: parameter.requires_grad_(True)",
    ),
    "optimizer-misses-parameters": Cause(
        "the loss does not move, although gradients flow",
        "every trainable parameter of this model in the optimizer",
        "make the optimizer after the model is final (moved, replaced head, loaded), from "
        "model.parameters()",
    ),
    "dead-layer": Cause(
        "the prediction is one flat value for every image",
        "activations in every layer",
        "initialize the layer again (never with zeros or a large negative bias), lower the rate",
    ),
    "probabilities-in-loss": Cause(
        "learning is slow and never becomes sure: the loss stays above 0.3",
        "logits, any real numbers",
        "take the sigmoid or softmax out of the model; the losses contain it, probabilities() "
        "adds it when predicting",
    ),
    "batch-of-one": Cause(
        "the loss jumps, and the network is good in training and poor in eval mode",
        "at least 4 images a batch for BatchNorm",
        'choose norm="group", or a larger batch of smaller crops',
    ),
    # training
    "rate-too-high": Cause(
        "the loss jumps, becomes NaN, or settles at one class everywhere",
        "a loss that falls on a single batch at this rate",
        "divide the learning rate by ten until it falls; learning_rate_range_test shows where",
    ),
    "rate-too-low": Cause(
        "the loss falls as slowly as grass grows",
        "a loss that falls on a single batch at this rate",
        "multiply the learning rate by ten; learning_rate_range_test shows where it ends",
    ),
    "cannot-learn": Cause(
        "the loss does not fall on a single batch, at any rate",
        "a batch that can be learned by heart",
        "look at the batch with plots.show_pairs, and begin with unet_lib's own model and loss",
    ),
    # outcome
    "batchnorm-statistics": Cause(
        "good while training, black in eval mode",
        "nearly the same score with stored and with batch statistics",
        "train longer or with a larger batch, BatchNorm's momentum at 0.1; after changing weights "
        "by hand run a few batches in training mode",
    ),
    "predicts-in-training-mode": Cause(
        "the mask of an image depends on which others are in the batch",
        "the same mask alone and in any batch",
        "call model.eval() before predicting (unet_lib.evaluation.tiles does)",
    ),
    "logits-as-probabilities": Cause(
        "objects come out too small, or some not at all",
        "probability > 0.5, which is logit > 0",
        "threshold probabilities(logits), not the logits",
    ),
    "channel-order": Cause(
        "good in training, poor in use, on the same kind of images",
        "channels in the order that the network was trained with",
        "OpenCV reads BGR: turn it with image[..., ::-1], or read with read_image",
    ),
    "rare-foreground": Cause(
        "the prediction is black, the accuracy excellent",
        "objects in the prediction",
        "add Dice to the loss (bce_dice_loss), weigh the foreground, or cut parts around objects",
    ),
    "one-class": Cause(
        "the prediction is one class everywhere",
        "more than one class where the truth has more",
        "train longer, try another rate and seed; look at the batches with plots.show_pairs",
    ),
    "overfitting": Cause(
        "training improves while validation gets worse",
        "a validation loss that follows the training loss",
        "keep the best epoch, stop early (patience), augment, add images, make the network smaller",
    ),
    "label-noise": Cause(
        "a few images score far below the others, in training as well",
        "a network that agrees with all masks about equally",
        "look at these images first: missing or doubled objects, another image's mask",
    ),
    "unreadable-checkpoint": Cause(
        "a run cannot be used or continued",
        "a checkpoint of this library",
        "take best.pt or an older copy, or train again",
    ),
}
"""Cause -> how it shows, what is expected, the cure."""
