"""The U-Net paper's own data: a base recipe, what each part of it is worth, the paper, the leak.

    python results/isbi.py               all runs, one after the other; interrupted, it goes on
    python results/isbi.py --help        fewer variants, folds and seeds, another recipe

Five folds of the 30 labeled slices of ISBI 2012, each a block of six to test on. Every variant
differs from the base in one thing, "paper" in all that the paper says, and each may train for as
many processor seconds: what a step takes is measured first, which gives the number of steps.
"shuffled slices" is the base on folds of the same sizes whose slices were drawn at random.

The thresholds are chosen on slices that belong to the training part: for pixels by the mean Dice
of cells and membranes there, for structures by V_rand. Recipes are to be chosen by the scores on
these slices, too ("choice"). A network's answer for a slice is the mean over eight views, and
beside it that of one view. "as_the_server" has the scores at thresholds chosen on the test slices
themselves, as the challenge's server chose them.

The cells' probabilities go to `results/runs/isbi/`, one file a run: `test`, `choice`, and the
same of one view, uint8 from 0 to 255, and what the training took. Where the file is there, nothing
is trained again: to score anew, remove rows from `results/isbi.json`. The weights stand beside it.
"""

import json
import math
import re
import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field, replace
from functools import cache, partial
from pathlib import Path
from statistics import mean, median
from typing import Annotated, Any, Literal

import numpy as np
import torch
import tyro
from jaxtyping import Bool, Float, UInt8
from table import Row, complete
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.data import Dataset

from unet_lib.data import ISBI2012, Fold, blocks, membrane_weights, shuffled_blocks
from unet_lib.data.write import write_atomically
from unet_lib.evaluation import (
    cells_of,
    count_pixels,
    dice,
    find_context,
    foreground_probability,
    information_scores,
    pixel_accuracy,
    predict_tiles,
    rand_scores,
    thin_borders,
    turn,
    turn_back,
    warping_mistakes,
)
from unet_lib.model import UNet, he_start
from unet_lib.training import (
    Task,
    TrainingError,
    TrainingSettings,
    cross_entropy_dice_loss,
    cross_entropy_loss,
    fit,
    save_checkpoint,
)
from unet_lib.transforms import (
    RandomRightAngle,
    compose,
    random_blur,
    random_brightness_contrast,
    random_crop,
    random_elastic,
    random_flips,
    random_gamma,
    random_noise,
    sometimes,
)

HERE = Path(__file__).parent
TASK = Task("classes", num_classes=2)  # 0 membrane, 1 cell
EPOCHS = 10  # of a run: each writes a checkpoint from which a killed run goes on
PROBED = 25  # steps by which the pace is measured
LEVELS = range(5, 255, 5)  # thresholds to choose from, of the probability x 255
TENTHS = [round(25.5 * tenth) for tenth in range(1, 10)]  # those of the challenge


@dataclass(frozen=True)
class Recipe:
    """How a network is trained; as it stands here, the base."""

    width: int = 16
    """Channels of the first stage."""
    depth: int = 4
    """Poolings."""
    norm: Literal["none", "batch"] = "batch"
    """Between convolution and ReLU."""
    padding: Literal["same", "valid"] = "same"
    """"valid" is trained on tiles with a margin, slices being mirrored at their borders."""
    start: Literal["he", "torch"] = "he"
    """First weights."""
    dropout: float = 0.0
    """After the last two contracting stages, as in the authors' files."""
    tile: int = 160
    """Side of what the network sees of a slice in a step."""
    batch_size: int = 8
    """Tiles in a step."""
    optimizer: Literal["adamw", "sgd"] = "adamw"
    """Rule of the steps."""
    learning_rate: float = 4e-3
    """Largest rate of the schedule."""
    momentum: float | None = None
    """Of "sgd" alone."""
    schedule: Literal["one-cycle", "constant"] = "one-cycle"
    """How the rate moves over the run."""
    clip_norm: float = 1.0
    """Longest gradient; 0 leaves all as they are."""
    dice: bool = True
    """Dice loss of both classes beside the cross-entropy."""
    weights: bool = True
    """The cross-entropy's weights: classes balanced, and more in thin membranes."""
    w0: float = 10.0
    """How much more."""
    elastic: float = 10.0
    """Standard deviation of the elastic deformation, in pixels of a slice of 512."""
    shuffled: bool = False
    """Folds of slices drawn at random, so that neighbors of tested slices are trained on."""


