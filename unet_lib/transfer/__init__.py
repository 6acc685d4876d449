"""U-Nets whose encoder has seen ImageNet (chapter 7)."""

from unet_lib.transfer.backbones import LITE0, EncoderError, backbone, imagenet_classifier, scaling
from unet_lib.transfer.encoders import EncoderUNet, EncoderUNetSettings, pretrained_unet
from unet_lib.transfer.finetuning import depth_rates, encoder_stages, freeze_encoder, thaw

__all__ = [
    "LITE0",
    "EncoderError",
    "EncoderUNet",
    "EncoderUNetSettings",
    "backbone",
    "depth_rates",
    "encoder_stages",
    "freeze_encoder",
    "imagenet_classifier",
    "pretrained_unet",
    "scaling",
    "thaw",
]
