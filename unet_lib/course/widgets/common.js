// What all widgets share. unet_lib/course/widgets/base.py puts it before the module of each.

export default { render }; // of each module

/** What each widget is called, and a first thing to find out with it. */
const ABOUT = {
  arithmetic: ["Sizes through a U-Net",
    "Which input comes out 388 pixels wide with valid padding and four poolings?"],
  augmentation: ["One image, many images",
    "Find a setting after which you could no longer outline the nuclei yourself."],
  convolution: ["A kernel on its way",
    "Which kernel answers 0 wherever the image is even?"],
  gallery: ["Worst first",
    "Order by Dice. What do the five worst images have in common?"],
  gathering: ["Pixels gather at their centers",
    "At which noise do heaps break up? How much smoothing mends them, how much merges two nuclei?"],
  replay: ["A training, watched again",
    "From which step on is every nucleus in its place, sharp or not?"],
  skips: ["Cut a skip connection",
    "Which single cut costs most? Guess before you switch."],
  threshold: ["Move the threshold",
    "Find the best threshold for one image. Is it the best for the next?"],
  tiles: ["A large image in tiles",
    "How small may the halo be before you see a seam?"],
};

/** The widget's page inside `el`; JupyterLab would take the arrow keys for its own. */
function mount(el, name, page) {
  const root = document.createElement("div");
  const [title, challenge] = ABOUT[name];
  root.className = `unet-widget uw-${name}`;
  root.addEventListener("keydown", (event) => event.stopPropagation());
  root.addEventListener("submit", (event) => event.preventDefault());
  root.innerHTML = `<div class="uw-head"><p class="uw-title">${title}</p>
    <button type="button" class="uw-present">Present</button>
    <p class="uw-challenge">${challenge}</p></div>${page}`;
  el.append(root);
  const find = (selector) => root.querySelector(selector);
  offerFullScreen(root, find(".uw-present"));
  return { root, find, form: find("form") };
}

/** A button that fills the screen with the widget, larger, for a class. */
function offerFullScreen(root, button) {
  button.hidden = !document.fullscreenEnabled;
  button.addEventListener("click", () =>
    document.fullscreenElement ? document.exitFullscreen() : root.requestFullscreen());
  root.addEventListener("fullscreenchange", () => {
    button.textContent = document.fullscreenElement === root ? "Close" : "Present";
  });
}

const SLOW = "(prefers-reduced-motion: reduce)";

/** Makes a button play: `advance` takes a step and says whether another one follows, `rewind` is
 *  called before the first. Nothing moves before it is pressed, and a second press stops it. Returns
 *  what stops it. */
function offerPlay(button, output, { rewind, advance, pace }) {
  let timer = null;
  function play(on) {
    clearInterval(timer);
    const step = () => advance() || play(false);
    timer = on ? setInterval(step, matchMedia(SLOW).matches ? 3 * pace : pace) : null;
    button.textContent = on ? "Pause" : "Play";
    output.setAttribute("aria-live", on ? "off" : "polite"); // nobody can listen that fast
  }
  button.addEventListener("click", () => {
    if (!timer) rewind();
    play(!timer);
  });
  return () => play(false);
}

/** Draws now and at every change of the named traits; returns what ends that. */
function follow(model, keys, draw) {
  keys.forEach((key) => model.on(`change:${key}`, draw));
  draw();
  return () => keys.forEach((key) => model.off(`change:${key}`, draw));
}

/** The present values of the named traits. */
const state = (model, keys) => Object.fromEntries(keys.map((key) => [key, model.get(key)]));

/** Sets traits and stores them, with the notebook where there is one. */
function store(model, values) {
  for (const [name, value] of Object.entries(values)) model.set(name, value);
  model.save_changes();
}

/** The present values of the named traits, in the controls of their names. */
function fill(form, values) {
  for (const name in values) form.elements[name].value = values[name];
}

/** What a control holds, as a trait. */
const parsed = (value) => (isNaN(value) ? value : Number(value));

