// Pictures from the book and from the reader. What cannot be used is answered in words: what was
// found, what was expected, and what to do.

import { fetchFile } from "./network.js";
import { toGray } from "./preprocess.js";

const SMALLEST = 16; // pixels a side, as unet_lib.data.simulate_nuclei
const LARGEST = 512; // pixels a side that the page computes in about a second
const HEAVIEST = 32; // megabytes of a file

/** The pixels of an image, `width` × `height` of them, as red, green, blue and alpha. */
function pixelsOf(bitmap, width, height) {
  const context = new OffscreenCanvas(width, height).getContext("2d", { willReadFrequently: true });
  context.imageSmoothingQuality = "high";
  context.drawImage(bitmap, 0, 0, width, height);
  return context.getImageData(0, 0, width, height).data;
}

/** Decodes an image without any change of its values. */
const decode = (blob) => createImageBitmap(
  blob, { colorSpaceConversion: "none", premultiplyAlpha: "none" });

/** The gray values of a file of the book, and the width of its image. */
async function grayFile(path) {
  const bitmap = await decode(await (await fetchFile(path)).blob());
  return [toGray(pixelsOf(bitmap, bitmap.width, bitmap.height)), bitmap.width];
}

/** The simulated images: one file with all of them, one below the other, their counts, and the
 *  nuclei that the simulator drew, numbered, in a file of the same shape. */
export async function simulatedPictures() {
  const [[gray, side], [truth], counts] = await Promise.all(
    [grayFile("nuclei.png"), grayFile("truth.png"), fetchFile("nuclei.json")]);
  return (await counts.json()).map((nuclei, i) => {
    const part = (values) => values.slice(i * side * side, (i + 1) * side * side);
    return { gray: part(gray), truth: part(truth), width: side, height: side, nuclei };
  });
}

/** The size at which a picture is computed: at most 512 pixels a side, proportions kept. */
export function fittedSize(width, height) {
  const scale = Math.min(1, LARGEST / Math.max(width, height));
  return [Math.round(width * scale), Math.round(height * scale)];
}

/** A picture from a file of the reader, in gray; it never leaves the browser. */
export async function ownPicture(file) {
  if (file.size > HEAVIEST * 1e6) {
    throw new Error(`${file.name} weighs ${(file.size / 1e6).toFixed(0)} MB; this page takes up ` +
      `to ${HEAVIEST} MB. Cut out or scale down the part that matters.`);
  }
  const bitmap = await decode(file).catch(() => {
    throw new Error(`${file.name} (${file.type || "of unknown type"}) is no picture that this ` +
      "browser can read. PNG, JPEG and WebP always work; save it as PNG, TIFF and " +
      "microscope formats too.");
  });
  const [width, height] = fittedSize(bitmap.width, bitmap.height);
  if (Math.min(width, height) < SMALLEST) {
    const scaled = width < bitmap.width ? `, scaled down ${width} × ${height}` : "";
    throw new Error(`${file.name} has ${bitmap.width} × ${bitmap.height} pixels${scaled}; at ` +
      `least ${SMALLEST} × ${SMALLEST} are needed. Take a larger or less elongated picture.`);
  }
  const rgba = pixelsOf(bitmap, width, height);
  if (rgba.some((value, i) => i % 4 === 3 && value < 255)) {
    throw new Error(`${file.name} is transparent in places, and what lies under them is not known. ` +
      "Put it on a background and save that.");
  }
  const note = width < bitmap.width
    ? `Scaled down from ${bitmap.width} × ${bitmap.height} to ${width} × ${height} pixels.` : "";
  return { gray: toGray(rgba), width, height, note };
}
