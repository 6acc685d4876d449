// From the gray values of a picture to its instances, as unet_lib does it, with the time it takes.

import { labelInstances, sigmoid } from "./instances.js";
import { normalize } from "./preprocess.js";

/** All steps; what each of them gave, and the milliseconds up to the logits and after them. */
export async function segment(network, { gray, width, height }, threshold) {
  const start = performance.now();
  const normalized = normalize(gray);
  const logits = await network(normalized, width);
  const before = performance.now() - start;
  return instancesOf({ gray, normalized, width, height, logits, before }, threshold);
}

/** The steps after the network: another threshold needs no new run of it. */
export function instancesOf(result, threshold) {
  const start = performance.now();
  const probability = sigmoid(result.logits);
  const found = labelInstances(probability, result.width, threshold);
  return { ...result, ...found, probability, threshold, after: performance.now() - start };
}
