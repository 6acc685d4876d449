// A training, moment by moment. The predictions were made in Python; here they are shown, counted
// and laid beside the loss curves.

const VIEWS = ["probability", "errors", "mask", "image"];
const KEYS = ["moment", "picture", "view"];
const PAGE = `
  <form class="uw-controls" aria-label="Moment of the training, image and view">
    ${slider("Step of the training", 'name="moment" min="0" step="1" aria-label="Moment"',
    '<button type="button">Play</button>')}
    ${PICTURES}
    ${choice("view", "View", VIEWS)}
  </form>
  <div class="uw-status"><output></output></div>
  <div class="uw-row uw-top">
    <div><canvas role="img"></canvas>${ERROR_LEGEND}</div>
    <div><svg role="img"></svg></div>
  </div>`;

/** The masks of all moments, one after the other, scored: counts of each moment. */
export function countMoments(levels, bits, moments) {
  const size = levels.length / moments;
  return Array.from({ length: moments }, (_, k) =>
    countErrors(levels.subarray(k * size, (k + 1) * size), bits, HALF));
}

/** Where a step lies along the axis, 0 to 1: even at first, then by its logarithm. */
export const along = (step, steps) =>
  Math.asinh(step / steps[1]) / Math.asinh(steps.at(-1) / steps[1]);

/** Round numbers of steps for the axis, with room between them. */
export function roundSteps(steps) {
  const last = steps.at(-1);
  const kept = [0];
  for (let ten = 1; ten < last; ten *= 10) {
    for (const step of [ten, 2 * ten, 5 * ten]) {
      const [before, here] = [kept.at(-1), step].map((each) => along(each, steps));
      if (here - before > 0.12 && here < 0.88) kept.push(step);
    }
  }
  return [...kept, last];
}

/** What is to be seen at a moment. */
export function summarize({ steps, losses, moment, name, dice }) {
  const parts = Object.entries(losses).map(([set, curve]) => `${curve[moment].toFixed(2)} (${set})`);
  const done = steps[moment] === 0 ? "Before the first step" :
    `After ${steps[moment]} of ${steps.at(-1)} steps`;
  return `${done} the loss is ${parts.join(" and ")}; the Dice of ${name} is ${dice.toFixed(3)}.`;
}

async function render({ model, el }) {
  const { find, form, names, pictures } = await mountPictures({ model, el }, "replay", PAGE);
  const [button, output] = ["form button", "output"].map(find);
  const { steps, losses, size } = state(model, ["steps", "losses", "size"]);
  form.elements.moment.max = steps.length - 1;
  const counts = pictures.map(([levels, bits]) => countMoments(levels, bits, steps.length));

  function draw() {
    const { moment, picture, view } = state(model, KEYS);
    const scores = counts[picture].map(diceOf);
    const summary =
      summarize({ steps, losses, moment, name: names[picture], dice: scores[moment] });
    fill(form, { moment, picture, view });
    form.elements.moment.setAttribute("aria-valuetext", `step ${steps[moment]}`);
    find(".uw-value").textContent = steps[moment];
    const pixels = size[0] * size[1];
    const [levels, ...rest] = pictures[picture];
    const now = levels.subarray(moment * pixels, (moment + 1) * pixels);
    showPicture(find, size, [now, ...rest], { view, count: counts[picture][moment], summary });
    drawCurves(find("svg"), { steps, losses, scores, moment }, summary);
  }

  const stop = offerPlay(button, output, {
    pace: 500,
    rewind() {
      if (model.get("moment") === steps.length - 1) store(model, { moment: 0 });
    },
    advance() {
      const next = model.get("moment") + 1;
      if (next < steps.length) store(model, { moment: next });
      return next < steps.length - 1;
    },
  });
  form.addEventListener("input", ({ target: { name, value } }) => {
    if (name === "moment") stop();
    store(model, { [name]: parsed(value) });
  });
  const unfollow = follow(model, KEYS, draw);
  return () => {
    stop();
    unfollow();
  };
}

function drawCurves(svg, { steps, losses, scores, moment }, summary) {
  const top = Math.ceil(2 * Math.max(1, ...Object.values(losses).flat())) / 2;
  const x = (k) => along(steps[k], steps);
  const curves = [...Object.entries(losses), ["Dice", scores]];
  const art = curves.map(([name, curve], k) => {
    const kind = name === "Dice" ? "dice" : ["training", "validation", "other"][k % 3];
    const points = curve.map((value, i) => [x(i), value / top]);
    return plotCurve(points, moment, kind, name, k / curves.length);
  });
  const yTicks = Array.from({ length: 2 * top + 1 }, (_, i) => [i / 2 / top, String(i / 2)]);
  const xTicks = roundSteps(steps).map((step) => [along(step, steps), String(step)]);
  plotFrame(svg, { x: "step", y: "loss, Dice", xTicks, yTicks }, plotNow(x(moment)) + art.join(""),
    `Losses and Dice over the steps. ${summary}`);
}
