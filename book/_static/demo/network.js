// The network and the runtime that computes it, both from the book's own folder.

const lost = (path) => () => {
  throw new Error(`The file ${path} did not arrive. Check the connection and load this page anew.`);
};

/** A file of the book; where it does not come, the error says in words which, and what to do. */
export async function fetchFile(path) {
  const response = await fetch(new URL(path, import.meta.url)).catch(lost(path));
  if (!response.ok) {
    throw new Error(`The file ${path} was not found (the server answered ${response.status}). ` +
      "Build the book again with make book, and load this page anew.");
  }
  return response;
}

/** The bytes of a file of the book; tells `progress` how many have come. */
async function bytesOf(path, progress) {
  const response = await fetchFile(path);
  const parts = [];
  for (const reader = response.body.getReader(); ;) {
    const { done, value } = await reader.read().catch(lost(path));
    if (done) return new Uint8Array(await new Blob(parts).arrayBuffer());
    parts.push(value);
    progress(value.length);
  }
}

/** Fetches runtime and network; returns what computes the logits of a normalized picture: one map,
 *  or several, each row by row. */
export async function loadNetwork(progress) {
  const [ort, runtime, model] = await Promise.all([
    import("../vendor/ort/ort.wasm.bundle.min.mjs").catch(lost("ort.wasm.bundle.min.mjs")),
    bytesOf("../vendor/ort/ort-wasm-simd-threaded.wasm", progress),
    bytesOf("unet.onnx", progress),
  ]);
  ort.env.wasm.numThreads = 1; // several need headers that a plain file server does not send
  ort.env.wasm.wasmBinary = runtime;
  const session = await ort.InferenceSession.create(model).catch((error) => {
    throw new Error("The runtime or the network arrived damaged. Load this page anew; if that " +
      `does not help, build the book again with make book. (${error.message})`);
  });
  return async (picture, width) => {
    const images = new ort.Tensor("float32", picture, [1, 1, picture.length / width, width]);
    const { logits } = await session.run({ images });
    return logits.data;
  };
}
