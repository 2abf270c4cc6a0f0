// Which network: one of ours by name, the user's own exported module, or that of a run.

import { field, h, select, tick } from "../../core/dom.js";
import { HOW, openProgram } from "./program.js";

const TASKS = {
  classify: "Classify",
  segment: "Segment",
  reconstruct: "Reconstruct",
  generate: "Generate",
};
const DETAILS = [
  ["auto", "as fits"],
  ["layers", "every layer"],
  ["blocks", "blocks"],
];

/** What another network or dimension lets go: its own sizes and counts hold again. */
export const AFRESH = {
  size: [],
  channels: 0,
  classes: 0,
  options: "",
  width: 1,
  pin: -1,
  run: "",
  program: "",
  step: 0,
};

/** The controls of the first row. @param asked the question; @param told (text) => void: an error */
export function choosing(lab, data, asked, entry, told) {
  const { state } = lab;
  return [
    networks(lab, data, entry),
    state.program ? null : dimensions(lab),
    ownModule(lab, data, told),
    field(
      "detail",
      select(DETAILS, state.detail, (detail) => lab.set({ detail, pin: -1 })),
    ),
    asked.dims > 1 ? alike(lab, asked) : null,
    runs(lab, data),
    h("span", { class: "muted paper", text: entry.paper, title: entry.paper }),
  ];
}

function networks(lab, data, entry) {
  const option = (net) =>
    h("option", { value: net.name, text: net.name, selected: net.name === entry.name });
  const groups = Object.entries(TASKS).map(([task, label]) =>
    h("optgroup", { label }, ...data.listed.nets.filter((net) => net.task === task).map(option)),
  );
  const own = h("option", { value: "program", text: "own module", selected: true });
  const node = h(
    "select",
    { "aria-label": "Network", onchange: () => lab.set({ ...AFRESH, net: node.value }) },
    lab.state.program ? own : null,
    ...groups,
  );
  return node;
}

function dimensions(lab) {
  const { state } = lab;
  const tab = (d) =>
    h("button", {
      type: "button",
      text: `${d}D`,
      "aria-pressed": String(d === state.dims),
      onclick: () => lab.set({ ...AFRESH, net: state.net, dims: d }),
    });
  return h(
    "div",
    { class: "tabs", role: "group", "aria-label": "Dimensions" },
    ...[1, 2, 3].map(tab),
  );
}

/** A button, and the file dialog behind it. */
function ownModule(lab, data, told) {
  const open = async () => {
    try {
      const card = await openProgram(lab.api, input.files[0]);
      data.take(card);
      const dims = card.size.length;
      const lock = new Set(card.size).size === 1;
      lab.set({ ...AFRESH, program: card.id, net: "program", dims, lock });
    } catch (error) {
      told(`${error.message}. ${error.hint ?? ""}`);
    }
  };
  const input = h("input", {
    type: "file",
    accept: ".pt2",
    class: "unseen",
    tabindex: -1,
    "aria-label": "Exported program, .pt2",
    onchange: () => input.files.length && open(),
  });
  const title = `An nn.Module of yours, exported: ${HOW}. Only its graph is read, no weights.`;
  const button = h("button", {
    type: "button",
    text: "Own module…",
    title,
    onclick: () => input.click(),
  });
  return h("span", {}, button, input);
}

function alike(lab, asked) {
  const longest = () => Array(asked.dims).fill(Math.max(...asked.size));
  return tick("axes alike", lab.state.lock, (lock) =>
    lab.set(lock ? { lock, size: longest() } : { lock }),
  );
}

function runs(lab, data) {
  if (!data.listed.runs.length) return null;
  const list = data.listed.runs.map((run) => [run.entry, `${run.name} (${run.net})`]);
  const pick = (run) => lab.set({ run, program: "", step: 0 });
  return field("own run", select([["", "none"], ...list], lab.state.run, pick));
}
