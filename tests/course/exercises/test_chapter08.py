"""The checks of chapter 8: a right answer, and each typical wrong one with its message."""

import numpy as np

from unet_lib.course.exercises import chapter08


def scaled(sgd, adamw):
    """A rule with these powers of the ratio of the batches."""
    power = {"sgd": sgd, "adamw": adamw}
    return lambda rate, batch, new, optimizer: rate * (new / batch) ** power[optimizer]


def halving(winner=None, spent=None):
    def run(curves):
        alive, total = list(range(len(curves))), 0
        for epochs in (1, 2, 4, 8)[: len(curves).bit_length()]:
            total += len(alive) * max(1, epochs // 2)
            alive.sort(key=lambda n: -curves[n][epochs - 1])
            alive = alive[: max(1, len(alive) // 2)]
        winning = alive[0] if winner is None else winner(np.array(curves))
        return winning, spent or total

    return run


def search(finalists=4, seeds=3, fresh=8, report="fresh"):
    """Every setting once, the best again, the best of these with seeds that are new."""

    def run(train, settings, budget):
        first = {s: train(s, seed=0) for s in settings}
        best = sorted(settings, key=lambda s: -first[s])[:finalists]
        again = {s: np.mean([train(s, seed=1 + n) for n in range(seeds)]) for s in best}
        winner = max(best, key=again.get)
        last = np.mean([train(winner, seed=100 + n) for n in range(fresh)])
        scores = {"fresh": last, "first": first[winner], "all": np.mean(list(first.values()))}
        return winner, scores[report]

    return run


CASES = {
    chapter08.check_smallest_network: [
        ((3, 3), "Right: kernel 3 and depth 3 see 100 pixels with 36.1 million"),
        (None, "Not yet: expected two whole numbers, (kernel, depth); got None"),
        ((3.0, 3), "expected two whole numbers"),
        ((2, 3), "kernels are 1, 3, 5 or 7, depths 1 to 5; got 2 and 3"),
        ((1, 5), "kernel 1 and depth 5 see only 32 pixels; 60 are needed"),
        ((5, 2), "fewest parameters, but not with the fewest multiplications (67.4 million)"),
    ],
    chapter08.check_scaled_rate: [
        (scaled(1, 0.5), "Right"),
        (lambda *a: None, "returned None; end it with return"),
        (lambda *a: "fast", "expected a number, got 'fast'"),
        (scaled(0.5, 0.5), 'for "sgd", 0.004 at 8 becomes 0.016 at 32, got 0.008: its step is'),
        (scaled(1, 1), "it divides by the root of the squared gradient"),
        (scaled(0, 0), "fewer steps have to be longer ones"),
        (scaled(-1, 0.5), "the other way round"),
        (scaled(1, -0.5), "the other way round"),
        (scaled(1, 2), "multiply the rate by a power of new_batch / batch"),
        (lambda rate, a, b, o: rate * max(1, b / a) ** (1 if o == "sgd" else 0.5), "0.1 at 64"),
    ],
    chapter08.check_halving: [
        (halving(), "Right: eight trials of eight epochs for the price of 20 epochs"),
        (lambda curves: 3, "expected (winner, epochs), got 3"),
        (halving(spent=32), "20 epochs were trained, got 32: each rung was trained"),
        (halving(spent=7), "8 trials for 1 epoch, 4 for 1 more"),
        (halving(winner=lambda c: int(c[:, -1].argmax())), "trial 5 has the best last score"),
        (halving(winner=lambda c: int(c[:, 0].argmax())), "trial 6 is the best after one epoch"),
        (halving(winner=lambda c: 1), "expected trial 0, got 1: a higher score is better"),
    ],
    chapter08.check_honest_search: [
        (search(), "Right: you promise 0.91"),
        (lambda train, settings, budget: 3, "expected (setting, score to expect), got 3"),
        (lambda train, settings, budget: ("best", 0.9), "that were handed in, got 'best'"),
        (search(seeds=30), "168 trainings, but the budget was 60"),
        (search(report="first"), "A score that was the reason for the choice is too high"),
        (search(report="all"), "Report the mean of the chosen setting, not of all settings"),
    ],
}


def test_told(told, check, answer, words):
    assert words in told(check, answer)


def test_equal_settings_and_seeds_give_equal_scores():
    bench = chapter08._Bench(np.full(3, 0.9), world=0)
    assert bench(1, 5) == bench(1, seed=5) != bench(1, 6)
    assert bench.calls == 3
