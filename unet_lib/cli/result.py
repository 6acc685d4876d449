"""What `train` says at its end: the score, where the worst images are, and a page to look at."""

import math
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

from torch.utils.data import Subset
from tqdm import tqdm

from unet_lib.cli.material import Material
from unet_lib.cli.report import Report
from unet_lib.data.write import write_atomically
from unet_lib.training.settings import History
from unet_lib.training.trained import Trained

WORST = 3
SCORE = "dice_per_image"


@dataclass(frozen=True)
class Result:
    """A run that has come to its end."""

    file: Path
    """The checkpoint whose network is judged."""
    trained: Trained
    material: Material
    history: History

    def write(self, settings: Mapping[str, Any], until: float) -> None:
        """Writes history.json and report.html, and prints where what is.

        `until` is the moment, by `time.perf_counter`, at which no further image is scored.
        """
        self._write("history.json", self.history.json())
        scores = self.scores(until)
        judged = [place for place in scores if not math.isnan(scores[place][SCORE])]
        ranked = sorted(judged, key=lambda place: scores[place][SCORE])
        lines = self._told(scores, ranked)
        parts = self.file, self.trained, self.material, self.history
        report = self._write("report.html", Report(*parts, scores, ranked).page(settings, lines))
        print(*lines, f"{report}: curves, images, settings", sep="\n")

    def scores(self, until: float) -> dict[int, dict[str, float]]:
        """The scores of each whole validation image, by its place; nan where no pixel counts."""
        found: dict[int, dict[str, float]] = {}
        places = self.material.parts["validation"]
        for place in tqdm(places, "scoring", leave=False, unit="image", disable=None):
            found[place] = self.trained.scores(Subset(self.material.dataset, [place]))
            if time.perf_counter() > until and not math.isnan(found[place][SCORE]):
                break
        return found

    def _told(self, scores: Mapping[int, Mapping[str, float]], ranked: list[int]) -> list[str]:
        """The lines at the end."""
        best = self.history.best() if self.file.name == "best.pt" else None
        row = best or self.history.rows[-1]
        mean = fmean(scores[place][SCORE] for place in ranked)
        all_of = len(self.material.parts["validation"])
        part = f" ({len(ranked)} of {all_of})" if len(ranked) < all_of else ""
        worst = (
            f"{self.material.pictures[place].name} ({scores[place][SCORE]:.3f})"
            for place in ranked[:WORST]
        )
        late = ["time was over before all validation images were scored"]
        return [
            *(late if len(scores) < all_of else []),
            f"{self.file}: epoch {row['epoch']}, mean Dice of the validation images{part} "
            f"{mean:.3f} (trained in {self.history.mode})",
            f"worst: {', '.join(worst)}",
        ]

    def _write(self, name: str, text: str) -> Path:
        path = self.file.with_name(name)
        write_atomically(path, lambda file: file.write(text.encode()))
        return path
