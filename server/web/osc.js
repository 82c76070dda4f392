// OSC 1.0 in the browser: one message to bytes, and packets with bundles to messages.

const text = new TextEncoder(), words = new TextDecoder();

function padded(string) {
  const raw = text.encode(string);
  const out = new Uint8Array((raw.length + 4) & ~3);
  out.set(raw);
  return out;
}

function number(tag, value) {
  const out = new DataView(new ArrayBuffer(tag === "d" ? 8 : 4));
  if (tag === "i") out.setInt32(0, value);
  else if (tag === "f") out.setFloat32(0, value);
  else out.setFloat64(0, value);
  return new Uint8Array(out.buffer);
}

/** Bytes of a message. args: [tag, value] pairs with tags i f d s. */
export function encode(address, args = []) {
  const parts = [padded(address), padded("," + args.map(([tag]) => tag).join(""))];
  for (const [tag, value] of args) parts.push(tag === "s" ? padded(value) : number(tag, value));
  const out = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    out.set(part, at);
    at += part.length;
  }
  return out;
}

/** Messages of a packet: {address, args}. Throws RangeError or TypeError for what is none. */
export function decode(buffer, start = 0, length = buffer.byteLength) {
  const bytes = new Uint8Array(buffer, start, length), view = new DataView(buffer, start, length);
  let at = 0;
  const string = () => {
    const end = bytes.indexOf(0, at);
    if (end < 0) throw new RangeError("text does not end");
    const found = words.decode(bytes.subarray(at, end));
    at = (end + 4) & ~3;
    return found;
  };
  if (bytes[0] === 35) {
    const messages = [];
    for (at = 16; at + 4 <= length; ) {
      const size = view.getInt32(at);
      if (size <= 0) throw new RangeError("empty element");
      messages.push(...decode(buffer, start + at + 4, size));
      at += 4 + size;
    }
    return messages;
  }
  const address = string();
  const tags = at < length ? string().slice(1) : "";
  const read = {
    i: () => view.getInt32((at += 4) - 4),
    f: () => view.getFloat32((at += 4) - 4),
    d: () => view.getFloat64((at += 8) - 8),
    h: () => Number(view.getBigInt64((at += 8) - 8)),
    t: () => Number(view.getBigUint64((at += 8) - 8)) / 2 ** 32,
    s: string,
    S: string,
    T: () => true,
    F: () => false,
    I: () => true,
    N: () => null,
    b: () => {
      const size = view.getInt32(at);
      const blob = bytes.slice(at + 4, at + 4 + size);
      at += 4 + ((size + 3) & ~3);
      return blob;
    },
  };
  return [{ address, args: [...tags].map((tag) => read[tag]()) }];
}
