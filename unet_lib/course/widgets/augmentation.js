// Image and mask transformed together. The arithmetic is exported, so that the tests can compare it
// with unet_lib.transforms; everything below `render` draws.

/** Weights of the nodes 0, 1, 2 at `along` (0 to 2): cubic convolution, a = -0.75, as PyTorch's. */
export function cubicWeights(along) {
  const weights = [0, 0, 0];
  const first = Math.min(Math.floor(along), 1);
  for (let node = first - 1; node <= first + 2; node++) {
    const x = Math.abs(along - node);
    const weight = x <= 1 ? 1.25 * x ** 3 - 2.25 * x ** 2 + 1
      : -0.75 * (x ** 3 - 5 * x ** 2 + 8 * x - 4);
    weights[Math.min(Math.max(node, 0), 2)] += weight;
  }
  return weights;
}

/** Row and column from which each pixel is read; what is done first is undone last. */
export function sources({ size: [height, width], vectors, ...s }) {
  const line = (n) => Array.from({ length: n }, (_, i) => cubicWeights((2 * i) / (n - 1 || 1)));
  const [down, across] = [line(height), line(width)];
  const [cy, cx] = [(height - 1) / 2, (width - 1) / 2];
  const [cos, sin] = [Math.cos, Math.sin].map((f) => f((s.rotation * Math.PI) / 180));
  const shift = (part, i, j) => s.elastic * down[i].reduce((sum, a, k) => sum +
    a * across[j].reduce((row, b, l) => row + b * vectors[9 * part + 3 * k + l], 0), 0);
  const places = new Float32Array(2 * height * width);
  for (let i = 0, at = 0; i < height; i++) {
    for (let j = 0; j < width; j++) {
      const [y, x] = [i - cy + shift(0, i, j), j - cx + shift(1, i, j)];
      places[at++] = ((y * cos + x * sin) * (s.flip_y ? -1 : 1)) / s.scale + cy;
      places[at++] = ((x * cos - y * sin) * (s.flip_x ? -1 : 1)) / s.scale + cx;
    }
  }
  return places;
}

/** Values read at the places: interpolated between four pixels, or of the nearest one. */
export function read(values, [height, width], places, { blend, mirrored }) {
  const fold = (p, n) => { // back into the picture, at the outer edge of its outer pixels
    const along = (((p + 0.5) % (2 * n)) + 2 * n) % (2 * n);
    return Math.min(Math.max(Math.min(along, 2 * n - along) - 0.5, 0), n - 1);
  };
  const inside = (i, j) => i >= 0 && j >= 0 && i < height && j < width;
  const pixel = (i, j) => (inside(i, j) ? values[i * width + j] : 0);
  return Float32Array.from({ length: height * width }, (_, at) => {
    let [y, x] = [places[2 * at], places[2 * at + 1]];
    if (mirrored) [y, x] = [fold(y, height), fold(x, width)];
    if (!blend) return pixel(Math.round(y), Math.round(x));
    const [i, j] = [Math.floor(y), Math.floor(x)];
    const mix = (row) => pixel(row, j) * (1 - x + j) + pixel(row, j + 1) * (x - j);
    return mix(i) * (1 - y + i) + mix(i + 1) * (y - i);
  });
}

/** Brightness, contrast and gamma, as unet_lib.transforms has them. */
export function relight(values, { brightness, contrast, gamma }) {
  const mean = values.reduce((sum, v) => sum + v, 0) / values.length;
  const lit = values.map((v) => brightness * (mean + contrast * (v - mean)));
  const [low, high] = [Math.min, Math.max].map((f) => lit.reduce((a, b) => f(a, b)));
  const span = high - low;
  return span > 0 ? lit.map((v) => low + span * ((v - low) / span) ** gamma) : lit;
}

/** Pixels whose value is none of the labels, and one such value. */
export function invented(mask, labels) {
  const drawn = [...new Set(labels)];
  const strange = mask.filter((v) => drawn.every((label) => Math.abs(v - label) > 1e-3));
  return { count: strange.length, example: strange.length ? strange[strange.length >> 1] : null };
}

const SLIDERS = {
  rotation: ["Rotation", -180, 180, 1, (v) => `${v}°`],
  scale: ["Scale", 0.5, 2, 0.05, (v) => `× ${v.toFixed(2)}`],
  elastic: ["Elastic", 0, 12, 0.5, (v) => `${v.toFixed(1)} px`],
  brightness: ["Brightness", 0.4, 1.6, 0.05, (v) => `× ${v.toFixed(2)}`],
  contrast: ["Contrast", 0, 2, 0.05, (v) => `× ${v.toFixed(2)}`],
  gamma: ["Gamma", 0.4, 2.5, 0.05, (v) => v.toFixed(2)],
  noise: ["Noise", 0, 0.3, 0.01, (v) => v.toFixed(2)],
};
const SWITCHES = { mask: ["nearest", "blended"], outside: ["black", "mirrored"] };
const FLIPS = { flip_x: "left–right", flip_y: "up–down" };
const KEYS = [...Object.keys({ ...SLIDERS, ...SWITCHES, ...FLIPS }), "pattern"];
const REST = { rotation: 0, scale: 1, elastic: 0, brightness: 1, contrast: 1, gamma: 1, noise: 0,
  flip_x: false, flip_y: false };
