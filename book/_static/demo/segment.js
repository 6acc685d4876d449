// From the gray values of a picture to its instances, as unet_lib does it, with the time it takes.

import { decodeDistances, labelInstances, sigmoid } from "./instances.js";
import { normalize } from "./preprocess.js";

/** All steps; what each of them gave, and the milliseconds up to the logits and after them. */
export async function segment(network, { gray, width, height }, threshold) {
  const start = performance.now();
  const normalized = normalize(gray);
  const logits = await network(normalized, width);
  const before = performance.now() - start;
  return instancesOf({ gray, normalized, width, height, logits, before }, threshold);
}

/** The steps after the network: another threshold needs no new run of it. One of three maps says
 *  how near to the center of its nucleus a pixel is, and how deep in it: `depth`, in the mask. */
export function instancesOf(result, threshold) {
  const start = performance.now();
  const maps = mapsOf(sigmoid(result.logits), result.width * result.height);
  const found = maps.length === 3 ? decodeDistances(maps, result.width, threshold)
    : labelInstances(maps[0], result.width, threshold);
  const depth = maps[2]?.map((value, i) => value * found.mask[i]);
  const after = performance.now() - start;
  return { ...result, ...found, probability: maps[0], depth, threshold, after };
}

/** Maps of `size` pixels, which lie one after the other. */
const mapsOf = (values, size) => Array.from(
  { length: values.length / size }, (_, k) => values.subarray(k * size, (k + 1) * size));
