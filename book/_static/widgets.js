// Draws the interactive pictures (anywidget) of a page from the state stored with its notebook.
// JupyterLab has anywidget's own code for this; it comes with a widget manager of a megabyte, of
// which pages without a kernel need only this much.
(() => {
  const KIND = "application/vnd.jupyter.widget";

  /** A widget's traits: reading, setting and listening, as `render` of its module expects. */
  class Model {
    constructor({ state, buffers = [] }) {
      this.values = structuredClone(state);
      this.listeners = new Map();
      for (const { path, data } of buffers) this.place(path, data);
    }
    /** Bytes stand beside the other traits, as text; `path` says where they belong. */
    place(path, data) {
      const bytes = Uint8Array.from(atob(data), (letter) => letter.charCodeAt(0));
      const last = path.at(-1);
      const parent = path.slice(0, -1).reduce((value, key) => value[key], this.values);
      parent[last] = new DataView(bytes.buffer);
    }
    get(key) {
      return this.values[key];
    }
    set(key, value) {
      if (this.values[key] === value) return;
      this.values[key] = value;
      this.listeners.get(`change:${key}`)?.forEach((listener) => listener());
    }
    on(event, listener) {
      if (!this.listeners.has(event)) this.listeners.set(event, new Set());
      this.listeners.get(event).add(listener);
    }
    off(event, listener) {
      this.listeners.get(event)?.delete(listener);
    }
    save_changes() {} // nobody to tell: there is no kernel
  }

  /** The module of a widget, from its text; this works from a folder on disk as well. */
  async function load(text) {
    const address = URL.createObjectURL(new Blob([text], { type: "text/javascript" }));
    const module = await import(address);
    URL.revokeObjectURL(address);
    return module.default;
  }

  function addStyle(text) {
    const known = [...document.querySelectorAll("style")].some((e) => e.textContent === text);
    if (!text || known) return;
    document.head.append(Object.assign(document.createElement("style"), { textContent: text }));
  }

  async function draw(view, models) {
    const model = models.get(JSON.parse(view.textContent).model_id);
    if (!model?.get("_esm")) throw new Error("this picture needs a kernel: it is no anywidget");
    addStyle(model.get("_css"));
    const el = Object.assign(document.createElement("div"), { className: "widget-subarea" });
    const widget = await load(model.get("_esm"));
    await widget.initialize?.({ model });
    view.before(el); // takes the place of its still
    await widget.render({ model, el });
  }

  const parts = (kind) => [...document.querySelectorAll(`script[type="${KIND}-${kind}+json"]`)];
  const states = parts("state").map((part) => JSON.parse(part.textContent).state);
  const stored = states.flatMap((state) => Object.entries(state));
  const models = new Map(stored.map(([id, widget]) => [id, new Model(widget)]));
  for (const view of parts("view")) draw(view, models).catch((error) => console.error(error));
})();
