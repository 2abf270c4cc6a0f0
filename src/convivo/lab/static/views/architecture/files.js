// Files that the page hands over: made here, never sent anywhere.

import { KINDS } from "./bars.js";
import { axes } from "./words.js";

const STYLED = [
  "fill",
  "stroke",
  "stroke-width",
  "stroke-dasharray",
  "opacity",
  "font",
  "fill-opacity",
  "stroke-opacity",
];

/** Save a text under a name. */
export function download(name, kind, content) {
  const address = URL.createObjectURL(new Blob([content], { type: kind }));
  const link = document.createElement("a");
  link.href = address;
  link.download = name;
  document.body.append(link);
  link.click();
  link.remove();
  setTimeout(() => URL.revokeObjectURL(address), 1000);
}

/** A drawing that looks alike outside of the page: its colours written into it. */
export function svgFile(drawing) {
  const copy = drawing.cloneNode(true);
  const [own, copies] = [drawing, copy].map((root) => [root, ...root.querySelectorAll("*")]);
  own.forEach((node, i) => {
    const seen = getComputedStyle(node);
    for (const name of STYLED) copies[i].setAttribute(name, seen.getPropertyValue(name));
    copies[i].removeAttribute("class");
  });
  copy.setAttribute("xmlns", "http://www.w3.org/2000/svg");
  const paper = document.createElementNS("http://www.w3.org/2000/svg", "rect");
  paper.setAttribute("width", "100%");
  paper.setAttribute("height", "100%");
  paper.setAttribute("fill", getComputedStyle(document.body).getPropertyValue("--panel"));
  copy.prepend(paper);
  return new XMLSerializer().serializeToString(copy);
}

const HEAD = [
  "id",
  "name",
  "type",
  "shape",
  "reads",
  "parameters",
  "parameters_sum",
  "macs",
  "macs_sum",
  "receptive_field",
  "jump",
  "start",
  "bytes_kept",
  ...KINDS.map((kind) => `peak_${kind}`),
];

/** The whole table, a row a call; text that begins like a formula of a spreadsheet is kept text. */
export function csv(plan) {
  const peak = new Map();
  for (const one of plan.rows) if (one.node !== null) peak.set(one.node, one.bytes);
  const line = (node) => [
    node.id,
    node.name,
    node.kind,
    axes(node.shape),
    node.sources.join(" "),
    node.parameters,
    node.parameters_sum ?? "",
    node.macs,
    node.macs_sum ?? "",
    ...["size", "jump", "start"].map((field) => (node.field ? axes(node.field[field]) : "")),
    node.kept,
    ...KINDS.map((kind) => peak.get(node.id)?.[kind] ?? 0),
  ];
  const others = plan.rows
    .filter((r) => r.node === null)
    .map((r) => [
      "",
      r.name || "all layers",
      "",
      "",
      "",
      "",
      "",
      "",
      "",
      "",
      "",
      "",
      "",
      ...KINDS.map((kind) => r.bytes[kind]),
    ]);
  return [HEAD, ...plan.nodes.map(line), ...others]
    .map((cells) => cells.map(quoted).join(","))
    .join("\r\n");
}

function quoted(cell) {
  const words = String(cell);
  const plain = /^[=+@]/.test(words) ? `'${words}` : words;
  return /[",\r\n]/.test(plain) ? `"${plain.replace(/"/g, '""')}"` : plain;
}
