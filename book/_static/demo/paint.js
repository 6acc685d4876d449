// A picture to draw on: soft, bright strokes over any ground, which can be taken back.

/** A fixed random number for each pixel, about normal (the sum of three uniform ones). */
function noise(i, salt = 0) {
  let sum = -1.5;
  for (let k = 0; k < 3; k++) {
    let hash = Math.imul(i + 1, 0x9e3779b1) ^ Math.imul(3 * salt + k + 1, 0x85ebca6b);
    hash = Math.imul(hash ^ (hash >>> 15), 0x2c1b3c6d);
    hash = Math.imul(hash ^ (hash >>> 12), 0x297a2d39);
    sum += ((hash ^ (hash >>> 15)) >>> 0) / 2 ** 32;
  }
  return 2 * sum;
}

/** What a camera sees of nothing: a dark gray that trembles. */
export function darkField(width, height) {
  const gray = new Uint8ClampedArray(width * height);
  return { gray: gray.map((_, i) => 16 + 3 * noise(i)), width, height };
}

/** A ground and the strokes on it; a stroke is a list of blobs { x, y, radius, light }. */
export class Painting {
  strokes = [];
  #stroke; // the one that is being drawn

  constructor({ gray, width, height }) {
    Object.assign(this, { ground: gray, width, height, light: new Float32Array(gray.length) });
  }

  /** Begins a stroke; `extend` adds blobs to it. */
  begin() {
    this.strokes.push(this.#stroke = []);
  }

  /** Draws the stroke on to a place, without gaps; one that was taken back has ended. */
  extend(blob) {
    const stroke = this.#stroke;
    if (!stroke) return;
    const last = stroke.at(-1) ?? blob;
    const far = Math.hypot(blob.x - last.x, blob.y - last.y);
    const steps = Math.max(1, Math.ceil(far / Math.max(1, blob.radius / 4)));
    for (let k = 1; k <= steps; k++) {
      const between = (key) => last[key] + ((blob[key] - last[key]) * k) / steps;
      const next = { ...blob, x: between("x"), y: between("y") };
      stroke.push(next);
      this.#shine(next);
    }
  }

  /** Takes the last stroke back, or all of them. */
  undo(all = false) {
    this.#stroke = undefined;
    this.strokes = all ? [] : this.strokes.slice(0, -1);
    this.light.fill(0);
    this.strokes.flat().forEach((blob) => this.#shine(blob));
  }

  /** A blob is brightest in its middle and fades over two pixels at its rim. */
  #shine({ x, y, radius, light }) {
    const reach = Math.ceil(radius + 1);
    const window = (middle, length) =>
      [Math.max(0, Math.floor(middle) - reach), Math.min(length - 1, Math.ceil(middle) + reach)];
    const [[top, bottom], [left, right]] = [window(y, this.height), window(x, this.width)];
    for (let row = top; row <= bottom; row++) {
      for (let column = left; column <= right; column++) {
        const distance = Math.hypot(column - x, row - y);
        const rim = Math.min(1, Math.max(0, (radius + 1 - distance) / 2));
        const shine = light * rim * (1 - 0.4 * Math.min(1, distance / radius) ** 2);
        const i = row * this.width + column;
        if (shine > this.light[i]) this.light[i] = shine;
      }
    }
  }

  /** The gray values 0 to 255: ground plus light, with the grain that light brings along. */
  gray() {
    const grain = (light, i) => (light ? light + 0.7 * Math.sqrt(light) * noise(i, 1) : 0);
    const gray = new Uint8ClampedArray(this.ground);
    return new Uint8Array(gray.map((value, i) => value + grain(this.light[i], i)).buffer);
  }
}
