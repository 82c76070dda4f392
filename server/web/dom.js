// Elements: how they are made, pressed, and filled as meters.

export const $ = (id) => document.getElementById(id);
export const nameOf = (node) => node.FULL_PATH.split("/").pop();

/** An element with properties, attributes and children. */
export function make(tag, about = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(about)) {
    if (name in made && name !== "role" && !name.startsWith("aria")) made[name] = value;
    else made.setAttribute(name, value);
  }
  made.append(...children);
  return made;
}

/** A mouse fires when it goes down, a finger when it comes up, so that it can scroll; keys click. */
export function onPress(button, act) {
  let done = false;
  button.addEventListener("pointerdown", (event) => {
    done = event.pointerType === "mouse" && event.button === 0;
    if (done) act();
  });
  button.addEventListener("click", () => {
    if (!done) act();
    done = false;
  });
}

/** Shows a linear peak on a scale of 60 dB; said aloud twice a second at most. */
export function meter(element, peak) {
  const level = Math.max(-60, 20 * Math.log10(peak || 1e-9));
  element.firstChild.style.setProperty("--level", (level + 60) / 60);
  element.classList.toggle("hot", peak > 0.99);
  const now = performance.now();
  if (now - (element.told ?? 0) > 500) {
    element.told = now;
    element.setAttribute("aria-valuenow", level.toFixed(0));
  }
}
