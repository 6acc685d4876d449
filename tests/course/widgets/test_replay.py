"""The training replay: what is recorded, counts and axis against Python, and use in a browser."""

import copy
import zlib
from datetime import datetime, timedelta

import numpy as np
import pytest
import torch
import traitlets
from torch import nn

from tests.course.widgets.conftest import FOCUS, scored
from unet_lib.course.widgets import ReplayWidget
from unet_lib.course.widgets.replay import recorded_weights
from unet_lib.data import SimulatedNuclei, cached, foreground
from unet_lib.model import UNet
from unet_lib.training import TrainingSettings, bce_loss, fit

STEPS = [0, 1, 5, 20]


@pytest.fixture(scope="module")
def nuclei():
    return cached(SimulatedNuclei(8, seed=0, size=(32, 32), target=foreground))


@pytest.fixture(scope="module")
def batch(nuclei):
    return [torch.stack(x) for x in zip(*[nuclei[i] for i in (2, 3)], strict=True)]


@pytest.fixture(scope="module")
def run(batch):
    """A model after twenty steps, and its weights on the way."""
    torch.manual_seed(0)
    model = UNet(1, width=4, depth=1)
    optimizer = torch.optim.Adam(model.parameters(), 0.03)
    with recorded_weights(model, STEPS) as weights:
        for _ in range(20):
            optimizer.zero_grad()
            bce_loss(model(batch[0]), batch[1]).backward()
            optimizer.step()
        model.eval()(batch[0])
    return model, weights


@pytest.fixture
def widget(run, batch):
    curves = {"training": batch, "validation": batch}
    return ReplayWidget(*run, *batch, names=["first", "second"], curves=curves, loss=bce_loss)


def train(nuclei, steps, precision="float32"):
    """Six steps, evaluated after every second one."""
    torch.manual_seed(0)
    model = UNet(1, width=4, depth=1, norm="batch")
    settings = TrainingSettings(epochs=3, batch_size=4, learning_rate=0.02, precision=precision)
    with recorded_weights(model, steps) as weights:
        fit(model, nuclei, nuclei, settings=settings, verbose=False)
    return model, weights


@pytest.mark.filterwarnings("ignore::unet_lib.training.OneClassWarning")
class TestRecording:
    def test_training_is_the_same_with_and_without(self, nuclei):
        (model, weights), (alone, nothing) = train(nuclei, [0, 1, 6]), train(nuclei, [])
        assert (sorted(weights), nothing) == ([0, 1, 6], {})
        for name, value in alone.state_dict().items():
            assert torch.equal(value, model.state_dict()[name])

    def test_weights_are_those_after_the_steps(self):
        model = nn.Linear(1, 1, bias=False)
        with recorded_weights(model, [0, 2, 3]) as weights:
            for step in range(1, 4):
                model.train()(torch.zeros(1))
                model.weight.data.fill_(step)
                model.eval()(torch.zeros(1))  # an evaluation is no step
                copy.deepcopy(model).train()(torch.zeros(1))  # nor is a copy's pass
        kept = {step: state["weight"].item() for step, state in weights.items()}
        assert (kept[2], kept[3]) == (2, 3)
        assert len(model._forward_pre_hooks) == 0

    def test_measuring_the_precision_does_not_count(self, nuclei):
        _, weights = train(nuclei, [0, 6, 7], precision="auto")
        assert sorted(weights) == [0, 6]


