// Ways to draw on a canvas: mouse, touch and pen, or the keys of a keyboard. A surface is
// { canvas, ring, place, size(), brush(), begin(), extend({ x, y }), end(), undo() }.

/** Lays the ring, as large as the brush, around a place of the picture. */
function moveRing({ canvas, ring, size, brush }, { x, y }) {
  const { width } = size();
  const pixel = canvas.clientWidth / width;
  const side = 2 * brush().radius * pixel;
  Object.assign(ring.style, {
    left: `${(x + 0.5) * pixel - side / 2}px`, top: `${(y + 0.5) * pixel - side / 2}px`,
    width: `${side}px`, height: `${side}px`,
  });
  ring.hidden = false;
}

export function drawWithPointer(surface) {
  const { canvas, ring, begin, extend, end, undo } = surface;
  let pointer = null; // the one that draws: a second finger does not
  const placeOf = (event) => {
    const box = canvas.getBoundingClientRect();
    const place = (offset) => (offset * surface.size().width) / box.width - 0.5;
    return { x: place(event.clientX - box.left), y: place(event.clientY - box.top) };
  };
  canvas.addEventListener("pointerdown", (event) => {
    if (pointer !== null || event.button !== 0) return;
    pointer = event.pointerId;
    canvas.setPointerCapture(pointer);
    begin();
    extend(placeOf(event));
  });
  canvas.addEventListener("pointermove", (event) => {
    moveRing(surface, placeOf(event));
    if (event.pointerId === pointer) extend(placeOf(event));
  });
  // A stroke is cancelled where a second finger turns it into a zoom of the page.
  for (const [kind, finish] of [["pointerup", end], ["pointercancel", undo]]) {
    canvas.addEventListener(kind, (event) => {
      if (event.pointerId !== pointer) return;
      pointer = null;
      finish();
    });
  }
  canvas.addEventListener("pointerleave", () => { ring.hidden = true; });
}

const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

/** Arrows move a cursor by four pixels, with Shift by one; Enter or Space paints a blob there. */
export function drawWithKeys(surface) {
  const { canvas, ring, place, begin, extend, end, undo } = surface;
  let [x, y] = [64, 64];
  const within = (value, length) => Math.min(Math.max(value, 0), length - 1);
  const show = () => {
    const { width, height } = surface.size();
    [x, y] = [within(x, width), within(y, height)];
    moveRing(surface, { x, y });
    place.textContent = `Cursor at column ${x}, row ${y}.`;
  };
  const keys = {
    Enter() { begin(); extend({ x, y }); end(); },
    Backspace: undo,
  };
  keys[" "] = keys.Enter;
  canvas.addEventListener("keydown", (event) => {
    const step = event.shiftKey ? 1 : 4;
    const arrow = ARROWS[event.key];
    const work = (event.ctrlKey || event.metaKey) && event.key === "z" ? undo : keys[event.key];
    if (!arrow && !work) return;
    event.preventDefault();
    if (arrow) [x, y] = [x + step * arrow[0], y + step * arrow[1]];
    else work();
    show();
  });
  canvas.addEventListener("focus", () => canvas.matches(":focus-visible") && show());
  canvas.addEventListener("blur", () => {
    ring.hidden = true;
    place.textContent = "";
  });
}
