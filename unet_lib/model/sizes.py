"""The size of an image on its way through a U-Net, and what one pixel sees (chapter 1)."""

from typing import Literal, NamedTuple

Padding = Literal["same", "valid"]
Upsampling = Literal["transposed", "bilinear"]


class Trace(NamedTuple):
    """(in, out) of every block, in pixels.

    `encoder` runs from the top, the bottleneck last, and `decoder` from the bottom. Where the
    input is not admissible both stop at the failing block, and `problem` says why.

    >>> trace_sizes(20, depth=1).encoder
    [(20, 16), (8, 4)]
    """

    encoder: list[tuple[int, int]]
    decoder: list[tuple[int, int]]
    problem: str = ""

    @property
    def output(self) -> int:
        """What leaves the last block, without a problem the height (or width) of the output.

        >>> trace_sizes(572, depth=4).output
        388
        """
        return (self.decoder or self.encoder)[-1][1]


def trace_sizes(
    size: int, depth: int, padding: Padding = "valid", kernel: int = 3, convolutions: int = 2
) -> Trace:
    """Follows the height (or width) of an image through the blocks (U-Net paper, figure 1).

    Pooling rounds up and the decoder cuts what is too much, as `unet_lib.model.UNet` does it.

    >>> trace_sizes(572, depth=4).decoder
    [(56, 52), (104, 100), (200, 196), (392, 388)]
    >>> trace_sizes(570, depth=4).problem
    'stage 2 ends at 279, an odd number, which pooling cannot halve'
    """
    loss = convolutions * (kernel - 1) if padding == "valid" else 0
    if not loss and size < 2**depth:
        problem = f"{size} is smaller than {2**depth}, the least that {depth} poolings can halve"
        return Trace([(size, size)], [], problem)
    encoder, decoder = [], []
    for stage in range(depth + 1):
        encoder.append((size, size - loss))
        size -= loss
        odd = loss and size % 2 and stage < depth
        if size <= 0 or odd:
            return Trace(encoder, decoder, _problem(stage, size, loss))
        if stage < depth:
            size = (size + 1) // 2
    for stage in reversed(range(depth)):
        size = 2 * size if loss else encoder[stage][1]
        decoder.append((size, size - loss))
        size -= loss
        if size <= 0:
            return Trace(encoder, decoder, _problem(stage, size, loss))
    return Trace(encoder, decoder)


def _problem(stage: int, end: int, loss: int) -> str:
    if end <= 0:
        return f"stage {stage + 1} starts at {end + loss}, and its convolutions cost {loss}"
    return f"stage {stage + 1} ends at {end}, an odd number, which pooling cannot halve"


def receptive_field(
    depth: int, convolutions: int = 2, kernel: int = 3, upsampling: Upsampling = "transposed"
) -> int:
    """Width in pixels of the window of the input that one output pixel can depend on.

    Pixels differ by their place in the pooling grid; this is the widest window.

    >>> receptive_field(depth=4), receptive_field(depth=0, convolutions=3, kernel=5)
    (204, 13)
    """
    return max(1 + low + high for low, high in contexts(depth, convolutions, kernel, upsampling))


def contexts(
    depth: int, convolutions: int = 2, kernel: int = 3, upsampling: Upsampling = "transposed"
) -> list[tuple[int, int]]:
    """(pixels before, pixels after) that output pixel i sees, for each i of one pooling cell.

    An interval of output pixels is followed back to the input: each convolution widens it,
    upsampling halves it, pooling doubles it.

    >>> contexts(depth=1)
    [(8, 9), (9, 8)]
    """
    reach = convolutions * (kernel - 1) // 2
    found = []
    for i in range(2**depth):
        low = high = i
        for _ in range(depth):  # back through the decoder
            low, high = low - reach, high + reach
            if upsampling == "bilinear":  # mixes the two nearest pixels
                low, high = low - 1, high + 1
            low, high = low // 2, high // 2
        low, high = low - reach, high + reach  # the bottleneck
        for _ in range(depth):  # back through the encoder
            low, high = 2 * low - reach, 2 * high + 1 + reach
        found.append((i - low, high - i))
    return found
