// Sizes and receptive field of a U-Net. The arithmetic is exported, so that the tests can
// compare it with unet_lib.model; everything below `render` draws.

/** [in, out] of every block: `encoder` from the top, bottleneck last; `decoder` from the bottom.
 *  Where the input is not admissible, both stop at the failing block and `problem` says why. */
export function trace({ size, depth, padding, kernel, convolutions }) {
  const loss = padding === "valid" ? convolutions * (kernel - 1) : 0;
  const [encoder, decoder] = [[], []];
  const stop = (problem) => ({ encoder, decoder, problem });
  if (padding === "same" && size < 2 ** depth) {
    encoder.push([size, size]);
    const least = 2 ** depth;
    return stop(`${size} is smaller than ${least}, the least that ${depth} poolings can halve`);
  }
  let n = size;
  const spent = (stage) => `stage ${stage + 1} starts at ${n}, and its convolutions cost ${loss}`;
  for (let stage = 0; stage <= depth; stage++) {
    encoder.push([n, n - loss]);
    if (n <= loss) return stop(spent(stage));
    n -= loss;
    if (stage === depth) break;
    if (padding === "valid" && n % 2) {
      const end = `stage ${stage + 1} ends at ${n}`;
      return stop(`${end}, an odd number, which pooling cannot halve`);
    }
    n = Math.ceil(n / 2);
  }
  for (let stage = depth - 1; stage >= 0; stage--) {
    n = padding === "same" ? encoder[stage][1] : 2 * n;
    decoder.push([n, n - loss]);
    if (n <= loss) return stop(spent(stage));
    n -= loss;
  }
  return stop("");
}

/** Width of the widest window of the input that one output pixel can depend on: an interval is
 *  followed back through decoder and encoder, for each place of a pixel in the pooling cell. */
export function receptiveField({ depth, kernel, convolutions, upsampling }) {
  const reach = (convolutions * (kernel - 1)) / 2;
  const blur = upsampling === "bilinear" ? 1 : 0; // bilinear mixes the two nearest pixels
  let widest = 0;
  for (let place = 0; place < 2 ** depth; place++) {
    let [low, high] = [place, place];
    for (let stage = 0; stage < depth; stage++) {
      low = Math.floor((low - reach - blur) / 2);
      high = Math.floor((high + reach + blur) / 2);
    }
    [low, high] = [low - reach, high + reach];
    for (let stage = 0; stage < depth; stage++) {
      [low, high] = [2 * low - reach, 2 * high + 1 + reach];
    }
    widest = Math.max(widest, high - low + 1);
  }
  return widest;
}

/** The stage at which a network that pools with rounding down and never crops fails, with the two
 *  sizes it would join; null where the input divides by 2^depth. */
export function plainFailure({ size, depth }) {
  for (let stage = depth - 1; stage >= 0; stage--) {
    const skip = Math.floor(size / 2 ** stage);
    if (skip % 2) return { stage: stage + 1, upsampled: skip - 1, skip };
  }
  return null;
}

/** Nearest sizes below and above that fit: admissible ones, and with "same" those that the plain
 *  network takes as well. 0 where there is none. */
export function neighbors(settings) {
  const fits = (size) =>
    !trace({ ...settings, size }).problem &&
    (settings.padding === "valid" || !plainFailure({ ...settings, size }));
  let [below, above] = [settings.size - 1, settings.size + 1];
  while (below > 0 && !fits(below)) below--;
  while (above <= LARGEST && !fits(above)) above++;
  return { below, above: above <= LARGEST ? above : 0 };
}

/** One or two sentences on the present state. */
export function message(settings) {
  const { size, depth, padding } = settings;
  const { decoder, problem } = trace(settings);
  if (problem) return `${size} is not admissible: ${problem}.`;
  const output = decoder.at(-1)[1];
  if (padding === "valid") {
    const margin = (size - output) / 2;
    return `${size} gives ${output}: the outer ${margin} pixels on each side are context only.`;
  }
  const failure = plainFailure(settings);
  if (!failure) {
    const divisor = 2 ** depth;
    return `${size} gives ${size}, and it divides by ${divisor}: a plain network takes it as well.`;
  }
  const { stage, upsampled, skip } = failure;
  return (
    `${size} gives ${size}: pooling rounds up, the decoder cuts what is too much. A plain ` +
    `network fails: its stage ${stage} would join ${upsampled} pixels with ${skip}.`
  );
}

const LARGEST = 1200;
const CHOICES = {
  depth: ["Depth (poolings)", [1, 2, 3, 4, 5]],
  padding: ["Padding", ["valid", "same"]],
  convolutions: ["Convolutions a block", [1, 2, 3]],
  kernel: ["Kernel", [3, 5]],
  upsampling: ["Upsampling", ["transposed", "bilinear"]],
  width: ["First channels", [16, 32, 64]],
};
const KEYS = ["size", ...Object.keys(CHOICES)];

