// The pixels of touching nuclei on their way to where their offsets point, and the votes that they
// leave there. What is computed stands in gathering_steps.js; here it is drawn.

const CHOICES = ["none", "heaps", "true"];
const KEYS = ["way", "color", "smoothing", "noise"];
const SCALE = 8; // dots of the canvas for one pixel of the image
const COLORS = [[230, 159, 0], [0, 158, 115], [240, 228, 66], [204, 121, 167], [0, 114, 178],
  [86, 180, 233], [213, 94, 0]]; // as unet_lib.plots.LABEL_COLORS
const RAMP = [[10, 10, 16], [61, 37, 96], [143, 50, 119], [224, 96, 79], [249, 177, 63],
  [255, 255, 255]]; // no votes to the most, from dark to light

const named = (name, title, least, most) => `<label class="uw-named"><span>${title}</span>
  <input type="range" name="${name}" min="${least}" max="${most}" step="0.25"><b></b></label>`;
const panel = (part, caption) => `<figure>
  <div class="uw-layers" role="img" data-part="${part}"><canvas></canvas>
  <svg aria-hidden="true"></svg></div>
  <figcaption>${caption}</figcaption></figure>`;
const PAGE = `
  <form class="uw-controls" aria-label="Pixels and their votes">
    ${slider("Way to where the offset points", 'name="way" max="1" step="0.01" aria-label="Way"',
    '<button type="button">Play</button>')}
    ${choice("color", "Color", CHOICES)}
    <div class="uw-grid-of-sliders">${named("smoothing", "Smoothing", 0.5, 5)}
      ${named("noise", "Noise", 0, 8)}</div>
  </form>
  <div class="uw-status"><output></output></div>
  <div class="uw-row uw-three">${panel("pixels", "Pixels on their way")}
    ${panel("votes", "Smoothed votes")}</div>`;

/** The stations of a play, [way, color]: there without a color, home with that of the heap. */
export function stations(still) {
  const smoothly = Array.from({ length: 36 }, (_, i) => (1 - Math.cos((Math.PI * i) / 35)) / 2);
  const stay = (way, color) => Array(12).fill([way, color]);
  const there = still ? [] : smoothly.map((way) => [way, "none"]);
  const home = still ? [] : smoothly.map((way) => [1 - way, "heaps"]);
  const all = [...stay(0, "none"), ...there, ...stay(1, "none"), ...stay(1, "heaps"), ...home,
    [0, "heaps"]];
  return all.map(([way, color]) => [Math.round(100 * way) / 100, color]);
}

/** What the widget stores, unpacked: numbers of the foreground, or of the whole image. */
async function unpackGathering(model) {
  const names = ["image", "labels", "inside", "weights", "offsets", "grain"];
  const parts = await Promise.all(names.map((name) => unpack(model.get(name))));
  const [image, labels, inside, weights, offsets, grain] = parts;
  const [size, places] = [model.get("size"), placesOf(inside, model.get("size"))];
  const numbers = new Uint16Array(labels.buffer);
  return { size, places, image, labels: numbers, truth: places.map((i) => numbers[i]),
    nuclei: model.get("nuclei"), grain: new Int16Array(grain.buffer),
    weights: new Float32Array(weights.buffer), offsets: new Float32Array(offsets.buffer) };
}

/** Everything that noise and smoothing decide. */
function gather(data, { noise, smoothing }) {
  const landed = landing({ ...data, noise });
  const found = decode({ ...data, landed, smoothing });
  const [count, nuclei] = [found.centers.length, data.nuclei];
  const fates = owners(found.heaps, data.truth, count, nuclei);
  const summary = summarize({ count, nuclei, ...fates });
  return { key: `${noise} ${smoothing}`, landed, ...found, ...fates, summary };
}

