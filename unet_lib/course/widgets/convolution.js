// Convolution, max-pooling and transposed convolution on a small grid. The arithmetic is exported,
// so that the tests can compare it with torch and with convolution.py; `render` and below draws.

const SIZES = { convolution: [1, 3, 5], "max-pooling": [2, 3], transposed: [2, 3, 4] };
const LARGEST = 10; // rows and columns of an output that still fit onto a phone
const KEYS = ["operation", "grid", "kernel", "divisor", "stride", "padding", "each", "step"];
const isPainting = ({ operation, each }) => operation === "transposed" && each === "input";

/** Cells of padding on each side. */
const edgeOf = ({ operation, kernel, padding }) =>
  operation === "convolution" && padding === "same" ? (kernel.length - 1) / 2 : 0;

/** Rows and columns of the output. */
export function outputShape(settings) {
  const { operation, grid, kernel, stride } = settings;
  const size = kernel.length;
  return [grid.length, grid[0].length].map((n) =>
    operation === "transposed"
      ? (n - 1) * stride + size
      : Math.floor((n + 2 * edgeOf(settings) - size) / stride) + 1);
}

/** Why settings do not go together, "" where they do. */
export function problem(settings) {
  const { operation, grid, kernel } = settings;
  const size = kernel.length;
  if (!SIZES[operation].includes(size)) {
    return `${operation} takes kernels of ${SIZES[operation].join(", ")}, got ${size}`;
  }
  const [least, largest] = [Math.min, Math.max].map((f) => f(...outputShape(settings)));
  if (largest > LARGEST) return `an output of ${largest} has no room, ${LARGEST} is the most`;
  const side = Math.min(grid.length, grid[0].length);
  return least < 1 ? `a kernel of ${size} does not fit into a grid of ${side}` : "";
}

/** All products, the kernel laid onto every place: input cell `source`, output cell `target`, the
 *  numbers that meet, and the step that they belong to. */
export function terms(settings) {
  const { operation, grid, kernel, stride } = settings;
  const up = operation === "transposed";
  const edge = edgeOf(settings);
  const target = outputShape(settings);
  const [rows, columns] = up ? [grid.length, grid[0].length] : target;
  const found = [];
  for (let row = 0; row < rows; row++) for (let column = 0; column < columns; column++) {
    kernel.forEach((line, i) => line.forEach((weight, j) => {
      const small = [row, column];
      const large = [row * stride + i - edge, column * stride + j - edge];
      const [from, to] = up ? [small, large] : [large, small];
      const value = grid[from[0]]?.[from[1]] ?? 0; // zeros around
      const step = isPainting(settings) || !up
        ? row * columns + column
        : to[0] * target[1] + to[1];
      found.push({ source: from, target: to, value, weight, step });
    }));
  }
  return found;
}

/** How many steps there are: input cells where they paint, else output cells. */
export function stepCount(settings) {
  const { grid } = settings;
  const [height, width] = isPainting(settings) ? [grid.length, grid[0].length]
    : outputShape(settings);
  return height * width;
}

/** What is written into the output after step `last`, null where nothing is. */
export function progress(settings, last) {
  const [height, width] = outputShape(settings);
  const isEmpty = (y, x) => isPainting(settings) || y * width + x > last;
  const result = Array.from({ length: height }, (_, y) =>
    Array.from({ length: width }, (_, x) => (isEmpty(y, x) ? null : 0)));
  const largest = settings.operation === "max-pooling";
  const seen = new Set();
  for (const { target: [y, x], value, weight, step } of terms(settings)) {
    if (step > last) continue;
    const first = !seen.has(`${y},${x}`);
    seen.add(`${y},${x}`);
    if (largest) result[y][x] = first ? value : Math.max(result[y][x], value);
    else result[y][x] += value * weight;
  }
  const divide = (value) => (value === null || largest ? value : value / settings.divisor);
  return result.map((row) => row.map(divide));
}

const hundredths = (value) => Math.floor(100 * value + 0.5);
export const number = (value) => String(hundredths(value) / 100).replace("-", "−");
const equals = (value) => {
  const sign = Math.abs(100 * value - hundredths(value)) > 1e-9 ? "≈" : "=";
  return `${sign} ${number(value)}`;
};
const factor = (value) => (value < 0 ? `(${number(value)})` : number(value));
const product = ({ value, weight }) => `${factor(value)}·${factor(weight)}`;

