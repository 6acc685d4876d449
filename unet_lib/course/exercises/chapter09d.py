"""Checks for the exercises of chapter 9d, black masks: symptoms, agreement, three illnesses."""

import math
from collections.abc import Mapping

import numpy as np
from torch.utils.data import Dataset

from unet_lib.course.clinic.materials import binary, nuclei
from unet_lib.course.exercises.harness import NotYet, about, ask, check, expect, say
from unet_lib.course.exercises.values import judge, number
from unet_lib.data.in_memory import InMemory
from unet_lib.doctor import check_dataset
from unet_lib.doctor.agreement import agreement

STORIES = {
    "A": "training Dice 0.95, validation Dice 0.94, on a new patient 0.61; slices split at random",
    "B": "accuracy 0.993, Dice 0; one pixel in 150 is foreground; plain cross-entropy",
    "C": "good while training; in eval mode black; batch size 2, three epochs",
    "D": "the loss begins at 340 and the images come from a 16-bit camera",
    "E": "a new network was made after the optimizer; its gradients flow, and the loss is 0.69 in "
    "every epoch, to three digits",
}
"""What somebody tells the doctor."""
CAUSES_OF = {
    "A": "neighboring-pictures",
    "B": "rare-foreground",
    "C": "batchnorm-statistics",
    "D": "not-normalized",
    "E": "optimizer-misses-parameters",
}
NEAR = {
    ("A", "overfitting"): "validation is as good as training, so nothing shows overfitting. What "
    "do slices of one patient have in common?",
    ("A", "leak"): "no image is there twice, but nearly. What do neighboring slices show?",
    ("A", "domain-shift"): "perhaps, but first ask whether 0.94 was ever true: how were the slices "
    "divided?",
    ("B", "one-class"): "that is what one sees. Why does black pay off with this loss?",
    ("C", "overfitting"): "then training and eval mode would agree on the training images.",
    ("C", "batch-of-one"): "the batch holds two. But how many steps had the stored mean?",
    ("D", "rate-too-high"): "a loss is high before the first step, so the rate is innocent.",
    ("E", "frozen"): "a frozen network has no gradients; this one has. Which list of parameters "
    "was made before it?",
    ("E", "rate-too-low"): "a low rate moves the third digit after some epochs. Here nothing "
    "moves.",
}


@check
def check_causes(answer: object) -> None:
    """Checks a dict of the letters A to E -> short name of the cause.

    >>> check_causes({"A": "overfitting"})
    Not yet: A: validation is as good as training, so nothing shows overfitting. ...
    """
    if not isinstance(answer, Mapping):
        raise NotYet('give a dict such as {"A": "leak", "B": ...}.')
    for letter, right in CAUSES_OF.items():
        given = answer.get(letter)
        expect(given is not None, f"{letter} has no answer: {STORIES[letter]}.")
        hint = NEAR.get((letter, str(given)), f"read it again: {STORIES[letter]}.")
        expect(str(given) == right, f"{letter}: {hint}")
    say(True, "and each was told by what does NOT fit the other causes.")


@check
def check_agreement(answer: object) -> None:
    """Checks a function (image (H, W), mask (H, W)) -> share of the variance between the classes.

    >>> check_agreement(lambda image, mask: 0.5)
    Not yet: two gray values, one in each class, are explained completely: expected 1.00, ...
    """
    for what, image, mask in _agreement_cases():
        with about(f"{what}: "):
            value, right = ask(answer, image, mask), agreement(image, mask)
            value = number(value, "you return {kind}. Return one number.")
            with about(f"expected {right:.2f}, you return {value:.2f}."):
                judge(value, right, AGREEMENT_MISTAKES, "", given=(image, mask))
    say(True, "0 says that the mask knows nothing of the image, 1 that it explains every pixel.")


WITHIN = " That is the share within the classes; you want the rest."


def _agreement_cases() -> list[tuple[str, np.ndarray, np.ndarray]]:
    rng = np.random.default_rng(0)
    noise = rng.normal(size=(20, 20))
    half = (np.arange(400).reshape(20, 20) % 20 < 5).astype(int)
    two, classes = np.array([[2.0, 2.0, 7.0]]), np.array([[0, 0, 1]])
    return [
        ("two gray values, one in each class, are explained completely", two, classes),
        ("a dark object counts as much as a bright one", -3.0 * half + noise, half),
        ("classes of different size count by their pixels", 2.0 * half + noise, half),
        ("a mask of one class explains nothing", noise, np.zeros((20, 20), int)),
        ("a constant image has no variance to explain", np.full((4, 4), 3.0), np.eye(4, dtype=int)),
    ]


def _unweighted(image: np.ndarray, mask: np.ndarray) -> float:
    return np.var([image[mask == k].mean() for k in np.unique(mask)]) / max(image.var(), 1e-12)


AGREEMENT_MISTAKES = (
    (lambda image, mask: math.nan, " That is 0/0: ask for it before you divide."),
    (_unweighted, " Weigh each class mean by its number of pixels."),
    (lambda *given: 1 - agreement(*given), WITHIN),
)


def patient() -> InMemory:
    """A data set with three illnesses.

    >>> len(patient())
    16
    """
    images, labels = nuclei(17)
    deep = [image.astype(np.uint16) * 257 for image in images[:-1]]
    masks = [1 - mask for mask in binary(labels[1:])]
    return InMemory(deep, masks, normalize=lambda image: image.astype(np.float32))


@check
def check_healed(answer: object) -> None:
    """Checks a data set: the doctor's patient of three illnesses, healed.

    >>> check_healed(patient())
    Not yet: the doctor says not-normalized: values from 0 to ... in a typical image.
    """
    if not isinstance(answer, Dataset):
        raise NotYet("give a data set: your function has to return it.")
    findings = ask(lambda: check_dataset(answer), who="the data set")
    for finding in findings:
        raise NotYet(f"the doctor says {finding.cause}: {finding.found}.")
    count, size = len(answer), tuple(answer[0][0].shape)  # type: ignore[arg-type]
    told = f"{count} images of {size} are left; 15 can be saved, of (1, 64, 64)."
    healed = count == 15 and size == (1, 64, 64)
    expect(healed, f"{told} Which image has no mask of its own?")
    say(True, "three findings, three cures, and one image without a mask left out.")
