"""Image and labels go through the same transforms with the same random numbers (chapter 6)."""

import torch
from jaxtyping import Float, Int64
from torch import Tensor
from torchvision import tv_tensors
from torchvision.transforms import v2


class Joint:
    """Transforms of torchvision.transforms.v2, applied to an image and its labels alike.

    They are applied one after the other; each draws its random numbers once for both.
    Raises TypeError for a transform that cannot treat two at once, such as torchvision's old ones.

    >>> from torchvision.transforms import v2
    >>> turn = Joint(v2.RandomHorizontalFlip(p=1))
    >>> turn(torch.tensor([[[0.0, 0.1, 0.2]]]), torch.tensor([[0, 1, 2]]))
    (tensor([[[0.2000, 0.1000, 0.0000]]]), tensor([[2, 1, 0]]))
    """

    def __init__(self, *transforms: v2.Transform) -> None:
        for transform in transforms:
            _check_transform(transform)
        self.transforms = transforms

    def __call__(
        self, image: Float[Tensor, "C H W"], labels: Int64[Tensor, "H W"]
    ) -> tuple[Float[Tensor, "C H2 W2"], Int64[Tensor, "H2 W2"]]:
        """Both transformed, plain tensors again, perhaps of another size.

        Raises ValueError where they are not one image (C, H, W) and its labels (H, W).
        """
        _check_shapes(image, labels)
        image, labels = tv_tensors.Image(image), tv_tensors.Mask(labels)
        for transform in self.transforms:
            image, labels = transform(image, labels)
        return image.as_subclass(Tensor), labels.as_subclass(Tensor)


def _check_transform(transform: object) -> None:
    name = type(transform).__name__
    if type(transform).__module__ == "torchvision.transforms.transforms":
        raise TypeError(
            f"{name} is one of torchvision's old transforms, which know no masks; take "
            f"torchvision.transforms.v2.{name}"
        )
    if not callable(transform):
        raise TypeError(f"a transform was expected, got a {name}; pass one by one: Joint(a, b)")


def _check_shapes(image: Tensor, labels: Tensor) -> None:
    if image.ndim != 3 or labels.ndim != 2 or image.shape[1:] != labels.shape:
        raise ValueError(
            "expected one image (C, H, W) and its labels (H, W), both of one height and width; got "
            f"{tuple(image.shape)} and {tuple(labels.shape)}"
        )
    if labels.dtype.is_floating_point:
        raise ValueError(f"the labels are {labels.dtype}; whole numbers were expected: the classes")


def compose(*transforms: Joint | v2.Transform) -> Joint:
    """One joint transform that applies several in turn.

    >>> from unet_lib.transforms import random_crop, random_flips, random_scale
    >>> augment = compose(random_scale(0.8, 1.2), random_crop((64, 64)), random_flips())
    >>> image, labels = augment(torch.rand(1, 90, 70), torch.zeros(90, 70, dtype=torch.int64))
    >>> image.shape, labels.shape
    (torch.Size([1, 64, 64]), torch.Size([64, 64]))
    """
    parts = [part.transforms if isinstance(part, Joint) else [part] for part in transforms]
    return Joint(*(transform for part in parts for transform in part))


def sometimes(probability: float, *transforms: Joint | v2.Transform) -> Joint:
    """Apply all of `transforms` in turn with this probability, else none of them.

    Raises ValueError unless the probability lies in 0 to 1 and there is a transform.

    >>> from torchvision.transforms import v2
    >>> never = sometimes(0.0, v2.RandomHorizontalFlip(p=1))
    >>> never(torch.zeros(1, 1, 2), torch.tensor([[0, 1]]))[1]
    tensor([[0, 1]])
    """
    if not 0 <= probability <= 1:
        raise ValueError(f"probability {probability}: expected a number from 0 to 1")
    if not transforms:
        raise ValueError("sometimes(probability, transform, ...) needs at least one transform")
    return Joint(v2.RandomApply(list(compose(*transforms).transforms), p=probability))


def uniform(low: float, high: float) -> float:
    """One random number from `low` to `high`, by torch's global generator.

    >>> uniform(2.0, 2.0)
    2.0
    """
    return low + (high - low) * float(torch.rand(()))
