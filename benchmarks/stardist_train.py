"""StarDist as its makers train it, for so many processor seconds.

`stardist.py` starts this file in an environment of its own: nothing of this project is imported.

    python -I benchmarks/stardist_train.py FOLDER SECONDS SEED GRID

From FOLDER come `images.npz`, `labels.npz` and `test.npz`; `found.npz`, the labels of the test
images, and `facts.json` are written there. What the configuration does not say follows StarDist's
example for these images: normalization, filled holes, a share for validation, augmentation.
"""

import json
import os
import sys
import time
from pathlib import Path

import keras
import numpy as np
import stardist
import tensorflow as tf
from csbdeep.utils import normalize
from stardist.models import Config2D, StarDist2D

VALIDATION = 0.15
PERCENTILES = 1, 99.8


def read(path: Path) -> list[np.ndarray]:
    """Arrays in the order in which they were stored."""
    with np.load(path) as file:
        return [file[name] for name in file.files]


def processor_seconds() -> float:
    """What this process and its children have used, all threads together."""
    return sum(os.times()[:4])


class Budget(keras.callbacks.Callback):
    """Ends the training with the first step after so many processor seconds; counts steps."""

    def __init__(self, seconds: float) -> None:
        super().__init__()
        self.end, self.steps = processor_seconds() + seconds, 0

    def on_train_batch_end(self, batch: int, logs: dict | None = None) -> None:
        """A step is done."""
        self.steps += 1
        if processor_seconds() >= self.end:
            self.model.stop_training = True


class Augment:
    """Flips and quarter turns, other brightness and contrast, a little noise."""

    def __init__(self, seed: int) -> None:
        self.rng = np.random.default_rng(seed)

    def __call__(self, image: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Image and labels of one patch."""
        rng, turns = self.rng, self.rng.integers(4)
        image, labels = np.rot90(image, turns), np.rot90(labels, turns)
        if rng.random() < 0.5:
            image, labels = image[::-1], labels[::-1]
        image = image * rng.uniform(0.6, 2) + rng.uniform(-0.2, 0.2)
        noise = rng.normal(0, 0.02 * rng.uniform(), image.shape)
        return (image + noise).astype(np.float32), labels


def divide(number: int) -> tuple[list[int], list[int]]:
    """Numbers of the images to learn from, and of those for validation, drawn once for all."""
    drawn = np.random.default_rng(42).permutation(number).tolist()
    held_out = max(1, round(VALIDATION * number))
    return drawn[held_out:], drawn[:held_out]


def train(folder: Path, seconds: float, seed: int, grid: int) -> tuple[StarDist2D, dict]:
    """A trained network with its thresholds, and what its training took."""
    images = [normalize(image, *PERCENTILES, axis=(0, 1)) for image in read(folder / "images.npz")]
    labels = [stardist.fill_label_holes(one) for one in read(folder / "labels.npz")]
    learn, validate = (
        ([images[i] for i in part], [labels[i] for i in part]) for part in divide(len(images))
    )
    config = Config2D(grid=(grid, grid), train_tensorboard=False)  # a log, which costs time
    model = StarDist2D(config, name="model", basedir=str(folder))
    model.prepare_for_training()
    begun, wall = processor_seconds(), time.perf_counter()
    model.callbacks.append(budget := Budget(seconds))
    model.train(*learn, validation_data=validate, augmenter=Augment(seed), seed=seed)
    facts = {
        "processor_seconds": round(processor_seconds() - begun),
        "seconds": round(time.perf_counter() - wall),
        "steps": budget.steps,
        "images": [len(learn[0]), len(validate[0])],
        "parameters": model.keras_model.count_params(),
    }
    return model, facts | {"thresholds": model.optimize_thresholds(*validate)}


def predict(model: StarDist2D, image: np.ndarray) -> np.ndarray:
    """Labels of one image."""
    tiles = model._guess_n_tiles(image)
    normal = normalize(image, *PERCENTILES, axis=(0, 1))
    return model.predict_instances(normal, n_tiles=tiles, show_tile_progress=False)[0]


def main(folder: Path, seconds: float, seed: int, grid: int) -> None:
    """Trains, predicts, and writes what is found."""
    tf.config.threading.set_inter_op_parallelism_threads(1)
    tf.config.threading.set_intra_op_parallelism_threads(1)
    keras.utils.set_random_seed(seed)
    model, facts = train(folder, seconds, seed, grid)
    found = [predict(model, image) for image in read(folder / "test.npz")]
    np.savez_compressed(folder / "found.npz", *found)
    facts["versions"] = {one.__name__: one.__version__ for one in (stardist, tf, keras, np)}
    (folder / "facts.json").write_text(json.dumps(facts))


if __name__ == "__main__":
    place, *numbers = sys.argv[1:]
    main(Path(place), float(numbers[0]), int(numbers[1]), int(numbers[2]))
