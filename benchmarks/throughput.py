"""Images a second in training: the library's best mode against the article's code, equal width.

    python benchmarks/throughput.py

Everything runs in one process, in rounds: each round times every candidate once, in an order that
rotates, so that a machine that slows down slows all of them. The table shows the median of the
rounds. Let nothing else run meanwhile.
"""

import json
import platform
import statistics
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
import tyro
from torch import Tensor, nn

from unet_lib.model import UNet
from unet_lib.training import TrainingSettings, bce_dice_loss, choose_mode, train_epoch
from unet_lib.training.precision import new_accelerator

Step = Callable[[int], None]  # trains that many steps


@dataclass(frozen=True)
class Settings:
    """What is measured."""

    width: tuple[int, ...] = (16, 64)
    """Channels of the first stage; one comparison each."""
    rounds: int = 7
    """How often each candidate is timed."""
    seconds: float = 3.0
    """About how long it is timed each time; never less than one step."""
    size: int = 128
    """Height and width of the images, in pixels."""
    batch_size: int = 8
    """Images in a step."""
    in_channels: int = 3
    """Channels of the images."""
    output: Path = Path(__file__).parent / "results" / "throughput.json"
    """Where the numbers are written."""


def block(in_channels: int, out_channels: int) -> nn.Sequential:
    """Two 3x3 convolutions with ReLU."""
    return nn.Sequential(
        nn.Conv2d(in_channels, out_channels, 3, padding=1),
        nn.ReLU(inplace=True),
        nn.Conv2d(out_channels, out_channels, 3, padding=1),
        nn.ReLU(inplace=True),
    )


class ArticleUNet(nn.Module):
    """The article's network, its members numbered, with `width` in place of 64."""

    def __init__(self, in_channels: int = 3, out_channels: int = 1, width: int = 64) -> None:
        super().__init__()
        w = width
        self.encoder1 = block(in_channels, w)
        self.encoder2 = block(w, 2 * w)
        self.encoder3 = block(2 * w, 4 * w)
        self.encoder4 = block(4 * w, 8 * w)
        self.bottleneck = block(8 * w, 16 * w)
        self.upconv4 = nn.ConvTranspose2d(16 * w, 8 * w, 2, stride=2)
        self.decoder4 = block(16 * w, 8 * w)
        self.upconv3 = nn.ConvTranspose2d(8 * w, 4 * w, 2, stride=2)
        self.decoder3 = block(8 * w, 4 * w)
        self.upconv2 = nn.ConvTranspose2d(4 * w, 2 * w, 2, stride=2)
        self.decoder2 = block(4 * w, 2 * w)
        self.upconv1 = nn.ConvTranspose2d(2 * w, w, 2, stride=2)
        self.decoder1 = block(2 * w, w)
        self.head = nn.Conv2d(w, out_channels, 1)
        self.pool = nn.MaxPool2d(2, 2)

    def forward(self, images: Tensor) -> Tensor:
        """Logits (N, out_channels, H, W) of images (N, in_channels, H, W)."""
        e1 = self.encoder1(images)
        e2 = self.encoder2(self.pool(e1))
        e3 = self.encoder3(self.pool(e2))
        e4 = self.encoder4(self.pool(e3))
        x = self.bottleneck(self.pool(e4))
        x = self.decoder4(torch.cat([self.upconv4(x), e4], dim=1))
        x = self.decoder3(torch.cat([self.upconv3(x), e3], dim=1))
        x = self.decoder2(torch.cat([self.upconv2(x), e2], dim=1))
        x = self.decoder1(torch.cat([self.upconv1(x), e1], dim=1))
        return self.head(x)


def article(width: int, images: Tensor, target: Tensor) -> tuple[Step, str]:
    """The article's training as it stands: float32, contiguous, BCE, Adam; and its mode."""
    model = ArticleUNet(images.shape[1], width=width).to(images.device).train()
    loss, optimizer = nn.BCEWithLogitsLoss(), torch.optim.Adam(model.parameters(), lr=0.001)

    def train(steps: int) -> None:
        total = 0.0
        for _ in range(steps):
            optimizer.zero_grad()
            value = loss(model(images), target)
            value.backward()
            optimizer.step()
            total += value.item()

    return train, "float32"


