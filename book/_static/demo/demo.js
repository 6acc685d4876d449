// A U-Net in the page: draw, choose or open an image, and see what the network finds in it.

import { ownPicture, simulatedPictures } from "./files.js";
import { loadNetwork } from "./network.js";
import { darkField, Painting } from "./paint.js";
import { panel, START, VIEWS } from "./panel.js";
import { contrastOf, normalize } from "./preprocess.js";
import { instancesOf, segment } from "./segment.js";
import { drawWithKeys, drawWithPointer } from "./surface.js";
import { compare, explain } from "./truth.js";
import { showInstances, showOutlines, showValues } from "./views.js";

const BYTES = 16.3e6; // of runtime and network, as they arrive
const LEAST_CONTRAST = 60; // gray values: an empty field is shown dark, and not as bright noise
const FIRST = 1; // the image that opens
const FAST = 100; // milliseconds: faster runs follow the brush, slower ones wait for its end

/** Offers the demo in `root`; what it needs is loaded when the reader asks for it. */
export function mount(root) {
  root.innerHTML = START;
  const [button, bar, problem] = ["button", "progress", "[role=alert]"]
    .map((selector) => root.querySelector(selector));
  let loaded = 0;
  const progress = (bytes) => { bar.value = (loaded += bytes) / BYTES; };
  button.addEventListener("click", async () => {
    [button.disabled, bar.hidden, problem.textContent, loaded] = [true, false, "", 0];
    try {
      const [network, simulated] = await Promise.all([loadNetwork(progress), simulatedPictures()]);
      // The first run is slow: the browser compiles.
      const { depth } = await segment(network, simulated[0], 0.5);
      new Demo(root, network, simulated, depth ? [...VIEWS, "depth"] : VIEWS);
    } catch (error) {
      problem.textContent = `The demo could not start. ${error.message}`;
      [button.disabled, bar.hidden] = [false, true];
    }
  });
}

class Demo {
  #root;
  #network;
  #controls;
  #pictures; // { gray, width, height } and, where they are known, their nuclei and the truth
  #painting;
  #result; // of the last run
  #queue = Promise.resolve(); // of runs: one at a time, and only the latest
  #latest = 0;

  constructor(root, network, simulated, views) {
    root.innerHTML = panel(views);
    root.dataset.state = "open"; // the still picture makes room
    [this.#root, this.#network] = [root, network];
    this.#controls = root.querySelector("form").elements;
    this.#pictures = [darkField(128, 128), ...simulated];
    const names = this.#pictures.map((_, i) => (i ? `Simulated ${i}` : "Dark field"));
    this.#controls.picture.append(...names.map((name, i) => new Option(name, i)));
    this.#listen();
    this.#open(FIRST);
    this.#controls.picture.focus({ preventScroll: true });
    root.scrollIntoView({ block: "nearest" }); // all of it, where the screen has room
  }

  #find(part) {
    return this.#root.querySelector(`[data-part=${part}]`);
  }

