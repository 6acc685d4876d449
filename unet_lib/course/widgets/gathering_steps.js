// From offsets to objects: the steps of `decode_offsets` in unet_lib.evaluation. Maps hold an image
// row by row; what is said of pixels holds for those of the foreground, in the same order.

const OFFSET_UNIT = 10; // pixels, as in unet_lib.data
const GRAIN = 4096; // steps of the noise in one standard deviation
const LEAST_VOTES = 3;
const MINIMUM_PIXELS = 12;

/** The nearest whole number, of two equally near ones the even one, as NumPy rounds. */
const rint = (x) => (Math.abs(x % 1) === 0.5 ? 2 * Math.round(x / 2) : Math.round(x));

/** The places of the foreground, as numbers in reading order. */
export const placesOf = (bits, [height, width]) =>
  Array.from({ length: height * width }, (_, i) => i).filter((i) => isForeground(bits, i));

/** Where each pixel's offset points: rows and columns. `offsets` holds those of all rows, then those
 *  of all columns, in single precision; `grain` likewise what is added for a noise of one pixel. */
export function landing({ places, offsets, grain, size: [, width], noise }) {
  const n = places.length;
  const along = (own, i) => {
    const shift = Math.fround((noise * grain[i]) / (GRAIN * OFFSET_UNIT));
    return own + Math.fround(OFFSET_UNIT * Math.fround(offsets[i] + shift));
  };
  return [places.map((place, i) => along(Math.floor(place / width), i)),
    places.map((place, i) => along(place % width, n + i))];
}

/** `gather_votes`: the weights added up on the pixels where they landed. */
export function gatherVotes([rows, columns], weights, [height, width]) {
  const votes = new Float64Array(height * width);
  const near = (along, side) => Math.min(Math.max(rint(along), 0), side - 1);
  rows.forEach((row, i) => {
    votes[near(row, height) * width + near(columns[i], width)] += weights[i];
  });
  return votes;
}

/** An image whose columns, and then whose rows, are made anew: `value(line, i, length)` is the new
 *  value at place i, where `line(j)` is the old one at place j. */
function alongBoth(values, [height, width], value) {
  const pass = (old, lines, next, length, step) => {
    const result = new Float64Array(old.length);
    for (let start = 0; start < lines * next; start += next) {
      const line = (j) => old[start + j * step];
      for (let i = 0; i < length; i++) result[start + i * step] = value(line, i, length);
    }
    return result;
  };
  return pass(pass(values, width, 1, height, width), height, width, width, 1);
}

/** A Gaussian filter up to four standard deviations, the image mirrored at its edges. */
export function smooth(votes, size, sigma) {
  const reach = Math.floor(4 * sigma + 0.5);
  const bell = Array.from({ length: reach + 1 }, (_, k) => Math.exp((-0.5 * k * k) / sigma ** 2));
  const sum = bell.reduce((total, value, k) => total + (k ? 2 : 1) * value, 0);
  const weights = bell.map((value) => value / sum);
  const mirrored = (i, n) => {
    const along = ((i % (2 * n)) + 2 * n) % (2 * n);
    return Math.min(along, 2 * n - 1 - along);
  };
  return alongBoth(votes, size, (line, i, n) => {
    let total = line(i) * weights[0];
    for (let k = reach; k; k--) {
      total += (line(mirrored(i - k, n)) + line(mirrored(i + k, n))) * weights[k];
    }
    return total;
  });
}

/** The largest value within `reach` pixels, in a square. */
const largest = (values, size, reach) => alongBoth(values, size, (line, i, n) => {
  let most = -Infinity;
  for (let j = Math.max(0, i - reach); j <= Math.min(n - 1, i + reach); j++) {
    most = Math.max(most, line(j));
  }
  return most;
});

/** Row and column of each peak: the middle of each region of largest votes around. */
function peaks(votes, size, smoothing) {
  const [most, width] = [largest(votes, size, Math.ceil(2 * smoothing)), size[1]];
  const enough = LEAST_VOTES / (2 * Math.PI * smoothing ** 2);
  const open = new Set([...votes.keys()].filter((i) => votes[i] === most[i] && votes[i] > enough));
  const centers = [];
  for (const first of open) {
    const region = [first];
    for (const i of region) { // grows on the way
      open.delete(i);
      const x = i % width;
      const around = [i - width, i + width, x ? i - 1 : -1, x + 1 < width ? i + 1 : -1];
      region.push(...around.filter((j) => open.delete(j)));
    }
    const mean = (part) => region.reduce((sum, i) => sum + part(i), 0) / region.length;
    centers.push([mean((i) => Math.floor(i / width)), mean((i) => i % width)]);
  }
  return centers;
}

/** The smoothed votes, the centers of the heaps, and for each pixel the number of its heap, from 1
 *  on; 0 where the heap is too small to count. */
export function decode({ landed, weights, size, smoothing }) {
  const votes = smooth(gatherVotes(landed, weights, size), size, smoothing);
  const centers = peaks(votes, size, smoothing);
  const [rows, columns] = landed;
  const nearest = rows.map((row, i) => {
    const away = centers.map(([y, x]) => (row - y) ** 2 + (columns[i] - x) ** 2);
    return away.indexOf(Math.min(...away)); // -1 where there is no center
  });
  const pixels = centers.map(() => 0);
  nearest.forEach((k) => pixels[k]++);
  let count = 0;
  const numbers = pixels.map((n) => (n >= MINIMUM_PIXELS ? ++count : 0));
  const kept = centers.filter((_, k) => numbers[k]);
  return { votes, centers: kept, heaps: nearest.map((k) => numbers[k] ?? 0) };
}

/** Whose heap each is: the nucleus, from 1 on, most of whose pixels lie in it, and further numbers
 *  for heaps that are no nucleus's. Also how many nuclei share the heap of another. */
export function owners(heaps, truth, count, nuclei) {
  const shared = Array.from({ length: nuclei }, () => new Array(count + 1).fill(0));
  heaps.forEach((heap, i) => truth[i] && shared[truth[i] - 1][heap]++);
  const owner = new Array(count).fill(0);
  let [sharing, missed] = [0, 0];
  shared.forEach(([, ...own], k) => {
    const most = Math.max(0, ...own);
    if (!most) missed++;
    else if (owner[own.indexOf(most)]) sharing++;
    else owner[own.indexOf(most)] = k + 1;
  });
  let next = nuclei;
  const spare = owner.filter((number) => !number).length;
  return { owner: owner.map((number) => number || ++next), sharing, missed, spare };
}

/** How many heaps there are for how many nuclei, and why not as many. */
export function summarize({ count, nuclei, sharing, missed, spare }) {
  const number = (n, one, many) => `${n} ${n === 1 ? one : many}`;
  const reasons = [
    sharing && `${number(sharing, "nucleus shares", "nuclei share")} the heap of another`,
    missed && number(missed, "nucleus has none", "nuclei have none"),
    spare && number(spare, "heap is too many (white)", "heaps are too many (white)"),
  ].filter(Boolean);
  return `${number(count, "heap", "heaps")}, ${number(nuclei, "nucleus", "nuclei")}` +
    `${reasons.length ? `: ${reasons.join(", ")}` : ""}.`;
}
