"""Chapter 8's long runs: one knob at a time, a search with Optuna, and what its winner is worth.

    python results/tuning.py               everything that is not there yet; it can be interrupted
    python results/tuning.py --help        fewer seeds, fewer trials

Trainings that are compared see the same number of simulated pictures. The runs stand in
`results/tuning.json`, the search in `results/tuning-search.jsonl`, Optuna's own journal.
"""

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
from torch.utils.data import DataLoader

from unet_lib.data import SimulatedNuclei, cached, foreground
from unet_lib.model import UNet, count_parameters
from unet_lib.training import OneClassWarning, TrainingError, TrainingSettings, evaluate, fit

HERE = Path(__file__).parent
TABLE, JOURNAL = HERE / "tuning.json", HERE / "tuning-search.jsonl"
DEFAULT = {
    "kernel": 3,
    "depth": 3,
    "width": 8,
    "learning_rate": 4e-3,
    "batch_size": 8,
    "weight_decay": 1e-4,
}
RATES, BATCHES = (2.5e-4, 1e-3, 4e-3, 1.6e-2, 6.4e-2), (2, 8, 32)
TRAINING, VALIDATION, TEST = (192, 100), (64, 101), (300, 102)  # pictures, and their seed
SCORE, STUDY = "dice_pooled", "nuclei"


@dataclass(frozen=True)
class Plan:
    """How much is run."""

    seeds: tuple[int, ...] = (0, 1, 2)
    """Runs of every setting of the knobs."""
    default_seeds: tuple[int, ...] = (0, 1, 2, 3, 4, 5, 6, 7)
    """Runs of the default, whose spread is the yardstick."""
    trials: int = 60
    """Trials of the search."""
    finalists: int = 5
    """Best trials that are repeated, and ranked again."""
    epochs: int = 4
    """Passes through the training pictures."""
    longer: int = 8
    """Passes of the runs that turn kernel, depth and width, done once more."""


@cache
def pictures(count: int, seed: int) -> torch.utils.data.Dataset:
    """Simulated nuclei of 64x64 pixels."""
    return cached(SimulatedNuclei(count, seed=seed, size=(64, 64), target=foreground))


def train(
    knobs: Row, epochs: int, seed: int, on_epoch: Callable | None = None
) -> tuple[UNet, list[Row]]:
    """Trains one network; returns it and its history."""
    torch.manual_seed(seed)
    shape = {name: knobs[name] for name in ("kernel", "depth", "width")}
    model = UNet(1, 1, **shape, norm="batch")
    settings = TrainingSettings(
        epochs=epochs,
        batch_size=knobs["batch_size"],
        learning_rate=knobs["learning_rate"],
        weight_decay=knobs["weight_decay"],
        precision="bf16",
        keep="last",
        seed=seed,
    )
    sets = pictures(*TRAINING), pictures(*VALIDATION)
    history = fit(model, *sets, settings=settings, on_epoch=on_epoch, verbose=False)
    return model, history.rows


def run(part: str, seed: int, epochs: int, **knobs) -> Row:
    """One row: the validation score after each epoch, and in the part "test" the test score."""
    knobs.pop("of", None)
    model, rows = train(knobs, epochs, seed)
    result = {
        "validation": [round(row[SCORE], 4) for row in rows],
        "seconds": round(sum(row["seconds"] for row in rows), 2),
        "parameters": count_parameters(model),
    }
    if part == "test":
        result["test"] = round(evaluate(model, DataLoader(pictures(*TEST), 20))[SCORE], 4)
    return result


def shapes() -> list[Row]:
    """The default with another kernel, depth or width."""
    turned = [{"kernel": kernel} for kernel in (1, 5)]
    turned += [{"depth": depth} for depth in (1, 2, 4)]
    turned += [{"width": width} for width in (4, 16)]
    return [DEFAULT | knobs for knobs in turned]


