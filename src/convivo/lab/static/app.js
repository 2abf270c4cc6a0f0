// The shell: rail, data, theme, link, keys, transport. It knows no view; a view knows only this:
//
// views/NAME.js exports `view`, and stands in VIEWS below.
//
// @typedef {object} View
//   name     its word in links (view=conv);   title on the rail;   key  "1" ... "6"
//   kinds    data it can show, of "signal", "image", "volume"; [] if it needs none
//   sample   what it begins with, a name of samples.py, or undefined
//   schema   its state by name -> Codec of core/state.js; the names v, view, d and st are the
//            shell's. All state that a picture depends on stands here: the picture is a pure
//            function of (state, step, data), so that play = scrub = reload of the link.
//   mount(lab) -> Mounted
//
// @typedef {object} Mounted
//   draw()         draws all of lab.state; called in one animation frame after any change of state,
//                  data or theme, never twice in a frame
//   steps()        how many steps there are for this state; below 2 the transport hides
//   say()          one sentence on the current step, for the live region and the title of the note
//   key(event)     optional: true if it took the key (after the shell's own, see core/keys.js)
//   opened(card)   optional: another array was opened; returns a patch of the state that fits it
//   unmount()      optional
//
// @typedef {object} Lab      what a view gets
//   stage, inspector   its elements, empty at mount
//   state              values of its schema, and `step`; read only
//   set(patch)         change state ({step: 3}, {stride: [2, 2]}); draws, updates the link
//   card               of the open array: id, kind, shape [C, ...], min, max, ...; or null
//   redraw()           after something outside the state arrived (an array from the server)
//   note(text, state)  the foot: state "good", "bad" or ""
//   live(text)         the live region, beyond what say() tells
//   api                core/api.js
//   lessons.js may call lab.open(sample) and lab.go(view, state).

import * as api from "./core/api.js";
import { fill, h } from "./core/dom.js";
import { keyList, taken } from "./core/keys.js";
import { picker } from "./core/picker.js";
import { choice, decode, encode, integer } from "./core/state.js";
import { themes } from "./core/theme.js";
import { transport } from "./core/transport.js";
import { lessons } from "./lessons.js";
import { view as architecture } from "./views/architecture.js";
import { view as backward } from "./views/backward.js";
import { view as bench } from "./views/bench.js";

const VIEWS = [bench, backward, architecture];

const $ = (id) => document.getElementById(id);
const LINK_MS = 200;
const named = (pattern) => ({
  initial: "",
  parse: (t) => (pattern.test(t) ? t : undefined),
  format: String,
});
const SHELL = {
  v: choice(["1"], "1"),
  view: choice(
    VIEWS.map((v) => v.name),
    VIEWS[0].name,
  ),
  d: named(/^(sample:[a-z]{1,20}|id:[0-9a-f]{24})$/),
  st: integer(0, 1e8, 0),
};

let view = VIEWS[0];
let mounted = null;
let frame = 0;
let linking = 0;
let turns = 0;
let said = "";
let source = "";

const lab = {
  stage: $("stage"),
  inspector: $("inspector"),
  state: {},
  card: null,
  api,
  set(patch) {
    lab.state = { ...lab.state, ...patch };
    lab.redraw();
  },
  redraw() {
    frame ||= requestAnimationFrame(draw);
  },
  note(text, state = "") {
    $("note").textContent = text;
    $("note").title = text;
    $("note").dataset.state = state;
  },
  live(text) {
    $("live").textContent = text;
  },
  open: async (sample) => opened(await api.ask("open", { sample })),
  /** Show a view in this state, all else as it initially is; on a sample, if one is named. */
  async go(name, state, sample) {
    if (sample && source !== `sample:${sample}`) adopt(await api.ask("open", { sample }));
    const next = VIEWS.find((v) => v.name === name) ?? view;
    if (next === view && mounted) lab.set({ ...decode("", view.schema), step: 0, ...state });
    else show(next, state);
  },
};

const steps = transport($("transport"), {
  step: () => lab.state.step,
  steps: () => mounted?.steps() ?? 0,
  go: (step) => lab.set({ step: Math.max(0, step) }),
});

function draw() {
  frame = 0;
  if (!mounted) return;
  mounted.draw();
  const count = mounted.steps(); // 0 while data is on its way: the step of a link waits for it
  if (count > 0 && lab.state.step >= count) return lab.set({ step: count - 1 });
  steps.show();
  const text = mounted.say();
  if (text && text !== said) lab.live((said = text));
  clearTimeout(linking);
  linking = setTimeout(link, LINK_MS);
  return undefined;
}

/** The address of what is shown; nothing of whose data it is. */
function link() {
  const shell = encode(
    { v: "1", view: view.name, d: source, st: lab.state.step },
    { ...SHELL, v: named(/./), view: named(/./) },
  );
  const own = encode(lab.state, view.schema).slice(1);
  history.replaceState(null, "", own ? `${shell}&${own}` : shell);
}

