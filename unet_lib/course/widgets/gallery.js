// Pictures with their errors, in the order of a score. The sorting is exported, so that the tests
// can compare it with the library; the rest draws.

/** Numbers of the pictures by their values. Equal values keep their order; pictures without a
 *  value (null) come last, whichever end is first. */
export function ranking(values, highestFirst) {
  const sign = highestFirst ? -1 : 1;
  const numbers = values.map((_, i) => i);
  const known = numbers.filter((i) => values[i] !== null);
  const unknown = numbers.filter((i) => values[i] === null);
  return [...known.sort((a, b) => sign * (values[a] - values[b])), ...unknown];
}

/** Where an arrow key leads from a place in a grid of `count` pictures in rows of `columns`. */
export function step(key, place, columns, count) {
  const to = { ArrowLeft: place - 1, ArrowRight: place + 1, ArrowUp: place - columns,
    ArrowDown: place + columns, Home: 0, End: count - 1 }[key];
  return to >= 0 && to < count ? to : place;
}

/** How the values of a score are written: numbers of things without decimals, others with two. */
export function writer(values) {
  const known = values.filter((value) => value !== null);
  const whole = known.every(Number.isInteger) && known.some((value) => Math.abs(value) > 1);
  return (value) => (value === null ? "none" : value.toFixed(whole ? 0 : 2));
}

const ORDERS = ["lowest first", "highest first"];
const VIEWS = ["errors", "probability", "image"];
const KEYS = ["metric", "order", "view", "chosen"];

const PAGE = `
  <form class="uw-controls" aria-label="Order and view">
    ${select("metric", "Sort by")}${choice("order", "Order", ORDERS)}${choice("view", "View", VIEWS)}
  </form>
  <div class="uw-status"><output></output></div>
  <div class="uw-row uw-top">
    <div class="uw-thumbs" role="group"></div>
    <div><div class="uw-layers uw-large" role="img"></div>${ERROR_LEGEND}
      <table><tbody></tbody></table></div>
  </div>`;

function render({ model, el }) {
  const { root, find, form } = mount(el, "gallery", PAGE);
  const grid = find(".uw-thumbs");
  const [names, titles, table, counts] = ["names", "titles", "table", "counts"]
    .map((name) => model.get(name));
  const sources = ["images", "errors", "probabilities"].map((name) => model.get(name));
  const layers = (i) => sources.map((each, k) => `<img class="uw-${["image", "errors",
    "probability"][k]}" src="${each[i]}" alt="">`).join("");
  form.elements.metric.append(...titles.map((name) => new Option(name)));
  const buttons = names.map((_, i) => {
    const button = document.createElement("button");
    Object.assign(button, { type: "button", value: i });
    button.innerHTML = `<span class="uw-layers">${layers(i)}</span><span class="uw-score"></span>`;
    return button;
  });
  let order = []; // the pictures' numbers as they stand in the grid

  function draw() {
    const now = state(model, KEYS);
    const values = table[now.metric];
    const shown = writer(values);
    fill(form, state(model, KEYS.slice(0, 3)));
    root.dataset.view = now.view;
    const before = order.join();
    order = ranking(values, now.order === ORDERS[1]);
    if (order.join() !== before) arrange();
    order.forEach((i, place) => {
      const [button, chosen] = [buttons[i], i === now.chosen];
      button.tabIndex = chosen ? 0 : -1;
      button.setAttribute("aria-pressed", chosen);
      button.lastChild.textContent = shown(values[i]);
      button.setAttribute("aria-label", `${names[i]}, ${now.metric} ${shown(values[i])}, place ` +
        `${place + 1} of ${order.length}`);
    });
    grid.setAttribute("aria-label", `Images by ${now.metric}, ${now.order}`);
    enlarge(now, values, shown(values[now.chosen]));
  }

  function arrange() {
    const focused = root.contains(document.activeElement) && document.activeElement;
    grid.append(...order.map((i) => buttons[i]));
    grid.scrollTop = 0;
    if (focused) focused.focus({ preventScroll: true }); // moving a button takes its focus away
  }

  /** The chosen picture, its pixels and its numbers. */
  function enlarge({ metric, view, chosen }, values, score) {
    const [tp, fp, fn] = counts[chosen];
    const unknown = values.filter((value) => value === null).length;
    const summary = `${names[chosen]} is number ${order.indexOf(chosen) + 1} of ${order.length}: ` +
      `${metric} ${score}, ${tp} pixels right, ${fp} wrong, ${fn} missed.`;
    find("output").textContent = unknown ? `${summary} ${unknown} without a ${metric} (nothing to ` +
      "find, nothing found) stand last." : summary;
    find(".uw-large").innerHTML = layers(chosen);
    find(".uw-large").setAttribute("aria-label", `View: ${view}. ${summary}`);
    showCounts(find, { tp, fp, fn });
    find("tbody").innerHTML = titles.map((name) => `<tr><th scope="row">${name}</th>` +
      `<td>${writer(table[name])(table[name][chosen])}</td></tr>`).join("");
  }

  form.addEventListener("input", ({ target: { name, value } }) => {
    store(model, { [name]: value });
    if (name !== "view") store(model, { chosen: order[0] });
  });
  grid.addEventListener("click", (event) => {
    const button = event.target.closest("button");
    if (button) store(model, { chosen: Number(button.value) });
  });
  grid.addEventListener("keydown", (event) => {
    const place = order.indexOf(Number(event.target.value));
    const across = buttons.filter((each) => each.offsetTop === buttons[order[0]].offsetTop).length;
    const next = step(event.key, place, across, order.length);
    if (next === place) return;
    event.preventDefault();
    buttons[order[next]].focus();
  });
  return follow(model, KEYS, draw);
}
