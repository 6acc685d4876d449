"""Chapter 8's long runs: one knob at a time, a search with Optuna, and what its winner is worth.

    python results/tuning.py               everything that is not there yet; it can be interrupted
    python results/tuning.py --help        fewer seeds, fewer trials, one part alone

Settings that are turned one at a time see the same simulated pictures equally often. In the search,
and in what follows from it, every training lasts the same time instead. The runs stand in
`results/tuning.json`, the search in `results/tuning-search.jsonl`, Optuna's own journal. Times are
the processor's, and what else runs on the machine changes them: the same 177 steps took 7.0 to 7.9
seconds. Only runs beside each other compare. Rows whose part begins with "short", and
`tuning-search-short.jsonl`, come from an earlier search of four epochs a trial, which the chapter
shows as a warning; nothing here makes them again.
"""

import itertools
import statistics
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path

import optuna
import torch
import tyro
from optuna.pruners import MedianPruner
from optuna.samplers import TPESampler
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import FrozenTrial, Trial, TrialState
from table import Row, complete
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, Sampler, TensorDataset

from unet_lib.data import SimulatedNuclei, foreground
from unet_lib.model import UNet, count_parameters
from unet_lib.training import (
    OneClassWarning,
    TrainingError,
    TrainingSettings,
    evaluate,
    fit,
    learning_rate_range_test,
)

HERE = Path(__file__).parent
TABLE, JOURNAL = HERE / "tuning.json", HERE / "tuning-search.jsonl"
DEFAULT = {
    "kernel": 3,
    "depth": 3,
    "width": 8,
    "learning_rate": 4e-3,
    "batch_size": 8,
    "weight_decay": 1e-2,
}
RATES = (2.5e-4, 1e-3, 1.6e-2, 6.4e-2)
TRAINING, VALIDATION, TEST = (192, 100), (300, 101), (1000, 102)  # pictures, and their seed
SIDE, SCORE, STUDY = 64, "dice_pooled", "nuclei"


@dataclass(frozen=True)
class Plan:
    """How much is run."""

    part: str = "all"
    """"knobs", "search", or all."""
    seeds: int = 5
    """Runs of every setting of the knobs."""
    default_seeds: int = 8
    """Runs of the default."""
    epochs: int = 8
    """Passes through the training pictures, where a knob is turned."""
    seconds: float = 7.0
    """Processor time that each training of the search gets, validation apart."""
    trials: int = 40
    """Trials of the search."""
    finalists: int = 5
    """Best trials that are repeated, and ranked again."""
    again_seeds: int = 3
    """Runs of each finalist."""
    test_seeds: int = 8
    """Runs of the default and of the chosen setting that are scored on the test pictures."""


@cache
def pictures(count: int, seed: int, crop: int = SIDE) -> TensorDataset:
    """Simulated nuclei of 64x64 pixels, or the squares of that side that they are cut into."""
    pairs = list(SimulatedNuclei(count, seed=seed, size=(SIDE, SIDE), target=foreground))
    images, masks = (torch.stack(part) for part in zip(*pairs, strict=True))
    return TensorDataset(cut(images, crop), cut(masks, crop))


def cut(images: Tensor, side: int) -> Tensor:
    """Squares instead of images, none left out; of each image all, one after the other."""
    parts = images.unfold(-2, side, side).unfold(-2, side, side)  # N, C, rows, columns, side, side
    return parts.permute(0, 2, 3, 1, 4, 5).reshape(-1, images.shape[1], side, side)


class Passes(Sampler[int]):
    """Pass after pass through a data set, handed out in portions of equal size."""

    def __init__(self, count: int, portion: int, seed: int) -> None:
        generator = torch.Generator().manual_seed(seed)
        passes = (torch.randperm(count, generator=generator).tolist() for _ in itertools.count())
        self.portion, self.endless = portion, itertools.chain.from_iterable(passes)

    def __len__(self) -> int:
        return self.portion

    def __iter__(self) -> Iterator[int]:
        return itertools.islice(self.endless, self.portion)


class Coarse(nn.Module):
    """A network that sees pixels `factor` times as large, and answers for those of the image."""

    def __init__(self, network: nn.Module, factor: int) -> None:
        super().__init__()
        self.network, self.factor = network, factor

    def forward(self, image: Tensor) -> Tensor:
        """Logits of the image's own size."""
        logits = self.network(F.avg_pool2d(image, self.factor))
        return F.interpolate(logits, size=image.shape[-2:], mode="bilinear", align_corners=False)