@dataclass(frozen=True)
class Runs:
    """What is trained, how often, and how long."""

    recipe: Annotated[Recipe, tyro.conf.OmitArgPrefixes] = field(default_factory=Recipe)
    """The base."""
    sgd_rate: float = 1e-2
    """Constant rate of the base with the paper's optimizer."""
    paper_rate: float = 1e-3
    """That of the paper, which does not say it."""
    seconds: float = 660.0
    """Processor seconds of a training, of all cores together."""
    variants: tuple[str, ...] = ()
    """Some of them; if not given, all."""
    folds: tuple[int, ...] = (0, 1, 2, 3, 4)
    """Which blocks are tested."""
    seeds: tuple[int, ...] = (0, 1, 2)
    """Of the base and of the shuffled slices: first weights, tiles, and the shuffling."""
    other_seeds: tuple[int, ...] = (0,)
    """Those of them that all other variants run with."""
    table: Path = HERE / "isbi.json"
    """Where the rows go; another one for a trial, so that nothing of it stays here."""


REPEATED = ("base", "shuffled slices")


def variants(runs: Runs) -> dict[str, Recipe]:
    """All by name: the base with what is changed."""
    base = runs.recipe
    side = 16 * round(base.tile * math.sqrt(base.batch_size) / 16)  # one tile of the same area
    own_rule = {"optimizer": "sgd", "momentum": 0.99, "schedule": "constant", "batch_size": 1}
    paper = own_rule | {"tile": 572, "padding": "valid", "norm": "none", "start": "he"}
    paper |= {"dropout": 0.5, "clip_norm": 0.0, "dice": False, "weights": True, "w0": 10.0}
    paper |= {"elastic": 10.0, "learning_rate": runs.paper_rate}
    changes: dict[str, dict[str, Any]] = {
        "base": {},
        "shuffled slices": {"shuffled": True},
        "paper": paper,
        "paper, torch start": paper | {"start": "torch"},
        "no weight map": {"weights": False},
        "no elastic deformation": {"elastic": 0.0},
        "valid padding": {"padding": "valid", "tile": 412, "batch_size": 2},
        "torch start": {"start": "torch"},
        "paper's optimizer": own_rule | {"tile": side, "learning_rate": runs.sgd_rate},
    }
    return {name: replace(base, **change) for name, change in changes.items()}


class Tiles(Dataset):
    """As many varied tiles as an epoch takes; target and weights stacked, float32 (2, H, W)."""

    def __init__(self, recipe: Recipe, slices: tuple[int, ...], margin: int, count: int) -> None:
        self.slices = [weighed(index, recipe.weights, recipe.w0, margin) for index in slices]
        self.count, size = count, (recipe.tile, recipe.tile)
        bent = [random_elastic(recipe.elastic * recipe.tile / 512)] if recipe.elastic else []
        self.places = compose(random_crop(size), RandomRightAngle(), random_flips(), *bent)
        self.light = compose(
            random_brightness_contrast(0.2, 0.2),
            random_gamma(0.7, 1.5),
            sometimes(0.3, random_noise(0.1)),
            sometimes(0.3, random_blur(1.0)),
        )

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> tuple[Float[Tensor, "1 H W"], Float[Tensor, "2 H W"]]:
        both, cells = self.places(*self.slices[index % len(self.slices)])
        image, cells = self.light(both[:1], cells)
        return image, torch.stack([cells.float(), both[1]])


@cache
def labeled() -> list[tuple[Tensor, Tensor]]:
    """Every slice and its labels."""
    return list(ISBI2012(normalize=TASK.normalization))


