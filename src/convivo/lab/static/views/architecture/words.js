// The architecture in words and numbers: bytes, sums, tables, and the table as CSV.

import { h } from "../../core/dom.js";
import { KINDS } from "./bars.js";
import { fieldPicture } from "./field.js";

const UNITS = ["bytes", "KiB", "MiB", "GiB", "TiB", "PiB"];
export const MEANING = {
  parameters: "weights and biases, and running statistics",
  outputs: "the input, and what layers keep for the backward pass",
  gradients: "of the parameters",
  losses: "the loss, and the gradients that flow back through the outputs",
  optimizer: "its state: momentum, squared gradients",
  operations: "workspace of the kernels, temporaries",
};

/** 6400 -> "6,400". */
export const commas = (value) => String(value).replace(/\B(?=(\d{3})+(?!\d))/g, ",");

/** 6400 -> "6.25 KiB". */
export function bytes(value) {
  let unit = 0;
  let left = value;
  while (left >= 1024 && unit < UNITS.length - 1) {
    left /= 1024;
    unit += 1;
  }
  const digits = unit === 0 || left >= 100 ? 0 : left >= 10 ? 1 : 2;
  return `${left.toFixed(digits)} ${UNITS[unit]}`;
}

/** Large counts: "150.4 billion". */
export function spoken(value) {
  for (const [size, word] of [
    [1e12, "trillion"],
    [1e9, "billion"],
    [1e6, "million"],
  ]) {
    if (value >= size) return `${(value / size).toPrecision(4)} ${word}`;
  }
  return commas(value);
}

/** A sum of the server as it is written by hand: "5*5*1*6+6 = 156" with signs of multiplication. */
export const written = (sum) => sum.replace(/\*/g, " × ").replace(/\+/g, " + ");

/** Seconds of a step. */
export const seconds = (value) =>
  value >= 1 ? `${value.toPrecision(3)} s` : `${(1000 * value).toPrecision(3)} ms`;

const row = (name, ...cells) =>
  h(
    "tr",
    {},
    h("th", { scope: "row", text: name }),
    ...cells.map((cell) => h("td", { text: cell })),
  );

/** The six kinds, their sum, and the process around them. */
export function memoryTable(memory) {
  const kind = (name) =>
    h(
      "tr",
      { title: MEANING[name] },
      kindName(name),
      h("td", { class: "exact", text: commas(memory[name]) }),
      h("td", { text: bytes(memory[name]) }),
    );
  const sums = [
    ["tensors at the peak", "tensors_peak", "total"],
    ["libraries, holes, code", "overhead", ""],
    ["process, expected", "process_peak", "total"],
    ["process, at most", "process_bound", ""],
  ];
  return h(
    "table",
    { class: "list memory", "data-table": "memory" },
    h(
      "tbody",
      {},
      ...KINDS.map(kind),
      ...sums.map(([title, field, style]) =>
        h(
          "tr",
          { class: style },
          h("th", { scope: "row", text: title }),
          h("td", { class: "exact", text: commas(memory[field]) }),
          h("td", { text: bytes(memory[field]) }),
        ),
      ),
    ),
  );
}

/** Predicted beside measured, of a run. */
export function comparison(run) {
  const measured = run.measured ?? {};
  const rows = [
    ...KINDS.map((kind) => [kind, run.predicted?.[kind], measured.memory?.[kind]]),
    ["tensors at the peak", run.predicted?.tensors_peak, measured.tensors_peak],
    ["process", run.predicted?.process_peak, measured.process_peak],
  ];
  const cell = (value) => (value === null || value === undefined ? "–" : bytes(value));
  const share = (a, b) => (a && b ? `${(100 * (a / b - 1)).toFixed(1).replace("-", "−")} %` : "");
  const head = h(
    "tr",
    {},
    ...["", "predicted", "measured", "off by"].map((name) => h("th", { scope: "col", text: name })),
  );
  const time = row(
    "seconds a step",
    measured.seconds_foretold ? seconds(measured.seconds_foretold) : "–",
    measured.seconds_per_step ? seconds(measured.seconds_per_step) : "–",
    share(measured.seconds_foretold, measured.seconds_per_step),
  );
  return h(
    "table",
    { class: "list", "data-table": "measured" },
    h("thead", {}, head),
    h("tbody", {}, ...rows.map(([name, a, b]) => row(name, cell(a), cell(b), share(a, b))), time),
  );
}