async function render({ model, el }) {
  const { root, find, form } = mount(el, "gathering", PAGE);
  const [button, output] = ["form button", "output"].map(find);
  const data = await unpackGathering(model);
  const ground = document.createElement("canvas"); // the image, darker, without the pixels on it
  paint(ground, data.size, (i) => Array(3).fill(0.3 * data.image[i]));
  root.querySelectorAll("svg").forEach((svg) => {
    svg.setAttribute("viewBox", `0 0 ${data.size[1]} ${data.size[0]}`);
    svg.innerHTML = `<path class="uw-outline" d="${outlines(data.labels, data.size)}"/><g></g>`;
  });
  let now = {};

  function draw() {
    const { way, color, smoothing, noise } = state(model, KEYS);
    if (now.key !== `${noise} ${smoothing}`) {
      now = gather(data, { noise, smoothing });
      drawVotes(find("[data-part=votes]"), data, now);
    }
    fill(form, { way, color, smoothing, noise });
    find(".uw-value").textContent = way.toFixed(2);
    for (const [name, value] of Object.entries({ smoothing, noise })) {
      const text = `${value.toFixed(2)} px`;
      form.elements[name].nextElementSibling.textContent = text;
      form.elements[name].setAttribute("aria-valuetext", text);
    }
    output.textContent = now.summary;
    root.classList.toggle("uw-problem", now.sharing + now.missed + now.spare > 0);
    drawPixels(find("[data-part=pixels]"), data, now, { way, color, ground });
  }

  let left = [];
  const stop = offerPlay(button, output, {
    pace: 35,
    rewind() {
      left = stations(matchMedia(SLOW).matches);
    },
    advance() {
      const [way, color] = left.shift();
      store(model, { way, color });
      return left.length > 0;
    },
  });
  form.addEventListener("input", ({ target: { name, value } }) => {
    if (name === "way" || name === "color") stop();
    store(model, { [name]: parsed(value) });
  });
  const unfollow = follow(model, KEYS, draw);
  return () => {
    stop();
    unfollow();
  };
}

/** The edges between different labels, as one path. */
function outlines(labels, [height, width]) {
  let path = "";
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const label = labels[y * width + x];
      if (y && labels[(y - 1) * width + x] !== label) path += `M${x} ${y}h1`;
      if (x && labels[y * width + x - 1] !== label) path += `M${x} ${y}v1`;
    }
  }
  return path;
}

const rgb = (color, light = 1) => `rgb(${color.map((c) => Math.round(c * light))})`;

/** The color of a nucleus by its number, white for a heap that is none's, gray without a heap. */
function colorOf(number, nuclei) {
  if (number > nuclei) return [255, 255, 255];
  return number ? COLORS[(number - 1) % COLORS.length] : [119, 119, 119];
}

/** A circle around each center, `look(k)` being its color. */
const circles = (centers, look) => centers.map(([y, x], k) => ["uw-halo", "uw-ring"].map((kind) =>
  `<circle class="${kind}" cx="${x + 0.5}" cy="${y + 0.5}" r="2.4" stroke="${look(k)}"/>`).join(""))
  .join("");

/** Paints a square, its middle in that of the pixel in row y and column x; both may be fractions. */
function square(context, y, x, side, style) {
  context.fillStyle = style;
  const [top, left] = [y, x].map((middle) => SCALE * (middle + 0.5 - side / 2));
  context.fillRect(left, top, SCALE * side, SCALE * side);
}

/** Each pixel as a small square between its own place (way 0) and its vote's (way 1). */
function drawPixels(part, data, now, { way, color, ground }) {
  const [{ image, places, truth, nuclei }, canvas] = [data, part.querySelector("canvas")];
  const { landed: [rows, columns], heaps, owner, centers, summary } = now;
  const { height, width } = ground;
  Object.assign(canvas, { height: SCALE * height, width: SCALE * width });
  const context = canvas.getContext("2d");
  context.imageSmoothingEnabled = false;
  context.drawImage(ground, 0, 0, canvas.width, canvas.height);
  const own = { none: () => [255, 255, 255], true: (i) => colorOf(truth[i], nuclei),
    heaps: (i) => colorOf(owner[heaps[i] - 1] ?? 0, nuclei) }[color];
  const dark = color === "none" ? 0.65 : 0.15; // as much as the image's darkest pixel is darker
  places.forEach((place, i) => {
    const [y, x] = [Math.floor(place / width), place % width];
    const at = [y + way * (rows[i] - y), x + way * (columns[i] - x)];
    square(context, ...at, 1, "#0008");
    square(context, ...at, 0.8, rgb(own(i), 1 - dark * (1 - image[place] / 255)));
  });
  part.querySelector("g").innerHTML = color === "none" ? "" : circles(centers, () => "#fff");
  part.setAttribute("aria-label", `Foreground pixels, ${Math.round(100 * way)} % of the way to ` +
    `where their offsets point, over the image with the outlines of the nuclei. ${summary}`);
}

/** The smoothed votes, bright where many agree. */
function drawVotes(part, { size, nuclei }, { votes, centers, owner, summary }) {
  const most = votes.reduce((a, b) => Math.max(a, b), 0) || 1;
  paint(part.querySelector("canvas"), size, (i) => {
    const along = Math.sqrt(votes[i] / most) * (RAMP.length - 1);
    const k = Math.min(Math.floor(along), RAMP.length - 2);
    return RAMP[k].map((c, j) => c + (along - k) * (RAMP[k + 1][j] - c));
  });
  part.querySelector("g").innerHTML = circles(centers, (k) => rgb(colorOf(owner[k], nuclei)));
  part.setAttribute("aria-label", `Map of the smoothed votes, each heap circled. ${summary}`);
}