/** Rows and columns that the arrow keys lead on. */
const ARROWS = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] };

/** An array of bytes as the notebook stored it. */
const bytes = (view) => new Uint8Array(view.buffer, view.byteOffset, view.byteLength);

/** Bytes that Python's zlib.compress made smaller. */
async function unpack(view) {
  const stream = new Blob([view]).stream().pipeThrough(new DecompressionStream("deflate"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

/** The same for traits that are lists of such bytes. */
const unpackAll = (model, keys) =>
  Promise.all(keys.map((key) => Promise.all(model.get(key).map(unpack))));

/** A choice of one of few values, as a row of radio buttons. */
const choice = (name, title, values) => `<fieldset><legend>${title}</legend>
  <div class="uw-segments">${values.map((value) => `<label><input type="radio" name="${name}"
  value="${value}"><span>${value}</span></label>`).join("")}</div></fieldset>`;

/** A slider, its value in large figures at its end. */
const slider = (title, attributes, before = "") => `<fieldset class="uw-slider">
  <legend>${title}</legend>${before}<input type="range" ${attributes}><b class="uw-value"></b>
  </fieldset>`;

/** A choice of one of many values, still empty. */
const select = (name, title) => `<label class="uw-picture"><span>${title}</span>
  <select name="${name}"></select></label>`;

/** A choice of one of the pictures, filled by `mountPictures`, or hidden where there is but one. */
const PICTURES = select("picture", "Image");

/** The page of a widget of pictures, and [levels, bits, image] of each. */
async function mountPictures({ model, el }, name, page) {
  const mounted = mount(el, name, page);
  const names = model.get("names");
  mounted.find("[name=picture]").append(...names.map((name, i) => new Option(name, i)));
  mounted.find(".uw-picture").hidden = names.length < 2;
  const parts = await unpackAll(model, ["levels", "targets", "images"]);
  return { ...mounted, names, pictures: names.map((_, i) => parts.map((part) => part[i])) };
}

/** Paints a picture: `color(i)` is [red, green, blue] of pixel i, cut off beyond 0 to 255. */
function paint(canvas, [height, width], color) {
  Object.assign(canvas, { height, width });
  const context = canvas.getContext("2d");
  const pixels = context.createImageData(width, height);
  for (let i = 0; i < height * width; i++) pixels.data.set([...color(i), 255], 4 * i);
  context.putImageData(pixels, 0, 0);
}

/** Whether pixel i of a mask, stored with eight pixels a byte, is foreground. */
const isForeground = (bits, i) => (bits[i >> 3] >> (7 - (i & 7))) & 1;

// Names and colors, apart in gray and for color-blind eyes: light, dark and middle.
const ERRORS = {
  tp: ["right (true positive)", [238, 238, 238]],
  fp: ["wrong (false positive)", [213, 94, 0]],
  fn: ["missed (false negative)", [86, 180, 233]],
};
/** The legend of an error map; `showCounts` writes how many pixels there are of each kind. */
const ERROR_LEGEND = `<p class="uw-legend">${Object.entries(ERRORS).map(([kind, [name, color]]) =>
  `<span><i style="background: rgb(${color})"></i> ${name} <b data-count="${kind}"></b></span>`)
  .join("")}</p>`;

function showCounts(find, count) {
  for (const kind in ERRORS) find(`[data-count=${kind}]`).textContent = count[kind];
}

const HALF = 50; // the smallest level whose probability is above one half
const kindOf = (truth, found) => (truth ? (found ? "tp" : "fn") : found ? "fp" : "tn");

/** Pixels of each kind. `levels` holds for each pixel how many of the thresholds 0.01 to
 *  0.99 its probability exceeds; `least` is the smallest level that counts as found. */
function countErrors(levels, bits, least) {
  const count = { tp: 0, fp: 0, fn: 0, tn: 0 };
  levels.forEach((level, i) => count[kindOf(isForeground(bits, i), level >= least)]++);
  return count;
}

/** 1 where there is nothing to find and nothing is found, as in unet_lib.evaluation.metrics. */
const diceOf = ({ tp, fp, fn }) => (tp + fp + fn ? (2 * tp) / (2 * tp + fp + fn) : 1);

/** Color of pixel i: errors over the dimmed image, probability, mask, or the image alone. */
const shades = ([levels, bits, image], least, view) => (i) => {
  const [truth, found, gray] = [isForeground(bits, i), levels[i] >= least, image[i]];
  const even = { probability: (255 * levels[i]) / 99, mask: found ? 255 : 0, image: gray }[view];
  if (view !== "errors") return [even, even, even];
  const kind = kindOf(truth, found);
  if (kind === "tn") return [0.3 * gray, 0.3 * gray, 0.3 * gray];
  return ERRORS[kind][1].map((c) => c * (0.85 + (0.15 * gray) / 255)); // a trace of the image
};

/** One picture, [levels, bits, image], with its counts and the sentence on it. */
function showPicture(find, size, data, { least = HALF, view, count, summary }) {
  find("output").textContent = summary;
  showCounts(find, count);
  paint(find("canvas"), size, shades(data, least, view));
  find("canvas").setAttribute("aria-label", `View: ${view}. ${summary}`);
}

const PLOT = { x: 46, y: 26, w: 262, h: 150 }; // the plotting area, in a drawing of 320 x 212
/** Where a value from 0 to 1 lies along the axes of a plot. */
const plotX = (value) => PLOT.x + PLOT.w * value;
const plotY = (value) => PLOT.y + PLOT.h * (1 - value);
const plotText = (x, y, content, anchor = "middle", more = "") =>
  `<text class="uw-small" x="${x}" y="${y}" text-anchor="${anchor}" ${more}>${content}</text>`;
const plotNow = (x) => `<path class="uw-now" d="M${plotX(x)} ${plotY(0)}V${plotY(1)}"/>`;
const plotDot = ([x, y], kind) =>
  `<circle class="uw-dot uw-${kind}" cx="${plotX(x)}" cy="${plotY(y)}" r="4.5"/>`;
function plotPath(points, kind) {
  const places = points.map(([x, y]) => `${plotX(x).toFixed(1)} ${plotY(y).toFixed(1)}`);
  return `<path class="uw-curve uw-${kind}" d="M${places.join("L")}"/>`;
}

/** A curve, a dot at the present point, and a key above the axes, from `left` on. */
const plotCurve = (points, at, kind, name, left) => plotPath(points, kind) +
  plotDot(points[at], kind) + plotPath([[left, 1.1], [left + 0.07, 1.1]], kind) +
  plotText(plotX(left + 0.085), plotY(1.1) + 4, name, "start");

/** Axes with their names and ticks, [place from 0 to 1, text] each, behind the content. */
const UNIT = [[0, "0"], [0.5, "0.5"], [1, "1"]];
function plotFrame(svg, { x, y, xTicks = UNIT, yTicks = UNIT }, content, label) {
  const [left, right, top, bottom] = [plotX(0), plotX(1), plotY(1), plotY(0)];
  const across = ([at, name]) => plotText(plotX(at), bottom + 15, name) +
    `<path class="uw-grid" d="M${plotX(at)} ${bottom}V${top}"/>`;
  const up = ([at, name]) => plotText(left - 6, plotY(at) + 4, name, "end") +
    `<path class="uw-grid" d="M${left} ${plotY(at)}H${right}"/>`;
  const turned = `transform="rotate(-90 14 ${plotY(0.5)})"`;
  svg.setAttribute("viewBox", "0 0 320 212");
  svg.setAttribute("aria-label", label);
  svg.innerHTML = xTicks.map(across).join("") + yTicks.map(up).join("") +
    plotText(plotX(0.5), 206, x) + plotText(14, plotY(0.5), y, "middle", turned) + content;
}
