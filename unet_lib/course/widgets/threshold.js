// Threshold against mask and scores. The counting is exported, so that the tests can compare it
// with unet_lib.evaluation.metrics; everything below `render` draws.

const THRESHOLDS = Array.from({ length: 99 }, (_, i) => (i + 1) / 100);
const TITLES = { precision: "precision", recall: "recall", dice: "Dice", iou: "IoU" };
const NAMES = Object.keys(TITLES);

/** tp, fp, fn and tn at the 99 thresholds. `levels` holds for each pixel the number of thresholds
 *  that its probability exceeds; `bits` the true mask, eight pixels a byte. */
export function countPixels(levels, bits) {
  const found = [new Array(101).fill(0), new Array(101).fill(0)]; // of background, of foreground
  levels.forEach((level, i) => found[isForeground(bits, i)][level]++);
  for (let level = 98; level >= 0; level--) found.forEach((f) => (f[level] += f[level + 1]));
  const [background, foreground] = found;
  return THRESHOLDS.map((_, i) => ({
    tp: foreground[i + 1], fp: background[i + 1],
    fn: foreground[0] - foreground[i + 1], tn: background[0] - background[i + 1],
  }));
}

/** The four scores; where nothing could be found and nothing was, they are 1. */
export function scores({ tp, fp, fn }) {
  const ratio = (top, bottom, errors) => (bottom ? top / bottom : errors ? 0 : 1);
  return {
    precision: ratio(tp, tp + fp, fn), recall: ratio(tp, tp + fn, fp),
    dice: ratio(2 * tp, 2 * tp + fp + fn, 0), iou: ratio(tp, tp + fp + fn, 0),
  };
}

/** All pictures at one threshold: scores of the summed counts, and the mean of each picture's. */
export function together(counts) {
  const sum = { tp: 0, fp: 0, fn: 0 };
  for (const count of counts) for (const key in sum) sum[key] += count[key];
  const each = counts.map(scores);
  const mean = (name) => each.reduce((total, score) => total + score[name], 0) / each.length;
  return { pooled: scores(sum), mean: Object.fromEntries(NAMES.map((name) => [name, mean(name)])) };
}

const VIEWS = ["errors", "probability", "image"];
const KEYS = ["threshold", "picture", "view"];

const column = (name) => `<th scope="col">${TITLES[name]}</th>`;
const PAGE = `
  <form class="uw-controls" aria-label="Threshold and image">
    ${slider("Threshold of the probability",
    'name="threshold" min="0.01" max="0.99" step="0.01" aria-label="Threshold"')}
    ${PICTURES}
    ${choice("view", "View", VIEWS)}
  </form>
  <div class="uw-status"><output></output></div>
  <div class="uw-row uw-top">
    <div><canvas role="img"></canvas>
      ${ERROR_LEGEND}
      <table><thead><tr><td></td>${NAMES.map(column).join("")}</tr></thead><tbody></tbody></table>
    </div>
    <div><svg role="img" data-part="lines"></svg><svg role="img" data-part="curve"></svg></div>
  </div>`;

async function render({ model, el }) {
  const { find, form, names, pictures } = await mountPictures({ model, el }, "threshold", PAGE);
  const counts = pictures.map(([levels, bits]) => countPixels(levels, bits)); // picture, threshold

  function draw() {
    const { threshold, picture, view } = state(model, KEYS);
    const at = Math.round(100 * threshold) - 1;
    const count = counts[picture][at];
    const score = scores(count);
    fill(form, { threshold, picture, view });
    find(".uw-value").textContent = threshold.toFixed(2);
    const summary = `At threshold ${threshold.toFixed(2)} the Dice of ${names[picture]} is ` +
      `${score.dice.toFixed(3)}: ${count.tp} pixels right, ${count.fp} wrong, ${count.fn} missed.`;
    const { pooled, mean } = together(counts.map((each) => each[at]));
    const rows = [["this image", score], ["all, pooled", pooled], ["all, mean", mean]];
    find("tbody").innerHTML = rows.slice(0, names.length > 1 ? 3 : 1).map(row).join("");
    showPicture(find, model.get("sizes")[picture], pictures[picture],
      { least: at + 1, view, count, summary });
    drawLines(find("[data-part=lines]"), counts[picture].map(scores), at);
    drawCurve(find("[data-part=curve]"), counts[picture], at);
  }

  form.addEventListener("input", ({ target: { name, value } }) =>
    store(model, { [name]: parsed(value) }));
  return follow(model, KEYS, draw);
}

const row = ([name, score]) => `<tr><th scope="row">${name}</th>` +
  `${NAMES.map((key) => `<td>${score[key].toFixed(3)}</td>`).join("")}</tr>`;

function drawLines(svg, all, at) {
  let art = plotNow(THRESHOLDS[at]);
  for (const [name, left] of [["precision", 0], ["recall", 0.42], ["dice", 0.74]]) {
    const points = all.map((score, i) => [THRESHOLDS[i], score[name]]);
    art += plotCurve(points, at, name, TITLES[name], left);
  }
  const best = all.reduce((top, score, i) => (score.dice > all[top].dice ? i : top), 0);
  const label = "Precision, recall and Dice against the threshold; the best Dice is " +
    `${all[best].dice.toFixed(3)}, at ${THRESHOLDS[best]}`;
  plotFrame(svg, { x: "threshold", y: "score" }, art, label);
}

function drawCurve(svg, counts, at) {
  const known = counts.filter(({ tp, fp }) => tp + fp); // no precision without a found pixel
  const points = known.map(scores).map((score) => [score.recall, score.precision]);
  const { precision, recall } = scores(counts[at]);
  const art = (points.length ? plotPath(points, "dice") : "") + plotDot([recall, precision], "dice");
  const label = `Precision ${precision.toFixed(3)} at recall ${recall.toFixed(3)}, on its curve`;
  plotFrame(svg, { x: "recall", y: "precision" }, art, label);
}
