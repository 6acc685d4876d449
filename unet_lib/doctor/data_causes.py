"""What the doctor can name in data: how it shows, what is expected, and the cure.

In the order of the examination: files, masks, pairs, images, parts; run_causes.py goes on with
the network. The text that was measured on the spot is in the finding.
"""

from typing import NamedTuple


class Cause(NamedTuple):
    """Something that can be wrong.

    >>> DATA_CAUSES["leak"].expected
    'no image in two parts'
    """

    symptom: str
    expected: str
    cure: str


DATA_CAUSES = {
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
    "values-vary": Cause(
        "one class becomes several, none of which is learned well",
        "one value for one class",
        "pass mask_values with every value that means the same mapped to one class",
    ),
    "palettes-differ": Cause(
        "classes are exchanged between files, and none is learned well",
        "one color a class in all masks",
        "give all masks one palette, or pass palette={color: class}",
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
        'choose any target but "classes", and --instance-masks: numbers are then read as objects',
    ),
    "binary-as-instances": Cause(
        "all objects of an image count as one, and instances score near 0",
        "a number an object",
        'pass instances="connected" to number their connected parts, or leave instances out',
    ),
    "instances-wrapped": Cause(
        "distant objects share a number, because the file could count to 255 only",
        "a number an object, in 16 bits where there are more than 255",
        "write the masks again as 16-bit PNG or TIFF",
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
    "no-data": Cause(
        "strips or single pixels that nobody measured are learned as if they were image",
        "measured values, or a note in the file which value stands for none",
        "crop them away, or mark them in the masks with ignore_index; percentiles leave a strip "
        "of one value out of the stretching",
    ),
    "mixed-types": Cause(
        "some images are nearly black to the network, others bright",
        "one type of numbers",
        "convert them to one, or pass normalize=normalize_percentiles",
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
}
