"""Change an image and its labels together: flips, turns, scales and crops (chapters 3 and 6).

torchvision.transforms.v2 knows how to treat a mask, if it is told that a tensor is one; `Joint`
tells it. Labels are never blended: where pixels are computed anew, a label is taken from the
nearest pixel, while image values are interpolated. All random numbers come from torch's global
generator, so `torch.manual_seed` repeats them and data workers differ.
"""

import torch
from jaxtyping import Float, Int64
from torch import Tensor
from torchvision import tv_tensors
from torchvision.transforms import v2

Size = tuple[int, int]


class Joint:
    """Transforms of torchvision.transforms.v2, applied to an image and its labels alike.

    Args:
        transforms: applied one after the other; each draws its random numbers once for both.

    Example:
        >>> from torchvision.transforms import v2
        >>> turn = Joint(v2.RandomHorizontalFlip(p=1))
        >>> turn(torch.tensor([[[0.0, 0.1, 0.2]]]), torch.tensor([[0, 1, 2]]))
        (tensor([[[0.2000, 0.1000, 0.0000]]]), tensor([[2, 1, 0]]))
    """

    def __init__(self, *transforms: v2.Transform) -> None:
        self.transforms = transforms

    def __call__(
        self, image: Float[Tensor, "C H W"], labels: Int64[Tensor, "H W"]
    ) -> tuple[Float[Tensor, "C H2 W2"], Int64[Tensor, "H2 W2"]]:
        """Both transformed, plain tensors again, perhaps of another size."""
        image, labels = tv_tensors.Image(image), tv_tensors.Mask(labels)
        for transform in self.transforms:
            image, labels = transform(image, labels)
        return image.as_subclass(Tensor), labels.as_subclass(Tensor)


def compose(*transforms: Joint | v2.Transform) -> Joint:
    """One joint transform that applies several in turn.

    Example:
        >>> augment = compose(random_scale(0.8, 1.2), random_crop((64, 64)), random_flips())
        >>> image, labels = augment(torch.rand(1, 90, 70), torch.zeros(90, 70, dtype=torch.int64))
        >>> image.shape, labels.shape
        (torch.Size([1, 64, 64]), torch.Size([64, 64]))
    """
    parts = [part.transforms if isinstance(part, Joint) else [part] for part in transforms]
    return Joint(*(transform for part in parts for transform in part))


class RandomRightAngle(v2.Transform):
    """Turn by 0, 90, 180 or 270 degrees, each with probability 1/4: no pixel is computed anew.

    A picture that is not square changes its shape; crop to a square if it goes into a batch.

    Example:
        >>> turn = Joint(RandomRightAngle())
        >>> image, labels = turn(torch.rand(1, 3, 3), torch.eye(3).long())
        >>> labels.sum(dim=0)
        tensor([1, 1, 1])
    """

    def make_params(self, flat_inputs: list) -> dict[str, int]:
        """Draw the number of quarter turns, once for image and labels."""
        return {"turns": int(torch.randint(4, ()))}

    def transform(self, inpt: Tensor, params: dict[str, int]) -> Tensor:
        """Turn one of the two."""
        return tv_tensors.wrap(torch.rot90(inpt, params["turns"], dims=(-2, -1)), like=inpt)


def random_flips() -> Joint:
    """Mirror left to right, and top to bottom, each with probability 1/2.

    Example:
        >>> image, labels = random_flips()(torch.rand(3, 5, 7), torch.ones(5, 7).long())
        >>> image.shape
        torch.Size([3, 5, 7])
    """
    return Joint(v2.RandomHorizontalFlip(), v2.RandomVerticalFlip())


def resize(size: Size) -> Joint:
    """Bring to `size` (height, width): the image bilinear and antialiased, labels from the nearest.

    Example:
        >>> image, labels = resize((2, 2))(torch.rand(1, 6, 6), torch.arange(36).reshape(6, 6))
        >>> labels
        tensor([[ 7, 10],
                [25, 28]])
    """
    return Joint(_Resize(size))


def random_scale(low: float, high: float) -> Joint:
    """Enlarge or shrink by a random factor from `low` to `high`, the same for height and width.

    The size of the result varies; follow with `random_crop` if it goes into a batch.

    Raises:
        ValueError: unless 0 < low <= high.

    Example:
        >>> random_scale(2.0, 2.0)(torch.rand(1, 5, 4), torch.zeros(5, 4).long())[1].shape
        torch.Size([10, 8])
    """
    if not 0 < low <= high:
        raise ValueError(f"factors {low} to {high}: expected 0 < low <= high")
    return Joint(_RandomScale(low, high))


def random_crop(size: Size, fill_labels: int = 0) -> Joint:
    """Cut out a random part of `size` (height, width).

    A picture that is smaller is padded first: the image with 0, the labels with `fill_labels`;
    pass your `ignore_index` where the padding should not count as background.

    Example:
        >>> random_crop((4, 4))(torch.rand(1, 9, 3), torch.zeros(9, 3).long())[0].shape
        torch.Size([1, 4, 4])
    """
    fill = {tv_tensors.Image: 0, tv_tensors.Mask: fill_labels}
    return Joint(v2.RandomCrop(size, pad_if_needed=True, fill=fill))


class _Resize(v2.Transform):
    """torchvision's own resizing takes labels from pixels half a step off the image's."""

    def __init__(self, size: Size) -> None:
        super().__init__()
        self.size = size

    def make_params(self, flat_inputs: list) -> dict[str, Size]:
        return {"size": self.size}

    def transform(self, inpt: Tensor, params: dict[str, Size]) -> Tensor:
        if not isinstance(inpt, tv_tensors.Mask):
            return v2.functional.resize(inpt, list(params["size"]), antialias=True)
        rows, columns = map(_nearest, inpt.shape, params["size"])
        return tv_tensors.wrap(inpt[rows[:, None], columns], like=inpt)


class _RandomScale(_Resize):
    def __init__(self, low: float, high: float) -> None:
        super().__init__((0, 0))
        self.low, self.high = low, high

    def make_params(self, flat_inputs: list) -> dict[str, Size]:
        factor = self.low + (self.high - self.low) * float(torch.rand(()))
        height, width = v2.functional.get_size(flat_inputs[0])
        return {"size": (max(1, round(height * factor)), max(1, round(width * factor)))}


def _nearest(old: int, new: int) -> Int64[Tensor, " new"]:
    """For each of `new` pixels on a line the nearest of `old`, centers compared with centers."""
    return (2 * torch.arange(new) + 1) * old // (2 * new)
