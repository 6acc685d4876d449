// A picture as the network has learned to see it: the twin of unet_lib/data/normalize.py.

/** One gray value a pixel from red, green, blue and alpha, weighted as Pillow weights them. */
export function toGray(rgba) {
  const gray = new Uint8Array(rgba.length / 4);
  for (let i = 0; i < gray.length; i++) {
    const [red, green, blue] = [rgba[4 * i], rgba[4 * i + 1], rgba[4 * i + 2]];
    gray[i] = (19595 * red + 38470 * green + 7471 * blue + 32768) >> 16;
  }
  return gray;
}

/** The value below which `percent` of the sorted values lie, as numpy.percentile finds it. */
export function percentile(sorted, percent) {
  const place = (percent / 100) * (sorted.length - 1);
  const below = Math.floor(place);
  const [a, b] = [sorted[below], sorted[Math.min(below + 1, sorted.length - 1)]];
  const share = place - below;
  return share < 0.5 ? a + (b - a) * share : b - (b - a) * (1 - share);
}

/** Percentiles 1 and 99.8 of the gray values: the ends of what is stretched. */
export function contrastOf(gray) {
  const sorted = gray.slice().sort();
  return [percentile(sorted, 1), percentile(sorted, 99.8)];
}

/** The low end becomes 0 and the high end 1; a picture without contrast becomes 0. */
export function normalize(gray, [low, high] = contrastOf(gray)) {
  const scale = high > low ? 1 / (high - low) : 0;
  return Float32Array.from(gray).map((value) => (value - low) * scale);
}