const PAGE = `
  <form class="uw-controls" aria-label="Settings of the U-Net">
    <fieldset class="uw-slider"><legend>Input size (pixels)</legend>
      <input type="range" name="size" min="8" max="${LARGEST}" aria-label="Input size">
      <input type="number" name="size" min="8" max="${LARGEST}" aria-label="Input size, typed">
    </fieldset>
    ${Object.entries(CHOICES).map(([key, [title, values]]) => choice(key, title, values)).join("")}
  </form>
  <div class="uw-status uw-sizes"><output></output>
    <span class="uw-buttons"><button type="button"></button><button type="button"></button></span>
  </div>
  <div class="uw-row">
    <figure class="uw-grow"><svg role="img" data-part="u"></svg>
      <figcaption>Bars: feature maps, height to scale. Dashed: skip connections.</figcaption>
    </figure>
    <figure><svg role="img" data-part="field"></svg>
      <figcaption class="uw-legend" data-part="legend"></figcaption></figure>
  </div>`;

function render({ model, el }) {
  const { root, find, form } = mount(el, "arithmetic", PAGE);
  const part = (name) => find(`[data-part=${name}]`);
  const buttons = root.querySelectorAll(".uw-buttons button");

  function draw() {
    const settings = state(model, KEYS);
    const result = trace(settings);
    for (const input of form.elements) {
      if (input.type === "radio") input.checked = input.value === String(settings[input.name]);
      else if (input.name && Number(input.value) !== settings.size) input.value = settings.size;
    }
    find("output").textContent = message(settings);
    root.classList.toggle("uw-problem", Boolean(result.problem));
    const kind = settings.padding === "valid" ? "admissible" : `multiple of ${2 ** settings.depth}`;
    const { below, above } = neighbors(settings);
    for (const [button, size, label, name] of [
      [buttons[0], below, `← ${below || "none"}`, "Previous"],
      [buttons[1], above, `${above || "none"} →`, "Next"],
    ]) {
      Object.assign(button, { disabled: !size, value: size, textContent: label });
      button.setAttribute("aria-label", `${name} size, ${kind}: ${size || "none"}`);
    }
    const room = part("u").parentNode.clientWidth;
    drawU(part("u"), settings, result, Math.min(520, Math.max(300, room)));
    drawField(part("field"), part("legend"), settings, result);
  }

  form.addEventListener("input", ({ target: { name, value, validity } }) => {
    if (validity.valid && value) store(model, { [name]: parsed(value) });
  });
  form.addEventListener("focusout", draw); // a number left half typed gives way to the state
  for (const button of buttons) {
    button.addEventListener("click", () => store(model, { size: Number(button.value) }));
  }
  const unfollow = follow(model, KEYS, draw);
  const observer = new ResizeObserver(draw);
  observer.observe(root);
  return () => {
    observer.disconnect();
    unfollow();
  };
}

const rect = (x, y, w, h, kind) =>
  `<rect class="uw-${kind}" x="${x}" y="${y}" width="${w}" height="${h}"/>`;
const text = (x, y, content, kind = "", anchor = "start") =>
  `<text class="${kind}" x="${x}" y="${y}" text-anchor="${anchor}">${content}</text>`;
/** An arrow through the points, its head at the last. */
function arrow(points, kind = "") {
  const [[x0, y0], [x, y]] = points.slice(-2);
  const [dx, dy] = [Math.sign(x - x0) * 5, Math.sign(y - y0) * 5];
  const side = (s) => `${x - dx + s * dy} ${y - dy + s * dx}`;
  const line = points.map((point) => point.join(" ")).join("L");
  return `<path class="uw-arrow ${kind}" d="M${line}"/>
    <path class="uw-arrow" d="M${side(-0.7)}L${x} ${y}L${side(0.7)}"/>`;
}

