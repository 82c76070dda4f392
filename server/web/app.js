// The page: built from the server's own table (OSCQuery), driven by OSC over one WebSocket.

import { $, make, meter, nameOf, onPress } from "./dom.js";
import { Link } from "./link.js";
import { Spectrum } from "./spectrum.js";
import { buildValue } from "./value.js";
import { PlayHead, Wave } from "./wave.js";

const FIRST = ["continue", "transition", "infill", "vary", "loop", "generate", "capture", "commit", "cancel", "stop"];
const KEYS = ["qwertyuiop", "asdfghjkl;"]; // of the first two decks, in the order of FIRST
const FADERS = ["gain", "k", "xi", "beats", "quant"]; // the others are folded away
const FILE = ["play", "pause"];
const OVER = new Set(["done", "cancelled", "failed", "late", "dropped"]);
const LOGGED = 60, JOBS = 12;

const head = new PlayHead();
const decks = new Map(); // number: {wave, verbs, ...}
const values = new Map(); // address: what shows its value
const jobs = new Map();
let link, grid = null, learning = false, tree = "";
let spectra = (localStorage.getItem("spectra") ?? (matchMedia("(min-width: 641px)").matches ? "on" : "off")) === "on";

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
  $("server").replaceChildren(...leaves(found).filter((node) => node.ACCESS === 3).map((node) => addValue("server", node)));
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
  const below = make("canvas", { className: "spectrum", role: "img", "aria-label": `deck ${number}: spectrogram of input and output` });
  deck.spectrum = new Spectrum(below);
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
    canvas, below,
    make("div", { className: "verbs" }, ...FIRST.map((name, at) => named(name) && button(name, at)).filter(Boolean)),
    make("div", { className: "values" }, ...first.map((node) => addValue(`deck ${number}`, node))),
    make("details", {}, make("summary", {}, "more"),
      make("div", { className: "verbs small" }, ...rest.map((name) => button(name)), ...FILE.map((name) => named(name) && button(name))),
      buildFile(deck, named("load"), named("seek")),
      make("div", { className: "values" }, ...others.map((node) => addValue(`deck ${number}`, node)))));
}

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

/** While learning, a touch says what is meant and sets nothing. */
function touched(address) {
  if (learning) learn(address);
  return learning;
}

function addValue(where, node) {
  const { label, show } = buildValue(where, node, fire, touched);
  values.set(node.FULL_PATH, show);
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
  spectrum: (deck, [what, frame, column, bands, bytes]) => deck.spectrum.add(what, frame, column, bytes, bands),
  candidate: (deck, [verb, first, last, seed]) => {
    const ready = deck.wave.offer(verb, seed, Number(first), Number(last)), button = deck.verbs.get(verb)?.element;
    if (button) button.dataset.ready = ready || "";
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
    deck.spectrum.clear();
    for (const { element } of deck.verbs.values()) element.dataset.state = element.dataset.ready = "";
  }
  showSpectra(spectra);
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
  for (const deck of decks.values()) {
    deck.wave.draw(head, grid, colours);
    if (spectra) deck.spectrum.draw(head, colours);
  }
  if (grid && head.frame !== null) {
    const beat = Math.floor(((head.frame - grid.origin) * grid.bpm) / (60 * grid.rate));
    $("beat").textContent = `${Math.floor(beat / grid.beats) + 1}.${(((beat % grid.beats) + grid.beats) % grid.beats) + 1}`;
  }
  requestAnimationFrame(draw);
}

/** Spectrograms cost the server some sums: it makes them while they are shown. */
function showSpectra(on) {
  spectra = on;
  $("spectra").setAttribute("aria-pressed", String(on));
  document.body.classList.toggle("spectra", on);
  link.send("/segue/spectrum", [["i", Number(on)]]);
}

function theme(name) {
  if (name) document.documentElement.dataset.theme = name;
  readColours();
}

for (const id of ["tap", "downbeat", "panic"]) onPress($(id), () => fire($(id).dataset.address));
onPress($("learn"), () => setLearning(!learning));
onPress($("spectra"), () => {
  localStorage.setItem("spectra", spectra ? "off" : "on");
  showSpectra(!spectra);
});
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