def new_model(knobs: Row, seed: int) -> nn.Module:
    """The untrained network of these knobs."""
    torch.manual_seed(seed)
    shape = {name: knobs[name] for name in ("kernel", "depth", "width")}
    model = UNet(1, 1, **shape, norm="batch")
    return Coarse(model, knobs["pixel"]) if knobs.get("pixel", 1) > 1 else model


def train(
    knobs: Row, steps: int, seed: int, halves: int = 2, **more: Callable | None
) -> tuple[nn.Module, list[Row]]:
    """Trains one network; returns it, and its scores at half time and at the end."""
    model, side = new_model(knobs, seed), knobs.get("crop", SIDE)
    portion = max(steps // halves, 1) * knobs["batch_size"]
    settings = TrainingSettings(
        epochs=halves,
        batch_size=knobs["batch_size"],
        learning_rate=knobs["learning_rate"],
        weight_decay=knobs["weight_decay"],
        precision="bf16",
        keep="last",
        seed=seed,
    )
    training = pictures(*TRAINING, crop=side)
    order = Passes(len(training), portion, seed)
    checks = DataLoader(pictures(*VALIDATION), 20) if halves > 1 else None
    history = fit(model, training, checks, settings=settings, sampler=order, verbose=False, **more)
    return model, history.rows


def steps_in(seconds: float, knobs: Row) -> int:
    """How many steps fit into that processor time, by a few steps that are thrown away."""
    stamps: list[float] = []
    few = max(4, 32 // knobs["batch_size"])
    train(knobs, few, 0, halves=1, on_step=lambda *_: stamps.append(time.process_time()))
    step = statistics.median(b - a for a, b in itertools.pairwise(stamps))
    return max(2, round(seconds / step))


def run(part: str, seed: int, **knobs) -> Row:
    """One row: the validation score half-way and at the end, and in the part "test" the test's."""
    if part == "rate":
        return {"learning_rate": rate_of_range_test(seed)}
    if part == "budget":
        return {"steps": steps_in(knobs.pop("budget"), knobs)}
    whole = len(pictures(*TRAINING, crop=knobs.get("crop", SIDE)))
    steps = knobs.get("steps") or knobs["epochs"] * whole // knobs["batch_size"]
    begin = time.process_time()
    model, rows = train(knobs, steps, seed)
    result = {
        "validation": [round(row[SCORE], 4) for row in rows],
        "seconds": round(time.process_time() - begin, 2),
        "parameters": count_parameters(model),
    }
    if part == "test":
        result["test"] = round(evaluate(model, DataLoader(pictures(*TEST), 20))[SCORE], 4)
    return result


def rate_of_range_test(seed: int) -> float:
    """A thirtieth of the rate with the lowest loss, mean of five steps."""
    model = new_model(DEFAULT, seed)
    loader = DataLoader(pictures(*TRAINING), DEFAULT["batch_size"], shuffle=True)
    rates, losses = learning_rate_range_test(model, loader)
    smooth = [statistics.mean(losses[max(i - 2, 0) : i + 3]) for i in range(len(losses))]
    return round(rates[smooth.index(min(smooth))] / 30, 5)


def knob_plans(plan: Plan) -> Iterator[Row]:
    """Seed by seed, the default of other lengths, and one knob at a time."""
    turned: list[Row] = [{}]
    turned += [{"kernel": kernel} for kernel in (1, 5)]
    turned += [{"depth": depth} for depth in (1, 2, 4)]
    turned += [{"width": width} for width in (4, 16)]
    turned += [{"learning_rate": rate} for rate in RATES]
    cuts = [{"crop": side, "batch_size": 8 * (SIDE // side) ** 2} for side in (16, 32)]
    cuts += [{"pixel": factor} for factor in (2, 4)]
    for seed in range(plan.default_seeds):
        common = {"seed": seed} | DEFAULT
        for epochs in (plan.epochs // 2, plan.epochs):
            yield {"part": "knobs", "epochs": epochs} | common
        if seed < plan.seeds:
            yield {"part": "knobs", "epochs": 2 * plan.epochs} | common
            common["epochs"] = plan.epochs
            yield from ({"part": "knobs"} | common | knobs for knobs in turned)
            yield from ({"part": "view"} | common | knobs for knobs in cuts)


def objective(trial: Trial, seconds: float) -> float:
    """The last validation score of a network whose knobs Optuna sets, in a given time."""
    knobs = {
        "kernel": trial.suggest_int("kernel", 1, 5, step=2),
        "depth": trial.suggest_int("depth", 1, 4),
        "width": trial.suggest_int("width", 4, 16, step=4),
        "learning_rate": trial.suggest_float("learning_rate", 1e-4, 1e-1, log=True),
        "batch_size": trial.suggest_int("batch_size", 2, 32, log=True),
        "weight_decay": trial.suggest_float("weight_decay", 1e-2, 3.0, log=True),
    }
    steps = steps_in(seconds, knobs)
    trial.set_user_attr("steps", steps)

    def report(row: Row) -> None:
        trial.report(row[SCORE], step=row["epoch"])
        if row["epoch"] < 2 and trial.should_prune():
            raise optuna.TrialPruned

    model, rows = train(knobs, steps, seed=1000 + trial.number, on_epoch=report)
    trial.set_user_attr("parameters", count_parameters(model))
    return rows[-1][SCORE]


def search(plan: Plan) -> optuna.Study:
    """Goes on with the study until it has enough trials; each trial's random numbers are its own.

    So the trials do not depend on where the command was interrupted. None ends before its half.
    """
    storage = JournalStorage(JournalFileBackend(str(JOURNAL)))
    if STUDY not in optuna.get_all_study_names(storage):
        optuna.create_study(storage=storage, study_name=STUDY, direction="maximize")
    pruner = MedianPruner(n_startup_trials=8)
    study = optuna.load_study(study_name=STUDY, storage=storage, pruner=pruner)
    while len(finished(study)) < plan.trials:
        study.sampler = TPESampler(n_startup_trials=12, seed=len(study.trials))
        study.optimize(partial(objective, seconds=plan.seconds), n_trials=1, catch=TrainingError)
    return study


def finished(study: optuna.Study) -> list[FrozenTrial]:
    """All trials but those that were killed half-way."""
    return [t for t in study.trials if t.state != TrialState.RUNNING]


def best_trials(study: optuna.Study, count: int) -> list[FrozenTrial]:
    """The complete trials with the highest scores."""
    done = study.get_trials(deepcopy=False, states=[TrialState.COMPLETE])
    return sorted(done, key=lambda trial: -trial.value)[:count]


def again_plans(study: optuna.Study, plan: Plan) -> Iterator[Row]:
    """The finalists with seeds that the search has not seen."""
    for seed in range(2000, 2000 + plan.again_seeds):
        for trial in best_trials(study, plan.finalists):
            common = {"part": "again", "seed": seed, "of": trial.number}
            yield common | {"steps": trial.user_attrs["steps"]} | trial.params


def chosen(rows: list[Row]) -> Row:
    """The knobs, and steps, of the finalist with the best mean over its new seeds."""
    scores: dict[int, list[float]] = {}
    for row in (row for row in rows if row["part"] == "again"):
        scores.setdefault(row["of"], []).append(row["validation"][-1])
    best = max(scores, key=lambda number: statistics.mean(scores[number]))
    knobs = next(row for row in rows if row.get("of") == best)
    return {name: knobs[name] for name in ("steps", *DEFAULT)}


def test_plans(rows: list[Row], default: Row, plan: Plan) -> Iterator[Row]:
    """The default, its rate exchanged, the chosen setting, and the default in twice the time."""
    candidates = {
        "default": default | {"learning_rate": DEFAULT["learning_rate"]},
        "default, rate of the range test": default,
        "chosen": chosen(rows),
    }
    twice = candidates["default"] | {"steps": 2 * default["steps"]}
    candidates["default, twice the time"] = twice
    for seed in range(3000, 3000 + plan.test_seeds):
        for name, knobs in candidates.items():
            yield {"part": "test", "seed": seed, "of": name} | knobs


def main(plan: Plan) -> None:
    """Does what is not in the table or the journal yet."""
    warnings.simplefilter("ignore", OneClassWarning)  # bad settings are part of what is measured
    do = partial(complete, TABLE, run=run)
    if plan.part != "search":
        do(knob_plans(plan))
    if plan.part == "knobs":
        return
    study = search(plan)
    rows = do([{"part": "rate", "seed": seed} for seed in range(3)])
    rate = statistics.median(row["learning_rate"] for row in rows if row["part"] == "rate")
    default = DEFAULT | {"learning_rate": rate}
    rows = do([{"part": "budget", "seed": 0, "budget": plan.seconds} | default])
    default["steps"] = next(row["steps"] for row in rows if row["part"] == "budget")
    rows = do(again_plans(study, plan))
    do(test_plans(rows, default, plan))


if __name__ == "__main__":
    main(tyro.cli(Plan, description=__doc__))
