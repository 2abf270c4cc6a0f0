// What each box holds at the peak, as stacked bars below the boxes.

import { h, svg } from "../../core/dom.js";
import { listen } from "./graph.js";

/** The lecture's kinds of memory, in the order of the ledger. */
export const KINDS = ["parameters", "outputs", "gradients", "losses", "optimizer", "operations"];
const BARS = 96;

const text = (x, y, words, props = {}) => svg("text", { x, y, text: words, ...props });

/** Bytes by kind under each box, and of what has no box, in the last column. */
export function held(boxes, rows) {
  const home = new Map(boxes.flatMap((box) => box.ids.map((id) => [id, box.id])));
  const blank = () => Object.fromEntries(KINDS.map((kind) => [kind, 0]));
  const columns = boxes.map(blank);
  const rest = blank();
  for (const row of rows) {
    const column = columns[home.get(row.node)] ?? rest;
    for (const kind of KINDS) column[kind] += row.bytes[kind];
  }
  return { columns, rest };
}

export const total = (column) => KINDS.reduce((sum, kind) => sum + column[kind], 0);

/** Stacked bars, each under its box; the last one stands for the whole network. */
export function drawBars(plan, rows, words, on) {
  const { columns, rest } = held(plan.boxes, rows);
  const largest = Math.max(1, ...columns.map(total), total(rest));
  const wide = Math.max(
    4,
    Math.min(26, ...plan.boxes.slice(1).map((box, i) => box.x - plan.boxes[i].x - 3)),
  );
  const end = plan.width + 34;
  const stack = (column, x, width) => {
    let y = BARS + 12;
    return KINDS.filter((kind) => column[kind]).map((kind) => {
      const tall = (BARS * column[kind]) / largest;
      y -= tall;
      return svg("rect", {
        class: `kind ${kind}`,
        x: x - width / 2,
        y,
        width,
        height: Math.max(0.5, tall),
      });
    });
  };
  const bars = plan.boxes.map((box, i) =>
    svg(
      "g",
      { class: "bar", "data-box": box.id },
      svg("rect", {
        class: "reach",
        x: box.x - wide / 2 - 1,
        y: 0,
        width: wide + 2,
        height: BARS + 12,
      }),
      ...stack(columns[i], box.x, wide),
    ),
  );
  const picture = svg(
    "svg",
    {
      class: "bars",
      width: plan.width + 60,
      height: BARS + 30,
      viewBox: `0 0 ${plan.width + 60} ${BARS + 30}`,
      role: "img",
      "aria-label": `bytes of each layer at the peak, the largest ${words(largest)}`,
    },
    svg("line", { class: "axis", x1: 0, x2: plan.width + 60, y1: BARS + 12.5, y2: BARS + 12.5 }),
    text(2, 9, words(largest), { class: "axis-name" }),
    ...bars,
    svg(
      "g",
      { class: "bar rest" },
      ...stack(rest, end, 26),
      text(plan.width + 52, BARS + 25, "all layers", { class: "axis-name", "text-anchor": "end" }),
    ),
  );
  listen(picture, on);
  return picture;
}

/** What the colours of bytes mean. */
export const kindsLegend = () =>
  h(
    "div",
    { class: "arch-legend" },
    h("span", { text: "at the peak:" }),
    ...KINDS.map((kind) => h("span", {}, h("i", { class: `swatch ${kind}` }), kind)),
  );
