// Memory over the size of the input, and the largest that this machine can hold.

import { svg } from "../../core/dom.js";
import { bytes } from "./words.js";

const PAD = { left: 8, right: 10, top: 18, bottom: 20 };
const text = (x, y, words, props = {}) => svg("text", { x, y, text: words, ...props });

const UNITS = [
  [2 ** 10, "1 KiB"],
  [2 ** 20, "1 MiB"],
  [2 ** 30, "1 GiB"],
  [2 ** 40, "1 TiB"],
];
const log = Math.log2;

/** The ends of the axes: sizes and bytes, the machine's line within. */
function ends(points, limit) {
  const values = points.flatMap((p) => [p.memory.tensors_peak, p.memory.process_bound]);
  const low = Math.min(...values);
  return {
    low: log(low / 1.5),
    high: log(Math.max(limit ?? 0, ...values) * 1.5),
    first: log(points[0].at),
    last: log(points[points.length - 1].at),
  };
}

/**
 * Memory over the input's size, both axes doubling; this machine's line; the size of today.
 *
 * @param points [{at, memory}], smallest first; @param limit bytes of this machine, or null
 */
export function drawCurve(points, limit, now, width, height, pick) {
  if (points.length < 2)
    return svg(
      "svg",
      { class: "chart", width, height },
      text(10, 24, "tracing …", { class: "axis-name" }),
    );
  const end = ends(points, limit);
  const span = Math.max(0.1, end.last - end.first);
  const x = (at) => PAD.left + ((width - PAD.left - PAD.right) * (log(at) - end.first)) / span;
  const y = (value) =>
    PAD.top + ((height - PAD.top - PAD.bottom) * (end.high - log(value))) / (end.high - end.low);
  const line = (field) =>
    points
      .map((p, i) => `${i ? "L" : "M"}${x(p.at).toFixed(1)} ${y(p.memory[field]).toFixed(1)}`)
      .join("");
  const today = points.find((p) => p.at === now);
  const picture = svg(
    "svg",
    {
      class: "chart curve",
      width,
      height,
      viewBox: `0 0 ${width} ${height}`,
      role: "img",
      "aria-label": "memory over the size of the input",
    },
    ...gridlines(end, y, width),
    ...sizeNames(points, x, height),
    ...machine(limit, y, width),
    svg("path", { class: "line tensors", d: line("tensors_peak") }),
    svg("path", { class: "line process", d: line("process_bound") }),
    ...(today
      ? [
          svg("line", {
            class: "cursor",
            x1: x(now),
            x2: x(now),
            y1: PAD.top,
            y2: height - PAD.bottom,
          }),
          svg("circle", { class: "cursor", cx: x(now), cy: y(today.memory.process_bound), r: 3.5 }),
        ]
      : []),
  );
  picture.addEventListener("pointerdown", (event) => {
    const place = event.clientX - picture.getBoundingClientRect().left;
    pick(
      points.reduce((best, p) =>
        Math.abs(x(p.at) - place) < Math.abs(x(best.at) - place) ? p : best,
      ).at,
    );
  });
  return picture;
}

function gridlines(end, y, width) {
  return UNITS.filter(([value]) => log(value) > end.low && log(value) < end.high).flatMap(
    ([value, name]) => [
      svg("line", {
        class: "rule",
        x1: PAD.left,
        x2: width - PAD.right,
        y1: y(value),
        y2: y(value),
      }),
      text(PAD.left + 2, y(value) - 3, name, { class: "axis-name" }),
    ],
  );
}

/** Sizes below the axis: doublings where there are some, as many as have room. */
function sizeNames(points, x, height) {
  const last = points[points.length - 1].at;
  const doubling = (n) => (n & (n - 1)) === 0 || n === points[0].at;
  const few = points.filter((p) => doubling(p.at)).length < 4;
  const wide = (n) => String(n).length * 6.5 + (few ? 24 : 8);
  const named = points.map((p) => p.at).filter((n) => few || doubling(n));
  const end = named.includes(last) ? x(last) - wide(last) : Infinity;
  let free = -Infinity;
  return named.flatMap((n) => {
    const place = x(n);
    const anchor = n === last ? "end" : "middle";
    if (n !== last && (place - wide(n) / 2 < free || place + wide(n) / 2 > end)) return [];
    free = place + wide(n) / 2;
    return [text(place, height - 6, String(n), { class: "axis-name", "text-anchor": anchor })];
  });
}

function machine(limit, y, width) {
  if (!limit) return [];
  return [
    svg("line", {
      class: "limit",
      x1: PAD.left,
      x2: width - PAD.right,
      y1: y(limit),
      y2: y(limit),
    }),
    text(width - PAD.right, y(limit) - 4, `this machine ${bytes(limit)}`, {
      class: "limit-name",
      "text-anchor": "end",
    }),
  ];
}

/** The largest size whose process stays below the machine's memory, of those traced; null if none. */
export function largestThatFits(points, limit) {
  if (!limit) return null;
  const fitting = points.filter((p) => p.memory.process_bound <= limit);
  return fitting.length ? fitting[fitting.length - 1] : null;
}
