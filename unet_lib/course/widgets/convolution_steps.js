// What the convolution widget computes: which numbers meet at which step. Nothing here draws, and
// the tests compare it with torch; convolution.js shows it.

const SIZES = { convolution: [1, 3, 5], "max-pooling": [2, 3], transposed: [2, 3, 4] };
const LARGEST = 10; // rows and columns of an output that still fit onto a phone
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

/** The output after step `last`, of the terms of all steps; null where nothing is written yet. */
export function progress(settings, all, last) {
  const [height, width] = outputShape(settings);
  const isEmpty = (y, x) => isPainting(settings) || y * width + x > last;
  const result = Array.from({ length: height }, (_, y) =>
    Array.from({ length: width }, (_, x) => (isEmpty(y, x) ? null : 0)));
  const largest = settings.operation === "max-pooling";
  const seen = new Set();
  for (const { target: [y, x], value, weight, step } of all) {
    if (step > last) continue;
    const first = !seen.has(`${y},${x}`);
    seen.add(`${y},${x}`);
    if (largest) result[y][x] = first ? value : Math.max(result[y][x], value);
    else result[y][x] += value * weight;
  }
  const divide = (value) => (value === null || largest ? value : value / settings.divisor);
  return result.map((row) => row.map(divide));
}

/** The present step: the terms that meet `here`, the output `before` and `after` it, and `whole`. */
export function present(settings) {
  const all = terms(settings);
  const { step } = settings;
  const [before, after, whole] = [step - 1, step, Infinity]
    .map((last) => progress(settings, all, last));
  return { here: all.filter((term) => term.step === step), before, after, whole };
}

const hundredths = (value) => Math.floor(100 * value + 0.5);
export const number = (value) => String(hundredths(value) / 100).replace("-", "−");
const equals = (value) => {
  const sign = Math.abs(100 * value - hundredths(value)) > 1e-9 ? "≈" : "=";
  return `${sign} ${number(value)}`;
};
const factor = (value) => (value < 0 ? `(${number(value)})` : number(value));
const product = ({ value, weight }) => `${factor(value)}·${factor(weight)}`;

/** The present step in numbers, a line for each row of the window. */
export function arithmetic(settings, { here, before, after }) {
  const painting = isPainting(settings);
  const rows = new Map();
  for (const term of here) {
    const row = (painting ? term.target : term.source)[0];
    rows.set(row, [...(rows.get(row) ?? []), term]);
  }
  const lines = [...rows.values()];
  return painting ? painted(settings, lines, before, after)
    : collected(settings, lines, after.flat()[settings.step]);
}

function collected({ operation, divisor }, rows, result) {
  if (!rows.length) return "no input reaches this cell: 0";
  const [text, between, head, tail] = operation === "max-pooling"
    ? [({ value }) => number(value), ", ", "max(", ")"]
    : [product, " + ", divisor > 1 ? "(" : "", divisor > 1 ? `) / ${divisor}` : ""];
  const lines = rows.map((row) => row.map(text).join(between)).join(`${between.trimEnd()}\n`);
  return `${head}${lines}${tail} ${equals(result)}`;
}

function painted({ divisor }, rows, before, after) {
  const share = divisor > 1 ? ` / ${divisor}` : "";
  const cell = (term) => {
    const [y, x] = term.target;
    const start = before[y][x] === null ? "" : `${number(before[y][x])} + `;
    return `${start}${product(term)}${share} ${equals(after[y][x])}`;
  };
  return rows.map((row) => row.map(cell).join(", ")).join("\n");
}

/** The output cell of the present step, where each step is one. */
export function placeOf(settings) {
  const width = outputShape(settings)[1];
  return [Math.floor(settings.step / width), settings.step % width];
}

/** One sentence on the present step. */
export function message(settings, { here, before, after }) {
  const { operation, grid, step } = settings;
  const head = `Step ${step + 1} of ${stepCount(settings)}: `;
  if (isPainting(settings)) {
    const wet = here.filter(({ target: [y, x] }) => before[y][x] !== null).length;
    const value = number(grid.flat()[step]);
    const overlap = wet ? ` ${wet} of the ${here.length} cells hold paint already: it adds up.` : "";
    return `${head}the input’s ${value} paints ${value} times the kernel.${overlap}`;
  }
  const [row, column] = placeOf(settings);
  const place = `output row ${row + 1}, column ${column + 1}`;
  const result = number(after[row][column]);
  if (operation === "max-pooling") {
    return `${head}${place} is ${result}, the largest of ${here.length} numbers.`;
  }
  const inputs = `collects from ${here.length} input cell${here.length === 1 ? "" : "s"}`;
  return operation === "transposed" ? `${head}${place} ${inputs}: ${result}.`
    : `${head}${place} is ${result}.`;
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

