// From logits to numbered objects: the twin of unet_lib/evaluation/instances.py and decoders.py.

import { distanceTransform, gaussian, peaks } from "./distance.js";

/** Values from 0 to 1 from logits. */
export const sigmoid = (logits) => logits.map((logit) => 1 / (1 + Math.exp(-logit)));

/** Where the probability is above the threshold: 1, else 0. */
export function maskOf(probability, threshold) {
  const limit = Math.fround(threshold); // as the probabilities are held
  return Uint8Array.from(probability.map((value) => value > limit));
}

/** The pixels beside pixel i: above, left, right, below, and the corners where `corners` is set. */
function neighbors(i, width, size, corners = false) {
  const x = i % width;
  const near = [i - width, x ? i - 1 : -1, x + 1 < width ? i + 1 : -1, i + width];
  if (corners) {
    if (x) near.push(i - width - 1, i + width - 1);
    if (x + 1 < width) near.push(i - width + 1, i + width + 1);
  }
  return near.filter((j) => j >= 0 && j < size);
}

/** Numbers the connected regions 1, 2, ... in reading order; pixels that touch by a corner are
 *  connected. */
export function numberRegions(mask, width) {
  const labels = new Int32Array(mask.length);
  let count = 0;
  for (let start = 0; start < mask.length; start++) {
    if (!mask[start] || labels[start]) continue;
    labels[start] = ++count;
    for (const open = [start]; open.length;) {
      for (const j of neighbors(open.pop(), width, mask.length, true)) {
        if (!mask[j] || labels[j]) continue;
        labels[j] = count;
        open.push(j);
      }
    }
  }
  return { labels, count };
}

/** A queue that gives the lowest entry first, of two equally low ones the older. */
class Queue {
  #entries = [];

  get length() {
    return this.#entries.length;
  }

  #before(a, b) {
    const [one, two] = [this.#entries[a], this.#entries[b]];
    return one.height < two.height || (one.height === two.height && one.age < two.age);
  }

  #swap(a, b) {
    [this.#entries[a], this.#entries[b]] = [this.#entries[b], this.#entries[a]];
  }

  push(entry) {
    let i = this.#entries.push(entry) - 1;
    for (let up; i && this.#before(i, (up = (i - 1) >> 1)); i = up) this.#swap(i, up);
  }

  pop() {
    this.#swap(0, this.#entries.length - 1);
    const entry = this.#entries.pop();
    for (let i = 0; ;) {
      let least = i;
      for (const child of [2 * i + 1, 2 * i + 2]) {
        if (child < this.#entries.length && this.#before(child, least)) least = child;
      }
      if (least === i) return entry;
      this.#swap(i, least);
      i = least;
    }
  }
}

/** Each seed grows through the mask, the lowest pixels first, until it meets another. What lies
 *  lower than the way to it waits until the flood has come over that way. Returns the labels. */
export function watershed(heights, seeds, mask, width) {
  const labels = seeds.slice();
  const queue = new Queue();
  seeds.forEach((seed, i) => seed && queue.push({ height: heights[i], age: 0, i }));
  for (let age = 0; queue.length;) {
    const { i, height } = queue.pop();
    for (const j of neighbors(i, width, mask.length)) {
      if (!mask[j] || labels[j]) continue;
      labels[j] = labels[i];
      queue.push({ height: Math.max(height, heights[j]), age: ++age, i: j });
    }
  }
  return labels;
}

/** Numbers the objects 1..count: `label_instances` of one channel, with its settings. */
export function labelInstances(probability, width, threshold = 0.5) {
  const mask = maskOf(probability, threshold);
  const distance = distanceTransform(mask, width);
  return grow(peaks(distance, width), distance, mask, width);
}

/** The same from three maps: `decode_distances`, with its settings. */
export function decodeDistances([probability, nearness, depth], width, threshold = 0.5) {
  const mask = maskOf(probability, threshold);
  const middle = gaussian(nearness.map((near, i) => (near + depth[i]) / 2), width, 1);
  return grow(Uint8Array.from(middle, (value) => value > 0.5), depth, mask, width);
}

/** `grow_seeds`: what lies together of the seeds grows through the mask, from the heights down. */
function grow(tops, heights, mask, width, minimumPixels = 12) {
  const seeds = numberRegions(tops.map((top, i) => top & mask[i]), width);
  const grown = watershed(heights.map((height) => -height), seeds.labels, mask, width);
  const lost = numberRegions(mask.map((inside, i) => inside && !grown[i]), width); // without a seed
  const raw = grown.map((label, i) => (lost.labels[i] ? seeds.count + lost.labels[i] : label));
  const pixels = new Int32Array(seeds.count + lost.count + 1);
  raw.forEach((label) => pixels[label]++);
  let count = 0;
  const numbers = pixels.map((n, label) => (label && n >= minimumPixels ? ++count : 0));
  return { mask, labels: raw.map((label) => numbers[label]), count };
}
