// The page: built from the server's own table (OSCQuery), driven by OSC over one WebSocket.

import { Link } from "./link.js";
import { PlayHead, Wave } from "./wave.js";

const FIRST = ["continue", "transition", "infill", "vary", "loop", "generate", "capture", "commit", "cancel", "stop"];
const KEYS = ["qwertyuiop", "asdfghjkl;"]; // of the first two decks, in the order of FIRST
const FADERS = ["gain", "k", "xi", "beats", "quant"]; // the others are folded away
const FILE = ["play", "pause"];
const OVER = new Set(["done", "cancelled", "failed", "late", "dropped"]);
const LOGGED = 60, JOBS = 12;
const $ = (id) => document.getElementById(id);

const head = new PlayHead();
const decks = new Map(); // number: {wave, verbs, ...}
const values = new Map(); // address: what shows its value
const jobs = new Map();
let link, grid = null, learning = false, tree = "";

/** An element with properties, attributes and children. */
function make(tag, about = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(about)) {
    if (name in made && name !== "role" && !name.startsWith("aria")) made[name] = value;
    else made.setAttribute(name, value);
  }
  made.append(...children);
  return made;
}

// -- what the performer does

function fire(address, args = []) {
  if (learning) return learn(address);
  if (!link.send(address, args)) note("not sent: the server is lost", address);
}

function learn(address) {
  link.send("/segue/midi/learn", [["s", address]]);
  for (const one of document.querySelectorAll(".learning")) one.classList.remove("learning");
  for (const one of document.querySelectorAll(`[data-address="${CSS.escape(address)}"]`)) one.classList.add("learning");
}

function setLearning(on) {
  learning = on;
  $("learn").setAttribute("aria-pressed", String(on));
  document.body.classList.toggle("learn", on);
  if (!on) {
    link.send("/segue/midi/learn", [["s", ""]]);
    for (const one of document.querySelectorAll(".learning")) one.classList.remove("learning");
  }
}

