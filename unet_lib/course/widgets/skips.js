// A switch for each skip connection. Every setting of the switches was computed in Python; here the
// right one is looked up, and its pixels are counted.

const VIEWS = ["errors", "probability", "mask", "image"];
const KEYS = ["skips", "picture", "view"];
const WHITE = 31; // of the feature maps

/** Which of the stored variants of a stage belongs to the skips: its own and those below count. */
export const variant = (skips, stage) =>
  skips.reduce((sum, on, k) => sum + (on ? 2 ** k : 0), 0) >> stage;

/** Part number `index` of an array that holds parts of equal size. */
export const part = (values, index, size) => values.subarray(index * size, (index + 1) * size);

/** What the sentence says about Dice now and with every skip. */
export function comparison(name, skips, count, all) {
  const off = skips.flatMap((on, k) => (on ? [] : [k + 1]));
  const [now, whole] = [count, all].map((c) => diceOf(c).toFixed(3));
  if (!off.length) return `With all skips on, the Dice of ${name} is ${whole}.`;
  const which = off.length === skips.length ? "all skips"
    : `skip${off.length > 1 ? "s" : ""} ${off.join(" and ")}`;
  const change = (kind, word) => `${count[kind]} pixels ${word} instead of ${all[kind]}`;
  return `With ${which} off, the Dice of ${name} is ${now} instead of ${whole}: ` +
    `${change("fn", "missed")}, ${change("fp", "wrong")}.`;
}

const stage = (maps) => (size, k) => {
  const canvases = "<canvas></canvas>".repeat(maps);
  return `<div class="uw-maps" role="img" data-part="encoder">${canvases}</div>
    <label class="uw-switch"><input type="checkbox" name="${k}"><span>skip ${k + 1}<b></b></span>
    </label>
    <div class="uw-maps" role="img" data-part="decoder">${canvases}</div>`;
};
const page = (sizes, maps) => `
  <form class="uw-controls" aria-label="Image and view">
    ${PICTURES}
    ${choice("view", "View", VIEWS)}
  </form>
  <div class="uw-status"><output></output></div>
  <div class="uw-row uw-top">
    <div><canvas role="img"></canvas>${ERROR_LEGEND}</div>
    <div class="uw-stages" role="group" aria-label="Skip connections">
      <b class="uw-encoder">encoder ↓</b><span></span><b class="uw-decoder">↑ decoder</b>
      ${sizes.map(stage(maps)).join("")}
    </div>
  </div>`;

async function render({ model, el }) {
  const { sizes, maps } = state(model, ["sizes", "maps"]);
  const { root, find, form, names, pictures } =
    await mountPictures({ model, el }, "skips", page(sizes, maps));
  const [encoder, decoder] = await unpackAll(model, ["encoder", "decoder"]);
  const area = ([height, width]) => height * width;

  function draw() {
    const { skips, picture, view } = state(model, KEYS);
    const [levels, bits, image] = pictures[picture];
    const found = (setting) => part(levels, setting, area(sizes[0]));
    const now = found(variant(skips, 0));
    const count = countErrors(now, bits, HALF);
    const all = countErrors(found(2 ** skips.length - 1), bits, HALF);
    const summary = comparison(names[picture], skips, count, all);
    fill(form, { picture, view });
    showPicture(find, sizes[0], [now, bits, image], { view, count, summary });
    skips.forEach((on, k) => drawStage(k, on, picture * skips.length + k, variant(skips, k)));
  }

  function drawStage(k, on, at, setting) {
    const label = root.querySelectorAll(".uw-switch")[k];
    label.querySelector("input").checked = on;
    label.querySelector("b").textContent = on ? "on" : "off";
    const sides = { encoder: [encoder[at], 0], decoder: [decoder[at], setting] };
    for (const [side, [features, index]] of Object.entries(sides)) {
      const group = root.querySelectorAll(`[data-part=${side}]`)[k];
      const size = sizes[k];
      group.classList.toggle("uw-off", side === "encoder" && !on);
      group.setAttribute("aria-label", `${maps} feature maps of the ${side}'s stage ${k + 1}, ` +
        `${size.join(" by ")} pixels${side === "decoder" ? "" : on ? ", handed over" : ", cut off"}`);
      group.querySelectorAll("canvas").forEach((canvas, j) => {
        const values = part(features, index * maps + j, area(size));
        paint(canvas, size, (i) => Array(3).fill((255 * values[i]) / WHITE));
      });
    }
  }

  root.addEventListener("input", ({ target: { name, type, value, checked } }) => {
    const flipped = (on, k) => (k === Number(name) ? checked : on);
    if (type === "checkbox") store(model, { skips: model.get("skips").map(flipped) });
    else store(model, { [name]: parsed(value) });
  });
  return follow(model, KEYS, draw);
}