function show(next, state = {}) {
  mounted?.unmount?.();
  delete document.documentElement.dataset.checked; // what a view says of the one before
  steps.stop();
  view = next;
  for (const button of $("rail").querySelectorAll("button[data-view]")) {
    if (button.dataset.view === view.name) button.setAttribute("aria-current", "page");
    else button.removeAttribute("aria-current");
  }
  fill(lab.stage);
  fill(lab.inspector);
  lab.note("");
  document.title = `${view.title} · convivo lab`;
  $("title").textContent = view.title;
  lab.state = { ...decode("", view.schema), step: 0, ...state };
  mounted = view.mount(lab);
  lab.redraw();
}

/** From now on this is the open array. */
function adopt(card) {
  lab.card = card;
  source = card.sample ? `sample:${card.sample}` : `id:${card.id}`;
  const channels = card.shape[0] > 1 ? ` · ${card.shape[0]} channels` : "";
  const size = card.shape.slice(1).join(" × ");
  $("what").textContent = `${card.name} · ${size}${channels} · ${card.dtype}`;
}

/** Take an array in; the view may answer with a patch of its state. */
function opened(card) {
  adopt(card);
  if (mounted) lab.set(mounted.opened?.(card) ?? {});
}

/** The card that a link speaks of; without one, or where it is lost, the view's sample. */
async function cardOf(link, first) {
  const [kind, name] = link.split(":");
  let lost = "";
  try {
    if (kind === "sample") return { card: await api.ask("open", { sample: name }), lost };
    if (kind === "id") return { card: await api.get(`arrays/${name}`), lost };
  } catch (error) {
    lost = `This link needs your file (${error.message}); a sample is shown instead.`;
  }
  const card = first.sample ? await api.ask("open", { sample: first.sample }) : null;
  return { card, lost };
}

/** @param hash of a link; one of ours may have taken its place in the address meanwhile */
async function begin(hash) {
  const turn = ++turns;
  clearTimeout(linking);
  const shell = decode(hash, SHELL);
  const first = VIEWS.find((v) => v.name === shell.view);
  const { card, lost } = await cardOf(shell.d, first);
  if (turn !== turns) return;
  if (card) adopt(card);
  if (lost) $("what").textContent = lost;
  const told = hash.length > 1 && !lost;
  show(first, told ? { ...decode(hash, first.schema), step: shell.st } : {});
  if (lab.card && !told) lab.set(mounted.opened?.(lab.card) ?? {});
  document.documentElement.dataset.ready = "true";
  performance.mark("ready");
}

const dataPicker = picker(opened);
const keysDialog = keyList();
const turn = themes(() => lab.redraw());
const school = lessons(lab);

function furnish() {
  const rail = VIEWS.map((v) =>
    h(
      "button",
      {
        type: "button",
        "data-view": v.name,
        title: `${v.title} (${v.key})`,
        onclick: () => change(v),
      },
      h("b", { "aria-hidden": "true", text: v.key }),
      v.title,
    ),
  );
  fill($("rail"), h("div", { class: "mark" }, "convivo", h("span", { text: "lab" })), ...rail);
  const button = (text, title, onclick) => h("button", { type: "button", text, title, onclick });
  fill(
    $("top"),
    h("h1", { id: "title" }),
    button("Data…", "Open data (d)", dataPicker.open),
    h("span", { id: "what", class: "what" }),
    button("Lessons", "Guess, then reveal (l)", school.open),
    button("Copy link", "The address of this picture", copyLink),
    button("Theme", "Light or dark (t)", turn),
    button("Keys", "All keys (?)", () => keysDialog.showModal()),
  );
}

function change(next) {
  if (next === view) return;
  show(next);
  if (lab.card) lab.set(mounted.opened?.(lab.card) ?? {});
}

async function copyLink() {
  link();
  await navigator.clipboard?.writeText(location.href).catch(() => {});
  lab.live("link copied");
  lab.note(
    source.startsWith("id:")
      ? "link copied; it works while this lab runs and holds your file"
      : "link copied",
  );
}

const ACTIONS = {
  " ": () => steps.toggle(),
  ",": () => steps.by(-1),
  ".": () => steps.by(1),
  Home: () => lab.set({ step: 0 }),
  End: () => lab.set({ step: Math.max(0, (mounted?.steps() ?? 1) - 1) }),
  d: () => dataPicker.open(),
  l: () => school.open(),
  t: () => turn(),
  "?": () => keysDialog.showModal(),
};

document.addEventListener("keydown", (event) => {
  if (taken(event)) return;
  const wanted = VIEWS.find((v) => v.key === event.key);
  const action = wanted
    ? () => change(wanted)
    : mounted?.key?.(event)
      ? () => {}
      : ACTIONS[event.key];
  if (!action) return;
  event.preventDefault();
  action();
});
window.addEventListener("hashchange", (event) => begin(new URL(event.newURL).hash));
window.addEventListener("resize", () => lab.redraw());

furnish();
begin(location.hash).catch((error) => lab.note(`${error.message}. ${error.hint ?? ""}`, "bad"));
