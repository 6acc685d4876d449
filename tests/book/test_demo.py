"""The U-Net in the page: drawn on in a browser, and its results compared with PyTorch's."""

import gzip
import re
import statistics
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from playwright.sync_api import Page, expect

from tests.book.conftest import HTML, ROOT, findings
from tools.demo_pictures import INDICES, MODEL, SEED
from unet_lib.data import simulate_nuclei
from unet_lib.training import Trained, load_model, load_task

PLACE = "book/try-it.html"
STATIC = HTML / "_static"
# Share of pixels between two objects that may fall to the other: rounding decides where a map of
# depths is level. The watershed of a mask counts in whole pixels, and nothing is rounded.
ROUNDED = 0.0 if load_task(MODEL).target == "foreground" else 0.001
RESULT = """() => {
  const { gray, probability, mask, labels, ...rest } = document.getElementById("demo").result;
  const arrays = { gray, probability, mask, labels };
  for (const name in arrays) arrays[name] = [...arrays[name]];
  return { ...arrays, width: rest.width, height: rest.height, count: rest.count,
    threshold: rest.threshold, milliseconds: rest.before + rest.after };
}"""


class Demo:
    """The demo on an open page: what a reader does, and what it shows."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.canvas = page.get_by_role("application", name="Image, to draw on")
        self.text = page.locator("#demo output")

    def after(self, action: Callable[[], object]) -> dict:
        """Do something, wait until its run has ended, and return what it gave."""
        runs = int(self.page.evaluate("document.getElementById('demo').dataset.runs"))
        action()
        ended = "n => document.getElementById('demo').dataset.runs > n"
        self.page.wait_for_function(ended, arg=runs)
        return self.settled()

    def settled(self) -> dict:
        """Wait for the last run, as of those that follow a brush, and return what it gave."""
        self.page.wait_for_selector("#demo:not([data-busy])")
        return self.result()

    def result(self) -> dict:
        """Return the pictures of the last run as arrays, and its numbers."""
        found = self.page.evaluate(RESULT)
        size = (found["height"], found["width"])
        for name in ("gray", "probability", "mask", "labels"):
            found[name] = np.array(found[name]).reshape(size)
        return found

    def take(self, option: str) -> dict:
        choice = self.page.get_by_role("combobox", name="Image")
        return self.after(lambda: choice.select_option(option))

    def draw(self, *places: tuple[float, float]) -> dict:
        """Draw one stroke with the pointer, through places given in pixels of the picture."""
        self.canvas.scroll_into_view_if_needed()
        box = self.canvas.bounding_box()
        columns = self.canvas.evaluate("canvas => canvas.width")
        pixel = box["width"] / columns

        def stroke() -> None:
            mouse = self.page.mouse
            for index, (x, y) in enumerate(places):
                mouse.move(box["x"] + (x + 0.5) * pixel, box["y"] + (y + 0.5) * pixel, steps=4)
                if index == 0:
                    mouse.down()
            mouse.up()

        return self.after(stroke)


def start(page: Page) -> Demo:
    """Click the button and wait until the first picture is computed."""
    page.get_by_role("button", name="Load the network and start").click()
    page.wait_for_selector("#demo[data-runs]", timeout=60_000)
    return Demo(page)


@pytest.fixture
def demo(visit, server: str) -> Demo:
    return start(visit(f"{server}/{PLACE}", viewport={"width": 1280, "height": 1000}))


@pytest.fixture
def phone(visit, server: str) -> Demo:
    window = {"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True}
    return start(visit(f"{server}/{PLACE}", **window))


@pytest.fixture(scope="module")
def model() -> Trained:
    return Trained(load_model(MODEL), load_task(MODEL), precision="float32")


def check(found: dict, model: Trained) -> None:
    """Compare what the page found with PyTorch on the very same pixels."""
    threshold = found["threshold"]
    task = replace(model.task, threshold=threshold)
    logits = torch.from_numpy(model.logits(found["gray"].astype(np.uint8)))
    probability = task.foreground(logits).numpy()
    assert np.abs(found["probability"] - probability).max() < 1e-4
    clear = np.abs(probability - threshold) > 1e-4
    assert np.array_equal(found["mask"][clear], (probability > threshold)[clear])
    assert found["count"] == found["labels"].max()
    if clear.all():
        expected = task.instances(logits)
        assert found["count"] == expected.max()
        assert (found["labels"] != expected).mean() <= ROUNDED


class TestDrawing:
    def test_what_is_drawn_is_found_as_pytorch_finds_it(self, demo, model):
        check(demo.take("Dark field"), model)
        demo.draw((30, 30))
        demo.draw((90, 30), (96, 36))
        found = demo.draw((60, 95), (70, 90))
        check(found, model)
        assert found["count"] == 3
        assert all(found["labels"][place] > 0 for place in ((30, 30), (36, 96), (95, 60)))
        expect(demo.text).to_have_text("Found 3 nuclei; you painted 3 strokes. ")

    def test_size_and_brightness_of_the_brush(self, demo):
        demo.take("Dark field")
        small = demo.draw((40, 40))
        demo.page.get_by_role("button", name="Undo").click()
        demo.page.get_by_label("Brush size").fill("16")
        demo.page.get_by_label("Brush brightness").fill("60")
        large = demo.draw((40, 40))
        assert large["mask"].sum() > 2.5 * small["mask"].sum()
        assert large["gray"].max() < 100 < small["gray"].max()

    def test_undo_and_clear(self, demo):
        start = demo.result()
        one = demo.draw((20, 90))
        demo.draw((20, 20))
        undone = demo.after(demo.page.get_by_role("button", name="Undo").click)
        assert np.array_equal(undone["gray"], one["gray"])
        cleared = demo.after(demo.page.get_by_role("button", name="Clear").click)
        assert np.array_equal(cleared["gray"], start["gray"])

    @pytest.mark.parametrize("how", ["Undo", "Clear"])
    def test_a_stroke_that_is_taken_back_while_it_is_drawn_has_ended(self, demo, how):
        start = demo.take("Dark field")
        demo.canvas.scroll_into_view_if_needed()
        box, mouse = demo.canvas.bounding_box(), demo.page.mouse
        mouse.move(box["x"] + 50, box["y"] + 50)
        mouse.down()
        mouse.move(box["x"] + 90, box["y"] + 60, steps=3)
        button = demo.page.get_by_role("button", name=how)
        demo.after(lambda: button.evaluate("button => button.click()"))
        mouse.move(box["x"] + 200, box["y"] + 200, steps=5)
        demo.after(mouse.up)
        assert np.array_equal(demo.result()["gray"], start["gray"])
        assert demo.draw((64, 64))["count"] == 1

    def test_two_fingers_enlarge_the_page_and_draw_nothing(self, phone):
        page, before = phone.page, phone.result()["gray"]
        phone.canvas.scroll_into_view_if_needed()
        box, touch = phone.canvas.bounding_box(), page.context.new_cdp_session(page)

        def fingers(kind: str, *columns: float) -> None:
            left, y = box["x"], box["y"] + 100
            places = [{"x": left + x, "y": y, "id": i} for i, x in enumerate(columns)]
            touch.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": places})
            page.wait_for_timeout(30)

        fingers("touchStart", 130)
        fingers("touchStart", 130, 170)
        for far in range(10, 90, 10):
            fingers("touchMove", 130 - far, 170 + far)
        fingers("touchEnd")
        page.wait_for_function("visualViewport.scale > 1.2")
        assert np.array_equal(phone.settled()["gray"], before)

    def test_by_touch(self, phone, model):
        phone.take("Dark field")
        box = phone.canvas.bounding_box()
        place = box["x"] + box["width"] / 4, box["y"] + box["height"] / 2
        found = phone.after(lambda: phone.page.touchscreen.tap(*place))
        check(found, model)
        assert found["count"] == 1
        assert found["labels"][64, 32] == 1

    def test_by_keyboard(self, demo, model):
        empty = demo.take("Dark field")
        keyboard = demo.page.keyboard
        demo.canvas.focus()
        for key in ("ArrowLeft", "ArrowLeft", "ArrowUp", "Shift+ArrowUp"):
            keyboard.press(key)
        expect(demo.page.get_by_text("Cursor at column 56, row 59.")).to_be_visible()
        found = demo.after(lambda: keyboard.press("Enter"))
        check(found, model)
        assert found["labels"][59, 56] == 1
        for _ in range(8):
            keyboard.press("ArrowRight")
        assert demo.after(lambda: keyboard.press("Space"))["count"] == 2
        assert demo.after(lambda: keyboard.press("Backspace"))["count"] == 1
        undone = demo.after(lambda: keyboard.press("Control+z"))
        assert np.array_equal(undone["labels"], empty["labels"])


class TestSimulatedPictures:
    def test_they_are_those_of_the_library(self, demo, model):
        for number, index in enumerate(INDICES, 1):
            found = demo.take(f"Simulated {number}")
            image, labels = simulate_nuclei(SEED, index)
            assert np.array_equal(found["gray"], image)
            check(found, model)
            sentence = demo.text.inner_text()
            assert f"Found {found['count']} " in sentence
            assert f"; the simulator drew {labels.max()}" in sentence
            less = re.findall(r"(\d+) (?:counts? as one|(?:is|are) missed)", sentence)
            more = re.findall(r"(\d+) found (?:where|is|are)", sentence)
            assert found["count"] == labels.max() - sum(map(int, less)) + sum(map(int, more))

    def test_the_first_one_is_as_the_page_tells(self, demo):
        text = " ".join((ROOT / "book" / "try-it.md").read_text(encoding="utf-8").split())
        image, labels = simulate_nuclei(SEED, INDICES[0])
        assert np.array_equal(demo.result()["gray"], image)
        told = f"holds {labels.max()} nuclei, and {demo.result()['count']} are found. None is over"
        assert told in text
        expect(demo.text).to_have_text(
            f"Found 6 nuclei; the simulator drew {labels.max()}: 2 count as one with a neighbor. "
        )
        assert f"The image shows {labels.max()} bright" in text
        assert f"each of the {demo.result()['count']} instances" in text
        threshold = re.search(r"Raise the threshold to ([\d.]+[0-9]):", text)[1]
        demo.after(lambda: demo.page.get_by_label("Threshold").fill(threshold))
        expect(demo.text).to_have_text(f"Found 8 nuclei; the simulator drew {labels.max()}. ")
        assert f"all {demo.result()['count']} are found" in text

    def test_where_more_are_found_than_were_drawn(self, demo):
        text = (ROOT / "book" / "try-it.md").read_text(encoding="utf-8")
        named = re.search(r"In \*Simulated (\d)\*, \*(\d)\* and \*(\d)\*", text).groups()
        sentences = []
        for number in named:
            found = demo.take(f"Simulated {number}")
            assert found["count"] > simulate_nuclei(SEED, INDICES[int(number) - 1])[1].max()
            sentences.append(demo.text.inner_text())
        assert any("of another" in sentence for sentence in sentences)
        assert any("found where none was drawn" in sentence for sentence in sentences)

    @pytest.mark.parametrize("threshold", [0.05, 0.95])
    def test_the_threshold_changes_mask_and_instances(self, demo, model, threshold):
        before = demo.take("Simulated 5")
        slider = demo.page.get_by_label("Threshold")
        found = demo.after(lambda: slider.fill(str(threshold)))
        check(found, model)
        assert np.sign(found["mask"].sum() - before["mask"].sum()) == np.sign(0.5 - threshold)
        assert f"{threshold:.2f}" in demo.page.locator("#demo [data-part=threshold]").inner_text()

    def test_the_threshold_may_move_while_the_network_runs(self, demo, model):
        demo.page.evaluate(
            """() => {
              const { picture, threshold } = document.querySelector("#demo form").elements;
              const set = (control, value, kind) => {
                control.value = value;
                control.dispatchEvent(new Event(kind));
              };
              set(picture, 4, "change");
              return new Promise((done) => setTimeout(() => {
                set(threshold, 0.9, "input");
                done();
              }, 1));
            }"""
        )
        found = demo.settled()
        assert found["threshold"] == 0.9
        assert np.array_equal(found["gray"], simulate_nuclei(SEED, INDICES[3])[0])
        check(found, model)

    def test_inverted_the_network_fails_as_pytorch_does(self, demo, model):
        before = demo.result()
        found = demo.after(lambda: demo.page.get_by_label("Invert").check())
        assert np.array_equal(found["gray"], 255 - before["gray"])
        check(found, model)
        both = (found["mask"] * before["mask"]).sum()
        assert 2 * both / (found["mask"].sum() + before["mask"].sum()) < 0.4

    def test_a_run_takes_less_than_two_tenths_of_a_second(self, demo):
        numbers = [*range(1, 9), *range(1, 8)]
        times = [demo.take(f"Simulated {number}")["milliseconds"] for number in numbers]
        assert statistics.median(times) < 200, times


class TestOwnPictures:
    def open(self, demo: Demo, path: Path | dict) -> dict:
        own = demo.page.get_by_label("or one of your own")
        return demo.after(lambda: own.set_input_files(path))

    def refuse(self, demo: Demo, path: Path | dict, name: str) -> str:
        demo.page.get_by_label("or one of your own").set_input_files(path)
        alert = demo.page.get_by_role("alert")
        expect(alert).to_contain_text(name)
        return alert.inner_text()

    def test_a_color_picture_is_read_as_pillow_reads_it(self, demo, model, tmp_path):
        gray = simulate_nuclei(3, 4, (61, 90))[0]
        image = Image.fromarray(np.stack([gray // 2, gray, gray], axis=-1))
        image.save(tmp_path / "own.png")
        found = self.open(demo, tmp_path / "own.png")
        assert np.array_equal(found["gray"], np.asarray(image.convert("L")))
        check(found, model)
        assert demo.canvas.evaluate("canvas => [canvas.width, canvas.height]") == [90, 61]
        check(demo.draw((50, 30)), model)

    def test_a_large_one_is_scaled_down_in_proportion(self, demo, model, tmp_path):
        Image.fromarray(simulate_nuclei(3, 5, (400, 1000))[0]).save(tmp_path / "large.png")
        found = self.open(demo, tmp_path / "large.png")
        assert (found["width"], found["height"]) == (512, 205)
        check(found, model)
        assert "Scaled down from 1000 × 400 to 512 × 205 pixels." in demo.text.inner_text()

    def test_what_cannot_be_used_is_answered_in_words(self, demo, tmp_path):
        Image.new("L", (300, 9)).save(tmp_path / "thin.png")
        answer = self.refuse(demo, tmp_path / "thin.png", "thin.png")
        assert "thin.png has 300 × 9 pixels; at least 16 × 16 are needed" in answer
        text = {"name": "notes.txt", "mimeType": "text/plain", "buffer": b"no picture"}
        answer = self.refuse(demo, text, "notes.txt")
        assert answer.startswith("notes.txt (text/plain) is no picture that this browser can read")
        assert "save it as PNG" in answer
        Image.new("RGBA", (30, 30), (9, 9, 9, 200)).save(tmp_path / "clear.png")
        answer = self.refuse(demo, tmp_path / "clear.png", "clear.png")
        assert "clear.png is transparent in places" in answer
        heavy = tmp_path / "heavy.png"
        heavy.write_bytes(bytes(33_000_000))
        answer = self.refuse(demo, heavy, "heavy.png")
        assert "heavy.png weighs 33 MB; this page takes up to 32 MB" in answer
        demo.take("Simulated 2")
        expect(demo.page.get_by_role("alert")).to_be_empty()


class TestLoading:
    def test_nothing_heavy_is_loaded_before_the_click(self, visit, server):
        page = visit(f"{server}/{PLACE}")
        loaded = "performance.getEntriesByType('resource').map(r => [r.name, r.decodedBodySize])"
        page.get_by_role("button", name="Load the network and start").wait_for()
        before = dict(page.evaluate(loaded))
        assert not [name for name in before if "/ort/" in name or name.endswith(".onnx")]
        assert sum(size for name, size in before.items() if "/demo/" in name) < 150_000
        start(page)
        after = [Path(name).name for name, _ in page.evaluate(loaded) if name not in before]
        runtime = {"ort-wasm-simd-threaded.wasm", "ort.wasm.bundle.min.mjs"}
        expected = {"nuclei.json", "nuclei.png", "truth.png", "unet.onnx"} | runtime
        assert sorted(name for name in after if "woff" not in name) == sorted(expected)

    def test_the_page_says_how_much(self):
        text = (ROOT / "book" / "try-it.md").read_text(encoding="utf-8")
        runtime = sorted((STATIC / "vendor" / "ort").glob("*"))
        whole = sum(path.stat().st_size for path in runtime) / 1e6
        packed = sum(len(gzip.compress(path.read_bytes())) for path in runtime) / 1e6
        network = (STATIC / "demo" / "unet.onnx").stat().st_size / 1e6
        assert network <= 2.1
        assert f"{whole:.0f} MB of runtime" in " ".join(text.split())
        assert f"{packed:.1f} MB where the server compresses" in " ".join(text.split())
        assert f"{network:.0f} MB of network" in " ".join(text.split())
        code = (STATIC / "demo" / "demo.js").read_text(encoding="utf-8")
        shown = float(re.search(r"BYTES = ([\d.e]+)", code)[1]) / 1e6
        assert shown == pytest.approx(whole + network, rel=0.02)

    def test_a_missing_file_is_named_and_the_click_can_be_repeated(self, visit, server):
        page = visit(f"{server}/{PLACE}", forgiven=("missing", "errors"))
        page.route("**/unet.onnx", lambda route: route.fulfill(status=404))
        button = page.get_by_role("button", name="Load the network and start")
        button.click()
        expect(page.get_by_role("alert")).to_contain_text("The file unet.onnx was not found")
        expect(page.get_by_role("alert")).to_contain_text("Build the book again with make book")
        page.unroute("**/unet.onnx")
        assert start(page).result()["count"] > 0

    @pytest.mark.parametrize(
        ("name", "answer"),
        [
            ("ort.wasm.bundle.min.mjs", "The file ort.wasm.bundle.min.mjs did not arrive"),
            ("nuclei.json", "The file nuclei.json did not arrive. Check the connection"),
            ("*.wasm", "arrived damaged. Load this page anew"),
        ],
    )
    def test_what_does_not_arrive_whole_is_said_in_words(self, visit, server, name, answer):
        page = visit(f"{server}/{PLACE}", forgiven=("missing", "errors"))
        damage = {"*.wasm": lambda route: route.fulfill(body="login")}
        page.route(f"**/{name}", damage.get(name, lambda route: route.abort()))
        page.get_by_role("button", name="Load the network and start").click()
        expect(page.get_by_role("alert")).to_contain_text(answer)

    @pytest.mark.parametrize("how", ["from a folder", "without JavaScript"])
    def test_else_a_picture_and_how_to_get_it_running(self, visit, roots, how):
        folder = how == "from a folder"
        address = f"{roots['file' if folder else 'http']}/{PLACE}"
        page = visit(address, forgiven=["missing"], java_script_enabled=folder)
        expect(page.locator("#demo")).to_contain_text("make serve")
        expect(page.get_by_role("img", name="Four squares.")).to_be_visible()


PLACES = """[...document.querySelectorAll("#demo, #demo canvas, #demo input")].map((part) => {
  const { top, bottom } = part.getBoundingClientRect();
  return [top, bottom];
})"""


class TestTheLook:
    def test_it_fits_a_laptop_with_two_large_squares(self, visit, server):
        page = visit(f"{server}/{PLACE}", viewport={"width": 1280, "height": 720})
        demo = start(page)
        frame = page.locator("#demo")
        assert frame.bounding_box()["height"] <= 720
        assert frame.evaluate("e => e.scrollHeight <= e.clientHeight + 1")
        left, right = demo.canvas.bounding_box(), page.locator(".demo-found canvas").bounding_box()
        assert left["width"] == right["width"] >= 350
        assert left["y"] == right["y"]
        for slider in page.locator("#demo input[type=range]").all():
            box = slider.bounding_box()
            assert left["x"] + left["width"] < box["x"] < box["x"] + box["width"] < right["x"]

    @pytest.mark.parametrize("window", ["demo", "phone"])
    def test_nothing_jumps_while_a_slider_moves(self, request, window):
        demo = request.getfixturevalue(window)
        for option in ("Simulated 1", "Simulated 6", "Dark field"):
            demo.take(option)
            before = demo.page.evaluate(PLACES)
            for threshold in (0.01, 0.2, 0.5, 0.99):
                demo.after(lambda t=threshold: demo.page.get_by_label("Threshold").fill(str(t)))
                assert demo.page.evaluate(PLACES) == before

    def test_outlines_follow_the_instances(self, demo):
        found = demo.take("Simulated 2")
        labels = np.pad(found["labels"], 1)
        edges = sum(np.count_nonzero(np.diff(labels, axis=axis)) for axis in (0, 1))
        both = sum(
            np.count_nonzero((one != two) & (one > 0) & (two > 0))
            for one, two in ((labels[1:], labels[:-1]), (labels[:, 1:], labels[:, :-1]))
        )
        count = (
            "[...document.querySelectorAll('.demo-surface path')]"
            ".reduce((n, p) => n + (p.getAttribute('d').match(/M/g) ?? []).length, 0)"
        )
        assert demo.page.evaluate(count) == edges + both
        svg = demo.page.locator(".demo-surface svg").bounding_box()
        assert svg == demo.canvas.bounding_box()
        demo.page.get_by_label("Outlines").uncheck()
        assert demo.page.evaluate(count) == 0

    def test_one_square_shows_what_is_chosen(self, demo):
        image = "document.querySelector('.demo-found canvas').toDataURL()"
        seen = {demo.page.evaluate(image)}
        views = demo.page.get_by_role("radio").evaluate_all("all => all.map((one) => one.value)")
        assert views[:3] == ["instances", "probability", "mask"]
        assert views[3:] == (["depth"] if load_task(MODEL).target == "distances" else [])
        for view in views[1:]:
            demo.page.get_by_label(view, exact=True).check()
            seen.add(demo.page.evaluate(image))
            assert demo.page.get_by_role("img", name=f"{view}: found").is_visible()
        assert len(seen) == len(views)


class TestForEveryone:
    @pytest.mark.parametrize(("theme", "width"), [("light", 1280), ("dark", 1280), ("dark", 390)])
    def test_accessible_and_no_wider_than_the_window(self, visit, server, theme, width):
        window = {"viewport": {"width": width, "height": 900}, "color_scheme": theme}
        page = visit(f"{server}/{PLACE}", reduced_motion="reduce", **window)
        assert findings(page) == []
        demo = start(page)
        demo.draw((64, 64))
        assert findings(page) == []
        assert page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0

    def test_every_control_is_reached_by_keyboard(self, demo):
        names = []
        demo.page.get_by_role("combobox", name="Image").focus()
        for _ in range(11):
            names.append(demo.page.evaluate("document.activeElement.name || 'canvas'"))
            demo.page.keyboard.press("Tab")
        expected = ["picture", "file", "invert", "outlines", "canvas", "threshold"]
        assert names == [*expected, "radius", "light", "undo", "clear", "view"]
