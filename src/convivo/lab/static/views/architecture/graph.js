// The drawing of a network: boxes, lines between them, and under each box what it holds at the peak.

import { fill, h, svg } from "../../core/dom.js";

export const KINDS = ["parameters", "outputs", "gradients", "losses", "optimizer", "operations"];
const SHADES = {
  conv: "convolution",
  up: "upsampling",
  pool: "pooling",
  dense: "fully connected",
  join: "sum, concatenation",
  block: "block of layers",
  other: "other",
};
const BARS = 96;

const text = (x, y, words, props = {}) => svg("text", { x, y, text: words, ...props });

/** A line from box to box: straight to the neighbour, level across a valley, or an arc above. */
function path(edge, { boxes, given }) {
  const [from, to] = [edge.from < 0 ? given : boxes[edge.from], boxes[edge.to]];
  const [x1, x2] = [from.x + from.wide / 2, to.x - to.wide / 2];
  if (edge.kind === "next") return `M${x1} ${from.y}L${x2} ${to.y}`;
  if (edge.kind === "across") return `M${x1} ${from.y}H${x2 - 3}`;
  const [top, end] = [from.y - from.tall / 2, to.y - to.tall / 2];
  const between = boxes.slice(edge.from, edge.to + 1).map((box) => box.y - box.tall / 2);
  const lift = Math.max(
    4,
    Math.min(...between) - 4 - Math.min(22, 3 + 1.2 * (edge.to - edge.from)),
  );
  return `M${from.x} ${top}C${from.x} ${lift} ${to.x} ${lift} ${to.x} ${end}`;
}

/** The modules whose branches meet again inside them: drawn as a frame around their boxes. */
function frames(boxes) {
  const joins = boxes.filter((box) => box.kind === "join" && box.main.scopes.length > 1);
  const names = new Set(joins.map((box) => box.main.scopes[box.main.scopes.length - 1]));
  return [...names]
    .map((name) => boxes.filter((box) => box.main.scopes.includes(name)))
    .filter((inside) => inside.length > 1)
    .map((inside) => {
      const left = Math.min(...inside.map((box) => box.x - box.wide / 2)) - 3;
      const right = Math.max(...inside.map((box) => box.x + box.wide / 2)) + 3;
      const top = Math.min(...inside.map((box) => box.y - box.tall / 2)) - 5;
      const bottom = Math.max(...inside.map((box) => box.y + box.tall / 2)) + 5;
      return svg("rect", {
        class: "frame",
        x: left,
        y: top,
        width: right - left,
        height: bottom - top,
        rx: 4,
      });
    });
}

/** Channels above a box, where there is room for them. */
function channels(box, room) {
  const words = String(box.shape[0]);
  if (words.length * 6.2 > room) return null;
  return text(box.x, box.y - box.tall / 2 - 4, words, {
    class: "channels",
    "text-anchor": "middle",
  });
}

/**
 * The graph. @param {any} plan of layout.layout
 * @param {{hover: (id: number|null) => void, pin: (id: number) => void}} on
 */
export function drawGraph(plan, on) {
  const { boxes } = plan;
  const room = (box) => {
    const [before, after] = [boxes[box.id - 1], boxes[box.id + 1]];
    return Math.min(box.x - (before?.x ?? -99), (after?.x ?? 9999) - box.x);
  };
  const levels = plan.levels.map((level) =>
    svg(
      "g",
      { class: "level" },
      svg("line", { x1: 0, x2: plan.width, y1: level.y, y2: level.y }),
      text(2, level.y - 4, level.text),
    ),
  );
  const lines = plan.edges.map((edge) =>
    svg("path", {
      class: `edge ${edge.kind}`,
      d: path(edge, plan),
      "data-from": edge.from,
      "data-to": edge.to,
    }),
  );
  const drawn = boxes.map((box) =>
    svg(
      "g",
      { class: `box ${box.kind}`, "data-box": box.id },
      svg("rect", {
        class: "reach",
        x: box.x - box.wide / 2 - 3,
        y: 0,
        width: box.wide + 6,
        height: plan.height,
      }),
      svg("rect", {
        class: "body",
        x: box.x - box.wide / 2,
        y: box.y - box.tall / 2,
        width: box.wide,
        height: box.tall,
        rx: 2,
      }),
      channels(box, room(box)),
    ),
  );
  const { given } = plan;
  const input = svg(
    "g",
    { class: "given" },
    svg("rect", {
      x: given.x - given.wide / 2,
      y: given.y - given.tall / 2,
      width: given.wide,
      height: given.tall,
      rx: 2,
    }),
    text(given.x, given.y - given.tall / 2 - 16, "input", { "text-anchor": "middle" }),
  );
  const crowded = plan.edges.length > 3 * boxes.length ? " crowded" : "";
  const picture = svg(
    "svg",
    {
      class: `network${crowded}`,
      width: plan.width,
      height: plan.height,
      viewBox: `0 0 ${plan.width} ${plan.height}`,
      role: "img",
      "aria-label": `${boxes.length} boxes from input to output`,
    },
    ...levels,
    ...frames(boxes),
    ...lines,
    input,
    ...drawn,
  );
  listen(picture, on);
  return picture;
}

