// Tiles over a picture, and where their results differ from the whole prediction. The arithmetic
// is exported, so that the tests can compare it with unet_lib.evaluation.tiles; the rest draws.

/** The tiles along one side as `unet_lib.evaluation.tile_slices` cuts them: what a tile gives
 *  (`start`, `stop`), and what the model sees for it (`from`, `to`). */
export function tileSlices(length, tile, halo, grid) {
  const starts = Array.from({ length: Math.ceil(length / tile) }, (_, i) => i * tile);
  if (starts.length > 1 && length - starts.at(-1) < grid) starts.pop();
  return starts.map((start, i) => {
    const stop = starts[i + 1] ?? length;
    return { start, stop, from: Math.max(0, start - halo), to: Math.min(length, stop + halo) };
  });
}

/** How many tiles there are, and the pixels computed as a multiple of the picture's. */
export function cost({ size, tile, halo, grid }) {
  const sides = size.map((length) => tileSlices(length, tile, halo, grid));
  const seen = sides.map((slices) => slices.reduce((sum, { from, to }) => sum + to - from, 0));
  const count = sides[0].length * sides[1].length;
  return { count, work: (seen[0] * seen[1]) / (size[0] * size[1]) };
}

/** The number of the tile that holds pixel `at` of a side. */
export const tileAt = (slices, at) => slices.findIndex(({ stop }) => at < stop);

/** The sentence under the controls. */
export function message({ count, work }, { tile, halo, largest, changed }) {
  const tiles = `${count} ${count === 1 ? "tile" : "tiles"} of ${tile} × ${tile} with a halo of ` +
    `${halo}: the model computes ${work.toFixed(1)} times the pixels of the image. `;
  if (largest < 1e-5) {
    return `${tiles}No probability differs from the whole prediction by 0.00001: no seams.`;
  }
  const difference = largest < 0.01 ? largest.toPrecision(2) : largest.toFixed(2);
  return `${tiles}The largest difference from the whole prediction is ${difference}; ` +
    `${changed} ${changed === 1 ? "pixel" : "pixels"} of the mask ${changed === 1 ? "changes" :
      "change"}.`;
}

const KEYS = ["tile", "halo", "focus"];
const key = ([color, name]) => `<span><i style="background: ${color}"></i>${name}</span>`;

const page = (tiles, halos, legend) => `
  <form class="uw-controls" aria-label="Tiles">
    ${choice("tile", "Tile size in pixels", tiles)}
    ${slider("Halo in pixels on each side",
    `name="halo" min="0" max="${halos.length - 1}" aria-label="Halo"`)}
  </form>
  <div class="uw-status"><output></output></div>
  <div class="uw-row uw-top">
    <div><div class="uw-layers"><img alt="">
      <svg data-part="tiles" role="application" tabindex="0"></svg></div>
      <p class="uw-legend" data-part="place"></p></div>
    <div><div class="uw-layers" role="img"><img class="uw-dim" alt=""><img data-part="map" alt="">
      <svg data-part="edges" aria-hidden="true"></svg></div>
      <p class="uw-legend">Difference from the whole prediction
        <span class="uw-levels">${legend.map(key).join("")}</span></p></div>
  </div>`;

