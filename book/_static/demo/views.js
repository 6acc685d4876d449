// Draws images, probabilities, masks and instances into canvases, and outlines over them.

// unet_lib.plots.LABEL_COLORS: neighbors in this list differ in lightness.
const COLORS = [
  [230, 159, 0], [0, 158, 115], [240, 228, 66], [204, 121, 167],
  [0, 114, 178], [86, 180, 233], [213, 94, 0],
];

/** Paints each pixel with `color(i)`: [red, green, blue], from 0 to 255. */
function paint(canvas, { width, height }, color) {
  if (canvas.width !== width || canvas.height !== height) Object.assign(canvas, { width, height });
  const context = canvas.getContext("2d");
  const pixels = context.createImageData(width, height);
  for (let i = 0; i < width * height; i++) pixels.data.set([...color(i), 255], 4 * i);
  context.putImageData(pixels, 0, 0);
}

const gray = (value) => [value, value, value];

/** Values from 0, black, to 1, white: normalized images, probabilities, masks. */
export function showValues(canvas, size, values) {
  paint(canvas, size, (i) => gray(255 * values[i]));
}

const colorOf = (label) => COLORS[(label - 1) % COLORS.length];

/** Each instance in a color over the dimmed image, with a dark line where two of them touch. */
export function showInstances(canvas, size, labels, normalized) {
  const touches = (i, j) => labels[j] > 0 && labels[j] !== labels[i];
  paint(canvas, size, (i) => {
    if (!labels[i]) return gray(80 * normalized[i]);
    const last = (i + 1) % size.width === 0;
    if (touches(i, i + size.width) || (!last && touches(i, i + 1))) return gray(0);
    return colorOf(labels[i]);
  });
}

/** The edges of all instances, each in its color, as lines of an SVG over the image. */
export function showOutlines(svg, { width, height }, labels) {
  const lines = new Map(COLORS.map((color) => [color, []]));
  labels.forEach((label, i) => {
    if (!label) return;
    const [x, y, line] = [i % width, Math.floor(i / width), lines.get(colorOf(label))];
    if (labels[i - width] !== label) line.push(`M${x} ${y}h1`);
    if (labels[i + width] !== label) line.push(`M${x} ${y + 1}h1`);
    if (!x || labels[i - 1] !== label) line.push(`M${x} ${y}v1`);
    if (x === width - 1 || labels[i + 1] !== label) line.push(`M${x + 1} ${y}v1`);
  });
  svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
  svg.innerHTML = [...lines].map(([color, line]) =>
    `<path stroke="rgb(${color})" d="${line.join("")}"/>`).join("");
}