export const axes = (values) => values.join(" × ");

/** One box: what it is, its sums, what it sees, what it holds. */
export function boxFacts(box, { nodes, rows, question }, batch) {
  const { size } = question;
  const inside = box.ids.map((id) => nodes[id]);
  const main = box.many ? inside[inside.length - 1] : box.main;
  const facts = [["shape", axes(box.shape)]];
  if (box.parameters)
    facts.push([
      "parameters",
      box.many ? commas(box.parameters) : sums(inside, "parameters_sum", box.parameters),
    ]);
  if (box.macs)
    facts.push([
      "multiply-accumulates",
      box.many ? commas(box.macs) : sums(inside, "macs_sum", box.macs),
    ]);
  if (main.field) {
    facts.push(
      ["receptive field", `${axes(main.field.size)} samples`],
      ["jump", axes(main.field.jump)],
      ["starts at", axes(main.field.start).replace(/-/g, "−")],
    );
  } else if (main.whole) facts.push(["receptive field", "the whole input"]);
  const table = h(
    "table",
    { class: "list" },
    h("tbody", {}, ...facts.map(([name, value]) => row(name, value))),
  );
  const seen = main.field
    ? [
        h(
          "div",
          { class: "seen-of-input" },
          fieldPicture(main.field, size, box.shape),
          h("p", {
            class: "muted",
            text: "What the middle sample sees of the input, to scale; dashed, what its neighbour sees.",
          }),
        ),
      ]
    : [];
  return [table, ...seen, ...keptFacts(box, inside, batch), ...peakFacts(box, inside, rows)];
}

function sums(inside, field, total) {
  const found = inside
    .map((node) => node[field])
    .filter(Boolean)
    .map(written);
  return found.length > 1
    ? `${found.join("; ")}; together ${commas(total)}`
    : (found[0] ?? commas(total));
}

function keptFacts(box, inside, batch) {
  if (!box.kept) return [];
  const list = inside.flatMap((node) =>
    node.kept_sums.map((sum) => `${node.name || node.word}: ${written(sum)}`),
  );
  const shown = list.slice(0, 8).map((text) => h("li", { text }));
  const more =
    list.length > 8 ? [h("li", { class: "muted", text: `and ${list.length - 8} more` })] : [];
  return [
    h("h3", { text: "Bytes kept by the forward pass" }),
    h("p", { class: "muted small", text: `batch ${batch} × values × bytes of one` }),
    h("ul", { class: "sums" }, ...shown, ...more),
    h("p", { text: `${commas(box.kept)} bytes, ${bytes(box.kept)}` }),
  ];
}

/** What a box holds at the peak: by kind, then the sums behind it, the largest first. */
function peakFacts(box, inside, rows) {
  const own = rows.filter((r) => box.ids.includes(r.node));
  const list = own.flatMap((r) => r.formulas);
  if (!list.length) return [];
  const total = (kind) => own.reduce((all, r) => all + r.bytes[kind], 0);
  const kinds = KINDS.filter(total).map((kind) =>
    h("tr", {}, kindName(kind), h("td", { text: commas(total(kind)) })),
  );
  const shown = list.slice(0, 8).map((text) => h("li", { text: written(text) }));
  const more = list.length - shown.length;
  return [
    h("h3", { text: "Bytes at the peak" }),
    h("table", { class: "list", "data-table": "box" }, h("tbody", {}, ...kinds)),
    h("ul", { class: "sums" }, ...shown),
    more > 0 ? h("p", { class: "muted small", text: `and ${more} more` }) : null,
  ].filter(Boolean);
}

const kindName = (kind) => h("th", { scope: "row" }, h("i", { class: `swatch ${kind}` }), kind);