function render({ model, el }) {
  const [tiles, halos, size, grid] = ["tiles", "halos", "size", "grid"].map((k) => model.get(k));
  const { root, find, form } = mount(el, "tiles", page(tiles, halos, model.get("legend")));
  const cut = ({ tile, halo }) => size.map((length) => tileSlices(length, tile, halo, grid));
  const [height, width] = size;
  root.querySelectorAll("svg").forEach((svg) => svg.setAttribute("viewBox", `0 0 ${width} ${height}`));
  root.querySelectorAll("img:not([data-part])").forEach((img) => (img.src = model.get("picture")));

  function draw() {
    const now = state(model, KEYS);
    const at = tiles.indexOf(now.tile) * halos.length + halos.indexOf(now.halo);
    const [largest, changed] = ["differences", "changes"].map((name) => model.get(name)[at]);
    const slices = cut(now);
    const [row, column] = slices.map((side, axis) => tileAt(side, now.focus[axis]));
    const [rows, columns] = [slices[0][row], slices[1][column]];
    fill(form, { tile: now.tile, halo: halos.indexOf(now.halo) });
    form.elements.halo.setAttribute("aria-valuetext", `${now.halo} pixels`);
    find(".uw-value").textContent = now.halo;
    find("output").textContent = message(cost({ ...now, size, grid }), { ...now, largest, changed });
    root.classList.toggle("uw-problem", changed > 0);
    find("[data-part=map]").src = model.get("maps")[at];
    find("[data-part=map]").parentElement.setAttribute("aria-label", "Map of the differences from " +
      `the whole prediction: the largest is ${largest.toPrecision(2)}, ${changed} pixels change`);
    const seen = `the model sees ${rows.to - rows.from} × ${columns.to - columns.from} pixels and ` +
      `keeps ${rows.stop - rows.start} × ${columns.stop - columns.start}`;
    const place = `row ${row + 1} of ${slices[0].length}, column ${column + 1} of ` +
      `${slices[1].length}`;
    find("[data-part=place]").innerHTML = `Tile in <b>${place}</b>: ${seen}.`;
    find("[data-part=tiles]").setAttribute("aria-label",
      `Image with tiles, arrow keys move. Tile in ${place}: ${seen}`);
    const art = edges(slices, size) + box(rows.start, columns.start, rows.stop, columns.stop);
    find("[data-part=edges]").innerHTML = art;
    find("[data-part=tiles]").innerHTML = shade(rows, columns, size) + art +
      box(rows.from, columns.from, rows.to, columns.to, "uw-seen");
  }

  /** Shows the tile that holds this pixel, where it is another one than before. */
  function show(pixel) {
    const slices = cut(state(model, KEYS));
    const before = model.get("focus");
    const moved = slices.some((side, i) => tileAt(side, pixel[i]) !== tileAt(side, before[i]));
    if (moved) store(model, { focus: pixel });
  }

  const point = (event) => {
    const box = event.currentTarget.getBoundingClientRect();
    const along = [(event.clientY - box.top) / box.height, (event.clientX - box.left) / box.width];
    show(along.map((part, i) => Math.min(Math.max(Math.floor(part * size[i]), 0), size[i] - 1)));
  };
  root.querySelectorAll(".uw-layers").forEach((layers) =>
    ["pointerdown", "pointermove"].forEach((name) => layers.addEventListener(name, point)));
  find("[data-part=tiles]").addEventListener("keydown", (event) => {
    const step = ARROWS[event.key];
    if (!step) return;
    event.preventDefault();
    const { focus } = state(model, KEYS);
    show(cut(state(model, KEYS)).map((side, i) => {
      const next = side[tileAt(side, focus[i]) + step[i]];
      return step[i] && next ? (next.start + next.stop) >> 1 : focus[i];
    }));
  });
  form.addEventListener("input", ({ target: { name, value } }) =>
    store(model, { [name]: name === "halo" ? halos[value] : Number(value) }));
  return follow(model, KEYS, draw);
}

/** The inner edges of all tiles. */
const edges = ([rows, columns], [height, width]) => `<path class="uw-edge" d="${[
  ...rows.slice(1).map(({ start }) => `M0 ${start}H${width}`),
  ...columns.slice(1).map(({ start }) => `M${start} 0V${height}`)].join("")}"/>`;

const box = (top, left, bottom, right, kind = "uw-kept") =>
  `<path class="${kind}" d="${outline(top, left, bottom, right)}"/>`;
const outline = (top, left, bottom, right) => `M${left} ${top}H${right}V${bottom}H${left}Z`;

/** Darkens what the model does not see, and a little what it sees but does not keep. */
const shade = (rows, columns, [height, width]) => {
  const [all, seen, kept] = [[0, 0, height, width], [rows.from, columns.from, rows.to, columns.to],
    [rows.start, columns.start, rows.stop, columns.stop]].map((sides) => outline(...sides));
  return `<path class="uw-unseen" d="${all}${seen}"/><path class="uw-thrown" d="${seen}${kept}"/>`;
};
