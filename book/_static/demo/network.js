// The network of chapter 4 and the runtime that computes it, both from the book's own folder.

const here = (path) => new URL(path, import.meta.url).href;

/** The bytes of a file of the book; tells `progress` how many have come. */
async function bytesOf(path, progress) {
  const response = await fetch(here(path));
  if (!response.ok) {
    throw new Error(`The file ${path} was not found (the server answered ${response.status}). ` +
      "Build the book again with make book, and load this page anew.");
  }
  const parts = [];
  for (const reader = response.body.getReader(); ;) {
    const { done, value } = await reader.read();
    if (done) return new Uint8Array(await new Blob(parts).arrayBuffer());
    parts.push(value);
    progress(value.length);
  }
}

/** Fetches runtime and network; returns what computes logits (H·W) of a normalized picture. */
export async function loadNetwork(progress) {
  const [ort, runtime, model] = await Promise.all([
    import("../vendor/ort/ort.wasm.bundle.min.mjs"),
    bytesOf("../vendor/ort/ort-wasm-simd-threaded.wasm", progress),
    bytesOf("unet.onnx", progress),
  ]);
  ort.env.wasm.numThreads = 1; // several need headers that a plain file server does not send
  ort.env.wasm.wasmBinary = runtime;
  const session = await ort.InferenceSession.create(model);
  return async (picture, width) => {
    const images = new ort.Tensor("float32", picture, [1, 1, picture.length / width, width]);
    const { logits } = await session.run({ images });
    return logits.data;
  };
}