/** A mouse fires when it goes down, a finger when it comes up, so that it can scroll; keys click. */
function onPress(button, act) {
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

function key(event) {
  if (event.repeat || event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.key === "Escape") return fire("/segue/panic");
  if (/^(input|select|textarea)$/i.test(event.target.tagName)) return;
  if (event.key === " ") {
    if (event.target.tagName === "BUTTON" || event.target.tagName === "SUMMARY") return;
    event.preventDefault();
    return fire("/segue/tap");
  }
  const deck = KEYS.findIndex((keys) => keys.includes(event.key.toLowerCase()));
  const button = deck < 0 ? null : decks.get(deck + 1)?.verbs.get(FIRST[KEYS[deck].indexOf(event.key.toLowerCase())]);
  if (button) {
    button.act();
    button.element.classList.add("pressed");
    setTimeout(() => button.element.classList.remove("pressed"), 120);
  }
}

// -- building

async function build() {
  const answer = await fetch("/segue");
  const found = await answer.json();
  const shape = JSON.stringify(found, (name, value) => (name === "VALUE" ? undefined : value));
  if (shape === tree) return;
  tree = shape;
  decks.clear();
  values.clear();
  $("server").replaceChildren(...leaves(found).filter((node) => node.ACCESS === 3).map((node) => buildValue("server", node)));
  const numbers = Object.keys(found.CONTENTS.deck.CONTENTS).map(Number);
  $("decks").replaceChildren(...numbers.map((number) => buildDeck(number, found.CONTENTS.deck.CONTENTS[number].CONTENTS, numbers.length)));
}

/** Addresses of the server itself. */
function leaves(node) {
  return Object.entries(node.CONTENTS ?? {}).flatMap(([name, below]) => (name === "deck" ? [] : [...("TYPE" in below ? [below] : []), ...leaves(below)]));
}

function buildDeck(number, nodes, count) {
  const deck = { number, wave: null, verbs: new Map() };
  decks.set(number, deck);
  const canvas = make("canvas", { className: "wave", role: "img", "aria-label": `deck ${number}: waveform` });
  deck.wave = new Wave(canvas);
  deck.state = make("output", { className: "state", "aria-label": `deck ${number} plays` }, "–");
  deck.next = make("output", { className: "next", "aria-label": `deck ${number} next` });
  deck.file = make("output", { className: "file", "aria-label": `deck ${number} file` });
  deck.meters = ["input", "output"].map((what) =>
    make("div", { className: "meter", role: "meter", "aria-label": `deck ${number} ${what}`, "aria-valuemin": "-60", "aria-valuemax": "0", "aria-valuenow": "-60", "data-name": what === "input" ? "in" : "out" }, make("i")));
  const verbs = Object.values(nodes).filter((node) => node.ACCESS === 2);
  const named = (name) => verbs.find((node) => nameOf(node) === name);
  const rest = verbs.map(nameOf).filter((name) => !FIRST.includes(name) && !FILE.includes(name) && !["load", "seek", "cue"].includes(name));
  const button = (name, at) => buildVerb(deck, named(name), count, KEYS[number - 1]?.[at]);
  const held = Object.values(nodes).filter((node) => node.ACCESS === 3);
  const first = FADERS.map((name) => nodes[name]).filter(Boolean), others = held.filter((node) => !first.includes(node));
  return make("section", { className: "deck", "aria-label": `deck ${number}` },
    make("div", { className: "top" }, make("h2", {}, `${number}`), deck.state, deck.next, deck.file, ...deck.meters),
    canvas,
    make("div", { className: "verbs" }, ...FIRST.map((name, at) => named(name) && button(name, at)).filter(Boolean)),
    make("div", { className: "values" }, ...first.map((node) => buildValue(`deck ${number}`, node))),
    make("details", {}, make("summary", {}, "more"),
      make("div", { className: "verbs small" }, ...rest.map((name) => button(name)), ...FILE.map((name) => named(name) && button(name))),
      buildFile(deck, named("load"), named("seek")),
      make("div", { className: "values" }, ...others.map((node) => buildValue(`deck ${number}`, node)))));
}

const nameOf = (node) => node.FULL_PATH.split("/").pop();

function buildVerb(deck, node, count, letter) {
  const name = nameOf(node), other = count === 2 ? 3 - deck.number : 0;
  const element = make("button", { type: "button", className: "verb", title: node.DESCRIPTION, "data-address": node.FULL_PATH, "data-verb": name, "aria-label": `deck ${deck.number} ${name}` },
    make("span", { className: "name" }, name), make("span", { className: "job" }));
  if (letter) element.append(make("kbd", {}, letter));
  const act = () => {
    if (node.TYPE === "i" && !learning) { // a switch, such as freeze
      const on = element.getAttribute("aria-pressed") !== "true";
      element.setAttribute("aria-pressed", String(on));
      return fire(node.FULL_PATH, [["i", Number(on)]]);
    }
    fire(node.FULL_PATH, name === "style" && other ? [["s", "deck"], ["i", other]] : []);
  };
  if (node.TYPE === "i") element.setAttribute("aria-pressed", "false");
  onPress(element, act);
  deck.verbs.set(name, { element, act });
  return element;
}

/** From the position of a fader, 0 to 1, to its value and back: even in octaves where the range is wide. */
function scale(low, high, whole) {
  const wide = low > 0 && high / low >= 50, bent = low === 0 && high > 1 && !whole;
  const to = (p) => (wide ? low * (high / low) ** p : low + (high - low) * (bent ? p ** 3 : p));
  const from = (v) => (wide ? Math.log(v / low) / Math.log(high / low) : bent ? Math.cbrt((v - low) / (high - low)) : (v - low) / (high - low));
  return { to: (p) => (whole ? Math.round(to(p)) : to(p)), from: (v) => Math.min(1, Math.max(0, from(v))) };
}

function buildValue(where, node) {
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
      shown.value = `${Number(value.toPrecision(3))} ${unit}`;
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
    if (!learning) return;
    event.preventDefault();
    learn(address);
  });
  label.append(make("span", {}, name), input, shown);
  values.set(address, show);
  return label;
}

