"""The page that `train` writes about a run: one file, to look at in a browser, without network."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

from unet_lib.cli.drawing import classes, curves, errors, jpeg, shown
from unet_lib.cli.material import Material
from unet_lib.data.base import with_
from unet_lib.training.settings import History
from unet_lib.training.trained import Trained

LISTED = 50  # images in the table, the worst first
LOSSES = {"loss": "training", "validation_loss": "validation"}
SCORES = {"dice_per_image": "Dice", "iou_per_image": "IoU"}
STYLE = """
:root { color-scheme: light dark; --text: #1b1b1b; --page: #fff; --faint: #6a6a6a; --rule: #ddd;
  --line0: #0072b2; --line1: #b36b00; }
@media (prefers-color-scheme: dark) { :root { --text: #e8e8e8; --page: #16181c; --faint: #a5a5a5;
  --rule: #3a3d42; --line0: #56b4e9; --line1: #e69f00; } }
body { font: 16px/1.5 system-ui, sans-serif; color: var(--text); background: var(--page);
  max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }
h1, h2 { line-height: 1.2; } h2 { margin-top: 2.2rem; }
.row { display: flex; flex-wrap: wrap; gap: 1rem; }
figure { margin: 0 0 1.2rem; flex: 1 1 240px; max-width: 420px; }
.row img { width: 100%; } img, svg { max-width: 100%; height: auto; display: block; }
figcaption, .note { color: var(--faint); font-size: .9rem; overflow-wrap: anywhere; }
svg text { font: 12px system-ui, sans-serif; fill: var(--faint); }
svg .axis { fill: none; stroke: var(--faint); } polyline { fill: none; stroke-width: 2; }
.line0 polyline { stroke: var(--line0); } .line0 circle, svg .line0 text { fill: var(--line0); }
.line1 polyline { stroke: var(--line1); stroke-dasharray: 6 3; }
.line1 circle, svg .line1 text { fill: var(--line1); }
table { border-collapse: collapse; } td, th { text-align: left; padding: .15rem 1rem .15rem 0;
  border-bottom: 1px solid var(--rule); overflow-wrap: anywhere; }
pre { overflow-x: auto; border: 1px solid var(--rule); padding: .6rem; }
.key { display: inline-block; width: .8em; height: .8em; border: 1px solid var(--faint); }
"""
KEYS = {"right": "#eee", "wrong": "#d55e00", "missed": "#56b4e9", "does not count": "#777"}


@dataclass(frozen=True)
class Report:
    """What the page is made of; `scores` and `ranked` name images by their place."""

    file: Path
    trained: Trained
    material: Material
    history: History
    scores: Mapping[int, Mapping[str, float]]
    ranked: Sequence[int]
    """The places of the images that were judged, from the worst on."""

    def page(self, settings: Mapping[str, Any], told: Sequence[str]) -> str:
        """The page as HTML."""
        rows = self.history.rows
        loss, score = curves(rows, LOSSES, "Loss"), curves(rows, SCORES, "Dice and IoU")
        command = f"python -m unet_lib predict {self.file} FOLDER-OF-IMAGES --output masks"
        title = f"{self.file.absolute().parent.name}: mean Dice {self.mean:.3f}"
        body = (
            f"<h1>{escape(title)}</h1>",
            *(f"<p>{escape(line)}</p>" for line in told),
            "<h2>Course</h2>",
            f'<div class="row"><figure>{loss}<figcaption>Loss</figcaption></figure>',
            f"<figure>{score}<figcaption>Scores of validation images</figcaption></figure></div>",
            "<h2>Best, median and worst image</h2>",
            self._legend(),
            *self._pictures(),
            "<h2>Images, the worst first</h2>",
            self._table(),
            f"<h2>Use it</h2><pre>{escape(command)}</pre>",
            "<h2>Settings</h2>",
            table(("setting", "value"), [(k, str(v)) for k, v in settings.items()]),
        )
        head = '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        view = '<meta name="viewport" content="width=device-width, initial-scale=1">'
        head += f"{view}<title>{escape(title)}</title><style>{STYLE}</style></head>"
        return f"{head}<body><main>{''.join(body)}</main></body></html>\n"

    @property
    def mean(self) -> float:
        """The mean Dice of the images that were judged."""
        return sum(self.scores[place]["dice_per_image"] for place in self.ranked) / len(self.ranked)

    def _pictures(self) -> list[str]:
        """The best, the median and the worst image, each once."""
        middle = self.ranked[len(self.ranked) // 2]
        chosen = {"Best": self.ranked[-1], "Median": middle, "Worst": self.ranked[0]}
        places = {place: word for word, place in reversed(chosen.items())}
        return [self._pair(places[place], place) for place in dict.fromkeys(chosen.values())]

    def _pair(self, word: str, place: int) -> str:
        """One image, and what the network made of it."""
        task, dataset = self.trained.task, self.material.dataset
        image, labels = with_(task.apply(dataset), target=None)[place]
        found, true = self.trained.mask(dataset.load(place)[0]), labels.numpy()
        pixels = shown(image.numpy())
        pictures = {"image": jpeg(pixels)}
        if task.target == "classes":
            for what, mask in (("truth", true), ("prediction", found)):
                pictures[what] = jpeg(classes(pixels, mask, task.void), exact=True)
        else:
            pictures["right, wrong and missed"] = jpeg(
                errors(pixels, found, true, task.void), exact=True
            )
        name = escape(self.material.pictures[place].name)
        score = self.scores[place]["dice_per_image"]
        images = "".join(
            f'<figure><img src="{data}" alt="{word} image {name}: {what}"></figure>'
            for what, data in pictures.items()
        )
        words = ", ".join(pictures)
        caption = f'<p class="note"><b>{word}</b>: {name}, Dice {score:.3f} ({words})</p>'
        return f'{caption}<div class="row">{images}</div>'

    def _legend(self) -> str:
        if self.trained.task.target == "classes":
            return '<p class="note">Each class has a color; gray does not count.</p>'
        keys = (f'<span class="key" style="background:{c}"></span> {w}' for w, c in KEYS.items())
        return f'<p class="note">{" &nbsp; ".join(keys)}</p>'

    def _table(self) -> str:
        rows = [
            (
                self.material.pictures[place].name,
                *(f"{self.scores[place][score]:.3f}" for score in SCORES),
            )
            for place in self.ranked[:LISTED]
        ]
        more = len(self.ranked) - len(rows)
        note = f'<p class="note">and {more} better ones</p>' if more else ""
        return table(("image", *SCORES.values()), rows) + note


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table of texts, as HTML.

    >>> table(["a"], [["<"]])
    '<table><tr><th>a</th></tr><tr><td>&lt;</td></tr></table>'
    """
    lines = [f"<tr>{''.join(f'<th>{escape(cell)}</th>' for cell in head)}</tr>"]
    lines += [f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in row)}</tr>" for row in rows]
    return f"<table>{''.join(lines)}</table>"
