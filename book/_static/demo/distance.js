// Distance to the background, smoothing and peaks: what scipy.ndimage does for the decoders of
// unet_lib/evaluation. Arrays hold a picture row by row; `width` is the length of a row.

import { percentile } from "./preprocess.js";

/** Squared distance of each place of a line to the nearest parabola: the lower envelope of all. */
function envelope(heights) {
  const n = heights.length;
  const result = new Float64Array(n).fill(Infinity);
  const lowest = new Int32Array(n); // the parabolas that are lowest somewhere, from left to right
  const from = new Float64Array(n); // and from where on
  let count = 0;
  for (let i = 0; i < n; i++) {
    if (heights[i] === Infinity) continue;
    let start = -Infinity;
    for (; count; count--) {
      const last = lowest[count - 1];
      start = (heights[i] + i * i - heights[last] - last * last) / (2 * (i - last));
      if (start > from[count - 1]) break;
    }
    from[count] = count ? start : -Infinity;
    lowest[count++] = i;
  }
  for (let i = 0, k = 0; i < n && count; i++) {
    while (k + 1 < count && from[k + 1] <= i) k++;
    result[i] = heights[lowest[k]] + (i - lowest[k]) ** 2;
  }
  return result;
}

/** Applies a function of a line to every column, then to every row; what comes in single precision
 *  stays so, as in scipy. */
function alongBoth(values, width, work) {
  const height = values.length / width;
  const kind = values instanceof Float32Array ? Float32Array : Float64Array;
  const result = kind.from(values);
  const column = new Float64Array(height);
  for (let x = 0; x < width; x++) {
    for (let y = 0; y < height; y++) column[y] = result[y * width + x];
    const done = work(column);
    for (let y = 0; y < height; y++) result[y * width + x] = done[y];
  }
  for (let start = 0; start < result.length; start += width) {
    result.set(work(result.subarray(start, start + width)), start);
  }
  return result;
}

/** Distance of each foreground pixel to the nearest background pixel, 0 in the background. */
export function distanceTransform(foreground, width) {
  const start = Float64Array.from(foreground).map((inside) => (inside ? Infinity : 0));
  if (!start.includes(0)) { // no background: scipy then measures from above the first pixel
    return start.map((_, i) => Math.sqrt((Math.floor(i / width) + 1) ** 2 + (i % width) ** 2));
  }
  return alongBoth(start, width, envelope).map(Math.sqrt);
}

/** The place in a line of n that stands for place i when the line is mirrored at both ends. */
function mirrored(i, n) {
  const place = ((i % (2 * n)) + 2 * n) % (2 * n);
  return place < n ? place : 2 * n - 1 - place;
}

/** A line with `reach` mirrored values at each end. */
function extend(line, reach) {
  const long = new Float64Array(line.length + 2 * reach);
  long.set(line, reach);
  for (let i = 0; i < reach; i++) {
    long[i] = line[mirrored(i - reach, line.length)];
    long[reach + line.length + i] = line[mirrored(line.length + i, line.length)];
  }
  return long;
}

/** Gaussian filter of a picture, cut off at four standard deviations. */
export function gaussian(values, width, sigma) {
  const reach = Math.floor(4 * sigma + 0.5);
  const bell = Float64Array.from(
    { length: reach + 1 }, (_, i) => Math.exp((-0.5 / (sigma * sigma)) * i * i));
  const sum = bell.reduce((total, value, i) => total + (i ? 2 * value : value), 0);
  const weights = bell.map((value) => value / sum);
  return alongBoth(values, width, (line) => {
    const long = extend(line, reach);
    const result = new Float64Array(line.length);
    for (let i = 0; i < line.length; i++) {
      let total = line[i] * weights[0];
      const at = i + reach;
      for (let k = reach; k; k--) total += (long[at - k] + long[at + k]) * weights[k];
      result[i] = total;
    }
    return result;
  });
}

/** The largest value within `reach` pixels, in a square window. */
function maximum(values, width, reach) {
  return alongBoth(values, width, (line) => {
    const result = new Float64Array(line.length);
    for (let i = 0; i < line.length; i++) {
      let most = line[i];
      const end = Math.min(i + reach, line.length - 1);
      for (let k = Math.max(0, i - reach); k <= end; k++) if (line[k] > most) most = line[k];
      result[i] = most;
    }
    return result;
  });
}

/** Where the distance, smoothed over `smoothing` times the typical radius, has its peaks. */
export function peaks(distance, width, smoothing = 0.25) {
  const inside = distance.filter((value) => value > 0).sort();
  const typical = inside.length ? percentile(inside, 95) : 1;
  const sigma = Math.min(Math.max(smoothing * typical, 0.5), 8);
  const smooth = gaussian(distance, width, sigma);
  const most = maximum(smooth, width, Math.ceil(2 * sigma));
  return Uint8Array.from(smooth.map((value, i) => value === most[i]));
}