function buildFile(deck, load, seek) {
  const path = make("input", { type: "text", placeholder: "/path/of/a/file.wav", "aria-label": `deck ${deck.number} path of a file` });
  const place = make("input", { type: "number", min: 0, step: 0.1, value: 0, "aria-label": `deck ${deck.number} place in seconds` });
  const loader = make("button", { type: "button", className: "load" }, "load"), seeker = make("button", { type: "button", className: "seek" }, "seek");
  onPress(loader, () => fire(load.FULL_PATH, [["s", path.value]]));
  onPress(seeker, () => fire(seek.FULL_PATH, [["f", Number(place.value)]]));
  return make("div", { className: "row" }, path, loader, place, seeker);
}

// -- what the server says

const SAYS = {
  "/segue/engine": ([state, sentence]) => { $("engine").textContent = `engine: ${state}`; $("engine").dataset.state = state; $("engine").title = sentence; },
  "/segue/tempo": ([bpm]) => { $("bpm").value = bpm.toFixed(1); },
  "/segue/grid": ([rate, origin, bpm, beats]) => { head.rate = rate; grid = { rate, origin, bpm, beats }; $("bpm").value = bpm.toFixed(1); },
  "/segue/fail": ([address, sentence]) => note(sentence, address),
  "/segue/late": ([address, seconds]) => note(`came ${(1000 * seconds).toFixed(0)} ms late`, address),
  "/segue/job": job,
  "/segue/status": ([json]) => figures(JSON.parse(json)),
  "/segue/pong": ([sent]) => { latency = performance.now() - sent; },
  "/segue/midi/learned": ([address, what]) => { note(`learnt: ${what}`, address); setLearning(false); },
};
const DECK_SAYS = {
  state: (deck, [state]) => { deck.state.value = { slot_a: "take", slot_b: "take" }[state] ?? state; deck.state.dataset.state = deck.state.value; },
  next: (deck, [verb, beats]) => { deck.next.value = verb ? `then ${verb} in ${Math.ceil(beats - 0.001)}` : ""; },
  file: (deck, [path, seconds]) => { deck.file.value = `${path.split("/").pop()} · ${seconds.toFixed(0)} s`; },
  meters: (deck, [inPeak, , outPeak]) => { meter(deck.meters[0], inPeak); meter(deck.meters[1], outPeak); },
  wave: (deck, [frame, column, bytes]) => {
    deck.wave.add(frame, column, bytes);
    if (deck.number === 1 && bytes.length) head.hear(deck.wave.end);
  },
  coming: (deck, [id, verb, state, start, end, origin, columns]) => deck.wave.expect(id, verb, state, start, end, origin, columns),
};
let latency = null;

function heard(address, args) {
  values.get(address)?.(args[0]);
  if (SAYS[address]) return SAYS[address](args);
  const [, , where, number, name] = address.split("/");
  const deck = where === "deck" && decks.get(Number(number));
  if (deck && DECK_SAYS[name]) DECK_SAYS[name](deck, args);
}

function meter(element, peak) {
  const level = Math.max(-60, 20 * Math.log10(peak || 1e-9));
  element.firstChild.style.setProperty("--level", (level + 60) / 60);
  element.classList.toggle("hot", peak > 0.99);
  const now = performance.now();
  if (now - (element.told ?? 0) > 500) {
    element.told = now;
    element.setAttribute("aria-valuenow", level.toFixed(0));
  }
}

