"""The checks of chapter 7: a right answer, and each typical wrong one with its message."""

from unet_lib.course.exercises import chapter07


def frozen(model, mode=True, decoder=True, averages=False):
    model.encoder.requires_grad_(False)
    model.decoder.requires_grad_(decoder)
    model.train(mode)
    model.encoder.train(averages)


def rates(stages, rate, decay):
    return [rate * decay ** (stages - i) for i in range(stages + 1)]


def verdict(a, b):
    if min(len(a), len(b)) < 3:
        return "open"
    return "a" if min(a) > max(b) else "b" if min(b) > max(a) else "open"


CASES = {
    chapter07.check_scaling: [
        (lambda x: (x * 255 - 127) / 128, "Right: 0 becomes -0.992"),
        (lambda x: None, "returned None"),
        (lambda x: x[0], "a tensor of the shape of the images"),
        *chapter07.SCALINGS,
        (lambda x: 3 * x + 1, "1 became 4.000, expected 1; 0 became 1.000"),
    ],
    chapter07.check_frozen_training: [
        (frozen, "Right: gradients for the decoder alone"),
        (lambda model: frozen(model, decoder=False), "the decoder is frozen as well"),
        (lambda model: frozen(model, mode=False), "the decoder is in evaluation mode"),
        (lambda model: frozen(model, averages=True), "goes on averaging"),
    ],
    chapter07.check_rates: [
        (rates, "Right: the decoder learns fast"),
        (lambda n, rate, decay: rate, "expected a list of numbers"),
        (lambda n, rate, decay: rates(n, rate, decay)[1:], "one for the decoder; got 2"),
        (lambda n, rate, decay: [rate], "expected 3 rates, got 1"),
        (lambda n, rate, decay: rates(n, rate, decay)[::-1], "the order is reversed"),
        (lambda n, rate, decay: [*rates(n, rate, decay)[1:], rate], "the deepest stage has"),
        (lambda n, rate, decay: rates(n, 2 * rate, decay), "the decoder comes last and learns"),
        (lambda n, rate, decay: [0.0] * n + [rate], "expected [0.0025, 0.005, 0.01]"),
    ],
    chapter07.check_verdict: [
        (verdict, "Right: a winner where every seed agrees"),
        (lambda a, b: None, "returned None"),
        (lambda a, b: "b", "even the worst seed of a is better"),
        (lambda a, b: "a", "even the worst seed of b beats"),
        (lambda a, b: "a" if max(a) > max(b) else "b", "the ranges overlap"),
        (lambda a, b: "open" if a[0] == 0.9 else verdict([max(a)] * 3, b), "the best single run"),
        (lambda a, b: verdict(a * 3, b * 3), "one run each"),
        (lambda a, b: verdict(a * 2, b * 2) if len(a) > 1 else "open", "two seeds are fewer"),
        (lambda a, b: verdict(a, b * 2) if len(a) > 2 else "open", "b has two seeds"),
        (lambda a, b: verdict(a, [x - 1e-9 for x in b]), "is as good as one of a"),
    ],
}


def test_told(told, check, answer, words):
    assert words in told(check, answer)
