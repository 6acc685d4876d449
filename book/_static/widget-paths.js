// Loaded between require.js and the widget manager: everything they need lies beside this file.
(() => {
  const here = new URL(".", document.currentScript.src).href + "vendor/widgets";
  require.config({
    paths: { anywidget: `${here}/anywidget/index`, "@jupyter-widgets": here },
  });
  // ipywidgets still calls MathJax 2's queue; MathJax 3 has promises instead.
  window.MathJax = window.MathJax || {};
  window.MathJax.Hub = window.MathJax.Hub || {
    Queue: ([, , element]) => window.MathJax.typesetPromise?.([element].flat()),
    Config: () => {},
    Configured: () => {},
  };
})();