/** Pointer on a box, or on its bar. */
function listen(picture, on) {
  const boxOf = (event) => {
    const found = event.target.closest("[data-box]");
    return found ? Number(found.dataset.box) : null;
  };
  picture.addEventListener("pointermove", (event) => on.hover(boxOf(event)));
  picture.addEventListener("pointerleave", () => on.hover(null));
  picture.addEventListener("click", (event) => {
    const id = boxOf(event);
    if (id !== null) on.pin(id);
  });
}

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

/** Show which box is meant: the box, its lines, its bar. */
export function light(root, id) {
  for (const node of root.querySelectorAll(".lit")) node.classList.remove("lit");
  if (id === null || id < 0) return;
  for (const node of root.querySelectorAll(
    `[data-box="${id}"], [data-from="${id}"], [data-to="${id}"]`,
  ))
    node.classList.add("lit");
}

/** What the colours of the boxes mean, of those that occur. */
export function legend(boxes, element) {
  const used = Object.keys(SHADES).filter((kind) => boxes.some((box) => box.kind === kind));
  const item = (kind) =>
    svg(
      "svg",
      { class: `box ${kind}`, width: 10, height: 10, "aria-hidden": "true" },
      svg("rect", { class: "body", x: 0.5, y: 0.5, width: 9, height: 9, rx: 2 }),
    );
  fill(element, ...used.map((kind) => h("span", {}, item(kind), SHADES[kind])));
}

/** What the colours of bytes mean. */
export const kindsLegend = () =>
  h(
    "div",
    { class: "arch-legend" },
    h("span", { text: "at the peak:" }),
    ...KINDS.map((kind) => h("span", {}, h("i", { class: `swatch ${kind}` }), kind)),
  );

const FIELD = 132;

/** What the middle position of a grid sees of the input, to scale; dashed, what its neighbour sees. */
export function fieldPicture(field, size, shape) {
  const axes = size.length > 1 ? [size.length - 1, size.length - 2] : [0, null];
  const largest = Math.max(...axes.filter((a) => a !== null).map((a) => size[a]));
  const scale = FIELD / largest;
  const span = (axis, by) => {
    if (axis === null) return [0, 18];
    const jump = typeof field.jump[axis] === "string" ? 1 : field.jump[axis];
    const start = field.start[axis] + jump * (Math.floor((shape[axis + 1] - 1) / 2) + by);
    return [start * scale, field.size[axis] * scale];
  };
  const whole = (axis) => (axis === null ? 18 : size[axis] * scale);
  const box = (by, style) => {
    const [[x, width], [y, height]] = [span(axes[0], by), span(axes[1], axes[1] === null ? 0 : by)];
    return svg("rect", {
      class: style,
      x,
      y,
      width: Math.max(1, width),
      height: Math.max(1, height),
    });
  };
  const [w, e] = [whole(axes[0]), whole(axes[1])];
  return svg(
    "svg",
    {
      class: "field-picture",
      viewBox: `-14 -14 ${w + 28} ${e + 28}`,
      width: w + 28,
      height: e + 28,
      role: "img",
      "aria-label": "the receptive field on the input, to scale",
    },
    svg("rect", { class: "whole", x: 0, y: 0, width: w, height: e }),
    box(1, "neighbour"),
    box(0, "seen"),
  );
}
