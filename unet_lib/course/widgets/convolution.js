// Convolution, max-pooling and transposed convolution on a small grid, one step at a time. What is
// computed stands in convolution_steps.js.

const KEYS = ["operation", "grid", "kernel", "divisor", "stride", "padding", "each", "step"];
const MOVES = { First: () => 0, Previous: (i) => i - 1, Next: (i) => i + 1, Last: () => Infinity };
const button = (name) => `<button type="button" value="${name}">${name}</button>`;
const RING = 0.6; // height of a cell of padding, as a share of another one's
const TALLEST = 240; // pixels of a grid: all of the widget fits a small screen
const lattice = (part) => `<figure data-part="${part}"><figcaption></figcaption>
  <div class="uw-lattice" role="group"></div></figure>`;
const PAGE = `
  <form>
    <div class="uw-controls">
      ${choice("operation", "Operation", Object.keys(SIZES))}
      ${select("start", "Input")}
    </div>
    <div class="uw-status"><output></output>
      <input type="range" name="step" min="0" aria-label="Step">
      <span class="uw-buttons"><button type="button" class="uw-play">Play</button>
        ${Object.keys(MOVES).map(button).join("")}</span></div>
    <div class="uw-row uw-grids">${["input", "kernel", "output"].map(lattice).join("")}</div>
    <p class="uw-sum"></p>
    <div class="uw-controls">
      ${choice("size", "Kernel size", [1, 2, 3, 4, 5])}
      ${choice("stride", "Stride", [1, 2, 3])}
      ${choice("padding", "Padding", ["valid", "same"])}
      ${choice("each", "A step for each cell of the", ["input", "output"])}
      ${select("weights", "Kernel")}
    </div>
    <p class="uw-rule"></p>
  </form>`;

function render({ model, el }) {
  const { root, find, form } = mount(el, "convolution", PAGE);
  const opened = { weights: [model.get("kernel"), model.get("divisor")], start: model.get("grid") };
  const now = () => {
    const settings = state(model, KEYS);
    return { ...settings, step: Math.min(settings.step, stepCount(settings) - 1) };
  };
  const set = (values) => store(model, values);
  const stop = offerPlay(find(".uw-play"), find("output"), {
    pace: 700,
    rewind() {
      if (now().step === stepCount(now()) - 1) set({ step: 0 });
    },
    advance() {
      const [next, last] = [now().step + 1, stepCount(now()) - 1];
      if (next <= last) set({ step: next });
      return next < last;
    },
  });

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
    show("weights", operation !== "max-pooling");
    for (const [name, all] of Object.entries(presets(settings))) offer(name, all, settings);
    form.setAttribute("aria-label", `${operation}, step by step`);
    const count = stepCount(settings);
    Object.assign(form.elements.step, { max: count - 1, value: step });
    form.elements.step.setAttribute("aria-valuetext", `${step + 1} of ${count}`);
    const moment = present(settings);
    drawGrids(root, settings, moment);
    find("output").textContent = message(settings, moment);
    find(".uw-sum").textContent = arithmetic(settings, moment);
    find(".uw-sum").classList.toggle("uw-columns", kernel.length > 4);
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

  form.addEventListener("input", ({ target }) => {
    stop();
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
    if (!pressed || pressed.matches(".uw-play")) return;
    stop();
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
  const unfollow = follow(model, KEYS, draw);
  return () => {
    stop();
    unfollow();
  };
}

/** The three grids: their numbers, small notes on what meets there, frames around the step. */
function drawGrids(root, settings, { here, after, whole }) {
  const { operation, grid, kernel, divisor } = settings;
  const [painting, pooling] = [isPainting(settings), operation === "max-pooling"];
  const best = here.reduce((a, b) => (b.value > a.value ? b : a), here[0]);
  const note = ({ value, weight }) =>
    painting ? `+${number((value * weight) / divisor)}` : `×${number(weight)}`;
  const notes = (name) => new Map(here.map((term) => [String(term[name]), note(term)]));
  const edge = edgeOf(settings);
  const rows = Math.max(grid.length + 2 * RING * edge, after.length);
  const cell = Math.min(36, Math.floor(TALLEST / rows));
  root.style.setProperty("--uw-fit", `${cell}px`);
  root.querySelector(".uw-grids").classList.toggle("uw-tiny", cell < 26);
  drawGrid(root, "input", grid, {
    edge, framed: here.map(({ source }) => source), marked: pooling && String(best.source),
    notes: painting || pooling ? new Map() : notes("source"), more: edge ? ", zeros around" : "",
  });
  drawGrid(root, "kernel", kernel, { more: divisor > 1 ? `, ÷ ${divisor}` : "" });
  root.querySelector("[data-part=kernel]").hidden = pooling;
  drawGrid(root, "output", after, {
    framed: here.length ? here.map(({ target }) => target) : [placeOf(settings)],
    notes: painting ? notes("target") : new Map(), whole,
  });
}

/** One grid. `whole` holds the numbers that its shades are scaled by. */
function drawGrid(root, part, rows, options) {
  const { edge = 0, framed = [], notes = new Map(), more = "", marked, whole = rows } = options;
  const figure = root.querySelector(`[data-part=${part}]`);
  const size = `${rows.length} × ${rows[0].length}`;
  figure.querySelector("figcaption").innerHTML = `<b>${part}</b> ${size}${more}`;
  const lattice = layOut(figure, part, rows, edge);
  const tiny = root.querySelector(".uw-tiny");
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
    cell.classList.toggle("uw-long", text.length > (tiny ? 2 : 3));
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
  lattice.dataset.key = key;
  const line = (cells, track) => {
    const ring = edge ? `repeat(${edge}, ${track(RING)})` : "";
    return `${ring} repeat(${cells}, ${track(1)}) ${ring}`;
  };
  const side = (share) => `calc(${share} * var(--uw-cell))`;
  const narrower = (share) => `minmax(0, ${side(share)})`; // on a phone
  lattice.style.gridTemplate = `${line(height, side)} / ${line(width, narrower)}`;
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
