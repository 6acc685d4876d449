"""An encoder that has learned, in training: frozen, thawed, with rates of its own (chapter 7)."""

from itertools import chain
from typing import Any

from torch import nn

from unet_lib.model.checks import require
from unet_lib.transfer.encoders import EncoderUNet


def encoder_stages(model: nn.Module) -> list[list[nn.Parameter]]:
    """The encoder's parameters, one list for each feature map, the largest map first.

    A parameter belongs to the first map that it can change.

    >>> [len(stage) for stage in encoder_stages(EncoderUNet(encoder="resnet18", decoder_width=1))]
    [3, 12, 15, 15, 15]
    """
    model = _require_encoder(model)
    parameters = dict(model.encoder.named_parameters())
    return [[parameters[name] for name in names] for names in model.stage_names]


def freeze_encoder(model: nn.Module) -> None:
    """Keeps the encoder as it is: no gradients, and its BatchNorm stays in evaluation mode.

    Raises TypeError for any model but an `EncoderUNet`: the encoder of a `UNet` was never trained.

    >>> model = EncoderUNet(encoder="resnet18", decoder_width=1)
    >>> freeze_encoder(model)
    >>> any(p.requires_grad for p in model.encoder.parameters()), model.train().encoder.bn1.training
    (False, False)
    """
    model = _require_encoder(model)
    model.encoder.requires_grad_(False)
    model.train(model.training)


def thaw(model: nn.Module, stages: int | None = None) -> None:
    """Lets the deepest `stages` of the encoder learn again, or all of it.

    Raises ValueError for a number of stages that the encoder does not have, TypeError as
    `freeze_encoder`.

    >>> model = EncoderUNet(encoder="resnet18", decoder_width=1)
    >>> freeze_encoder(model)
    >>> thaw(model, stages=2)
    >>> [stage[0].requires_grad for stage in encoder_stages(model)]
    [False, False, False, True, True]
    """
    model = _require_encoder(model)
    count = len(model.channels)
    stages = count if stages is None else stages
    require("stages", stages, low=1, high=count)
    for parameter in chain.from_iterable(encoder_stages(model)[count - stages :]):
        parameter.requires_grad_(True)
    model.train(model.training)


def depth_rates(model: nn.Module, learning_rate: float, decay: float = 0.5) -> list[dict[str, Any]]:
    """Groups for `fit(parameter_groups=...)`: the deeper in the encoder, the larger the rate.

    Decoder and head learn at `learning_rate`, the deepest stage of the encoder at `decay` times
    that, the one before at `decay` squared, and so on (Howard and Ruder 2018). Frozen parameters
    are among them, so that they can be thawed during the run.
    Raises ValueError for a decay that is not above 0 and at most 1.

    >>> model = EncoderUNet(encoder="resnet18", decoder_width=1)
    >>> [group["lr"] for group in depth_rates(model, 0.01, decay=0.5)]
    [0.01, 0.005, 0.0025, 0.00125, 0.000625, 0.0003125]
    """
    require("decay", decay, above=0, high=1)
    model = _require_encoder(model)
    new = [*model.up.parameters(), *model.decoder.parameters(), *model.head.parameters()]
    groups = [new, *reversed(encoder_stages(model))]
    return [{"params": g, "lr": learning_rate * decay**i} for i, g in enumerate(groups)]


def _require_encoder(model: nn.Module) -> EncoderUNet:
    if not isinstance(model, EncoderUNet):
        raise TypeError(
            f"an EncoderUNet was expected, got a {type(model).__name__}, whose encoder has learned "
            "nothing that could be kept; make one with pretrained_unet"
        )
    return model