/** The step in numbers, a line for each row of the window. */
export function arithmetic(settings, step) {
  const painting = isPainting(settings);
  const rows = new Map();
  for (const term of terms(settings)) {
    if (term.step !== step) continue;
    const row = (painting ? term.target : term.source)[0];
    rows.set(row, [...(rows.get(row) ?? []), term]);
  }
  return painting ? painted(settings, step, [...rows.values()])
    : collected(settings, step, [...rows.values()]);
}

function collected(settings, step, rows) {
  if (!rows.length) return ["no input reaches this cell: 0"];
  const { operation, divisor } = settings;
  const [text, between, head, tail] = operation === "max-pooling"
    ? [({ value }) => number(value), ", ", "max(", ")"]
    : [product, " + ", divisor > 1 ? "(" : "", divisor > 1 ? `) / ${divisor}` : ""];
  const lines = rows.map((row) => row.map(text).join(between)).join(`${between.trimEnd()}\n`);
  return `${head}${lines}${tail} ${equals(progress(settings, step).flat()[step])}`.split("\n");
}

function painted(settings, step, rows) {
  const [before, after] = [step - 1, step].map((last) => progress(settings, last));
  const share = settings.divisor > 1 ? ` / ${settings.divisor}` : "";
  return rows.map((row) => row.map((term) => {
    const [y, x] = term.target;
    const start = before[y][x] === null ? "" : `${number(before[y][x])} + `;
    return `${start}${product(term)}${share} ${equals(after[y][x])}`;
  }).join(", "));
}

/** The size of the output by its rule, with the numbers put in. */
export function rule(settings) {
  const { operation, grid, kernel, stride } = settings;
  const [size, edge, output] = [kernel.length, edgeOf(settings), outputShape(settings)];
  const sides = grid.length === grid[0].length ? [grid.length] : [grid.length, grid[0].length];
  const parts = sides.map((n, i) => {
    if (operation === "transposed") return `(${n} − 1) · ${stride} + ${size} = ${output[i]}`;
    return `⌊(${n}${edge ? ` + 2 · ${edge}` : ""} − ${size}) / ${stride}⌋ + 1 = ${output[i]}`;
  });
  const rest = (sides[0] + 2 * edge - size) % stride;
  const left = operation !== "transposed" && rest
    ? ` The division leaves ${rest}: that much of the input, at the end, is not looked at.` : "";
  return `Size of the output: ${parts.join(" and ")}.${left}`;
}

const parse = (text) => text.trim().split(/\s+/).map((row) => [...row].map(Number));

/** Grids to start from. */
export const GRIDS = {
  "an edge": parse("115555 115555 115555 115555 155555 155555"),
  "a nucleus": parse("00000000 00122100 01357310 02588520 02586520 01355310 00122100 00000000"),
  "one bright pixel": parse("00000 00000 00100 00000 00000"),
  "a slope": parse("123456 123456 123456 123456 123456 123456"),
  "five by five": parse("13204 42113 00561 01782 31429"),
  "constant": parse("111 111 111"),
  "one to four": parse("12 34"),
};

const build = (size, weight) => Array.from({ length: size }, (_, i) =>
  Array.from({ length: size }, (_, j) => weight(i - (size - 1) / 2, j - (size - 1) / 2)));
const HILLS = [[1], [1, 1], [1, 2, 1], [1, 3, 3, 1], [1, 2, 3, 2, 1]]; // by size
const sum = (values) => values.flat().reduce((total, value) => total + value, 0);

/** Named kernels of an operation and a size, each with what its results are divided by. */
export function kernels(operation, size) {
  const ones = build(size, () => 1);
  if (operation === "max-pooling") return { none: [ones, 1] };
  const smooth = HILLS[size - 1].map((a) => HILLS[size - 1].map((b) => a * b));
  if (operation === "transposed") {
    const corner = build(size, (y, x) => Number(y + x === 1 - size));
    return { "all ones": [ones, 1], "smooth": [smooth, sum(smooth) / 4], "one corner": [corner, 1] };
  }
  const identity = [build(size, (y, x) => Number(!y && !x)), 1];
  if (size === 1) return { identity };
  const sharpen = (y, x) => (y || x ? -Number(y * y + x * x === 1) : 5);
  return {
    "edge, left to right": [build(size, (y, x) => Math.sign(x)), 1],
    "edge, top to bottom": [build(size, (y) => Math.sign(y)), 1],
    "average": [ones, size * size],
    "blur": [smooth, sum(smooth)],
    "sharpen": [build(size, sharpen), 1],
    identity,
    "shift": [build(size, (y, x) => Number(!y && x === 1)), 1],
    "all ones": [ones, 1],
  };
}

