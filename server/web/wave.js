// One deck's picture: what sounded scrolls to the left of the play head, what is coming stands to its right, on the beat.

const SIZE = 8192; // columns kept
const STATES = { queued: 0.15, running: 0.2, ready: 0.35, armed: 0.6, playing: 0.6 };

/** The frame that sounds now, from messages that come 30 times a second: the least late of them says it. */
export class PlayHead {
  rate = 44100;
  offset = null;

  hear(frame) {
    const offset = frame - (this.rate * performance.now()) / 1000;
    const slack = this.rate * 0.0005;
    if (this.offset === null || Math.abs(offset - this.offset) > this.rate / 2) this.offset = offset;
    else this.offset = Math.max(this.offset - slack, offset);
  }

  get frame() {
    return this.offset === null ? null : this.offset + (this.rate * performance.now()) / 1000;
  }

  /** The frame at the left edge of a picture this wide, and pixels a frame: two thirds are what was, one is to come. */
  view(width) {
    const seconds = Math.max(4, Math.min(16, width / 90));
    return { left: this.frame - (2 / 3) * seconds * this.rate, scale: width / (seconds * this.rate) };
  }
}

export class Wave {
  constructor(canvas) {
    this.canvas = canvas;
    this.clear();
  }

  clear() {
    this.low = new Uint8Array(SIZE);
    this.high = new Uint8Array(SIZE);
    this.source = new Uint8Array(SIZE);
    this.known = new Float64Array(SIZE).fill(-1);
    this.column = 512;
    this.end = 0;
    this.coming = new Map();
    this.offered = new Map();
  }

  /** Columns of three bytes from a frame on. */
  add(frame, column, bytes) {
    this.column = column;
    const first = frame / column, count = bytes.length / 3;
    for (let n = 0; n < count; n++) {
      const at = (first + n) % SIZE;
      this.low[at] = bytes[3 * n];
      this.high[at] = bytes[3 * n + 1];
      this.source[at] = bytes[3 * n + 2];
      this.known[at] = first + n;
    }
    this.end = (first + count) * column;
  }

  /** A take that is coming or plays. */
  expect(id, verb, state, start, end, origin, columns) {
    if (state in STATES) this.coming.set(id, { verb, state, start, end, origin, columns });
    else this.coming.delete(id);
  }

  /** A take that stands ready for a verb, or no longer does. Returns how many the verb has. */
  offer(verb, seed, first, last) {
    const key = `${verb} ${seed}`;
    if (last > first) this.offered.set(key, { verb, first, last });
    else this.offered.delete(key);
    return [...this.offered.values()].filter((one) => one.verb === verb).length;
  }

  draw(head, grid, colours) {
    const { canvas } = this, ratio = window.devicePixelRatio || 1;
    const width = canvas.clientWidth, height = canvas.clientHeight;
    if (canvas.width !== Math.round(width * ratio) || canvas.height !== Math.round(height * ratio)) {
      canvas.width = Math.round(width * ratio);
      canvas.height = Math.round(height * ratio);
    }
    const pen = canvas.getContext("2d");
    pen.setTransform(ratio, 0, 0, ratio, 0, 0);
    pen.fillStyle = colours.ground;
    pen.fillRect(0, 0, width, height);
    if (head.frame === null) return;
    const view = { head: head.frame, ...head.view(width), width, height, middle: height / 2 };
    this.drawGrid(pen, view, grid, colours);
    this.drawHistory(pen, view, colours);
    for (const take of this.coming.values()) this.drawTake(pen, view, take, colours);
    this.drawOffers(pen, view, colours);
    pen.fillStyle = colours.ink;
    pen.fillRect((view.head - view.left) * view.scale - 1, 0, 2, height);
  }

  drawGrid(pen, view, grid, colours) {
    if (!grid) return;
    const beat = (grid.rate * 60) / grid.bpm, first = Math.ceil((view.left - grid.origin) / beat);
    for (let n = first; ; n++) {
      const x = (grid.origin + n * beat - view.left) * view.scale;
      if (x > view.width) break;
      const bar = ((n % grid.beats) + grid.beats) % grid.beats === 0;
      pen.fillStyle = bar ? colours.bar : colours.beat;
      pen.fillRect(x, 0, bar ? 2 : 1, view.height);
    }
  }

  drawHistory(pen, view, colours) {
    const first = Math.max(0, Math.floor(view.left / this.column)), last = Math.floor(this.end / this.column);
    const width = Math.max(1, this.column * view.scale), tall = view.height * 0.46;
    for (let n = first; n < last; n++) {
      const at = n % SIZE;
      if (this.known[at] !== n) continue;
      this.bar(pen, (n * this.column - view.left) * view.scale, width, this.low[at], this.high[at], view.middle, tall, colours.sources[this.source[at]]);
    }
  }

  bar(pen, x, width, low, high, middle, tall, colour) {
    const top = middle - ((high - 128) / 127) * tall, bottom = middle - ((low - 128) / 127) * tall;
    pen.fillStyle = colour;
    pen.fillRect(x, top, width + 0.5, Math.max(1, bottom - top));
  }

  drawTake(pen, view, take, colours) {
    const soon = take.start === 0, start = soon ? view.head : take.start;
    const end = soon ? view.head + take.end : take.end;
    const x = (Math.max(start, view.head) - view.left) * view.scale;
    const far = Math.min(view.width, (end - view.left) * view.scale);
    if (far <= x) return;
    const armed = take.state === "armed" || take.state === "playing";
    pen.globalAlpha = STATES[take.state];
    const count = take.columns.length / 2, wide = Math.max(1, this.column * view.scale);
    const origin = soon ? view.head : take.origin;
    for (let n = Math.max(0, Math.ceil((Math.max(start, view.head) - origin) / this.column)); n < count; n++) {
      const at = (origin + n * this.column - view.left) * view.scale;
      if (at > far) break;
      this.bar(pen, at, wide, take.columns[2 * n], take.columns[2 * n + 1], view.middle, view.height * 0.46, colours.sources[1]);
    }
    pen.globalAlpha = armed ? 0.16 : 0.08;
    pen.fillStyle = colours.sources[1];
    pen.fillRect(x, 0, far - x, view.height);
    pen.globalAlpha = 1;
    pen.strokeStyle = colours.sources[1];
    pen.lineWidth = 2;
    pen.setLineDash(armed ? [] : [6, 6]);
    pen.strokeRect(x, 1, far - x - 1, view.height - 2);
    pen.setLineDash([]);
    if (take.state === "playing") return;
    pen.fillStyle = colours.ink;
    pen.font = "bold 16px system-ui, sans-serif";
    pen.fillText(`${take.verb} · ${take.state}`, x + 8, 20, Math.max(1, far - x - 12));
  }

  /** Candidates are tentative: a dotted line each at the foot of the picture, from now to where its sound ends. */
  drawOffers(pen, view, colours) {
    let row = 0;
    for (const { verb, first, last } of this.offered.values()) {
      const x = (Math.max(first, view.head) - view.left) * view.scale, far = Math.min(view.width, (last - view.left) * view.scale);
      if (far <= x) continue;
      const y = view.height - 6 - 16 * row++;
      pen.strokeStyle = pen.fillStyle = colours.sources[1];
      pen.lineWidth = 3;
      pen.setLineDash([3, 5]);
      pen.beginPath();
      pen.moveTo(x, y);
      pen.lineTo(far, y);
      pen.stroke();
      pen.setLineDash([]);
      pen.font = "12px system-ui, sans-serif";
      pen.fillText(`${verb} stands ready`, x + 4, y - 4, Math.max(1, far - x - 8));
    }
  }
}