function drawU(svg, settings, { encoder, decoder, problem }, wide) {
  const { size, depth, padding, convolutions, width } = settings;
  const big = wide > 420;
  const middle = (stage) => 30 + 60 * stage;
  const tall = (n) => Math.max(4, (54 * n) / size);
  const thick = (stage) => (big ? 5 : 3) + 1.5 * stage;
  const span = (stage) => (convolutions + 1) * (thick(stage) + 2.5); // of a block's bars
  const inset = (stage) => 2 + (big ? 16 : 11) * stage;
  const label = ([from, to]) => `${from} → ${Math.max(0, to)}`;
  const room = (sizes) => 7.4 * label(sizes).length; // of a block's text
  const top = (stage, n) => middle(stage) - tall(n) / 2;

  /** A block: its bars from x on, and its text beside them; ghosts where it was not reached. */
  function block(x, stage, sizes, kind, failed, anchor = "start") {
    const [from, to] = sizes ?? [size / 2 ** (stage + 1), size / 2 ** (stage + 1)];
    const t = thick(stage);
    let art = "";
    for (let i = 0; i <= convolutions; i++) {
      const [left, n] = [x + i * (t + 2.5), from - ((from - to) * i) / convolutions];
      if (n <= 0) continue;
      art += rect(left, top(stage, n), t, tall(n), sizes ? kind : "ghost");
      const joined = sizes && kind === "decoder" && i === 0; // half of it came by the skip
      if (joined) art += rect(left, top(stage, n), t / 2, tall(n), "encoder");
    }
    if (!sizes) return art;
    const at = anchor === "end" ? x - 5 : x + span(stage) + 3;
    const [words, style] = failed ? [`${label(sizes)} ✕`, "uw-failed"] : [label(sizes), ""];
    art += text(at, middle(stage) - 2, words, style, anchor);
    return art + text(at, middle(stage) + 13, `${width * 2 ** stage} ch`, "uw-small", anchor);
  }

  const bottom = encoder[depth] ?? [0, 0];
  const center = (wide - span(depth) - room(bottom)) / 2; // left edge of the bottleneck
  let art = "";
  for (let stage = 0; stage <= depth; stage++) {
    const failed = problem && !decoder.length && stage === encoder.length - 1;
    const [left, kind] = stage < depth ? [inset(stage), "encoder"] : [center, "bottom"];
    art += block(left, stage, encoder[stage], kind, failed);
    if (!stage || !encoder[stage]) continue;
    const x = inset(stage) + 3;
    const start = [x, middle(stage - 1) + tall(encoder[stage - 1][1]) / 2 + 4];
    if (stage < depth) art += arrow([start, [x, top(stage, encoder[stage][0]) - 4]]);
    else art += arrow([start, [x, middle(depth)], [center - 5, middle(depth)]]);
  }
  for (let stage = depth - 1; stage >= 0; stage--) {
    const i = depth - 1 - stage; // decoder blocks are counted from the bottom
    const [sizes, skip] = [decoder[i], encoder[stage]];
    const left = wide - inset(stage) - span(stage) + 2.5;
    art += block(left, stage, sizes, "decoder", problem && i === decoder.length - 1, "end");
    if (!sizes) continue;
    const x = wide - inset(stage + 1) - 3;
    const end = [x, middle(stage) + tall(sizes[0]) / 2 + 4];
    const after = center + span(depth) + room(bottom) + 4;
    if (i) art += arrow([[x, top(stage + 1, decoder[i - 1][0]) - 4], end]);
    else art += arrow([[after, middle(depth)], [x, middle(depth)], end]);
    const [from, to] = [inset(stage) + span(stage) + 6 + room(skip), left - 8 - room(sizes)];
    const y = middle(stage) - 6;
    if (to - from > 12) art += arrow([[from, y], [to, y]], "uw-skip");
    const extra = skip[1] % 2 ? "cut 1" : ""; // of the upsampled map
    const cut = padding === "valid" ? `cut ${(skip[1] - sizes[0]) / 2} a side` : extra;
    art += text((from + to) / 2, middle(stage) + 10, cut, "uw-small", "middle");
  }
  svg.innerHTML = art;
  svg.setAttribute("viewBox", `0 0 ${wide} ${middle(depth) + 26}`);
  const list = (blocks) => blocks.map((sizes) => sizes.join(" to ")).join(", ") || "not reached";
  svg.setAttribute("aria-label", `Sizes, encoder: ${list(encoder)}; decoder: ${list(decoder)}`);
}

function drawField(svg, legend, settings, { decoder, problem }) {
  const { size } = settings;
  const [field, output] = [receptiveField(settings), problem ? 0 : decoder.at(-1)[1]];
  const scale = 176 / Math.max(size, field);
  const square = (n, kind) => {
    const edge = 90 - (n * scale) / 2;
    return rect(edge, edge, n * scale, n * scale, kind);
  };
  svg.setAttribute("viewBox", "0 0 180 180");
  svg.setAttribute("aria-label", `Input of ${size}, receptive field of ${field} pixels, to scale`);
  svg.innerHTML = square(size, "input") + square(field, "field") +
    (output ? square(output, "output") : "") + rect(88.5, 88.5, 3, 3, "pixel");
  const key = (kind, name, n) => `<span><i class="uw-key-${kind}"></i>${name} <b>${n}</b></span>`;
  const share = `${Math.round(100 * (field / size) ** 2)} % of the input’s area`;
  legend.innerHTML = key("input", "Input", size) + key("output", "Output", output || "none") +
    key("field", "Receptive field", field) +
    `<span>${field > size ? "larger than the input" : share}</span>`;
}