/** The settings with another operation or kernel size, and what has to follow it. */
export function changed(settings, { operation = settings.operation, size }) {
  const stride = operation === settings.operation ? settings.stride
    : operation === "convolution" ? 1 : 2;
  const named = kernels(operation, size ?? (operation === "convolution" ? 3 : 2));
  const now = nameOf(settings, kernels(settings.operation, settings.kernel.length));
  const [kernel, divisor] = named[now] ?? Object.values(named)[0];
  const next = { ...settings, operation, stride, kernel, divisor, step: 0 };
  const fits = (grid) => !problem({ ...next, grid });
  const grid = [settings.grid, ...Object.values(GRIDS)].find(fits);
  return { ...next, grid };
}

const same = (a, b) => JSON.stringify(a) === JSON.stringify(b);
const nameOf = ({ kernel, divisor }, named) =>
  Object.keys(named).find((name) => same(named[name], [kernel, divisor])) ?? "";

const MOVES = { First: () => 0, Previous: (i) => i - 1, Next: (i) => i + 1, Last: () => Infinity };
const button = (name) => `<button type="button" value="${name}">${name}</button>`;
const lattice = (part) => `<figure data-part="${part}"><figcaption></figcaption>
  <div class="uw-lattice" role="group"></div></figure>`;
const PAGE = `
  <form>
    <div class="uw-controls">
      ${choice("operation", "Operation", Object.keys(SIZES))}
      ${choice("each", "A step for each cell of the", ["input", "output"])}
    </div>
    <div class="uw-status"><output></output>
      <input type="range" name="step" min="0" aria-label="Step">
      <span class="uw-buttons">${Object.keys(MOVES).map(button).join("")}</span></div>
    <div class="uw-row uw-grids">${["input", "kernel", "output"].map(lattice).join("")}</div>
    <p class="uw-sum"></p>
    <div class="uw-controls">
      ${choice("size", "Kernel size", [1, 2, 3, 4, 5])}
      ${choice("stride", "Stride", [1, 2, 3])}
      ${choice("padding", "Padding", ["valid", "same"])}
      ${select("weights", "Kernel")}${select("start", "Input")}
    </div>
    <p class="uw-rule"></p>
  </form>`;

