// One deck's spectra: what came in above, what sounded below, each column in the colour of what made it, under the waveform's time.

const SIZE = 512; // columns kept: 24 s
const HALVES = { input: 0, output: 1 };

/** Red, green and blue of a colour such as #6db3f2. */
const parts = (colour) => [1, 3, 5].map((at) => parseInt(colour.slice(at, at + 2), 16));

export class Spectrum {
  constructor(canvas) {
    this.canvas = canvas;
    this.clear();
  }

  clear() {
    this.bands = 0;
    this.painted = null; // one column of pixels each, both halves above each other
    this.colours = null;
  }

  /** Columns of 1 + bands bytes from a frame on. */
  add(what, frame, column, bytes, bands) {
    if (bands !== this.bands) this.begin(bands);
    const first = Math.floor(frame / column), wide = bands + 1;
    this.column = column;
    this.shift = frame % column;
    for (let n = 0; n < bytes.length / wide; n++) {
      const at = (first + n) % SIZE, half = HALVES[what];
      if (this.known[at] !== first + n) this.kept.fill(0, 2 * at * wide, 2 * (at + 1) * wide);
      this.kept.set(bytes.subarray(n * wide, (n + 1) * wide), (2 * at + half) * wide);
      this.known[at] = first + n;
      this.paint(at);
    }
  }

  begin(bands) {
    this.bands = bands;
    this.kept = new Uint8Array(SIZE * 2 * (bands + 1));
    this.known = new Float64Array(SIZE).fill(-1);
    this.painted = new OffscreenCanvas(SIZE, 2 * bands);
  }

  /** A kept column as pixels: the louder, the more of the colour of its source. */
  paint(at) {
    if (!this.colours) return;
    const pen = this.painted.getContext("2d"), made = pen.createImageData(1, 2 * this.bands), wide = this.bands + 1;
    for (let half = 0; half < 2; half++) {
      const from = (2 * at + half) * wide, [red, green, blue] = this.shades[this.kept[from]] ?? this.shades[3];
      for (let band = 0; band < this.bands; band++) {
        const level = this.kept[from + 1 + band];
        made.data.set([red, green, blue, 255 * (level / 255) ** 1.3], 4 * ((half + 1) * this.bands - 1 - band));
      }
    }
    pen.putImageData(made, at, 0);
  }

  draw(head, colours) {
    const { canvas } = this, ratio = window.devicePixelRatio || 1;
    const width = canvas.clientWidth, height = canvas.clientHeight;
    if (!width) return; // hidden
    if (canvas.width !== Math.round(width * ratio) || canvas.height !== Math.round(height * ratio)) {
      canvas.width = Math.round(width * ratio);
      canvas.height = Math.round(height * ratio);
    }
    const pen = canvas.getContext("2d");
    pen.setTransform(ratio, 0, 0, ratio, 0, 0);
    pen.fillStyle = colours.ground;
    pen.fillRect(0, 0, width, height);
    if (this.painted && head.frame !== null) {
      this.shade(colours);
      const { left, scale } = head.view(width);
      this.drawColumns(pen, left, scale, width, height);
      pen.fillStyle = colours.ink;
      pen.fillRect((head.frame - left) * scale - 1, 0, 2, height);
    }
    pen.fillStyle = colours.bar;
    pen.fillRect(0, height / 2 - 1, width, 2);
    pen.fillStyle = colours.ink;
    pen.font = "bold 14px system-ui, sans-serif";
    pen.fillText("in", width - 34, 18);
    pen.fillText("out", width - 34, height / 2 + 18);
  }

  /** Takes up the colours of the stage; what is kept is painted anew where they changed. */
  shade(colours) {
    if (this.colours === colours) return;
    this.colours = colours;
    this.shades = colours.sources.map(parts);
    for (let at = 0; at < SIZE; at++) if (this.known[at] >= 0) this.paint(at);
  }

  drawColumns(pen, left, scale, width, height) {
    const first = Math.max(0, Math.floor((left - this.shift) / this.column)), wide = this.column * scale;
    const last = Math.ceil((left + width / scale - this.shift) / this.column);
    for (let n = first; n <= last && n < first + SIZE; n++) {
      const at = n % SIZE;
      if (this.known[at] !== n) continue;
      const x = (n * this.column + this.shift - left) * scale;
      pen.drawImage(this.painted, at, 0, 1, 2 * this.bands, x, 0, wide + 0.5, height);
    }
  }
}