class TestArithmetic:
    def test_counts_and_losses_agree_with_the_model(self, evaluate, run, batch, widget):
        model, weights = copy.deepcopy(run[0]).eval(), run[1]
        levels, bits = (list(zlib.decompress(x[1])) for x in (widget.levels, widget.targets))
        expression = """countMoments(new Uint8Array(data.levels), data.bits, 4)
            .map((count) => ({ ...count, dice: diceOf(count) }))"""
        found = evaluate("replay", expression, {"levels": levels, "bits": bits})
        for step, javascript, loss in zip(STEPS, found, widget.losses["training"], strict=True):
            model.load_state_dict(weights[step])
            with torch.no_grad():
                logits = model(batch[0])
            assert loss == pytest.approx(bce_loss(logits, batch[1]).item())
            expected = scored(logits[1:] > 0, batch[1][1:])
            assert javascript == {name: expected[name] for name in javascript}

    @pytest.mark.parametrize("steps", [[0, 1], [0, 15, 19, 800], [0, 1, 10, 100, 1000, 30000]])
    def test_axis(self, evaluate, steps):
        places = evaluate("replay", "data.map((step) => along(step, data))", steps)
        ends = np.arcsinh(steps[-1] / steps[1])
        assert np.allclose(places, np.arcsinh(np.array(steps) / steps[1]) / ends)
        ticks = evaluate("replay", "roundSteps(data)", steps)
        assert (ticks[0], ticks[-1]) == (0, steps[-1])
        assert np.all(np.diff(np.arcsinh(np.array(ticks) / steps[1])) > 0.1)
        assert len(ticks) <= 9

    @pytest.mark.parametrize(
        ("moment", "text"),
        [
            (0, "Before the first step the loss is 1.50 (training) and 1.60 (validation); the "),
            (1, "loss is 0.25 (training) and 0.50 (validation); the Dice of it is 0.750."),
        ],
    )
    def test_sentences(self, evaluate, moment, text):
        losses = {"training": [1.5, 0.25], "validation": [1.6, 0.5]}
        data = {"steps": [0, 9], "losses": losses, "moment": moment, "name": "it", "dice": 0.75}
        assert text in evaluate("replay", "summarize(data)", data)


class TestFaults:
    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            ({"images": torch.rand(3, 1, 32, 32)}, "as many probabilities .* got 3, 2, 3, 3"),
            ({"weights": {}}, r"two steps or more, got \[\]; were they recorded while"),
            ({"moment": 4}, "moment counts from 0 and there are 4, got 4"),
        ],
    )
    def test_are_named(self, run, batch, arguments, message):
        given = {"model": run[0], "weights": run[1], "images": batch[0], "targets": batch[1]}
        with pytest.raises((ValueError, traitlets.TraitError), match=message):
            ReplayWidget(**given | arguments, curves={})

    def test_a_loss_that_is_not_finite(self, run, batch):
        def loss(logits, target):
            return logits.sum() * float("nan")

        with pytest.raises(ValueError, match="loss of 'training' is nan after step 0; drop that"):
            ReplayWidget(*run, *batch, curves={"training": batch}, loss=loss)


def test_by_keyboard_and_button(mount, widget):
    widget.moment = 1
    page = mount(widget)
    text, button = page.locator("output"), page.locator("form button")
    canvas, curves = "querySelector('canvas').toDataURL()", "querySelector('svg').innerHTML"
    pictures = f"[document.{canvas}, document.{curves}]"
    before = page.evaluate(pictures)
    assert "After 1 of 20 steps the loss is" in text.inner_text()
    page.wait_for_timeout(700)
    assert page.evaluate("model.saved") == 0, "nothing moves by itself"
    slider = page.get_by_label("Moment", exact=True)
    slider.press("ArrowRight")
    assert "After 5 of 20 steps" in text.inner_text()
    assert slider.get_attribute("aria-valuetext") == "step 5"
    assert page.evaluate("[model.get('moment'), model.saved]") == [2, 1]
    assert all(a != b for a, b in zip(before, page.evaluate(pictures), strict=True))
    page.locator("select").select_option("second")
    assert "the Dice of second is" in text.inner_text()
    page.get_by_label("errors").check()
    assert page.evaluate("model.get('view')") == "errors"
    page.keyboard.press("Tab")
    button.focus()
    assert page.evaluate(FOCUS) == "solid"


def test_plays_pauses_and_ends(mount, widget):
    page = mount(widget)
    page.clock.install()
    page.clock.pause_at(datetime.now() + timedelta(minutes=1))
    button = page.locator("form button")
    button.press("Enter")  # from the end it begins anew
    assert button.inner_text() == "Pause"
    assert page.locator("output").get_attribute("aria-live") == "off"
    page.clock.run_for(600)
    assert page.evaluate("model.get('moment')") == 1
    button.click()
    assert button.inner_text() == "Play"
    page.clock.run_for(700)
    assert page.evaluate("model.get('moment')") == 1
    button.click()
    page.clock.run_for(1200)
    assert button.inner_text() == "Play", "it stops at the end"
    assert page.evaluate("model.get('moment')") == 3
    page.emulate_media(reduced_motion="reduce")
    button.click()
    page.clock.run_for(1200)
    assert page.evaluate("model.get('moment')") == 0, "slower"
    page.get_by_label("Moment", exact=True).press("ArrowRight")
    assert button.inner_text() == "Play", "the slider ends the playing"
    button.click()
    page.evaluate("window.dispose()")
    assert button.inner_text() == "Play"
