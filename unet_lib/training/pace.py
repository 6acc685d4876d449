"""A run that ends in time: its schedule goes on in longer strides where steps are slow."""

import math
import time
from collections import deque
from statistics import fmean

from torch.optim.lr_scheduler import LRScheduler

from unet_lib.training.precision import broadcast

SETTLED = 0.05  # of the run, or of its time, before a speed is believed
RECENT = 50  # steps whose mean is the speed
WARM = 3  # steps that are slow because they are the first
CHECKS = 0.25  # what validation adds to training, before one was seen


class Pace:
    """Takes a schedule from its first step to its last, within some seconds if need be.

    Without a limit, or where all steps fit, every step of the optimizer is one of the schedule.
    Else the schedule advances by more than one, so that the rate goes up and comes down as
    planned, in fewer steps.

    >>> import torch
    >>> from torch.optim.lr_scheduler import ConstantLR
    >>> optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], 0.1)
    >>> pace = Pace(ConstantLR(optimizer), steps=3, steps_a_round=3)
    >>> optimizer.step(), pace.step(), pace.left
    (None, None, 2)
    """

    def __init__(
        self,
        schedule: LRScheduler,
        steps: int,
        steps_a_round: int,
        seconds: float = math.inf,
    ) -> None:
        self.schedule, self.steps, self.steps_a_round = schedule, steps, steps_a_round
        self.seconds, self.check_seconds = seconds, math.nan
        self.begin = self.before = time.perf_counter()
        self.ahead, self.stride = 0.0, 1.0
        self.recent: deque[float] = deque(maxlen=RECENT)

    @property
    def left(self) -> int:
        """Steps of the schedule that are to come."""
        return self.steps - self.schedule.last_epoch

    @property
    def steps_to_come(self) -> int:
        """Steps of the optimizer that are to come, as far as can be told."""
        return math.ceil(self.left / self.stride)

    def start_round(self) -> None:
        """The time from here on is that of a step."""
        self.before = time.perf_counter()

    def step(self) -> None:
        """What is due after a step of the optimizer."""
        now = time.perf_counter()
        if self.schedule.last_epoch >= WARM:
            self.recent.append(now - self.before)
        self.before = now
        if self.seconds < math.inf:  # several processes have to take the same number of steps
            self.stride = broadcast(self._stride(now - self.begin))
        self.ahead += self.stride
        for _ in range(min(int(self.ahead), self.left)):
            self.schedule.step()
        self.ahead %= 1

    def _stride(self, passed: float) -> float:
        """How many steps of the schedule the next one has to be."""
        done = self.schedule.last_epoch / self.steps
        late = self.seconds <= 0 or passed > self.seconds
        if not late and (not self.recent or max(done, passed / self.seconds) < SETTLED):
            return 1.0
        training = self.left * fmean(self.recent or [0.0])
        checks = math.ceil(self.left / self.steps_a_round) * self.check_seconds
        needed = training + (CHECKS * training if math.isnan(checks) else checks)
        rest = self.seconds - passed
        return float(self.left) if rest <= 0 else max(1.0, min(needed / rest, self.left))