function job([id, number, verb, state, progress, sentence]) {
  const deck = decks.get(number), button = deck?.verbs.get(verb)?.element;
  jobs.delete(id);
  jobs.set(id, { id, number, verb, state, progress, sentence });
  while (jobs.size > JOBS) jobs.delete([...jobs].find(([, one]) => OVER.has(one.state))?.[0] ?? jobs.keys().next().value);
  if (button) {
    button.dataset.state = OVER.has(state) ? "" : state;
    button.style.setProperty("--progress", state === "running" ? progress : OVER.has(state) ? 0 : 1);
    button.querySelector(".job").textContent = OVER.has(state) ? "" : state;
  }
  $("jobs").replaceChildren(...[...jobs.values()].reverse().map((one) =>
    make("li", { "data-state": one.state }, `${one.id} · deck ${one.number} ${one.verb} `, make("b", {}, one.state), " ",
      OVER.has(one.state) ? one.sentence : make("progress", { max: 1, value: one.progress, "aria-label": `job ${one.id}` }))));
}

function note(sentence, address) {
  $("log").prepend(make("li", {}, make("time", {}, new Date().toLocaleTimeString()), ` ${address ?? ""} `, make("b", {}, sentence)));
  while ($("log").children.length > LOGGED) $("log").lastChild.remove();
}

function figures(status) {
  const ms = (value) => `${value.toFixed(1)} ms`, count = status.counters;
  const rows = {
    "round trip": latency === null ? "–" : ms(latency),
    "a block": ms((1000 * status.block) / status.sample_rate),
    rate: `${status.sample_rate} Hz`,
    engine: status.engine_sentence || status.engine,
    commands: status.commands,
    "bad packets": status.door?.bad ?? 0,
    ...Object.fromEntries(["late", "underruns", "xruns", "lost"].filter((name) => name in count).map((name) => [name, count[name]])),
  };
  $("figures").replaceChildren(...Object.entries(rows).flatMap(([name, value]) => [make("dt", {}, name), make("dd", {}, `${value}`)]));
}

function state(now) {
  $("link").dataset.state = now;
  $("link").textContent = now === "open" ? "connected" : "server lost: trying again";
  document.body.classList.toggle("lost", now !== "open");
  if (now !== "open") return;
  head.offset = null;
  jobs.clear();
  for (const deck of decks.values()) {
    deck.wave.clear();
    for (const { element } of deck.verbs.values()) element.dataset.state = "";
  }
  build().then(ask).catch(() => note("the table could not be read", "/segue"));
}

/** The values of the server itself, which the snapshot leaves out. */
function ask() {
  for (const address of values.keys()) if (!address.startsWith("/segue/deck/")) link.send(address);
}

// -- pictures

let colours;
function readColours() {
  const style = getComputedStyle(document.documentElement), read = (name) => style.getPropertyValue(`--${name}`).trim();
  colours = { ground: read("wave"), ink: read("ink"), beat: read("beat"), bar: read("bar"), sources: [read("dry"), read("new"), read("loop"), read("rest")] };
}

function draw() {
  for (const deck of decks.values()) deck.wave.draw(head, grid, colours);
  if (grid && head.frame !== null) {
    const beat = Math.floor(((head.frame - grid.origin) * grid.bpm) / (60 * grid.rate));
    $("beat").textContent = `${Math.floor(beat / grid.beats) + 1}.${(((beat % grid.beats) + grid.beats) % grid.beats) + 1}`;
  }
  requestAnimationFrame(draw);
}

function theme(name) {
  if (name) document.documentElement.dataset.theme = name;
  readColours();
}

for (const id of ["tap", "downbeat", "panic"]) onPress($(id), () => fire($(id).dataset.address));
onPress($("learn"), () => setLearning(!learning));
onPress($("theme"), () => {
  const dark = getComputedStyle(document.documentElement).getPropertyValue("--is-dark").trim() === "1";
  localStorage.setItem("theme", dark ? "light" : "dark");
  theme(dark ? "light" : "dark");
});
theme(localStorage.getItem("theme"));
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", readColours);
document.addEventListener("keydown", key);
await build().catch(() => {});
link = new Link(heard, state);
setInterval(() => link.send("/segue/status"), 2000);
setInterval(() => link.send("/segue/ping", [["d", performance.now()]]), 1000);
draw();
