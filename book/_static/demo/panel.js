// What the demo consists of, as HTML: first a button, then pictures and their controls.

export const START = `
  <p><button type="button" class="demo-go">Load the network and start (16 MB)</button>
    <progress hidden aria-label="Loading" max="1" value="0"></progress></p>
  <p class="demo-problem" role="alert"></p>`;

const view = (name, title) => `<figure class="demo-${name}">
  <canvas role="img" data-part="${name}" aria-label="${name}"></canvas>
  <figcaption>${title}</figcaption></figure>`;

const slider = (name, title, attributes) => `<label><span>${title}</span>
  <input type="range" name="${name}" ${attributes}></label>`;

export const PANEL = `
  <form aria-label="A U-Net that runs in this page">
    <div class="demo-row demo-choice">
      <label>Picture <select name="picture"></select></label>
      <label>or one of your own <input type="file" name="file" accept="image/*"></label>
      <label class="demo-check"><input type="checkbox" name="invert"> Invert bright and dark</label>
    </div>
    <p class="demo-problem" data-part="problem" role="alert"></p>
    <div class="demo-surface">
      <canvas data-part="picture" tabindex="0" role="application" aria-label="Picture, to draw on"
        aria-describedby="demo-keys"></canvas>
      <i class="demo-ring" data-part="ring" hidden></i>
    </div>
    <div class="demo-results">
      ${view("instances", "Instances")}
      ${view("probability", "Probability")}
      ${view("mask", "Mask")}
    </div>
    <div class="demo-controls">
      <div class="demo-status">
        <output data-part="count"></output>
        <span data-part="time"></span>
      </div>
      <div class="demo-row">
        ${slider("threshold", 'Threshold <b data-part="threshold"></b>',
          'min="0.01" max="0.99" step="0.01" value="0.5"')}
      </div>
      <div class="demo-row">
        ${slider("radius", "Brush size", 'min="3" max="24" step="1" value="8"')}
        ${slider("light", "Brush brightness", 'min="20" max="230" step="10" value="150"')}
        <span class="demo-buttons"><button type="button" name="undo">Undo</button>
          <button type="button" name="clear">Clear</button></span>
      </div>
      <p class="demo-hint" id="demo-keys">Draw with mouse, finger or pen. By keyboard: arrow keys
        move the cursor (with Shift by single pixels), Enter paints a blob, Backspace takes it back.
        <span data-part="place" aria-live="polite"></span></p>
    </div>
  </form>`;
