"""The network of `train`, as options of a command."""

from dataclasses import asdict, dataclass, fields
from typing import Any, Literal

from tyro.conf import Fixed, Suppress

from unet_lib.model.base import SegmentationModel
from unet_lib.model.norms import Norm
from unet_lib.model.unet import UNet, UNetSettings
from unet_lib.transfer.encoders import EncoderUNet, pretrained_unet


@dataclass(frozen=True)
class NetworkSettings(UNetSettings):
    """The network to train, a U-Net or one on an encoder of timm; its channels follow the task."""

    in_channels: Suppress[Fixed[int]] = 1
    out_channels: Suppress[Fixed[int]] = 1
    width: int = 16
    padding: Suppress[Fixed[Literal["same", "valid"]]] = "same"
    norm: Norm = "batch"
    encoder: str | None = None
    """A network of timm in place of the U-Net's own encoder, for example resnet34."""
    weights: str = "imagenet"
    """What that encoder has learned: none, imagenet, or a file of its weights."""
    decoder_width: int = 16
    """Channels of the decoder on such an encoder, at full size."""

    def build(self, in_channels: int, out_channels: int) -> SegmentationModel:
        """The network, for so many channels of the images and of the logits.

        Raises ValueError for options that belong to the other kind of network.
        """
        values = asdict(self) | {"in_channels": in_channels, "out_channels": out_channels}
        own = {"in_channels", "out_channels", "norm"}
        encoder, plain = {"encoder", "decoder_width"}, {f.name for f in fields(UNetSettings)}
        own |= encoder if self.encoder else plain
        options: dict[str, Any] = {name: values[name] for name in own}
        given = {name for name in values if getattr(self, name) != getattr(NetworkSettings, name)}
        if wrong := given - own - ({"weights"} if self.encoder else set()):
            names = ", ".join("--" + name.replace("_", "-") for name in sorted(wrong))
            raise ValueError(f"{names}: not with{'' if self.encoder else 'out'} an --encoder")
        if self.encoder is None:
            return UNet(**options)
        if self.weights == "none":
            return EncoderUNet(**options)
        weights = None if self.weights == "imagenet" else self.weights
        return pretrained_unet(weights=weights, **options)