def library(norm: str, width: int, images: Tensor, target: Tensor) -> tuple[Step, str]:
    """`train_epoch` as `fit` calls it, in the mode that the probe chooses; and that mode."""
    settings = TrainingSettings()
    model = UNet(images.shape[1], 1, width=width, norm=norm).to(images.device)
    mode = choose_mode(model, images, target, bce_dice_loss)
    accelerator = new_accelerator(mode.precision, settings)
    if mode.channels_last:
        model.to(memory_format=torch.channels_last)
    optimizer = torch.optim.AdamW(model.parameters(), settings.learning_rate, fused=True)
    model, optimizer = accelerator.prepare(model, optimizer)

    def train(steps: int) -> None:
        batches = [(images, target)] * steps
        train_epoch(
            model, batches, bce_dice_loss, optimizer, accelerator, clip_norm=settings.clip_norm
        )

    return train, str(mode)


def seconds_of(train: Step, steps: int) -> float:
    """How long so many steps take."""
    start = time.perf_counter()
    train(steps)
    return time.perf_counter() - start


def in_turns(candidates: dict[str, Step], rounds: int, seconds: float) -> dict[str, list[float]]:
    """Steps a second of each candidate, in each round."""
    steps, speeds = {}, {name: [] for name in candidates}
    for name, step in candidates.items():
        step(1)  # warms up
        steps[name] = max(1, round(seconds / seconds_of(step, 1)))
    names = list(candidates)
    for turn in range(rounds):
        first = turn % len(names)
        for name in names[first:] + names[:first]:
            speeds[name].append(steps[name] / seconds_of(candidates[name], steps[name]))
    return speeds


def compare(settings: Settings, width: int) -> list[dict]:
    """One row for each candidate: its mode, images a second, ratio to the article's code."""
    torch.manual_seed(0)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    n, size = settings.batch_size, settings.size
    images = torch.rand(n, settings.in_channels, size, size, device=device)
    target = (torch.rand(n, 1, size, size, device=device) > 0.5).float()
    candidates = {
        "article's code": article(width, images, target),
        "library, same network": library("none", width, images, target),
        "library, with BatchNorm": library("batch", width, images, target),
    }
    trained = {name: train for name, (train, _) in candidates.items()}
    speeds = {
        name: [n * speed for speed in rounds]
        for name, rounds in in_turns(trained, settings.rounds, settings.seconds).items()
    }
    names = list(candidates)
    median = {name: statistics.median(values) for name, values in speeds.items()}
    return [
        {
            "width": width,
            "candidate": name,
            "mode": mode,
            "images_per_second": round(median[name], 2),
            "ratio": round(median[name] / median[names[0]], 2),
            "rounds": [round(speed, 2) for speed in speeds[name]],
        }
        for name, (_, mode) in candidates.items()
    ]


def machine() -> dict[str, str | int]:
    """What the numbers depend on, and nothing that names the machine."""
    lines = Path("/proc/cpuinfo").read_text().splitlines() if platform.system() == "Linux" else []
    models = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    about = {
        "processor": next(iter(models), platform.processor() or platform.machine()),
        "instructions": torch.backends.cpu.get_cpu_capability(),
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
    }
    return about | ({"gpu": torch.cuda.get_device_name()} if torch.cuda.is_available() else {})


def table(rows: list[dict]) -> str:
    """The rows as text."""
    lines = [f"{'width':>5}  {'candidate':24} {'mode':22} {'images/s':>8} {'ratio':>6}"]
    for row in rows:
        lines.append(
            f"{row['width']:5}  {row['candidate']:24} {row['mode']:22} "
            f"{row['images_per_second']:8.1f} {row['ratio']:6.2f}"
        )
    return "\n".join(lines)


def main(arguments: list[str] | None = None) -> None:
    """Measures, prints a table and writes the numbers."""
    settings = tyro.cli(Settings, args=arguments, description=__doc__)
    rows = [row for width in settings.width for row in compare(settings, width)]
    about = machine()
    print(", ".join(f"{key} {value}" for key, value in about.items()))
    print(table(rows))
    stored = {key: value for key, value in asdict(settings).items() if key != "output"}
    settings.output.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps({"machine": about, "settings": stored, "rows": rows}, indent=1)
    settings.output.write_text(text + "\n")


if __name__ == "__main__":
    main()
