// What lives over the moments of a step.

import { svg } from "../../core/dom.js";
import { KINDS } from "./bars.js";
import { bytes } from "./words.js";

const PAD = { left: 8, right: 10, top: 18, bottom: 20 };
const text = (x, y, words, props = {}) => svg("text", { x, y, text: words, ...props });
const clamp = (value, low, high) => Math.min(high, Math.max(low, value));

/** Totals over the kinds, a number a moment. */
export function totals(timeline) {
  return timeline.moment.map((_, i) =>
    KINDS.reduce((sum, kind) => sum + timeline.bytes[kind][i], 0),
  );
}

/** The entry of a run-length column that holds at moment i. */
export function at(runs, i) {
  let name = "";
  for (const [first, word] of runs) if (first <= i) name = word;
  return name;
}

/** What lives over a step, kind above kind; the peak and the step marked. */
export function drawTimeline(timeline, step, width, height, go) {
  const all = totals(timeline);
  const most = Math.max(1, ...all);
  const [w, h] = [width - PAD.left - PAD.right, height - PAD.top - PAD.bottom];
  const x = (i) => PAD.left + (w * i) / Math.max(1, all.length - 1);
  const y = (value) => PAD.top + h * (1 - value / most);
  const below = all.map(() => 0);
  const areas = KINDS.map((kind) => {
    const values = timeline.bytes[kind];
    const floor = below.map((v, i) => `${x(i).toFixed(1)} ${y(v).toFixed(1)}`).reverse();
    values.forEach((v, i) => {
      below[i] += v;
    });
    const top = below.map((v, i) => `${x(i).toFixed(1)} ${y(v).toFixed(1)}`);
    return svg("path", { class: `kind ${kind}`, d: `M${top.join("L")}L${floor.join("L")}Z` });
  });
  const peak = timeline.peak;
  const side = x(peak) > width * 0.6 ? "end" : "start";
  const picture = svg(
    "svg",
    {
      class: "chart timeline",
      width,
      height,
      viewBox: `0 0 ${width} ${height}`,
      role: "img",
      "aria-label": `live bytes over ${timeline.moments} moments, at most ${bytes(most)}`,
    },
    ...phases(timeline, x, all.length, height),
    ...areas,
    svg("line", {
      class: "peak",
      x1: x(peak),
      x2: x(peak),
      y1: PAD.top - 6,
      y2: height - PAD.bottom,
    }),
    text(x(peak) + (side === "end" ? -5 : 5), PAD.top - 6, `peak ${bytes(most)}`, {
      class: "peak-name",
      "text-anchor": side,
    }),
    svg("line", {
      class: "cursor",
      x1: x(step),
      x2: x(step),
      y1: PAD.top,
      y2: height - PAD.bottom,
    }),
    svg("circle", { class: "cursor", cx: x(step), cy: y(all[step]), r: 3.5 }),
  );
  const seek = (event) => {
    const box = picture.getBoundingClientRect();
    go(
      clamp(
        Math.round(((event.clientX - box.left - PAD.left) / w) * (all.length - 1)),
        0,
        all.length - 1,
      ),
    );
  };
  picture.addEventListener("pointerdown", seek);
  picture.addEventListener("pointermove", (event) => {
    if (event.buttons & 1) seek(event);
  });
  return picture;
}

function phases(timeline, x, count, height) {
  return timeline.phase.flatMap(([first, name], i) => {
    const next = timeline.phase[i + 1]?.[0] ?? count - 1;
    const [left, right] = [x(first), x(next)];
    const line = svg("line", {
      class: "phase",
      x1: left,
      x2: left,
      y1: PAD.top,
      y2: height - PAD.bottom,
    });
    return right - left > name.length * 5.6
      ? [
          line,
          text((left + right) / 2, height - 6, name, {
            class: "axis-name",
            "text-anchor": "middle",
          }),
        ]
      : [line];
  });
}