function render({ model, el }) {
  const root = mount(el, "convolution", PAGE);
  const find = (selector) => root.querySelector(selector);
  const form = find("form");
  const opened = { weights: [model.get("kernel"), model.get("divisor")], start: model.get("grid") };
  const now = () => {
    const settings = state(model, KEYS);
    return { ...settings, step: Math.min(settings.step, stepCount(settings) - 1) };
  };
  const set = (values) => store(model, values);

  /** The presets that a select offers, the opening one among them. */
  function presets({ operation, kernel }) {
    const grids = Object.entries(GRIDS).map(([name, grid]) => [name, { grid }]);
    const weights = Object.entries(kernels(operation, kernel.length))
      .map(([name, [kernel, divisor]]) => [name, { kernel, divisor }]);
    const [first, divisor] = opened.weights;
    if (first.length === kernel.length) weights.push(["as opened", { kernel: first, divisor }]);
    return { start: [...grids, ["as opened", { grid: opened.start }]], weights };
  }

  /** What a control stands for, as traits. */
  function meaning(settings, name, value) {
    if (name === "operation") return changed(settings, { operation: value });
    if (name === "size") return changed(settings, { size: Number(value) });
    if (name === "each") return { each: value, step: 0 };
    if (name === "padding") return { padding: value };
    if (name === "step" || name === "stride") return { [name]: Number(value) };
    return Object.fromEntries(presets(settings)[name])[value] ?? {};
  }

  function draw() {
    const settings = now();
    const { operation, kernel, step } = settings;
    const shown = { ...settings, size: kernel.length };
    for (const input of root.querySelectorAll("input[type=radio]")) {
      const { name, value } = input;
      input.checked = value === String(shown[name]);
      input.disabled = Boolean(problem({ ...settings, ...meaning(settings, name, value) }));
      if (name === "size") input.parentNode.hidden = !SIZES[operation].includes(Number(value));
    }
    const show = (name, shown) => {
      const control = form.elements[name][0] ?? form.elements[name];
      control.closest("fieldset, .uw-picture").hidden = !shown;
    };
    show("each", operation === "transposed");
    show("padding", operation === "convolution");
    find(".uw-picture").hidden = operation === "max-pooling";
    for (const [name, all] of Object.entries(presets(settings))) offer(name, all, settings);
    form.setAttribute("aria-label", `${operation}, step by step`);
    const count = stepCount(settings);
    Object.assign(form.elements.step, { max: count - 1, value: step });
    form.elements.step.setAttribute("aria-valuetext", `${step + 1} of ${count}`);
    drawGrids(root, settings);
    find("output").textContent = message(settings);
    find(".uw-sum").textContent = arithmetic(settings, step).join("\n");
    find(".uw-rule").textContent = rule(settings);
  }

  /** The presets that fit, and the present one chosen. */
  function offer(name, all, settings) {
    const fits = all.filter(([, values]) => !problem({ ...settings, ...values }));
    const current = fits.find(([, values]) => same(values, state(model, Object.keys(values))));
    const names = [...fits.map(([each]) => each), ...(current ? [] : ["own numbers"])];
    const { options } = form.elements[name];
    if (!same(names, Array.from(options, (option) => option.value))) {
      form.elements[name].replaceChildren(...names.map((each) => new Option(each)));
    }
    form.elements[name].value = current?.[0] ?? "own numbers";
  }

  form.addEventListener("submit", (event) => event.preventDefault());
  form.addEventListener("input", ({ target }) => {
    if (target.name) return set(meaning(now(), target.name, target.value));
    const { part, row, column } = target.dataset; // a number in a cell
    const value = Number(target.value.replace("−", "-"));
    if (!target.value.trim() || !Number.isInteger(value) || Math.abs(value) > 9) return;
    const rows = model.get(part).map((line) => [...line]);
    rows[row][column] = value;
    set({ [part]: rows });
  });
  form.addEventListener("focusin", ({ target }) => {
    if (!target.dataset.part) return;
    for (const cell of target.closest(".uw-lattice").querySelectorAll("[tabindex]")) {
      cell.tabIndex = cell === target ? 0 : -1; // Tab leads into a grid once, arrows move in it
    }
    target.select?.();
  });
  form.addEventListener("focusout", ({ target }) => target.dataset.part && draw()); // half typed
  form.addEventListener("click", ({ target }) => {
    const pressed = target.closest("button");
    if (!pressed) return;
    const { row, column, part } = pressed.dataset;
    const settings = now();
    if (!part) {
      const moved = MOVES[pressed.value](settings.step);
      return set({ step: Math.max(0, Math.min(moved, stepCount(settings) - 1)) });
    }
    set({ each: "output", step: row * outputShape(settings)[1] + Number(column) });
  });
  form.addEventListener("keydown", (event) => {
    const { part, row, column } = event.target.dataset;
    const move = ARROWS[event.key];
    if (!part || !move) return;
    const next = [Number(row) + move[0], Number(column) + move[1]];
    const cell = find(`[data-part=${part}][data-row="${next[0]}"][data-column="${next[1]}"]`);
    event.preventDefault();
    cell?.focus();
    if (part === "output") cell?.click();
  });
  return follow(model, KEYS, draw);
}

const ARROWS = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] };

/** The output cell of the present step, where each step is one. */
function placeOf(settings) {
  const width = outputShape(settings)[1];
  return [Math.floor(settings.step / width), settings.step % width];
}

/** One sentence on the present step. */
export function message(settings) {
  const { operation, grid, step } = settings;
  const here = terms(settings).filter((term) => term.step === step);
  const head = `Step ${step + 1} of ${stepCount(settings)}: `;
  if (isPainting(settings)) {
    const before = progress(settings, step - 1);
    const wet = here.filter(({ target: [y, x] }) => before[y][x] !== null).length;
    const value = number(grid.flat()[step]);
    const overlap = wet ? ` ${wet} of the ${here.length} cells hold paint already: it adds up.` : "";
    return `${head}the input’s ${value} paints ${value} times the kernel.${overlap}`;
  }
  const [row, column] = placeOf(settings);
  const place = `output row ${row + 1}, column ${column + 1}`;
  const result = number(progress(settings, step).flat()[step]);
  if (operation === "max-pooling") {
    return `${head}${place} is ${result}, the largest of ${here.length} numbers.`;
  }
  const inputs = `collects from ${here.length} input cell${here.length === 1 ? "" : "s"}`;
  return operation === "transposed" ? `${head}${place} ${inputs}: ${result}.`
    : `${head}${place} is ${result}.`;
}