def knob_plans(plan: Plan) -> Iterator[Row]:
    """Seed by seed, so that slow minutes of the machine fall on every setting alike."""
    grid = [DEFAULT | {"learning_rate": r, "batch_size": b} for r in RATES for b in BATCHES]
    for epochs, settings in ((plan.epochs, shapes() + grid), (plan.longer, shapes())):
        common = {"part": "knobs", "epochs": epochs}
        for seed in plan.seeds:
            yield from (common | {"seed": seed} | knobs for knobs in [DEFAULT, *settings])
        yield from (common | {"seed": seed} | DEFAULT for seed in plan.default_seeds)


def objective(trial: Trial, epochs: int) -> float:
    """The last validation score of a network whose knobs Optuna sets."""
    knobs = {
        "kernel": trial.suggest_int("kernel", 1, 5, step=2),
        "depth": trial.suggest_int("depth", 1, 4),
        "width": trial.suggest_int("width", 4, 12, step=4),
        "learning_rate": trial.suggest_float("learning_rate", 1e-4, 1e-1, log=True),
        "batch_size": trial.suggest_int("batch_size", 2, 32, log=True),
        "weight_decay": trial.suggest_float("weight_decay", 1e-6, 1e-1, log=True),
    }

    def report(row: Row) -> None:
        trial.report(row[SCORE], step=row["epoch"])
        if row["epoch"] < epochs and trial.should_prune():
            raise optuna.TrialPruned

    model, rows = train(knobs, epochs, seed=1000 + trial.number, on_epoch=report)
    trial.set_user_attr("parameters", count_parameters(model))
    return rows[-1][SCORE]


def search(plan: Plan) -> optuna.Study:
    """Goes on with the study until it has enough trials; each trial's random numbers are its own.

    So the trials do not depend on where the command was interrupted.
    """
    storage = JournalStorage(JournalFileBackend(str(JOURNAL)))
    if STUDY not in optuna.get_all_study_names(storage):
        optuna.create_study(storage=storage, study_name=STUDY, direction="maximize")
    pruner = MedianPruner(n_startup_trials=8)
    study = optuna.load_study(study_name=STUDY, storage=storage, pruner=pruner)
    while len(finished(study)) < plan.trials:
        study.sampler = TPESampler(n_startup_trials=12, seed=len(study.trials))
        study.optimize(partial(objective, epochs=plan.epochs), n_trials=1, catch=TrainingError)
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
    for seed in (2000 + s for s in plan.seeds):
        for trial in best_trials(study, plan.finalists):
            common = {"part": "again", "epochs": plan.epochs, "seed": seed}
            yield common | {"of": trial.number} | trial.params


def chosen(rows: list[Row]) -> Row:
    """The knobs of the finalist with the best mean over its new seeds."""
    scores: dict[int, list[float]] = {}
    for row in (row for row in rows if row["part"] == "again"):
        scores.setdefault(row["of"], []).append(row["validation"][-1])
    best = max(scores, key=lambda number: sum(scores[number]) / len(scores[number]))
    knobs = next(row for row in rows if row.get("of") == best)
    return {name: knobs[name] for name in DEFAULT}


def test_plans(study: optuna.Study, rows: list[Row], plan: Plan) -> Iterator[Row]:
    """Default, the best trial and the chosen one, with seeds that had no part in any choice."""
    candidates = {"default": DEFAULT, "best trial": study.best_params, "chosen": chosen(rows)}
    for seed in (3000 + s for s in plan.seeds):
        for name, knobs in candidates.items():
            common = {"part": "test", "epochs": plan.epochs, "seed": seed}
            yield common | {"of": name} | knobs


def main(plan: Plan) -> None:
    """Does what is not in the table or the journal yet."""
    warnings.simplefilter("ignore", OneClassWarning)  # bad settings are part of what is measured
    do = partial(complete, TABLE, run=run)
    do(knob_plans(plan))
    study = search(plan)
    rows = do(again_plans(study, plan))
    do(test_plans(study, rows, plan))


if __name__ == "__main__":
    main(tyro.cli(Plan, description=__doc__))
