// Draws pictures, probabilities, masks and instances into canvases.

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

/** Values from 0, black, to 1, white: normalized pictures, probabilities, masks. */
export function showValues(canvas, size, values) {
  paint(canvas, size, (i) => gray(255 * values[i]));
}

/** Each instance in a color over the dimmed picture, with a dark line where two of them touch. */
export function showInstances(canvas, size, labels, normalized) {
  const touches = (i, j) => labels[j] > 0 && labels[j] !== labels[i];
  paint(canvas, size, (i) => {
    if (!labels[i]) return gray(80 * normalized[i]);
    const last = (i + 1) % size.width === 0;
    if (touches(i, i + size.width) || (!last && touches(i, i + 1))) return gray(0);
    return COLORS[(labels[i] - 1) % COLORS.length];
  });
}