def weighed(index: int, weights: bool, w0: float, margin: int) -> tuple[Tensor, Tensor]:
    """A slice with its weights as a second channel, (2, H, W), and its labels, both with a margin.

    The weights are made once a slice (40 ms), and are cut and bent with it. Beyond the border of
    the slice everything goes on as in a mirror.
    """
    image, cells = labeled()[index]
    weight = membrane_weights(cells, w0) if weights else torch.ones(cells.shape)
    whole = torch.stack([image[0], weight, cells.float()])[None]
    whole = F.pad(whole, [margin] * 4, mode="reflect")[0]
    return whole[:2], whole[2].long()


def fold_of(recipe: Recipe, fold: int, seed: int) -> Fold:
    """The slices of a run."""
    count = len(labeled())
    return (shuffled_blocks(count, seed) if recipe.shuffled else blocks(count))[fold]


def network(recipe: Recipe) -> UNet:
    """The network before its training."""
    r = recipe
    model = UNet(1, 2, width=r.width, depth=r.depth, padding=r.padding, norm=r.norm)
    if r.start == "he":
        he_start(model)
    if r.dropout:
        model.encoder[-1].append(nn.Dropout(r.dropout))
        model.dropout = nn.Dropout(r.dropout)
    return model.to(memory_format=torch.channels_last)


def loss(
    recipe: Recipe, logits: Float[Tensor, "N 2 H W"], target: Float[Tensor, "N 2 H W"]
) -> Float[Tensor, ""]:
    """Of labels and weights that are stacked."""
    function = cross_entropy_dice_loss if recipe.dice else cross_entropy_loss
    return function(logits, target[:, 0].long(), weight=target[:, 1])