  #listen() {
    const { picture, file, invert, outlines, threshold, view, undo, clear } = this.#controls;
    const surface = this.#surface();
    drawWithPointer(surface);
    drawWithKeys(surface);
    picture.form.addEventListener("submit", (event) => event.preventDefault());
    picture.addEventListener("change", () => this.#open(Number(picture.value)));
    file.addEventListener("change", () => file.files.length && this.#openFile(file.files[0]));
    invert.addEventListener("change", () => this.#update());
    threshold.addEventListener("input", () => this.#display(this.#result));
    for (const each of [outlines, ...view]) {
      each.addEventListener("change", () => this.#show(this.#result));
    }
    undo.addEventListener("click", surface.undo);
    clear.addEventListener("click", () => {
      this.#painting.undo(true);
      this.#update();
    });
  }

  /** The picture as something to draw on, see surface.js. */
  #surface() {
    const { radius, light } = this.#controls;
    const brush = () => ({ radius: Number(radius.value), light: Number(light.value) });
    return {
      canvas: this.#find("picture"), ring: this.#find("ring"), place: this.#find("place"),
      size: () => this.#painting,
      brush,
      begin: () => this.#painting.begin(),
      extend: (place) => {
        this.#painting.extend({ ...place, ...brush() });
        if (this.#result.before < FAST) this.#update();
        else this.#showPicture();
      },
      end: () => this.#update(),
      undo: () => {
        this.#painting.undo();
        this.#update();
      },
    };
  }

  /** Takes another image, without strokes. */
  #open(index) {
    this.#controls.picture.value = index;
    this.#painting = new Painting(this.#pictures[index]);
    this.#root.style.setProperty("--ratio", this.#painting.width / this.#painting.height);
    this.#find("outlines").replaceChildren(); // those of the image before
    this.#update();
  }

  async #openFile(file) {
    try {
      this.#pictures.push(await ownPicture(file));
      this.#controls.picture.add(new Option(file.name, this.#pictures.length - 1));
      this.#open(this.#pictures.length - 1);
    } catch (error) {
      this.#find("problem").textContent = error.message;
    }
    this.#controls.file.value = ""; // the same file can be opened again
  }

  /** Draws the picture and returns it as the network gets it. */
  #showPicture() {
    const { width, height } = this.#painting;
    const drawn = this.#painting.gray();
    const gray = this.#controls.invert.checked ? drawn.map((value) => 255 - value) : drawn;
    const [low, high] = contrastOf(gray);
    const shown = normalize(gray, [low, Math.max(high, low + LEAST_CONTRAST)]);
    showValues(this.#find("picture"), { width, height }, shown);
    return { gray, width, height };
  }

  /** Shows the picture at once, and its result after the run that is under way. */
  #update() {
    this.#find("problem").textContent = "";
    const picture = this.#showPicture();
    const [mine, painting] = [++this.#latest, this.#painting];
    this.#root.dataset.busy = mine;
    this.#queue = this.#queue.then(async () => {
      if (mine !== this.#latest) return;
      const found = await segment(this.#network, picture, this.#threshold);
      if (painting === this.#painting) this.#display(found); // no other image was opened
    }).catch((error) => {
      this.#find("problem").textContent = `The network stopped. ${error.message}`;
    }).finally(() => {
      if (mine === this.#latest) delete this.#root.dataset.busy;
    });
  }

  get #threshold() {
    return Number(this.#controls.threshold.value);
  }

  #display(found) {
    const current = found.threshold === this.#threshold; // it may have moved during the run
    const result = current ? found : instancesOf(found, this.#threshold);
    this.#result = result;
    this.#show(result);
    this.#report(result);
    this.#root.result = result; // for the curious at the console, and for the tests
    this.#root.dataset.runs = Number(this.#root.dataset.runs ?? 0) + 1;
  }

  /** What was found, as the reader wants to see it, and its outlines on the image. */
  #show(result) {
    const { view, outlines } = this.#controls;
    const found = this.#find("found");
    if (view.value === "instances") {
      showInstances(found, result, result.labels, result.normalized);
    } else {
      showValues(found, result, result[view.value]);
    }
    found.setAttribute("aria-label", `${view.value}: found ${nuclei(result.count)}`);
    showOutlines(this.#find("outlines"), result, outlines.checked ? result.labels : []);
  }

  #report({ labels, count, threshold, before, after }) {
    const { nuclei: drawn, truth, note = "" } = this.#pictures[this.#controls.picture.value];
    const strokes = this.#painting.strokes.length;
    const known = [];
    if (drawn !== undefined) known.push(`the simulator drew ${drawn}`);
    if (strokes) known.push(`you painted ${several(strokes, "stroke", "strokes")}`);
    // Under strokes, and where bright and dark are changed, the truth is another one.
    const why = truth && !strokes && !this.#controls.invert.checked
      ? explain(compare(labels, truth)) : "";
    const rest = known.length ? `; ${known.join(" and ")}` : "";
    this.#find("count").textContent = `Found ${nuclei(count)}${rest}${why}. ${note}`;
    this.#find("time").textContent = `Network ${Math.round(before)} ms, ` +
      `mask and instances ${Math.round(after)} ms.`;
    this.#find("threshold").textContent = threshold.toFixed(2);
  }
}

const several = (n, one, many) => `${n} ${n === 1 ? one : many}`;
const nuclei = (n) => several(n, "nucleus", "nuclei");