const COLORS = [[230, 159, 0], [0, 158, 115], [240, 228, 66], [204, 121, 167], [0, 114, 178],
  [86, 180, 233], [213, 94, 0]]; // as unet_lib.plots.LABEL_COLORS
const PANELS = ["image", "mask", "together"];

const named = ([name, [title, min, max, step]]) => `<label class="uw-named"><span>${title}</span>
  <input type="range" name="${name}" min="${min}" max="${max}" step="${step}"><b></b></label>`;
const flip = ([name, title]) => `<label><input type="checkbox" name="${name}"><span>${title}</span>
  </label>`;
const panel = (name) => `<figure><canvas role="img"></canvas>
  <figcaption>${name}</figcaption></figure>`;
const PAGE = `
  <form aria-label="Augmentation">
    <div class="uw-grid-of-sliders">${Object.entries(SLIDERS).map(named).join("")}</div>
    <div class="uw-controls">
      <fieldset><legend>Flip</legend>
        <div class="uw-segments">${Object.entries(FLIPS).map(flip).join("")}</div></fieldset>
      ${choice("mask", "Mask", SWITCHES.mask)}${choice("outside", "Outside", SWITCHES.outside)}
      <div class="uw-buttons"><button type="button" value="draw">Draw at random</button>
        <button type="button" value="reset">Reset</button></div>
    </div>
    <div class="uw-status"><output></output></div>
    <div class="uw-row uw-three">${PANELS.map(panel).join("")}</div>
  </form>`;

function render({ model, el }) {
  const { root, find, form } = mount(el, "augmentation", PAGE);
  const [size, patterns] = [model.get("size"), model.get("patterns")];
  const [image, labels] = ["image", "labels"].map((key) => bytes(model.get(key)));
  const grain = Float32Array.from(image, normal); // the same noise at every setting

  function draw() {
    const now = state(model, KEYS);
    for (const [name, [, , , , words]] of Object.entries(SLIDERS)) {
      form.elements[name].value = now[name];
      form.elements[name].nextElementSibling.textContent = words(now[name]);
    }
    for (const name in SWITCHES) form.elements[name].value = now[name];
    for (const name in FLIPS) form.elements[name].checked = now[name];
    const places = sources({ ...now, size, vectors: patterns[now.pattern] });
    const how = { mirrored: now.outside === "mirrored" };
    const lit = relight(read(image, size, places, { ...how, blend: true }), now);
    const gray = lit.map((v, i) => v + 255 * now.noise * grain[i]);
    const mask = read(labels, size, places, { ...how, blend: now.mask === "blended" });
    const { count, example } = invented(mask, labels);
    const summary = count
      ? `${count} of ${mask.length} mask pixels hold a number that nobody drew, such as ` +
        `${example.toFixed(2)}; the colors show them rounded.`
      : "Every mask pixel holds a label that was drawn.";
    find("output").textContent = summary;
    root.classList.toggle("uw-problem", count > 0);
    const rounded = mask.map((v) => Math.floor(v + 0.5));
    const colors = [(i) => [gray[i], gray[i], gray[i]],
      (i) => (rounded[i] ? COLORS[(rounded[i] - 1) % 7] : [0, 0, 0]),
      (i) => (onEdge(rounded, size, i) ? COLORS[0] : [gray[i], gray[i], gray[i]])];
    root.querySelectorAll("canvas").forEach((canvas, k) => {
      paint(canvas, size, colors[k]);
      canvas.setAttribute("aria-label", `${PANELS[k]} after the augmentation. ${summary}`);
    });
  }

  form.addEventListener("input", ({ target: { name, value, checked } }) =>
    store(model, { [name]: name in FLIPS ? checked : parsed(value) }));
  form.addEventListener("click", ({ target: { value, type } }) => {
    if (type !== "button") return;
    store(model, value === "draw" ? atRandom(patterns.length) : REST);
  });
  return follow(model, KEYS, draw);
}

/** Settings such as a training might draw; every slider within its steps. */
function atRandom(patterns) {
  const between = (low, high, step) =>
    low + step * Math.round((Math.random() * (high - low)) / step);
  const coin = () => Math.random() < 0.5;
  return { rotation: between(-180, 180, 1), scale: between(0.7, 1.4, 0.05),
    elastic: between(0, 4, 0.5), brightness: between(0.7, 1.3, 0.05),
    contrast: between(0.7, 1.3, 0.05), gamma: between(0.7, 1.5, 0.05),
    noise: between(0, 0.1, 0.01), flip_x: coin(), flip_y: coin(),
    pattern: Math.floor(Math.random() * patterns) };
}

const normal = () =>
  Math.sqrt(-2 * Math.log(1 - Math.random())) * Math.cos(2 * Math.PI * Math.random());

/** Whether a pixel inside a label touches another one. */
function onEdge(mask, [height, width], at) {
  const [i, j] = [Math.floor(at / width), at % width];
  return mask[at] > 0 && [[0, 1], [0, -1], [1, 0], [-1, 0]].some(([a, b]) => {
    const [y, x] = [i + a, j + b];
    return y >= 0 && x >= 0 && y < height && x < width && mask[y * width + x] !== mask[at];
  });
}
