// What the demo consists of, as HTML: first a button, then images and their controls.

export const START = `
  <p><button type="button" class="demo-go">Load the network and start (16 MB)</button>
    <progress hidden aria-label="Loading" max="1" value="0"></progress></p>
  <p class="demo-problem" role="alert"></p>`;

export const VIEWS = ["instances", "probability", "mask"];

const view = (name, i) => `<label><input type="radio" name="view" value="${name}"
  ${i ? "" : "checked"}><span>${name}</span></label>`;

const slider = (name, title, attributes) => `<label><span>${title}</span>
  <input type="range" name="${name}" ${attributes}></label>`;

const check = (name, title, state = "") => `<label class="demo-check">
  <input type="checkbox" name="${name}" ${state}> ${title}</label>`;

/** Images, controls, and one square for all the views of what was found. */
export const panel = (views) => `
  <form aria-label="A U-Net that runs in this page">
    <div class="demo-choice">
      <label>Image <select name="picture"></select></label>
      <label>or one of your own <input type="file" name="file" accept="image/*"></label>
      ${check("invert", "Invert bright and dark")}
      ${check("outlines", "Outlines", "checked")}
      <p class="demo-problem" data-part="problem" role="alert"></p>
    </div>
    <figure class="demo-draw">
      <div class="demo-surface">
        <canvas data-part="picture" tabindex="0" role="application" aria-label="Image, to draw on"
          aria-describedby="demo-keys"></canvas>
        <svg data-part="outlines" aria-hidden="true"></svg>
        <i class="demo-ring" data-part="ring" hidden></i>
      </div>
      <figcaption><span id="demo-keys">Draw with mouse, finger or pen. Keys: arrows move (with Shift
        by one pixel), Enter paints, Backspace takes back.</span>
        <span data-part="place" aria-live="polite"></span></figcaption>
    </figure>
    <div class="demo-between">
      ${slider("threshold", 'Threshold <b data-part="threshold"></b>',
        'min="0.01" max="0.99" step="0.01" value="0.5"')}
      ${slider("radius", "Brush size", 'min="3" max="24" step="1" value="8"')}
      ${slider("light", "Brush brightness", 'min="20" max="230" step="10" value="150"')}
      <span class="demo-buttons"><button type="button" name="undo">Undo</button>
        <button type="button" name="clear">Clear</button></span>
    </div>
    <figure class="demo-found">
      <canvas role="img" data-part="found"></canvas>
      <figcaption><fieldset class="demo-views"><legend>What the network finds</legend>
        ${views.map(view).join("")}</fieldset></figcaption>
    </figure>
    <div class="demo-status">
      <output data-part="count"></output>
      <span data-part="time"></span>
    </div>
  </form>`;
