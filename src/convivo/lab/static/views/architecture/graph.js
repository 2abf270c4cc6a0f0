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
export function listen(picture, on) {
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
