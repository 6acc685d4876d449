// What all widgets share. unet_lib/widgets/base.py puts it before the module of each.

/** The widget's page inside `el`; JupyterLab would take the arrow keys for its own. */
function mount(el, name, page) {
  const root = document.createElement("div");
  root.className = `unet-widget uw-${name}`;
  root.addEventListener("keydown", (event) => event.stopPropagation());
  root.innerHTML = page;
  el.append(root);
  return root;
}

/** Draws now and at every change of the named traits; returns what ends that. */
function follow(model, keys, draw) {
  keys.forEach((key) => model.on(`change:${key}`, draw));
  draw();
  return () => keys.forEach((key) => model.off(`change:${key}`, draw));
}

/** The present values of the named traits. */
const state = (model, keys) => Object.fromEntries(keys.map((key) => [key, model.get(key)]));

/** Sets traits and stores them, with the notebook where there is one. */
function store(model, values) {
  for (const [name, value] of Object.entries(values)) model.set(name, value);
  model.save_changes();
}

/** An array of bytes as the notebook stored it. */
const bytes = (view) => new Uint8Array(view.buffer, view.byteOffset, view.byteLength);

/** A choice of one of few values, as a row of radio buttons. */
const choice = (name, title, values) => `<fieldset><legend>${title}</legend>
  <div class="uw-segments">${values.map((value) => `<label><input type="radio" name="${name}"
  value="${value}"><span>${value}</span></label>`).join("")}</div></fieldset>`;

/** Paints a picture: `color(i)` is [red, green, blue] of pixel i, cut off beyond 0 to 255. */
function paint(canvas, [height, width], color) {
  Object.assign(canvas, { height, width });
  const context = canvas.getContext("2d");
  const pixels = context.createImageData(width, height);
  for (let i = 0; i < height * width; i++) pixels.data.set([...color(i), 255], 4 * i);
  context.putImageData(pixels, 0, 0);
}