/** The three grids: their numbers, small notes on what meets there, frames around the step. */
function drawGrids(root, settings) {
  const { operation, grid, kernel, divisor, step } = settings;
  const [painting, pooling] = [isPainting(settings), operation === "max-pooling"];
  const here = terms(settings).filter((term) => term.step === step);
  const best = here.reduce((a, b) => (b.value > a.value ? b : a), here[0]);
  const note = ({ value, weight }) =>
    painting ? `+${number((value * weight) / divisor)}` : `×${number(weight)}`;
  const notes = (name) => new Map(here.map((term) => [String(term[name]), note(term)]));
  const edge = edgeOf(settings);
  drawGrid(root, "input", grid, {
    edge, framed: here.map(({ source }) => source), marked: pooling && String(best.source),
    notes: painting || pooling ? new Map() : notes("source"), more: edge ? ", zeros around" : "",
  });
  drawGrid(root, "kernel", kernel, { more: divisor > 1 ? `, ÷ ${divisor}` : "" });
  root.querySelector("[data-part=kernel]").hidden = pooling;
  drawGrid(root, "output", progress(settings, step), {
    framed: here.length ? here.map(({ target }) => target) : [placeOf(settings)],
    notes: painting ? notes("target") : new Map(), whole: progress(settings, Infinity),
  });
}

/** One grid. `whole` holds the numbers that its shades are scaled by. */
function drawGrid(root, part, rows, options) {
  const { edge = 0, framed = [], notes = new Map(), more = "", marked, whole = rows } = options;
  const figure = root.querySelector(`[data-part=${part}]`);
  const size = `${rows.length} × ${rows[0].length}`;
  figure.querySelector("figcaption").innerHTML = `<b>${part}</b> ${size}${more}`;
  const lattice = layOut(figure, part, rows, edge);
  lattice.setAttribute("aria-label", `${part}, ${size}`);
  const most = Math.max(1, ...whole.flat().map(Math.abs));
  for (const cell of lattice.querySelectorAll(".uw-cell")) {
    const { row, column } = cell.dataset;
    const value = cell.matches(".uw-zero") ? 0 : rows[row][column];
    const text = value === null ? "" : number(value);
    const content = cell.firstElementChild;
    if (content.value === undefined || part === "output") content.textContent = text;
    else if (content.value === "" || Number(content.value.replace("−", "-")) !== value) {
      content.value = text; // a number being typed stays as it is
    }
    if (part === "output") {
      const place = `output, row ${Number(row) + 1}, column ${Number(column) + 1}`;
      content.setAttribute("aria-label", `${place}: ${text || "not yet"}`);
    }
    cell.style.setProperty("--uw-share", `${Math.round((40 * Math.abs(value)) / most)}%`);
    cell.classList.toggle("uw-minus", value < 0);
    cell.classList.toggle("uw-long", text.length > 3);
    cell.classList.toggle("uw-winner", marked === `${row},${column}`);
    cell.lastElementChild.textContent = notes.get(`${row},${column}`) ?? "";
  }
  drawFrame(lattice, framed, edge);
}

/** Cells as fields (input, kernel) or buttons (output); made anew where the shape changes. */
function layOut(figure, part, rows, edge) {
  const lattice = figure.querySelector(".uw-lattice");
  const [height, width] = [rows.length, rows[0].length];
  const key = String([height, width, edge]);
  if (lattice.dataset.key === key) return lattice;
  const ring = edge ? `repeat(${edge}, minmax(0, 22px))` : "";
  lattice.dataset.key = key;
  lattice.style.gridTemplateColumns = `${ring} repeat(${width}, minmax(0, 36px)) ${ring}`;
  let cells = "";
  for (let row = -edge; row < height + edge; row++) {
    for (let column = -edge; column < width + edge; column++) {
      const inside = row >= 0 && row < height && column >= 0 && column < width;
      const data = `data-row="${row}" data-column="${column}"`;
      const place = `style="grid-area: ${row + edge + 1} / ${column + edge + 1}" ${data}`;
      const content = `data-part="${part}" ${data} tabindex="${row || column ? -1 : 0}"`;
      const field = part === "output" ? `<button type="button" ${content}></button>`
        : `<input ${content} maxlength="2" autocomplete="off"
           inputmode="${part === "input" ? "numeric" : "text"}"
           aria-label="${part}, row ${row + 1}, column ${column + 1}">`;
      cells += inside ? `<span class="uw-cell" ${place}>${field}<small></small></span>`
        : `<span class="uw-cell uw-zero" ${place}><span></span><small></small></span>`;
    }
  }
  lattice.innerHTML = cells;
  return lattice;
}

/** A frame around cells [row, column], none where there are none. */
function drawFrame(lattice, cells, edge) {
  lattice.querySelector(".uw-frame")?.remove();
  if (!cells.length) return;
  const ends = (f, i) => f(...cells.map((cell) => cell[i])) + edge + 1;
  const frame = document.createElement("i");
  frame.className = "uw-frame";
  frame.style.gridArea = [ends(Math.min, 0), ends(Math.min, 1), ends(Math.max, 0) + 1,
    ends(Math.max, 1) + 1].join(" / ");
  lattice.append(frame);
}

export default { render };
