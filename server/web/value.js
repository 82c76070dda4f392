// One value of the table as something to touch.

import { make, nameOf } from "./dom.js";

/** From the position of a fader, 0 to 1, to its value and back: even in octaves where the range is wide. Below 0 there may be a word at its bottom, such as xi's -1. */
function scale(low, high, whole) {
  const wide = low > 0 && high / low >= 50, bent = low <= 0 && high > 1 && !whole;
  const to = (p) => (wide ? low * (high / low) ** p : bent ? (p > 0 ? high * p ** 3 : low) : low + (high - low) * p);
  const from = (v) => (wide ? Math.log(v / low) / Math.log(high / low) : bent ? Math.cbrt(v / high) : (v - low) / (high - low));
  return { to: (p) => (whole ? Math.round(to(p)) : to(p)), from: (v) => Math.min(1, Math.max(0, from(v))) };
}

/** A value's fader, choice, switch or field: its element, and what shows a value. fire(address, args) sets it; touched() may take a press. */
export function buildValue(where, node, fire, touched) {
  const name = nameOf(node), range = node.RANGE?.[0] ?? {}, address = node.FULL_PATH, unit = node.UNIT?.[0] ?? "";
  const label = make("label", { className: "value", title: node.DESCRIPTION, "data-address": address });
  const shown = make("output", {});
  let input, show;
  if (range.VALS) {
    const figures = typeof range.VALS[0] === "number"; // a switch: 0 or 1
    input = make("select", {}, ...range.VALS.map((one) => make("option", { value: one }, figures ? ["off", "on"][one] ?? one : one)));
    input.addEventListener("change", () => fire(address, [figures ? ["i", Number(input.value)] : ["s", input.value]]));
    show = (value) => { input.value = `${figures ? Number(value) : value}`; };
  } else if (node.TYPE === "s") {
    input = make("input", { type: "text" });
    input.addEventListener("change", () => fire(address, [["s", input.value]]));
    show = (value) => { if (document.activeElement !== input) input.value = value; };
  } else {
    const bend = scale(range.MIN ?? 0, range.MAX ?? 1, node.TYPE === "i");
    input = make("input", { type: "range", min: 0, max: 1, step: 0.001 });
    const tell = (value) => {
      shown.value = range.MIN === -1 && value < 0 ? "its own" : `${Number(value.toPrecision(3))} ${unit}`; // such as xi's: the model's
      input.setAttribute("aria-valuetext", shown.value);
    };
    let waiting = false;
    input.addEventListener("input", () => {
      tell(bend.to(Number(input.value)));
      if (waiting) return; // the latest wins, once a picture
      waiting = true;
      requestAnimationFrame(() => {
        waiting = false;
        fire(address, [[node.TYPE === "i" ? "i" : "f", bend.to(Number(input.value))]]);
      });
    });
    let held = false;
    input.addEventListener("pointerdown", () => { held = true; });
    for (const end of ["pointerup", "pointercancel"]) input.addEventListener(end, () => { held = false; });
    show = (value) => {
      if (held) return;
      input.value = bend.from(value);
      tell(value);
    };
  }
  input.setAttribute("aria-label", `${where} ${name}`);
  label.addEventListener("pointerdown", (event) => {
    if (touched(address)) event.preventDefault();
  });
  label.append(make("span", {}, name), input, shown);
  return { label, show };
}
