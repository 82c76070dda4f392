// Elements, and what a press is.

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