def train(recipe: Recipe, slices: tuple[int, ...], seed: int, steps: int, **options: Any) -> Row:
    """Trains a network, `model` in the result; `options` are those of `fit`."""
    torch.manual_seed(seed)
    model, epochs = network(recipe), min(EPOCHS, steps)
    margin = (recipe.tile - model.output_size(recipe.tile)) // 2
    settings = TrainingSettings(
        epochs=epochs,
        batch_size=recipe.batch_size,
        optimizer=recipe.optimizer,
        learning_rate=recipe.learning_rate,
        momentum=recipe.momentum,
        schedule=recipe.schedule,
        precision="bf16",
        clip_norm=recipe.clip_norm,
        keep="last",
        seed=seed,
    )
    tiles = Tiles(recipe, slices, margin, steps // epochs * recipe.batch_size)
    rule = partial(loss, recipe)
    history = fit(model, tiles, task=TASK, loss=rule, settings=settings, verbose=False, **options)
    return {
        "model": model,
        "steps": steps,
        "mode": history.mode,
        "training_loss": round(history.column("loss")[-1], 4),
        "wall_seconds": round(sum(history.column("seconds")), 1),
    }


def pace(runs: Runs, kind: str, variant: str) -> Row:
    """What a step of a variant takes, tiles included, and how many steps that makes a run."""
    marks: list[float] = []
    recipe = variants(runs)[variant]

    def mark(_step: int, _loss: float) -> None:
        marks.append(time.process_time())

    train(recipe, fold_of(recipe, 0, 0).train, 0, PROBED, on_step=mark)
    step = median(np.diff(marks[5:]).tolist())
    steps = EPOCHS * max(1, round(runs.seconds / step / EPOCHS))
    return {"processor_seconds_a_step": round(step, 4), "steps": steps}


def clock(file: Path) -> Callable[[Row], None]:
    """Adds the processor's seconds of each epoch to a file: a killed run goes on counting."""
    before = time.process_time()

    def count(_row: Row) -> None:
        nonlocal before
        now = time.process_time()
        passed = float(file.read_text()) if file.exists() else 0.0
        text = str(passed + now - before)
        write_atomically(file, lambda file: file.write(text.encode()))
        before = now

    return count


def cell_probabilities(model: UNet, image: Float[Tensor, "1 H W"]) -> Float[Tensor, "2 H W"]:
    """Of the mean over eight views, as `predict_views` takes it, and of the first of them alone."""
    context = find_context(model, len(image))
    every = [turn_back(predict_tiles(model, turn(image, way), context), way) for way in range(8)]
    return torch.stack([foreground_probability(logits) for logits in (sum(every) / 8, every[0])])


def as_levels(probability: Float[Tensor, "..."]) -> UInt8[np.ndarray, "..."]:
    """From 0 to 255: what is scored is what is stored."""
    return (255 * probability).round().byte().numpy()


def predictions(
    recipe: Recipe, fold: int, seed: int, steps: int, path: Path
) -> dict[str, np.ndarray]:
    """What the file holds; where there is none, it is made, after a training.

    Raises ValueError for a file of another recipe.
    """
    if not path.exists():
        parts, folder = fold_of(recipe, fold, seed), path.with_suffix("")
        spent, about = folder / "processor.txt", {"recipe": asdict(recipe), "slices": parts}
        resumed = {"folder": folder, "resume": True, "on_epoch": clock(spent), "about": about}
        facts = train(recipe, parts.train, seed, steps, **resumed)
        model = facts.pop("model")
        facts |= {"processor_seconds": round(float(spent.read_text()), 1), "recipe": asdict(recipe)}
        arrays = {}
        for name, indices in (("test", parts.test), ("choice", parts.choice)):
            both = torch.stack([cell_probabilities(model, labeled()[i][0]) for i in indices], 1)
            arrays[name], arrays[f"{name}_one_view"] = as_levels(both)
        save_checkpoint(path.with_suffix(".pt"), model, **TASK.stored())
        text = json.dumps(facts)
        write_atomically(path, lambda file: np.savez_compressed(file, facts=text, **arrays))
        shutil.rmtree(folder)  # what a training needs to go on
    stored = dict(np.load(path))
    if (there := json.loads(str(stored["facts"]))["recipe"]) != asdict(recipe):
        raise ValueError(
            f"{path} is of another recipe, {there}; remove it, or pass another --table"
        )
    return stored


def pixel_scores(found: Bool[Tensor, "H W"], cells: Bool[Tensor, "H W"]) -> Row:
    """What is counted pixel by pixel in one slice."""
    counts, inverse = (
        count_pixels(found[None], cells[None]),
        count_pixels(~found[None], ~cells[None]),
    )
    membrane, cell = float(dice(inverse)), float(dice(counts))
    return {
        "membrane_dice": membrane,
        "cell_dice": cell,
        "mean_dice": (membrane + cell) / 2,
        "pixel_error": 1 - float(pixel_accuracy(counts)),
    }


def rand_score(found: Bool[Tensor, "H W"], cells: Bool[Tensor, "H W"]) -> Row:
    """V_rand alone, of one slice: what a threshold for structures is chosen by."""
    pieces, true = cells_of(found.numpy()), cells_of(cells.numpy())
    return {"v_rand": rand_scores(thin_borders(pieces), true).f}


def structure_scores(found: Bool[Tensor, "H W"], cells: Bool[Tensor, "H W"]) -> Row:
    """What a slice's membranes make of its cells, as the challenge's programs have it (0.5 s).

    Rand and information scores with thinned borders, the former also without thinning, as in
    2012. The challenge's warping error counts merges and splits only; of these and of the other
    mistakes of topology each row has the share of the pixels.
    """
    pieces, true = cells_of(found.numpy()), cells_of(cells.numpy())
    thinned, mistakes = thin_borders(pieces), warping_mistakes(found.numpy(), cells.numpy())
    return {
        "v_rand": rand_scores(thinned, true).f,
        "v_info": information_scores(thinned, true).f,
        "v_rand_unthinned": rand_scores(pieces, true).f,
        "warping_error": (mistakes.merges + mistakes.splits) / found.numel(),
        "all_topology": sum(mistakes) / found.numel(),
    }


def scores(
    levels: UInt8[np.ndarray, "N H W"],
    parts: tuple[int, ...],
    level: int,
    *rules: Callable[..., Row],
) -> Row:
    """Means over some slices, and the scores of each."""
    rows = []
    for one, index in zip(torch.from_numpy(levels > level), parts, strict=True):
        cells = labeled()[index][1] > 0
        rows.append({name: x for rule in rules for name, x in rule(one, cells).items()})
    each = {name: [round(row[name], 7) for row in rows] for name in rows[0]}
    return {name: round(mean(values), 7) for name, values in each.items()} | {"each_slice": each}


def scored(stored: dict[str, np.ndarray], parts: Fold, views: str = "") -> Row:
    """The scores on the test slices, at thresholds chosen on the slices to choose by.

    Pixels are scored at the one that is best there for the mean Dice, structures at the one that
    is best for V_rand, which asks for thicker membranes.
    """
    choice = partial(scores, stored["choice" + views], parts.choice)
    test = partial(scores, stored["test" + views], parts.test)
    pixels = max(LEVELS, key=lambda level: choice(level, pixel_scores)["mean_dice"])
    structures = max(TENTHS, key=lambda level: choice(level, rand_score)["v_rand"])
    result, others = test(pixels, pixel_scores), test(structures, structure_scores)
    each = {"each_slice": result["each_slice"] | others["each_slice"]}
    chosen = choice(pixels, pixel_scores) | choice(structures, rand_score)
    thresholds = {"pixels": round(pixels / 255, 4), "structures": round(structures / 255, 4)}
    return {"thresholds": thresholds} | result | others | each | {"choice": chosen}


def as_the_server(stored: dict[str, np.ndarray], parts: Fold) -> Row:
    """Each score at the threshold that is best for it on the test slices: to compare, not to use.

    So did the challenge's server, with thresholds of 0, 0.1, ... 1. Those at the ends are left out:
    membrane everywhere has no warping error.
    """
    rules = pixel_scores, structure_scores
    rows = [scores(stored["test"], parts.test, level, *rules) for level in TENTHS]
    names = [name for name in rows[0] if name != "each_slice"]
    lower = ("pixel_error", "warping_error", "all_topology")
    return {n: (min if n in lower else max)(row[n] for row in rows) for n in names}


def run(runs: Runs, steps: dict[str, int], variant: str, fold: int, seed: int) -> Row:
    """Trains one network, unless its predictions are there, and scores it; or says why it broke."""
    recipe = variants(runs)[variant]
    name = re.sub(r"\W+", "-", f"{variant} {fold} {seed}")
    path = HERE / "runs" / runs.table.stem / f"{name}.npz"
    try:
        stored = predictions(recipe, fold, seed, steps[variant], path)
    except TrainingError as error:
        return {"recipe": asdict(recipe), "stopped": str(error)}
    parts = fold_of(recipe, fold, seed)
    result = {"slices": parts._asdict()} | json.loads(str(stored["facts"])) | scored(stored, parts)
    result |= {"one_view": scored(stored, parts, "_one_view")}
    return result | {"as_the_server": as_the_server(stored, parts)}


def plans(runs: Runs, names: list[str]) -> Iterator[Row]:
    """Seed by seed, so that an interrupted command has complete comparisons."""
    for seed in runs.seeds:
        for name in names:
            if name in REPEATED or seed in runs.other_seeds:
                yield from ({"variant": name, "fold": fold, "seed": seed} for fold in runs.folds)


def main(runs: Runs) -> None:
    """Does the runs that are not in the table yet."""
    known = variants(runs)
    if unknown := set(runs.variants) - set(known):
        raise SystemExit(f"no variants {sorted(unknown)}; there are {', '.join(known)}")
    names = list(runs.variants or known)
    paced = ({"kind": "pace", "variant": name} for name in names)
    rows = complete(runs.table, paced, partial(pace, runs))
    steps = {row["variant"]: row["steps"] for row in rows if row.get("kind") == "pace"}
    complete(runs.table, plans(runs, names), partial(run, runs, steps))


if __name__ == "__main__":
    torch.set_num_threads(1)  # so that processor seconds say what a run takes
    main(tyro.cli(Runs, description=__doc__))
