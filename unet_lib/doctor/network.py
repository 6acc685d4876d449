"""The network before any training: does it take the images, can it learn, what does it give?"""

import contextlib
import copy
from collections.abc import Generator

from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from unet_lib.data.findings import Finding
from unet_lib.doctor.finding import diagnosis
from unet_lib.doctor.setup import Sample, SetUp, batch_of
from unet_lib.model.base import evaluated

IMAGES, SIDE = 8, 128  # of the batch that the network is shown


def check_network(setup: SetUp, sample: Sample | None) -> list[Finding]:
    """Findings about a model, its optimizer and its batch size; the model stays as it is.

    >>> from unet_lib.model import UNet
    >>> check_network(SetUp(model=UNet(1, width=2, depth=1)), None)
    []
    """
    model = setup.model
    if model is None:
        return []
    findings = _weights(model) or _optimizer(setup, model) or _batch_of_one(setup, model)
    if findings or sample is None:
        return findings
    images, _ = batch_of(sample, IMAGES, SIDE)
    images = images.to(next(model.parameters()).device)
    try:
        with evaluated(model), _activations(model) as layers:
            logits = model(images).float()
    except (ValueError, TypeError, RuntimeError) as error:
        return [diagnosis("model-rejects-pictures", str(error))]
    return _channels(setup, logits) or _probabilities(model, images, logits) or _dead(layers)


def _weights(model: nn.Module) -> list[Finding]:
    broken = [name for name, p in model.state_dict().items() if not p.float().isfinite().all()]
    if not broken:
        return []
    found = f"NaN or infinity in {len(broken)} tensors of the model, first {broken[0]}"
    return [diagnosis("not-finite-weights", found)]


def _optimizer(setup: SetUp, model: nn.Module) -> list[Finding]:
    trainable = {id(p): name for name, p in model.named_parameters() if p.requires_grad}
    if not trainable and not setup.history:
        count = sum(1 for _ in model.parameters())
        return [diagnosis("frozen", f"requires_grad is False for all {count} parameters")]
    if setup.optimizer is None:
        return []
    given = {id(p) for group in setup.optimizer.param_groups for p in group["params"]}
    missing = [name for key, name in trainable.items() if key not in given]
    if not missing:
        return []
    found = (
        f"{len(missing)} of {len(trainable)} trainable parameters are not in the optimizer, "
        f"first {missing[0]}"
    )
    return [diagnosis("optimizer-misses-parameters", found)]


def _batch_of_one(setup: SetUp, model: nn.Module) -> list[Finding]:
    normed = [m for m in model.modules() if isinstance(m, _BatchNorm) and m.affine]
    learning = [m for m in normed if any(p.requires_grad for p in m.parameters())]
    if not learning or setup.settings is None or setup.settings.batch_size > 1:
        return []
    found = f"batch_size=1, and {len(learning)} BatchNorm layers take their statistics from it"
    return [diagnosis("batch-of-one", found)]


def _channels(setup: SetUp, logits: Tensor) -> list[Finding]:
    task, k = setup.task, logits.shape[1]
    unknown = task.target == "classes" and task.num_classes is None
    if unknown or k == task.out_channels:
        return []
    found = f"{k} output channels, and target {task.target!r} needs {task.out_channels}"
    return [diagnosis("wrong-classes", found)]


def _probabilities(model: nn.Module, images: Tensor, logits: Tensor) -> list[Finding]:
    """Outputs between 0 and 1, and still so with a last layer that is -100 times as large."""
    if not _between_0_and_1(logits):
        return []
    model, last = copy.deepcopy(model), []
    handles = [
        module.register_forward_hook(lambda module, *_: last.append(module))
        for module in model.modules()
        if isinstance(getattr(module, "weight", None), nn.Parameter)
    ]
    with evaluated(model):
        model(images)
        for handle in handles:
            handle.remove()
        for parameter in last[-1].parameters(recurse=False) if last else ():
            parameter.mul_(-100)
        again = model(images).float()
    if not _between_0_and_1(again):
        return []
    what = "the outputs of the model lie between 0 and 1, whatever its last layer gives"
    return [diagnosis("probabilities-in-loss", f"{what}: a sigmoid or softmax is in it")]


def _between_0_and_1(values: Tensor) -> bool:
    return bool(values.min() >= 0 and values.max() <= 1)


def _dead(layers: dict[str, float]) -> list[Finding]:
    dead = [name for name, share in layers.items() if share == 0]
    if not dead:
        return []
    found = f"{len(dead)} of {len(layers)} ReLU layers give nothing but zeros, first {dead[0]}"
    return [diagnosis("dead-layer", found)]


@contextlib.contextmanager
def _activations(model: nn.Module) -> Generator[dict[str, float], None, None]:
    """Share of positive values that each ReLU gives, filled in by the forward pass."""
    named = model.named_modules()
    names: dict[nn.Module, str] = {one: name for name, one in named if isinstance(one, nn.ReLU)}
    shares: dict[str, float] = {}

    def note(module: nn.Module, _inputs: object, output: Tensor) -> None:
        shares[names[module]] = float((output > 0).float().mean())

    handles = [module.register_forward_hook(note) for module in names]
    try:
        yield shares
    finally:
        for handle in handles:
            handle.remove()
